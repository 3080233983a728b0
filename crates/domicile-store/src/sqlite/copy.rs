//! Rows in PostgreSQL's form: binary COPY on the way, `record_send` under the digest, keys as
//! texts that are cast.
//!
//! A digest never fails: a value that has no equal at PostgreSQL digests to what no row there
//! can have. The export refuses it by the row's key.

use crate::closure::{OwnedTable, ReferenceTable};
use crate::crossing::{self, PgType, ROW_BYTES_MAX};
use crate::error::{Error, Kind, Result};
use crate::site::{Engine, Extent, Touched};
use crate::sql::{idents, literal};
use crate::sqlite::catalog::Affinity;
use crate::sqlite::connection::Doing;
use crate::sqlite::extent::Selection;
use crate::sqlite::rows;
use crate::sqlite::rows::Cell;
use crate::sqlite::stream::{Outlet, PIECE_BYTES};
use crate::sqlite::{lane, notes, people};
use bytes::Bytes;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// SQL functions: some columns of a row as `record_send` has them, and the digest over all.
const PART: &str = "domicile_record";
const WHOLE: &str = "domicile_record_digest";

/// How many columns one call takes; older builds of SQLite allow 127 arguments.
const COLUMNS_MAX: usize = 100;

/// Stands in a list of types for a generated column, which PostgreSQL compares as text.
const PRINTED: &str = "*";

/// What binary COPY begins with: its signature, no flags, no extension.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const END: [u8; 2] = (-1_i16).to_be_bytes();

/// Gives a connection the functions.
pub(super) fn register(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_DIRECTONLY;
    connection.create_scalar_function(PART, -1, flags, |context| {
        let kinds = context.get_or_create_aux(0, |kinds| {
            Ok::<_, rusqlite::types::FromSqlError>(listed(kinds.as_str()?))
        })?;
        Ok(part(context, &kinds))
    })?;
    connection.create_scalar_function(WHOLE, -1, flags, |context| {
        let mut hash = Sha256::new();
        hash.update(context.get::<i32>(0)?.to_be_bytes());
        for at in 1..context.len() {
            hash.update(context.get_raw(at).as_blob()?);
        }
        Ok(hash.finalize().to_vec())
    })
}

/// A column's type; `None` for one that is compared as it prints.
type Column = Option<PgType>;

fn listed(kinds: &str) -> Vec<Column> {
    kinds.split(';').map(PgType::parse).collect()
}

fn part(context: &Context<'_>, kinds: &[Column]) -> Vec<u8> {
    let mut record = Vec::new();
    for (at, kind) in kinds.iter().enumerate() {
        let value = context.get_raw(at + 1);
        let start = record.len();
        let told = match kind {
            Some(kind) => {
                record.extend(kind.oid().to_be_bytes());
                crossing::encode(*kind, value, &mut record).map_err(drop)
            }
            None => {
                record.extend(PgType::Text.oid().to_be_bytes());
                printed(value, &mut record)
            }
        };
        if told.is_err() {
            // A length that no field has, then the value in SQLite's own form.
            record.truncate(start);
            record.extend((-2_i32).to_be_bytes());
            let _too_long = rows::encode(&mut record, value);
        }
    }
    record
}

/// A generated integer or text, as PostgreSQL prints it.
fn printed(value: ValueRef<'_>, record: &mut Vec<u8>) -> Result<(), ()> {
    let number;
    let value = match value {
        ValueRef::Integer(found) => {
            number = found.to_string();
            ValueRef::Text(number.as_bytes())
        }
        other => other,
    };
    crossing::encode(PgType::Text, value, record).map_err(drop)
}

