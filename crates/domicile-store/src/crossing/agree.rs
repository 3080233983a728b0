//! Whether a table at PostgreSQL can take the rows of its namesake at SQLite.

use super::PgType;
use super::script::NAME_BYTES_MAX;
use crate::catalog::Table;

/// The table both sites mean, and in what they do not agree, each one sentence.
///
/// PostgreSQL's definition holds: its types, its keys and its constraints, which may be stricter.
/// What is SQLite's own stays: rows, indexes, triggers, obstacles. A name that stands for somebody must be
/// exact on both sides.
pub fn agree(sqlite: &Table, postgres: &Table) -> (Table, Vec<String>) {
    let mut found = Vec::new();
    let mut table = postgres.clone();
    for column in &sqlite.columns {
        match postgres.column(&column.name) {
            Some(there) if column.generated != there.generated => {
                found.push(format!("column {} is generated at one of both only", column.name));
            }
            Some(there) if !may_become(&column.type_name, &there.type_name) => {
                found.push(format!(
                    "column {} would become {} and is {} there",
                    column.name, column.type_name, there.type_name
                ));
            }
            Some(_) => {}
            None => found.push(missing(&column.name, postgres)),
        }
    }
    for column in &mut table.columns {
        match sqlite.column(&column.name) {
            Some(here) => column.exact_text &= here.exact_text,
            None => found.push(format!("column {} is unknown at SQLite", column.name)),
        }
    }
    if sqlite.primary_key != postgres.primary_key {
        found.push("the primary key differs".to_owned());
    }
    if keys(sqlite) != keys(postgres) {
        found.push("the foreign keys differ".to_owned());
    }
    table.obstacles.extend(sqlite.obstacles.iter().cloned());
    table.triggers.clone_from(&sqlite.triggers);
    table.indexed.clone_from(&sqlite.indexed);
    (table.rows, table.bytes) = (sqlite.rows, sqlite.bytes);
    (table, found)
}

fn missing(name: &str, postgres: &Table) -> String {
    match postgres.columns.iter().find(|other| other.name.eq_ignore_ascii_case(name)) {
        Some(other) => format!("column {name} is called {} there", other.name),
        None => format!("column {name} is missing"),
    }
}

fn keys(table: &Table) -> Vec<(&[String], &str, &[String])> {
    let mut keys: Vec<_> = table
        .foreign_keys
        .iter()
        .map(|key| {
            (key.columns.as_slice(), key.parent.name.as_str(), key.parent_columns.as_slice())
        })
        .collect();
    keys.sort_unstable();
    keys
}

/// Whether values of a column that would become one type may stand in another; which of them do
/// is asked of each value. What was declared without a type may hold anything.
fn may_become(mapped: &str, there: &str) -> bool {
    let (Some(mapped), Some(there)) = (PgType::parse(mapped), PgType::parse(there)) else {
        // What PostgreSQL's type says is judged by itself.
        return true;
    };
    use PgType::{BigInt, Boolean, Bytea, Double, Integer, Numeric, SmallInt, Text, Uuid};
    match mapped {
        Boolean => matches!(there, Boolean | SmallInt | Integer | BigInt | Numeric(_)),
        BigInt => {
            matches!(there, Boolean | SmallInt | Integer | BigInt | Numeric(_) | Double)
        }
        Double => matches!(there, Double | Numeric(_)),
        Numeric(_) => matches!(there, SmallInt | Integer | BigInt | Double | Numeric(_)),
        Bytea => matches!(there, Bytea | Uuid),
        Text => there != Bytea,
        _ => mapped == there,
    }
}

