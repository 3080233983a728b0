//! Waiting for writers from before an announcement.
//!
//! Two kinds of writer may have passed the fences without seeing it: one that already held a
//! writing lock on an owned table, and one whose snapshot is older. Locks are followed rather than
//! virtual transactions, because `PREPARE TRANSACTION` keeps the locks and hides the transaction;
//! snapshots are followed by `backend_xmin`, because a snapshot can be handed to another session.

use super::session::{APPLICATION, Session};
use crate::error::Result;
use crate::site::{Blocker, Horizon};
use std::collections::BTreeSet;

/// Who holds a writing lock on an owned table: the virtual transaction, which for a prepared one
/// is derived from its own number.
const HOLDERS: &str = "
SELECT DISTINCT l.virtualtransaction, l.pid, coalesce(pg_catalog.format('process %s, %s s: %s', l.pid,
        pg_catalog.round(extract(epoch FROM pg_catalog.clock_timestamp() - a.xact_start)),
        pg_catalog.left(a.query, 80)), 'a prepared transaction (see pg_prepared_xacts)')
FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'relation' AND l.granted
  AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())
  AND l.relation IN (SELECT r FROM domicile.relations() r)
  AND l.mode IN ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
  AND NOT (a.usename = session_user AND a.application_name = $1 AND a.pid IS NOT NULL)";

/// Whose snapshot is older than the bound. VACUUM's is not used to write rows.
const SNAPSHOTS: &str = "
SELECT a.pid, pg_catalog.format('process %s, snapshot of %s s: %s', a.pid,
        pg_catalog.round(extract(epoch FROM pg_catalog.clock_timestamp() - a.xact_start)),
        pg_catalog.left(a.query, 80))
FROM pg_catalog.pg_stat_activity a
WHERE a.datname = pg_catalog.current_database() AND a.backend_xmin IS NOT NULL
  AND pg_catalog.age(a.backend_xmin) > pg_catalog.age($2::text::xid)
  AND a.backend_type <> 'autovacuum worker'
  AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_stat_progress_vacuum v WHERE v.pid = a.pid)
  AND NOT (a.usename = session_user AND a.application_name = $1)";

/// One wait.
///
/// Where rows are shared, one round is not enough. A writer from before may have begun to refer to a
/// shared row without saying so, and another who changes that row meanwhile, and does see the
/// announcement, does not see the reference before it is committed. So once the first round has
/// passed, whoever is there then is waited for as well.
pub(super) struct Wait {
    /// The first transaction number that had not begun when the wait started.
    bound: String,
    /// Holders, by virtual transaction, when the wait started.
    holders: BTreeSet<String>,
    /// Prepared holders, listed once the others had ended.
    prepared: Option<BTreeSet<String>>,
    clean_looks: u32,
    rounds_left: u32,
}

struct Holder {
    transaction: String,
    blocker: Blocker,
}

async fn holders(session: &Session) -> Result<Vec<Holder>> {
    let rows =
        session.client.query(HOLDERS, &[&APPLICATION]).await.map_err(|e| session.failed(e))?;
    Ok(rows
        .iter()
        .map(|row| Holder {
            transaction: row.get(0),
            blocker: Blocker { process: row.get(1), words: row.get(2) },
        })
        .collect())
}

impl Wait {
    /// Notes who is there now; called after what must be seen has been committed.
    pub(super) async fn start(session: &Session, rounds: u32) -> Result<Wait> {
        let row = session
            .client
            .query_one(
                "SELECT (pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text::numeric \
                 % 4294967296)::text",
                &[],
            )
            .await
            .map_err(|e| session.failed(e))?;
        let holders = holders(session).await?;
        let holders = holders.into_iter().map(|holder| holder.transaction).collect();
        Ok(Wait { bound: row.get(0), holders, prepared: None, clean_looks: 0, rounds_left: rounds })
    }

    /// Looks once.
    pub(super) async fn look(&mut self, session: &Session) -> Result<Horizon> {
        let blockers = self.blockers(session).await?;
        if !blockers.is_empty() {
            self.clean_looks = 0;
            return Ok(Horizon::Waiting { blockers });
        }
        self.clean_looks += 1;
        // A snapshot can pass from one session to another between two reads of the list.
        if self.clean_looks < 2 {
            return Ok(Horizon::Waiting { blockers });
        }
        if self.rounds_left > 1 {
            *self = Wait::start(session, self.rounds_left - 1).await?;
            return Ok(Horizon::Waiting { blockers });
        }
        Ok(Horizon::Passed)
    }

    async fn blockers(&mut self, session: &Session) -> Result<Vec<Blocker>> {
        let now = holders(session).await?;
        let old: Vec<Blocker> = now
            .iter()
            .filter(|holder| self.holders.contains(&holder.transaction))
            .map(|holder| holder.blocker.clone())
            .collect();
        if !old.is_empty() {
            return Ok(old);
        }
        // Whoever prepared while we waited is listed now, after all others of before have ended.
        let listed = self.prepared.get_or_insert_with(|| {
            let prepared = now.iter().filter(|h| h.blocker.process.is_none());
            prepared.map(|h| h.transaction.clone()).collect()
        });
        let mut found: Vec<Blocker> = now
            .iter()
            .filter(|holder| listed.contains(&holder.transaction))
            .map(|holder| holder.blocker.clone())
            .collect();
        let rows = session
            .client
            .query(SNAPSHOTS, &[&APPLICATION, &self.bound])
            .await
            .map_err(|e| session.failed(e))?;
        let snapshots = rows.iter();
        found.extend(snapshots.map(|row| Blocker { process: row.get(0), words: row.get(1) }));
        Ok(found)
    }
}
