//! What about a whole server or database a plan should know.

use crate::error::Result;
use crate::postgres::session::{APPLICATION, Session};

/// Each one sentence.
pub(super) async fn read(session: &Session) -> Result<Vec<String>> {
    let rows =
        session.client.query(WARNINGS, &[&APPLICATION]).await.map_err(|e| session.failed(e))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

const WARNINGS: &str = "
    SELECT pg_catalog.format('process %s is logged in as the mover''s role and is not the mover', a.pid)
        FROM pg_catalog.pg_stat_activity a
        WHERE a.usename = session_user AND a.datname = pg_catalog.current_database()
        AND a.application_name <> $1 AND a.pid <> pg_catalog.pg_backend_pid()
    UNION ALL
    SELECT pg_catalog.format('standby %s is asynchronous: a failover to it can take back decisions', r.application_name)
        FROM pg_catalog.pg_stat_replication r WHERE r.sync_state = 'async'
    UNION ALL
    SELECT pg_catalog.format('synchronous_commit is %s where a session does not say otherwise: a crash can take '
            || 'back what the application was told is done', s.reset_val)
        FROM pg_catalog.pg_settings s WHERE s.name = 'synchronous_commit' AND s.reset_val IN ('off', 'local')
        AND (s.reset_val = 'off' OR pg_catalog.current_setting('synchronous_standby_names') <> '')
    UNION ALL
    SELECT pg_catalog.format('%s sets %s: a crash can take back what its sessions were told is done',
            coalesce('role ' || pg_catalog.pg_get_userbyid(nullif(x.setrole, 0)), 'the database'), c)
        FROM pg_catalog.pg_db_role_setting x, pg_catalog.unnest(x.setconfig) c
        WHERE c = 'synchronous_commit=off' AND x.setdatabase IN (0, (SELECT d.oid
            FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()))
    UNION ALL
    SELECT pg_catalog.format('publication %s sends rows to subscribers: they get who arrives here, wherever '
            || 'they stand, and are told to delete who leaves', p.pubname)
        FROM pg_catalog.pg_publication p
    UNION ALL
    SELECT pg_catalog.format('subscription %s writes here: tables that it writes are refused where people own them', s.subname)
        FROM pg_catalog.pg_subscription s WHERE s.subdbid = (SELECT d.oid FROM pg_catalog.pg_database d
            WHERE d.datname = pg_catalog.current_database())
    UNION ALL
    SELECT pg_catalog.format('table %s has REPLICA IDENTITY FULL: the log keeps each row whole when it is erased',
            c.oid::regclass)
        FROM pg_catalog.pg_class c WHERE c.relreplident = 'f' AND c.relkind = 'r'
        AND pg_catalog.current_setting('wal_level') = 'logical'
    UNION ALL
    SELECT pg_catalog.format('replication slot %s keeps the log of this database%s: erased rows stay in it until it is read',
            s.slot_name, CASE WHEN s.active THEN '' ELSE ', and nobody reads it now' END)
        FROM pg_catalog.pg_replication_slots s WHERE s.slot_type = 'logical'
        AND s.database = pg_catalog.current_database()";
