//! What each table is, and what about it cannot be moved.

use super::closure::Found;
use super::{Draft, PlannedTable, TableKind, TableRule, Wishes, partitions};
use domicile_store::catalog::{Shape, Table, differences};
use domicile_store::{Catalog, Closure, Column, Site, TableName};
use std::collections::BTreeMap;
use std::sync::Arc;

impl Wishes {
    /// What the user says of a table.
    pub(super) fn rule(&self, table: &TableName) -> Option<&TableRule> {
        self.tables.iter().find(|(written, _)| table.is_called(written)).map(|(_, rule)| rule)
    }
}

/// Rules must name tables and columns that exist.
pub(super) fn check_rules(catalog: &Catalog, wishes: &Wishes, draft: &mut Draft) {
    for (written, rule) in &wishes.tables {
        let Some(table) = catalog.find(written) else {
            let near = catalog
                .tables
                .iter()
                .map(|table| table.name.to_string())
                .min_by_key(|name| domicile_model::nearness(name, written));
            let hint = near.map_or_else(String::new, |name| format!("the nearest name is {name}"));
            draft.refuse(written.clone(), "there is no such table", hint);
            continue;
        };
        if rule.soft.contains(&rule.owner) {
            let columns = rule.owner.join(", ");
            draft.refuse(
                written.clone(),
                format!("{columns} is said to name the owner and to be soft"),
                "take it out of one of the two",
            );
        }
        let named = rule.owner.iter().chain(rule.soft.iter().flatten());
        for column in named.chain(rule.categories.keys()) {
            if table.column(column).is_none() {
                let columns: Vec<&str> = table.columns.iter().map(|c| c.name.as_str()).collect();
                draft.refuse(
                    written.clone(),
                    format!("there is no column {column}"),
                    format!("its columns are {}", columns.join(", ")),
                );
            }
        }
    }
}

/// The kind of every table that stands for itself.
pub(super) fn kinds(
    catalog: &Catalog,
    wishes: &Wishes,
    found: &Found,
    draft: &mut Draft,
) -> BTreeMap<TableName, TableKind> {
    let mut kinds: BTreeMap<TableName, TableKind> =
        found.iter().map(|(name, _)| (name.clone(), TableKind::Owned)).collect();
    for table in &catalog.tables {
        if kinds.contains_key(&table.name) || matches!(table.shape, Shape::PartitionOf { .. }) {
            continue;
        }
        let declared = wishes.rule(&table.name).and_then(|rule| rule.kind);
        let kind = match declared {
            Some(TableKind::Owned) => {
                draft.refuse(
                    table.name.to_string(),
                    "it is declared owned, but nothing leads from it to a person",
                    format!("say which column does: [tables.{}] owner = \"…\"", table.name),
                );
                continue;
            }
            Some(kind) => kind,
            None if is_only_pointed_at(catalog, table) => TableKind::Reference,
            None => {
                draft.refuse(
                    table.name.to_string(),
                    "nothing says whose rows these are",
                    format!(
                        "set [tables.{0}] kind = \"reference\" or \"internal\", or owner = \"…\"",
                        table.name
                    ),
                );
                continue;
            }
        };
        kinds.insert(table.name.clone(), kind);
    }
    check_edges_between_kinds(catalog, &kinds, draft);
    kinds
}

/// Whether other tables refer to a table that itself refers to none but such tables: a list of
/// values.
pub(crate) fn is_only_pointed_at(catalog: &Catalog, table: &Table) -> bool {
    let is_pointed_at = |table: &Table| {
        let keys = catalog.tables.iter().flat_map(|other| &other.foreign_keys);
        keys.map(|key| &key.parent).any(|parent| parent == &table.name)
    };
    // Tables may refer to each other in a circle.
    let mut seen = vec![&table.name];
    let mut waiting = vec![table];
    while let Some(table) = waiting.pop() {
        if !is_pointed_at(table) {
            return false;
        }
        for key in &table.foreign_keys {
            if seen.contains(&&key.parent) {
                continue;
            }
            let Some(parent) = catalog.table(&key.parent) else { return false };
            seen.push(&parent.name);
            waiting.push(parent);
        }
    }
    true
}

