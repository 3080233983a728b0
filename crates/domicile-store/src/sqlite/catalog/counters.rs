//! The keys that SQLite numbers.

use super::{DOING, list};
use crate::catalog::{Counter, Table};
use crate::error::Result;
use crate::sql::ident;
use crate::sqlite::connection::Doing;
use rusqlite::Connection;

/// Every key that is the rowid: one more than the largest there, or than the largest there ever
/// was with AUTOINCREMENT.
pub(super) fn read(connection: &Connection, tables: &[Table]) -> Result<Vec<Counter>> {
    let sql = "SELECT count(*) FROM sqlite_schema WHERE name = 'sqlite_sequence'";
    let remembers = connection.query_row(sql, [], |row| row.get::<_, i64>(0)).doing(DOING)? > 0;
    let mut counters = Vec::new();
    for table in tables {
        let [column] = table.primary_key.as_slice() else { continue };
        let is_integer =
            table.column(column).is_some_and(|c| c.type_name.eq_ignore_ascii_case("INTEGER"));
        let sql = "SELECT count(*) FROM pragma_index_list(?1) WHERE origin = 'pk'";
        let indexes = list(connection, sql, [&table.name.name], |row| row.get::<_, i64>(0))?;
        if !is_integer || indexes != [0] {
            continue;
        }
        let sql = format!("SELECT max({}) FROM {}", ident(column), table.name.sql());
        let last: Option<i64> = connection.query_row(&sql, [], |row| row.get(0)).doing(DOING)?;
        let mut last = last.unwrap_or(0).max(0);
        if remembers {
            let sql = "SELECT seq FROM sqlite_sequence WHERE name = ?1";
            let ever = list(connection, sql, [&table.name.name], |row| row.get::<_, i64>(0))?;
            last = ever.into_iter().fold(last, i64::max);
        }
        counters.push(Counter {
            table: table.name.clone(),
            column: column.clone(),
            next: last.saturating_add(1),
            step: 1,
            max: i64::MAX,
            alter: None,
        });
    }
    Ok(counters)
}
