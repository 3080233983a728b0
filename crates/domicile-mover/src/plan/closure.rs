//! Which tables hang from the root, and by which edge.

use super::{Draft, TableKind, Wishes};
use crate::error::{Error, Result};
use domicile_store::catalog::{Shape, Table};
use domicile_store::closure::{
    Check, Closure, OwnedTable, ParentEdge, ReferenceTable, Referrer, SharedTable,
};
use domicile_store::{Catalog, ForeignKey, TableName};
use std::collections::BTreeMap;

/// Owned tables in the order they were found, parents first, with the edge of each.
pub(super) type Found = Vec<(TableName, Option<ParentEdge>)>;

/// Follows foreign keys and declared owners from the root, level by level, so that of several
/// ways to the root the shortest is the owner's.
pub(super) fn find(catalog: &Catalog, wishes: &Wishes, draft: &mut Draft) -> Result<Found> {
    let Some(root) = catalog.find(&wishes.subjects) else {
        return Err(Error::refused("the subject table is missing", "set [subjects] table"));
    };
    if root.primary_key.is_empty() {
        return Err(Error::refused(
            format!("the subject table {} has no primary key", root.name),
            "give it one: a person must be named by a key that never means somebody else",
        ));
    }
    for column in wishes.residence.names() {
        if root.column(&column).is_none() {
            return Err(Error::refused(
                format!("the subject table {} has no column {column}", root.name),
                "correct [subjects] residence",
            ));
        }
    }
    let mut found: Found = vec![(root.name.clone(), None)];
    let mut level_start = 0;
    loop {
        let level = level_start..found.len();
        let mut next = Vec::new();
        for table in &catalog.tables {
            let taken = found.iter().any(|(name, _)| name == &table.name);
            if taken
                || matches!(table.shape, Shape::PartitionOf { .. })
                || !may_be_owned(table, wishes)
            {
                continue;
            }
            if let Some(edge) = edge_to_level(table, root, wishes, &found, &level, draft) {
                next.push((table.name.clone(), Some(edge)));
            }
        }
        if next.is_empty() {
            return Ok(found);
        }
        level_start = found.len();
        found.extend(next);
    }
}

fn may_be_owned(table: &Table, wishes: &Wishes) -> bool {
    !matches!(
        kind_of(table, wishes),
        Some(TableKind::Reference | TableKind::Internal | TableKind::Shared)
    )
}

fn kind_of(table: &Table, wishes: &Wishes) -> Option<TableKind> {
    wishes.rule(&table.name).and_then(|rule| rule.kind)
}

/// The edge by which a table hangs from one of a level's tables, if it does.
fn edge_to_level(
    table: &Table,
    root: &Table,
    wishes: &Wishes,
    found: &Found,
    level: &std::ops::Range<usize>,
    draft: &mut Draft,
) -> Option<ParentEdge> {
    let rule = wishes.rule(&table.name);
    let place = |key: &ForeignKey| found.iter().position(|(name, _)| name == &key.parent);
    let edge = |key: &ForeignKey, parent: usize| ParentEdge {
        table: parent,
        columns: key.columns.clone(),
        parent_columns: key.parent_columns.clone(),
        declared: true,
    };
    if let Some(owner) = rule.map(|rule| &rule.owner).filter(|owner| !owner.is_empty()) {
        let key = table.foreign_keys.iter().find(|key| &key.columns == owner);
        return match key {
            Some(key) => place(key).filter(|at| level.contains(at)).map(|at| edge(key, at)),
            // Without a foreign key the columns hold the subject's own key.
            None if level.contains(&0) && owner.len() == root.primary_key.len() => {
                Some(ParentEdge {
                    table: 0,
                    columns: owner.clone(),
                    parent_columns: root.primary_key.clone(),
                    declared: false,
                })
            }
            None => None,
        };
    }
    let ways: Vec<(&ForeignKey, usize)> = table
        .foreign_keys
        .iter()
        .filter(|key| !rule.is_some_and(|rule| rule.soft.contains(&key.columns)))
        .filter_map(|key| place(key).filter(|at| level.contains(at)).map(|at| (key, at)))
        .collect();
    if ways.len() > 1 {
        let columns: Vec<String> = ways.iter().map(|(key, _)| key.columns.join(", ")).collect();
        draft.refuse(
            table.name.to_string(),
            format!("{} lead to a person equally well", columns.join(" and ")),
            format!(
                "say which owns the row: [tables.{}] owner = {}; the plan's edges say what each \
                 rule would do",
                table.name,
                super::edges::columns(&ways[0].0.columns)
            ),
        );
    }
    ways.first().map(|(key, at)| edge(key, *at))
}

