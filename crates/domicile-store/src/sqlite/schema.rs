//! The statements that make tables, and running them.

use crate::catalog::TableName;
use crate::error::{Error, Kind, Result};
use crate::sqlite::catalog::list;
use crate::sqlite::connection::{Doing, reading, writing};
use rusqlite::{Connection, OptionalExtension};

/// The CREATE statements of these tables, in the order given, then those of their indexes. SQLite
/// does not look at a foreign key's parent when a table is created, so any order works; parents
/// come first all the same, for the reader. The user's triggers are left out: at the target they
/// would act a second time on what arrives.
pub(super) fn script(connection: &Connection, tables: &[TableName]) -> Result<Vec<String>> {
    let doing = "reading the schema";
    reading(connection, doing, || {
        let mut script = Vec::new();
        let mut waiting: Vec<&TableName> = tables.iter().collect();
        while !waiting.is_empty() {
            let ready: Vec<&TableName> = waiting
                .iter()
                .copied()
                .filter(|table| !refers_to(connection, table, &waiting).unwrap_or(false))
                .collect();
            // A cycle has no first; SQLite does not mind.
            let next = if ready.is_empty() { waiting.clone() } else { ready };
            for table in &next {
                script.push(definition(connection, table)?);
            }
            waiting.retain(|table| !next.contains(table));
        }
        let sql = "SELECT sql FROM sqlite_schema
                   WHERE type = 'index' AND tbl_name = ?1 AND sql IS NOT NULL
                   ORDER BY name COLLATE BINARY";
        for table in tables {
            script.extend(list(connection, sql, [&table.name], |row| row.get::<_, String>(0))?);
        }
        Ok(script)
    })
}

/// The text that made a table.
pub(super) fn definition(connection: &Connection, table: &TableName) -> Result<String> {
    let sql = "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?1";
    let found: Option<String> = connection
        .query_row(sql, [&table.name], |row| row.get(0))
        .optional()
        .doing("reading the schema")?;
    found.ok_or_else(|| Error::new(Kind::Never, format!("there is no table {table} here")))
}

/// Whether a table refers to another one of these.
fn refers_to(connection: &Connection, table: &TableName, others: &[&TableName]) -> Result<bool> {
    let sql = "SELECT \"table\" FROM pragma_foreign_key_list(?1)";
    let parents = list(connection, sql, [&table.name], |row| row.get::<_, String>(0))?;
    Ok(parents.iter().any(|parent| {
        !parent.eq_ignore_ascii_case(&table.name)
            && others.iter().any(|other| other.name.eq_ignore_ascii_case(parent))
    }))
}

/// Runs a script, all of it or none.
pub(super) fn apply(connection: &Connection, script: &[String]) -> Result<()> {
    let doing = "creating tables";
    writing(connection, doing, || {
        for statement in script {
            connection.execute_batch(statement).map_err(|error| {
                Error::new(Kind::Operator, format!("a statement of the schema failed: {statement}"))
                    .hint("the tables must not stand here yet; nothing was created")
                    .because(error)
            })?;
        }
        Ok(())
    })
}
