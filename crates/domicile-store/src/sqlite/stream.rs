//! Streams out of a blocking thread, through a channel short enough that memory stays bounded
//! whatever is moved.

use crate::error::{Error, Kind, Result};
use crate::site::ByteStream;
use crate::sqlite::connection::Doing;
use crate::sqlite::rows::Writer;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// How many items wait between the thread and the reader.
pub(super) const WAITING_MAX: usize = 8;

/// How much of a stream is collected before it is passed on.
pub(super) const PIECE_BYTES: usize = 64 * 1024;

/// The reader went away; nobody needs the rest.
pub(super) struct Unwanted;

/// Where a thread puts what it reads.
pub(super) struct Outlet<T>(mpsc::Sender<T>);

impl<T> Outlet<T> {
    /// Passes an item on; waits while too many wait already.
    pub(super) fn give(&self, item: T) -> Result<(), Unwanted> {
        self.0.blocking_send(item).map_err(|_| Unwanted)
    }
}

/// What a thread gives, as a stream. It ends with the thread's error where there is one, and
/// never looks complete when the thread died.
pub(super) fn from_thread<T: Send + 'static>(
    work: impl FnOnce(&Outlet<T>) -> Result<()> + Send + 'static,
) -> BoxStream<'static, Result<T>> {
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    let thread = tokio::task::spawn_blocking(move || work(&Outlet(sender)));
    type Tail<T> = (mpsc::Receiver<T>, Option<JoinHandle<Result<()>>>);
    let next = |(mut receiver, mut thread): Tail<T>| async move {
        if let Some(item) = receiver.recv().await {
            return Some((Ok(item), (receiver, thread)));
        }
        let error = match thread.take()?.await {
            Ok(Ok(())) => return None,
            Ok(Err(error)) => error,
            Err(error) => {
                Error::new(Kind::RetryLater, "a thread that read a database died").because(error)
            }
        };
        Some((Err(error), (receiver, thread)))
    };
    stream::unfold((receiver, Some(thread)), next).boxed()
}

/// An empty stream of rows of this many columns.
pub(super) fn no_rows(columns: usize) -> Result<ByteStream<'static>> {
    let whole = Writer::new(columns)?.end();
    Ok(stream::once(async move { Ok(whole) }).boxed())
}

/// Gives the rows of a query in their travelling form. A row whose key, at these places, has a
/// NULL in it cannot be named again, so it does not travel.
pub(super) fn give_rows(
    connection: &Connection,
    table: &str,
    sql: &str,
    key: &[usize],
    outlet: &Outlet<Bytes>,
) -> Result<()> {
    let doing = format!("reading rows of {table}");
    let mut statement = connection.prepare(sql).doing(&doing)?;
    let columns = statement.column_count();
    let mut writer = Writer::new(columns)?;
    let mut rows = statement.query([]).doing(&doing)?;
    while let Some(row) = rows.next().doing(&doing)? {
        writer.row();
        for at in 0..columns {
            let value = row.get_ref(at).doing(&doing)?;
            if value == ValueRef::Null && key.contains(&at) {
                return Err(Error::new(Kind::Operator, format!("a row of {table} has no key"))
                    .hint("give it one; a row with NULL in its primary key cannot be moved"));
            }
            writer.value(value)?;
        }
        if writer.waiting() >= PIECE_BYTES && outlet.give(writer.take()).is_err() {
            return Ok(());
        }
    }
    // A reader that went away needs no end either.
    let _gone = outlet.give(writer.end());
    Ok(())
}
