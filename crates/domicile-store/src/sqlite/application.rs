//! An application's own connection: how the demo and tests write to a site without the mover.

use crate::error::{Error, Kind, Result};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, Row, params_from_iter};
use std::path::Path;
use std::time::Duration;

/// How long a statement waits for another writer before it fails with [`Kind::RetryNow`].
const BUSY: Duration = Duration::from_secs(5);

/// A plain connection as an application opens it: triggers fire, foreign keys are enforced,
/// nothing about it is known to the mover. It blocks; use it from a thread of its own.
///
/// Parameters are texts, and columns give them their type. Errors carry SQLite's own message, so
/// that what a fence refuses begins with `DM001` or `DM002`.
#[derive(Debug)]
pub struct Application {
    connection: Connection,
}

impl Application {
    /// Opens a database file, which is created where there is none, in WAL mode.
    pub fn open(path: &Path) -> Result<Application> {
        let connection = Connection::open(path).map_err(said)?;
        connection.busy_timeout(BUSY).map_err(said)?;
        let pragmas = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
                       PRAGMA foreign_keys = ON;";
        connection.execute_batch(pragmas).map_err(said)?;
        Ok(Application { connection })
    }

    /// Runs statements without parameters, one after another.
    pub fn run(&self, sql: &str) -> Result<()> {
        self.connection.execute_batch(sql).map_err(said)
    }

    /// Runs one statement and returns how many rows it changed. The statement stays prepared.
    pub fn execute(&self, sql: &str, parameters: &[&str]) -> Result<u64> {
        let mut statement = self.connection.prepare_cached(sql).map_err(said)?;
        let changed = statement.execute(params_from_iter(parameters)).map_err(said)?;
        Ok(changed as u64)
    }

    /// Calls `visit` with each row of a query, its values as text, NULL as `None`. The statement
    /// stays prepared.
    pub fn each_row(
        &self,
        sql: &str,
        parameters: &[&str],
        mut visit: impl FnMut(Vec<Option<String>>),
    ) -> Result<()> {
        let mut statement = self.connection.prepare_cached(sql).map_err(said)?;
        let columns = statement.column_count();
        let mut rows = statement.query(params_from_iter(parameters)).map_err(said)?;
        while let Some(row) = rows.next().map_err(said)? {
            visit((0..columns).map(|at| text(row, at)).collect::<Result<_>>()?);
        }
        Ok(())
    }
}

fn text(row: &Row<'_>, at: usize) -> Result<Option<String>> {
    Ok(match row.get_ref(at).map_err(said)? {
        ValueRef::Null => None,
        ValueRef::Integer(value) => Some(value.to_string()),
        ValueRef::Real(value) => Some(format!("{value:?}")),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
            Some(String::from_utf8_lossy(bytes).into_owned())
        }
    })
}

/// SQLite's own words, as an application sees them.
fn said(error: rusqlite::Error) -> Error {
    let kind = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Kind::RetryNow,
        _ => Kind::Never,
    };
    match &error {
        rusqlite::Error::SqliteFailure(_, Some(message)) => Error::new(kind, message.clone()),
        _ => Error::new(kind, error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_writes_as_an_application_does() {
        let directory = tempfile::tempdir().unwrap();
        let application = Application::open(&directory.path().join("a.db")).unwrap();
        let schema = "CREATE TABLE p (id INTEGER PRIMARY KEY);
                      CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER REFERENCES p (id));
                      CREATE TRIGGER t AFTER INSERT ON c WHEN NEW.id = 7
                      BEGIN SELECT RAISE(ABORT, 'DM001 moved to dub1: so'); END;";
        application.run(schema).unwrap();
        assert_eq!(application.execute("INSERT INTO p VALUES (?1)", &["1"]).unwrap(), 1);
        let insert = "INSERT INTO c VALUES (?1, ?2)";
        let refused = |id, p| application.execute(insert, &[id, p]).unwrap_err().to_string();
        assert_eq!(refused("7", "1"), "DM001 moved to dub1: so");
        assert_eq!(refused("8", "2"), "FOREIGN KEY constraint failed");
        let mut found = Vec::new();
        let sql = "SELECT id, typeof(id), NULL FROM p WHERE id = ?1";
        application.each_row(sql, &["1"], |row| found.push(row)).unwrap();
        assert_eq!(found, [[Some("1".to_owned()), Some("integer".to_owned()), None]]);
    }
}
