//! The statements that make a random schema at PostgreSQL.

use super::dialect::KeyType;
use super::generate::{Parting, RESIDENCE, Reference, Schema, Table};
use super::values::TYPES;
use domicile_store::sql::{ident, literal};
use std::collections::BTreeMap;

/// Types of the columns that references point to, by table and column.
pub(crate) type Types = BTreeMap<(usize, String), &'static str>;

impl Schema {
    /// The schema's statements, without foreign keys; those come after the rows.
    pub(crate) fn tables_sql(&self) -> String {
        let mut sql = TYPES.to_owned();
        sql.push_str(
            "create schema two; create table two.moods (id int primary key, mood \"Mixed Case\".\"Mood\");",
        );
        let types = self.types();
        for (at, table) in self.tables.iter().enumerate() {
            sql.push_str(&table.create(at, &types));
        }
        sql
    }

    pub(crate) fn keys_sql(&self) -> String {
        let mut sql = String::new();
        for table in &self.tables {
            sql.push_str(&format!(
                "alter table {} add foreign key (mood) references two.moods;",
                table.sql()
            ));
            for reference in table.references.iter().filter(|reference| reference.declared) {
                sql.push_str(&format!(
                    "alter table {} add foreign key ({}) references {} ({}){};\n\
                     create index on {} ({});\n",
                    table.sql(),
                    list(&reference.columns),
                    self.tables[reference.to].sql(),
                    list(&reference.to_columns),
                    if reference.deferrable { " deferrable initially deferred" } else { "" },
                    table.sql(),
                    list(&reference.columns)
                ));
            }
        }
        sql
    }

    /// Sequences that have given numbers.
    pub(crate) fn numbers_sql(&self) -> String {
        let mut sql = String::new();
        for (at, table) in self.tables.iter().enumerate() {
            for (column, kind) in &table.own_key {
                let sequence = match kind {
                    KeyType::Serial => format!("'two.\"Seq {at}\"'"),
                    KeyType::Identity | KeyType::Given => format!(
                        "pg_get_serial_sequence({}, {})",
                        literal(&table.sql()),
                        literal(column)
                    ),
                    _ => continue,
                };
                sql.push_str(&format!("select setval({sequence}, {});\n", 500 + at));
            }
        }
        sql
    }

    pub(crate) fn types(&self) -> Types {
        let mut types = Types::new();
        for (at, table) in self.tables.iter().enumerate() {
            for (name, kind) in &table.own_key {
                types.insert((at, name.clone()), kind.type_name(self.dialect.at_sqlite));
            }
            types.extend(table.code.iter().map(|code| ((at, code.clone()), "TEXT")));
            // A key may begin with the columns of the way to the owner, which are known by now.
            for (column, target) in table.references.first().into_iter().flat_map(Reference::pairs)
            {
                if let Some(found) = types.get(&target).copied() {
                    types.insert((at, column.clone()), found);
                }
            }
        }
        types
    }
}

impl Table {
    fn create(&self, at: usize, types: &Types) -> String {
        // A dropped column leaves a hole in the numbers of the others.
        let mut columns = vec!["hole int".to_owned()];
        for (name, kind) in &self.own_key {
            columns.push(format!("{} {} not null", ident(name), kind.sql(at)));
        }
        for reference in &self.references {
            for (name, target) in reference.pairs() {
                let null = if reference.nullable { "" } else { " not null" };
                columns.push(format!("{} {}{null}", ident(name), types[&target]));
            }
        }
        for content in &self.content {
            columns.push(format!("{} {}", ident(&content.name), content.type_name));
        }
        if at == 0 {
            columns.push(format!("{} text", ident(RESIDENCE)));
        }
        if let Some((of, expression)) = &self.generated {
            let expression = expression.replace('@', &ident(of));
            let is_number = expression.starts_with("length");
            let is_float = expression.starts_with("case");
            let kind = if is_number {
                "int"
            } else if is_float {
                "float8"
            } else {
                "text"
            };
            columns.push(format!("made {kind} generated always as ({expression}) stored"));
        }
        if let Some(code) = &self.code {
            columns.push(format!("{} text not null constraint \"code {at}\" unique", ident(code)));
        }
        columns.extend(self.soft.then(|| "somebody text".to_owned()));
        columns.push("mood int".to_owned());
        let sql = self.sql();
        let key = format!("primary key ({})", list(&self.key));
        let by = format!("({})", ident(&self.key[0]));
        let by = match self.parting {
            Parting::None => String::new(),
            Parting::Hash(_) => format!(" partition by hash {by}"),
            Parting::Range => format!(" partition by range {by}"),
        };
        let drawn = self.own_key.iter().any(|(_, kind)| *kind == KeyType::Serial);
        let mut script =
            if drawn { format!("create sequence two.\"Seq {at}\";\n") } else { String::new() };
        script += &format!("create table {sql} ({}, {key}){by};\n", columns.join(", "));
        script += &self.create_partitions(at, &columns, types);
        script + &format!("alter table {sql} drop column hole;\n")
    }

    fn create_partitions(&self, at: usize, columns: &[String], types: &Types) -> String {
        let sql = self.sql();
        let part = |name: usize| format!("\"Mixed Case\".\"part {at} {name}\"");
        match self.parting {
            Parting::None => String::new(),
            Parting::Hash(count) => {
                let bound = |n| format!("for values with (modulus {count}, remainder {n})");
                // A partition of one's own making has its columns in another order, and numbers
                // nothing.
                let mut turned: Vec<String> = columns.iter().rev().cloned().collect();
                for column in &mut turned {
                    let end = column.find(" generated always as identity");
                    let end = end.or_else(|| column.find(" generated by default"));
                    let not_null = if end.is_some() { " not null" } else { "" };
                    column.truncate(end.unwrap_or(column.len()));
                    *column =
                        column.replace(" constraint \"code", " constraint \"their code") + not_null;
                }
                let mut script = format!(
                    "create table {0} ({1}, other_hole int, primary key ({2}));\n\
                     alter table {0} drop column other_hole;\n\
                     alter table {sql} attach partition {0} {3};\n",
                    part(0),
                    turned.join(", "),
                    list(&self.key),
                    bound(0)
                );
                for n in 1..count {
                    let (part, bound) = (part(n), bound(n));
                    script += &format!("create table {part} partition of {sql} {bound};\n");
                }
                script
            }
            Parting::Range => {
                let pivot = match types[&(at, self.key[0].clone())] {
                    "bigint" => "5",
                    "uuid" => "00000000-0000-4000-8000-000000000002",
                    _ => "code '2",
                };
                format!(
                    "create table {0} partition of {sql} for values from (minvalue) to ({pivot});\n\
                     create table {1} partition of {sql} default partition by hash ({2});\n\
                     create table {3} partition of {1} for values with (modulus 2, remainder 0);\n\
                     create table {4} partition of {1} for values with (modulus 2, remainder 1);\n",
                    part(0),
                    part(1),
                    ident(&self.key[0]),
                    part(2),
                    part(3),
                    pivot = literal(pivot)
                )
            }
        }
    }
}

pub(crate) fn list(columns: &[String]) -> String {
    columns.iter().map(|column| ident(column)).collect::<Vec<_>>().join(", ")
}
