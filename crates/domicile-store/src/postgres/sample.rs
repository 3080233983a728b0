//! Samples of values, for judging what columns hold.

use super::session::Session;
use crate::catalog::{Column, TableName};
use crate::error::Result;
use crate::site::{SAMPLED_CHARS_MAX, Sample};
use crate::sql::ident;

/// No look at a table is worth more of a busy server's time.
const PATIENCE: &str = "SET statement_timeout = '10s'; SET lock_timeout = '1s'";
/// A table of fewer pages is read from its beginning; more are read at random pages.
const PAGES_MAX: f64 = 1000.0;
/// Random pages hold fewer rows than they might, so more are read.
const SPARE: f64 = 4.0;

pub(super) async fn sample(
    session: &Session,
    table: &TableName,
    columns: &[String],
    rows_max: u32,
) -> Result<Sample> {
    if columns.is_empty() {
        return Ok(Sample::default());
    }
    session.batch(PATIENCE).await?;
    let texts: Vec<String> = columns
        .iter()
        .map(|column| format!("pg_catalog.left({}::text, {SAMPLED_CHARS_MAX})", ident(column)))
        .collect();
    let mut sample = Sample { columns: columns.to_vec(), rows: Vec::new() };
    let places = random_pages(session, table, rows_max).await?;
    for place in [places, Some(String::new())].into_iter().flatten() {
        let statement = format!("SELECT {} FROM {}{place} LIMIT $1", texts.join(", "), table.sql());
        let rows = session
            .client
            .query(&statement, &[&i64::from(rows_max)])
            .await
            .map_err(|e| session.failed(e))?;
        sample.rows =
            rows.iter().map(|row| (0..columns.len()).map(|at| row.get(at)).collect()).collect();
        // Random pages of a table that was mostly deleted may be empty.
        if sample.rows.len() >= usize::try_from(rows_max / 4).unwrap_or(usize::MAX) {
            break;
        }
    }
    Ok(sample)
}

/// The clause that reads about `rows_max` rows of a large table, at random pages.
async fn random_pages(
    session: &Session,
    table: &TableName,
    rows_max: u32,
) -> Result<Option<String>> {
    let row = session
        .client
        .query_opt(
            "SELECT c.relpages::float8, c.reltuples::float8 FROM pg_catalog.pg_class c
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
             WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind = 'r'",
            &[&table.schema.as_deref().unwrap_or("public"), &table.name],
        )
        .await
        .map_err(|e| session.failed(e))?;
    let Some(row) = row else { return Ok(None) };
    let (pages, rows): (f64, f64) = (row.get(0), row.get(1));
    if pages < PAGES_MAX || rows < 1.0 {
        return Ok(None);
    }
    let percent = (f64::from(rows_max) / rows * SPARE * 100.0).clamp(1e-4, 100.0);
    // Pages come in their order on disk; without shuffling the limit would keep the oldest.
    Ok(Some(format!(" TABLESAMPLE SYSTEM ({percent:.4}) ORDER BY pg_catalog.random()")))
}

pub(super) async fn count_known(
    session: &Session,
    table: &TableName,
    column: &Column,
    values: &[String],
) -> Result<u64> {
    session.batch(PATIENCE).await?;
    // The type is the catalog's own text; the cast is on the value's side so that the key's index
    // serves.
    let statement = format!(
        "SELECT count(*) FROM pg_catalog.unnest($1::text[]) AS v(value) WHERE EXISTS \
         (SELECT 1 FROM {} AS t WHERE t.{} = v.value::{type_name})",
        table.sql(),
        ident(&column.name),
        type_name = column.type_name,
    );
    let row =
        session.client.query_one(&statement, &[&values]).await.map_err(|e| session.failed(e))?;
    Ok(row.get::<_, i64>(0).unsigned_abs())
}
