//! A random schema of the kind that can move, and what has to be said about it.

use super::dice::Dice;
use super::rows::{self, Row};
use super::values::{COLUMNS, GENERATED, LARGE, LOADED, LOADED_TYPES, NAMES, TYPES};
use domicile_mover::people::ResidenceColumns;
use domicile_mover::plan::{TableKind, TableRule, Wishes};
use domicile_store::sql::ident;
use std::collections::BTreeMap;

pub(crate) const RESIDENCE: &str = "Land";
const SCHEMAS: &[&str] = &["public", "Mixed Case", "two"];

/// Columns that name a row of a table; the first of a table leads to the owner.
pub(crate) struct Reference {
    pub(crate) columns: Vec<String>,
    pub(crate) to: usize,
    pub(crate) to_columns: Vec<String>,
    pub(crate) nullable: bool,
    /// Whether a foreign key says so; otherwise only the plan's rule does.
    pub(crate) declared: bool,
    deferrable: bool,
}

/// How a key column's values are made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyType {
    Identity,
    Int,
    Text,
    Uuid,
    Bytes,
    Day,
}

impl KeyType {
    fn sql(self) -> &'static str {
        match self {
            KeyType::Identity => "bigint generated always as identity",
            KeyType::Int => "bigint",
            KeyType::Text => "text",
            KeyType::Uuid => "uuid",
            KeyType::Bytes => "bytea",
            KeyType::Day => "date",
        }
    }
}

/// A column that holds something, by type; the values to choose from.
pub(crate) struct Content {
    pub(crate) name: String,
    pub(crate) type_name: &'static str,
    pub(crate) values: &'static [&'static str],
}

