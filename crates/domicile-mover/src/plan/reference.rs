//! What about reference tables cannot be carried safely, seen from the tables that refer to them.

use super::{Draft, TableKind};
use domicile_store::{Catalog, Closure, ForeignKey, TableName};
use std::collections::BTreeMap;

/// What a key may do when the row it refers to goes or changes.
const HARMLESS: [&str; 2] = ["NO ACTION", "RESTRICT"];

/// SQLite has one row for 'A' and 'a' in a key with a collation; its notes would name two.
pub(super) fn check_keys(catalog: &Catalog, closure: &Closure, draft: &mut Draft) {
    for reference in &closure.reference {
        let Some(table) = catalog.table(&reference.name) else { continue };
        for column in reference.key.iter().filter_map(|column| table.column(column)) {
            if let Some(collation) = &column.collation
                && table.name.schema.is_none()
            {
                draft.refuse(
                    table.name.to_string(),
                    format!(
                        "key column {} compares by {collation}, so that equal keys can be written \
                         differently",
                        column.name
                    ),
                    "use a key that compares by its bytes, and a unique index for the rest",
                );
            }
        }
    }
}

/// A reference row is deleted at the site where it is written, and what a foreign key does about it
/// happens there alone: at other sites people's rows would not follow, and the row stay for them.
pub(super) fn check_actions(
    catalog: &Catalog,
    kinds: &BTreeMap<TableName, TableKind>,
    draft: &mut Draft,
) {
    for table in &catalog.tables {
        if kinds.get(&table.name) != Some(&TableKind::Owned) {
            continue;
        }
        for key in &table.foreign_keys {
            let found = actions(key);
            if found.is_empty() || kinds.get(&key.parent) != Some(&TableKind::Reference) {
                continue;
            }
            let name = table.name.to_string();
            if draft
                .refused
                .iter()
                .any(|refusal| refusal.what == name && refusal.why.contains(&key.name))
            {
                continue;
            }
            draft.refuse(
                name,
                format!(
                    "its key {} ({} → {}) is {}, which would change people's rows at one site only",
                    key.name,
                    key.columns.join(", "),
                    key.parent,
                    found.join(" ")
                ),
                format!(
                    "make it NO ACTION or RESTRICT at every site, and let the application change \
                     the rows of {} at each site before it deletes or renames one of {}",
                    table.name, key.parent
                ),
            );
        }
    }
}

fn actions(key: &ForeignKey) -> Vec<String> {
    let does = |what: &str| !HARMLESS.iter().any(|harmless| harmless.eq_ignore_ascii_case(what));
    let both = [("ON DELETE", &key.on_delete), ("ON UPDATE", &key.on_update)];
    let found = both.iter().filter(|(_, what)| does(what));
    found.map(|(when, what)| format!("{when} {}", what.to_ascii_uppercase())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domicile_store::catalog::{Column, Table};
    use domicile_store::closure::ReferenceTable;

    fn key(on_delete: &str, on_update: &str) -> ForeignKey {
        let name = |name: &str| TableName { schema: None, name: name.to_owned() };
        ForeignKey {
            name: "users_badge_id_fkey".to_owned(),
            columns: vec!["badge_id".to_owned()],
            parent: name("badges"),
            parent_columns: vec!["id".to_owned()],
            deferrable: false,
            on_delete: on_delete.to_owned(),
            on_update: on_update.to_owned(),
        }
    }

    fn kinds_with(collation: Option<&str>, schema: Option<&str>) -> (Catalog, Closure) {
        let name = TableName { schema: schema.map(str::to_owned), name: "kinds".to_owned() };
        let column = Column {
            not_null: true,
            collation: collation.map(str::to_owned),
            exact_text: collation.is_none(),
            ..Column::named("code", "text")
        };
        let key = vec![column.name.clone()];
        let reference = ReferenceTable {
            name: name.clone(),
            columns: key.clone(),
            user_types: vec![false],
            types: vec!["text".to_owned()],
            key: key.clone(),
        };
        let table = Table { columns: vec![column], primary_key: key, ..Table::named(name) };
        let catalog = Catalog { tables: vec![table], ..Catalog::default() };
        let (owned, checks, residence) = (Vec::new(), Vec::new(), Vec::new());
        (
            catalog,
            Closure { owned, shared: Vec::new(), reference: vec![reference], checks, residence },
        )
    }

    #[test]
    fn a_key_with_a_collation_is_refused_at_sqlite() {
        let refused = |collation, schema| {
            let (catalog, closure) = kinds_with(collation, schema);
            let mut draft = Draft::default();
            check_keys(&catalog, &closure, &mut draft);
            draft.refused
        };
        assert_eq!(refused(None, None), []);
        assert_eq!(refused(Some("case_insensitive"), Some("public")), [], "carried there");
        let found = refused(Some("NOCASE"), None);
        assert_eq!(found.len(), 1);
        assert!(found.iter().all(|refusal| refusal.why.contains("NOCASE")), "{found:?}");
    }

    #[test]
    fn only_what_changes_rows_is_an_action() {
        assert_eq!(actions(&key("NO ACTION", "RESTRICT")), Vec::<String>::new());
        assert_eq!(actions(&key("SET NULL", "NO ACTION")), ["ON DELETE SET NULL"]);
        assert_eq!(
            actions(&key("cascade", "SET DEFAULT")),
            ["ON DELETE CASCADE", "ON UPDATE SET DEFAULT"]
        );
    }
}
