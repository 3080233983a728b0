//! Shared rows on their way: which are chosen, which go behind, and how they are put in place.

use super::super::client::Parameter;
use super::super::extent::{self, Chosen, key_json as json_of};
use super::super::planner;
use super::super::session::Session;
use super::super::text::{has_key, key_json, owner_text, path_joins, record};
use crate::closure::{Closure, OwnedTable, Referrer, SharedTable};
use crate::error::{Error, Kind, Result};
use crate::site::Touched;
use crate::sql::{equal, ident, idents, literal};

/// Deletes loose rows that nobody refers to; returns how many.
pub(in crate::postgres) async fn sweep(session: &Session, closure: &Closure) -> Result<u64> {
    if closure.shared.is_empty() {
        return Ok(0);
    }
    let row = session.client.query_one("SELECT domicile.sweep()", &[]).await;
    let rows: i64 = row.map_err(|e| session.failed(e))?.get(0);
    Ok(rows.unsigned_abs())
}

/// `(person, key) JOIN t0`: the rows that people of the batch refer to, once for each person.
pub(in crate::postgres) fn people_from(closure: &Closure, shared: &SharedTable) -> String {
    let table = &shared.table;
    let places: Vec<String> = (0..table.key.len()).map(|place| format!("k{place}")).collect();
    let part = |referrer: &Referrer| {
        let keys = table.key.iter().zip(&places);
        let keys: Vec<String> =
            keys.map(|(column, place)| format!("s.{} AS {place}", ident(column))).collect();
        format!(
            "SELECT b.subject, {} FROM {} JOIN {} AS s ON {}",
            keys.join(", "),
            planner::people_from(closure, referrer.owned),
            table.name.sql(),
            equal("s", &referrer.parent_columns, "t0", &referrer.columns),
        )
    };
    let parts: Vec<String> = shared.referrers.iter().map(part).collect();
    format!(
        "({}) AS b JOIN {} AS t0 ON {}",
        parts.join(" UNION "),
        table.name.sql(),
        equal("t0", &table.key, "b", &places)
    )
}

/// Chooses the shared rows that chosen rows refer to, and those that are noted, as far as the
/// person of the note refers to them here. `rows` is how many are chosen of each owned table.
pub(in crate::postgres) async fn choose(
    session: &Session,
    closure: &Closure,
    place: usize,
    touched: &[Touched],
    rows: &[u64],
) -> Result<u64> {
    let Some(shared) = closure.shared_at(place) else { return Ok(0) };
    let table = &shared.table;
    let notes: Vec<&Touched> = touched.iter().filter(|note| note.table == place).collect();
    let keys: Vec<String> = notes.iter().map(|note| json_of(&note.key)).collect();
    let subjects: Vec<&str> = notes.iter().map(|note| note.subject.as_str()).collect();
    let insert = format!(
        "INSERT INTO pg_temp.domicile_rows_{place} SELECT DISTINCT {}, false",
        idents("s.", &table.key)
    );
    let is_new = format!(
        "NOT EXISTS (SELECT 1 FROM pg_temp.domicile_rows_{place} AS y WHERE {})",
        equal("y", &table.key, "s", &table.key)
    );
    let mut chosen = 0;
    for referrer in &shared.referrers {
        let on = equal("s", &referrer.parent_columns, "t0", &referrer.columns);
        if rows[referrer.owned] > 0 {
            let statement = format!(
                "{insert} FROM {} JOIN {} AS s ON {on} WHERE {is_new}",
                extent::rows_from(closure, referrer.owned),
                table.name.sql()
            );
            chosen +=
                session.client.execute(&statement, &[]).await.map_err(|e| session.failed(e))?;
        }
        if !notes.is_empty() {
            let statement = format!(
                "{insert} FROM unnest($1::text[], $2::text[]) AS x(key, subject), {} AS s, {} \
                 WHERE {} AND {on} AND {} = x.subject AND {is_new}",
                table.name.sql(),
                path_joins(closure, referrer.owned).0,
                has_key("s", table, "x.key"),
                owner_text(closure, referrer.owned),
            );
            chosen += session
                .client
                .execute(&statement, &[&keys, &subjects])
                .await
                .map_err(|e| session.failed(e))?;
        }
    }
    Ok(chosen)
}

