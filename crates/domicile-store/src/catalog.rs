//! What a database says of itself, in words both engines share.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A table's name as the catalog has it, case kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableName {
    /// The schema; `None` at engines without schemas.
    pub schema: Option<String>,
    /// The name.
    pub name: String,
}

impl TableName {
    /// The quoted name, with its schema where there is one.
    pub fn sql(&self) -> String {
        match &self.schema {
            Some(schema) => {
                format!("{}.{}", crate::sql::ident(schema), crate::sql::ident(&self.name))
            }
            None => crate::sql::ident(&self.name),
        }
    }

    /// Whether what a user wrote, `name` or `schema.name`, means this table. A bare name means the
    /// schema `public` where there are schemas.
    pub fn is_called(&self, written: &str) -> bool {
        match &self.schema {
            Some(schema) => {
                (schema == "public" && self.name == written)
                    || written == format!("{schema}.{}", self.name)
            }
            None => self.name == written,
        }
    }
}

/// `name`, or `schema.name` outside `public`: what users write and read.
impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.schema {
            Some(schema) if schema != "public" => write!(f, "{schema}.{}", self.name),
            _ => f.write_str(&self.name),
        }
    }
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type as the engine prints it, with modifiers.
    pub type_name: String,
    /// Whether NULL is refused.
    pub not_null: bool,
    /// Whether the engine computes it from other columns.
    pub generated: bool,
    /// Its default, identity or generation expression as the engine prints it.
    pub default: Option<String>,
    /// Its collation, where it is not the database's own.
    pub collation: Option<String>,
    /// Whether equal keys of this type always have equal text, so that it can be part of a key
    /// that names people.
    pub exact_text: bool,
    /// Whether the type was made by the user (an enum, domain, composite or extension type), so
    /// that its identifier differs between sites and its binary form cannot be compared.
    pub user_type: bool,
    /// What a type that the user made is made of, as far as equal texts mean equal values by it:
    /// labels, attributes, checks.
    pub made_of: Option<String>,
}

impl Column {
    /// A column of which nothing else is known; its type is the engine's own, and equal keys of it
    /// have equal text.
    pub fn named(name: impl Into<String>, type_name: impl Into<String>) -> Column {
        Column {
            name: name.into(),
            type_name: type_name.into(),
            not_null: false,
            generated: false,
            default: None,
            collation: None,
            exact_text: true,
            user_type: false,
            made_of: None,
        }
    }
}

/// A foreign key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignKey {
    /// The constraint's name, or what the engine calls it.
    pub name: String,
    /// The referring columns.
    pub columns: Vec<String>,
    /// The table referred to.
    pub parent: TableName,
    /// The columns referred to.
    pub parent_columns: Vec<String>,
    /// Whether its check can wait for the commit.
    pub deferrable: bool,
    /// What it does on deletion, e.g. `NO ACTION`, `CASCADE`.
    pub on_delete: String,
    /// What it does when the columns referred to change, likewise.
    pub on_update: String,
}

/// A unique constraint or unique index other than the primary key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unique {
    /// Its name.
    pub name: String,
    /// Its definition as the engine prints it.
    pub definition: String,
}

/// How a table stands to others of the same rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// An ordinary table.
    Plain,
    /// A partitioned table, with what it is partitioned by; rows are read and written through it.
    Partitioned(String),
    /// A partition of a table, which stands for it.
    PartitionOf {
        /// The table.
        parent: TableName,
        /// Which rows it takes, as the engine prints it.
        bound: String,
    },
    /// An inheritance child, or a parent of such children.
    Inheritance,
}

/// A table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: TableName,
    /// Its columns, in the table's order.
    pub columns: Vec<Column>,
    /// The primary key's columns, in the key's order; empty where there is none.
    pub primary_key: Vec<String>,
    /// Unique constraints and indexes other than the primary key.
    pub uniques: Vec<Unique>,
    /// Foreign keys.
    pub foreign_keys: Vec<ForeignKey>,
    /// Check and exclusion constraints, and keys whose check can wait, as the engine prints them.
    pub checks: Vec<String>,
    /// Other indexes, as the engine prints them.
    pub indexes: Vec<String>,
    /// The columns of every index along which rows are looked up, those before its first
    /// expression; none of an index that leaves rows out.
    pub indexed: Vec<Vec<String>>,
    /// The user's own triggers (ours and the engine's left out), by name.
    pub triggers: Vec<String>,
    /// Those of them that fire in the mover's sessions too.
    pub triggers_always: Vec<String>,
    /// How it stands to other tables.
    pub shape: Shape,
    /// What the mover cannot move safely here, each one sentence: rules, unlogged storage, forced
    /// row-level security, subscriptions.
    pub obstacles: Vec<String>,
    /// What the table would not have any more at a site of another engine, where `prepare` makes
    /// it, each one sentence.
    pub left_out: Vec<String>,
    /// Rows, estimated where an exact count would read the table.
    pub rows: u64,
    /// Bytes on disk, indexes included; 0 where the engine cannot tell.
    pub bytes: u64,
}

impl Table {
    /// A table of this name of which nothing else is known.
    pub fn named(name: TableName) -> Table {
        Table {
            name,
            columns: Vec::new(),
            primary_key: Vec::new(),
            uniques: Vec::new(),
            foreign_keys: Vec::new(),
            checks: Vec::new(),
            indexes: Vec::new(),
            indexed: Vec::new(),
            triggers: Vec::new(),
            triggers_always: Vec::new(),
            shape: Shape::Plain,
            obstacles: Vec::new(),
            left_out: Vec::new(),
            rows: 0,
            bytes: 0,
        }
    }

