//! Rows that stand in the way of those that arrive.

use super::super::client::Parameter;
use super::super::session::Session;
use super::super::text::{owner_text, path_joins};
use super::{Chosen, Picked, choose_children, delete_chosen, forget_rows};
use crate::closure::Closure;
use crate::error::{Error, Kind, Result};
use crate::sql::{equal, idents};
use futures_util::{TryFutureExt as _, future};

/// Chooses what stands under the keys that wait in a table's stage, where it belongs to somebody
/// arriving from `peer`: a row that passed from one moving person to another still stands here
/// under the old owner. Rows of anybody else stay. Returns how many.
pub(in crate::postgres) async fn choose_stale(
    session: &Session,
    closure: &Closure,
    at: usize,
    peer: &str,
    mark: &str,
) -> Result<u64> {
    let table = &closure.owned[at];
    let stands = format!(
        "FROM pg_temp.domicile_stage_{at} AS x, {}, domicile.subject AS s WHERE {} \
         AND s.subject = {} AND s.state = 'arriving' AND s.peer = $1",
        path_joins(closure, at).0,
        equal("t0", &table.key, "x", &table.key),
        owner_text(closure, at),
    );
    let before_mark = "pg_catalog.pg_visible_in_snapshot(s.shipped, $2::text::pg_snapshot)";
    let newer = format!("SELECT count(*) {stands} AND NOT {before_mark}");
    let stale = format!(
        "INSERT INTO pg_temp.domicile_rows_{at} SELECT DISTINCT {}, true {stands} AND {before_mark}",
        idents("t0.", &table.key)
    );
    let parameters: [&dyn Parameter; 2] = [&peer, &mark];
    let forgotten = forget_rows(session, closure);
    let newer = session.client.query_one(&newer, &parameters).map_err(|e| session.failed(e));
    let stale = session.client.execute(&stale, &parameters).map_err(|e| session.failed(e));
    let ((), newer, stale) = future::try_join3(forgotten, newer, stale).await?;
    if newer.get::<_, i64>(0) > 0 {
        let text = "a row that arrives was shipped for somebody else meanwhile";
        return Err(Error::new(Kind::RetryNow, text));
    }
    Ok(stale)
}

/// Deletes the stale rows that are chosen in a table, and everything below.
pub(in crate::postgres) async fn delete_stale(
    session: &Session,
    closure: &Closure,
    at: usize,
    stale: u64,
) -> Result<()> {
    let mut picked = Picked::nothing(closure);
    (picked.rows[at], picked.brings[at]) = (stale, true);
    for below in at + 1..closure.owned.len() {
        choose_children(session, closure, below, &mut picked).await?;
    }
    delete_chosen(session, closure, &Chosen::Rows(picked)).await
}
