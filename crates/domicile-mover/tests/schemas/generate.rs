//! A random schema of the kind that can move, and what has to be said about it.

use super::dialect::{Dialect, KeyType, LONG, NAMES};
use super::dice::Dice;
use super::rows::{self, Row};
use domicile_mover::people::ResidenceColumns;
use domicile_mover::plan::{TableKind, TableRule, Wishes};
use domicile_store::sql::ident;
use std::collections::BTreeMap;

pub(crate) const RESIDENCE: &str = "Land";

/// Columns that name a row of a table; the first of a table leads to the owner.
pub(crate) struct Reference {
    pub(crate) columns: Vec<String>,
    pub(crate) to: usize,
    pub(crate) to_columns: Vec<String>,
    pub(crate) nullable: bool,
    /// Whether a foreign key says so; otherwise only the plan's rule does.
    pub(crate) declared: bool,
    pub(crate) deferrable: bool,
}

/// How a table is partitioned.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parting {
    None,
    /// By hash, into so many; the first is attached with its columns the other way round.
    Hash(usize),
    /// By range, below a pivot and the rest, which is partitioned again.
    Range,
}

/// A column that holds something, by type; the values to choose from.
pub(crate) struct Content {
    pub(crate) name: String,
    pub(crate) type_name: &'static str,
    pub(crate) values: &'static [&'static str],
}

pub(crate) struct Table {
    pub(crate) schema: &'static str,
    name: String,
    pub(crate) key: Vec<String>,
    /// Key columns that are the table's own, not a reference's.
    pub(crate) own_key: Vec<(String, KeyType)>,
    pub(crate) references: Vec<Reference>,
    pub(crate) content: Vec<Content>,
    /// A text column whose generated column is the last.
    pub(crate) generated: Option<(String, &'static str)>,
    /// A unique column that others may refer to instead of the key.
    pub(crate) code: Option<String>,
    /// Holds the key of somebody else, without a foreign key.
    pub(crate) soft: bool,
    pub(crate) parting: Parting,
    /// At SQLite: whether it is STRICT where its types are, and whether WITHOUT ROWID.
    pub(crate) strict: bool,
    pub(crate) without_rowid: bool,
    pub(crate) rows: Vec<Row>,
}

pub(crate) struct Schema {
    pub(crate) dialect: &'static Dialect,
    pub(crate) tables: Vec<Table>,
    pub(crate) people: usize,
    /// Whether everybody has rows in every table.
    pub(crate) dense: bool,
    /// Whether the schema is loaded at the target as well, and not made by `prepare`.
    pub(crate) loaded: bool,
    pub(crate) large: Option<(&'static str, &'static str)>,
}

impl Schema {
    pub(crate) fn random(seed: u64, dialect: &'static Dialect) -> Schema {
        let mut dice = Dice::of(seed);
        let mut schema = Schema {
            dialect,
            tables: Vec::new(),
            people: 2 + dice.below(7),
            dense: dice.percent(50),
            loaded: dice.percent(50),
            large: dice.percent(50).then(|| *dice.pick(dialect.large)),
        };
        for at in 0..3 + dice.below(6) {
            let table = schema.random_table(at, &mut dice);
            schema.tables.push(table);
        }
        schema.add_references_back(&mut dice);
        rows::fill(&mut schema, &mut dice);
        schema
    }

    fn random_table(&self, at: usize, dice: &mut Dice) -> Table {
        let mut names = Names::default();
        let mut references = Vec::new();
        if at > 0 {
            references.push(self.reference(at, false, &mut names, dice));
            for _ in 0..dice.below(3) {
                references.push(self.reference(at, true, &mut names, dice));
            }
        }
        let mut own_key = vec![(names.take(dice), *dice.pick(self.dialect.keys))];
        if dice.percent(30) {
            // Keys that name a person are compared as text.
            let second = self.dialect.second_keys;
            let end = if at == 0 { self.dialect.exact_second_keys } else { second.len() };
            own_key.push((names.take(dice), *dice.pick(&second[..end])));
        }
        let mut key: Vec<String> = own_key.iter().map(|(name, _)| name.clone()).collect();
        if let Some(first) = references.first_mut() {
            if dice.percent(30) {
                key.splice(0..0, first.columns.clone());
            } else {
                // Then rows can be nobody's.
                first.nullable = dice.percent(30);
            }
        }
        let mut content = Vec::new();
        let strict = dice.percent(25);
        let columns = if strict { self.dialect.strict_columns } else { self.dialect.columns };
        for _ in 0..1 + dice.below(7) {
            let (type_name, values) = *dice.pick(columns);
            content.push(Content { name: names.take(dice), type_name, values });
        }
        if let Some((type_name, _)) = self.large.filter(|_| dice.percent(50)) {
            let values: &[&str] = match (self.dialect.at_sqlite, type_name) {
                (false, _) => &["1", "2"],
                (true, "BLOB") => &["x'31'", "x''"],
                (true, _) => &["'1'", "''"],
            };
            content.push(Content { name: names.take(dice), type_name, values });
        }
        let texts = content.iter().find(|content| content.type_name.eq_ignore_ascii_case("text"));
        let generated =
            texts.map(|content| (content.name.clone(), *dice.pick(self.dialect.generated)));
        let parting = match dice.below(6) {
            0 => Parting::Hash(1 + dice.below(3)),
            1 => Parting::Range,
            _ => Parting::None,
        };
        let is_whole = parting == Parting::None;
        Table {
            schema: self.dialect.schemas[dice.below(self.dialect.schemas.len())],
            name: format!("{} {at}", if dice.percent(10) { LONG } else { *dice.pick(NAMES) }),
            key,
            own_key,
            references,
            content,
            generated,
            code: (is_whole && dice.percent(40)).then(|| names.take(dice)),
            soft: at > 0 && dice.percent(30),
            parting,
            strict,
            without_rowid: dice.percent(30),
            rows: Vec::new(),
        }
    }

