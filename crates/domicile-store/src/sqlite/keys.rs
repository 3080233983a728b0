//! Foreign keys and indexes, as SQLite's catalog has them.

use crate::catalog::{ForeignKey, TableName};
use crate::error::Result;
use crate::sql::ident;
use crate::sqlite::catalog::{list, table_names};
use rusqlite::Connection;

/// The foreign keys of a table, with the names as the catalog has them.
pub(super) fn foreign_keys(
    connection: &Connection,
    table: &str,
    names: &[(String, String)],
) -> Result<Vec<ForeignKey>> {
    let sql = "SELECT id, \"from\", \"table\", \"to\", on_delete, on_update FROM pragma_foreign_key_list(?1)
               ORDER BY id DESC, seq";
    type Line = (i64, String, String, Option<String>, String, String);
    let lines: Vec<Line> = list(connection, sql, [table], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?))
    })?;
    let mut keys: Vec<(i64, ForeignKey)> = Vec::new();
    for (id, from, parent, to, on_delete, on_update) in lines {
        if keys.last().is_none_or(|(last, _)| *last != id) {
            // SQLite takes names without regard to case; the catalog has each as it was created.
            let known = names.iter().find(|(name, _)| name.eq_ignore_ascii_case(&parent));
            let parent = known.map_or(parent, |(name, _)| name.clone());
            let key = ForeignKey {
                name: String::new(),
                columns: Vec::new(),
                parent: TableName { schema: None, name: parent },
                parent_columns: Vec::new(),
                // The mover's connections enforce no foreign keys, so each check can wait.
                deferrable: true,
                on_delete,
                on_update,
            };
            keys.push((id, key));
        }
        if let Some((_, key)) = keys.last_mut() {
            key.columns.push(from);
            key.parent_columns.extend(to);
        }
    }
    for (_, key) in &mut keys {
        finish_foreign_key(connection, table, key)?;
    }
    Ok(keys.into_iter().map(|(_, key)| key).collect())
}

/// Completes what SQLite leaves out: a key without parent columns means the parent's primary key.
fn finish_foreign_key(connection: &Connection, table: &str, key: &mut ForeignKey) -> Result<()> {
    let columns_of = |table: &str, condition: &str, order: &str| {
        let sql =
            format!("SELECT name FROM pragma_table_xinfo(?1) WHERE {condition} ORDER BY {order}");
        list(connection, &sql, [table], |row| row.get::<_, String>(0))
    };
    if key.parent_columns.is_empty() {
        key.parent_columns = columns_of(&key.parent.name, "pk > 0", "pk")?;
    }
    let theirs = columns_of(&key.parent.name, "hidden <> 1", "cid")?;
    as_declared(&mut key.parent_columns, &theirs);
    as_declared(&mut key.columns, &columns_of(table, "hidden <> 1", "cid")?);
    key.name = format!("{table}({}) -> {}", key.columns.join(", "), key.parent);
    Ok(())
}

fn as_declared(columns: &mut [String], declared: &[String]) {
    for column in columns {
        if let Some(name) = declared.iter().find(|name| name.eq_ignore_ascii_case(column)) {
            name.clone_into(column);
        }
    }
}

/// A declared foreign key and the table that has it.
pub(super) struct Reference {
    /// The referring table.
    pub(super) child: TableName,
    /// The key.
    pub(super) key: ForeignKey,
}

/// Every declared foreign key of the database.
pub(super) fn references(connection: &Connection) -> Result<Vec<Reference>> {
    let names = table_names(connection)?;
    let mut found = Vec::new();
    for (name, _) in names.iter().filter(|(_, kind)| kind == "table") {
        let child = TableName { schema: None, name: name.clone() };
        let keys = foreign_keys(connection, name, &names)?;
        found.extend(keys.into_iter().map(|key| Reference { child: child.clone(), key }));
    }
    Ok(found)
}

/// An index as the catalog has it.
pub(super) struct Index {
    pub(super) name: String,
    pub(super) unique: bool,
    /// `c`: CREATE INDEX, `u`: UNIQUE, `pk`: PRIMARY KEY.
    pub(super) origin: String,
    /// Whether it leaves rows out.
    pub(super) partial: bool,
    pub(super) sql: Option<String>,
    /// The columns (`None`: an expression) with their collations.
    pub(super) columns: Vec<(Option<String>, String)>,
}

impl Index {
    /// Its columns and collations, as UNIQUE would take them.
    pub(super) fn terms(&self) -> String {
        let terms: Vec<String> = self
            .columns
            .iter()
            .map(|(name, collation)| {
                let name = ident(name.as_deref().unwrap_or_default());
                match collation.as_str() {
                    "BINARY" => name,
                    other => format!("{name} COLLATE {}", ident(other)),
                }
            })
            .collect();
        terms.join(", ")
    }
}

/// A table's indexes.
pub(super) fn indexes(connection: &Connection, table: &str) -> Result<Vec<Index>> {
    let sql = "SELECT l.name, l.\"unique\", l.origin, l.partial,
                 (SELECT sql FROM sqlite_schema WHERE type = 'index' AND name = l.name)
               FROM pragma_index_list(?1) AS l ORDER BY l.name COLLATE BINARY";
    let mut found = list(connection, sql, [table], |row| {
        let (name, unique) = (row.get(0)?, row.get(1)?);
        let (origin, partial, sql) = (row.get(2)?, row.get(3)?, row.get(4)?);
        Ok(Index { name, unique, origin, partial, sql, columns: Vec::new() })
    })?;
    for index in &mut found {
        let sql = "SELECT name, coll FROM pragma_index_xinfo(?1) WHERE key = 1 ORDER BY seqno";
        index.columns = list(connection, sql, [&index.name], |row| Ok((row.get(0)?, row.get(1)?)))?;
    }
    Ok(found)
}