/// The expression that digests a row as PostgreSQL digests it.
pub(super) fn digest(
    alias: &str,
    columns: &[String],
    types: &[String],
    generated: &[String],
) -> String {
    let names = [columns, generated].concat();
    let mut kinds = types.to_vec();
    kinds.extend(generated.iter().map(|_| PRINTED.to_owned()));
    let parts: Vec<String> = names
        .chunks(COLUMNS_MAX)
        .zip(kinds.chunks(COLUMNS_MAX))
        .map(|(names, kinds)| {
            let kinds = literal(&kinds.join(";"));
            format!("{PART}({kinds}, {})", idents(&format!("{alias}."), names))
        })
        .collect();
    format!("{WHOLE}({}, {})", names.len(), parts.join(", "))
}

/// The columns that travel, and what they become.
pub(super) struct Told {
    table: String,
    columns: Vec<String>,
    types: Vec<String>,
    key: Vec<String>,
}

impl Told {
    /// An owned table's.
    pub(super) fn owned(table: &OwnedTable) -> Told {
        Told {
            table: table.name.to_string(),
            columns: table.columns.clone(),
            types: table.types.clone(),
            key: table.key.clone(),
        }
    }

    /// A reference table's.
    pub(super) fn reference(table: &ReferenceTable) -> Told {
        Told {
            table: table.name.name.clone(),
            columns: table.columns.clone(),
            types: table.types.clone(),
            key: table.key.clone(),
        }
    }

    fn kind_of(&self, column: &str) -> Option<PgType> {
        let at = self.columns.iter().position(|name| name == column)?;
        self.types.get(at).and_then(|kind| PgType::parse(kind))
    }

    fn kinds(&self) -> Result<Vec<PgType>> {
        let kind = |(column, kind): (&String, &String)| {
            PgType::parse(kind).ok_or_else(|| {
                let text = format!("column {column} of {} has no equal at PostgreSQL", self.table);
                Error::new(Kind::Operator, text).hint("run domicile plan, which says why")
            })
        };
        self.columns.iter().zip(&self.types).map(kind).collect()
    }

    /// `table (key 7, 'a')`, for messages. The key names the row; no other value is told.
    fn named(&self, row: &Row<'_>) -> String {
        let part = |column: &String| {
            let at = self.columns.iter().position(|name| name == column)?;
            let text = people::text(row.get_ref(at).ok()?);
            Some(text.unwrap_or_else(Some).unwrap_or_else(|| "NULL".to_owned()))
        };
        let key: Vec<String> = self.key.iter().filter_map(part).collect();
        format!("{} ({} {})", self.table, self.key.join(", "), key.join(", "))
    }
}

/// Writes binary COPY.
pub(super) struct Writer<'t> {
    told: &'t Told,
    kinds: Vec<PgType>,
    buffer: Vec<u8>,
}

