//! Locks on tables that an application uses: writers queue behind each try for at most the lock
//! timeout, and after enough tries whoever is in the way is named.

use super::session::Session;
use crate::error::{Error, Kind, Result};

/// How long one try waits, as a statement of a transaction that has just begun.
pub(super) const BRIEFLY: &str = "SET LOCAL lock_timeout = '500ms'";
/// How often somebody tries for locks before they give up.
pub(super) const TRIES: u32 = 20;

/// Who holds locks on these tables, the oldest first.
const HOLDERS: &str = "
SELECT DISTINCT pg_catalog.format('process %s, %s s: %s', a.pid,
        pg_catalog.round(extract(epoch FROM pg_catalog.clock_timestamp() - a.xact_start)),
        pg_catalog.left(a.query, 80)), a.xact_start
FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'relation' AND l.granted AND a.pid <> pg_catalog.pg_backend_pid()
  AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())
  AND l.relation = ANY (SELECT pg_catalog.to_regclass(t.name)::oid FROM pg_catalog.unnest($1::text[]) AS t(name))
ORDER BY a.xact_start LIMIT 3";

/// What to say when the last try has failed: the error itself unless it is one of locks.
pub(super) async fn gave_up(session: &Session, tables: &[String], error: Error) -> Error {
    if error.kind() != Kind::RetryNow {
        return error;
    }
    let Ok(rows) = session.client.query(HOLDERS, &[&tables]).await else { return error };
    let holders: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let who = match holders.as_slice() {
        [] => "whoever held them has just ended".to_owned(),
        some => some.join("; "),
    };
    Error::new(Kind::Operator, format!("the tables at site {} stay busy: {who}", session.site))
        .hint("end that transaction or wait for it, then run the command again")
        .because(error)
}

/// Takes a lock in a transaction of its own, which stays open.
pub(super) async fn lock(session: &Session, table: &str, mode: &str) -> Result<()> {
    let mut tries = 0;
    loop {
        tries += 1;
        let lock = format!("BEGIN; {BRIEFLY}; LOCK TABLE {table} IN {mode} MODE");
        let Err(error) = session.batch(&lock).await else { return Ok(()) };
        session.batch("ROLLBACK").await?;
        if error.kind() != Kind::RetryNow || tries == TRIES {
            return Err(gave_up(session, &[table.to_owned()], error).await);
        }
        tracing::info!(site = %session.site, table, tries, "the table is busy; trying again");
    }
}
