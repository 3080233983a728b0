//! Shared rows: nobody's, and copied to wherever somebody who refers to them lives.
//!
//! There is one writer at a time, so whoever changes a shared row sees everybody who refers to it.
//! A copy at the target is replaced only while it is what a move brought there.

mod put;

use crate::closure::{Closure, OwnedTable, Referrer, SharedTable};
use crate::error::Result;
use crate::site::Engine;
use crate::sql::{equal, ident, idents, literal};
use crate::sqlite::connection::Doing;
use crate::sqlite::extent::{BATCH, Selection, pick, picked};
use crate::sqlite::fence::{self, Fence, Fenced};
use crate::sqlite::{digest, notes, owner};
use domicile_model::SiteName;
use rusqlite::Connection;

pub(super) use put::{Putter, Since};

const DOING: &str = "handling shared rows";

/// The temporary tables in which an erasure or a batch keeps the keys of shared rows that lose
/// somebody who refers to them.
pub(super) fn temporary_tables(closure: &Closure) -> String {
    let mut sql = String::new();
    for (at, shared) in closure.shared_places().zip(&closure.shared) {
        let key = idents("", &owner::keys(shared.table.key.len()));
        sql.push_str(&format!(
            "CREATE TEMP TABLE domicile_loose_{at} ({key}, PRIMARY KEY ({key})) WITHOUT ROWID;"
        ));
    }
    sql
}

fn loose(at: usize) -> String {
    format!("temp.domicile_loose_{at}")
}

/// The fences of a shared table. Whoever refers to the row is found by reading; if they all have
/// left, or are yet to come, the write is refused as one about them.
pub(super) fn fences(
    closure: &Closure,
    at: usize,
    shared: &SharedTable,
    sites: &[SiteName],
    fenced: &Fenced,
) -> Vec<Fence> {
    let table = &shared.table;
    let body = |row: &str, only: &str| {
        let owners = owners(closure, shared, row);
        let mut body = refusals(&owners, sites, only);
        body.extend(fence::unnamed(fenced, table, row, &format!("IN ({owners})")));
        body.push(format!(
            "INSERT INTO domicile_touched(subject, tbl, key, below) SELECT subject, {at}, {}, 0 \
             FROM domicile_subject WHERE state IN ('moving', 'closing') AND subject IN ({owners}) \
             AND {only}",
            notes::written(row, &table.key)
        ));
        body
    };
    let renamed: Vec<String> = shared
        .referrers
        .iter()
        .flat_map(|referrer| &referrer.parent_columns)
        .chain(&table.key)
        .map(|column| format!("OLD.{0} IS NOT NEW.{0}", ident(column)))
        .collect();
    let update = [body("OLD", "1"), body("NEW", &format!("({})", renamed.join(" OR ")))].concat();
    let fence = |kind: &str, event: &str, body: &[String]| {
        fence::fence(&table.name.name, kind, event, fence::ANYBODY, body)
    };
    vec![
        fence("insert", "AFTER INSERT", &body("NEW", "1")),
        fence("update", "AFTER UPDATE", &update),
        fence("delete", "AFTER DELETE", &body("OLD", "1")),
    ]
}

fn owners(closure: &Closure, shared: &SharedTable, row: &str) -> String {
    let part = |referrer: &Referrer| {
        format!(
            "SELECT {} AS o FROM {} AS \"x\" WHERE {}",
            owner::of_row(closure, referrer.owned, "\"x\""),
            owner::table(closure, referrer.owned),
            equal(row, &referrer.parent_columns, "\"x\"", &referrer.columns)
        )
    };
    let parts: Vec<String> = shared.referrers.iter().map(part).collect();
    parts.join(" UNION ALL ")
}

