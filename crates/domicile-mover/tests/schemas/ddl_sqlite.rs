//! The statements that make a random schema at SQLite.

use super::ddl::{Types, list};
use super::dialect::KeyType;
use super::generate::{RESIDENCE, Reference, Schema, Table};
use domicile_store::sql::ident;

/// Types that a STRICT table does not take.
const LOOSE: &[&str] = &["", "NUMERIC"];

impl Schema {
    /// Tables with their keys; nothing is checked while rows go in.
    pub(crate) fn sqlite_sql(&self) -> String {
        let mut sql = "PRAGMA foreign_keys = OFF;\n\
                       create table moods (id int primary key not null, mood text);\n"
            .to_owned();
        let types = self.types();
        for (at, table) in self.tables.iter().enumerate() {
            sql.push_str(&self.create(table, at, &types));
        }
        sql
    }

    fn create(&self, table: &Table, at: usize, types: &Types) -> String {
        let is_alone = table.key.len() == 1 && !table.without_rowid;
        let mut columns = vec!["hole int".to_owned()];
        let mut keys = vec![format!("primary key ({})", list(&table.key))];
        for (name, kind) in &table.own_key {
            let type_name = types[&(at, name.clone())];
            if *kind == KeyType::Identity && is_alone {
                keys.clear();
                columns.push(format!("{} INTEGER PRIMARY KEY AUTOINCREMENT", ident(name)));
            } else {
                columns.push(format!("{} {type_name} not null", ident(name)));
            }
        }
        for reference in &table.references {
            for (name, target) in reference.pairs() {
                let null = if reference.nullable { "" } else { " not null" };
                columns.push(format!("{} {}{null}", ident(name), types[&target]));
            }
        }
        let content = table.content.iter();
        columns.extend(content.map(|c| format!("{} {}", ident(&c.name), c.type_name)));
        if at == 0 {
            columns.push(format!("{} TEXT", ident(RESIDENCE)));
        }
        columns.extend(table.code.iter().map(|code| format!("{} TEXT not null", ident(code))));
        columns.extend(table.soft.then(|| "somebody TEXT".to_owned()));
        columns.push("mood int".to_owned());
        if let Some((of, expression)) = &table.generated {
            let expression = expression.replace('@', &ident(of));
            let kept = if at.is_multiple_of(2) { "stored" } else { "virtual" };
            columns.push(format!("made TEXT generated always as ({expression}) {kept}"));
        }
        keys.push("foreign key (mood) references moods (id)".to_owned());
        let declared = table.references.iter().filter(|reference| reference.declared);
        keys.extend(declared.map(|reference| self.foreign_key(reference)));
        let mut options = Vec::new();
        let own = table.own_key.iter().map(|(name, _)| types[&(at, name.clone())]);
        let theirs = table.references.iter().flat_map(Reference::pairs);
        let mut all = own.chain(theirs.map(|(_, target)| types[&target]));
        if table.strict && !all.any(|type_name| LOOSE.contains(&type_name)) {
            options.push("STRICT");
        }
        options.extend(table.without_rowid.then_some("WITHOUT ROWID"));
        let sql = table.sql();
        let mut script = format!(
            "create table {sql} ({}, {}) {};\nalter table {sql} drop column hole;\n",
            columns.join(", "),
            keys.join(", "),
            options.join(", ")
        );
        if let Some(code) = &table.code {
            script += &format!("create unique index \"code {at}\" on {sql} ({});\n", ident(code));
        }
        for (n, reference) in table.references.iter().enumerate() {
            let columns = list(&reference.columns);
            script += &format!("create index \"way {at} {n}\" on {sql} ({columns});\n");
        }
        script
    }

    fn foreign_key(&self, reference: &Reference) -> String {
        format!(
            "foreign key ({}) references {} ({}){}",
            list(&reference.columns),
            self.tables[reference.to].sql(),
            list(&reference.to_columns),
            if reference.deferrable { " deferrable initially deferred" } else { "" }
        )
    }
}
