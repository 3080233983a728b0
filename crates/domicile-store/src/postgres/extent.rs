//! Choosing rows: whole people, or touched rows with what hangs from them.
//!
//! Names and keys travel as parameters into temporary tables; `COPY`, which takes no parameters,
//! then reads from joins with those.

mod stale;

use super::client::Parameter;
use super::digest::{self, Types};
use super::planner;
use super::session::Session;
use super::shared;
use super::text::{owner_text, path_joins, subject_parts};
use crate::closure::Closure;
use crate::error::{Error, Kind, Result};
use crate::site::{TableDigest, Touched};
use crate::sql::{equal, ident, idents};
use domicile_model::Subject;
use futures_util::{TryFutureExt as _, future};
use std::collections::BTreeMap;

pub(super) use stale::{choose_stale, delete_stale};

/// Which kind of extent is chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Chosen {
    /// The people in `pg_temp.domicile_batch`.
    People,
    /// The rows in `pg_temp.domicile_rows_<n>`.
    Rows(Picked),
}

impl Chosen {
    /// Whether it is known that no row of a table is chosen. What need not be asked of a large
    /// table is not asked: a catch-up may be all that a waiting writer waits for.
    pub(super) fn is_empty_at(&self, table: usize) -> bool {
        match self {
            Chosen::People => false,
            Chosen::Rows(picked) => picked.rows[table] == 0,
        }
    }

    /// Whether rows of a table were chosen with what hangs from them.
    pub(super) fn brings_at(&self, table: usize) -> bool {
        match self {
            Chosen::People => true,
            Chosen::Rows(picked) => picked.brings[table],
        }
    }

    /// The most that notes choose, where the notes alone tell it: what depends on that can be sent
    /// behind the choice without waiting for it.
    pub(super) fn foreseen(closure: &Closure, touched: &[Touched]) -> Option<Chosen> {
        if !closure.shared.is_empty() || touched.iter().any(|note| note.below) {
            return None;
        }
        let mut picked = Picked::nothing(closure);
        for note in touched {
            *picked.rows.get_mut(note.table)? += 1;
        }
        Some(Chosen::Rows(picked))
    }
}

/// How many rows are chosen in each table, and where some bring what hangs from them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Picked {
    rows: Vec<u64>,
    brings: Vec<bool>,
}

impl Picked {
    fn nothing(closure: &Closure) -> Picked {
        let tables = closure.places();
        Picked { rows: vec![0; tables], brings: vec![false; tables] }
    }
}

/// The temporary tables of one session. They lose their rows at every commit.
pub(super) async fn create_tables(session: &Session, closure: &Closure) -> Result<()> {
    let root = closure.root();
    let parts: Vec<String> = (0..root.key.len())
        .map(|at| format!("k{at} {}", root.type_of(&root.key[at]).unwrap_or("text")))
        .collect();
    let mut text = format!(
        "CREATE TEMP TABLE domicile_batch ({}, subject text COLLATE \"C\") ON COMMIT DELETE ROWS;",
        parts.join(", ")
    );
    for (at, table) in closure.tables().enumerate() {
        let parts: Vec<String> = table
            .key
            .iter()
            .map(|column| format!("{} {}", ident(column), table.type_of(column).unwrap_or("text")))
            .collect();
        text.push_str(&format!(
            "CREATE TEMP TABLE domicile_rows_{at} ({}, below boolean) ON COMMIT DELETE ROWS;",
            parts.join(", ")
        ));
    }
    session.batch(&text).await
}

/// Fills the batch with people.
pub(super) async fn choose_people(
    session: &Session,
    closure: &Closure,
    subjects: &[Subject],
) -> Result<()> {
    let names: Vec<&str> = subjects.iter().map(Subject::as_str).collect();
    let parts = subject_parts("u", closure.root()).join(", ");
    let statement = format!(
        "INSERT INTO pg_temp.domicile_batch SELECT {parts}, u.subject \
         FROM pg_catalog.unnest($1::text[]) AS u(subject)"
    );
    let parameters: [&dyn Parameter; 1] = [&names];
    let chosen = session.client.execute(&statement, &parameters).map_err(|e| session.failed(e));
    future::try_join(chosen, session.batch("ANALYZE pg_temp.domicile_batch")).await?;
    Ok(())
}

/// `FROM t0 JOIN rows`, the chosen rows of a table.
pub(super) fn rows_from(closure: &Closure, table: usize) -> String {
    let owned = closure.at(table);
    format!(
        "{} AS t0 JOIN pg_temp.domicile_rows_{table} AS r ON {}",
        owned.name.sql(),
        equal("t0", &owned.key, "r", &owned.key)
    )
}

