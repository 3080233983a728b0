//! Dropping foreign keys, and writing down how they are made again.
//!
//! SQLite has no statement for that. A foreign key is nothing but a part of the table's text: no
//! row, index or trigger knows of it. SQLite's documentation of ALTER TABLE therefore gives a
//! procedure of its own for such constraints, which edits the text in `sqlite_schema` and leaves
//! everything else alone, and asks for care that the new text is right. Here the edit is read back
//! inside the same transaction: unless the table is what it was but for the keys, all is undone.

use crate::catalog::{ForeignKey, TableName};
use crate::error::{Error, Kind, Result};
use crate::site::KeyRemoval;
use crate::sql::literal;
use crate::sqlite::catalog::{list, table_names};
use crate::sqlite::connection::{Doing, writing};
use crate::sqlite::{ddl, keys, schema};
use rusqlite::{Connection, Row};

/// What is being done, for errors.
pub(super) const DOING: &str = "dropping foreign keys";

/// A table's text before and after.
type Edit = (TableName, String, String);

/// What stands here of the keys with these columns.
pub(super) fn read(
    connection: &Connection,
    columns: &[(TableName, Vec<String>)],
) -> Result<KeyRemoval> {
    let names = table_names(connection)?;
    let mut removal = KeyRemoval::default();
    let mut edits: Vec<Edit> = Vec::new();
    for (name, _) in names.iter().filter(|(_, kind)| kind == "table") {
        let table = TableName { schema: None, name: name.clone() };
        let soft: Vec<&[String]> =
            columns.iter().filter(|(on, _)| *on == table).map(|(_, c)| c.as_slice()).collect();
        let mut found = keys::foreign_keys(connection, name, &names)?;
        found.retain(|key| soft.contains(&key.columns.as_slice()));
        if found.is_empty() {
            continue;
        }
        let before = schema::definition(connection, &table)?;
        let after = ddl::without_foreign_keys(&before, &soft).ok_or_else(|| not_read(&table))?;
        removal.keys.extend(found.into_iter().map(|key| (table.clone(), key)));
        edits.push((table, before, after));
    }
    if !edits.is_empty() {
        removal.drop = swap(edits.iter().map(|(table, before, after)| (table, before, after)));
        removal.restore.push("BEGIN IMMEDIATE".to_owned());
        let back = edits.iter().map(|(table, before, after)| (table, after, before));
        removal.restore.extend(swap(back));
        removal.restore.push("COMMIT".to_owned());
    }
    Ok(removal)
}

fn not_read(table: &TableName) -> Error {
    let text = format!("the foreign keys in the definition of table {table} cannot be told apart");
    Error::new(Kind::Never, text)
        .hint("rebuild the table without them yourself, as SQLite's page on ALTER TABLE says")
}

/// The statements that put one text in the place of another. The table that comes and goes counts
/// what was changed, and makes every other connection read the schema again.
fn swap<'a>(edits: impl Iterator<Item = (&'a TableName, &'a String, &'a String)>) -> Vec<String> {
    let mut statements = vec![
        "CREATE TABLE domicile_keys_changed (n INTEGER NOT NULL CHECK (n = 1))".to_owned(),
        "PRAGMA writable_schema = ON".to_owned(),
    ];
    for (table, from, to) in edits {
        statements.push(format!(
            "UPDATE sqlite_schema SET sql = {} WHERE type = 'table' AND name = {} AND sql = {}",
            literal(to),
            literal(&table.name),
            literal(from)
        ));
        statements
            .push("INSERT OR ROLLBACK INTO domicile_keys_changed VALUES (changes())".to_owned());
    }
    statements.push("DROP TABLE domicile_keys_changed".to_owned());
    statements.push("PRAGMA writable_schema = RESET".to_owned());
    statements
}

/// Drops them, in one transaction, and looks at what came of it before it commits.
pub(super) fn run(connection: &Connection, removal: &KeyRemoval) -> Result<()> {
    writing(connection, DOING, || {
        let standing = read(connection, &removal.columns())?;
        if standing.keys.is_empty() {
            return Ok(());
        }
        if &standing != removal {
            return Err(KeyRemoval::changed());
        }
        let mut expected = Schema::read(connection)?;
        for statement in &removal.drop {
            connection.execute_batch(statement).doing(DOING)?;
        }
        expected.keys.retain(|key| !removal.keys.contains(key));
        if Schema::read(connection)? == expected {
            return Ok(());
        }
        Err(Error::new(Kind::Never, "a table would have changed in more than its foreign keys")
            .hint("nothing was changed; rebuild the table without them yourself"))
    })
}

/// What SQLite understands of the whole schema, apart from the tables' own texts.
#[derive(PartialEq, Eq)]
struct Schema {
    /// Tables with their columns, indexes and conditions, and whatever else there is.
    lines: Vec<String>,
    keys: Vec<(TableName, ForeignKey)>,
}

impl Schema {
    fn read(connection: &Connection) -> Result<Schema> {
        let mut schema = Schema { lines: Vec::new(), keys: Vec::new() };
        let text = |row: &Row<'_>| row.get::<_, String>(0);
        let others =
            "SELECT json_array(type, name, tbl_name, rootpage, iif(type = 'table', NULL, sql))
                      FROM sqlite_schema WHERE name <> 'domicile_keys_changed' ORDER BY 1";
        schema.lines.extend(list(connection, others, [], text)?);
        let columns = "SELECT json_array(?1, cid, name, type, \"notnull\", dflt_value, pk, hidden)
                       FROM pragma_table_xinfo(?1) ORDER BY cid";
        let indexes = "SELECT json_array(?1, l.name, l.\"unique\", l.origin, l.partial, x.seqno,
                         x.cid, x.name, x.desc, x.coll)
                       FROM pragma_index_list(?1) AS l, pragma_index_xinfo(l.name) AS x ORDER BY 1";
        let names = table_names(connection)?;
        for (name, _) in names.iter().filter(|(_, kind)| kind == "table") {
            let table = TableName { schema: None, name: name.clone() };
            schema.lines.extend(list(connection, columns, [name], text)?);
            schema.lines.extend(list(connection, indexes, [name], text)?);
            let parts = ddl::table_parts(&schema::definition(connection, &table)?);
            schema.lines.push(format!("{parts:?}"));
            let keys = keys::foreign_keys(connection, name, &names)?;
            schema.keys.extend(keys.into_iter().map(|key| (table.clone(), key)));
        }
        Ok(schema)
    }
}
