//! Reading people, the journal and the tombstones.

use super::session::Session;
use super::text::{key_text, subject_parts};
use crate::closure::Closure;
use crate::error::{Error, Kind, Result};
use crate::site::{JournalEntry, Person, PersonStream};
use crate::sql::ident;
use domicile_model::{MoveId, SiteName, Subject};
use futures_util::StreamExt as _;
use jiff::Timestamp;
use tokio_postgres::Row;

/// `SELECT key, residence…` over the root table as `t0`.
fn select(closure: &Closure) -> String {
    let root = closure.root();
    let mut columns = vec![key_text("t0", &root.key)];
    columns.extend(closure.residence.iter().map(|column| format!("t0.{}::text", ident(column))));
    format!("SELECT {} FROM {} AS t0", columns.join(", "), root.name.sql())
}

fn person(closure: &Closure, row: &Row) -> Person {
    Person {
        subject: Subject::new(row.get::<_, String>(0)),
        residence: (1..=closure.residence.len()).map(|at| row.get(at)).collect(),
    }
}

pub(super) async fn stream(session: Session, closure: &Closure) -> Result<PersonStream> {
    let closure = closure.clone();
    let key = key_text("t0", &closure.root().key);
    let statement = format!("{} ORDER BY ({key}) COLLATE \"C\"", select(&closure));
    let rows = session.client.stream(&statement).await.map_err(|e| session.failed(e))?;
    Ok(rows
        .map(move |row| match row {
            Ok(row) => Ok(person(&closure, &row)),
            Err(error) => Err(session.failed(error)),
        })
        .boxed())
}

/// The columns of [`entry`], in order.
pub(super) const ENTRY: &str = "s.subject, s.state, s.move_id, s.peer, s.copied, \
    (extract(epoch FROM s.decided_at) * 1000000)::bigint";

/// A site's name in a line of the journal.
pub(super) fn site_name(text: &str) -> Result<SiteName> {
    text.parse().map_err(|error: domicile_model::site::BadSiteName| odd(Box::new(error)))
}

fn odd(error: Box<dyn std::error::Error + Send + Sync>) -> Error {
    Error::new(Kind::Operator, "a line of domicile.subject cannot be read")
        .hint("somebody else wrote it; restore or remove it by hand")
        .because(error)
}

pub(super) fn entry(row: &Row) -> Result<JournalEntry> {
    let decided: Option<i64> = row.get(5);
    Ok(JournalEntry {
        subject: Subject::new(row.get::<_, String>(0)),
        state: row.get::<_, &str>(1).parse().map_err(|e| odd(Box::new(e)))?,
        move_id: MoveId(row.get(2)),
        peer: site_name(row.get(3))?,
        copied: row.get(4),
        decided_at: decided.and_then(|micros| Timestamp::from_microsecond(micros).ok()),
    })
}

pub(super) async fn is_installed(session: &Session) -> Result<bool> {
    let row = session
        .client
        .query_one("SELECT pg_catalog.to_regclass('domicile.subject') IS NOT NULL", &[])
        .await
        .map_err(|e| session.failed(e))?;
    Ok(row.get(0))
}

pub(super) async fn journal(session: &Session) -> Result<Vec<JournalEntry>> {
    if !is_installed(session).await? {
        return Ok(Vec::new());
    }
    let statement = format!(
        "SELECT {ENTRY} FROM domicile.subject s WHERE s.state <> 'withdrawn' ORDER BY s.subject"
    );
    let rows = session.client.query(&statement, &[]).await.map_err(|e| session.failed(e))?;
    rows.iter().map(entry).collect()
}

pub(super) async fn look_up(
    session: &Session,
    closure: &Closure,
    subject: &Subject,
) -> Result<(Option<JournalEntry>, Option<Person>)> {
    let found = if is_installed(session).await? {
        let statement = format!(
            "SELECT {ENTRY} FROM domicile.subject s WHERE s.subject = $1 AND s.state <> 'withdrawn'"
        );
        let row = session
            .client
            .query_opt(&statement, &[&subject.as_str()])
            .await
            .map_err(|e| session.failed(e))?;
        row.as_ref().map(entry).transpose()?
    } else {
        None
    };
    let root = closure.root();
    let matches: Vec<String> = root
        .key
        .iter()
        .zip(subject_parts("x", root))
        .map(|(column, part)| format!("t0.{} = {part}", ident(column)))
        .collect();
    let statement = format!(
        "{}, (SELECT $1::text AS subject) AS x WHERE {}",
        select(closure),
        matches.join(" AND ")
    );
    let row =
        session.client.query_opt(&statement, &[&subject.as_str()]).await.map_err(|error| {
            // A text that is no key of this type is a question about nobody.
            let code = error.code().map_or("", |code| code.code());
            if code.starts_with("22") {
                Error::new(Kind::Never, format!("{subject} is not a key of {}", root.name))
                    .hint("give the person's primary key as the database prints it")
            } else {
                session.failed(error)
            }
        })?;
    Ok((found, row.map(|row| person(closure, &row))))
}

pub(super) async fn gone(
    session: &Session,
    subjects: &[Subject],
) -> Result<Vec<(Subject, SiteName)>> {
    if !is_installed(session).await? {
        return Ok(Vec::new());
    }
    let names: Vec<&str> = subjects.iter().map(Subject::as_str).collect();
    let rows = session
        .client
        .query(
            "SELECT g.subject, g.home FROM domicile.gone g WHERE g.subject = ANY ($1) ORDER BY 1",
            &[&names],
        )
        .await
        .map_err(|e| session.failed(e))?;
    rows.iter()
        .map(|row| {
            let home: SiteName = row.get::<_, &str>(1).parse().map_err(|error| {
                Error::new(Kind::Operator, "a tombstone names no site").because(error)
            })?;
            Ok((Subject::new(row.get::<_, String>(0)), home))
        })
        .collect()
}

pub(super) async fn refusals(session: &Session) -> Result<Option<u64>> {
    if !is_installed(session).await? {
        return Ok(Some(0));
    }
    let row = session
        .client
        .query_one("SELECT pg_catalog.pg_sequence_last_value('domicile.refused'::regclass)", &[])
        .await
        .map_err(|e| session.failed(e))?;
    let count: Option<i64> = row.get(0);
    Ok(Some(count.unwrap_or(0).unsigned_abs()))
}
