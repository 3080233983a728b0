//! The journal: reading entries and tombstones, and the changes of state both sides share.

use crate::error::{Error, Kind, Result};
use crate::site::JournalEntry;
use crate::sqlite::connection::{Doing, writing};
use crate::sqlite::install;
use domicile_model::{MoveId, SiteName, State, Subject};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row};
use std::time::Duration;

const DOING: &str = "reading the journal";

/// Now, as the journal writes it; the database's clock, since every entry is compared with others
/// of the same database only.
pub(super) const NOW: &str = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')";

const COLUMNS: &str = "subject, state, move_id, peer, copied, decided_at";

/// Every entry but the withdrawn ones.
pub(super) fn entries(connection: &Connection) -> Result<Vec<JournalEntry>> {
    if !install::has_journal(connection)? {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT {COLUMNS} FROM domicile_subject WHERE state <> 'withdrawn' ORDER BY subject"
    );
    let mut statement = connection.prepare(&sql).doing(DOING)?;
    let mut lines = statement.query([]).doing(DOING)?;
    let mut found = Vec::new();
    while let Some(line) = lines.next().doing(DOING)? {
        found.push(entry_of(line)?);
    }
    Ok(found)
}

/// One person's entry, withdrawn ones included.
pub(super) fn entry(connection: &Connection, subject: &Subject) -> Result<Option<JournalEntry>> {
    let sql = format!("SELECT {COLUMNS} FROM domicile_subject WHERE subject = ?1");
    let mut statement = connection.prepare_cached(&sql).doing(DOING)?;
    let mut lines = statement.query([subject.as_str()]).doing(DOING)?;
    lines.next().doing(DOING)?.map(entry_of).transpose()
}

fn entry_of(line: &Row<'_>) -> Result<JournalEntry> {
    let text = |at: usize| line.get::<_, String>(at).doing(DOING);
    let subject = Subject::new(text(0)?);
    let unread = |error: &dyn std::fmt::Display| {
        Error::new(Kind::Operator, format!("the journal's entry of {subject} is damaged: {error}"))
            .hint("somebody has written to domicile's own tables; put them back from a backup")
    };
    let state: State = text(1)?.parse().map_err(|error| unread(&error))?;
    let peer: SiteName = text(3)?.parse().map_err(|error| unread(&error))?;
    let decided: Option<String> = line.get(5).doing(DOING)?;
    let decided_at: Option<Timestamp> =
        decided.map(|text| text.parse()).transpose().map_err(|error| unread(&error))?;
    Ok(JournalEntry {
        subject: subject.clone(),
        state,
        move_id: MoveId(line.get(2).doing(DOING)?),
        peer,
        copied: state == State::Arriving && line.get(4).doing(DOING)?,
        decided_at: decided_at.filter(|_| state == State::Moved),
    })
}

/// Those of these people who have a tombstone, with the home it names.
pub(super) fn gone(
    connection: &Connection,
    subjects: &[Subject],
) -> Result<Vec<(Subject, SiteName)>> {
    if !install::has_journal(connection)? {
        return Ok(Vec::new());
    }
    let sql = "SELECT home FROM domicile_gone WHERE subject = ?1 AND suspended = 0";
    let mut statement = connection.prepare_cached(sql).doing(DOING)?;
    let mut found = Vec::new();
    for subject in subjects {
        let home: Option<String> =
            statement.query_row([subject.as_str()], |row| row.get(0)).optional().doing(DOING)?;
        if let Some(home) = home {
            let home = home.parse().map_err(|error| {
                Error::new(Kind::Operator, format!("the tombstone of {subject} is damaged"))
                    .because(error)
            })?;
            found.push((subject.clone(), home));
        }
    }
    Ok(found)
}

/// Changes an entry's state where the rule allows it and the move is this one; tells whether.
pub(super) fn step(
    connection: &Connection,
    subject: &Subject,
    move_id: MoveId,
    from: &[State],
    to: State,
) -> Result<bool> {
    debug_assert!(from.iter().all(|from| from.may_become(Some(to))), "{from:?} -> {to}");
    let from: Vec<String> = from.iter().map(|state| crate::sql::literal(state.as_str())).collect();
    let decided = if to == State::Moved { NOW } else { "NULL" };
    let sql = format!(
        "UPDATE domicile_subject SET state = ?3, fenced = ?4, decided_at = {decided}
         WHERE subject = ?1 AND move_id = ?2 AND state IN ({})",
        from.join(", ")
    );
    let mut statement = connection.prepare_cached(&sql).doing("changing the journal")?;
    let changed = statement
        .execute((subject.as_str(), move_id.0, to.as_str(), to.is_fenced()))
        .doing("changing the journal")?;
    Ok(changed == 1)
}

/// Forgets every note about a person.
pub(super) fn forget_all(connection: &Connection, subject: &Subject) -> Result<()> {
    let sql = "DELETE FROM domicile_touched WHERE subject = ?1";
    let mut statement = connection.prepare_cached(sql).doing("forgetting notes")?;
    statement.execute([subject.as_str()]).doing("forgetting notes").map(drop)
}

/// These people once each, in the order in which every site locks them.
pub(super) fn ascending(subjects: &[Subject]) -> Vec<Subject> {
    let mut sorted = subjects.to_vec();
    sorted.sort();
    sorted.dedup();
    sorted
}

/// Drops old tombstones, and empties the write-ahead log so that erased rows do not stay in it.
pub(super) fn rest(connection: &Connection, keep: Duration) -> Result<()> {
    if !install::has_journal(connection)? {
        return Ok(());
    }
    let doing = "dropping old tombstones";
    let age = format!("-{:.3} seconds", keep.as_secs_f64());
    // An age beyond SQLite's calendar is NULL, and drops nothing.
    let sql = "DELETE FROM domicile_gone WHERE suspended = 0
               AND erased_at <= strftime('%Y-%m-%dT%H:%M:%fZ', 'now', ?1)";
    let rows = "DELETE FROM domicile_gone_row
                WHERE subject NOT IN (SELECT subject FROM domicile_gone)";
    writing(connection, doing, || {
        connection.execute(sql, [&age]).doing(doing)?;
        connection.execute(rows, []).doing(doing).map(drop)
    })?;
    // A reader may go on for long; the next rest tries again.
    connection.busy_timeout(Duration::from_millis(200)).doing(doing)?;
    let truncated: rusqlite::Result<i64> =
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0));
    if !matches!(truncated, Ok(0)) {
        tracing::debug!("a reader keeps the write-ahead log from being emptied; the next rest may");
    }
    Ok(())
}

/// How many batches have arrived here.
pub(super) fn arrivals(connection: &Connection) -> Result<i64> {
    let sql = "SELECT coalesce(max(CAST(value AS INTEGER)), 0) FROM domicile_site
               WHERE key = 'arrivals'";
    connection.query_row(sql, [], |row| row.get(0)).doing("counting arrivals")
}

/// Counts this batch; the number becomes visible with its commit.
pub(super) fn count_arrival(connection: &Connection) -> Result<i64> {
    let sql = "INSERT INTO domicile_site (key, value) VALUES ('arrivals', '1')
               ON CONFLICT (key) DO UPDATE SET value = CAST(value AS INTEGER) + 1";
    connection.execute(sql, []).doing("counting arrivals")?;
    arrivals(connection)
}
