//! Erasing behind: deletes, the look for rows of others that would dangle, tombstones.

use super::extent::{self, Chosen};
use super::planner;
use super::session::Session;
use super::shared;
use crate::closure::{Check, Closure};
use crate::error::{Error, Kind, Result};
use crate::site::Erased;
use crate::sql::{equal, ident, idents};
use domicile_model::{MoveId, Subject};
use futures_util::future;
use std::collections::BTreeSet;

/// The temporary tables in which an erasure keeps what foreign keys referred to.
pub(super) async fn create_tables(session: &Session, closure: &Closure) -> Result<()> {
    for at in 0..closure.owned.len() {
        create_erased_table(session, closure, at).await?;
    }
    Ok(())
}

/// Keeps, of the chosen rows, what declared foreign keys refer to, before they are deleted.
pub(super) async fn keep_referred(
    session: &Session,
    closure: &Closure,
    chosen: &Chosen,
) -> Result<()> {
    // A row that only changed its values comes again under the same key.
    let only = match chosen {
        Chosen::People => "",
        Chosen::Rows(_) => " WHERE r.below",
    };
    let mut texts = Vec::new();
    for at in 0..closure.owned.len() {
        let columns = referred_columns(closure, at);
        if columns.is_empty() || chosen.is_empty_at(at) || !chosen.brings_at(at) {
            continue;
        }
        texts.push(format!(
            "INSERT INTO pg_temp.domicile_erased_{at} SELECT {} FROM {}{only}",
            idents("t0.", &columns),
            extent::chosen_from(session, closure, at, chosen)
        ));
    }
    if texts.is_empty() {
        return Ok(());
    }
    session.batch(&texts.join(";")).await
}

/// Declared foreign keys of chosen rows that are not met here, one sentence for each. Those along
/// which the rows of whole people are found are met where nothing differs.
pub(super) async fn unmet(
    session: &Session,
    closure: &Closure,
    chosen: &Chosen,
) -> Result<Vec<String>> {
    let is_open = |check: &&Check| match chosen {
        Chosen::People => !closure.is_found_along(check),
        Chosen::Rows(_) => !chosen.is_empty_at(check.owned),
    };
    let asked = closure.checks.iter().filter(is_open).map(|check| {
        let whole: Vec<String> =
            check.columns.iter().map(|c| format!("t0.{} IS NOT NULL", ident(c))).collect();
        let statement = format!(
            "SELECT count(*) FROM {} WHERE {} AND NOT EXISTS (SELECT 1 FROM {} AS q WHERE {})",
            extent::chosen_from(session, closure, check.owned, chosen),
            whole.join(" AND "),
            check.parent.sql(),
            equal("q", &check.parent_columns, "t0", &check.columns),
        );
        async move {
            let count = count(session, &statement).await?;
            Ok((count > 0).then(|| {
                format!(
                    "{count} rows of {} refer to rows of {} that are not at site {}",
                    check.child, check.parent, session.site
                )
            }))
        }
    });
    Ok(future::try_join_all(asked).await?.into_iter().flatten().collect())
}

/// Rows that refer to kept ones that stand here no more, one sentence for each foreign key.
pub(super) async fn dangling(session: &Session, closure: &Closure) -> Result<Vec<String>> {
    let asked = closure.checks.iter().filter_map(|check| {
        let parent = closure.owned.iter().position(|table| table.name == check.parent)?;
        let statement = format!(
            "SELECT count(*) FROM pg_temp.domicile_erased_{parent} AS e \
             WHERE NOT EXISTS (SELECT 1 FROM {} AS p WHERE {}) \
             AND EXISTS (SELECT 1 FROM {} AS c WHERE {})",
            check.parent.sql(),
            equal("p", &check.parent_columns, "e", &check.parent_columns),
            check.child.sql(),
            equal("c", &check.columns, "e", &check.parent_columns),
        );
        Some(async move {
            let count = count(session, &statement).await?;
            Ok((count > 0).then(|| {
                format!(
                    "rows of {} at site {} refer to {count} rows of {} that would be deleted there",
                    check.child, session.site, check.parent
                )
            }))
        })
    });
    Ok(future::try_join_all(asked).await?.into_iter().flatten().collect())
}

async fn count(session: &Session, statement: &str) -> Result<i64> {
    let row = session.client.query_one(statement, &[]).await.map_err(|e| session.failed(e))?;
    Ok(row.get(0))
}

async fn is_partitioned(session: &Session, name: &str) -> Result<bool> {
    let row = session
        .client
        .query_one(
            "SELECT c.relkind = 'p' FROM pg_catalog.pg_class c WHERE c.oid = $1::text::regclass",
            &[&name],
        )
        .await
        .map_err(|e| session.failed(e))?;
    Ok(row.get(0))
}

