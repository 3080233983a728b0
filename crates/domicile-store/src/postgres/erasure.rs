//! The account of an erasure: what is left of deleted rows, from evidence.
//!
//! Once nobody's snapshot is old enough to see the deleted rows, that moment is written down, with
//! the log's place and the files of the tables. Whatever VACUUM, ANALYZE or rewriting begins later
//! leaves the rows out; none that was under way then can be taken for one that began later, since
//! the moment is not written down while anybody holds the lock that all of them take.

use super::session::Session;
use crate::error::Result;
use crate::site::{ErasedMove, Rung, RungState};
use jiff::Timestamp;
use tokio_postgres::error::SqlState;

/// The tables of people that have a file, with what stores their long values.
pub(super) const TABLES: &str = "
tables AS (SELECT c.oid, c.relname, c.reltoastrelid FROM pg_catalog.pg_class c
    WHERE c.relkind = 'r' AND (c.oid IN (SELECT r FROM domicile.relations() r)
        OR c.oid IN ('domicile.subject'::regclass, 'domicile.touched'::regclass))),
stored AS (SELECT t.oid, t.oid AS owner FROM tables t
    UNION ALL SELECT t.reltoastrelid, t.oid FROM tables t WHERE t.reltoastrelid <> 0)";

/// The oldest transaction number that a session, a slot or a prepared transaction may still need.
const CUTOFF: &str = "
SELECT least(min(pg_catalog.pg_snapshot_xmin(s.s)::text::bigint), min(n.next - o.age))
    - coalesce(pg_catalog.current_setting('vacuum_defer_cleanup_age', true)::bigint, 0)
FROM (SELECT pg_catalog.pg_current_snapshot() AS s) s,
    LATERAL (SELECT pg_catalog.pg_snapshot_xmax(s.s)::text::bigint AS next) n
    LEFT JOIN LATERAL (
        SELECT pg_catalog.age(a.backend_xmin) AS age FROM pg_catalog.pg_stat_activity a
            WHERE a.pid <> pg_catalog.pg_backend_pid()
        UNION ALL SELECT pg_catalog.age(a.backend_xid) FROM pg_catalog.pg_stat_activity a
        UNION ALL SELECT pg_catalog.age(r.xmin) FROM pg_catalog.pg_replication_slots r
        UNION ALL SELECT pg_catalog.age(p.transaction) FROM pg_catalog.pg_prepared_xacts p) o ON true";

/// Writes down, for every erasure, that nobody can see its rows any more; nothing while it is not so.
pub(super) async fn note_horizon(session: &Session) -> Result<()> {
    if !exists(session).await? {
        return Ok(());
    }
    // A snapshot can pass from one session to another between two reads of the list.
    let mut cutoff = i64::MAX;
    for _ in 0..2 {
        let row = session.client.query_one(CUTOFF, &[]).await.map_err(|e| session.failed(e))?;
        cutoff = cutoff.min(row.get::<_, Option<i64>>(0).unwrap_or(0));
    }
    // The files are not told where tables stand in tablespaces of their own: moving a table from
    // one to another copies its pages as they are.
    let statement = format!(
        "WITH {TABLES}, held AS (SELECT x.oid FROM stored x UNION \
             SELECT i.indexrelid FROM pg_catalog.pg_index i JOIN stored x ON x.oid = i.indrelid) \
         UPDATE domicile.erasure e SET horizon_at = pg_catalog.clock_timestamp(), \
             horizon_xid = pg_catalog.pg_current_xact_id(), \
             lsn = pg_catalog.pg_current_wal_insert_lsn(), \
             files = (SELECT CASE WHEN pg_catalog.bool_and(c.reltablespace = 0) \
                 THEN pg_catalog.array_agg(pg_catalog.pg_relation_filenode(c.oid)) END \
                 FROM pg_catalog.pg_class c JOIN held h ON h.oid = c.oid) \
         WHERE e.horizon_at IS NULL AND e.xid::text::bigint < $1 AND NOT EXISTS ( \
             SELECT 1 FROM pg_catalog.pg_locks l WHERE l.locktype = 'relation' AND l.granted \
                 AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid() \
                 AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d \
                     WHERE d.datname = pg_catalog.current_database()) \
                 AND l.relation IN (SELECT oid FROM stored) \
                 AND l.mode IN ('ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', \
                     'ExclusiveLock', 'AccessExclusiveLock'))"
    );
    session.client.execute(&statement, &[&cutoff]).await.map_err(|e| session.failed(e))?;
    Ok(())
}

