//! Reference tables: written at one site, noted there, and made equal at every other.

use crate::closure::{Closure, ReferenceTable};
use crate::error::{Error, Kind, Result};
use crate::site::{Engine, Reference, ReferenceChanges, ReferenceNote};
use crate::sql::{equal, ident, idents, literal};
use crate::sqlite::catalog::{Affinity, list};
use crate::sqlite::connection::{Db, Doing, reading, writing};
use crate::sqlite::fence::{Fence, Fenced};
use crate::sqlite::install::{OUR_PREFIX, affinities_of};
use crate::sqlite::load::Loader;
use crate::sqlite::rows::{Cell, Reader, Writer};
use crate::sqlite::{copy, crossing, digest, install, notes};
use async_trait::async_trait;
use bytes::Bytes;
use domicile_model::SiteName;
use rusqlite::{Connection, params_from_iter};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// The triggers that note every change, at the writing site.
pub(super) fn noting(table: &ReferenceTable, fenced: &Fenced) -> Vec<Fence> {
    let (old, new) = (notes::written("OLD", &table.key), notes::written("NEW", &table.key));
    let name = literal(&table.name.name);
    let note =
        |key: &str| format!("INSERT INTO domicile_changed (tbl, key) VALUES ({name}, {key})");
    let renamed = format!(
        "INSERT INTO domicile_changed (tbl, key) SELECT {name}, {new} WHERE {new} IS NOT {old}"
    );
    // REPLACE deletes the row in the way without firing a delete trigger.
    let replaced = |other: &str| -> Vec<String> {
        let rows = fenced.uniques.iter().map(|unique| {
            format!(
                "INSERT INTO domicile_changed (tbl, key) SELECT {name}, {} FROM {} AS x \
                 WHERE {} AND {other}",
                notes::written("x", &table.key),
                table.name.sql(),
                fenced.stands(unique)
            )
        });
        rows.collect()
    };
    let other = format!("{} IS NOT {old}", notes::written("x", &table.key));
    let mut made = vec![
        trigger(table, "insert", "AFTER INSERT", &[note(&new)]),
        trigger(table, "update", "AFTER UPDATE", &[note(&old), renamed]),
        trigger(table, "delete", "AFTER DELETE", &[note(&old)]),
    ];
    if !fenced.uniques.is_empty() {
        made.push(trigger(table, "replace", "BEFORE INSERT", &replaced("1")));
        made.push(trigger(table, "replace_by_update", "BEFORE UPDATE", &replaced(&other)));
    }
    made
}

/// The triggers that refuse every change, at any other site.
pub(super) fn refusing(table: &ReferenceTable, writing: &SiteName) -> Vec<Fence> {
    let text = format!(
        "DM005 written at {writing} only: {} is the same at every site, and domicile carries it here",
        table.name
    );
    let body = [format!("SELECT RAISE(ABORT, {})", literal(&text))];
    ["INSERT", "UPDATE", "DELETE"]
        .iter()
        .map(|event| trigger(table, &event.to_ascii_lowercase(), &format!("BEFORE {event}"), &body))
        .collect()
}

fn trigger(table: &ReferenceTable, kind: &str, event: &str, body: &[String]) -> Fence {
    let name = format!("{OUR_PREFIX}reference_{}_{kind}", table.name.name);
    let sql = format!(
        "CREATE TRIGGER {} {event} ON {} FOR EACH ROW BEGIN {}; END",
        ident(&name),
        ident(&table.name.name),
        body.join("; ")
    );
    Fence { name, sql }
}

/// The reference tables of one SQLite site.
pub(super) struct SqliteReference {
    db: Db,
    tables: Arc<Tables>,
}

struct Tables {
    closure: Arc<Closure>,
    affinities: Vec<Vec<Affinity>>,
    /// In whose form rows, keys and digests are told.
    form: Engine,
}

impl SqliteReference {
    /// Opens it, with a connection of its own.
    pub(super) async fn open(
        path: &Path,
        closure: Arc<Closure>,
        form: Engine,
    ) -> Result<SqliteReference> {
        let db = Db::open(path).await?;
        let read = move |connection: &Connection| {
            let tables = closure.reference.iter().map(|t| (&t.name, t.key.as_slice()));
            let affinities = affinities_of(connection, tables)?;
            Ok(Tables { closure, affinities, form })
        };
        let tables = Arc::new(db.run(read).await?);
        Ok(SqliteReference { db, tables })
    }
}

impl Tables {
    fn table(&self, at: usize) -> Result<(&ReferenceTable, &[Affinity])> {
        match (self.closure.reference.get(at), self.affinities.get(at)) {
            (Some(table), Some(affinities)) => Ok((table, affinities)),
            _ => Err(Error::new(Kind::Never, format!("there is no reference table number {at}"))),
        }
    }

