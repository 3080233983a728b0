//! The one place that writes SQL for the way from a row to its owner.
//!
//! In every comparison the parent's column stands on the left: SQLite takes the collation from
//! there, as it does when it checks a foreign key.

use crate::closure::{Closure, OwnedTable};
use crate::error::{Error, Kind, Result};
use crate::sql::{equal, ident, idents};

/// The text that names a person: the key's column as text, or a JSON array of several. NULL where
/// a part is NULL, since nobody is called that. Compared by its bytes, whatever the column's
/// collation: a cast keeps that.
pub(super) fn name_of(alias: &str, columns: &[String]) -> String {
    let texts: Vec<String> =
        columns.iter().map(|c| format!("CAST({alias}.{} AS TEXT)", ident(c))).collect();
    if let [text] = texts.as_slice() {
        return format!("{text} COLLATE BINARY");
    }
    let present: Vec<String> =
        columns.iter().map(|c| format!("{alias}.{} IS NOT NULL", ident(c))).collect();
    format!("CASE WHEN {} THEN json_array({}) END", present.join(" AND "), texts.join(", "))
}

/// The texts of a person's key columns, from the person's name.
pub(super) fn key_of(subject: &str, columns: usize) -> Result<Vec<String>> {
    if columns == 1 {
        return Ok(vec![subject.to_owned()]);
    }
    let key: Vec<String> = serde_json::from_str(subject).unwrap_or_default();
    if key.len() == columns {
        return Ok(key);
    }
    Err(Error::new(Kind::Never, format!("{subject:?} does not name a person here"))
        .hint(format!("a person is named by a JSON array of {columns} texts")))
}

/// The table as it stands in a query.
pub(super) fn table(closure: &Closure, at: usize) -> String {
    closure.owned[at].name.sql()
}

/// The owner of the row called `alias` (a table's alias, NEW or OLD), as one expression.
pub(super) fn of_row(closure: &Closure, at: usize, alias: &str) -> String {
    let path = closure.path(at);
    let columns = closure.owner_columns(at);
    let (Some((_, above)), Some(edge)) = (path.split_first(), &closure.owned[at].parent) else {
        return name_of(alias, columns);
    };
    let Some(first) = above.first() else {
        return name_of(alias, columns);
    };
    let mut from = format!("{} AS \"d1\"", table(closure, *first));
    for level in 1..above.len() {
        if let Some(edge) = edge_of(closure, above[level - 1]) {
            let (below, here) = (format!("\"d{level}\""), format!("\"d{}\"", level + 1));
            let on = equal(&here, &edge.parent_columns, &below, &edge.columns);
            from.push_str(&format!(" JOIN {} AS {here} ON {on}", table(closure, above[level])));
        }
    }
    let last = format!("\"d{}\"", above.len());
    let start = equal("\"d1\"", &edge.parent_columns, alias, &edge.columns);
    format!("(SELECT {} FROM {from} WHERE {start})", name_of(&last, columns))
}

fn edge_of(closure: &Closure, at: usize) -> Option<&crate::closure::ParentEdge> {
    closure.owned[at].parent.as_ref()
}

/// The rows, called `t`, that the people of a batch table, called `b`, own; walked from the person
/// down, whatever the planner thinks. The batch has the person's name in `subject` and the key's
/// texts in `k0`, `k1`, ….
pub(super) fn owned_rows(closure: &Closure, at: usize, batch: &str) -> String {
    let path = closure.path(at);
    let columns = closure.owner_columns(at);
    let alias = |level: usize| match level {
        0 => "\"t\"".to_owned(),
        level => format!("\"d{level}\""),
    };
    let top = path.len() - 1;
    let mut from =
        format!("{batch} AS \"b\" CROSS JOIN {} AS {}", table(closure, path[top]), alias(top));
    // The name is compared as well: '07' and 7 are equal to an INTEGER column, but not one person.
    from.push_str(&format!(
        " ON {} AND \"b\".subject = {}",
        equal("\"b\"", &keys(columns.len()), &alias(top), columns),
        name_of(&alias(top), columns)
    ));
    for level in (0..top).rev() {
        if let Some(edge) = edge_of(closure, path[level]) {
            let on = equal(&alias(level + 1), &edge.parent_columns, &alias(level), &edge.columns);
            from.push_str(&format!(
                " CROSS JOIN {} AS {} ON {on}",
                table(closure, path[level]),
                alias(level)
            ));
        }
    }
    from
}

/// `k0`, `k1`, …: how temporary tables call the columns of a key.
pub(super) fn keys(columns: usize) -> Vec<String> {
    (0..columns).map(|at| format!("k{at}")).collect()
}

/// `(t.a, t.b)` or `t.a`: a row's key as one value.
pub(super) fn key_value(prefix: &str, owned: &OwnedTable) -> String {
    let key = idents(prefix, &owned.key);
    if owned.key.len() == 1 { key } else { format!("({key})") }
}
