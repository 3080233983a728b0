//! The triggers on reference tables: those that note, and those that refuse.

use crate::closure::ReferenceTable;
use crate::error::Result;
use crate::sql::{ident, literal};
use crate::sqlite::connection::Doing;
use crate::sqlite::fence::{Fence, Fenced};
use crate::sqlite::install::OUR_PREFIX;
use crate::sqlite::notes;
use domicile_model::SiteName;
use rusqlite::{Connection, OptionalExtension};

/// The triggers that note every change, at the writing site.
pub(in crate::sqlite) fn noting(table: &ReferenceTable, fenced: &Fenced) -> Vec<Fence> {
    let (old, new) = (notes::written("OLD", &table.key), notes::written("NEW", &table.key));
    let name = literal(&table.name.name);
    let note =
        |key: &str| format!("INSERT INTO domicile_changed (tbl, key) VALUES ({name}, {key})");
    let renamed = format!(
        "INSERT INTO domicile_changed (tbl, key) SELECT {name}, {new} WHERE {new} IS NOT {old}"
    );
    // REPLACE deletes the row in the way without firing a delete trigger.
    let replaced = |other: &str| -> Vec<String> {
        let rows = fenced.uniques.iter().map(|unique| {
            format!(
                "INSERT INTO domicile_changed (tbl, key) SELECT {name}, {} FROM {} AS x \
                 WHERE {} AND {other}",
                notes::written("x", &table.key),
                table.name.sql(),
                fenced.stands(unique)
            )
        });
        rows.collect()
    };
    let other = format!("{} IS NOT {old}", notes::written("x", &table.key));
    let mut made = vec![
        trigger(table, "insert", "AFTER INSERT", &[note(&new)]),
        trigger(table, "update", "AFTER UPDATE", &[note(&old), renamed]),
        trigger(table, "delete", "AFTER DELETE", &[note(&old)]),
    ];
    if !fenced.uniques.is_empty() {
        made.push(trigger(table, "replace", "BEFORE INSERT", &replaced("1")));
        made.push(trigger(table, "replace_by_update", "BEFORE UPDATE", &replaced(&other)));
    }
    made
}

/// The triggers that refuse every change, at any other site.
pub(in crate::sqlite) fn refusing(table: &ReferenceTable, writing: &SiteName) -> Vec<Fence> {
    let text = format!(
        "DM005 written at {writing} only: {} is the same at every site, and domicile carries it here",
        table.name
    );
    let body = [format!("SELECT RAISE(ABORT, {})", literal(&text))];
    ["INSERT", "UPDATE", "DELETE"]
        .iter()
        .map(|event| trigger(table, &event.to_ascii_lowercase(), &format!("BEFORE {event}"), &body))
        .collect()
}

fn trigger(table: &ReferenceTable, kind: &str, event: &str, body: &[String]) -> Fence {
    let name = format!("{OUR_PREFIX}reference_{}_{kind}", table.name.name);
    let sql = format!(
        "CREATE TRIGGER {} {event} ON {} FOR EACH ROW BEGIN {}; END",
        ident(&name),
        ident(&table.name.name),
        body.join("; ")
    );
    Fence { name, sql }
}

/// Whether changes of this table are noted here. The mover's connections fire no trigger, so what
/// they insert where tables are written must be noted by themselves.
pub(super) fn is_noting(connection: &Connection, table: &ReferenceTable) -> Result<bool> {
    let name = format!("{OUR_PREFIX}reference_{}_delete", table.name.name);
    let sql = "SELECT sql LIKE '%INSERT INTO domicile_changed%' FROM sqlite_schema
               WHERE type = 'trigger' AND name = ?1";
    let found = connection.query_row(sql, [name], |row| row.get(0)).optional();
    Ok(found.doing("looking for triggers")?.unwrap_or(false))
}
