//! Samples of values, for judging what columns hold.

use crate::catalog::TableName;
use crate::error::Result;
use crate::site::{SAMPLED_CHARS_MAX, Sample};
use crate::sql::{ident, idents};
use crate::sqlite::catalog::list;
use crate::sqlite::connection::{Doing, reading};
use rusqlite::{Connection, params_from_iter};

const DOING: &str = "sampling values";

/// A table with a rowid is read at this many places, so that neither the oldest nor the newest
/// rows stand for all.
const PLACES: i64 = 16;

pub(super) fn sample(
    connection: &Connection,
    table: &TableName,
    columns: &[String],
    rows_max: u32,
) -> Result<Sample> {
    reading(connection, DOING, || {
        let mut sample = Sample { columns: columns.to_vec(), rows: Vec::new() };
        let texts: Vec<String> = columns
            .iter()
            .map(|column| {
                format!("substr(CAST({} AS TEXT), 1, {})", ident(column), SAMPLED_CHARS_MAX)
            })
            .collect();
        if texts.is_empty() {
            return Ok(sample);
        }
        let select = format!("SELECT {} FROM {}", texts.join(", "), table.sql());
        match rowids(connection, table) {
            None => {
                read(connection, &format!("{select} LIMIT ?1"), [i64::from(rows_max)], &mut sample)?
            }
            Some((first, last)) => {
                let step = (last.saturating_sub(first) / PLACES).saturating_add(1);
                let sql = format!("{select} WHERE rowid >= ?1 AND rowid < ?2 LIMIT ?3");
                for place in 0..PLACES {
                    let from = first.saturating_add(step.saturating_mul(place));
                    // What earlier places could not fill, later ones may.
                    let left = i64::from(rows_max) - i64::try_from(sample.rows.len()).unwrap_or(0);
                    let share = left / (PLACES - place);
                    let to = from.saturating_add(step);
                    read(
                        connection,
                        &sql,
                        [from, to, share.max(i64::from(left > 0))],
                        &mut sample,
                    )?;
                }
            }
        }
        Ok(sample)
    })
}

/// The first and last rowid; none where there is no rowid, or no row.
fn rowids(connection: &Connection, table: &TableName) -> Option<(i64, i64)> {
    let sql = format!("SELECT min(rowid), max(rowid) FROM {}", table.sql());
    connection.query_row(&sql, [], |row| Ok((row.get(0)?, row.get(1)?))).ok()
}

fn read<const N: usize>(
    connection: &Connection,
    sql: &str,
    params: [i64; N],
    sample: &mut Sample,
) -> Result<()> {
    let columns = sample.columns.len();
    let rows = list(connection, sql, params_from_iter(params), |row| {
        (0..columns)
            .map(|at| {
                // Text that is not UTF-8 is no value anybody could judge.
                let bytes = row.get_ref(at)?.as_bytes_or_null()?;
                Ok(bytes.and_then(|bytes| std::str::from_utf8(bytes).ok()).map(str::to_owned))
            })
            .collect()
    })?;
    sample.rows.extend(rows);
    Ok(())
}

pub(super) fn count_known(
    connection: &Connection,
    table: &TableName,
    column: &str,
    values: &[String],
) -> Result<u64> {
    reading(connection, DOING, || {
        let column = idents("", &[column]);
        let sql = format!("SELECT EXISTS (SELECT 1 FROM {} WHERE {column} = ?1)", table.sql());
        let mut statement = connection.prepare(&sql).doing(DOING)?;
        let mut known = 0;
        for value in values {
            // A text parameter takes the column's affinity, as a value of its own would.
            known +=
                u64::from(statement.query_row([value], |row| row.get::<_, bool>(0)).doing(DOING)?);
        }
        Ok(known)
    })
}
