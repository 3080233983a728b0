//! From equalities to owners: whose rows each mention of a table can be.

use super::query::{Equality, Mention};
use super::scope::{RangeId, Term};
use super::{Handle, Operand};
use crate::schema::{Kind, Place, Schema};

/// Finds a handle for each mention of a table whose rows belong to people, as far as the
/// equalities tell; of shared rows those of whoever refers to them.
pub(super) struct Owners<'a> {
    schema: &'a Schema,
    mentions: &'a [Mention],
    equalities: &'a [Equality],
    found: Vec<Option<Handle>>,
}

impl<'a> Owners<'a> {
    pub(super) fn find(
        schema: &'a Schema,
        mentions: &'a [Mention],
        equalities: &'a [Equality],
    ) -> Vec<Option<Handle>> {
        let found = vec![None; mentions.len()];
        let mut owners = Owners { schema, mentions, equalities, found };
        loop {
            let before = owners.found.iter().flatten().count();
            for range in 0..mentions.len() {
                if owners.found[range].is_none() {
                    owners.found[range] = owners.owner(range);
                }
            }
            if owners.found.iter().flatten().count() == before {
                return owners.found;
            }
        }
    }

    fn owner(&self, range: RangeId) -> Option<Handle> {
        let place = self.mentions[range].place;
        self.named(range, place)
            .or_else(|| self.by_the_row_above(range, place))
            .or_else(|| self.as_another(range, place))
            .or_else(|| self.by_a_key(range, place))
    }

    /// The row's own values name the person.
    fn named(&self, range: RangeId, place: Place) -> Option<Handle> {
        let columns = self.schema.owner_columns(place)?;
        let root = self.schema.root();
        let values = self.values(range, &columns)?;
        Some(Handle {
            table: root,
            columns: self.schema.table(root).primary_key().to_vec(),
            values,
        })
    }

    /// The row hangs from one that is named by its values.
    fn by_the_row_above(&self, range: RangeId, place: Place) -> Option<Handle> {
        let Kind::Owned(edge) = &self.schema.table(place).kind else { return None };
        let values = self.values(range, &edge.columns)?;
        Some(Handle { table: edge.parent, columns: edge.parent_columns.clone(), values })
    }

    /// A key of the row is named.
    fn by_a_key(&self, range: RangeId, place: Place) -> Option<Handle> {
        let table = self.schema.table(place);
        if !matches!(table.kind, Kind::Root | Kind::Owned(_)) {
            return None;
        }
        table.keys.iter().find_map(|key| {
            let values = self.values(range, key)?;
            (!key.is_empty()).then(|| Handle { table: place, columns: key.clone(), values })
        })
    }

    /// The row belongs to whoever another mention's rows belong to: they hang together along an
    /// edge, or both name their owner in columns that are equal.
    fn as_another(&self, range: RangeId, place: Place) -> Option<Handle> {
        let others = self.found.iter().enumerate().filter(|(other, _)| *other != range);
        let mut known = others.filter_map(|(other, found)| Some((other, found.as_ref()?)));
        known.find(|(other, _)| self.has_owner_of(range, place, *other)).map(|(_, h)| h.clone())
    }

    fn has_owner_of(&self, range: RangeId, place: Place, other: RangeId) -> bool {
        let other_place = self.mentions[other].place;
        let (table, other_table) = (self.schema.table(place), self.schema.table(other_place));
        if let Kind::Owned(edge) = &table.kind
            && edge.parent == other_place
            && self.are_equal(range, &edge.columns, other, &edge.parent_columns)
        {
            return true;
        }
        if let Kind::Owned(edge) = &other_table.kind
            && edge.parent == place
            && self.are_equal(range, &edge.parent_columns, other, &edge.columns)
        {
            return true;
        }
        if let Kind::Shared(referrers) = &table.kind {
            // The rows that somebody at home here refers to are here.
            return referrers.iter().any(|referrer| {
                referrer.table == other_place
                    && self.are_equal(range, &referrer.shared_columns, other, &referrer.columns)
            });
        }
        if matches!(other_table.kind, Kind::Shared(_)) {
            return false;
        }
        match (self.schema.owner_columns(place), self.schema.owner_columns(other_place)) {
            (Some(columns), Some(others)) => self.are_equal(range, &columns, other, &others),
            _ => false,
        }
    }

    /// Whether columns of `range` are held equal to those of another, pairwise.
    fn are_equal(
        &self,
        range: RangeId,
        columns: &[String],
        other: RangeId,
        others: &[String],
    ) -> bool {
        let is_of_many = |range: RangeId| self.mentions[range].is_of_many;
        !columns.is_empty()
            && (columns.len() == 1 || !(is_of_many(range) || is_of_many(other)))
            && columns.iter().zip(others).all(|(column, other_column)| {
                let target = Term::Column(other, other_column.clone());
                self.equals(range, column).any(|term| *term == target)
            })
    }

    fn values(&self, range: RangeId, columns: &[String]) -> Option<Vec<Operand>> {
        columns.iter().map(|column| self.value(range, column, &mut Vec::new())).collect()
    }

    /// What a column of a mention equals, over as many steps as it takes.
    fn value(
        &self,
        range: RangeId,
        column: &str,
        seen: &mut Vec<(RangeId, String)>,
    ) -> Option<Operand> {
        if seen.iter().any(|(r, c)| *r == range && c == column) {
            return None;
        }
        seen.push((range, column.to_owned()));
        let mut further = Vec::new();
        for term in self.equals(range, column) {
            match term {
                Term::Operand(operand) => return Some(operand.clone()),
                Term::Column(other, other_column) => further.push((*other, other_column)),
            }
        }
        further.into_iter().find_map(|(other, column)| self.value(other, column, seen))
    }

    /// What a column of a mention is held equal to by conditions that bind its rows.
    fn equals(&self, range: RangeId, column: &str) -> impl Iterator<Item = &Term> {
        let is_it =
            move |term: &Term| matches!(term, Term::Column(r, c) if *r == range && c == column);
        self.equalities.iter().filter(move |e| e.holds_for(range)).filter_map(
            move |equality| match (is_it(&equality.left), is_it(&equality.right)) {
                (true, false) => Some(&equality.right),
                (false, true) => Some(&equality.left),
                _ => None,
            },
        )
    }
}
