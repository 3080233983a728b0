//! Erasing behind a decided move.

use crate::closure::Closure;
use crate::error::{Error, Kind, Result};
use crate::site::Erased;
use crate::sql::{equal, idents};
use crate::sqlite::catalog::list;
use crate::sqlite::connection::Doing;
use crate::sqlite::directive::NOT_ON_HOLD;
use crate::sqlite::extent::{BATCH, Selection, pick, picked};
use crate::sqlite::install::ERASURES;
use crate::sqlite::keys::{self, Reference};
use crate::sqlite::{journal, notes, owner, shared};
use domicile_model::{MoveId, Subject};
use rusqlite::Connection;

const DOING: &str = "erasing behind a move";

/// Deletes at most `limit` rows of these people, children first, in the caller's transaction.
/// When nothing is left, their entries become tombstones.
pub(super) fn erase(
    connection: &Connection,
    selection: &mut Selection,
    move_id: MoveId,
    subjects: &[Subject],
    limit: u64,
) -> Result<Erased> {
    // The person may have come back since: every batch asks again.
    let decided = format!(
        "subject IN (SELECT subject FROM domicile_subject WHERE state = 'moved' AND move_id = {}) \
         AND {NOT_ON_HOLD}",
        move_id.0
    );
    selection.choose_people(connection, subjects, &decided)?;
    let closure = selection.closure().clone();
    let references = keys::references(connection)?;
    let mut left = limit.max(1);
    let mut erased = Erased::default();
    shared::forget_loose(connection, &closure)?;
    for at in (0..closure.owned.len()).rev() {
        let Some(rows) = selection.rows(at) else {
            continue;
        };
        let deleted = erase_from(connection, &closure, at, &rows, &references, left)?;
        erased.rows += deleted;
        left = left.saturating_sub(deleted);
        if left == 0 {
            break;
        }
    }
    erased.rows += shared::sweep(connection, &closure)?;
    note(connection, move_id, erased.rows, left > 0)?;
    if left == 0 {
        return Ok(erased);
    }
    bury(connection, selection)?;
    erased.finished = true;
    // The keys of the erased do not stay in a temporary table either.
    selection.clear(connection)?;
    Ok(erased)
}

/// Notes what is deleted in this transaction, and whether it is overwritten, for the account.
fn note(connection: &Connection, move_id: MoveId, rows: u64, finished: bool) -> Result<()> {
    let secure: i64 =
        connection.query_row("PRAGMA secure_delete", [], |row| row.get(0)).doing(DOING)?;
    let sql = format!(
        "INSERT INTO {ERASURES} (move_id, home, people, rows, erased_at, overwritten)
         SELECT ?1, min(s.peer), count(*) * ?3, ?2, {now}, ?4 FROM domicile_subject AS s
         WHERE s.subject IN (SELECT subject FROM {BATCH}) HAVING count(*) > 0
         ON CONFLICT (move_id) DO UPDATE SET people = people + excluded.people,
           rows = rows + excluded.rows, erased_at = excluded.erased_at,
           overwritten = min(overwritten, excluded.overwritten)",
        now = journal::NOW
    );
    let rows = i64::try_from(rows).unwrap_or(i64::MAX);
    let noted = (move_id.0, rows, finished, secure == 1);
    connection.execute(&sql, noted).doing(DOING).map(drop)
}

fn erase_from(
    connection: &Connection,
    closure: &Closure,
    at: usize,
    rows: &str,
    references: &[Reference],
    limit: u64,
) -> Result<u64> {
    let owned = &closure.owned[at];
    let key = owner::keys(owned.key.len());
    let doomed = pick(at);
    let clear = format!("DELETE FROM {doomed}");
    connection.execute(&clear, []).doing(DOING)?;
    let sql = format!(
        "INSERT OR IGNORE INTO {doomed} SELECT \"b\".subject, 1, {} FROM {rows} LIMIT {limit}",
        idents("\"t\".", &owned.key)
    );
    let found = connection.execute(&sql, []).doing(DOING)?;
    if found == 0 {
        return Ok(0);
    }
    for reference in references.iter().filter(|r| r.key.parent == owned.name) {
        refuse_dangling(connection, closure, at, reference)?;
    }
    shared::loosen_doomed(connection, closure, at)?;
    remember_doomed(connection, closure, at)?;
    let count = format!(
        "UPDATE domicile_subject
         SET erased = erased + (SELECT count(*) FROM {doomed} AS d WHERE d.subject = domicile_subject.subject)
         WHERE subject IN (SELECT subject FROM {doomed})"
    );
    connection.execute(&count, []).doing(DOING)?;
    let sql = format!(
        "DELETE FROM {} WHERE {} IN (SELECT {} FROM {doomed})",
        owned.name.sql(),
        owner::key_value("", owned),
        idents("", &key)
    );
    let deleted = connection.execute(&sql, []).doing(DOING)?;
    connection.execute(&clear, []).doing(DOING)?;
    if deleted != found {
        return Err(Error::new(
            Kind::Operator,
            format!("{found} rows of {} were to be erased, and {deleted} were", owned.name),
        ));
    }
    Ok(u64::try_from(deleted).unwrap_or(u64::MAX))
}

