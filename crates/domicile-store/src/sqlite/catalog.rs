//! What an SQLite database says of itself.

mod counters;

use crate::catalog::{Catalog, Column, Table, TableName, Unique};
use crate::error::Result;
use crate::sql::{ident, idents};
use crate::sqlite::connection::{Doing, reading};
use crate::sqlite::ddl::{self, TableParts};
use crate::sqlite::install::{ERASURES, OUR_PREFIX, OUR_TABLES};
use crate::sqlite::keys;
use rusqlite::{Connection, Row};
use std::collections::HashMap;

const DOING: &str = "reading the catalog";

/// How SQLite converts what is put into a column, which is also how it compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Affinity {
    Integer,
    Text,
    Blob,
    Real,
    Numeric,
}

impl Affinity {
    /// SQLite's own rules, in their order.
    pub(crate) fn of(declared: &str) -> Affinity {
        let declared = declared.to_ascii_uppercase();
        let has = |word: &str| declared.contains(word);
        if has("INT") {
            Affinity::Integer
        } else if has("CHAR") || has("CLOB") || has("TEXT") {
            Affinity::Text
        } else if has("BLOB") || declared.is_empty() || declared == "ANY" {
            Affinity::Blob
        } else if has("REAL") || has("FLOA") || has("DOUB") {
            Affinity::Real
        } else {
            Affinity::Numeric
        }
    }

    /// Whether a value of a key column of this affinity travels as plain text.
    pub(crate) fn is_plain(self) -> bool {
        matches!(self, Affinity::Integer | Affinity::Text)
    }
}

/// Reads the whole catalog, of one moment.
pub(super) fn read(connection: &Connection) -> Result<Catalog> {
    reading(connection, DOING, || {
        let names = table_names(connection)?;
        let bytes = sizes(connection);
        let mut tables = Vec::new();
        for (name, kind) in &names {
            let mut table = if kind == "virtual" {
                let mut table = empty(name);
                table
                    .obstacles
                    .push("it is a virtual table, whose rows SQLite does not own".into());
                table
            } else {
                read_table(connection, name, &names)?
            };
            table.bytes = bytes.get(name).copied().unwrap_or(0);
            tables.push(table);
        }
        let counters = counters::read(connection, &tables)?;
        note_foreign_keys(&mut tables);
        let mut catalog = Catalog { server: server(), tables, counters, warnings: Vec::new() };
        note_database(connection, &mut catalog)?;
        Ok(catalog)
    })
}

fn server() -> String {
    format!("SQLite {}", rusqlite::version())
}

fn empty(name: &str) -> Table {
    Table::named(TableName { schema: None, name: name.to_owned() })
}