/// The chosen rows of a table.
pub(super) fn chosen_from(
    session: &Session,
    closure: &Closure,
    table: usize,
    chosen: &Chosen,
) -> String {
    match (chosen, closure.shared_at(table)) {
        (Chosen::Rows(_), _) => rows_from(closure, table),
        (Chosen::People, None) => planner::people_rows(session, closure, table),
        (Chosen::People, Some(shared)) => shared::people_from(closure, shared),
    }
}

/// Chooses touched rows and no others, as far as the person of the note owns them here, and below each
/// everything that hangs from it, by this site's own reading.
pub(super) async fn choose_rows(
    session: &Session,
    closure: &Closure,
    touched: &[Touched],
) -> Result<Chosen> {
    let mut picked = Picked::nothing(closure);
    let noted_at =
        |at: usize| -> Vec<&Touched> { touched.iter().filter(|note| note.table == at).collect() };
    if Chosen::foreseen(closure, touched).is_some() {
        let chosen = (0..closure.owned.len()).map(|at| async move {
            match noted_at(at).as_slice() {
                [] => Ok(0),
                notes => choose_noted(session, closure, at, notes).await,
            }
        });
        let forgotten = forget_rows(session, closure);
        let ((), rows) = future::try_join(forgotten, future::try_join_all(chosen)).await?;
        picked.rows[..rows.len()].copy_from_slice(&rows);
        return Ok(Chosen::Rows(picked));
    }
    forget_rows(session, closure).await?;
    for at in 0..closure.owned.len() {
        // What comes with a row above comes with everything below, whatever its own notes say.
        choose_children(session, closure, at, &mut picked).await?;
        let here = noted_at(at);
        if !here.is_empty() {
            picked.rows[at] += choose_noted(session, closure, at, &here).await?;
            picked.brings[at] |= here.iter().any(|note| note.below);
        }
    }
    for at in closure.shared_places() {
        picked.rows[at] = shared::choose(session, closure, at, touched, &picked.rows).await?;
    }
    Ok(Chosen::Rows(picked))
}

async fn forget_rows(session: &Session, closure: &Closure) -> Result<()> {
    let texts: Vec<String> =
        (0..closure.places()).map(|at| format!("DELETE FROM pg_temp.domicile_rows_{at}")).collect();
    session.batch(&texts.join(";")).await
}

async fn choose_noted(
    session: &Session,
    closure: &Closure,
    at: usize,
    notes: &[&Touched],
) -> Result<u64> {
    let table = &closure.owned[at];
    let keys: Vec<String> = notes.iter().map(|note| key_json(&note.key)).collect();
    let subjects: Vec<&str> = notes.iter().map(|note| note.subject.as_str()).collect();
    let key_match: Vec<String> = table
        .key
        .iter()
        .enumerate()
        .map(|(place, column)| {
            let cast = table.type_of(column).unwrap_or("text");
            format!("t0.{} = (x.key::json ->> {place})::{cast}", ident(column))
        })
        .collect();
    let below: Vec<bool> = notes.iter().map(|note| note.below).collect();
    let statement = format!(
        "INSERT INTO pg_temp.domicile_rows_{at} SELECT {keys}, pg_catalog.bool_or(x.below) \
         FROM unnest($1::text[], $2::text[], $3::bool[]) AS x(key, subject, below), {joins} \
         WHERE {found} AND {owner} = x.subject \
         AND NOT EXISTS (SELECT 1 FROM pg_temp.domicile_rows_{at} AS y WHERE {same}) GROUP BY {keys}",
        keys = idents("t0.", &table.key),
        joins = path_joins(closure, at).0,
        found = key_match.join(" AND "),
        owner = owner_text(closure, at),
        same = equal("y", &table.key, "t0", &table.key),
    );
    session
        .client
        .execute(&statement, &[&keys, &subjects, &below])
        .await
        .map_err(|e| session.failed(e))
}

/// Chooses what hangs from the chosen rows of a table's parent.
async fn choose_children(
    session: &Session,
    closure: &Closure,
    at: usize,
    picked: &mut Picked,
) -> Result<()> {
    let table = &closure.owned[at];
    let Some(edge) = table.parent.as_ref().filter(|edge| picked.brings[edge.table]) else {
        return Ok(());
    };
    let parent = &closure.owned[edge.table];
    let statement = format!(
        "INSERT INTO pg_temp.domicile_rows_{at} SELECT {keys}, true \
             FROM pg_temp.domicile_rows_{above} AS r JOIN {parent_name} AS p ON {found} \
             JOIN {name} AS t0 ON {below} \
             WHERE r.below",
        keys = idents("t0.", &table.key),
        above = edge.table,
        parent_name = parent.name.sql(),
        found = equal("r", &parent.key, "p", &parent.key),
        name = table.name.sql(),
        below = equal("t0", &edge.columns, "p", &edge.parent_columns),
    );
    let rows = session.client.execute(&statement, &[]).await.map_err(|e| session.failed(e))?;
    picked.rows[at] += rows;
    picked.brings[at] |= rows > 0;
    Ok(())
}