/// Marks the shared rows that the batch's people refer to, before their rows are deleted.
pub(in crate::postgres) async fn loosen(session: &Session, closure: &Closure) -> Result<()> {
    let home = "(SELECT p.peer FROM domicile.subject p WHERE p.subject = b.subject)";
    loosen_where(session, closure, &Chosen::People, home, "true").await
}

/// The same for chosen rows, of what a move brought here and is as it brought it: others were here
/// before, or are somebody's at home, and stay.
pub(in crate::postgres) async fn loosen_brought(
    session: &Session,
    closure: &Closure,
    chosen: &Chosen,
) -> Result<()> {
    let brought = "EXISTS (SELECT 1 FROM domicile.brought b WHERE b.relation = {relation} \
        AND b.key = x.key AND b.digest = x.digest)";
    loosen_where(session, closure, chosen, "NULL::text", brought).await
}

async fn loosen_where(
    session: &Session,
    closure: &Closure,
    chosen: &Chosen,
    home: &str,
    only: &str,
) -> Result<()> {
    for shared in &closure.shared {
        let table = &shared.table;
        let part = |referrer: &Referrer| {
            format!(
                "SELECT {} AS key, {home} AS home, {} AS digest FROM {} JOIN {} AS s ON {}",
                key_json("s", &table.key),
                digest("s", table),
                extent::chosen_from(session, closure, referrer.owned, chosen),
                table.name.sql(),
                equal("s", &referrer.parent_columns, "t0", &referrer.columns),
            )
        };
        let referrers = shared.referrers.iter();
        let parts: Vec<String> =
            referrers.filter(|r| !chosen.is_empty_at(r.owned)).map(part).collect();
        if parts.is_empty() {
            continue;
        }
        // In one order everywhere, and holding marks that stand: who sweeps meanwhile skips them.
        let relation = literal(&table.name.sql());
        let statement = format!(
            "INSERT INTO domicile.loose AS l (relation, key, home) \
             SELECT {relation}, x.key, min(x.home) FROM ({}) AS x WHERE {} \
             GROUP BY 2 ORDER BY 2 ON CONFLICT (relation, key) \
             DO UPDATE SET home = coalesce(excluded.home, l.home)",
            parts.join(" UNION ALL "),
            only.replace("{relation}", &relation),
        );
        session.batch(&statement).await?;
    }
    Ok(())
}

/// What a lane knows of itself when it puts shared rows in place.
pub(in crate::postgres) struct Putting {
    /// For each shared table, the columns that only the database gives numbers to.
    numbered: Vec<Vec<String>>,
    /// The transactions of this lane that brought shared rows since the mark: the next snapshot is
    /// taken after them.
    own: Vec<String>,
}

impl Putting {
    pub(in crate::postgres) async fn new(session: &Session, closure: &Closure) -> Result<Putting> {
        let always = "SELECT a.attname::text FROM pg_catalog.pg_attribute a \
            WHERE a.attrelid = $1::text::regclass AND a.attidentity = 'a' AND NOT a.attisdropped";
        let mut numbered = Vec::new();
        for shared in &closure.shared {
            let name = shared.table.name.sql();
            let rows =
                session.client.query(always, &[&name]).await.map_err(|e| session.failed(e))?;
            numbered.push(rows.iter().map(|row| row.get(0)).collect());
        }
        Ok(Putting { numbered, own: Vec::new() })
    }

    /// A new mark has been set, which sees what this lane brought.
    pub(in crate::postgres) fn marked(&mut self) {
        self.own.clear();
    }
}