/// The account of every erasure here.
pub(super) async fn account(session: &Session) -> Result<Vec<ErasedMove>> {
    note_horizon(session).await?;
    if !exists(session).await? {
        return Ok(Vec::new());
    }
    let rows = session
        .client
        .query(
            "SELECT e.move_id, e.home, e.people, e.rows, \
                 (extract(epoch FROM e.erased_at) * 1000000)::bigint, \
                 (SELECT count(*) FROM domicile.subject s WHERE s.move_id = e.move_id AND s.state = 'moved'), \
                 count(g.subject), (extract(epoch FROM max(g.erased_at)) * 1000000)::bigint, \
                 e.horizon_at IS NOT NULL \
             FROM domicile.erasure e LEFT JOIN domicile.gone g ON g.move_id = e.move_id \
             GROUP BY e.move_id ORDER BY e.erased_at, e.move_id",
            &[],
        )
        .await
        .map_err(|e| session.failed(e))?;
    let mut found = Vec::new();
    for row in &rows {
        let count = |at: usize| u64::try_from(row.get::<_, i64>(at)).unwrap_or(0);
        let mut erased = ErasedMove {
            move_id: row.get(0),
            home: row.get(1),
            people: count(2),
            rows: count(3),
            erased_at: moment(Some(row.get(4))).unwrap_or_default(),
            pending: count(5),
            tombstones: count(6),
            last_tombstone_at: moment(row.get(7)),
            rungs: Vec::new(),
        };
        erased.rungs.push(erased.deleted());
        let after = if row.get(8) && erased.pending == 0 {
            vec![
                vacuumed(session, erased.move_id).await?,
                rewritten(session, erased.move_id).await?,
                log(session, erased.move_id).await?,
                standbys(session, erased.move_id).await?,
                statistics(session, erased.move_id).await?,
            ]
        } else {
            [
                "dead_tuples_vacuumed",
                "pages_rewritten",
                "wal_recycled",
                "standbys_caught_up",
                "statistics_refreshed",
            ]
            .map(too_early)
            .to_vec()
        };
        erased.rungs.extend(after);
        found.push(erased);
    }
    Ok(found)
}

pub(super) async fn exists(session: &Session) -> Result<bool> {
    let row = session
        .client
        .query_one("SELECT pg_catalog.to_regclass('domicile.erasure') IS NOT NULL", &[])
        .await
        .map_err(|e| session.failed(e))?;
    Ok(row.get(0))
}

fn moment(micros: Option<i64>) -> Option<Timestamp> {
    Timestamp::from_microsecond(micros?).ok()
}

fn too_early(rung: &'static str) -> Rung {
    let why = "a transaction, slot or maintenance from before may still see or hold the rows";
    Rung::new(rung, RungState::NotYet, why).hint("look again when they have ended")
}

