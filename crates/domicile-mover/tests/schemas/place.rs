//! The databases of a round, of either engine, and what is read from them.

use super::generate::{RESIDENCE, Schema, Table};
use super::oracle::RowName;
use super::rows::inserts;
use crate::either::{Databases, Engine};
use domicile_store::Site;
use domicile_store::faulty::Faults;
use domicile_store::sql::{ident, literal};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) const SITES: [(&str, &str); 2] = [("iad1", "US"), ("dub1", "IE")];

/// Every row as text, by name, and every sequence's last number.
pub(crate) type Dump = BTreeMap<RowName, String>;

/// Where a dump has its sequences, after all tables.
const SEQUENCES: usize = usize::MAX;

pub(crate) struct Place {
    pub(crate) databases: Databases,
}

impl Place {
    /// Everybody at the first site; the second one is empty, or has the schema.
    pub(crate) async fn load(seed: u64, schema: &Schema) -> Place {
        let engine = if schema.dialect.at_sqlite { Engine::Sqlite } else { Engine::Postgres };
        let databases = Databases::fresh(engine, SITES.len());
        let place = Place { databases };
        for site in 0..SITES.len() {
            if site > 0 && !schema.loaded {
                continue;
            }
            let rows = if site == 0 { inserts(schema) } else { String::new() };
            let script = if schema.dialect.at_sqlite {
                schema.sqlite_sql() + &rows
            } else {
                let numbers = if site == 0 { schema.numbers_sql() } else { String::new() };
                schema.tables_sql() + &rows + &schema.keys_sql() + &numbers + "analyze;"
            };
            let loaded = place.databases.app(site).await.run(&script).await;
            assert!(loaded.is_ok(), "seed {seed}: {loaded:?}\n{script}");
        }
        place
    }

    pub(crate) async fn sites(&self) -> Vec<Arc<dyn Site>> {
        self.databases.sites(&SITES.map(|(name, _)| name), &Faults::none()).await
    }

    /// As the application does where they live.
    pub(crate) async fn set_residence(
        &self,
        schema: &Schema,
        site: usize,
        people: &[usize],
        land: &str,
    ) {
        let mut app = self.databases.app(site).await;
        let root = &schema.tables[0];
        for person in people {
            let is_theirs = is_row(schema, root, &root.rows[*person].key(root));
            let sql = format!(
                "update {} as t set {} = '{land}' where {is_theirs}",
                root.sql(),
                ident(RESIDENCE)
            );
            app.run(&sql).await.unwrap();
        }
    }

    pub(crate) async fn dump(&self, schema: &Schema, site: usize) -> Dump {
        let mut connection = self.databases.superuser(site).await;
        let mut dump = Dump::new();
        for (at, table) in schema.tables.iter().enumerate() {
            let key = table.key.iter().map(|column| key_text(schema, &ident(column)));
            let whole: Vec<String> = if schema.dialect.at_sqlite {
                let exact = |column: String| {
                    format!(
                        "typeof({column}), CASE WHEN typeof({column}) IN ('text', 'blob') THEN \
                         hex(CAST({column} AS BLOB)) ELSE quote({column}) END"
                    )
                };
                table.columns().into_iter().map(|column| exact(ident(column))).collect()
            } else {
                vec!["t::text".to_owned()]
            };
            let columns: Vec<String> = key.chain(whole).collect();
            let sql = format!("select {} from {} t", columns.join(", "), table.sql());
            for mut line in connection.lines(&sql).await {
                let rest = line.split_off(table.key.len());
                let key = line.into_iter().map(Option::unwrap_or_default).collect();
                let doubled = dump.insert((at, key), format!("{rest:?}"));
                assert_eq!(doubled, None, "a key twice in {}", table.sql());
            }
        }
        // SQLite counts up where rows with larger numbers arrive.
        let is_counted = !schema.dialect.at_sqlite || (site == 0 && schema.has_counter());
        let sequences = match schema.dialect.at_sqlite {
            true => "select name, seq from sqlite_sequence where name not glob 'domicile*'",
            false => {
                "select format('%I.%I', schemaname, sequencename), coalesce(last_value, 0)
                 from pg_sequences where schemaname <> 'domicile'"
            }
        };
        for line in if is_counted { connection.lines(sequences).await } else { Vec::new() } {
            let [name, last] = line.try_into().unwrap();
            dump.insert((SEQUENCES, vec![name.unwrap()]), last.unwrap());
        }
        dump
    }
}

/// Compared as texts, as the oracle has them; the table is `t`.
pub(crate) fn is_row(schema: &Schema, table: &Table, key: &[String]) -> String {
    let parts = table.key.iter().zip(key);
    let parts: Vec<String> = parts
        .map(|(name, value)| format!("{} = {}", key_text(schema, &ident(name)), literal(value)))
        .collect();
    parts.join(" and ")
}

fn key_text(schema: &Schema, column: &str) -> String {
    if schema.dialect.at_sqlite {
        format!(
            "CASE typeof({column}) WHEN 'blob' THEN '\\x' || lower(hex({column})) \
             ELSE CAST({column} AS TEXT) END"
        )
    } else {
        format!("t.{column}::text")
    }
}
