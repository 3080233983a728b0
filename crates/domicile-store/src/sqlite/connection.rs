//! The mover's own connections: how they are opened, and how blocking work leaves the runtime.

use crate::error::{Error, Kind, Result};
use crate::sqlite::{copy, digest};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

/// How long a statement waits for another writer. SQLite has one writer per database, and an
/// application's transaction is short; beyond this the caller is told to try again.
const BUSY_MS: u64 = 8_000;

/// The usual busy timeout of a connection.
pub(super) fn busy() -> Duration {
    Duration::from_millis(BUSY_MS)
}

/// One connection, shared with the blocking thread that works on it at the moment.
#[derive(Clone)]
pub(super) struct Db {
    connection: Arc<Mutex<Connection>>,
}

impl Db {
    /// Opens a connection of the mover.
    pub(super) async fn open(path: &Path) -> Result<Db> {
        let path = path.to_owned();
        let connection = blocking(move || open(&path, false)).await?;
        Ok(Db { connection: Arc::new(Mutex::new(connection)) })
    }

    /// Works on the connection in a blocking thread. Work that was given up by its caller still
    /// ends before the next work begins.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let db = self.clone();
        blocking(move || db.with(work)).await
    }

    /// A hold on the connection that does not keep it open.
    pub(super) fn downgrade(&self) -> WeakDb {
        WeakDb(Arc::downgrade(&self.connection))
    }

    /// Works on the connection in this thread, which must be a blocking one.
    pub(super) fn with<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        // A panic in earlier work leaves the connection usable: SQLite's state is its own.
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        work(&connection)
    }
}

/// A connection that may have been closed meanwhile.
pub(super) struct WeakDb(Weak<Mutex<Connection>>);

impl WeakDb {
    /// The connection, while it is open.
    pub(super) fn upgrade(&self) -> Option<Db> {
        Some(Db { connection: self.0.upgrade()? })
    }
}

/// Runs blocking work off the runtime's threads.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => {
            Err(Error::new(Kind::RetryLater, "a thread that worked on a database died")
                .because(error))
        }
    }
}

/// Opens a connection as the mover needs it: no cascade can run, and the fences step aside.
///
/// `foreign_keys` is off, so that nothing ever cascades; foreign keys are rechecked by query.
/// Triggers are disabled for this connection only, which is how the fences let the mover pass;
/// an application's connection has no way to ask for that but its own decision to run no triggers
/// at all.
pub(super) fn open(path: &Path, create: bool) -> Result<Connection> {
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if create {
        flags |= OpenFlags::SQLITE_OPEN_CREATE;
    }
    let shown = path.display();
    if !create && !path.is_file() {
        return Err(Error::new(Kind::Never, format!("there is no database file {shown}")).hint(
            "check the path in the configuration; domicile prepare makes a file that is missing",
        ));
    }
    let doing = format!("opening {shown}");
    let connection = Connection::open_with_flags(path, flags).doing(&doing)?;
    connection.busy_timeout(busy()).doing(&doing)?;
    let pragmas = "PRAGMA foreign_keys = OFF; PRAGMA synchronous = FULL;
                   PRAGMA secure_delete = ON; PRAGMA cache_size = -16384;";
    connection.execute_batch(pragmas).doing(&doing)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false).doing(&doing)?;
    digest::register(&connection).doing(&doing)?;
    copy::register(&connection).doing(&doing)?;
    // The first read is where SQLite notices that a file is not a database.
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())).doing(&doing)?;
    Ok(connection)
}

/// Runs work in one write transaction: all of it or none.
pub(super) fn writing<T>(
    connection: &Connection,
    doing: &str,
    work: impl FnOnce() -> Result<T>,
) -> Result<T> {
    connection.execute_batch("BEGIN IMMEDIATE").doing(doing)?;
    finish(connection, doing, work())
}

/// Runs work in one read transaction, so that everything it reads is of one moment.
pub(super) fn reading<T>(
    connection: &Connection,
    doing: &str,
    work: impl FnOnce() -> Result<T>,
) -> Result<T> {
    connection.execute_batch("BEGIN").doing(doing)?;
    finish(connection, doing, work())
}

fn finish<T>(connection: &Connection, doing: &str, result: Result<T>) -> Result<T> {
    let ended = match result {
        Ok(value) => connection.execute_batch("COMMIT").doing(doing).map(|()| value),
        Err(error) => Err(error),
    };
    if ended.is_err() {
        roll_back(connection);
    }
    ended
}

/// Rolls back whatever is open.
pub(super) fn roll_back(connection: &Connection) {
    if !connection.is_autocommit()
        && let Err(error) = connection.execute_batch("ROLLBACK")
    {
        tracing::warn!(%error, "a transaction could not be rolled back; it ends with its connection");
    }
}

/// Says what was being done when SQLite failed.
pub(super) trait Doing<T> {
    /// Turns SQLite's error into the crate's.
    fn doing(self, what: &str) -> Result<T>;
}

impl<T> Doing<T> for rusqlite::Result<T> {
    fn doing(self, what: &str) -> Result<T> {
        self.map_err(|error| said(error, what))
    }
}

fn said(error: rusqlite::Error, what: &str) -> Error {
    let (kind, message, hint) = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            (Kind::RetryNow, format!("another writer holds the database while {what}"), None)
        }
        Some(ErrorCode::NotADatabase) => (
            Kind::Never,
            format!("the file is not an SQLite database: {what}"),
            Some("check the path in the configuration; encrypted databases are not supported"),
        ),
        Some(ErrorCode::CannotOpen) => (
            Kind::Never,
            format!("the database cannot be opened: {what}"),
            Some("check the path, and that domicile may write the file and its folder"),
        ),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => (
            Kind::Operator,
            format!("the database cannot be written: {what}"),
            Some("domicile must be able to write the file and its folder"),
        ),
        Some(ErrorCode::DiskFull) => (
            Kind::RetryLater,
            format!("the disk is full: {what}"),
            Some("make room, then run the same command again; nothing half-done was kept"),
        ),
        Some(ErrorCode::SystemIoFailure) => {
            (Kind::RetryLater, format!("reading or writing the disk failed: {what}"), None)
        }
        Some(ErrorCode::DatabaseCorrupt) => (
            Kind::Operator,
            format!("the database is damaged: {what}"),
            Some("run PRAGMA integrity_check, and restore it if it says so"),
        ),
        Some(ErrorCode::SchemaChanged | ErrorCode::OperationInterrupted) => {
            (Kind::RetryNow, format!("{what} was interrupted"), None)
        }
        _ => (Kind::Operator, format!("{what} failed"), None),
    };
    let error = Error::new(kind, message).because(error);
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}