/// What about a table rows from SQLite cannot take, with what to do about each. `stands` says
/// whether PostgreSQL has the table already.
pub fn obstacles(table: &Table, stands: bool) -> Vec<(String, String)> {
    const OWN: &str =
        "make the table at the PostgreSQL sites yourself, as docs/sqlite-to-postgres.md says";
    const OTHER: &str = "use one of the types that docs/sqlite-to-postgres.md lists";
    let mut found = Vec::new();
    for column in &table.columns {
        let (name, kind) = (&column.name, PgType::parse(&column.type_name));
        let kind = kind.filter(|_| !column.user_type);
        let problem = match (kind, stands) {
            (None, true) => Some((
                format!(
                    "column {name} is {} there, which no value of SQLite becomes",
                    column.type_name
                ),
                OTHER,
            )),
            (None, false) if column.type_name.is_empty() => Some((
                format!(
                    "column {name} is declared without a type, so it says nothing of what PostgreSQL should hold"
                ),
                OWN,
            )),
            (None, false) => Some((
                format!(
                    "column {name} is declared as {}, which says too little of what PostgreSQL should hold",
                    column.type_name
                ),
                OWN,
            )),
            (Some(_), false) if column.generated => {
                Some((format!("column {name} is generated by an expression of SQLite's"), OWN))
            }
            (Some(kind), true) if column.generated && !kind.prints_alike() => Some((
                format!(
                    "column {name} is generated as {}, whose values cannot be compared",
                    column.type_name
                ),
                "generate text or an integer, or drop the column at both sites",
            )),
            _ => None,
        };
        found.extend(problem.map(|(why, hint)| (why, hint.to_owned())));
    }
    let names = table.columns.iter().map(|column| &column.name).chain([&table.name.name]);
    for name in names.filter(|name| name.len() > NAME_BYTES_MAX) {
        found.push((
            format!("the name {name} is longer than the {NAME_BYTES_MAX} bytes PostgreSQL keeps"),
            "give it a shorter name at every site".to_owned(),
        ));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Column, TableName};

    fn table(columns: &[(&str, &str)]) -> Table {
        let name = TableName { schema: Some("public".to_owned()), name: "t".to_owned() };
        Table {
            columns: columns.iter().map(|(name, kind)| Column::named(*name, *kind)).collect(),
            primary_key: vec!["id".to_owned()],
            rows: 7,
            ..Table::named(name)
        }
    }

    #[test]
    fn what_the_user_made_is_taken_as_it_is() {
        let here = table(&[("id", "bigint"), ("at", "text"), ("is_on", "bigint"), ("any", "")]);
        let mut there = table(&[
            ("id", "integer"),
            ("is_on", "boolean"),
            ("any", "json"),
            ("at", "timestamp with time zone"),
        ]);
        there.rows = 0;
        let (agreed, found) = agree(&here, &there);
        assert_eq!((agreed.rows, found.as_slice()), (7, [].as_slice()));
        assert_eq!(agreed.column("at").unwrap().type_name, "timestamp with time zone");
        assert_eq!(obstacles(&agreed, true), []);
    }

    #[test]
    fn what_does_not_map_is_named() {
        let here = table(&[("id", "bigint"), ("data", "bytea"), ("Name", "text"), ("x", "text")]);
        let there = table(&[("id", "bigint"), ("data", "text"), ("name", "text"), ("y", "text")]);
        let (_, found) = agree(&here, &there);
        let found = found.join("; ");
        for part in [
            "column data would become bytea and is text there",
            "column Name is called name there",
            "column x is missing",
            "column y is unknown at SQLite",
        ] {
            assert!(found.contains(part), "{part}: {found}");
        }
    }

    #[test]
    fn untyped_generated_and_foreign_types_are_refused_by_column() {
        let mut made = table(&[("id", "bigint"), ("a", ""), ("b", "MONEY"), ("c", "text")]);
        made.columns[3].generated = true;
        let why: Vec<String> = obstacles(&made, false).into_iter().map(|(why, _)| why).collect();
        assert_eq!(why.len(), 3, "{why:?}");
        let mut there = table(&[("id", "bigint"), ("a", "jsonb"), ("b", "double precision")]);
        there.columns[2].generated = true;
        assert_eq!(obstacles(&there, true).len(), 2);
    }
}