/// The user's tables by name, with their kind; what belongs to SQLite, to a virtual table, or to
/// domicile is left out.
pub(super) fn table_names(connection: &Connection) -> Result<Vec<(String, String)>> {
    let sql = "SELECT name, type FROM pragma_table_list
               WHERE schema = 'main' AND type IN ('table', 'virtual')
               ORDER BY name COLLATE BINARY";
    let all = list(connection, sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let ours =
        |name: &str| OUR_TABLES.iter().chain([&ERASURES]).any(|our| our.eq_ignore_ascii_case(name));
    Ok(all
        .into_iter()
        .filter(|(name, _): &(String, String)| {
            !name.to_ascii_lowercase().starts_with("sqlite_") && !ours(name)
        })
        .collect())
}

fn read_table(connection: &Connection, name: &str, names: &[(String, String)]) -> Result<Table> {
    let mut table = empty(name);
    let sql = "SELECT coalesce(sql, '') FROM sqlite_schema WHERE type = 'table' AND name = ?1";
    let sql: String = connection.query_row(sql, [name], |row| row.get(0)).doing(DOING)?;
    let parts = ddl::table_parts(&sql);
    (table.columns, table.primary_key) = read_columns(connection, name, &parts)?;
    table.checks = parts.checks;
    table.foreign_keys = keys::foreign_keys(connection, name, names)?;
    read_indexes(connection, &mut table)?;
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ?1
               ORDER BY name";
    table.triggers = list(connection, sql, [name], |row| row.get(0))?;
    table.triggers.retain(|trigger| !trigger.starts_with(OUR_PREFIX));
    note_triggers(connection, &mut table)?;
    let count = format!("SELECT count(*) FROM {}", ident(name));
    let rows: i64 = connection.query_row(&count, [], |row| row.get(0)).doing(DOING)?;
    table.rows = u64::try_from(rows).unwrap_or(0);
    note_keys(connection, &mut table)?;
    Ok(table)
}

/// A column as `PRAGMA table_xinfo` has it.
struct Declared {
    name: String,
    type_name: String,
    not_null: bool,
    default: Option<String>,
    key_place: i64,
    hidden: i64,
}

fn read_columns(
    connection: &Connection,
    table: &str,
    parts: &TableParts,
) -> Result<(Vec<Column>, Vec<String>)> {
    let sql = "SELECT name, type, \"notnull\", dflt_value, pk, hidden FROM pragma_table_xinfo(?1)
               WHERE hidden <> 1 ORDER BY cid";
    let declared = list(connection, sql, [table], |row| {
        Ok(Declared {
            name: row.get(0)?,
            type_name: row.get(1)?,
            not_null: row.get(2)?,
            default: row.get(3)?,
            key_place: row.get(4)?,
            hidden: row.get(5)?,
        })
    })?;
    let mut key: Vec<&Declared> = declared.iter().filter(|c| c.key_place > 0).collect();
    key.sort_by_key(|column| column.key_place);
    let key: Vec<String> = key.into_iter().map(|column| column.name.clone()).collect();
    let integer =
        declared.iter().any(|c| c.key_place > 0 && c.type_name.eq_ignore_ascii_case("INTEGER"));
    let rowid_alias = is_rowid(connection, table, &key, integer)?;
    let columns = declared
        .iter()
        .map(|column| {
            let collation = collation(connection, table, &column.name)?;
            let generated = column.hidden >= 2;
            let expression = || {
                let lower = column.name.to_lowercase();
                let found = parts.generated.iter().find(|(name, _)| *name == lower);
                found.map(|(_, expression)| expression.clone())
            };
            Ok(Column {
                not_null: column.not_null || (rowid_alias && column.key_place > 0),
                generated,
                default: if generated { expression() } else { column.default.clone() },
                exact_text: Affinity::of(&column.type_name).is_plain() && collation.is_none(),
                collation,
                ..Column::named(&column.name, &column.type_name)
            })
        })
        .collect::<Result<Vec<Column>>>()?;
    Ok((columns, key))
}

/// Whether the key is the rowid itself, which is never NULL and always an integer. Such a key has
/// no index of its own.
pub(super) fn is_rowid(
    connection: &Connection,
    table: &str,
    key: &[String],
    integer: bool,
) -> Result<bool> {
    if key.len() != 1 || !integer {
        return Ok(false);
    }
    let sql = "SELECT count(*) FROM pragma_index_list(?1) WHERE origin = 'pk'";
    let indexes: i64 = connection.query_row(sql, [table], |row| row.get(0)).doing(DOING)?;
    Ok(indexes == 0)
}

/// The column's collation where it is not BINARY.
fn collation(connection: &Connection, table: &str, column: &str) -> Result<Option<String>> {
    let (_, collation, ..) =
        connection.column_metadata(Some("main"), table, column).doing(DOING)?;
    let name = collation.map(|name| name.to_string_lossy().into_owned());
    Ok(name.filter(|name| !name.eq_ignore_ascii_case("BINARY")))
}

fn read_indexes(connection: &Connection, table: &mut Table) -> Result<()> {
    for index in keys::indexes(connection, &table.name.name)? {
        table.indexed.extend(lookup_columns(table, &index));
        let definition = match index.sql {
            Some(sql) => sql,
            None => format!("UNIQUE ({})", index.terms()),
        };
        match (index.unique, index.origin.as_str()) {
            (_, "pk") => {}
            (true, _) => table.uniques.push(Unique { name: index.name, definition }),
            (false, _) => table.indexes.push(definition),
        }
    }
    Ok(())
}

/// The columns by which SQLite looks rows up along an index: those it compares as the table does.
fn lookup_columns(table: &Table, index: &keys::Index) -> Option<Vec<String>> {
    let is_plain = |(name, collation): &(Option<String>, String)| {
        let column = table.column(name.as_ref()?)?;
        let own = column.collation.as_deref().unwrap_or("BINARY");
        own.eq_ignore_ascii_case(collation).then(|| column.name.clone())
    };
    (!index.partial).then(|| index.columns.iter().map_while(is_plain).collect())
}

/// SQLite lets the columns of most primary keys be NULL; a row without a key cannot be named.
fn note_keys(connection: &Connection, table: &mut Table) -> Result<()> {
    let nullable: Vec<String> = table
        .primary_key
        .iter()
        .filter(|name| table.column(name).is_some_and(|column| !column.not_null))
        .map(|name| format!("{} IS NULL", ident(name)))
        .collect();
    if nullable.is_empty() {
        return Ok(());
    }
    let name = table.name.sql();
    let sql = format!("SELECT count(*) FROM {name} WHERE {}", nullable.join(" OR "));
    let rows: i64 = connection.query_row(&sql, [], |row| row.get(0)).doing(DOING)?;
    if rows > 0 {
        let key = idents("", &table.primary_key);
        table.obstacles.push(format!("{rows} of its rows have NULL in the primary key {key}"));
    }
    Ok(())
}

/// RAISE(IGNORE) after a change keeps the change and skips every trigger still to come, which may
/// be the fence.
fn note_triggers(connection: &Connection, table: &mut Table) -> Result<()> {
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ?1
               AND replace(replace(upper(sql), ' ', ''), char(10), '') LIKE '%RAISE(IGNORE)%'
               ORDER BY name";
    for trigger in list(connection, sql, [&table.name.name], |row| row.get::<_, String>(0))? {
        table
            .obstacles
            .push(format!("its trigger {trigger} uses RAISE(IGNORE), which can skip a fence"));
    }
    Ok(())
}

/// What stands between tables: keys that refer to nothing, or that compare by converting.
fn note_foreign_keys(tables: &mut [Table]) {
    let known: Vec<Table> = tables.to_vec();
    for table in tables {
        let mut found = Vec::new();
        for key in &table.foreign_keys {
            let Some(parent) = known.iter().find(|known| known.name == key.parent) else {
                found.push(format!("{} refers to a table that does not exist", key.name));
                continue;
            };
            if key.parent_columns.len() != key.columns.len() {
                found.push(format!("{} refers to no key of its parent", key.name));
            }
            for (child, theirs) in key.columns.iter().zip(&key.parent_columns) {
                let (child, theirs) = (table.column(child), parent.column(theirs));
                let alike = child.zip(theirs).is_some_and(|(child, theirs)| {
                    Affinity::of(&child.type_name) == Affinity::of(&theirs.type_name)
                });
                if !alike {
                    found.push(format!(
                        "{} compares columns of different types, so equal owners have unequal names",
                        key.name
                    ));
                }
            }
        }
        table.obstacles.extend(found);
    }
}

fn note_database(connection: &Connection, catalog: &mut Catalog) -> Result<()> {
    let pragma = |name: &str| -> Result<String> {
        let sql = format!("SELECT CAST({name} AS TEXT) FROM pragma_{name}");
        connection.query_row(&sql, [], |row| row.get(0)).doing(DOING)
    };
    let mode: String =
        connection.query_row("PRAGMA journal_mode", [], |row| row.get(0)).doing(DOING)?;
    if !mode.eq_ignore_ascii_case("wal") {
        catalog.warnings.push(format!(
            "its journal mode is {mode}; install switches it to WAL, which readers need to go on"
        ));
    }
    let encoding = pragma("encoding")?;
    if encoding != "UTF-8" {
        for table in &mut catalog.tables {
            table.obstacles.push(format!("the database's text is {encoding}, not UTF-8"));
        }
    }
    Ok(())
}

/// Bytes of each table with its indexes; empty where SQLite was built without `dbstat`, or where
/// the database is so large that counting would take long.
fn sizes(connection: &Connection) -> HashMap<String, u64> {
    const COUNTED_MAX: i64 = 1 << 30;
    let size = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size";
    let small = connection.query_row(size, [], |row| row.get::<_, i64>(0));
    if !small.is_ok_and(|bytes| bytes <= COUNTED_MAX) {
        return HashMap::new();
    }
    let sql = "SELECT m.tbl_name, sum(d.pgsize) FROM dbstat AS d
               JOIN sqlite_schema AS m ON m.name = d.name WHERE d.aggregate = TRUE GROUP BY 1";
    let lines = list(connection, sql, [], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?)));
    let bytes = |bytes: i64| u64::try_from(bytes).unwrap_or(0);
    lines.unwrap_or_default().into_iter().map(|(name, size)| (name, bytes(size))).collect()
}

/// Every line of a query.
pub(super) fn list<T, P: rusqlite::Params>(
    connection: &Connection,
    sql: &str,
    params: P,
    line: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>> {
    let mut statement = connection.prepare_cached(sql).doing(DOING)?;
    let lines = statement.query_map(params, line).doing(DOING)?;
    lines.collect::<rusqlite::Result<Vec<T>>>().doing(DOING)
}
