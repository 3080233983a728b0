//! A site that people leave for PostgreSQL: its catalog and schema in PostgreSQL's terms, and
//! PostgreSQL's closure in its own.

use crate::catalog::{Catalog, Table, TableName};
use crate::closure::Closure;
use crate::crossing::{self, Foreign, Index, Source};
use crate::error::{Error, Kind, Result};
use crate::sql::ident;
use crate::sqlite::catalog::{is_rowid, list};
use crate::sqlite::connection::{Doing, reading};
use crate::sqlite::{ddl, keys};
use rusqlite::{Connection, OptionalExtension};

const DOING: &str = "reading the schema";

/// The closure as this database names its tables. Types stay PostgreSQL's: rows are told in them.
pub(super) fn local(closure: &Closure) -> Closure {
    let mut own = closure.clone();
    let owned = own.owned.iter_mut().map(|table| &mut table.name);
    let owned = owned.chain(own.shared.iter_mut().map(|shared| &mut shared.table.name));
    let reference = own.reference.iter_mut().map(|table| &mut table.name);
    let checks = own.checks.iter_mut().flat_map(|check| [&mut check.child, &mut check.parent]);
    for name in owned.chain(reference).chain(checks) {
        name.schema = None;
    }
    own
}

/// The catalog as PostgreSQL would have it.
pub(super) fn catalog(connection: &Connection) -> Result<Catalog> {
    let mut catalog = super::catalog::read(connection)?;
    catalog.tables = reading(connection, DOING, || {
        catalog.tables.iter().map(|table| as_postgres(connection, table)).collect()
    })?;
    Ok(catalog)
}

fn as_postgres(connection: &Connection, table: &Table) -> Result<Table> {
    Ok(crossing::catalog_table(&source(connection, table.clone())?))
}

/// The statements that make these tables at PostgreSQL.
pub(super) fn script(connection: &Connection, tables: &[TableName]) -> Result<Vec<String>> {
    let catalog = super::catalog::read(connection)?;
    reading(connection, DOING, || {
        let source = |name: &TableName| {
            let table = catalog.tables.iter().find(|table| table.name.name == name.name);
            let table = table
                .ok_or_else(|| Error::new(Kind::Never, format!("there is no table {name} here")))?;
            source(connection, table.clone())
        };
        let sources = tables.iter().map(source).collect::<Result<Vec<Source>>>()?;
        Ok(crossing::statements(&sources))
    })
}

fn source(connection: &Connection, table: Table) -> Result<Source> {
    let name = table.name.name.clone();
    let (indexes, left_out) = indexes(connection, &name)?;
    let updates = list(
        connection,
        "SELECT on_update FROM pragma_foreign_key_list(?1) WHERE seq = 0 ORDER BY id DESC",
        [&name],
        |row| row.get::<_, String>(0),
    )?;
    let foreign_keys = table
        .foreign_keys
        .iter()
        .zip(updates)
        .map(|(key, on_update)| {
            let mut key = key.clone();
            key.name = crossing::constraint_name(&name, &key.columns, "fkey");
            Foreign { key, on_update }
        })
        .collect();
    let next_number = next_number(connection, &table)?;
    Ok(Source { table, next_number, indexes, foreign_keys, left_out })
}

/// The indexes on plain columns, and what is said of the others.
fn indexes(connection: &Connection, table: &str) -> Result<(Vec<Index>, Vec<String>)> {
    let (mut carried, mut left_out) = (Vec::new(), Vec::new());
    for index in keys::indexes(connection, table)?.into_iter().filter(|index| index.origin != "pk")
    {
        let columns: Option<Vec<String>> =
            index.columns.iter().map(|(name, _)| name.clone()).collect();
        let parts = index.sql.as_deref().map(ddl::index_parts);
        let is_whole = parts.is_none_or(|parts| parts.is_some_and(|p| p.predicate.is_none()));
        let Some(columns) = columns.filter(|_| is_whole) else {
            let unique = if index.unique { "unique " } else { "" };
            let text = "has an expression or a condition and is not carried";
            left_out.push(format!("the {unique}index {} {text}", index.name));
            continue;
        };
        let is_constraint = index.origin == "u";
        let name = if is_constraint {
            crossing::constraint_name(table, &columns, "key")
        } else {
            index.name
        };
        carried.push(Index { name, columns, is_unique: index.unique, is_constraint });
    }
    Ok((carried, left_out))
}

/// The number after the largest that a rowid key has, or ever had where SQLite remembers it.
fn next_number(connection: &Connection, table: &Table) -> Result<Option<i64>> {
    let [key] = table.primary_key.as_slice() else { return Ok(None) };
    let declared = table.column(key).map_or("", |column| &column.type_name);
    let integer = declared.eq_ignore_ascii_case("INTEGER");
    if !is_rowid(connection, &table.name.name, &table.primary_key, integer)? {
        return Ok(None);
    }
    let sql = format!("SELECT coalesce(max({}), 0) FROM {}", ident(key), table.name.sql());
    let largest: i64 = connection.query_row(&sql, [], |row| row.get(0)).doing(DOING)?;
    let remembers = "SELECT count(*) FROM sqlite_schema WHERE name = 'sqlite_sequence'";
    let remembers: bool = connection.query_row(remembers, [], |row| row.get(0)).doing(DOING)?;
    let ever: Option<i64> = if remembers {
        let sql = "SELECT seq FROM sqlite_sequence WHERE name = ?1";
        let ever = connection.query_row(sql, [&table.name.name], |row| row.get(0));
        ever.optional().doing(DOING)?
    } else {
        None
    };
    Ok(Some(largest.max(ever.unwrap_or(0)).max(0).saturating_add(1)))
}

/// What cannot be done at such a site, since people only leave it.
pub(super) fn refuse(what: &str) -> Error {
    Error::new(Kind::Operator, format!("{what} from PostgreSQL at a site on SQLite"))
        .hint("people only leave SQLite for PostgreSQL; give them a home on PostgreSQL")
}