/// A table is clean when its file is a new one, or when a VACUUM that began after the horizon left
/// every page all-visible: such a page has neither dead tuples nor pointers to them, so that no
/// entry of an index leads to one.
async fn vacuumed(session: &Session, move_id: i64) -> Result<Rung> {
    let statement = format!(
        "WITH {TABLES}, e AS (SELECT * FROM domicile.erasure WHERE move_id = $1) \
         SELECT string_agg(DISTINCT x.owner::regclass::text, ', ') FILTER (WHERE v.at IS NULL), \
             string_agg(DISTINCT x.owner::regclass::text, ', ') FILTER (WHERE v.at IS NOT NULL \
                 AND c.relallvisible <> c.relpages), \
             (extract(epoch FROM coalesce(max(v.at), max(e.horizon_at))) * 1000000)::bigint \
         FROM e, stored x JOIN pg_catalog.pg_class c ON c.oid = x.oid \
         LEFT JOIN LATERAL (SELECT greatest(s.last_vacuum, s.last_autovacuum) AS at \
             FROM pg_catalog.pg_stat_all_tables s, e WHERE s.relid = x.oid \
             AND greatest(s.last_vacuum, s.last_autovacuum) > e.horizon_at) v ON true \
         WHERE e.files IS NULL OR c.reltablespace <> 0 \
             OR pg_catalog.pg_relation_filenode(c.oid) = ANY (e.files)"
    );
    let row =
        session.client.query_one(&statement, &[&move_id]).await.map_err(|e| session.failed(e))?;
    let rung = |state, why| Rung::new("dead_tuples_vacuumed", state, why);
    let (missing, partly): (Option<String>, Option<String>) = (row.get(0), row.get(1));
    Ok(match (missing, partly) {
        (Some(tables), _) => rung(RungState::NotYet, format!("no VACUUM since of {tables}"))
            .hint(format!("VACUUM (INDEX_CLEANUP ON) {tables}")),
        (None, Some(tables)) => {
            rung(RungState::NotKnown, format!("VACUUM did not leave every page of {tables} clean"))
                .hint(format!("VACUUM (INDEX_CLEANUP ON) {tables} while nobody writes there"))
        }
        (None, None) => {
            let why = "every page was clean after a VACUUM that began since, or its file is new";
            let rung = rung(RungState::Done, why.to_owned());
            moment(row.get(2)).map_or(rung.clone(), |at| rung.at(at))
        }
    })
}

/// VACUUM frees room and overwrites nothing: bytes stay until the page's file is gone.
async fn rewritten(session: &Session, move_id: i64) -> Result<Rung> {
    let row = session
        .client
        .query_one(
            "SELECT e.files IS NULL, count(c.oid), \
                 string_agg(c.oid::regclass::text, ', ' ORDER BY c.oid) FILTER (WHERE c.relkind = 'r'), \
                 (extract(epoch FROM pg_catalog.now()) * 1000000)::bigint \
             FROM domicile.erasure e LEFT JOIN pg_catalog.pg_class c \
                 ON pg_catalog.pg_relation_filenode(c.oid) = ANY (e.files) OR (c.reltablespace <> 0 \
                     AND c.oid IN (SELECT r FROM domicile.relations() r)) \
             WHERE e.move_id = $1 GROUP BY e.files",
            &[&move_id],
        )
        .await
        .map_err(|e| session.failed(e))?;
    let rung = |state, why| Rung::new("pages_rewritten", state, why);
    if row.get(0) {
        return Ok(rung(
            RungState::NotKnown,
            "tables stand in tablespaces of their own".to_owned(),
        ));
    }
    let (files, tables): (i64, Option<String>) = (row.get(1), row.get(2));
    Ok(if files > 0 {
        let rung = rung(
            RungState::NotYet,
            format!("{files} files from before are in use; their free space may hold the bytes"),
        );
        match tables {
            Some(tables) => rung.hint(format!("VACUUM FULL {tables}")),
            None => rung.hint("REINDEX the tables"),
        }
    } else {
        let rung = rung(RungState::Done, "every file that held the rows was replaced".to_owned());
        moment(row.get(3)).map_or(rung.clone(), |at| rung.at(at))
    })
}

/// That nothing is left in the log cannot be seen from a session: recycled segments keep what they
/// held until they are written over, and pages with the bytes may be logged whole again.
async fn log(session: &Session, move_id: i64) -> Result<Rung> {
    let rung = |state, why: &str| Rung::new("wal_recycled", state, why);
    let row = session
        .client
        .query_one(
            "SELECT (SELECT min(substr(w.name, 9)) FROM pg_catalog.pg_ls_waldir() w \
                 WHERE w.name ~ '^[0-9A-F]{24}$') <= substr(pg_catalog.pg_walfile_name(e.lsn), 9) \
             FROM domicile.erasure e WHERE e.move_id = $1",
            &[&move_id],
        )
        .await;
    match row {
        Ok(row) if row.get::<_, Option<bool>>(0) == Some(true) => {
            Ok(rung(RungState::NotYet, "segments from before are on disk").hint(
                "they go with checkpoints, unless a slot or a failing archive_command keeps them",
            ))
        }
        Ok(_) => Ok(rung(
            RungState::NotKnown,
            "no segment bears an old name, but reused files and pages logged whole since may hold rows",
        )),
        Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
            Ok(rung(RungState::NotKnown, "the mover's role may not list the log's segments")
                .hint("GRANT EXECUTE ON FUNCTION pg_ls_waldir() TO the mover's role"))
        }
        Err(error) => Err(session.failed(error)),
    }
}

