//! How keys and paths are written in PostgreSQL's SQL.

use crate::closure::{Closure, OwnedTable};
use crate::sql::{equal, ident, idents};
use std::fmt::Write as _;

/// The text of a key: of one column its text, of several the JSON array of their texts.
pub(super) fn key_text(alias: &str, columns: &[String]) -> String {
    match columns {
        [one] => column_text(alias, one),
        many => format!("pg_catalog.array_to_json({})::pg_catalog.text", key_array(alias, many)),
    }
}

/// The key's columns as an array of texts.
pub(super) fn key_array(alias: &str, columns: &[String]) -> String {
    let texts: Vec<String> = columns.iter().map(|column| column_text(alias, column)).collect();
    format!("ARRAY[{}]", texts.join(", "))
}

/// The same, comparable and fit to be handed on whatever collations the columns have.
pub(super) fn plain_key(alias: &str, columns: &[String]) -> String {
    format!("({} COLLATE pg_catalog.\"C\")", key_array(alias, columns))
}

/// Also in a session of the application's, which decides where a name without schema is found.
fn column_text(alias: &str, column: &str) -> String {
    format!("{alias}.{}::pg_catalog.text", ident(column))
}

/// The key's columns as the text of a JSON array of texts: one value that names a row.
pub(super) fn key_json(alias: &str, columns: &[String]) -> String {
    format!("pg_catalog.array_to_json({})::text", key_array(alias, columns))
}

/// The condition that the row `alias` has the key that `json`, a text of [`key_json`], names.
pub(super) fn has_key(alias: &str, table: &OwnedTable, json: &str) -> String {
    let part = |(place, column): (usize, &String)| {
        let cast = table.type_of(column).unwrap_or("text");
        format!("{alias}.{} = ({json}::json ->> {place})::{cast}", ident(column))
    };
    let parts: Vec<String> = table.key.iter().enumerate().map(part).collect();
    parts.join(" AND ")
}

/// The typed parts of a subject, from the text column `subject` of `alias`.
pub(super) fn subject_parts(alias: &str, root: &OwnedTable) -> Vec<String> {
    let cast = |at: usize| root.type_of(&root.key[at]).unwrap_or("text").to_owned();
    if root.key.len() == 1 {
        return vec![format!("{alias}.subject::{}", cast(0))];
    }
    (0..root.key.len())
        .map(|at| format!("({alias}.subject::json ->> {at})::{}", cast(at)))
        .collect()
}

/// `FROM`-ready joins from a table, as `t0`, up to the table that names the owner, as the last
/// alias, which is returned beside the text.
pub(super) fn path_joins(closure: &Closure, table: usize) -> (String, String) {
    joins(closure, table, "JOIN")
}

/// The same with every row of the table, also where the way up ends in NULL.
pub(super) fn path_left_joins(closure: &Closure, table: usize) -> String {
    joins(closure, table, "LEFT JOIN").0
}

fn joins(closure: &Closure, table: usize, join: &str) -> (String, String) {
    let path = closure.path(table);
    let mut text = format!("{} AS t0", closure.owned[table].name.sql());
    for (at, pair) in path.windows(2).enumerate() {
        let Some(edge) = &closure.owned[pair[0]].parent else { continue };
        let (child, parent) = (format!("t{at}"), format!("t{}", at + 1));
        let on = equal(&child, &edge.columns, &parent, &edge.parent_columns);
        // Writing to a String cannot fail.
        let _ = write!(text, " {join} {} AS {parent} ON {on}", closure.owned[pair[1]].name.sql());
    }
    (text, format!("t{}", path.len() - 1))
}

/// The owner's text for a row that [`path_joins`] reached.
pub(super) fn owner_text(closure: &Closure, table: usize) -> String {
    let last = format!("t{}", closure.path(table).len() - 1);
    key_text(&last, closure.owner_columns(table))
}

/// The same for a row that [`path_left_joins`] reached; NULL for one that is nobody's.
pub(super) fn owner_text_if_any(closure: &Closure, table: usize) -> String {
    let last = format!("t{}", closure.path(table).len() - 1);
    let columns = idents(&format!("{last}."), closure.owner_columns(table));
    format!("CASE WHEN ROW({columns}) IS NOT NULL THEN {} END", owner_text(closure, table))
}

/// The columns of a row as a record whose binary form can be compared between servers.
pub(super) fn record(
    alias: &str,
    columns: &[String],
    user_types: &[bool],
    generated: &[String],
) -> String {
    format!("ROW({})", compared(alias, columns, user_types, generated))
}

/// The columns of a row as their binary form can be compared between servers: those whose type
/// the user made stand as text, since their type numbers differ.
pub(super) fn compared(
    alias: &str,
    columns: &[String],
    user_types: &[bool],
    generated: &[String],
) -> String {
    let plain = columns.iter().zip(user_types).map(|(column, user_type)| {
        let cast = if *user_type { "::text" } else { "" };
        format!("{alias}.{}{cast}", ident(column))
    });
    let computed = generated.iter().map(|column| format!("{alias}.{}::text", ident(column)));
    plain.chain(computed).collect::<Vec<_>>().join(", ")
}

/// `binary`, or `text` where a column's binary form names types by number.
pub(super) fn copy_format(user_types: &[bool]) -> &'static str {
    if user_types.contains(&true) { "text" } else { "binary" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_two_columns_is_a_json_array_of_texts() {
        let columns = ["tenant".to_owned(), "id".to_owned()];
        assert_eq!(
            key_text("t", &columns),
            "pg_catalog.array_to_json(ARRAY[t.\"tenant\"::pg_catalog.text, \
             t.\"id\"::pg_catalog.text])::pg_catalog.text"
        );
    }
}
