//! Making reference rows equal at a site where they are not written.
//!
//! Nobody else writes meanwhile and no foreign key acts here, so rows are simply deleted and
//! inserted. What cannot be made here is left out, and what stood under its key stands.

use super::{Tables, keyed, keys_of, triggers};
use crate::catalog::TableName;
use crate::closure::ReferenceTable;
use crate::error::{Kind, Result};
use crate::site::{Applied, ReferenceChanges, ReferenceNote};
use crate::sql::ident;
use crate::sqlite::connection::Doing;
use crate::sqlite::keys::{self, references};
use crate::sqlite::load::Loader;
use crate::sqlite::notes;
use crate::sqlite::rows::{Cell, Reader};
use bytes::Bytes;
use rusqlite::{Connection, params_from_iter};
use std::collections::BTreeMap;

type Row = Vec<Cell>;

const DOING: &str = "applying changed reference rows";

/// A foreign key between a table and rows of a reference table.
struct Key {
    child: TableName,
    columns: Vec<String>,
    parent: TableName,
    parent_columns: Vec<String>,
}

/// Every foreign key that this database declares, and those that the plan knows.
fn declared(connection: &Connection, tables: &Tables) -> Result<Vec<Key>> {
    let known = references(connection)?.into_iter().map(|keys::Reference { child, key }| Key {
        child,
        columns: key.columns,
        parent: key.parent,
        parent_columns: key.parent_columns,
    });
    let planned = tables.closure.checks.iter().map(|check| Key {
        child: check.child.clone(),
        columns: check.columns.clone(),
        parent: check.parent.clone(),
        parent_columns: check.parent_columns.clone(),
    });
    Ok(known.chain(planned).collect())
}

pub(super) fn apply(
    connection: &Connection,
    tables: &Tables,
    changes: &ReferenceChanges,
) -> Result<Applied> {
    let keys = declared(connection, tables)?;
    let mut staged = Vec::new();
    for (at, rows) in &changes.rows {
        staged.push(Staged::read(connection, tables, &keys, *at, rows)?);
    }
    let mut applied = Applied::default();
    // What went makes room for what came under another key.
    for table in staged.iter().rev() {
        applied.kept.extend(table.remove(&changes.notes)?);
    }
    for table in &staged {
        applied.refused.extend(table.put(&changes.notes)?);
    }
    Ok(applied)
}

/// Those of the notes whose rows stand here and are referred to.
pub(super) fn held(
    connection: &Connection,
    tables: &Tables,
    notes: &[ReferenceNote],
) -> Result<Vec<ReferenceNote>> {
    let keys = declared(connection, tables)?;
    let mut held = Vec::new();
    for note in notes {
        let Some(at) = note.table else { continue };
        let staged = Staged::new(connection, tables, &keys, at)?;
        for row in tables.stand(connection, at, &note.key)? {
            if staged.is_referred(&row)? {
                held.push(note.clone());
            }
        }
    }
    Ok(held)
}

/// Puts those of these rows in place that are missing and that rows here refer to. A row that
/// comes may need another one in its turn.
pub(super) fn bring(
    connection: &Connection,
    tables: &Tables,
    kept: &ReferenceChanges,
) -> Result<u64> {
    let keys = declared(connection, tables)?;
    let mut staged = Vec::new();
    for (at, rows) in &kept.rows {
        staged.push(Staged::read(connection, tables, &keys, *at, rows)?);
    }
    let mut brought = 0;
    loop {
        let before = brought;
        for table in staged.iter().rev() {
            for (key, row) in &table.rows {
                let stands = !tables.stand(connection, table.at, key)?.is_empty();
                if !stands && table.is_referred(row)? {
                    table.insert(row)?;
                    table.note(row)?;
                    brought += 1;
                }
            }
        }
        if brought == before {
            return Ok(brought);
        }
    }
}

