//! What a database bears: replicas that follow its log, dead rows, sessions that wait for ours.

use super::session::{APPLICATION, Session};
use crate::error::Result;
use crate::site::{Gauge, Load, Replica, TableLoad};
use async_trait::async_trait;
use std::time::Duration;

/// By name, since one that comes again is the same one. Without a place are those that take a
/// backup.
const REPLICAS: &str = "
SELECT r.application_name, pg_catalog.pg_wal_lsn_diff(min(r.replay_lsn), '0/0')::bigint,
    extract(epoch FROM max(r.replay_lag))::float8
FROM pg_catalog.pg_stat_replication r WHERE r.replay_lsn IS NOT NULL GROUP BY 1 ORDER BY 1";

const TABLES: &str = "
SELECT c.oid::regclass::text, pg_catalog.pg_stat_get_live_tuples(c.oid),
    pg_catalog.pg_stat_get_dead_tuples(c.oid),
    EXISTS (SELECT 1 FROM pg_catalog.pg_stat_progress_vacuum v
        WHERE v.relid = c.oid AND v.datname = pg_catalog.current_database())
FROM pg_catalog.pg_class c
WHERE c.relkind = 'r' AND c.oid IN (SELECT r FROM domicile.relations() r)";

/// Who waits for less is held up by what every person's move does. Asks only about the others who
/// blocks them, since that looks at every lock there is.
const WAITING: &str = "
SELECT count(DISTINCT w.pid), pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), '0/0')::bigint
FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity w ON w.pid = l.pid
WHERE NOT l.granted AND l.waitstart < pg_catalog.clock_timestamp() - interval '100 ms'
  AND w.datname = pg_catalog.current_database()
  AND w.backend_type = 'client backend' AND w.application_name <> $1
  AND EXISTS (SELECT 1 FROM pg_catalog.pg_stat_activity m
    WHERE m.pid = ANY (pg_catalog.pg_blocking_pids(w.pid))
      AND m.usename = session_user AND m.application_name = $1)";

/// A session that reads statistics and nothing else.
pub(super) struct PostgresGauge(pub(super) Session);

#[async_trait]
impl Gauge for PostgresGauge {
    async fn read(&mut self) -> Result<Load> {
        let session = &self.0;
        let count = |number: i64| u64::try_from(number).unwrap_or(0);
        let replicas = session.client.query(REPLICAS, &[]).await.map_err(|e| session.failed(e))?;
        let tables = session.client.query(TABLES, &[]).await.map_err(|e| session.failed(e))?;
        // The log's end is read last: nobody has replayed more than is written.
        let waiting = session.client.query_one(WAITING, &[&APPLICATION]).await;
        let waiting = waiting.map_err(|e| session.failed(e))?;
        Ok(Load {
            written: count(waiting.get(1)),
            waiting: count(waiting.get(0)),
            replicas: replicas
                .iter()
                .map(|row| Replica {
                    name: row.get(0),
                    replayed: count(row.get(1)),
                    lag: row
                        .get::<_, Option<f64>>(2)
                        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
                })
                .collect(),
            tables: tables
                .iter()
                .map(|row| TableLoad {
                    table: row.get(0),
                    live: count(row.get(1)),
                    dead: count(row.get(2)),
                    is_vacuumed: row.get(3),
                })
                .collect(),
        })
    }
}
