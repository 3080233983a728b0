//! Announcing people, and taking it back.

use crate::closure::Closure;
use crate::error::{Error, Kind, Result};
use crate::site::{Announcement, JournalEntry};
use crate::sqlite::connection::Doing;
use crate::sqlite::{install, journal};
use domicile_model::{MoveId, State, Subject};
use rusqlite::{Connection, OptionalExtension};

/// Writes `moving` for these people; returns those who are announced under this move now.
pub(super) fn announce(
    connection: &Connection,
    closure: &Closure,
    announcement: &Announcement,
) -> Result<Vec<Subject>> {
    let peer = announcement.peer.as_str();
    if !install::knows_site(connection, peer)? {
        return Err(Error::new(Kind::Operator, format!("the fences here do not know {peer}"))
            .hint("run domicile prepare, so that a refusal can name the new home"));
    }
    let doing = "announcing people";
    let fingerprint = install::fingerprint(connection, closure)?;
    let sql = format!(
        "INSERT INTO domicile_subject
           (subject, state, fenced, move_id, peer, fingerprint, announced_at)
         SELECT ?1, 'moving', 1, ?2, ?3, ?4, {now}
         WHERE ?1 NOT IN (SELECT subject FROM domicile_directive WHERE hold IS NOT NULL)
         ON CONFLICT (subject) DO UPDATE SET state = 'moving', fenced = 1,
           move_id = excluded.move_id, peer = excluded.peer, copied = 0, erased = 0,
           fingerprint = excluded.fingerprint, announced_at = excluded.announced_at,
           decided_at = NULL
         WHERE state IN ('resident', 'withdrawn')",
        now = journal::NOW
    );
    let mut statement = connection.prepare_cached(&sql).doing(doing)?;
    let mut announced = Vec::new();
    for subject in journal::ascending(&announcement.subjects) {
        let move_id = announcement.move_id;
        let same = |entry: &JournalEntry| {
            entry.move_id == move_id && matches!(entry.state, State::Moving | State::Closing)
        };
        if journal::entry(connection, &subject)?.as_ref().is_some_and(same) {
            announced.push(subject);
            continue;
        }
        let line = (subject.as_str(), move_id.0, peer, fingerprint.as_str());
        if statement.execute(line).doing(doing)? == 1 {
            // Notes of an earlier announcement say nothing about a copy that is still to come.
            journal::forget_all(connection, &subject)?;
            announced.push(subject);
        }
    }
    Ok(announced)
}

/// Takes the announcement back; returns those withdrawn under this move.
pub(super) fn withdraw(
    connection: &Connection,
    move_id: MoveId,
    subjects: Vec<Subject>,
) -> Result<Vec<Subject>> {
    let mut withdrawn = Vec::new();
    for subject in subjects {
        let from = [State::Moving, State::Closing];
        if journal::step(connection, &subject, move_id, &from, State::Withdrawn)? {
            journal::forget_all(connection, &subject)?;
            withdrawn.push(subject);
        } else if is_withdrawn(connection, &subject, move_id)? {
            withdrawn.push(subject);
        }
    }
    Ok(withdrawn)
}

fn is_withdrawn(connection: &Connection, subject: &Subject, move_id: MoveId) -> Result<bool> {
    let sql = "SELECT 1 FROM domicile_subject
               WHERE subject = ?1 AND move_id = ?2 AND state = 'withdrawn'";
    let found: Option<i64> = connection
        .query_row(sql, (subject.as_str(), move_id.0), |row| row.get(0))
        .optional()
        .doing("reading the journal")?;
    Ok(found.is_some())
}
