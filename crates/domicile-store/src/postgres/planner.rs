//! What is not left to the planner: how the rows of a batch of people are found.
//!
//! A batch is a small part of every table. At a target that fills up nobody has counted anything
//! yet; the planner then takes a person for a two-hundredth of the table and reads all of it for
//! every batch, so that a migration takes the square of its time. Where the keys have indexes, rows
//! are looked up along them from the people down, whatever the planner believes.

use super::session::Session;
use super::text::path_joins;
use crate::closure::Closure;
use crate::error::Result;
use crate::sql::equal;
use std::fmt::Write as _;

/// Whether every key along which rows are found has an index at this site.
pub(super) async fn has_indexes(session: &Session, closure: &Closure) -> Result<bool> {
    let edges = closure.owned.iter().filter_map(|table| Some((table, table.parent.as_ref()?)));
    let (tables, columns): (Vec<String>, Vec<String>) = edges
        .map(|(table, edge)| {
            (table.name.sql(), serde_json::Value::from(edge.columns.clone()).to_string())
        })
        .unzip();
    let row = session
        .client
        .query_one(
            "SELECT count(*) FROM unnest($1::text[], $2::text[]) AS x(relation, columns) \
             WHERE NOT EXISTS (SELECT 1 FROM pg_catalog.pg_index i \
                 WHERE i.indrelid = x.relation::regclass AND i.indisvalid AND i.indpred IS NULL \
                 AND (SELECT pg_catalog.jsonb_agg(a.attname ORDER BY a.attname) FROM pg_catalog.unnest( \
                     (i.indkey::int2[])[0:pg_catalog.jsonb_array_length(x.columns::jsonb) - 1]) AS k \
                     JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k) \
                 = (SELECT pg_catalog.jsonb_agg(c ORDER BY c COLLATE \"C\") \
                     FROM pg_catalog.jsonb_array_elements_text(x.columns::jsonb) AS c))",
            &[&tables, &columns],
        )
        .await
        .map_err(|e| session.failed(e))?;
    Ok(row.get::<_, i64>(0) == 0)
}

/// `batch AS b … t0`, the rows of a table that belong to the people of the batch, whichever way
/// they are found best; with their places as `t0.ctid`.
pub(super) fn people_rows(session: &Session, closure: &Closure, table: usize) -> String {
    if session.has_indexes { along_indexes(closure, table) } else { people_from(closure, table) }
}

/// `FROM t0 … JOIN batch`, the same as a join that the planner may turn round: for questions about
/// some of those rows.
pub(super) fn people_from(closure: &Closure, table: usize) -> String {
    let (joins, last) = path_joins(closure, table);
    let on = equal(&last, closure.owner_columns(table), "b", &batch_key(closure));
    format!("{joins} JOIN pg_temp.domicile_batch AS b ON {on}")
}

/// OFFSET keeps the planner from making a join of what is inside.
fn along_indexes(closure: &Closure, table: usize) -> String {
    let path = closure.path(table);
    let mut text = "pg_temp.domicile_batch AS b".to_owned();
    let mut above = ("b".to_owned(), batch_key(closure));
    let mut columns = closure.owner_columns(table).to_vec();
    for (step, at) in path.iter().enumerate().rev() {
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            " CROSS JOIN LATERAL (SELECT t.*, t.ctid FROM {} AS t WHERE {} OFFSET 0) AS t{step}",
            closure.owned[*at].name.sql(),
            equal("t", &columns, &above.0, &above.1),
        );
        let below = step.checked_sub(1).and_then(|step| closure.owned[path[step]].parent.as_ref());
        if let Some(edge) = below {
            above = (format!("t{step}"), edge.parent_columns.clone());
            columns.clone_from(&edge.columns);
        }
    }
    text
}

/// The columns of the batch that hold a person's key.
fn batch_key(closure: &Closure) -> Vec<String> {
    (0..closure.root().key.len()).map(|at| format!("k{at}")).collect()
}