    /// A reference from table `at` to one before it, or, where it need not lead to the owner, to
    /// itself.
    fn reference(&self, at: usize, further: bool, names: &mut Names, dice: &mut Dice) -> Reference {
        let to = dice.below(at);
        let target = &self.tables[to];
        let by_code = target.code.clone().filter(|_| dice.percent(50));
        let mut to_columns = by_code.map_or_else(|| target.key.clone(), |code| vec![code]);
        let declared = further || to > 0 || dice.percent(80);
        if !declared {
            to_columns.clone_from(&target.key);
        }
        let is_exact = |column: &String| !target.is_inexact(column, self);
        if !further && !to_columns.iter().all(is_exact) {
            return self.reference(at, further, names, dice);
        }
        Reference {
            columns: to_columns.iter().map(|_| names.take(dice)).collect(),
            to,
            to_columns,
            nullable: further && (!self.dense || dice.percent(60)),
            declared,
            deferrable: declared && dice.percent(40),
        }
    }

    /// From a table to itself, and from tables to those after them: cycles.
    fn add_references_back(&mut self, dice: &mut Dice) {
        for at in 0..self.tables.len() {
            if !dice.percent(45) {
                continue;
            }
            let to = at + dice.below(self.tables.len() - at);
            let to_columns = self.tables[to].key.clone();
            let columns = (0..to_columns.len()).map(|n| format!("Back {n}")).collect();
            // A row can always name itself.
            let nullable = !(to == at || self.dense) || dice.percent(60);
            let deferrable = dice.percent(50);
            let declared = true;
            let back = Reference { columns, to, to_columns, nullable, declared, deferrable };
            self.tables[at].references.push(back);
        }
    }

    /// Whether SQLite keeps a counter for one of its tables.
    pub(crate) fn has_counter(&self) -> bool {
        let counts = |table: &Table| {
            let own = [(table.key[0].clone(), KeyType::Identity)];
            table.own_key == own && table.key.len() == 1 && !table.without_rowid
        };
        self.tables.iter().any(counts)
    }

    pub(crate) fn wishes(&self) -> Wishes {
        let mut tables = BTreeMap::new();
        for (at, table) in self.tables.iter().enumerate() {
            let mut rule = TableRule::default();
            if self.must_name_owner(at) {
                rule.owner.clone_from(&table.references[0].columns);
            }
            if table.soft {
                rule.soft = vec![vec!["somebody".to_owned()]];
            }
            rule.unique_per_site.extend(table.code.as_ref().map(|_| format!("code {at}")));
            tables.insert(table.called(), rule);
        }
        let kind = Some(TableKind::Reference);
        tables.insert(self.dialect.moods.to_owned(), TableRule { kind, ..TableRule::default() });
        Wishes {
            subjects: self.tables[0].called(),
            residence: ResidenceColumns::Code(RESIDENCE.to_owned()),
            tables,
            reference_site: None,
        }
    }

    /// How many edges lead from a table to its owner, by the way that is meant.
    fn level(&self, at: usize) -> usize {
        if at == 0 { 0 } else { 1 + self.level(self.tables[at].references[0].to) }
    }

    /// Whether another way is as short, or nothing else says so.
    fn must_name_owner(&self, at: usize) -> bool {
        let Some((own, others)) = self.tables[at].references.split_first().filter(|_| at > 0)
        else {
            return false;
        };
        let is_short = |other: &Reference| self.level(other.to) <= self.level(own.to);
        !own.declared || others.iter().any(is_short)
    }
}

impl Reference {
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&String, (usize, String))> {
        self.columns.iter().zip(self.to_columns.iter().map(|column| (self.to, column.clone())))
    }
}

impl Table {
    fn is_inexact(&self, column: &String, schema: &Schema) -> bool {
        let own = self.own_key.iter().find(|(name, _)| name == column);
        match own {
            Some((_, kind)) => !kind.is_exact(),
            None => {
                let first = self.references.first();
                first.is_some_and(|reference| {
                    reference.pairs().any(|(name, (to, target))| {
                        name == column && schema.tables[to].is_inexact(&target, schema)
                    })
                })
            }
        }
    }

    /// Its columns, where it has rows.
    pub(crate) fn columns(&self) -> Vec<&str> {
        let names = self.rows.first().into_iter().flat_map(|row| row.values.keys());
        names.map(String::as_str).chain(self.generated.as_ref().map(|_| "made")).collect()
    }

    /// A column that a statement may set to a value.
    pub(crate) fn written(&self, dice: &mut Dice) -> &str {
        let references = self.references.iter().flat_map(|reference| &reference.columns);
        let content = self.content.iter().map(|content| &content.name);
        let keys = self.own_key.iter().filter(|(_, kind)| *kind != KeyType::Identity);
        let keys = keys.map(|(name, _)| name);
        let names: Vec<&String> = references.chain(content).chain(keys).collect();
        names[dice.below(names.len())]
    }

    /// As a user writes it.
    pub(crate) fn called(&self) -> String {
        if matches!(self.schema, "" | "public") {
            self.name.clone()
        } else {
            format!("{}.{}", self.schema, self.name)
        }
    }

    pub(crate) fn sql(&self) -> String {
        let schema = if self.schema.is_empty() { String::new() } else { ident(self.schema) + "." };
        schema + &ident(&self.name)
    }
}

/// Column names that differ within a table.
#[derive(Default)]
struct Names(usize);

impl Names {
    fn take(&mut self, dice: &mut Dice) -> String {
        self.0 += 1;
        format!("{}{}", dice.pick(NAMES), self.0)
    }
}