    /// Whether the rows with given values of these columns can be looked up.
    pub fn finds_by(&self, columns: &[String]) -> bool {
        self.indexed.iter().chain([&self.primary_key]).any(|index| begins_with(index, columns))
    }

    /// The column of this name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The columns whose values are copied: all but the generated ones.
    pub fn copied_columns(&self) -> Vec<String> {
        self.columns.iter().filter(|c| !c.generated).map(|c| c.name.clone()).collect()
    }
}

/// Whether an index begins with these columns, in any order.
pub(crate) fn begins_with(index: &[String], columns: &[String]) -> bool {
    let beginning = index.get(..columns.len());
    beginning.is_some_and(|beginning| columns.iter().all(|column| beginning.contains(column)))
}

/// A column that takes its values from a counter which every site has for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counter {
    /// The table.
    pub table: TableName,
    /// The column.
    pub column: String,
    /// The next number.
    pub next: i64,
    /// From one number to the next.
    pub step: i64,
    /// The largest number it can give.
    pub max: i64,
    /// How its numbers are changed: `{statement} INCREMENT BY …`; `None` where the engine has no
    /// such statement.
    pub alter: Option<Alter>,
}

/// The beginnings of the statement that sets a counter's step and next number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Alter {
    /// `ALTER SEQUENCE …`, with the sequence's quoted name.
    Sequence(String),
    /// `ALTER TABLE … ALTER COLUMN …`, of an identity column.
    Identity,
}

impl Counter {
    /// Whether the two ever give the same number, both counting on from where they are.
    pub fn meets(&self, other: &Counter) -> bool {
        let (mut a, mut b) = (self.step.unsigned_abs(), other.step.unsigned_abs());
        while b != 0 {
            (a, b) = (b, a % b);
        }
        a == 0 || self.next.abs_diff(other.next).is_multiple_of(a)
    }

    /// The statement after which the counter gives `next`, then every `step`th number.
    pub fn restart(&self, next: i64, step: i64) -> Option<String> {
        Some(match self.alter.as_ref()? {
            Alter::Sequence(name) => {
                format!("ALTER SEQUENCE {name} INCREMENT BY {step} RESTART WITH {next}")
            }
            Alter::Identity => format!(
                "ALTER TABLE {} ALTER COLUMN {} SET INCREMENT BY {step} RESTART WITH {next}",
                self.table.sql(),
                crate::sql::ident(&self.column)
            ),
        })
    }
}

/// A whole database.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Catalog {
    /// The engine and its version, for messages.
    pub server: String,
    /// The tables, by name; the engine's own and domicile's are left out.
    pub tables: Vec<Table>,
    /// The columns that number rows, by table.
    pub counters: Vec<Counter>,
    /// What about the whole database a plan should know, each one sentence (a standby that is
    /// asynchronous, another session logged in as the mover).
    pub warnings: Vec<String>,
}

impl Catalog {
    /// The table that a user's name means.
    pub fn find(&self, written: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.name.is_called(written))
    }

    /// The table of this name.
    pub fn table(&self, name: &TableName) -> Option<&Table> {
        self.tables.iter().find(|table| &table.name == name)
    }
}

/// In what two tables of one name differ, each one sentence; empty where a row of one fits the
/// other with the same meaning. Sizes, plain indexes and triggers do not count.
pub fn differences(left: &Table, right: &Table) -> Vec<String> {
    let mut found = Vec::new();
    for column in &left.columns {
        match right.column(&column.name) {
            None => found.push(format!("column {} is missing", column.name)),
            Some(other) if other != column => found.push(defined_differently(column, other)),
            Some(_) => {}
        }
    }
    for column in &right.columns {
        if left.column(&column.name).is_none() {
            found.push(format!("column {} is unknown at the other site", column.name));
        }
    }
    if left.primary_key != right.primary_key {
        found.push("the primary key differs".to_owned());
    }
    let names = |table: &Table| {
        let mut keys: Vec<_> = table
            .foreign_keys
            .iter()
            .map(|k| (k.columns.clone(), k.parent.clone(), k.parent_columns.clone()))
            .collect();
        keys.sort();
        keys
    };
    if names(left) != names(right) {
        found.push("the foreign keys differ".to_owned());
    }
    let sorted = |mut list: Vec<String>| {
        list.sort();
        list
    };
    let uniques = |t: &Table| sorted(t.uniques.iter().map(|u| u.definition.clone()).collect());
    if uniques(left) != uniques(right) {
        found.push("the unique constraints differ".to_owned());
    }
    if sorted(left.checks.clone()) != sorted(right.checks.clone()) {
        found.push("the check constraints differ".to_owned());
    }
    found
}

fn defined_differently(left: &Column, right: &Column) -> String {
    let made_of = left.made_of.clone();
    if &(Column { made_of, ..right.clone() }) == left {
        return format!(
            "the type of column {} ({}) is made differently",
            left.name, left.type_name
        );
    }
    format!("column {} is defined differently", left.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counter(next: i64, step: i64) -> Counter {
        let table = TableName { schema: None, name: "t".to_owned() };
        Counter { table, column: "id".to_owned(), next, step, max: i64::MAX, alter: None }
    }

    #[test]
    fn counters_meet_where_their_steps_have_no_common_residue() {
        assert!(counter(1, 1).meets(&counter(1_000, 1)));
        assert!(!counter(1, 2).meets(&counter(1_000, 2)));
        assert!(counter(1, 2).meets(&counter(1_001, 2)));
        assert!(counter(1, 2).meets(&counter(2, 3)));
        assert!(!counter(1, 4).meets(&counter(2, 6)));
        assert!(!counter(i64::MIN, i64::MAX).meets(&counter(i64::MAX, i64::MAX)));
    }
}
