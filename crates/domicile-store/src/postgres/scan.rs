//! Reading a whole site: rows without their owner, reference tables, edges between people.
//!
//! Nothing here reads what the mover wrote down.

use super::digest;
use super::patience;
use super::session::Session;
use super::text::{
    compared, copy_format, owner_text, owner_text_if_any, path_joins, path_left_joins,
};
use crate::closure::{Closure, OwnedTable, ReferenceTable};
use crate::error::{Error, Kind, Result};
use crate::site::{ByteStream, Finding, RowsRead, Sharing, Stray};
use crate::sql::{equal, ident, idents};
use domicile_model::Subject;
use futures_util::StreamExt as _;
use std::fmt::Write as _;

/// How many people with ownerless rows are named per table; more are counted into the last.
const NAMED: i64 = 10_000;

pub(super) async fn scan(session: &mut Session, closure: &Closure) -> Result<Finding> {
    session.batch("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    let found = scan_in_snapshot(session, closure).await;
    session.batch("ROLLBACK").await?;
    found
}

async fn scan_in_snapshot(session: &Session, closure: &Closure) -> Result<Finding> {
    let mut finding = Finding::default();
    for (at, table) in closure.owned.iter().enumerate() {
        let count = format!("SELECT count(*) FROM {}", table.name.sql());
        let row = session.client.query_one(&count, &[]).await.map_err(|e| session.failed(e))?;
        finding.rows += row.get::<_, i64>(0).unsigned_abs();
        if at > 0 {
            finding.ownerless.extend(ownerless(session, closure, at).await?);
        }
    }
    for shared in &closure.shared {
        let name = shared.table.name.sql();
        let statement = format!(
            "SELECT count(*), count(*) FILTER (WHERE {}) FROM {name} AS t0",
            shared.unreferred("t0", closure)
        );
        let row = session.client.query_one(&statement, &[]).await.map_err(|e| session.failed(e))?;
        let count = |at| row.get::<_, i64>(at).unsigned_abs();
        finding.shared.push((shared.table.name.clone(), count(0), count(1)));
    }
    for table in &closure.reference {
        let columns = compared("t0", &table.columns, &table.user_types, &[]);
        let select = format!("SELECT {columns} FROM {} AS t0", table.name.sql());
        let types = digest::types_of(session, &select).await?;
        let sum = digest::read(session, &select, types).await?;
        finding.reference.push((table.name.clone(), sum.rows(), sum.bytes()));
    }
    Ok(finding)
}

/// Rows of one table whose owner, or the way to it, is not at this site. A row whose owner column
/// is NULL, or that hangs from such a row, belongs to nobody and is not meant.
async fn ownerless(session: &Session, closure: &Closure, at: usize) -> Result<Vec<Stray>> {
    let table = &closure.owned[at];
    let mut joins = format!("{} AS t0", table.name.sql());
    let mut broken = Vec::new();
    // From the row up to the root table, each step may find nothing.
    let mut below = at;
    let mut step = 0;
    while let Some(edge) = &closure.owned[below].parent {
        let (child, parent) = (format!("t{step}"), format!("t{}", step + 1));
        let above = &closure.owned[edge.table];
        // Writing to a String cannot fail.
        let _ = write!(
            joins,
            " LEFT JOIN {} AS {parent} ON {}",
            above.name.sql(),
            equal(&parent, &edge.parent_columns, &child, &edge.columns)
        );
        let mut missing: Vec<String> =
            edge.columns.iter().map(|c| format!("{child}.{} IS NOT NULL", ident(c))).collect();
        missing.push(format!("{parent}.{} IS NULL", ident(&above.key[0])));
        broken.push(format!("({})", missing.join(" AND ")));
        below = edge.table;
        step += 1;
    }
    let statement = format!(
        "SELECT {}, count(*) FROM {joins} WHERE {} GROUP BY 1 ORDER BY 1 LIMIT $1",
        owner_text(closure, at),
        broken.join(" OR "),
    );
    let rows = session.client.query(&statement, &[&NAMED]).await.map_err(|e| session.failed(e))?;
    Ok(rows
        .iter()
        .map(|row| Stray {
            subject: row.get::<_, Option<String>>(0).map(Subject::new),
            table: table.name.to_string(),
            rows: row.get::<_, i64>(1).unsigned_abs(),
        })
        .collect())
}

/// Rows whose other parent belongs to somebody else, or to nobody where they belong to somebody, or
/// the other way round.
pub(super) async fn count_crossing(
    session: &Session,
    closure: &Closure,
    table: usize,
    columns: &[String],
    parent: usize,
    parent_columns: &[String],
) -> Result<u64> {
    let (own, other) = (path_left_joins(closure, table), path_left_joins(closure, parent));
    let statement = format!(
        "SELECT count(*) FROM (SELECT {own_owner} AS owner, {own_columns} FROM {own}) AS a \
         JOIN (SELECT {other_owner} AS owner, {other_columns} FROM {other}) AS b ON {on} \
         WHERE a.owner IS DISTINCT FROM b.owner",
        own_owner = owner_text_if_any(closure, table),
        own_columns = aliased("c", columns),
        other_owner = owner_text_if_any(closure, parent),
        other_columns = aliased("p", parent_columns),
        on = (0..columns.len())
            .map(|n| format!("a.c{n} = b.p{n}"))
            .collect::<Vec<_>>()
            .join(" AND "),
    );
    let row = session.client.query_one(&statement, &[]).await.map_err(|e| session.failed(e))?;
    Ok(row.get::<_, i64>(0).unsigned_abs())
}

/// How rows refer, by some of their columns, to rows that belong to nobody.
pub(super) async fn count_sharing(
    session: &Session,
    closure: &Closure,
    table: usize,
    columns: &[String],
) -> Result<Sharing> {
    let (from, _) = path_joins(closure, table);
    let given: Vec<String> =
        columns.iter().map(|column| format!("t0.{} IS NOT NULL", ident(column))).collect();
    let statement = format!(
        "SELECT coalesce(sum(x.n), 0)::bigint, count(*) FILTER (WHERE x.people = 1), \
             count(*) FILTER (WHERE x.people > 1) \
         FROM (SELECT count(*) AS n, count(DISTINCT a.owner) AS people \
             FROM (SELECT {owner} AS owner, {aliased} FROM {from} WHERE {given}) AS a \
             GROUP BY {group}) AS x",
        owner = owner_text(closure, table),
        aliased = aliased("c", columns),
        given = given.join(" AND "),
        group = (0..columns.len()).map(|n| format!("a.c{n}")).collect::<Vec<_>>().join(", "),
    );
    let row = session.client.query_one(&statement, &[]).await.map_err(|e| session.failed(e))?;
    let count = |at| row.get::<_, i64>(at).unsigned_abs();
    Ok(Sharing { referring: count(0), of_one: count(1), of_several: count(2) })
}

fn aliased(prefix: &str, columns: &[String]) -> String {
    let named: Vec<String> = columns
        .iter()
        .enumerate()
        .map(|(at, column)| format!("t0.{} AS {prefix}{at}", ident(column)))
        .collect();
    named.join(", ")
}

/// Reads a few rows and forgets them.
pub(super) async fn read_rows(
    session: &Session,
    table: &OwnedTable,
    rows_max: u32,
) -> Result<RowsRead> {
    let few = |what: &str| format!("SELECT {what} FROM {} LIMIT {rows_max}", table.name.sql());
    let statement = format!(
        "COPY ({}) TO STDOUT (FORMAT {})",
        few(&idents("", &table.columns)),
        copy_format(&table.user_types)
    );
    let mut stream = session.client.copy_out(&statement).await.map_err(|e| session.failed(e))?;
    let mut sample = RowsRead::default();
    while let Some(piece) = stream.next().await {
        sample.bytes += piece.map_err(|e| session.failed(e))?.len() as u64;
    }
    let count = format!("SELECT count(*) FROM ({}) AS x", few("1"));
    let row = session.client.query_one(&count, &[]).await.map_err(|e| session.failed(e))?;
    sample.rows = row.get::<_, i64>(0).unsigned_abs();
    Ok(sample)
}

pub(super) async fn export_reference(
    session: Session,
    table: &ReferenceTable,
) -> Result<ByteStream<'static>> {
    let statement = format!(
        "COPY (SELECT {} FROM {}) TO STDOUT (FORMAT {})",
        idents("", &table.columns),
        table.name.sql(),
        copy_format(&table.user_types)
    );
    let stream = session.client.copy_out(&statement).await.map_err(|e| session.failed(e))?;
    Ok(stream.map(move |piece| piece.map_err(|e| session.failed(e))).boxed())
}

pub(super) async fn import_reference(
    session: &mut Session,
    table: &ReferenceTable,
    mut rows: ByteStream<'_>,
) -> Result<u64> {
    // Nobody may add to it between the look and the copy.
    patience::lock(session, &table.name.sql(), "EXCLUSIVE").await?;
    let look = format!("SELECT EXISTS (SELECT 1 FROM {})", table.name.sql());
    let row = session.client.query_one(&look, &[]).await.map_err(|e| session.failed(e))?;
    if row.get(0) {
        session.batch("ROLLBACK").await?;
        return Err(Error::new(
            Kind::Operator,
            format!("reference table {} at site {} is not empty", table.name, session.site),
        ));
    }
    let statement = format!(
        "COPY {} ({}) FROM STDIN (FORMAT {})",
        table.name.sql(),
        idents("", &table.columns),
        copy_format(&table.user_types)
    );
    let mut sink = session.client.copy_in(&statement).await.map_err(|e| session.failed(e))?;
    while let Some(piece) = rows.next().await {
        sink.feed(piece?).await.map_err(|e| session.failed(e))?;
    }
    let count = sink.finish().await.map_err(|e| session.failed(e))?;
    session.batch("COMMIT").await?;
    Ok(count)
}
