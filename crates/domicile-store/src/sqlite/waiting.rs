//! What a changed plan must not do to people who have left and wait to be erased.

use crate::closure::Closure;
use crate::error::Result;
use crate::sqlite::catalog::list;
use crate::sqlite::connection::Doing;
use crate::sqlite::{install, owner};
use crate::waiting::ForbiddenChange;
use rusqlite::Connection;

const DOING: &str = "looking for rows of people who have left";

/// The tables that have fences.
pub(super) fn guarded_tables(connection: &Connection) -> Result<Vec<String>> {
    let sql = "SELECT DISTINCT tbl_name FROM sqlite_schema
               WHERE type = 'trigger' AND substr(name, 1, length(?1)) = ?1 ORDER BY 1";
    list(connection, sql, [install::FENCE_PREFIX], |row| row.get(0))
}

/// What the new closure would do to them, when these tables had fences before.
pub(super) fn forbids(
    connection: &Connection,
    closure: &Closure,
    before: &[String],
) -> Result<Option<ForbiddenChange>> {
    let holds = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, bool>(0)).doing(DOING);
    if !holds("SELECT EXISTS (SELECT 1 FROM domicile_subject WHERE state = 'moved')")? {
        return Ok(None);
    }
    let mut uncopied = Vec::new();
    for (at, owned) in closure.owned.iter().enumerate() {
        let sql = format!(
            "SELECT EXISTS (SELECT 1 FROM {} AS \"t\", domicile_subject AS \"s\" \
             WHERE \"s\".subject = {} AND \"s\".state = 'moved')",
            owner::table(closure, at),
            owner::of_row(closure, at, "\"t\"")
        );
        if !before.contains(&owned.name.name) && holds(&sql)? {
            uncopied.push(owned.name.to_string());
        }
    }
    let mut unerased = before.to_vec();
    unerased.retain(|table| closure.tables().all(|owned| owned.name.name != *table));
    Ok(ForbiddenChange::of(uncopied, unerased))
}