/// What an erasure does with a row that somebody holds. It waits for nobody, not even for a moment:
/// it has deleted rows for which the other may be waiting, and the server, whenever it looks, ends
/// the one of two who has waited longer. So every row is locked before it is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// Gives up, with [`Kind::RetryNow`].
    Refuse,
    /// Leaves it for a later call, with everything above it.
    Skip,
}

/// Deletes up to `limit` rows of one table for the people in the batch.
async fn erase_table(
    session: &Session,
    closure: &Closure,
    at: usize,
    limit: u64,
    held: Held,
) -> Result<u64> {
    let table = &closure.owned[at];
    let name = table.name.sql();
    let from = planner::people_rows(session, closure, at);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let kept = referred_columns(closure, at);
    let lock = match held {
        Held::Refuse => " FOR UPDATE OF t0 NOWAIT",
        Held::Skip => " FOR UPDATE OF t0 SKIP LOCKED",
    };
    // A row's place is found faster than its key, and stays: nobody writes about people who left.
    // Only in a partitioned table does a place not name one row.
    let delete = if is_partitioned(session, &name).await? {
        format!(
            "DELETE FROM {name} AS d USING (SELECT {keys} FROM {from} LIMIT $1{lock}) AS x WHERE {on}",
            keys = idents("t0.", &table.key),
            on = equal("d", &table.key, "x", &table.key),
        )
    } else {
        format!(
            "DELETE FROM {name} AS d WHERE d.ctid = ANY (ARRAY(SELECT t0.ctid FROM {from} LIMIT $1{lock}))"
        )
    };
    let statement = if kept.is_empty() {
        delete
    } else {
        format!(
            "WITH gone AS ({delete} RETURNING {}), kept AS (INSERT INTO pg_temp.domicile_erased_{at} \
             SELECT * FROM gone) SELECT 1 FROM gone",
            idents("d.", &kept)
        )
    };
    session.client.execute(&statement, &[&limit]).await.map_err(|e| session.failed(e))
}

/// Whether a row of the people in the batch is left in a table.
async fn stands(session: &Session, closure: &Closure, at: usize) -> Result<bool> {
    let from = planner::people_rows(session, closure, at);
    let statement = format!("SELECT EXISTS (SELECT 1 FROM {from})");
    let row = session.client.query_one(&statement, &[]).await.map_err(|e| session.failed(e))?;
    Ok(row.get(0))
}

/// Whether a row of somebody else, committed meanwhile, refers to what was just deleted.
async fn refuse_dangling(session: &Session, closure: &Closure, counts: &[u64]) -> Result<()> {
    let mut analyzed = BTreeSet::new();
    for check in &closure.checks {
        let parent = closure.owned.iter().position(|table| table.name == check.parent);
        let Some(parent) = parent else { continue };
        if counts[parent] == 0 || closure.names_owner(check) {
            continue;
        }
        // Without its size the planner reads the whole child rather than its index.
        if analyzed.insert(parent) {
            session.batch(&format!("ANALYZE pg_temp.domicile_erased_{parent}")).await?;
        }
        let own = planner::people_from(closure, check.owned);
        let child = &closure.owned[check.owned];
        let statement = format!(
            "SELECT count(*) FROM {child_name} AS c JOIN pg_temp.domicile_erased_{parent} AS e ON {on} \
             WHERE NOT EXISTS (SELECT 1 FROM {own} WHERE {same})",
            child_name = check.child.sql(),
            on = equal("c", &check.columns, "e", &check.parent_columns),
            same = equal("t0", &child.key, "c", &child.key),
        );
        let count = count(session, &statement).await?;
        if count > 0 {
            return Err(Error::new(
                Kind::Operator,
                format!(
                    "{count} rows of {} that belong to others refer to rows of {} about to be erased",
                    check.child, check.parent
                ),
            )
            .hint("remove those rows or the foreign key, then run migrate again; nothing was erased"));
        }
    }
    Ok(())
}