pub(crate) struct Table {
    schema: &'static str,
    name: String,
    pub(crate) key: Vec<String>,
    /// Key columns that are the table's own, not a reference's.
    pub(crate) own_key: Vec<(String, KeyType)>,
    pub(crate) references: Vec<Reference>,
    pub(crate) content: Vec<Content>,
    /// A text column whose generated column is the last.
    generated: Option<(String, &'static str)>,
    /// A unique column that others may refer to instead of the key.
    pub(crate) code: Option<String>,
    /// Holds the key of somebody else, without a foreign key.
    pub(crate) soft: bool,
    partitions: usize,
    pub(crate) rows: Vec<Row>,
}

/// Types of the columns that references point to.
type Types = BTreeMap<(usize, String), &'static str>;

pub(crate) struct Schema {
    pub(crate) tables: Vec<Table>,
    pub(crate) people: usize,
    /// Whether everybody has rows in every table.
    pub(crate) dense: bool,
    /// Whether the schema is loaded at the target as well, and not made by `prepare`.
    pub(crate) loaded: bool,
    pub(crate) large: Option<(&'static str, &'static str)>,
}

impl Schema {
    pub(crate) fn random(seed: u64) -> Schema {
        let mut dice = Dice::of(seed);
        let mut schema = Schema {
            tables: Vec::new(),
            people: 2 + dice.below(7),
            dense: dice.percent(50),
            loaded: dice.percent(50),
            large: dice.percent(50).then(|| *dice.pick(LARGE)),
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
        let kinds = [KeyType::Identity, KeyType::Int, KeyType::Text, KeyType::Uuid];
        let mut own_key = vec![(names.take(dice), *dice.pick(&kinds))];
        if dice.percent(30) {
            let wide = [KeyType::Int, KeyType::Text, KeyType::Bytes, KeyType::Day];
            // Keys that are referred to are compared as text.
            let exact = &wide[..if at == 0 { 2 } else { 4 }];
            own_key.push((names.take(dice), *dice.pick(exact)));
        }
        let mut key: Vec<String> = own_key.iter().map(|(name, _)| name.clone()).collect();
        if at > 0 && dice.percent(30) {
            key.splice(0..0, references[0].columns.clone());
        }
        let mut content = Vec::new();
        for _ in 0..1 + dice.below(7) {
            let (type_name, values) = *dice.pick(COLUMNS);
            content.push(Content { name: names.take(dice), type_name, values });
        }
        if self.loaded && dice.percent(30) {
            content.push(Content { name: names.take(dice), type_name: LOADED.0, values: LOADED.1 });
        }
        if let Some((type_name, _)) = self.large.filter(|_| dice.percent(50)) {
            content.push(Content { name: names.take(dice), type_name, values: &["1", "2"] });
        }
        let texts = content.iter().find(|content| content.type_name == "text");
        let generated = texts.map(|content| (content.name.clone(), *dice.pick(GENERATED)));
        let partitions = if dice.percent(25) { 1 + dice.below(3) } else { 0 };
        Table {
            schema: SCHEMAS[dice.below(SCHEMAS.len())],
            name: format!("{} {at}", dice.pick(NAMES)),
            key,
            own_key,
            references,
            content,
            generated,
            code: (partitions == 0 && dice.percent(40)).then(|| names.take(dice)),
            soft: at > 0 && dice.percent(30),
            partitions,
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
            let deferrable = !nullable || dice.percent(50);
            let declared = true;
            let back = Reference { columns, to, to_columns, nullable, declared, deferrable };
            self.tables[at].references.push(back);
        }
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
        tables.insert("two.moods".to_owned(), TableRule { kind, ..TableRule::default() });
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

    /// The schema's statements, without foreign keys; those come after the rows.
    pub(crate) fn tables_sql(&self) -> String {
        let mut sql = TYPES.to_owned();
        if self.loaded {
            sql.push_str(LOADED_TYPES);
        }
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

    fn types(&self) -> Types {
        let mut types = Types::new();
        for (at, table) in self.tables.iter().enumerate() {
            for (name, kind) in &table.own_key {
                let plain = if *kind == KeyType::Identity { "bigint" } else { kind.sql() };
                types.insert((at, name.clone()), plain);
            }
            types.extend(table.code.iter().map(|code| ((at, code.clone()), "text")));
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

impl Reference {
    fn pairs(&self) -> impl Iterator<Item = (&String, (usize, String))> {
        self.columns.iter().zip(self.to_columns.iter().map(|column| (self.to, column.clone())))
    }
}

impl Table {
    fn is_inexact(&self, column: &String, schema: &Schema) -> bool {
        let own = self.own_key.iter().find(|(name, _)| name == column);
        match own {
            Some((_, kind)) => matches!(kind, KeyType::Bytes | KeyType::Day),
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

    /// As a user writes it.
    pub(crate) fn called(&self) -> String {
        if self.schema == "public" {
            self.name.clone()
        } else {
            format!("{}.{}", self.schema, self.name)
        }
    }

    pub(crate) fn sql(&self) -> String {
        format!("{}.{}", ident(self.schema), ident(&self.name))
    }

    fn create(&self, at: usize, types: &Types) -> String {
        // A dropped column leaves a hole in the numbers of the others.
        let mut columns = vec!["hole int".to_owned()];
        for (name, kind) in &self.own_key {
            columns.push(format!("{} {} not null", ident(name), kind.sql()));
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
        columns.push(format!("primary key ({})", list(&self.key)));
        let sql = self.sql();
        let by_hash = format!(" partition by hash ({})", ident(&self.key[0]));
        let by_hash = if self.partitions > 0 { by_hash } else { String::new() };
        let mut script = format!("create table {sql} ({}){by_hash};\n", columns.join(", "));
        for part in 0..self.partitions {
            script.push_str(&format!(
                "create table \"Mixed Case\".\"part {at} {part}\" partition of {sql} \
                 for values with (modulus {}, remainder {part});\n",
                self.partitions
            ));
        }
        script + &format!("alter table {sql} drop column hole;\n")
    }
}

fn list(columns: &[String]) -> String {
    columns.iter().map(|column| ident(column)).collect::<Vec<_>>().join(", ")
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