/// Attached ones and those a slot waits for; others are not seen.
async fn standbys(session: &Session, move_id: i64) -> Result<Rung> {
    let row = session
        .client
        .query_one(
            "SELECT count(*), count(*) FILTER (WHERE f.lsn >= e.lsn), \
                 string_agg(f.name, ', ') FILTER (WHERE f.lsn < e.lsn OR f.lsn IS NULL), \
                 (extract(epoch FROM pg_catalog.now()) * 1000000)::bigint \
             FROM domicile.erasure e JOIN ( \
                 SELECT r.application_name AS name, r.replay_lsn AS lsn FROM pg_catalog.pg_stat_replication r \
                 UNION ALL SELECT s.slot_name, coalesce(s.confirmed_flush_lsn, s.restart_lsn) \
                 FROM pg_catalog.pg_replication_slots s WHERE NOT s.temporary) f ON true \
             WHERE e.move_id = $1",
            &[&move_id],
        )
        .await
        .map_err(|e| session.failed(e))?;
    let (all, there): (i64, i64) = (row.get(0), row.get(1));
    let rung = |state, why| Rung::new("standbys_caught_up", state, why);
    Ok(match row.get::<_, Option<String>>(2) {
        Some(behind) => rung(RungState::NotYet, format!("behind: {behind}")),
        None if all == 0 => {
            let why = "none is attached and no slot waits; others cannot be seen";
            rung(RungState::NotKnown, why.to_owned())
        }
        None => {
            let why = format!("{there} of {all} attached ones and slots are past the deletes");
            let rung = rung(RungState::Done, why);
            moment(row.get(3)).map_or(rung.clone(), |at| rung.at(at))
        }
    })
}

/// Which samples were taken since shows in the transaction that wrote them; when ANALYZE ended says
/// less, since of a table without rows it leaves the old samples.
async fn statistics(session: &Session, move_id: i64) -> Result<Rung> {
    let statement = format!(
        "WITH {TABLES}, sampled AS (SELECT r AS oid FROM domicile.relations() r \
             UNION SELECT oid FROM tables UNION SELECT i.indexrelid FROM pg_catalog.pg_index i \
             JOIN tables t ON t.oid = i.indrelid), \
         e AS (SELECT horizon_xid, age(((horizon_xid::text::numeric) % 4294967296)::text::xid) AS age \
             FROM domicile.erasure WHERE move_id = $1), \
         old AS (SELECT s.starelid AS oid FROM pg_catalog.pg_statistic s, e \
                 WHERE s.starelid IN (SELECT oid FROM sampled) AND age(s.xmin) > e.age \
             UNION SELECT x.stxrelid FROM pg_catalog.pg_statistic_ext_data d \
                 JOIN pg_catalog.pg_statistic_ext x ON x.oid = d.stxoid, e \
                 WHERE x.stxrelid IN (SELECT oid FROM sampled) AND age(d.xmin) > e.age) \
         SELECT string_agg(oid::regclass::text, ', '), \
             (extract(epoch FROM pg_catalog.now()) * 1000000)::bigint FROM old"
    );
    let rung = |state, why| Rung::new("statistics_refreshed", state, why);
    let row = match session.client.query_one(&statement, &[&move_id]).await {
        Ok(row) => row,
        Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
            let why = "the mover's role may not read pg_statistic";
            return Ok(rung(RungState::NotKnown, why.to_owned())
                .hint("GRANT SELECT ON pg_statistic, pg_statistic_ext_data TO the mover's role"));
        }
        Err(error) => return Err(session.failed(error)),
    };
    Ok(match row.get::<_, Option<String>>(0) {
        Some(tables) => rung(RungState::NotYet, format!("samples of before stand for {tables}"))
            .hint("ANALYZE the tables; of one without rows ANALYZE keeps the samples"),
        None => {
            let rung = rung(RungState::Done, "every sample was taken since".to_owned());
            moment(row.get(1)).map_or(rung.clone(), |at| rung.at(at))
        }
    })
}