fn refusals(owners: &str, sites: &[SiteName], only: &str) -> Vec<String> {
    let refusal = |(text, what): (String, String)| {
        format!(
            "SELECT RAISE(ABORT, {}) WHERE {only} AND EXISTS (SELECT 1 FROM domicile_subject \
             WHERE {what} AND subject IN ({owners})) AND NOT EXISTS (SELECT 1 FROM ({owners}) \
             WHERE o IS NULL OR o NOT IN (SELECT subject FROM domicile_subject \
             WHERE state IN ('moved', 'arriving')))",
            literal(&text)
        )
    };
    fence::refused_states(sites).into_iter().map(refusal).collect()
}

/// `b.subject` and the keys `k0`, … of the rows that the batch's people refer to, once for each.
fn referred(closure: &Closure, shared: &SharedTable) -> String {
    let table = &shared.table;
    let part = |referrer: &Referrer| {
        format!(
            "SELECT \"b\".subject AS subject, {} FROM {} CROSS JOIN {} AS \"s\" ON {}",
            named_keys(table),
            owner::owned_rows(closure, referrer.owned, BATCH),
            table.name.sql(),
            equal("\"s\"", &referrer.parent_columns, "\"t\"", &referrer.columns)
        )
    };
    let parts: Vec<String> = shared.referrers.iter().map(part).collect();
    parts.join(" UNION ")
}

/// `s.id AS k0, …`.
fn named_keys(table: &OwnedTable) -> String {
    let keys = table.key.iter().zip(owner::keys(table.key.len()));
    let named: Vec<String> =
        keys.map(|(column, name)| format!("\"s\".{} AS {name}", ident(column))).collect();
    named.join(", ")
}

/// The rows, called `t`, that the batch's people refer to, with the person in `b.subject`.
pub(super) fn rows(closure: &Closure, shared: &SharedTable) -> String {
    let table = &shared.table;
    format!(
        "({}) AS \"b\" CROSS JOIN {} AS \"t\" ON {}",
        referred(closure, shared),
        table.name.sql(),
        equal("\"t\"", &table.key, "\"b\"", &owner::keys(table.key.len()))
    )
}

/// The same rows, each once.
pub(super) fn rows_once(closure: &Closure, shared: &SharedTable) -> String {
    let table = &shared.table;
    format!(
        "{} AS \"t\" WHERE {} IN (SELECT {} FROM ({}))",
        table.name.sql(),
        owner::key_value("\"t\".", table),
        idents("", &owner::keys(table.key.len())),
        referred(closure, shared)
    )
}

/// The statements that pick shared rows: those that picked rows refer to, and those that are noted,
/// as far as the person of the note refers to them here.
pub(super) fn picking(closure: &Closure, at: usize) -> Vec<String> {
    let Some(shared) = closure.shared_at(at) else { return Vec::new() };
    let table = &shared.table;
    let mut statements = Vec::new();
    for referrer in &shared.referrers {
        let on = equal("\"s\"", &referrer.parent_columns, "\"t\"", &referrer.columns);
        let into = |person: &str| {
            format!(
                "INSERT OR IGNORE INTO {} SELECT {person}.subject, 0, {}",
                pick(at),
                idents("\"s\".", &table.key)
            )
        };
        statements.push(format!(
            "{} FROM {} CROSS JOIN {} AS \"s\" ON {on}",
            into("\"b\""),
            picked(closure, referrer.owned),
            table.name.sql()
        ));
        statements.push(format!(
            "{} FROM temp.domicile_note_{at} AS \"n\" CROSS JOIN {} AS \"s\" ON {} \
             CROSS JOIN {} AS \"t\" ON {on} WHERE \"n\".subject = {}",
            into("\"n\""),
            table.name.sql(),
            equal("\"s\"", &table.key, "\"n\"", &owner::keys(table.key.len())),
            owner::table(closure, referrer.owned),
            owner::of_row(closure, referrer.owned, "\"t\"")
        ));
    }
    statements
}

/// Forgets what an earlier erasure or batch kept.
pub(super) fn forget_loose(connection: &Connection, closure: &Closure) -> Result<()> {
    for at in closure.shared_places() {
        connection.execute(&format!("DELETE FROM {}", loose(at)), []).doing(DOING)?;
    }
    Ok(())
}

