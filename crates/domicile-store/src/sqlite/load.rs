//! Rows on their way into a table.

use crate::catalog::TableName;
use crate::error::{Error, Kind, Result};
use crate::site::ByteStream;
use crate::sql::idents;
use crate::sqlite::connection::{Doing, blocking};
use crate::sqlite::rows::{Cell, Reader};
use crate::sqlite::stream::WAITING_MAX;
use bytes::Bytes;
use futures_util::{StreamExt, future};
use rusqlite::{CachedStatement, Connection, ErrorCode, params_from_iter};
use tokio::sync::mpsc;

/// Rows as they come in from a stream; the other end of [`feed`].
pub(super) struct Inlet {
    pieces: mpsc::Receiver<Bytes>,
    reader: Reader,
}

impl Inlet {
    /// Gives every row to `take`; returns how many there were, once the stream ended as one does.
    pub(super) fn each(mut self, mut take: impl FnMut(Vec<Cell>) -> Result<()>) -> Result<u64> {
        while let Some(piece) = self.pieces.blocking_recv() {
            self.reader.feed(&piece);
            while let Some(row) = self.reader.row()? {
                take(row)?;
            }
        }
        self.reader.finish()
    }
}

/// Feeds a stream to blocking work. When the stream fails, its error is the result.
pub(super) async fn feed(
    mut rows: ByteStream<'_>,
    columns: usize,
    work: impl FnOnce(Inlet) -> Result<u64> + Send + 'static,
) -> Result<u64> {
    let (sender, pieces) = mpsc::channel(WAITING_MAX);
    let inlet = Inlet { pieces, reader: Reader::new(columns) };
    let passing = async move {
        while let Some(piece) = rows.next().await {
            // A closed channel means that the work failed; it says why itself.
            if sender.send(piece?).await.is_err() {
                break;
            }
        }
        Ok::<(), Error>(())
    };
    let (passed, loaded) = future::join(passing, blocking(move || work(inlet))).await;
    passed.and(loaded)
}

/// Loads rows into one table by plain INSERTs of its copied columns.
pub(super) struct Loader<'c> {
    table: TableName,
    statement: CachedStatement<'c>,
}

impl<'c> Loader<'c> {
    /// A loader of this table.
    pub(super) fn new(
        connection: &'c Connection,
        table: &TableName,
        columns: &[String],
    ) -> Result<Loader<'c>> {
        let places = vec!["?"; columns.len()].join(", ");
        // OR ABORT, since a table may declare ON CONFLICT REPLACE or IGNORE for itself.
        let sql = format!(
            "INSERT OR ABORT INTO {} ({}) VALUES ({places})",
            table.sql(),
            idents("", columns)
        );
        let statement = connection.prepare_cached(&sql).doing("loading rows")?;
        Ok(Loader { table: table.clone(), statement })
    }

    /// Inserts a row.
    pub(super) fn insert(&mut self, row: &[Cell]) -> Result<()> {
        self.insert_or(row, Err)
    }

    /// Inserts a row; when a constraint is in the way, asks `make_way` and tries once more.
    pub(super) fn insert_or(
        &mut self,
        row: &[Cell],
        make_way: impl FnOnce(Error) -> Result<()>,
    ) -> Result<()> {
        match self.statement.execute(params_from_iter(row)) {
            Ok(_) => return Ok(()),
            Err(error) => make_way(refused(&self.table, error))?,
        }
        let again = self.statement.execute(params_from_iter(row));
        again.map(drop).map_err(|error| refused(&self.table, error))
    }
}

fn refused(table: &TableName, error: rusqlite::Error) -> Error {
    if error.sqlite_error_code() != Some(ErrorCode::ConstraintViolation) {
        return match Err::<(), _>(error).doing(&format!("loading rows of {table}")) {
            Err(error) => error,
            Ok(()) => Error::new(Kind::Never, "an error was none"),
        };
    }
    let unique = [
        rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE,
        rusqlite::ffi::SQLITE_CONSTRAINT_PRIMARYKEY,
        rusqlite::ffi::SQLITE_CONSTRAINT_ROWID,
    ];
    let code = error.sqlite_error().map(|error| error.extended_code);
    let (message, hint) = if code.is_some_and(|code| unique.contains(&code)) {
        (
            format!("a row of {table} cannot arrive: a different row stands under the same key"),
            "find out whose it is; nothing half-done was kept",
        )
    } else {
        (
            format!("a row of {table} breaks a constraint of this site"),
            "the tables of both sites must declare the same; nothing half-done was kept",
        )
    };
    Error::new(Kind::Operator, message).hint(hint).because(error)
}

/// Refuses a table that has rows already.
pub(super) fn refuse_filled(connection: &Connection, table: &TableName) -> Result<()> {
    let sql = format!("SELECT EXISTS (SELECT 1 FROM {})", table.sql());
    let filled: bool = connection.query_row(&sql, [], |row| row.get(0)).doing("loading rows")?;
    if !filled {
        return Ok(());
    }
    Err(Error::new(Kind::Operator, format!("table {table} is not empty"))
        .hint("a reference table is loaded once; compare it instead"))
}
