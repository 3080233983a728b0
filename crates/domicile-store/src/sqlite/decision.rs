//! The decision: the one commit that changes a person's home.

use crate::closure::Closure;
use crate::error::{Error, Kind, Result};
use crate::site::{Decision, Outcome};
use crate::sqlite::connection::{Doing, roll_back};
use crate::sqlite::{install, journal};
use domicile_model::{MoveId, State, Subject};
use rusqlite::{Connection, ErrorCode, OptionalExtension};
use std::time::{Duration, Instant};

/// How long a decision waits for a writer before it says `Busy`. A mover that waits holds
/// nothing, so this stops nobody.
const PATIENCE: Duration = Duration::from_millis(200);

const DOING: &str = "deciding";

/// Decides these people in a transaction of its own.
pub(super) fn decide(
    connection: &Connection,
    closure: &Closure,
    move_id: MoveId,
    subjects: &[Subject],
) -> Result<Vec<Decision>> {
    roll_back(connection);
    if !begin_within(connection, PATIENCE)? {
        let busy =
            |subject: &Subject| Decision { subject: subject.clone(), outcome: Outcome::Busy };
        return Ok(subjects.iter().map(busy).collect());
    }
    let since = Instant::now();
    let judged = judge(connection, closure, move_id, subjects);
    let ended = judged.and_then(|judged| {
        if any_decided(&judged) {
            commit(connection)?;
        }
        Ok(judged)
    });
    let took_time = since.elapsed();
    roll_back(connection);
    Ok(took(ended?, took_time))
}

/// A transaction can end without its owner: SQLite ends it when the disk fails or is full, and
/// writers are held for a limited time only. Whatever was to happen inside must not happen outside.
pub(super) fn still_held(connection: &Connection) -> Result<()> {
    if !connection.is_autocommit() {
        return Ok(());
    }
    Err(Error::new(Kind::RetryLater, "the transaction was ended meanwhile, and undone")
        .hint("try again; if it happens again, look for a full or failing disk"))
}

/// Commits what is open, if anything is.
pub(super) fn commit(connection: &Connection) -> Result<()> {
    if connection.is_autocommit() {
        return Ok(());
    }
    connection.execute_batch("COMMIT").doing(DOING)
}

/// Begins a write transaction; `false` when another writer kept the lock for longer.
pub(super) fn begin_within(connection: &Connection, patience: Duration) -> Result<bool> {
    let usual = super::connection::busy();
    connection.busy_timeout(patience).doing(DOING)?;
    let begun = connection.execute_batch("BEGIN IMMEDIATE");
    connection.busy_timeout(usual).doing(DOING)?;
    match begun {
        Ok(()) => Ok(true),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => Ok(false),
        Err(error) => Err(error).doing(DOING),
    }
}

/// Judges each person inside a write transaction, and changes those who can be decided. Nobody
/// else writes meanwhile, so what is read here stays true until the commit.
pub(super) fn judge(
    connection: &Connection,
    closure: &Closure,
    move_id: MoveId,
    subjects: &[Subject],
) -> Result<Vec<Decision>> {
    let schema = install::fingerprint(connection, closure)?;
    subjects
        .iter()
        .map(|subject| {
            let outcome = judge_one(connection, move_id, subject, &schema)?;
            Ok(Decision { subject: subject.clone(), outcome })
        })
        .collect()
}

fn judge_one(
    connection: &Connection,
    move_id: MoveId,
    subject: &Subject,
    schema: &str,
) -> Result<Outcome> {
    let sql = "SELECT fingerprint,
                 EXISTS (SELECT 1 FROM domicile_touched AS t WHERE t.subject = s.subject),
                 EXISTS (SELECT 1 FROM domicile_directive AS d
                   WHERE d.subject = s.subject AND d.hold IS NOT NULL)
               FROM domicile_subject AS s
               WHERE subject = ?1 AND move_id = ?2 AND state IN ('moving', 'closing')";
    let mut statement = connection.prepare_cached(sql).doing(DOING)?;
    let found: Option<(Option<String>, bool, bool)> = statement
        .query_row((subject.as_str(), move_id.0), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()
        .doing(DOING)?;
    let Some((announced, touched, on_hold)) = found else {
        return Ok(Outcome::NotOurs);
    };
    if on_hold {
        return Ok(Outcome::OnHold);
    }
    if announced.as_deref() != Some(schema) {
        return Ok(Outcome::SchemaChanged);
    }
    if touched {
        return Ok(Outcome::Touched);
    }
    let from = [State::Moving, State::Closing];
    let decided = journal::step(connection, subject, move_id, &from, State::Moved)?;
    Ok(if decided { Outcome::Decided(Duration::ZERO) } else { Outcome::NotOurs })
}

/// Whether there is anything to commit.
pub(super) fn any_decided(judged: &[Decision]) -> bool {
    judged.iter().any(|decision| matches!(decision.outcome, Outcome::Decided(_)))
}

/// Puts the time from the lock's grant to the commit's acknowledgement on each decision.
pub(super) fn took(mut judged: Vec<Decision>, duration: Duration) -> Vec<Decision> {
    for decision in &mut judged {
        if let Outcome::Decided(_) = decision.outcome {
            decision.outcome = Outcome::Decided(duration);
        }
    }
    judged
}
