//! The rows of a random schema, which are kept to be compared with later.

use super::dialect::KeyType;
use super::dice::Dice;
use super::generate::{RESIDENCE, Reference, Schema, Table};
use domicile_store::sql::{ident, literal};
use std::collections::BTreeMap;

#[derive(Clone)]
pub(crate) enum Value {
    Null,
    Text(String),
    /// An expression, for what is too long to be written.
    Sql(&'static str),
}

/// Has rows whose way to a person ends in NULL.
const NOBODY: usize = usize::MAX;

pub(crate) struct Row {
    /// Whose it is; only used to make rows, the oracle finds it out by itself.
    person: usize,
    pub(crate) values: BTreeMap<String, Value>,
    /// The row each reference of the table names, by place in the other table.
    pub(crate) targets: Vec<Option<usize>>,
}

impl Row {
    pub(crate) fn key(&self, table: &Table) -> Vec<String> {
        let text = |column: &String| match &self.values[column] {
            Value::Text(text) => text.clone(),
            Value::Null | Value::Sql(_) => String::new(),
        };
        table.key.iter().map(text).collect()
    }
}

/// Rows for everybody; targets that are not there yet are chosen when all rows are.
pub(crate) fn fill(schema: &mut Schema, dice: &mut Dice) {
    for at in 0..schema.tables.len() {
        for person in (0..schema.people).chain((at > 0).then_some(NOBODY)) {
            let least = usize::from(schema.dense && person != NOBODY);
            let count = if at == 0 { 1 } else { least + dice.below(4 - least) };
            for _ in 0..count {
                if let Some(row) = row(schema, at, person, dice) {
                    schema.tables[at].rows.push(row);
                }
            }
        }
    }
    for at in 0..schema.tables.len() {
        for place in 0..schema.tables[at].rows.len() {
            choose_later_targets(schema, at, place, dice);
        }
    }
}

fn row(schema: &Schema, at: usize, person: usize, dice: &mut Dice) -> Option<Row> {
    let table = &schema.tables[at];
    let count = table.rows.len();
    let mut row = Row { person, values: BTreeMap::new(), targets: Vec::new() };
    for (name, kind) in &table.own_key {
        row.values.insert(name.clone(), Value::Text(key_value(*kind, count)));
    }
    for content in &table.content {
        let is_large = schema.large.filter(|large| large.0 == content.type_name);
        let value = match is_large {
            _ if dice.percent(20) => Value::Null,
            Some((_, large)) if content.values.len() == 2 && dice.percent(10) => Value::Sql(large),
            _ if schema.dialect.at_sqlite => {
                Value::Sql(content.values[dice.below(content.values.len())])
            }
            _ => Value::Text((*dice.pick(content.values)).to_owned()),
        };
        row.values.insert(content.name.clone(), value);
    }
    if let Some(code) = &table.code {
        row.values.insert(code.clone(), Value::Text(format!("code '{count}\" \\ ")));
    }
    if at == 0 {
        row.values.insert(RESIDENCE.to_owned(), Value::Text("US".to_owned()));
    }
    if table.soft {
        let somebody = &schema.tables[0].rows[dice.below(schema.people)];
        let key = somebody.key(&schema.tables[0]).concat();
        row.values.insert("somebody".to_owned(), Value::Text(key));
    }
    let mood = if dice.percent(50) { Value::Null } else { Value::Text("2".to_owned()) };
    row.values.insert("mood".to_owned(), mood);
    let needs_later = |to: &Reference| to.to > at && !to.nullable;
    if person == NOBODY && table.references.iter().any(needs_later) {
        return None;
    }
    for (place, reference) in table.references.iter().filter(|to| to.to < at).enumerate() {
        // A row of somebody's never lacks the way that leads to them.
        let nullable = reference.nullable && (place > 0 || person == NOBODY);
        let target = choose(schema, reference.to, person, nullable, dice);
        // Without a row to name there can be none that must name one.
        if target.is_none() && !nullable {
            return None;
        }
        row.targets.push(target);
    }
    let targets = row.targets.clone();
    let references = table.references.iter().filter(|reference| reference.to < at);
    for (reference, target) in references.zip(targets) {
        name_target(schema, &mut row, reference, target);
    }
    Some(row)
}

/// References back are the last of a table.
fn choose_later_targets(schema: &mut Schema, at: usize, place: usize, dice: &mut Dice) {
    let table = &schema.tables[at];
    let row = &table.rows[place];
    let mut values = Vec::new();
    for reference in table.references.iter().filter(|reference| reference.to >= at) {
        let mut target = choose(schema, reference.to, row.person, reference.nullable, dice);
        if reference.to == at && !reference.nullable && dice.percent(50) {
            target = Some(place);
        }
        let mut named = Row { person: 0, values: BTreeMap::new(), targets: vec![target] };
        name_target(schema, &mut named, reference, target);
        values.push(named);
    }
    let row = &mut schema.tables[at].rows[place];
    for named in values {
        row.values.extend(named.values);
        row.targets.extend(named.targets);
    }
}

fn name_target(schema: &Schema, row: &mut Row, reference: &Reference, target: Option<usize>) {
    let rows = &schema.tables[reference.to].rows;
    let found = target.map(|place| &rows[place]);
    for (place, (column, theirs)) in reference.columns.iter().zip(&reference.to_columns).enumerate()
    {
        // A key of several columns names nothing as soon as one of them is NULL.
        let half = rows.first().filter(|_| place > 0);
        let named = found.or(half).and_then(|row| row.values.get(theirs));
        let value = named.cloned().unwrap_or(Value::Null);
        row.values.insert(column.clone(), value);
    }
}

/// One of this person's rows.
fn choose(
    schema: &Schema,
    table: usize,
    person: usize,
    nullable: bool,
    dice: &mut Dice,
) -> Option<usize> {
    let rows = schema.tables[table].rows.iter().enumerate();
    let theirs: Vec<usize> =
        rows.filter(|(_, row)| row.person == person).map(|(place, _)| place).collect();
    if theirs.is_empty() || (nullable && dice.percent(30)) {
        return None;
    }
    Some(*dice.pick(&theirs))
}

/// As the server prints it.
fn key_value(kind: KeyType, count: usize) -> String {
    match kind {
        KeyType::Identity | KeyType::Given | KeyType::Serial => format!("{}", count + 1),
        KeyType::Int if count % 3 == 2 => format!("{}", 9_007_199_254_740_993 + count),
        KeyType::Int => format!("{}", i64::try_from(count).unwrap() * 7 - 10),
        KeyType::Text => format!("{{\"{count}\\', é\t%"),
        KeyType::Uuid => format!("00000000-0000-4000-8000-{count:012x}"),
        KeyType::Bytes => format!("\\x00ff{count:04x}"),
        KeyType::Day => format!("20{:02}-01-01", count % 100),
        KeyType::One(_, values) => values[count % values.len()].to_owned(),
    }
}

/// The statements that put all rows in.
pub(crate) fn inserts(schema: &Schema) -> String {
    let moods = schema.dialect.moods;
    let mut sql = format!("insert into {moods} values (1, ''), (2, 'GRÜN');\n");
    let overriding = if schema.dialect.at_sqlite { "" } else { "overriding system value" };
    for table in &schema.tables {
        for row in &table.rows {
            let names: Vec<String> = row.values.keys().map(|name| ident(name)).collect();
            let values = row.values.values().map(|value| match value {
                Value::Null => "null".to_owned(),
                Value::Text(text) => match text.strip_prefix("\\x") {
                    Some(hex) if schema.dialect.at_sqlite => format!("x'{hex}'"),
                    _ => literal(text),
                },
                Value::Sql(expression) => (*expression).to_owned(),
            });
            let values: Vec<String> = values.collect();
            sql.push_str(&format!(
                "insert into {} ({}) {overriding} values ({});\n",
                table.sql(),
                names.join(", "),
                values.join(", ")
            ));
        }
    }
    sql
}