/// The closure, with reference tables and the foreign keys to recheck.
pub(super) fn complete(
    catalog: &Catalog,
    found: &Found,
    kinds: &BTreeMap<TableName, TableKind>,
    wishes: &Wishes,
    draft: &mut Draft,
) -> Closure {
    let mut owned = Vec::new();
    let mut checks = Vec::new();
    for (at, (name, parent)) in found.iter().enumerate() {
        let Some(table) = catalog.table(name) else { continue };
        owned.push(owned_table(table, parent.clone()));
        checks.extend(table.foreign_keys.iter().map(|key| Check {
            child: name.clone(),
            columns: key.columns.clone(),
            parent: key.parent.clone(),
            parent_columns: key.parent_columns.clone(),
            owned: at,
        }));
    }
    let reference = in_order(catalog, kinds, draft);
    let is_shared = |table: &&Table| kinds.get(&table.name) == Some(&TableKind::Shared);
    let shared =
        catalog.tables.iter().filter(is_shared).map(|table| shared_table(table, &checks)).collect();
    Closure { owned, shared, reference, checks, residence: wishes.residence.names() }
}

fn owned_table(table: &Table, parent: Option<ParentEdge>) -> OwnedTable {
    let copied: Vec<_> = table.columns.iter().filter(|column| !column.generated).collect();
    OwnedTable {
        name: table.name.clone(),
        columns: copied.iter().map(|column| column.name.clone()).collect(),
        user_types: copied.iter().map(|column| column.user_type).collect(),
        types: copied.iter().map(|column| column.type_name.clone()).collect(),
        generated: table
            .columns
            .iter()
            .filter(|column| column.generated)
            .map(|column| column.name.clone())
            .collect(),
        key: table.primary_key.clone(),
        parent,
    }
}

/// A shared table with everything that refers to it.
fn shared_table(table: &Table, checks: &[Check]) -> SharedTable {
    let referrers = checks.iter().filter(|check| check.parent == table.name);
    let referrers = referrers.map(|check| Referrer {
        owned: check.owned,
        columns: check.columns.clone(),
        parent_columns: check.parent_columns.clone(),
    });
    SharedTable { table: owned_table(table, None), referrers: referrers.collect() }
}

/// Reference tables, those referred to before those that refer.
fn in_order(
    catalog: &Catalog,
    kinds: &BTreeMap<TableName, TableKind>,
    draft: &mut Draft,
) -> Vec<ReferenceTable> {
    let mut left: Vec<&Table> = catalog
        .tables
        .iter()
        .filter(|table| kinds.get(&table.name) == Some(&TableKind::Reference))
        .collect();
    let mut ordered = Vec::new();
    while !left.is_empty() {
        let names: Vec<TableName> = left.iter().map(|table| table.name.clone()).collect();
        let waits = |table: &Table| {
            table.foreign_keys.iter().any(|k| k.parent != table.name && names.contains(&k.parent))
        };
        let (later, now): (Vec<&Table>, Vec<&Table>) = left.into_iter().partition(|t| waits(t));
        if now.is_empty() {
            for table in &later {
                draft.refuse(
                    table.name.to_string(),
                    "reference tables refer to each other in a circle",
                    "load them at every site yourself, or declare one internal",
                );
            }
            return ordered;
        }
        for table in now {
            let copied: Vec<_> = table.columns.iter().filter(|column| !column.generated).collect();
            ordered.push(ReferenceTable {
                name: table.name.clone(),
                columns: copied.iter().map(|column| column.name.clone()).collect(),
                user_types: copied.iter().map(|column| column.user_type).collect(),
                types: copied.iter().map(|column| column.type_name.clone()).collect(),
                key: table.primary_key.clone(),
            });
        }
        left = later;
    }
    ordered
}