/// A foreign key must find its row at every site the referring row can be at.
fn check_edges_between_kinds(
    catalog: &Catalog,
    kinds: &BTreeMap<TableName, TableKind>,
    draft: &mut Draft,
) {
    for table in &catalog.tables {
        let Some(kind) = kinds.get(&table.name) else { continue };
        for key in &table.foreign_keys {
            let columns = key.columns.join(", ");
            let why = match (kind, kinds.get(&key.parent)) {
                (TableKind::Owned | TableKind::Shared, Some(TableKind::Internal)) => {
                    "refers to an internal table, which does not move"
                }
                (TableKind::Shared, Some(TableKind::Owned | TableKind::Shared)) => {
                    "a shared table refers to rows that do not travel with it"
                }
                (TableKind::Reference | TableKind::Internal, Some(TableKind::Shared)) => {
                    "refers to shared rows, which are only where people refer to them"
                }
                (TableKind::Reference, Some(TableKind::Owned | TableKind::Internal)) => {
                    "a reference table refers to rows that are not at every site"
                }
                (TableKind::Internal, Some(TableKind::Owned)) => {
                    "an internal table refers to a person's rows, which would be erased under it"
                }
                _ => continue,
            };
            draft.refuse(
                table.name.to_string(),
                format!("{columns} → {}: {why}", key.parent),
                format!(
                    "declare another kind for one of them, or keep the value without its key: set \
                     [tables.{}] soft = [{}] and run domicile prepare --drop-crossing-keys",
                    table.name,
                    super::edges::columns(&key.columns)
                ),
            );
        }
    }
}

/// What about owned tables cannot be moved safely, and what should be known.
pub(super) fn check_owned(catalog: &Catalog, closure: &Closure, draft: &mut Draft) {
    for (at, owned) in closure.owned.iter().enumerate() {
        let Some(table) = catalog.table(&owned.name) else { continue };
        let name = table.name.to_string();
        for obstacle in &table.obstacles {
            draft.refuse(
                name.clone(),
                obstacle.clone(),
                "change it before the move, or declare it internal",
            );
        }
        if table.shape == Shape::Inheritance {
            draft.refuse(
                name.clone(),
                "it takes part in table inheritance, whose children no foreign key guards",
                "use partitions instead",
            );
        }
        if table.primary_key.is_empty() {
            draft.refuse(
                name.clone(),
                "it has no primary key, so that a changed row cannot be named",
                "give it one",
            );
        }
        check_keys(table, closure, at, draft);
        partitions::check(catalog, table, draft);
    }
}

/// Changed reference rows are named by their keys.
pub(super) fn check_reference(catalog: &Catalog, closure: &Closure, draft: &mut Draft) {
    for reference in &closure.reference {
        let Some(table) = catalog.table(&reference.name) else { continue };
        if reference.key.is_empty() {
            draft.refuse(
                table.name.to_string(),
                "it has no primary key, so that a changed row cannot be carried to other sites",
                "give it one, or declare it internal",
            );
        }
        for column in reference.key.iter().filter_map(|column| table.column(column)) {
            if column.generated || is_float(column) {
                draft.refuse(
                    table.name.to_string(),
                    format!("key column {} is generated or of a type that rounds", column.name),
                    "use a stored key of an exact type",
                );
            }
        }
    }
}

pub(super) fn is_float(column: &Column) -> bool {
    matches!(
        column.type_name.to_ascii_lowercase().as_str(),
        "real" | "double precision" | "double" | "float"
    )
}

