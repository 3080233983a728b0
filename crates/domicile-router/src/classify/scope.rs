//! Names of a query: which table or column a word means, seen from inside out.

use super::Operand;
use crate::schema::Place;

/// One mention of a table in a statement.
pub(super) type RangeId = usize;

/// A value that equals another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Term {
    Operand(Operand),
    Column(RangeId, String),
}

/// What stands behind a name in `FROM`.
#[derive(Clone, Debug)]
pub(super) enum Behind {
    /// A table whose columns are known.
    Range(RangeId, Place),
    /// A query; of each column what it equals, where that is known.
    Derived(Vec<(String, Option<Term>)>),
    /// Something whose columns are not known: a bare name may mean one of them.
    Unknown,
}

/// A name in `FROM`.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) behind: Behind,
    /// Columns that `USING` has joined to another name's: their bare names mean that one.
    pub(super) hidden: Vec<String>,
}

/// A name that `WITH` gives to a query.
#[derive(Clone, Debug)]
pub(super) struct Common {
    pub(super) name: String,
    pub(super) behind: Behind,
    pub(super) is_used: bool,
}

impl Common {
    pub(super) fn new(name: String, behind: Behind) -> Self {
        Common { name, behind, is_used: false }
    }
}

/// The names of one query, and those of the queries around it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope<'a> {
    pub(super) names: &'a [Named],
    pub(super) outer: Option<&'a Scope<'a>>,
}

impl Scope<'_> {
    /// What stands behind a name.
    pub(super) fn behind(&self, name: &str) -> Option<&Behind> {
        let found = self.names.iter().find(|named| named.name == name);
        found.map(|named| &named.behind).or_else(|| self.outer?.behind(name))
    }

    /// What a column means; `None` where it cannot be told.
    pub(super) fn column(
        &self,
        columns_of: &dyn Fn(Place) -> Vec<String>,
        qualifier: Option<&str>,
        column: &str,
    ) -> Option<Term> {
        let mut found = None;
        for named in self.names {
            if qualifier.is_some_and(|qualifier| qualifier != named.name) {
                continue;
            }
            if qualifier.is_none() && named.hidden.iter().any(|hidden| hidden == column) {
                continue;
            }
            let term = match &named.behind {
                Behind::Range(range, place) if columns_of(*place).iter().any(|c| c == column) => {
                    Some(Term::Column(*range, column.to_owned()))
                }
                Behind::Range(..) if qualifier.is_none() => continue,
                Behind::Range(..) => None,
                Behind::Derived(columns) => match columns.iter().find(|(name, _)| name == column) {
                    Some((_, term)) => term.clone(),
                    None if qualifier.is_none() => continue,
                    None => None,
                },
                Behind::Unknown => None,
            };
            if found.is_some() {
                // PostgreSQL calls it ambiguous, or an unknown source may have it too.
                return None;
            }
            found = Some(term);
        }
        match (found, self.outer) {
            (Some(term), _) => term,
            (None, Some(outer)) => outer.column(columns_of, qualifier, column),
            (None, None) => None,
        }
    }
}