pub(super) async fn erase_in_transaction(
    session: &Session,
    closure: &Closure,
    move_id: MoveId,
    subjects: &[Subject],
    limit: u64,
    held: Held,
) -> Result<Erased> {
    let names: Vec<&str> = subjects.iter().map(Subject::as_str).collect();
    let rows = session
        .client
        .query(
            "SELECT s.subject FROM domicile.subject s WHERE s.subject = ANY ($1) \
             AND s.move_id = $2 AND s.state = 'moved' AND NOT s.on_hold AND NOT EXISTS \
             (SELECT 1 FROM domicile.directive d WHERE d.subject = s.subject AND d.hold IS NOT NULL) \
             ORDER BY s.subject FOR NO KEY UPDATE",
            &[&names, &move_id.0],
        )
        .await
        .map_err(|e| session.failed(e))?;
    let ours: Vec<Subject> = rows.iter().map(|row| Subject::new(row.get::<_, String>(0))).collect();
    if ours.is_empty() {
        return Ok(Erased { rows: 0, finished: true });
    }
    extent::choose_people(session, closure, &ours).await?;
    shared::loosen(session, closure).await?;
    let mut counts = vec![0; closure.owned.len()];
    let mut left = limit;
    let mut finished = true;
    for at in (0..closure.owned.len()).rev() {
        counts[at] = erase_table(session, closure, at, left, held).await?;
        left = left.saturating_sub(counts[at]);
        if left == 0 || (held == Held::Skip && stands(session, closure, at).await?) {
            finished = false;
            break;
        }
    }
    refuse_dangling(session, closure, &counts).await?;
    let mut rows = counts.iter().sum();
    if finished {
        rows += shared::sweep(session, closure).await?;
    }
    note(session, move_id, &ours, rows, finished).await?;
    if finished {
        entomb(session, move_id, &ours).await?;
    }
    Ok(Erased { rows, finished })
}

/// Notes what is deleted in this transaction, for the account of the erasure.
async fn note(
    session: &Session,
    move_id: MoveId,
    ours: &[Subject],
    rows: u64,
    finished: bool,
) -> Result<()> {
    let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let people = if finished { ours.len() as u64 } else { 0 };
    session
        .client
        .execute(
            "INSERT INTO domicile.erasure AS e (move_id, home, people, rows, erased_at, xid) \
             SELECT $1, s.peer, $2, $3, pg_catalog.clock_timestamp(), pg_catalog.pg_current_xact_id() \
             FROM domicile.subject s WHERE s.subject = $4 \
             ON CONFLICT (move_id) DO UPDATE SET people = e.people + excluded.people, \
                 rows = e.rows + excluded.rows, erased_at = excluded.erased_at, xid = excluded.xid, \
                 horizon_at = NULL, horizon_xid = NULL, lsn = NULL, files = NULL",
            &[&move_id.0, &number(people), &number(rows), &ours[0].as_str()],
        )
        .await
        .map_err(|e| session.failed(e))?;
    Ok(())
}

/// Replaces the entries of people with nothing left here by tombstones.
async fn entomb(session: &Session, move_id: MoveId, subjects: &[Subject]) -> Result<()> {
    let names: Vec<&str> = subjects.iter().map(Subject::as_str).collect();
    session
        .client
        .execute(
            "WITH gone AS (DELETE FROM domicile.subject s WHERE s.subject = ANY ($1) \
                 AND s.move_id = $2 AND s.state = 'moved' RETURNING s.subject, s.peer, s.decided_at) \
             INSERT INTO domicile.gone AS g (subject, home, move_id, decided_at) \
             SELECT subject, peer, $2, decided_at FROM gone \
             ON CONFLICT (subject) DO UPDATE SET home = excluded.home, move_id = excluded.move_id, \
                 decided_at = excluded.decided_at, erased_at = excluded.erased_at",
            &[&names, &move_id.0],
        )
        .await
        .map_err(|e| session.failed(e))?;
    session
        .client
        .execute("DELETE FROM domicile.touched t WHERE t.subject = ANY ($1)", &[&names])
        .await
        .map_err(|e| session.failed(e))?;
    Ok(())
}

/// The columns of a table that declared foreign keys of owned tables refer to.
fn referred_columns(closure: &Closure, at: usize) -> Vec<String> {
    let name = &closure.owned[at].name;
    let mut columns: Vec<String> = closure
        .checks
        .iter()
        .filter(|check| &check.parent == name)
        .flat_map(|check| check.parent_columns.clone())
        .collect();
    columns.sort();
    columns.dedup();
    columns
}

async fn create_erased_table(session: &Session, closure: &Closure, at: usize) -> Result<()> {
    let table = &closure.owned[at];
    let columns: Vec<String> = referred_columns(closure, at)
        .iter()
        .map(|column| format!("{} {}", ident(column), table.type_of(column).unwrap_or("text")))
        .collect();
    if columns.is_empty() {
        return Ok(());
    }
    session
        .batch(&format!(
            "CREATE TEMP TABLE domicile_erased_{at} ({}) ON COMMIT DELETE ROWS",
            columns.join(", ")
        ))
        .await
}