fn check_keys(table: &Table, closure: &Closure, at: usize, draft: &mut Draft) {
    let owned = &closure.owned[at];
    let edge: Vec<&String> = owned.parent.iter().flat_map(|edge| edge.columns.iter()).collect();
    for column in owned.key.iter().chain(edge.iter().copied()) {
        let Some(found) = table.column(column) else { continue };
        // A row's own key is read back as its type; one that names a person is compared as text.
        let names_people = at == 0 || edge.contains(&column);
        if is_float(found) || (names_people && !found.exact_text) {
            draft.refuse(
                table.name.to_string(),
                format!(
                    "key column {column} has the type {}, whose equal values can have different texts",
                    found.type_name
                ),
                "use an integer, text or uuid key with a deterministic collation",
            );
        }
        if found.generated && owned.key.contains(column) {
            draft.refuse(
                table.name.to_string(),
                format!("key column {column} is generated"),
                "use a stored key",
            );
        }
    }
}

/// Says where the rows of a batch, or those that refer to a shared row, cannot be looked up.
pub(super) fn check_indexes(
    sites: &[Arc<dyn Site>],
    catalogs: &[Catalog],
    closure: &Closure,
    draft: &mut Draft,
) {
    let mut warn = |name: &TableName, columns: &[String], so: &str| {
        let lacks = |catalog: &Catalog| catalog.table(name).is_some_and(|t| !t.finds_by(columns));
        let at: Vec<&str> = sites
            .iter()
            .zip(catalogs)
            .filter(|(_, catalog)| lacks(catalog))
            .map(|(site, _)| site.name().as_str())
            .collect();
        if !at.is_empty() {
            draft.warnings.push(format!(
                "no index of {name} begins with {} at {}: {so} the whole table",
                columns.join(", "),
                at.join(", ")
            ));
        }
    };
    for owned in &closure.owned {
        if let Some(edge) = &owned.parent {
            warn(&owned.name, &edge.columns, "every batch reads");
        }
    }
    for shared in &closure.shared {
        let so = format!("while people move, every change of a row of {} reads", shared.table.name);
        for referrer in &shared.referrers {
            warn(&closure.owned[referrer.owned].name, &referrer.columns, &so);
        }
    }
}

/// Tables that already stand at other sites must mean the same.
pub(super) fn check_equal(
    sites: &[Arc<dyn Site>],
    catalogs: &[Catalog],
    template: usize,
    closure: &Closure,
    draft: &mut Draft,
) {
    let owned = closure.tables().map(|table| &table.name);
    let names: Vec<&TableName> =
        owned.chain(closure.reference.iter().map(|table| &table.name)).collect();
    for (at, catalog) in catalogs.iter().enumerate() {
        for name in &names {
            let (Some(here), Some(there)) = (catalogs[template].table(name), catalog.table(name))
            else {
                continue;
            };
            let mut found = differences(here, there);
            found.extend(partitions::missing(&catalogs[template], catalog, here, there));
            if at != template && !found.is_empty() {
                draft.refuse(
                    name.to_string(),
                    format!("it differs at site {}: {}", sites[at].name(), found.join("; ")),
                    "make the schemas equal; domicile changes no table that is already there",
                );
            }
        }
    }
}

/// Every table with its kind, as the plan shows it.
pub(super) fn list(
    catalog: &Catalog,
    kinds: &BTreeMap<TableName, TableKind>,
    closure: &Closure,
) -> Vec<PlannedTable> {
    let mut tables: Vec<PlannedTable> = Vec::new();
    for table in &catalog.tables {
        let Some(kind) = kinds.get(&table.name) else { continue };
        let owned = closure.owned.iter().find(|owned| owned.name == table.name);
        let owner = owned.and_then(|owned| owned.parent.as_ref()).map(|edge| edge.columns.clone());
        tables.push(PlannedTable {
            table: table.name.to_string(),
            kind: *kind,
            owner: owner.unwrap_or_default(),
            rows: table.rows,
            bytes: table.bytes,
        });
    }
    tables
}
