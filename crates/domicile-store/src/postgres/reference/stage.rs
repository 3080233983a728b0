//! Changed reference rows beside their tables: how they are told apart, and how they come in.

use super::declared::Declared;
use crate::closure::{Closure, ReferenceTable};
use crate::error::Result;
use crate::postgres::session::Session;
use crate::postgres::text::{copy_format, key_array};
use crate::site::ReferenceNote;
use crate::sql::{equal, ident, idents};
use bytes::Bytes;

/// The temporary table of the rows of one reference table; gone with the transaction.
pub(super) fn name(at: usize) -> String {
    format!("pg_temp.domicile_reference_{at}")
}

/// Fills it.
pub(super) async fn fill(
    session: &Session,
    closure: &Closure,
    at: usize,
    rows: &Bytes,
) -> Result<()> {
    let (table, stage) = (&closure.reference[at], name(at));
    let columns = idents("", &table.columns);
    session
        .batch(&format!(
            "DROP TABLE IF EXISTS {stage}; CREATE TEMPORARY TABLE domicile_reference_{at} \
             ON COMMIT DROP AS SELECT {columns} FROM {} WITH NO DATA",
            table.name.sql()
        ))
        .await?;
    let format = copy_format(&table.user_types);
    let statement = format!("COPY {stage} ({columns}) FROM STDIN (FORMAT {format})");
    let failed = |e| session.failed(e);
    let mut sink = session.client.copy_in(&statement).await.map_err(failed)?;
    sink.feed(rows.clone()).await.map_err(failed)?;
    sink.finish().await.map_err(failed)?;
    Ok(())
}

/// The condition that the rows of two aliases are the same row.
pub(super) fn same(table: &ReferenceTable, left: &str, right: &str) -> String {
    equal(left, &table.key, right, &table.key)
}

/// The condition that row `alias` has the key whose texts `part` gives.
pub(super) fn keyed(table: &ReferenceTable, alias: &str, part: impl Fn(usize) -> String) -> String {
    let parts = table.key.iter().zip(casts(table, part));
    let parts = parts.map(|(column, value)| format!("{alias}.{} = {value}", ident(column)));
    parts.collect::<Vec<_>>().join(" AND ")
}

/// A key's values, from the texts `part` gives.
pub(super) fn casts(table: &ReferenceTable, part: impl Fn(usize) -> String) -> Vec<String> {
    let cast = |place: usize| table.type_of(&table.key[place]).unwrap_or("text").to_owned();
    (0..table.key.len()).map(|place| format!("{}::{}", part(place), cast(place))).collect()
}

/// A note's key as a JSON array of texts.
pub(super) fn json(note: &ReferenceNote) -> String {
    serde_json::Value::from(note.key.clone()).to_string()
}

/// What makes the table's rows equal to those staged (as `y`, where `only` holds), one statement
/// after the other. Rows that are there already are updated and not replaced: an UPDATE lets the
/// application's foreign-key checks of that moment find them. Only a row whose key is equal and
/// written otherwise (1.0 and 1.00), or whose number no UPDATE may set, is replaced.
///
/// There is no ON CONFLICT, which takes no key that can wait. Nobody but the mover writes here.
pub(super) fn put(table: &ReferenceTable, declared: &Declared, at: usize, only: &str) -> String {
    let (target, stage) = (table.name.sql(), name(at));
    let columns = idents("", &table.columns);
    let same = same(table, "t0", "y");
    let numbered = declared.numbered.iter();
    let differs = numbered.map(|c| format!("t0.{0} IS DISTINCT FROM y.{0}", ident(c)));
    let differs: Vec<String> = std::iter::once(format!(
        "{} COLLATE \"C\" IS DISTINCT FROM {}",
        key_array("t0", &table.key),
        key_array("y", &table.key)
    ))
    .chain(differs)
    .collect();
    let set = table
        .columns
        .iter()
        .filter(|column| !table.key.contains(column) && !declared.numbered.contains(column));
    let set: Vec<String> = set.map(|column| format!("{0} = y.{0}", ident(column))).collect();
    let update = if set.is_empty() {
        String::new()
    } else {
        let set = set.join(", ");
        format!("UPDATE {target} AS t0 SET {set} FROM {stage} AS y WHERE {same} AND {only};\n")
    };
    format!(
        "DELETE FROM {target} AS t0 USING {stage} AS y WHERE {same} AND ({differs}) AND {only};\n\
         {update}\
         INSERT INTO {target} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM {stage} AS y \
         WHERE NOT EXISTS (SELECT 1 FROM {target} AS t0 WHERE {same}) AND {only};\n",
        differs = differs.join(" OR "),
    )
}

/// The condition that staged row `y`, once it is in place, is in breach of something that nothing
/// checks in the mover's sessions.
pub(super) fn trouble(table: &ReferenceTable, declared: &Declared) -> Option<String> {
    let mut found = Vec::new();
    for key in &declared.parents {
        let whole = key.columns.iter().map(|c| format!("y.{} IS NOT NULL AND ", ident(c)));
        found.push(format!(
            "({}NOT EXISTS (SELECT 1 FROM {} AS q WHERE {}))",
            whole.collect::<String>(),
            key.other,
            equal("q", &key.parent_columns, "y", &key.columns)
        ));
    }
    for columns in declared.waiting.iter().filter(|columns| **columns != table.key) {
        found.push(format!(
            "EXISTS (SELECT 1 FROM {} AS t0 WHERE {} AND NOT ({}))",
            table.name.sql(),
            equal("t0", columns, "y", columns),
            same(table, "t0", "y")
        ));
    }
    (!found.is_empty()).then(|| found.join(" OR "))
}