/// The tables in which shipped rows wait until what they replace is gone.
pub(super) async fn create_stages(session: &Session, closure: &Closure) -> Result<()> {
    let texts: Vec<String> = closure
        .tables()
        .enumerate()
        .map(|(at, table)| {
            let columns: Vec<String> = table
                .columns
                .iter()
                .zip(&table.types)
                .map(|(column, kind)| format!("{} {kind}", ident(column)))
                .collect();
            format!(
                "CREATE TEMP TABLE domicile_stage_{at} ({}) ON COMMIT DELETE ROWS",
                columns.join(", ")
            )
        })
        .collect();
    session.batch(&texts.join(";")).await
}

pub(super) fn key_json(key: &[String]) -> String {
    serde_json::Value::from(key.to_vec()).to_string()
}

/// Deletes the chosen rows, children first. It waits for nobody who holds one of them, but fails
/// with [`Kind::RetryNow`]: whoever holds it may wait for one that is deleted already.
pub(super) async fn delete_chosen(
    session: &Session,
    closure: &Closure,
    chosen: &Chosen,
) -> Result<()> {
    let tables = closure.owned.iter().enumerate().rev().filter(|(at, _)| !chosen.is_empty_at(*at));
    let texts: Vec<String> = tables
        .map(|(at, table)| {
            format!(
                "DELETE FROM {} AS d USING (SELECT {} FROM {} FOR UPDATE OF t0 NOWAIT) AS x WHERE {}",
                table.name.sql(),
                idents("t0.", &table.key),
                chosen_from(session, closure, at, chosen),
                equal("d", &table.key, "x", &table.key),
            )
        })
        .collect();
    if texts.is_empty() {
        return Ok(());
    }
    session.batch(&texts.join(";")).await
}

/// Digests the chosen rows of every owned table, but for those whose digest is known.
pub(super) async fn digests(
    session: &Session,
    closure: &Closure,
    chosen: &Chosen,
    types: &mut Types,
    known: BTreeMap<usize, TableDigest>,
) -> Result<Vec<TableDigest>> {
    let mut found = known;
    let mut reads = Vec::new();
    for (at, table) in closure.tables().enumerate() {
        if chosen.is_empty_at(at) || found.contains_key(&at) {
            continue;
        }
        let from = chosen_from(session, closure, at, chosen);
        let select = format!("SELECT {} FROM {from}", digest::all(table));
        let types = types.of(session, closure, at).await?;
        reads.push(async move {
            let sum = digest::read(session, &select, types).await?;
            Ok((at, sum.of_table(at)))
        });
    }
    found.extend(future::try_join_all(reads).await?);
    Ok(found.into_values().collect())
}

/// Those of the chosen people who have no root row here.
pub(super) async fn vanished(session: &Session, closure: &Closure) -> Result<Vec<Subject>> {
    let statement = format!(
        "SELECT b.subject FROM pg_temp.domicile_batch AS b EXCEPT ALL SELECT b.subject FROM {} \
         ORDER BY 1",
        planner::people_from(closure, 0)
    );
    let rows = session.client.query(&statement, &[]).await.map_err(|e| session.failed(e))?;
    Ok(rows.iter().map(|row| Subject::new(row.get::<_, String>(0))).collect())
}

/// The 32 bytes of a SHA-256 value.
pub(super) fn digest_bytes(bytes: &[u8]) -> Result<[u8; 32]> {
    bytes.try_into().map_err(|_| Error::new(Kind::Never, "a server's sha256() gave no 32 bytes"))
}

/// The notes about these people, in this session's snapshot.
pub(super) async fn touched(session: &Session, subjects: &[Subject]) -> Result<Vec<Touched>> {
    let names: Vec<&str> = subjects.iter().map(Subject::as_str).collect();
    let rows = session
        .client
        .query(
            "SELECT t.seq, t.subject, t.tbl, t.key, t.below FROM domicile.touched t \
             WHERE t.subject = ANY ($1) ORDER BY t.seq",
            &[&names],
        )
        .await
        .map_err(|e| session.failed(e))?;
    Ok(rows
        .iter()
        .map(|row| Touched {
            seq: row.get(0),
            subject: Subject::new(row.get::<_, String>(1)),
            table: usize::try_from(row.get::<_, i32>(2)).unwrap_or(usize::MAX),
            key: row.get(3),
            below: row.get(4),
        })
        .collect())
}