/// Keeps the shared rows that the chosen rows refer to, before those are deleted.
pub(super) fn loosen(connection: &Connection, selection: &Selection) -> Result<()> {
    let closure = selection.closure();
    forget_loose(connection, closure)?;
    for (at, shared) in closure.shared_places().zip(&closure.shared) {
        for referrer in &shared.referrers {
            let Some(rows) = selection.rows(referrer.owned) else { continue };
            keep(connection, at, shared, referrer, &rows)?;
        }
    }
    Ok(())
}

/// The same of the rows of one owned table that are picked for erasure.
pub(super) fn loosen_doomed(
    connection: &Connection,
    closure: &Closure,
    owned: usize,
) -> Result<()> {
    for (at, shared) in closure.shared_places().zip(&closure.shared) {
        for referrer in shared.referrers.iter().filter(|referrer| referrer.owned == owned) {
            keep(connection, at, shared, referrer, &picked(closure, owned))?;
        }
    }
    Ok(())
}

fn keep(
    connection: &Connection,
    at: usize,
    shared: &SharedTable,
    referrer: &Referrer,
    rows: &str,
) -> Result<()> {
    let sql = format!(
        "INSERT OR IGNORE INTO {} SELECT {} FROM {rows} CROSS JOIN {} AS \"s\" ON {}",
        loose(at),
        idents("\"s\".", &shared.table.key),
        shared.table.name.sql(),
        equal("\"s\"", &referrer.parent_columns, "\"t\"", &referrer.columns)
    );
    connection.execute(&sql, []).doing(DOING).map(drop)
}

/// Deletes kept rows that nobody refers to any more; returns how many.
pub(super) fn sweep(connection: &Connection, closure: &Closure) -> Result<u64> {
    let mut rows = 0;
    for (at, shared) in closure.shared_places().zip(&closure.shared) {
        let table = &shared.table;
        let keys = owner::keys(table.key.len());
        let name = table.name.sql();
        let sql = format!(
            "DELETE FROM {name} WHERE {} IN (SELECT {} FROM {}) AND {}",
            owner::key_value("", table),
            idents("", &keys),
            loose(at),
            shared.unreferred(&name, closure)
        );
        rows += connection.execute(&sql, []).doing(DOING)?;
        let sql = format!(
            "DELETE FROM domicile_brought WHERE tbl = ?1 AND key IN (SELECT {} FROM {} AS \"l\" \
             WHERE NOT EXISTS (SELECT 1 FROM {name} AS \"t\" WHERE {}))",
            notes::written("\"l\"", &keys),
            loose(at),
            equal("\"t\"", &table.key, "\"l\"", &keys)
        );
        connection.execute(&sql, [&table.name.name]).doing(DOING)?;
    }
    forget_loose(connection, closure)?;
    Ok(u64::try_from(rows).unwrap_or(u64::MAX))
}

/// The same of rows that a move brought here and that are as it brought them: others were here
/// before, or are somebody's at home, and stay.
pub(super) fn sweep_brought(connection: &Connection, closure: &Closure) -> Result<u64> {
    for (at, shared) in closure.shared_places().zip(&closure.shared) {
        let table = &shared.table;
        let keys = owner::keys(table.key.len());
        let sql = format!(
            "DELETE FROM {} AS \"l\" WHERE NOT EXISTS (SELECT 1 FROM domicile_brought AS \"b\" \
             CROSS JOIN {} AS \"t\" ON {} WHERE \"b\".tbl = ?1 AND \"b\".key = {} AND \"b\".digest = {})",
            loose(at),
            table.name.sql(),
            equal("\"t\"", &table.key, "\"l\"", &keys),
            notes::written("\"l\"", &keys),
            digest::of_row(Engine::Sqlite, "\"t\"", &table.columns, &table.types, &[])
        );
        connection.execute(&sql, [&table.name.name]).doing(DOING)?;
    }
    sweep(connection, closure)
}