impl<'t> Writer<'t> {
    /// Rows of this table.
    pub(super) fn new(told: &'t Told) -> Result<Writer<'t>> {
        Ok(Writer { told, kinds: told.kinds()?, buffer: HEADER.to_vec() })
    }

    /// Adds a row, or says by its key which column cannot cross.
    pub(super) fn row(&mut self, row: &Row<'_>) -> Result<()> {
        let (told, start) = (self.told, self.buffer.len());
        let fields = i16::try_from(self.kinds.len()).unwrap_or(i16::MAX);
        self.buffer.extend(fields.to_be_bytes());
        for ((at, kind), column) in self.kinds.iter().enumerate().zip(&told.columns) {
            let value = row.get_ref(at).doing("reading rows")?;
            if value == ValueRef::Null && told.key.contains(column) {
                let text = format!("a row of {} has no key", told.table);
                return Err(Error::new(Kind::Operator, text)
                    .hint("give it one; a row with NULL in its primary key cannot be moved"));
            }
            crossing::encode(*kind, value, &mut self.buffer).map_err(|misfit| {
                let text = format!("column {column} of {} {}", told.named(row), misfit.why);
                Error::new(Kind::Operator, text).hint(misfit.hint)
            })?;
        }
        if self.buffer.len() - start > ROW_BYTES_MAX {
            let text = format!("the row of {} is too large to cross", told.named(row));
            return Err(Error::new(Kind::Operator, text)
                .hint(format!("a row may have {} MiB", ROW_BYTES_MAX >> 20)));
        }
        Ok(())
    }

    /// Ends the stream, and gives what was not taken yet.
    pub(super) fn end(mut self) -> Bytes {
        self.buffer.extend(END);
        self.buffer.into()
    }
}

/// Gives the rows of a query as binary COPY.
pub(super) fn give_rows(
    connection: &Connection,
    told: &Told,
    sql: &str,
    outlet: &Outlet<Bytes>,
) -> Result<()> {
    let doing = format!("reading rows of {}", told.table);
    let mut writer = Writer::new(told)?;
    let mut statement = connection.prepare(sql).doing(&doing)?;
    let mut rows = statement.query([]).doing(&doing)?;
    while let Some(row) = rows.next().doing(&doing)? {
        writer.row(row)?;
        if writer.buffer.len() >= PIECE_BYTES {
            let piece = std::mem::take(&mut writer.buffer);
            if outlet.give(piece.into()).is_err() {
                return Ok(());
            }
        }
    }
    // A reader that went away needs no end either.
    let _gone = outlet.give(writer.end());
    Ok(())
}

/// A note's key as texts that PostgreSQL casts to the key's types.
pub(super) fn key(told: &Told, written: &[String], columns: &[Affinity]) -> Result<Vec<String>> {
    let cells = notes::values(written, columns)?;
    let parts = cells.iter().zip(columns).zip(&told.key);
    parts
        .map(|((cell, affinity), column)| {
            let number = match cell {
                Cell::Text(text) if *affinity == Affinity::Integer => as_number(text),
                _ => None,
            };
            let cell = number.as_ref().unwrap_or(cell);
            let found = told.kind_of(column).map(|kind| crossing::key_text(kind, cell.as_value()));
            match found {
                Some(Ok(text)) => Ok(text),
                Some(Err(misfit)) => {
                    let name = &told.table;
                    let text =
                        format!("the key {column} of a changed row of {name} {}", misfit.why);
                    Err(Error::new(Kind::Operator, text).hint(misfit.hint))
                }
                None => Err(Error::new(Kind::Operator, format!("{column} has no equal there"))
                    .hint("run domicile plan, which says why")),
            }
        })
        .collect()
}

/// The keys of the notes that were told last, as this site wrote them.
#[derive(Default)]
pub(super) struct Keys(BTreeMap<i64, Vec<String>>);

impl Keys {
    /// Tells the keys of notes in the selection's form, and keeps them for the way back.
    pub(super) fn told(
        &mut self,
        selection: &Selection,
        mut notes: Vec<Touched>,
    ) -> Result<Vec<Touched>> {
        self.0.clear();
        if selection.form() == Engine::Sqlite {
            return Ok(notes);
        }
        for note in &mut notes {
            let table = Told::owned(lane::owned(selection.closure(), note.table)?);
            let columns = selection.affinities().get(note.table).map(Vec::as_slice);
            let told = key(&table, &note.key, columns.unwrap_or_default())?;
            self.0.insert(note.seq, std::mem::replace(&mut note.key, told));
        }
        Ok(notes)
    }

    /// The extent with the keys of its notes as this site wrote them.
    pub(super) fn own(&self, extent: &Extent) -> Extent {
        let mut extent = extent.clone();
        if let Extent::Touched(notes) = &mut extent {
            for note in notes {
                if let Some(own) = self.0.get(&note.seq) {
                    note.key.clone_from(own);
                }
            }
        }
        extent
    }
}

/// The integer that a note wrote as its text.
fn as_number(text: &[u8]) -> Option<Cell> {
    let text = std::str::from_utf8(text).ok()?;
    text.parse().ok().filter(|number: &i64| number.to_string() == text).map(Cell::Integer)
}
