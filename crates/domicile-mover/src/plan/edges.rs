//! Edges between owned rows that are not the owner's own.

use super::soft_keys::CrossingKey;
use super::{Choice, Draft, Edge, Wishes};
use crate::error::Result;
use domicile_store::catalog::Table;
use domicile_store::{Catalog, Closure, ForeignKey, OwnedTable, Site};

/// Lists every such edge with the rule that holds for it, and refuses those without one. Keys that
/// wait to be dropped are not in the catalog any more.
pub(super) async fn check(
    site: &dyn Site,
    catalog: &Catalog,
    wishes: &Wishes,
    closure: &Closure,
    waiting: &[CrossingKey],
    draft: &mut Draft,
) -> Result<()> {
    for (at, owned) in closure.owned.iter().enumerate() {
        let Some(table) = catalog.table(&owned.name) else { continue };
        let mut others = 0;
        for key in &table.foreign_keys {
            let parent = closure.owned.iter().position(|table| table.name == key.parent);
            let Some(parent) = parent.filter(|parent| !is_owners_own(owned, key, *parent)) else {
                continue;
            };
            let crossing =
                site.count_crossing(closure, at, &key.columns, parent, &key.parent_columns).await?;
            judge_declared(table, owned, key, crossing, draft);
            others += 1;
        }
        for key in waiting.iter().filter(|key| owned.name.is_called(&key.table)) {
            let crossing = count_waiting(site, closure, at, key).await?;
            list_waiting(key, crossing, draft);
            others += 1;
        }
        if others > 0 {
            list_owners_own(table, owned, closure, draft);
        }
        list_soft(table, waiting, wishes, draft);
    }
    Ok(())
}

fn is_owners_own(owned: &OwnedTable, key: &ForeignKey, parent: usize) -> bool {
    owned.parent.as_ref().is_some_and(|edge| edge.columns == key.columns && edge.table == parent)
}

/// Where there are several ways to a person, the one that was taken is told as well.
fn list_owners_own(table: &Table, owned: &OwnedTable, closure: &Closure, draft: &mut Draft) {
    let Some(edge) = &owned.parent else { return };
    draft.edges.push(Edge {
        table: table.name.to_string(),
        columns: edge.columns.clone(),
        to: closure.owned[edge.table].name.to_string(),
        declared: edge.declared,
        crossing: 0,
        rule: "owner: the row goes with this person".to_owned(),
        choices: Vec::new(),
    });
}

/// Rows whose other end is somebody else's; where the other end is nobody's, all that name one.
async fn count_waiting(
    site: &dyn Site,
    closure: &Closure,
    at: usize,
    key: &CrossingKey,
) -> Result<u64> {
    let parent = closure.owned.iter().position(|table| table.name.is_called(&key.to));
    Ok(match parent {
        Some(parent) => {
            site.count_crossing(closure, at, &key.columns, parent, &key.to_columns).await?
        }
        None => site.count_sharing(closure, at, &key.columns).await?.referring,
    })
}

fn list_waiting(key: &CrossingKey, crossing: u64, draft: &mut Draft) {
    draft.edges.push(Edge {
        table: key.table.clone(),
        columns: key.columns.clone(),
        to: key.to.clone(),
        declared: true,
        crossing,
        rule: "soft: its foreign key is to be dropped by prepare --drop-crossing-keys".to_owned(),
        choices: Vec::new(),
    });
}

/// A declared foreign key between two owned rows. It holds after a move only while both belong to
/// one person: the other person's row would be erased under it, or missing at the new home.
fn judge_declared(
    table: &Table,
    owned: &OwnedTable,
    key: &ForeignKey,
    crossing: u64,
    draft: &mut Draft,
) {
    let columns = key.columns.join(", ");
    let rule = if crossing == 0 {
        "same person: both ends move together, and a row that crosses later stops its owner's move"
    } else {
        draft.refuse(
            table.name.to_string(),
            format!(
                "{columns} refers to rows of {} that belong to others ({crossing} rows now)",
                key.parent
            ),
            format!(
                "set [tables.{}] soft = {} and run domicile prepare --drop-crossing-keys; the \
                 value is kept",
                table.name,
                soft(&key.columns)
            ),
        );
        "refused: a declared foreign key would dangle"
    };
    draft.edges.push(Edge {
        table: table.name.to_string(),
        columns: key.columns.clone(),
        to: key.parent.to_string(),
        declared: true,
        crossing,
        rule: rule.to_owned(),
        choices: choices(table, owned, key, crossing),
    });
}

/// What each rule would do with such an edge.
fn choices(table: &Table, owned: &OwnedTable, key: &ForeignKey, crossing: u64) -> Vec<Choice> {
    let (name, parent) = (&table.name, &key.parent);
    let kept = Choice {
        set: format!("[tables.{name}] soft = {}", soft(&key.columns)),
        does: format!(
            "the row stays with its owner and keeps the value; prepare --drop-crossing-keys drops \
             the key, and {crossing} rows may name a row of {parent} at another site"
        ),
    };
    let is_own = key.parent == *name;
    let Some(edge) = owned.parent.as_ref().filter(|_| !is_own) else { return vec![kept] };
    let turned = Choice {
        set: format!(
            "[tables.{name}] owner = {}, soft = {}",
            columns(&key.columns),
            soft(&edge.columns)
        ),
        does: format!(
            "the row goes with the person behind {}, and {} becomes the value that is kept; the \
             same {crossing} rows cross the other way",
            key.columns.join(", "),
            edge.columns.join(", ")
        ),
    };
    vec![kept, turned]
}

/// A column or columns as the configuration has them.
pub(super) fn columns(names: &[String]) -> String {
    match names {
        [only] => format!("{only:?}"),
        several => format!("{several:?}"),
    }
}

fn soft(names: &[String]) -> String {
    format!("[{}]", columns(names))
}

fn list_soft(table: &Table, waiting: &[CrossingKey], wishes: &Wishes, draft: &mut Draft) {
    let Some(rule) = wishes.rule(&table.name) else { return };
    let is_listed = |columns: &Vec<String>| {
        waiting.iter().any(|key| table.name.is_called(&key.table) && &key.columns == columns)
    };
    for columns in rule.soft.iter().filter(|columns| !is_listed(columns)) {
        draft.edges.push(Edge {
            table: table.name.to_string(),
            columns: columns.clone(),
            to: String::new(),
            declared: false,
            crossing: 0,
            rule: "soft reference: the value is kept, whoever it names".to_owned(),
            choices: Vec::new(),
        });
    }
}
