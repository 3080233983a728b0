//! Reference tables: written at one site, noted there, and made equal at every other.

mod apply;
mod triggers;

use crate::closure::{Closure, ReferenceTable};
use crate::error::{Error, Kind, Result};
use crate::site::{
    Applied, Engine, REFUSED_NAMED_MAX, Reference, ReferenceChanges, ReferenceNote, Standing,
};
use crate::sql::{ident, idents};
use crate::sqlite::catalog::{Affinity, list};
use crate::sqlite::connection::{Db, Doing, reading, writing};
use crate::sqlite::install::affinities_of;
use crate::sqlite::rows::{Cell, Writer};
use crate::sqlite::{copy, crossing, digest, install, notes};
use async_trait::async_trait;
use bytes::Bytes;
use rusqlite::{Connection, params_from_iter};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

pub(super) use triggers::{noting, refusing};

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
        let read = move |connection: &Connection| Tables::of(connection, closure, form);
        let tables = Arc::new(db.run(read).await?);
        Ok(SqliteReference { db, tables })
    }
}

/// Puts those of these rows in place that are missing and that rows here refer to, in the open
/// transaction.
pub(super) fn bring(
    connection: &Connection,
    closure: Arc<Closure>,
    kept: &ReferenceChanges,
) -> Result<u64> {
    apply::bring(connection, &Tables::of(connection, closure, Engine::Sqlite)?, kept)
}

impl Tables {
    fn of(connection: &Connection, closure: Arc<Closure>, form: Engine) -> Result<Tables> {
        let tables = closure.reference.iter().map(|t| (&t.name, t.key.as_slice()));
        let affinities = affinities_of(connection, tables)?;
        Ok(Tables { closure, affinities, form })
    }

    fn table(&self, at: usize) -> Result<(&ReferenceTable, &[Affinity])> {
        match (self.closure.reference.get(at), self.affinities.get(at)) {
            (Some(table), Some(affinities)) => Ok((table, affinities)),
            _ => Err(Error::new(Kind::Never, format!("there is no reference table number {at}"))),
        }
    }

    fn notes(&self, connection: &Connection, after: i64, limit: u32) -> Result<Vec<ReferenceNote>> {
        self.told_notes(connection, "1", [after, i64::from(limit)])
    }

    /// The notes above a number, at most so many, of which a condition is true.
    fn told_notes(
        &self,
        connection: &Connection,
        condition: &str,
        parameters: [i64; 2],
    ) -> Result<Vec<ReferenceNote>> {
        // An earlier version may have prepared the site.
        let refused = if install::tells_refusals(connection)? { "refused" } else { "NULL" };
        let sql = format!(
            "SELECT seq, tbl, key, refused FROM (SELECT seq, tbl, key, {refused} AS refused \
             FROM domicile_changed) WHERE {condition} AND seq > ?1 ORDER BY seq LIMIT ?2"
        );
        type Line = (i64, String, String, Option<String>);
        let lines: Vec<Line> = list(connection, &sql, parameters, |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })?;
        let note = |(seq, name, written, refused): Line| {
            let table = self.closure.reference.iter().position(|t| t.name.name == name);
            let columns = table.and_then(|at| self.affinities.get(at));
            // A key that cannot be told is that of a row that cannot be named; verify finds it.
            let key = columns.and_then(|columns| notes::told(&written, columns));
            ReferenceNote {
                seq,
                table: table.filter(|_| key.is_some()),
                key: key.unwrap_or_default(),
                refused,
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
            refused: note.refused,
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

    async fn standing(&mut self) -> Result<Standing> {
        let tables = Arc::clone(&self.tables);
        let read = move |connection: &Connection| {
            reading(connection, "counting notes of reference rows", || {
                if !install::has_journal(connection)? {
                    return Ok(Standing::default());
                }
                let count = list(connection, "SELECT count(*) FROM domicile_changed", [], |row| {
                    row.get::<_, i64>(0)
                })?;
                let named = [0, i64::from(REFUSED_NAMED_MAX)];
                let refused = tables.told_notes(connection, "refused IS NOT NULL", named)?;
                Ok(Standing {
                    notes: count.first().map_or(0, |count| count.unsigned_abs()),
                    refused: refused.into_iter().map(|note| tables.in_form(note)).collect(),
                })
            })
        };
        self.db.run(read).await
    }

    async fn mark_refused(&mut self, notes: &[ReferenceNote]) -> Result<()> {
        let (notes, doing) = (notes.to_vec(), "marking notes of reference rows");
        let mark = move |connection: &Connection| {
            writing(connection, doing, || {
                let sql = "UPDATE domicile_changed SET refused = ?2 WHERE seq = ?1";
                let mut statement = connection.prepare_cached(sql).doing(doing)?;
                notes.iter().try_for_each(|note| {
                    statement.execute((note.seq, &note.refused)).doing(doing).map(drop)
                })
            })
        };
        self.db.run(mark).await
    }

    async fn apply(&mut self, changes: &ReferenceChanges) -> Result<Applied> {
        if self.tables.form != Engine::Sqlite {
            return Err(crossing::refuse("reference rows do not arrive"));
        }
        let (tables, changes) = (Arc::clone(&self.tables), changes.clone());
        let put = move |connection: &Connection| {
            writing(connection, "applying changed reference rows", || {
                apply::apply(connection, &tables, &changes)
            })
        };
        self.db.run(put).await
    }

    async fn held(&mut self, notes: &[ReferenceNote]) -> Result<Vec<ReferenceNote>> {
        let (tables, notes) = (Arc::clone(&self.tables), notes.to_vec());
        let look = move |connection: &Connection| {
            if tables.form != Engine::Sqlite {
                return Ok(Vec::new());
            }
            reading(connection, "looking who refers to reference rows", || {
                apply::held(connection, &tables, &notes)
            })
        };
        self.db.run(look).await
    }

    /// People who leave for another engine live where reference tables are written, if there are
    /// any: no row of theirs is kept that the writing site has not.
    async fn stand(&mut self, notes: &[ReferenceNote]) -> Result<ReferenceChanges> {
        let (tables, notes) = (Arc::clone(&self.tables), notes.to_vec());
        let read = move |connection: &Connection| {
            if tables.form != Engine::Sqlite {
                return Ok(ReferenceChanges::default());
            }
            reading(connection, "reading kept reference rows", || {
                let noted: BTreeSet<usize> = notes.iter().filter_map(|note| note.table).collect();
                let rows = noted.into_iter();
                let rows = rows.map(|at| Ok((at, tables.rows(connection, at, &notes)?)));
                let rows = rows.collect::<Result<Vec<_>>>()?;
                Ok(ReferenceChanges { notes, rows })
            })
        };
        self.db.run(read).await
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
