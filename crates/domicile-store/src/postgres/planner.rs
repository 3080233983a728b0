//! What is not left to the planner: how the rows of a batch of people are found.
//!
//! A batch is a small part of every table. At a target that fills up nobody has counted anything
//! yet; the planner then takes a person for a two-hundredth of the table and reads all of it for
//! every batch, so that a migration takes the square of its time. Where the keys have indexes, rows
//! are looked up along them from the people down, whatever the planner believes.

use super::session::Session;
use super::text::path_joins;
use crate::catalog::begins_with;
use crate::closure::Closure;
use crate::error::Result;
use crate::sql::equal;
use std::fmt::Write as _;

/// Whether an index `i` finds every row by the values of its columns.
pub(super) const LOOKUP: &str = "i.indisvalid AND i.indpred IS NULL AND EXISTS (SELECT 1
    FROM pg_catalog.pg_class ic JOIN pg_catalog.pg_am m ON m.oid = ic.relam
    WHERE ic.oid = i.indexrelid AND m.amname IN ('btree', 'hash'))";

/// The columns of an index `i` up to its first expression.
pub(super) const INDEX_COLUMNS: &str = "ARRAY(SELECT a.attname::text
    FROM pg_catalog.unnest(i.indkey) WITH ORDINALITY k(n, o)
    JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.n
    WHERE k.o <= i.indnkeyatts AND k.o < coalesce((SELECT pg_catalog.min(z.o)
        FROM pg_catalog.unnest(i.indkey) WITH ORDINALITY z(n, o) WHERE z.n = 0), 10000)
    ORDER BY k.o)";

/// Whether every key along which rows are found has an index at this site.
pub(super) async fn has_indexes(session: &Session, closure: &Closure) -> Result<bool> {
    let edges = || closure.owned.iter().filter_map(|table| Some((table, table.parent.as_ref()?)));
    let tables: Vec<String> = edges().map(|(table, _)| table.name.sql()).collect();
    let statement = format!(
        "SELECT x.place, {INDEX_COLUMNS} FROM unnest($1::text[]) WITH ORDINALITY AS x(relation, place) \
         JOIN pg_catalog.pg_index i ON i.indrelid = x.relation::regclass WHERE {LOOKUP}"
    );
    let rows = session.client.query(&statement, &[&tables]).await;
    let rows = rows.map_err(|e| session.failed(e))?;
    Ok(edges().zip(1_i64..).all(|((_, edge), place)| {
        let mut indexes = rows.iter().filter(|row| row.get::<_, i64>(0) == place);
        indexes.any(|row| begins_with(&row.get::<_, Vec<String>>(1), &edge.columns))
    }))
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
