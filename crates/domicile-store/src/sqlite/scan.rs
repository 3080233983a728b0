//! Scanning a site by queries that use nothing the mover wrote down.

use crate::closure::{Closure, OwnedTable};
use crate::error::Result;
use crate::site::{Engine, Finding, RowsRead, Sharing, Stray};
use crate::sql::{equal, ident, idents};
use crate::sqlite::catalog::list;
use crate::sqlite::connection::{Doing, reading};
use crate::sqlite::rows::Writer;
use crate::sqlite::{digest, owner};
use domicile_model::Subject;
use rusqlite::Connection;

const DOING: &str = "scanning the site";

/// Scans the site, all of it at one moment; reference rows are digested in one engine's form.
pub(super) fn scan(connection: &Connection, closure: &Closure, form: Engine) -> Result<Finding> {
    reading(connection, DOING, || {
        let mut finding = Finding::default();
        for (at, owned) in closure.owned.iter().enumerate() {
            let sql = format!("SELECT count(*) FROM {}", owned.name.sql());
            finding.rows += count(connection, &sql)?;
            if at > 0 {
                finding.ownerless.extend(ownerless(connection, closure, at)?);
            }
        }
        for shared in &closure.shared {
            let name = shared.table.name.sql();
            let all = count(connection, &format!("SELECT count(*) FROM {name}"))?;
            let unreferred = shared.unreferred("\"t0\"", closure);
            let sql = format!("SELECT count(*) FROM {name} AS \"t0\" WHERE {unreferred}");
            let unreferred = count(connection, &sql)?;
            finding.shared.push((shared.table.name.clone(), all, unreferred));
        }
        for table in &closure.reference {
            let (columns, types) = (&table.columns, &table.types);
            let row = digest::of_row(form, "\"t\"", columns, types, &[]);
            let sum = digest::sum(
                connection,
                &format!("SELECT {row} FROM {} AS \"t\"", table.name.sql()),
            )?;
            finding.reference.push((table.name.clone(), sum.rows(), sum.bytes()));
        }
        Ok(finding)
    })
}

/// Rows from which the way leads to no root row. A NULL on the way means nobody, and nobody's
/// rows are not reported.
fn ownerless(connection: &Connection, closure: &Closure, at: usize) -> Result<Vec<Stray>> {
    let owned = &closure.owned[at];
    let mut from = format!("{} AS \"t0\"", owned.name.sql());
    let mut broken = Vec::new();
    let (mut here, mut level) = (at, 0);
    // Whom the row names: known where the last link before the root ends at the root's key.
    let mut named = "NULL".to_owned();
    while let Some(edge) = &closure.owned[here].parent {
        let (child, parent) = (format!("\"t{level}\""), format!("\"t{}\"", level + 1));
        let on = equal(&parent, &edge.parent_columns, &child, &edge.columns);
        from.push_str(&format!(
            " LEFT JOIN {} AS {parent} ON {on}",
            owner::table(closure, edge.table)
        ));
        let tied: Vec<String> =
            edge.columns.iter().map(|c| format!("{child}.{} IS NOT NULL", ident(c))).collect();
        let missing: Vec<String> =
            edge.parent_columns.iter().map(|c| format!("{parent}.{} IS NULL", ident(c))).collect();
        broken.push(format!("({} AND {})", tied.join(" AND "), missing.join(" AND ")));
        if edge.table == 0 && edge.parent_columns == closure.root().key {
            named = owner::name_of(&child, &edge.columns);
        }
        here = edge.table;
        level += 1;
    }
    let sql = format!(
        "SELECT {named} COLLATE BINARY, count(*) FROM {from} WHERE {} GROUP BY 1 ORDER BY 1",
        broken.join(" OR ")
    );
    let lines = list(connection, &sql, [], |row| {
        Ok((row.get::<_, Option<String>>(0)?, row.get::<_, i64>(1)?))
    })?;
    let stray = |(subject, rows): (Option<String>, i64)| Stray {
        subject: subject.map(Subject::new),
        table: owned.name.to_string(),
        rows: u64::try_from(rows).unwrap_or(0),
    };
    Ok(lines.into_iter().map(stray).collect())
}

/// Counts rows of a table whose parent along another edge belongs to somebody else.
pub(super) fn crossing(
    connection: &Connection,
    closure: &Closure,
    (table, columns): (usize, &[String]),
    (parent, parent_columns): (usize, &[String]),
) -> Result<u64> {
    let sql = format!(
        "SELECT count(*) FROM {} AS \"x\" JOIN {} AS \"y\" ON {} WHERE {} IS NOT {} COLLATE BINARY",
        owner::table(closure, table),
        owner::table(closure, parent),
        equal("\"y\"", parent_columns, "\"x\"", columns),
        owner::of_row(closure, table, "\"x\""),
        owner::of_row(closure, parent, "\"y\"")
    );
    count(connection, &sql)
}

/// How rows refer, by some of their columns, to rows that belong to nobody.
pub(super) fn sharing(
    connection: &Connection,
    closure: &Closure,
    table: usize,
    columns: &[String],
) -> Result<Sharing> {
    let given: Vec<String> =
        columns.iter().map(|column| format!("\"x\".{} IS NOT NULL", ident(column))).collect();
    let sql = format!(
        "SELECT coalesce(sum(n), 0), coalesce(sum(people = 1), 0), coalesce(sum(people > 1), 0)
         FROM (SELECT count(*) AS n, count(DISTINCT {}) AS people FROM {} AS \"x\" WHERE {}
               GROUP BY {})",
        owner::of_row(closure, table, "\"x\""),
        owner::table(closure, table),
        given.join(" AND "),
        idents("\"x\".", columns)
    );
    let line = |row: &rusqlite::Row<'_>| Ok([row.get::<_, i64>(0)?, row.get(1)?, row.get(2)?]);
    let [referring, of_one, of_several] =
        connection.query_row(&sql, [], line).doing(DOING)?.map(i64::unsigned_abs);
    Ok(Sharing { referring, of_one, of_several })
}

/// Reads a few rows and forgets them.
pub(super) fn read_rows(
    connection: &Connection,
    table: &OwnedTable,
    rows_max: u32,
) -> Result<RowsRead> {
    let columns = idents("", &table.columns);
    let sql = format!("SELECT {columns} FROM {} LIMIT {rows_max}", table.name.sql());
    let mut statement = connection.prepare(&sql).doing(DOING)?;
    let mut rows = statement.query([]).doing(DOING)?;
    let mut writer = Writer::new(table.columns.len())?;
    let mut sample = RowsRead::default();
    while let Some(row) = rows.next().doing(DOING)? {
        writer.row();
        for at in 0..table.columns.len() {
            writer.value(row.get_ref(at).doing(DOING)?)?;
        }
        sample.rows += 1;
        sample.bytes += writer.take().len() as u64;
    }
    Ok(sample)
}

fn count(connection: &Connection, sql: &str) -> Result<u64> {
    let rows: i64 = connection.query_row(sql, [], |row| row.get(0)).doing(DOING)?;
    Ok(u64::try_from(rows).unwrap_or(0))
}
