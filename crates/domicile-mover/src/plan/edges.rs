//! Edges between owned rows that are not the owner's own.

use super::{Draft, Edge, Wishes};
use crate::error::Result;
use domicile_store::catalog::Table;
use domicile_store::{Catalog, Closure, ForeignKey, Site};

/// Lists every such edge with the rule that holds for it, and refuses those without one.
pub(super) async fn check(
    site: &dyn Site,
    catalog: &Catalog,
    wishes: &Wishes,
    closure: &Closure,
    draft: &mut Draft,
) -> Result<()> {
    for (at, owned) in closure.owned.iter().enumerate() {
        let Some(table) = catalog.table(&owned.name) else { continue };
        let owners = owned.parent.as_ref().map(|edge| &edge.columns);
        for key in &table.foreign_keys {
            let parent = closure.owned.iter().position(|table| table.name == key.parent);
            let Some(parent) = parent else { continue };
            let is_owners_own = owners == Some(&key.columns)
                && owned.parent.as_ref().is_some_and(|edge| edge.table == parent);
            if is_owners_own {
                continue;
            }
            let crossing =
                site.count_crossing(closure, at, &key.columns, parent, &key.parent_columns).await?;
            judge_declared(table, key, crossing, wishes, draft);
        }
        list_soft(table, wishes, draft);
    }
    Ok(())
}

/// A declared foreign key between two owned rows. It holds after a move only while both belong to
/// one person: the other person's row would be erased under it, or missing at the new home.
fn judge_declared(
    table: &Table,
    key: &ForeignKey,
    crossing: u64,
    wishes: &Wishes,
    draft: &mut Draft,
) {
    let is_soft = wishes.rule(&table.name).is_some_and(|rule| rule.soft.contains(&key.columns));
    let columns = key.columns.join(", ");
    let rule = if crossing == 0 && !is_soft {
        "same person: both ends move together, and a row that crosses later stops its owner's move"
    } else {
        draft.refuse(
            table.name.to_string(),
            format!(
                "{columns} refers to rows of {} that belong to others ({crossing} rows now)",
                key.parent
            ),
            format!(
                "drop the foreign key at every site (ALTER TABLE {} DROP CONSTRAINT {}) and set \
                 [tables.{}] soft = [\"{columns}\"]; the value is kept",
                table.name, key.name, table.name
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
    });
}

fn list_soft(table: &Table, wishes: &Wishes, draft: &mut Draft) {
    let Some(rule) = wishes.rule(&table.name) else { return };
    for columns in &rule.soft {
        if table.foreign_keys.iter().any(|key| &key.columns == columns) {
            continue;
        }
        draft.edges.push(Edge {
            table: table.name.to_string(),
            columns: columns.clone(),
            to: String::new(),
            declared: false,
            crossing: 0,
            rule: "soft reference: the value is kept, whoever it names".to_owned(),
        });
    }
}