/// Puts staged rows in place: those that are missing come; those that stand as a move from the same
/// peer brought them are brought up to date, unless that was since the mark, since this may then
/// be an older word; and all others must be equal already.
pub(in crate::postgres) async fn put(
    session: &Session,
    closure: &Closure,
    place: usize,
    putting: &mut Putting,
    (peer, mark): (&str, &str),
) -> Result<()> {
    let Some(shared) = closure.shared_at(place) else { return Ok(()) };
    let table = &shared.table;
    let stage = format!("pg_temp.domicile_stage_{place}");
    let failed = |e| session.failed(e);
    session.client.execute(&insert(table, &stage), &[&peer]).await.map_err(failed)?;
    if let Some(lock) = hold_renamed(closure, shared, &stage) {
        session.batch(&lock).await?;
    }
    let before = "(pg_catalog.pg_visible_in_snapshot(b.came, $2::text::pg_snapshot) \
        OR b.came::text = ANY ($3::text[]))";
    let numbered = &putting.numbered[place - closure.owned.len()];
    if let Some(statement) = forward(closure, shared, &stage, numbered, before) {
        let values: [&dyn Parameter; 3] = [&peer, &mark, &putting.own];
        session.client.execute(&statement, &values).await.map_err(failed)?;
    }
    // Nobody may change them between this look and the commit.
    let statement = format!(
        "WITH held AS MATERIALIZED (SELECT t0.* FROM {name} AS t0 JOIN {stage} AS y ON {same} \
         ORDER BY {keys} FOR SHARE OF t0), \
         odd AS (SELECT {key} AS key, EXISTS (SELECT 1 FROM domicile.brought b \
           WHERE b.relation = {relation} AND b.key = {key} AND b.peer = $1 AND NOT {before}) AS newer \
         FROM {stage} AS x WHERE NOT EXISTS (SELECT 1 FROM held AS t0 \
         WHERE {found} AND {here} = {there}) LIMIT 1) \
         SELECT pg_catalog.pg_current_xact_id()::text, odd.key, odd.newer \
         FROM (SELECT 1) AS one LEFT JOIN odd ON true",
        key = key_json("x", &table.key),
        relation = literal(&table.name.sql()),
        name = table.name.sql(),
        same = equal("t0", &table.key, "y", &table.key),
        keys = idents("t0.", &table.key),
        found = equal("t0", &table.key, "x", &table.key),
        here = digest("t0", table),
        there = digest("x", table),
    );
    let values: [&dyn Parameter; 3] = [&peer, &mark, &putting.own];
    let row = session.client.query_one(&statement, &values).await.map_err(failed)?;
    putting.own.push(row.get(0));
    match (row.get::<_, Option<&str>>(1), row.get(2)) {
        (None, _) => Ok(()),
        (Some(_), Some(true)) => {
            let text = "a shared row that arrives was brought for somebody else meanwhile";
            Err(Error::new(Kind::RetryNow, text))
        }
        (Some(key), _) => Err(differs(&table.name.to_string(), key, session.site.as_str())),
    }
}

/// Two copies of a shared row that two people have changed.
fn differs(table: &str, key: &str, site: &str) -> Error {
    Error::new(
        Kind::Operator,
        format!("the shared row {key} of {table} stands at site {site} with other values"),
    )
    .hint(
        "make both rows equal, or give one of the people a row of their own; nobody's was changed",
    )
}

fn digest(alias: &str, table: &OwnedTable) -> String {
    let record = record(alias, &table.columns, &table.user_types, &[]);
    format!("pg_catalog.sha256(pg_catalog.record_send({record}))")
}

