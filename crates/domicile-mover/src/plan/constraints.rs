//! Unique constraints and triggers of owned tables: what becomes of them.

use super::{Draft, Wishes};
use domicile_store::{Catalog, Closure, Table};
use serde::Serialize;

/// A unique constraint that stops being global once people live at several sites.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlannedUnique {
    /// The table.
    pub table: String,
    /// The constraint's or index's name.
    pub name: String,
    /// Its definition, as the engine prints it.
    pub definition: String,
    /// Whether the user accepts that it holds at each site only.
    pub accepted: bool,
}

/// A trigger of the user's at an owned table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlannedTrigger {
    /// The table.
    pub table: String,
    /// Its name.
    pub name: String,
    /// Whether it fires for rows that move.
    pub fires: bool,
    /// What the move does about it, one sentence.
    pub does: String,
}

fn owned<'a>(catalog: &'a Catalog, closure: &'a Closure) -> impl Iterator<Item = &'a Table> {
    closure.owned.iter().filter_map(|owned| catalog.table(&owned.name))
}

/// Every unique constraint of an owned or shared table, and the refusal of those that are not accepted; none
/// where there is one site only.
pub(super) fn uniques(
    catalog: &Catalog,
    closure: &Closure,
    wishes: &Wishes,
    sites: usize,
    draft: &mut Draft,
) -> Vec<PlannedUnique> {
    let mut found = Vec::new();
    let tables = closure.tables().filter_map(|table| catalog.table(&table.name));
    for table in tables.filter(|_| sites > 1) {
        let rule = wishes.rule(&table.name);
        for unique in &table.uniques {
            let accepted = rule.is_some_and(|rule| rule.unique_per_site.contains(&unique.name));
            if !accepted {
                draft.refuse(
                    table.name.to_string(),
                    format!(
                        "{} would be unique at each site only, once people live at several",
                        unique.name
                    ),
                    format!(
                        "accept that: [tables.{}] unique_per_site = [\"{}\"]",
                        table.name, unique.name
                    ),
                );
            }
            found.push(PlannedUnique {
                table: table.name.to_string(),
                name: unique.name.clone(),
                definition: unique.definition.clone(),
                accepted,
            });
        }
    }
    found
}

/// Every trigger of an owned table.
pub(super) fn triggers(
    catalog: &Catalog,
    closure: &Closure,
    draft: &mut Draft,
) -> Vec<PlannedTrigger> {
    let mut found = Vec::new();
    for table in owned(catalog, closure) {
        for name in &table.triggers {
            let fires = table.triggers_always.contains(name);
            let does = if fires {
                "it is ENABLE ALWAYS or REPLICA, so it fires for rows that come and go; make it an \
                 ordinary trigger while people move, unless that is what you want"
            } else {
                "it does not fire for rows that move; what it would have written moves as rows, or \
                 stays where it is"
            };
            draft.warnings.push(format!("trigger {name} of {}: {does}", table.name));
            found.push(PlannedTrigger {
                table: table.name.to_string(),
                name: name.clone(),
                fires,
                does: does.to_owned(),
            });
        }
    }
    found
}