/// The changed rows of one table, and the table.
struct Staged<'a> {
    connection: &'a Connection,
    tables: &'a Tables,
    keys: &'a [Key],
    at: usize,
    table: &'a ReferenceTable,
    /// By key, as notes tell it.
    rows: BTreeMap<Vec<String>, Row>,
}

impl<'a> Staged<'a> {
    fn new(
        connection: &'a Connection,
        tables: &'a Tables,
        keys: &'a [Key],
        at: usize,
    ) -> Result<Staged<'a>> {
        let (table, _) = tables.table(at)?;
        Ok(Staged { connection, tables, keys, at, table, rows: BTreeMap::new() })
    }

    fn read(
        connection: &'a Connection,
        tables: &'a Tables,
        keys: &'a [Key],
        at: usize,
        rows: &Bytes,
    ) -> Result<Staged<'a>> {
        let mut staged = Staged::new(connection, tables, keys, at)?;
        let mut reader = Reader::new(staged.table.columns.len());
        reader.feed(rows);
        while let Some(row) = reader.row()? {
            staged.rows.insert(staged.key_of(&row)?, row);
        }
        reader.finish()?;
        Ok(staged)
    }

    /// A row's key, as a note would tell it.
    fn key_of(&self, row: &Row) -> Result<Vec<String>> {
        let (_, affinities) = self.tables.table(self.at)?;
        let written = self.written(row)?;
        Ok(notes::told(&written, affinities).unwrap_or_else(|| vec![written]))
    }

    /// A row's key, as a trigger writes it down.
    fn written(&self, row: &Row) -> Result<String> {
        let places: Vec<String> = (1..=self.table.key.len()).map(|at| format!("?{at}")).collect();
        let columns = self.table.key.iter().zip(&places);
        let columns: Vec<String> =
            columns.map(|(column, place)| format!("{place} AS {}", ident(column))).collect();
        let sql = format!(
            "SELECT {} FROM (SELECT {}) AS \"t\"",
            notes::written("\"t\"", &self.table.key),
            columns.join(", ")
        );
        let mut statement = self.connection.prepare_cached(&sql).doing(DOING)?;
        let key = self.cells(row, &self.table.key).unwrap_or_default();
        statement.query_row(params_from_iter(key), |row| row.get(0)).doing(DOING)
    }

    /// A row's values in these columns; `None` where one of them is not copied.
    fn cells<'r>(&self, row: &'r Row, columns: &[String]) -> Option<Vec<&'r Cell>> {
        let place = |column: &String| self.table.columns.iter().position(|c| c == column);
        columns.iter().map(|column| row.get(place(column)?)).collect()
    }

    /// Whether a row with these values stands in a table.
    fn exists(&self, table: &TableName, columns: &[String], values: &[&Cell]) -> Result<bool> {
        let conditions: Vec<String> = columns
            .iter()
            .enumerate()
            .map(|(at, column)| format!("{} = ?{}", ident(column), at + 1))
            .collect();
        let sql = format!(
            "SELECT EXISTS (SELECT 1 FROM {} WHERE {})",
            table.sql(),
            conditions.join(" AND ")
        );
        let mut statement = self.connection.prepare_cached(&sql).doing(DOING)?;
        statement.query_row(params_from_iter(values), |row| row.get(0)).doing(DOING)
    }

    /// Whether any row here refers to this one, which may stand here or not.
    fn is_referred(&self, row: &Row) -> Result<bool> {
        for key in self.keys.iter().filter(|key| key.parent == self.table.name) {
            let Some(values) = self.cells(row, &key.parent_columns) else { return Ok(true) };
            if self.exists(&key.child, &key.columns, &values)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether every row is here that this one refers to.
    fn has_parents(&self, row: &Row) -> Result<bool> {
        for key in self.keys.iter().filter(|key| key.child == self.table.name) {
            let values = self.cells(row, &key.columns).unwrap_or_default();
            let is_null = values.iter().any(|value| **value == Cell::Null);
            if !is_null && !self.exists(&key.parent, &key.parent_columns, &values)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn insert(&self, row: &Row) -> Result<()> {
        Loader::new(self.connection, &self.table.name, &self.table.columns)?.insert(row)
    }

    fn delete(&self, key: &[String]) -> Result<()> {
        let (table, affinities) = self.tables.table(self.at)?;
        let sql = format!("DELETE FROM {} WHERE {}", table.name.sql(), keyed("", table));
        let values = notes::values(key, affinities)?;
        let mut statement = self.connection.prepare_cached(&sql).doing(DOING)?;
        statement.execute(params_from_iter(values)).doing(DOING).map(drop)
    }

    /// Notes a row as the application's own insertion would be, where the table is written.
    fn note(&self, row: &Row) -> Result<()> {
        if !triggers::is_noting(self.connection, self.table)? {
            return Ok(());
        }
        let sql = "INSERT INTO domicile_changed (tbl, key) VALUES (?1, ?2)";
        let written = self.written(row)?;
        let done = self.connection.execute(sql, (&self.table.name.name, written));
        done.doing(DOING).map(drop)
    }

    /// Deletes the rows that went and that nobody here refers to; returns the notes of the others.
    /// Rows of one table that refer to each other go together or not at all.
    fn remove(&self, notes: &[ReferenceNote]) -> Result<Vec<ReferenceNote>> {
        let mut taken: Vec<(&ReferenceNote, Row)> = Vec::new();
        for note in keys_of(self.at, notes).filter(|note| !self.rows.contains_key(&note.key)) {
            let stood = self.tables.stand(self.connection, self.at, &note.key)?;
            taken.extend(stood.into_iter().map(|row| (note, row)));
            self.delete(&note.key)?;
        }
        let mut kept = Vec::new();
        loop {
            let mut free = Vec::new();
            let before = kept.len();
            for (note, row) in taken {
                if self.is_referred(&row)? {
                    self.insert(&row)?;
                    kept.push(note.clone());
                } else {
                    free.push((note, row));
                }
            }
            if kept.len() == before {
                return Ok(kept);
            }
            taken = free;
        }
    }

    /// Puts the changed rows in place; returns the notes of those that cannot be. Each time one
    /// cannot, all is begun again without it.
    fn put(&self, notes: &[ReferenceNote]) -> Result<Vec<ReferenceNote>> {
        let mut out: BTreeMap<&Vec<String>, String> = BTreeMap::new();
        loop {
            self.run("SAVEPOINT domicile_put")?;
            let failed = self.put_without(&out)?;
            if failed.is_empty() {
                self.run("RELEASE domicile_put")?;
                break;
            }
            self.run("ROLLBACK TO domicile_put; RELEASE domicile_put")?;
            out.extend(failed);
        }
        let refused = keys_of(self.at, notes).filter_map(|note| {
            let reason = out.get(&note.key)?.clone();
            Some(ReferenceNote { refused: Some(reason), ..note.clone() })
        });
        Ok(refused.collect())
    }

    fn put_without(
        &self,
        out: &BTreeMap<&'a Vec<String>, String>,
    ) -> Result<Vec<(&Vec<String>, String)>> {
        let rows: Vec<(&Vec<String>, &Row)> =
            self.rows.iter().filter(|(key, _)| !out.contains_key(key)).collect();
        for (key, _) in &rows {
            self.delete(key)?;
        }
        let mut failed = Vec::new();
        for (key, row) in &rows {
            match self.insert(row) {
                Err(error) if error.kind() == Kind::Operator => {
                    failed.push((*key, error.to_string()));
                }
                other => other?,
            }
        }
        for (key, row) in &rows {
            if failed.is_empty() && !self.has_parents(row)? {
                failed.push((*key, "a row it refers to is missing".to_owned()));
            }
        }
        Ok(failed)
    }

    fn run(&self, sql: &str) -> Result<()> {
        self.connection.execute_batch(sql).doing(DOING)
    }
}
