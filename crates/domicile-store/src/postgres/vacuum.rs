//! Vacuuming behind an erasure: what autovacuum would do later, or not at all.

use super::erasure::{self, TABLES};
use super::session::Session;
use crate::error::Result;
use crate::site::Vacuumed;

/// As gently as autovacuum, and ended when the mover is gone.
const GENTLY: &str = "SET vacuum_cost_delay = '2ms'; SET client_connection_check_interval = '1s'";

/// Tables that nobody has vacuumed since an erasure; whether a tenth or more of each is dead, and
/// whether the erased rows can be seen no more, so that a VACUUM can remove them. Small tables go
/// along with others, so that the account of the erasure is not held up by them.
fn due() -> String {
    format!(
        "WITH {TABLES}, e AS (SELECT max(horizon_at) AS horizon_at, max(erased_at) AS erased_at \
             FROM domicile.erasure) \
         SELECT t.oid::regclass::text, e.horizon_at > coalesce(v.at, '-infinity'), \
             s.n_dead_tup > 0 AND s.n_dead_tup * 10 >= s.n_live_tup, c.relpages < {SMALL} \
         FROM e, tables t JOIN pg_catalog.pg_class c ON c.oid = t.oid \
             JOIN pg_catalog.pg_stat_all_tables s ON s.relid = t.oid, \
             LATERAL (SELECT greatest(s.last_vacuum, s.last_autovacuum) AS at) v \
         WHERE greatest(e.horizon_at, e.erased_at) > coalesce(v.at, '-infinity') ORDER BY 1"
    )
}

/// Pages: eight megabytes.
const SMALL: u32 = 1000;

const LAST: &str = "SELECT (extract(epoch FROM s.last_vacuum) * 1000000)::bigint \
    FROM pg_catalog.pg_stat_all_tables s WHERE s.relid = $1::text::regclass";

async fn last(session: &Session, table: &str) -> Result<Option<i64>> {
    let row =
        session.client.query_opt(LAST, &[&table]).await.map_err(|error| session.failed(error))?;
    Ok(row.and_then(|row| row.get(0)))
}

/// Every table in its turn. What entries of indexes lead to goes too, and no table gives room back
/// to the disk, since that would lock it.
pub(super) async fn vacuum(session: &Session) -> Result<Vacuumed> {
    let mut found = Vacuumed::default();
    if !erasure::exists(session).await? {
        return Ok(found);
    }
    erasure::note_horizon(session).await?;
    session.batch(GENTLY).await?;
    let rows = session.client.query(&due(), &[]).await.map_err(|error| session.failed(error))?;
    if !rows.iter().any(|row| row.get(2)) {
        return Ok(found);
    }
    for row in rows.iter().filter(|row| row.get(2) || row.get(3)) {
        let table: String = row.get(0);
        if row.get::<_, Option<bool>>(1) != Some(true) {
            found.too_early.push(table);
            continue;
        }
        let before = last(session, &table).await?;
        let options = "ANALYZE, INDEX_CLEANUP ON, TRUNCATE OFF, SKIP_LOCKED";
        session.batch(&format!("VACUUM ({options}) {table}")).await?;
        // A table that is not ours, or is locked, is passed over without an error.
        match last(session, &table).await? == before {
            true => found.skipped.push(table),
            false => found.tables.push(table),
        }
    }
    Ok(found)
}