    fn notes(&self, connection: &Connection, after: i64, limit: u32) -> Result<Vec<ReferenceNote>> {
        let sql = "SELECT seq, tbl, key FROM domicile_changed WHERE seq > ?1 ORDER BY seq LIMIT ?2";
        let lines = list(connection, sql, [after, i64::from(limit)], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?))
        })?;
        let note = |(seq, name, written): (i64, String, String)| {
            let table = self.closure.reference.iter().position(|t| t.name.name == name);
            let columns = table.and_then(|at| self.affinities.get(at));
            // A key that cannot be told is that of a row that cannot be named; verify finds it.
            let key = columns.and_then(|columns| notes::told(&written, columns));
            ReferenceNote {
                seq,
                table: table.filter(|_| key.is_some()),
                key: key.unwrap_or_default(),
            }
        };
        Ok(lines.into_iter().map(note).collect())
    }

    /// A key in the form of this site; `None` for one that names no row at the other end.
    fn told(&self, at: usize, key: Vec<String>) -> Option<Vec<String>> {
        if self.form == Engine::Sqlite {
            return Some(key);
        }
        let (table, affinities) = self.table(at).ok()?;
        copy::key(&copy::Told::reference(table), &key, affinities).ok()
    }

    fn in_form(&self, mut note: ReferenceNote) -> ReferenceNote {
        let key = note.table.and_then(|at| self.told(at, std::mem::take(&mut note.key)));
        ReferenceNote {
            seq: note.seq,
            table: note.table.filter(|_| key.is_some()),
            key: key.unwrap_or_default(),
        }
    }

    fn rows(&self, connection: &Connection, at: usize, notes: &[ReferenceNote]) -> Result<Bytes> {
        let (table, affinities) = self.table(at)?;
        let keys: BTreeSet<&Vec<String>> = keys_of(at, notes).map(|note| &note.key).collect();
        if self.form == Engine::Postgres {
            let doing = "reading changed reference rows";
            let told = copy::Told::reference(table);
            let mut writer = copy::Writer::new(&told)?;
            let mut statement = connection.prepare_cached(&by_key(table)).doing(doing)?;
            for key in keys {
                let values = notes::values(key, affinities)?;
                let mut lines = statement.query(params_from_iter(values)).doing(doing)?;
                while let Some(line) = lines.next().doing(doing)? {
                    writer.row(line)?;
                }
            }
            return Ok(writer.end());
        }
        let mut writer = Writer::new(table.columns.len())?;
        for key in keys {
            for row in self.stand(connection, at, key)? {
                writer.row();
                for cell in &row {
                    writer.value(cell.as_value())?;
                }
            }
        }
        Ok(writer.end())
    }

    /// The row under a key, if there is one.
    fn stand(&self, connection: &Connection, at: usize, key: &[String]) -> Result<Vec<Vec<Cell>>> {
        let (table, affinities) = self.table(at)?;
        let doing = "reading changed reference rows";
        let mut statement = connection.prepare_cached(&by_key(table)).doing(doing)?;
        let values = notes::values(key, affinities)?;
        let mut lines = statement.query(params_from_iter(values)).doing(doing)?;
        let mut found = Vec::new();
        while let Some(line) = lines.next().doing(doing)? {
            let cells =
                (0..table.columns.len()).map(|at| Ok(Cell::of(line.get_ref(at).doing(doing)?)));
            found.push(cells.collect::<Result<Vec<Cell>>>()?);
        }
        Ok(found)
    }

    /// Whether rows of people refer to the row under a key.
    fn is_referred(&self, connection: &Connection, at: usize, key: &[String]) -> Result<bool> {
        let (table, affinities) = self.table(at)?;
        for check in self.closure.checks.iter().filter(|check| check.parent == table.name) {
            let sql = format!(
                "SELECT EXISTS (SELECT 1 FROM {} AS \"t\" JOIN {} AS \"c\" ON {} WHERE {})",
                table.name.sql(),
                check.child.sql(),
                equal("\"c\"", &check.columns, "\"t\"", &check.parent_columns),
                keyed("\"t\".", table)
            );
            let doing = "looking who refers to a reference row";
            let values = notes::values(key, affinities)?;
            let mut statement = connection.prepare_cached(&sql).doing(doing)?;
            if statement.query_row(params_from_iter(values), |row| row.get(0)).doing(doing)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Nobody else writes meanwhile and no foreign key acts here, so rows are simply replaced.
    fn put(
        &self,
        connection: &Connection,
        at: usize,
        rows: &Bytes,
        notes: &[ReferenceNote],
    ) -> Result<Vec<ReferenceNote>> {
        let (table, affinities) = self.table(at)?;
        let doing = "applying changed reference rows";
        let mut referred = Vec::new();
        let delete = format!("DELETE FROM {} WHERE {}", table.name.sql(), keyed("", table));
        let mut delete = connection.prepare_cached(&delete).doing(doing)?;
        for note in keys_of(at, notes) {
            if self.is_referred(connection, at, &note.key)? {
                referred.push((note, self.stand(connection, at, &note.key)?));
            }
            let values = notes::values(&note.key, affinities)?;
            delete.execute(params_from_iter(values)).doing(doing)?;
        }
        let mut loader = Loader::new(connection, &table.name, &table.columns)?;
        let mut reader = Reader::new(table.columns.len());
        reader.feed(rows);
        while let Some(row) = reader.row()? {
            loader.insert(&row)?;
        }
        reader.finish()?;
        let mut kept = Vec::new();
        for (note, stood) in referred {
            if self.stand(connection, at, &note.key)?.is_empty() {
                stood.iter().try_for_each(|row| loader.insert(row))?;
                kept.push(note.clone());
            }
        }
        Ok(kept)
    }
}

/// The row under the key given as parameters.
fn by_key(table: &ReferenceTable) -> String {
    let (columns, name) = (idents("", &table.columns), table.name.sql());
    format!("SELECT {columns} FROM {name} WHERE {}", keyed("", table))
}

fn keys_of(at: usize, notes: &[ReferenceNote]) -> impl Iterator<Item = &ReferenceNote> {
    notes.iter().filter(move |note| note.table == Some(at))
}

/// The condition that a row has the key given as parameters; `prefix` is `t.` or nothing.
fn keyed(prefix: &str, table: &ReferenceTable) -> String {
    let parts: Vec<String> = table
        .key
        .iter()
        .enumerate()
        .map(|(at, column)| format!("{prefix}{} = ?{}", ident(column), at + 1))
        .collect();
    parts.join(" AND ")
}

#[async_trait]
impl Reference for SqliteReference {
    async fn changes(&mut self, after: i64, limit: u32) -> Result<ReferenceChanges> {
        let tables = Arc::clone(&self.tables);
        let read = move |connection: &Connection| {
            reading(connection, "reading changed reference rows", || {
                if !install::has_journal(connection)? {
                    return Ok(ReferenceChanges::default());
                }
                let notes = tables.notes(connection, after, limit)?;
                let noted: BTreeSet<usize> = notes.iter().filter_map(|note| note.table).collect();
                let mut rows = Vec::new();
                for at in noted {
                    rows.push((at, tables.rows(connection, at, &notes)?));
                }
                let notes = notes.into_iter().map(|note| tables.in_form(note)).collect();
                Ok(ReferenceChanges { notes, rows })
            })
        };
        self.db.run(read).await
    }

    async fn forget(&mut self, seqs: &[i64]) -> Result<()> {
        let (seqs, doing) = (seqs.to_vec(), "forgetting notes of reference rows");
        let delete = move |connection: &Connection| {
            writing(connection, doing, || {
                let sql = "DELETE FROM domicile_changed WHERE seq = ?1";
                let mut statement = connection.prepare_cached(sql).doing(doing)?;
                seqs.iter().try_for_each(|seq| statement.execute([seq]).doing(doing).map(drop))
            })
        };
        self.db.run(delete).await
    }

    async fn apply(&mut self, changes: &ReferenceChanges) -> Result<Vec<ReferenceNote>> {
        if self.tables.form != Engine::Sqlite {
            return Err(crossing::refuse("reference rows do not arrive"));
        }
        let (tables, changes) = (Arc::clone(&self.tables), changes.clone());
        let put = move |connection: &Connection| {
            writing(connection, "applying changed reference rows", || {
                let mut kept = Vec::new();
                for (at, rows) in &changes.rows {
                    kept.extend(tables.put(connection, *at, rows, &changes.notes)?);
                }
                Ok(kept)
            })
        };
        self.db.run(put).await
    }

    async fn digests(&mut self, table: usize) -> Result<BTreeMap<Vec<String>, [u8; 32]>> {
        let tables = Arc::clone(&self.tables);
        let read = move |connection: &Connection| {
            let at = table;
            let (table, affinities) = tables.table(at)?;
            let sql = format!(
                "SELECT {}, {} FROM {} AS \"t\"",
                notes::written("\"t\"", &table.key),
                digest::of_row(tables.form, "\"t\"", &table.columns, &table.types, &[]),
                table.name.sql()
            );
            let lines = list(connection, &sql, [], |row| {
                Ok((row.get::<_, Option<String>>(0)?, row.get::<_, [u8; 32]>(1)?))
            })?;
            let told = |written: Option<String>| {
                let written = written.unwrap_or_default();
                let key = notes::told(&written, affinities);
                key.and_then(|key| tables.told(at, key)).unwrap_or_else(|| vec![written])
            };
            Ok(lines.into_iter().map(|(key, digest)| (told(key), digest)).collect())
        };
        self.db.run(read).await
    }
}
