//! Rows that belong to nobody and that people's rows refer to: how many people share each.

use super::tables::is_float;
use super::{Draft, TableKind, Wishes};
use crate::error::Result;
use domicile_store::closure::{Check, SharedTable};
use domicile_store::{Catalog, Closure, Column, ForeignKey, Sharing, Site, TableName};
use serde::Serialize;
use std::collections::BTreeMap;

/// Rows of a shared, reference or internal table that owned rows refer to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SharedRows {
    /// The referring table.
    pub table: String,
    /// Its columns.
    pub columns: Vec<String>,
    /// The table referred to.
    pub to: String,
    /// Rows that refer to one.
    pub referring: u64,
    /// Rows referred to on behalf of one person only.
    pub of_one: u64,
    /// Rows referred to on behalf of several people.
    pub of_several: u64,
}

/// From so many rows on, each for one person only, a table is no mere list of values.
const OWN_ROWS_MIN: u64 = 10;

/// Counts for every edge that `is_meant`, from an owned table to one that nobody owns.
pub(super) async fn count(
    site: &dyn Site,
    closure: &Closure,
    is_meant: impl Fn(&Check) -> bool,
) -> Result<Vec<SharedRows>> {
    let mut found = Vec::new();
    for check in &closure.checks {
        let is_owned = closure.owned.iter().any(|table| table.name == check.parent);
        if is_owned || !is_meant(check) {
            continue;
        }
        let Sharing { referring, of_one, of_several } =
            site.count_sharing(closure, check.owned, &check.columns).await?;
        found.push(SharedRows {
            table: check.child.to_string(),
            columns: check.columns.clone(),
            to: check.parent.to_string(),
            referring,
            of_one,
            of_several,
        });
    }
    Ok(found)
}

/// Refuses to take a table for a list of values, unasked, when most of its rows are named by one
/// person's own row each: an address, not a country. It would be copied to every site.
pub(super) async fn check_own_rows(
    site: &dyn Site,
    closure: &Closure,
    kinds: &BTreeMap<TableName, TableKind>,
    wishes: &Wishes,
    draft: &mut Draft,
) -> Result<()> {
    let is_guessed = |name: &TableName| {
        kinds.get(name) == Some(&TableKind::Reference)
            && wishes.rule(name).is_none_or(|rule| rule.kind.is_none())
    };
    let is_meant = |check: &Check| check.owned == 0 && is_guessed(&check.parent);
    for shared in count(site, closure, is_meant).await? {
        if shared.of_one < OWN_ROWS_MIN || shared.of_one <= shared.of_several {
            continue;
        }
        let SharedRows { table, columns, to, of_one, of_several, .. } = shared;
        draft.refuse(
            to.clone(),
            format!(
                "{of_one} of its rows are named by one person each through {table}.{}, \
                 {of_several} by several: they look like people's own, and a reference table \
                 is copied to every site",
                columns.join(", ")
            ),
            format!(
                "set [tables.{to}] kind = \"shared\" to copy each row to wherever somebody who \
                 refers to it lives, or kind = \"reference\" if they are nobody's personal data"
            ),
        );
    }
    Ok(())
}

/// Shared rows are named by their keys, and travel for those who refer to them.
pub(super) fn check(catalog: &Catalog, closure: &Closure, draft: &mut Draft) {
    for shared in &closure.shared {
        let Some(table) = catalog.table(&shared.table.name) else { continue };
        let name = table.name.to_string();
        for obstacle in &table.obstacles {
            draft.refuse(name.clone(), obstacle.clone(), "change it before the move");
        }
        if shared.referrers.is_empty() {
            draft.refuse(
                name.clone(),
                "it is declared shared, but no foreign key of people's rows refers to it",
                "add the foreign key, or declare it reference or internal",
            );
        }
        if table.primary_key.is_empty() {
            draft.refuse(
                name.clone(),
                "it has no primary key, so that a shared row cannot be named",
                "give it one",
            );
        }
        for column in table.primary_key.iter().filter_map(|column| table.column(column)) {
            if column.generated || is_float(column) {
                draft.refuse(
                    name.clone(),
                    format!("key column {} is generated or of a type that rounds", column.name),
                    "use a stored key of an exact type",
                );
            }
        }
        for column in finding_columns(catalog, closure, shared) {
            draft.refuse(
                name.clone(),
                format!(
                    "{}.{} has the type {}, whose own idea of equal values is not known here",
                    column.0, column.1.name, column.1.type_name
                ),
                "let shared rows be found by integer, text, uuid, numeric or date columns",
            );
        }
    }
}

/// At PostgreSQL a row may come before the shared row it refers to, where its foreign key is checked
/// at the commit. Two writers meet over such a row by its key, so the reference must name the key.
pub(super) fn check_early_references(catalog: &Catalog, closure: &Closure, draft: &mut Draft) {
    for shared in &closure.shared {
        for referrer in shared.referrers.iter().filter(|r| r.parent_columns != shared.table.key) {
            let Some(child) = catalog.table(&closure.owned[referrer.owned].name) else { continue };
            let is_this = |key: &&ForeignKey| {
                key.parent == shared.table.name && key.columns == referrer.columns
            };
            if child.foreign_keys.iter().find(is_this).is_some_and(|key| key.deferrable) {
                draft.refuse(
                    shared.table.name.to_string(),
                    format!(
                        "{}.{} refers to other columns than its key, by a deferrable foreign key",
                        child.name,
                        referrer.columns.join(", ")
                    ),
                    "make the foreign key NOT DEFERRABLE, or let it refer to the primary key",
                );
            }
        }
    }
}

/// The columns of user-made types by which shared rows are found, each with its table.
fn finding_columns<'c>(
    catalog: &'c Catalog,
    closure: &Closure,
    shared: &SharedTable,
) -> Vec<(&'c TableName, &'c Column)> {
    let key = shared.table.key.iter().map(|column| (&shared.table.name, column));
    let edges = shared.referrers.iter().flat_map(|referrer| {
        let child = &closure.owned[referrer.owned].name;
        let parents = referrer.parent_columns.iter().map(|column| (&shared.table.name, column));
        parents.chain(referrer.columns.iter().map(move |column| (child, column)))
    });
    let mut found: Vec<(&TableName, &Column)> = key
        .chain(edges)
        .filter_map(|(name, column)| {
            let table = catalog.table(name)?;
            Some((&table.name, table.column(column)?))
        })
        .filter(|(_, column)| column.user_type)
        .collect();
    found.sort_by_key(|(table, column)| (*table, &column.name));
    found.dedup();
    found
}