/// Inserts the rows that are missing, and remembers them as brought.
fn insert(table: &OwnedTable, stage: &str) -> String {
    let columns = idents("", &table.columns);
    format!(
        "WITH came AS (INSERT INTO {name} AS t0 ({columns}) OVERRIDING SYSTEM VALUE \
         SELECT {columns} FROM {stage} AS x ORDER BY {keys} ON CONFLICT DO NOTHING \
         RETURNING {key} AS key, {digest} AS digest) \
         INSERT INTO domicile.brought AS b (relation, key, digest, peer, came) \
         SELECT {relation}, came.key, came.digest, $1::text, pg_catalog.pg_current_xact_id() FROM came \
         ON CONFLICT (relation, key) DO UPDATE SET digest = excluded.digest, peer = excluded.peer, \
             came = excluded.came",
        name = table.name.sql(),
        keys = idents("x.", &table.key),
        key = key_json("t0", &table.key),
        digest = digest("t0", table),
        relation = literal(&table.name.sql()),
    )
}

/// The conditions that referred columns beside the key stay, or nobody here refers by them: no key
/// is enforced in this session, and nobody's row may be left without its own.
fn renames(closure: &Closure, shared: &SharedTable) -> Vec<(String, String)> {
    let table = &shared.table;
    let beside = |r: &&Referrer| !r.parent_columns.iter().all(|c| table.key.contains(c));
    let part = |referrer: &Referrer| {
        let columns = &referrer.parent_columns;
        let changed = format!(
            "ROW({}) IS DISTINCT FROM ROW({})",
            idents("t0.", columns),
            idents("x.", columns)
        );
        let free = format!(
            "NOT EXISTS (SELECT 1 FROM {} AS c0 WHERE {})",
            closure.owned[referrer.owned].name.sql(),
            equal("t0", columns, "c0", &referrer.columns)
        );
        (changed, free)
    };
    shared.referrers.iter().filter(beside).map(part).collect()
}

/// Locks the rows whose referred columns would change, so that whoever refers to them without
/// having committed is waited for.
fn hold_renamed(closure: &Closure, shared: &SharedTable, stage: &str) -> Option<String> {
    let table = &shared.table;
    let changed: Vec<String> =
        renames(closure, shared).into_iter().map(|(changed, _)| changed).collect();
    (!changed.is_empty()).then(|| {
        format!(
            "SELECT FROM {} AS t0 JOIN {stage} AS x ON {} WHERE {} ORDER BY {} FOR UPDATE OF t0",
            table.name.sql(),
            equal("t0", &table.key, "x", &table.key),
            changed.join(" OR "),
            idents("t0.", &table.key)
        )
    })
}

/// Brings those up to date that nobody here has changed since they were brought by the same peer,
/// and `before` which holds of them.
fn forward(
    closure: &Closure,
    shared: &SharedTable,
    stage: &str,
    numbered: &[String],
    before: &str,
) -> Option<String> {
    let table = &shared.table;
    let set: Vec<String> = table
        .columns
        .iter()
        .filter(|column| !table.key.contains(column) && !numbered.contains(column))
        .map(|column| format!("{0} = x.{0}", ident(column)))
        .collect();
    if set.is_empty() {
        return None;
    }
    let mut only: Vec<String> = renames(closure, shared)
        .into_iter()
        .map(|(changed, free)| format!("(NOT ({changed}) OR {free})"))
        .collect();
    // What cannot be set must be equal.
    only.extend(numbered.iter().map(|c| format!("t0.{0} = x.{0}", ident(c))));
    only.push(before.to_owned());
    Some(format!(
        "WITH forwarded AS (UPDATE {name} AS t0 SET {set} FROM {stage} AS x, domicile.brought AS b \
         WHERE {same} AND b.relation = {relation} AND b.key = {key} AND b.peer = $1 AND {only} \
         AND b.digest = {here} AND {here} <> {there} RETURNING b.key, {there} AS digest) \
         UPDATE domicile.brought AS b SET digest = f.digest, came = pg_catalog.pg_current_xact_id() \
         FROM forwarded AS f WHERE b.relation = {relation} AND b.key = f.key",
        name = table.name.sql(),
        set = set.join(", "),
        same = equal("t0", &table.key, "x", &table.key),
        relation = literal(&table.name.sql()),
        key = key_json("x", &table.key),
        only = only.join(" AND "),
        here = digest("t0", table),
        there = digest("x", table),
    ))
}
