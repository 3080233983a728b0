//! The account of an erasure: what is left of deleted rows, from evidence.

use crate::error::{Error, Kind, Result};
use crate::site::{ErasedMove, Rung, RungState};
use crate::sqlite::connection::Doing;
use crate::sqlite::install::ERASURES;
use crate::sqlite::journal::NOW;
use jiff::Timestamp;
use rusqlite::{Connection, Row};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

pub(super) const DOING: &str = "reading the account of erasures";

/// The account of every erasure here, in the caller's read transaction.
pub(super) fn account(connection: &Connection, path: &Path) -> Result<Vec<ErasedMove>> {
    let sql = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?1";
    let found: i64 = connection.query_row(sql, [ERASURES], |row| row.get(0)).doing(DOING)?;
    if found == 0 {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT e.move_id, e.home, e.people, e.rows, e.erased_at,
           (SELECT count(*) FROM domicile_subject AS s WHERE s.move_id = e.move_id AND s.state = 'moved'),
           (SELECT count(*) FROM domicile_gone AS g WHERE g.move_id = e.move_id),
           (SELECT max(g.erased_at) FROM domicile_gone AS g WHERE g.move_id = e.move_id),
           e.overwritten
         FROM {ERASURES} AS e ORDER BY e.erased_at, e.move_id"
    );
    let now = format!("SELECT {NOW}");
    let now: String = connection.query_row(&now, [], |row| row.get(0)).doing(DOING)?;
    let looked_at = moment(&now)?;
    let mut statement = connection.prepare(&sql).doing(DOING)?;
    let mut lines = statement.query([]).doing(DOING)?;
    let mut found = Vec::new();
    while let Some(line) = lines.next().doing(DOING)? {
        let mut erased = read(line)?;
        erased.rungs.push(erased.deleted());
        let is_overwritten: bool = line.get(8).doing(DOING)?;
        erased.rungs.push(pages(connection, is_overwritten)?);
        erased.rungs.push(log(path, looked_at)?);
        erased.rungs.push(statistics(connection, looked_at)?);
        found.push(erased);
    }
    Ok(found)
}

fn read(line: &Row<'_>) -> Result<ErasedMove> {
    let count = |at: usize| {
        let number: i64 = line.get(at).doing(DOING)?;
        Ok::<_, Error>(u64::try_from(number).unwrap_or(0))
    };
    let last: Option<String> = line.get(7).doing(DOING)?;
    Ok(ErasedMove {
        move_id: line.get(0).doing(DOING)?,
        home: line.get(1).doing(DOING)?,
        people: count(2)?,
        rows: count(3)?,
        erased_at: moment(&line.get::<_, String>(4).doing(DOING)?)?,
        pending: count(5)?,
        tombstones: count(6)?,
        last_tombstone_at: last.as_deref().map(moment).transpose()?,
        rungs: Vec::new(),
    })
}

fn moment(text: &str) -> Result<Timestamp> {
    text.parse().map_err(|error| {
        Error::new(Kind::Operator, "the account of erasures is damaged")
            .hint("somebody has written to domicile's own tables; put them back from a backup")
            .because(error)
    })
}

/// What the mover deletes it overwrites. What the application's own connections deleted or changed
/// before stays in free space until VACUUM, and that a VACUUM ran leaves no mark.
fn pages(connection: &Connection, is_overwritten: bool) -> Result<Rung> {
    let free: i64 =
        connection.query_row("PRAGMA freelist_count", [], |row| row.get(0)).doing(DOING)?;
    let overwritten = if is_overwritten { "were" } else { "were not all" };
    let why = format!(
        "the deleted rows {overwritten} overwritten (secure_delete); versions the application left \
         before may be in free space, {free} free pages among it"
    );
    Ok(Rung::new("pages_rewritten", RungState::NotKnown, why).hint(
        "VACUUM, then PRAGMA wal_checkpoint(TRUNCATE); both leave no mark that could be shown",
    ))
}

fn log(path: &Path, looked_at: Timestamp) -> Result<Rung> {
    let mut name = OsString::from(path);
    name.push("-wal");
    let length = match std::fs::metadata(PathBuf::from(name)) {
        Ok(found) => found.len(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
        Err(error) => {
            return Err(Error::new(Kind::RetryLater, "the write-ahead log cannot be looked at")
                .because(error));
        }
    };
    Ok(if length == 0 {
        Rung::new("wal_recycled", RungState::Done, "the write-ahead log is empty").at(looked_at)
    } else {
        let why = format!("the write-ahead log has {length} bytes, of any age");
        Rung::new("wal_recycled", RungState::NotYet, why)
            .hint("PRAGMA wal_checkpoint(TRUNCATE), or look when every program has closed the file")
    })
}

/// Only `sqlite_stat4`, and `sqlite_stat3` before it, hold values; they carry no date.
fn statistics(connection: &Connection, looked_at: Timestamp) -> Result<Rung> {
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name IN ('sqlite_stat3', 'sqlite_stat4')";
    let tables = crate::sqlite::catalog::list(connection, sql, [], |row| row.get::<_, String>(0))?;
    let mut samples = 0;
    for table in tables {
        let sql = format!("SELECT count(*) FROM {table}");
        samples += connection.query_row(&sql, [], |row| row.get::<_, i64>(0)).doing(DOING)?;
    }
    Ok(if samples == 0 {
        Rung::new("statistics_refreshed", RungState::Done, "no samples are kept").at(looked_at)
    } else {
        let why = format!("{samples} samples are kept, and carry no date");
        Rung::new("statistics_refreshed", RungState::NotKnown, why).hint("run ANALYZE")
    })
}
