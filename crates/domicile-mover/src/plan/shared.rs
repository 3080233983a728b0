//! Rows that belong to nobody and that people's rows refer to: how many people share each.

use super::{Draft, TableKind, Wishes};
use crate::error::Result;
use domicile_store::closure::Check;
use domicile_store::{Closure, Sharing, Site, TableName};
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