/// Remembers what rows of deep tables below refer to: their own columns name nobody, and without
/// foreign keys nothing else would refuse one that comes later.
fn remember_doomed(connection: &Connection, closure: &Closure, at: usize) -> Result<()> {
    for child in closure.children(at).filter(|child| !closure.is_direct(*child)) {
        let below = &closure.owned[child];
        let Some(edge) = &below.parent else { continue };
        let sql = format!(
            "INSERT OR REPLACE INTO domicile_gone_row (tbl, key, subject) \
             SELECT ?1, {}, \"b\".subject FROM {}",
            notes::written("\"t\"", &edge.parent_columns),
            picked(closure, at)
        );
        connection.execute(&sql, [&below.name.name]).doing(DOING)?;
    }
    Ok(())
}

/// Refuses when a row that stays refers to one that would go by a declared foreign key. The
/// mover's connection enforces none, so the row would be left dangling; an application's would
/// delete it.
fn refuse_dangling(
    connection: &Connection,
    closure: &Closure,
    at: usize,
    reference: &Reference,
) -> Result<()> {
    let (owned, key) = (&closure.owned[at], &reference.key);
    let referring = closure.owned.iter().position(|owned| owned.name == reference.child);
    let stays = match referring {
        Some(child) => format!(
            "NOT EXISTS (SELECT 1 FROM {BATCH} AS \"o\" WHERE \"o\".subject = {})",
            owner::of_row(closure, child, "\"x\"")
        ),
        None => "1".to_owned(),
    };
    let sql = format!(
        "SELECT \"b\".subject FROM {} AS \"b\" CROSS JOIN {} AS \"t\" ON {} \
         CROSS JOIN {} AS \"x\" ON {} WHERE {stays} LIMIT 1",
        pick(at),
        owned.name.sql(),
        equal("\"t\"", &owned.key, "\"b\"", &owner::keys(owned.key.len())),
        reference.child.sql(),
        equal("\"t\"", &key.parent_columns, "\"x\"", &key.columns),
    );
    let found = list(connection, &sql, [], |row| row.get::<_, String>(0))?;
    let Some(subject) = found.first() else {
        return Ok(());
    };
    let message = format!(
        "a row of {} that stays refers to a row of {} of {subject}, who has moved ({})",
        reference.child, owned.name, key.name
    );
    Err(Error::new(Kind::Operator, message)
        .hint("remove the foreign key or the referring row; nothing was erased"))
}

/// Replaces the entries of the chosen people by tombstones, once none of their rows is left.
fn bury(connection: &Connection, selection: &Selection) -> Result<()> {
    let closure = selection.closure();
    for (at, owned) in closure.owned.iter().enumerate() {
        let Some(rows) = selection.rows(at) else {
            continue;
        };
        let sql = format!("SELECT \"b\".subject FROM {rows} LIMIT 1");
        let left = list(connection, &sql, [], |row| row.get::<_, String>(0))?;
        if let Some(subject) = left.first() {
            let message = format!("a row of {} of {subject} cannot be erased", owned.name);
            return Err(Error::new(Kind::Operator, message)
                .hint("its primary key is NULL; give it one, or delete it by hand"));
        }
    }
    let gone = format!(
        "INSERT OR REPLACE INTO domicile_gone
           (subject, home, move_id, decided_at, erased_at, rows_erased, suspended)
         SELECT subject, peer, move_id, decided_at, {}, erased, 0 FROM domicile_subject
         WHERE subject IN (SELECT subject FROM {BATCH})",
        journal::NOW
    );
    connection.execute(&gone, []).doing(DOING)?;
    for table in ["domicile_touched", "domicile_subject"] {
        let sql = format!("DELETE FROM {table} WHERE subject IN (SELECT subject FROM {BATCH})");
        connection.execute(&sql, []).doing(DOING)?;
    }
    Ok(())
}
