//! The bed of SQLite: two files in a directory.

use crate::conformance::support::{App, Bed, End, Refusal};
use async_trait::async_trait;
use domicile_store::Site;
use domicile_store::sqlite::SqliteSite;
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use rusqlite::types::ValueRef;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;

pub(crate) struct SqliteBed {
    directory: TempDir,
}

impl SqliteBed {
    fn file(&self, end: End) -> PathBuf {
        self.directory.path().join(end.name()).with_extension("db")
    }

    fn connect(&self, end: End) -> Connection {
        let connection = Connection::open(self.file(end)).unwrap();
        connection.busy_timeout(Duration::from_secs(20)).unwrap();
        connection.execute_batch("pragma foreign_keys = on").unwrap();
        connection
    }
}

#[async_trait]
impl Bed for SqliteBed {
    const ID: &'static str = "integer";
    const REPLACING: &'static [&'static str] = &[
        "insert or replace into badges values (10, 'guest', 5)",
        "insert into badges values (11, 'x', 6)",
        "update or replace badges set name = 'guest' where id = 11",
    ];

    async fn make() -> Self {
        let bed = SqliteBed { directory: tempfile::tempdir().unwrap() };
        for end in [End::Source, End::Target] {
            let name = end.name().parse().unwrap();
            SqliteSite::create(name, &bed.file(end)).unwrap();
        }
        bed
    }

    async fn site(&self, end: End) -> Arc<dyn Site> {
        Arc::new(SqliteSite::open(end.name().parse().unwrap(), &self.file(end)).unwrap())
    }

    async fn app(&self, end: End) -> Box<dyn App> {
        Box::new(SqliteApp(Arc::new(Mutex::new(self.connect(end)))))
    }

    async fn drop_fence(&self, end: End, table: &str) {
        let connection = self.connect(end);
        let first = "select name from sqlite_master where type = 'trigger' and tbl_name = ?1";
        let fence: String = connection.query_row(first, [table], |row| row.get(0)).unwrap();
        connection.execute_batch(&format!("drop trigger \"{fence}\"")).unwrap();
    }

    async fn keys(&self, end: End) -> Vec<String> {
        let connection = self.connect(end);
        let texts = "select sql from sqlite_master where type = 'table' order by name";
        let mut statement = connection.prepare(texts).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    async fn plant(&self, end: End, sql: &str) {
        let connection = self.connect(end);
        connection.execute_batch("pragma foreign_keys = off").unwrap();
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false).unwrap();
        connection.execute_batch(sql).unwrap();
    }
}

struct SqliteApp(Arc<Mutex<Connection>>);

impl SqliteApp {
    async fn with<R: Send + 'static>(
        &self,
        sql: &str,
        work: impl FnOnce(&Connection, &str) -> R + Send + 'static,
    ) -> R {
        let (connection, sql) = (Arc::clone(&self.0), sql.to_owned());
        let done = tokio::task::spawn_blocking(move || work(&connection.lock().unwrap(), &sql));
        done.await.unwrap()
    }
}

#[async_trait]
impl App for SqliteApp {
    async fn run(&mut self, sql: &str) -> Result<u64, Refusal> {
        self.with(sql, |connection, sql| match connection.execute_batch(sql) {
            Ok(()) => Ok(connection.changes()),
            Err(error) => Err(refusal(&error)),
        })
        .await
    }

    async fn rows(&mut self, sql: &str) -> Vec<String> {
        self.with(sql, |connection, sql| {
            let mut statement = connection.prepare(sql).unwrap();
            let columns = statement.column_count();
            let row = |row: &rusqlite::Row<'_>| {
                let values = (0..columns).map(|at| text(row.get_ref(at).unwrap()));
                Ok(values.collect::<Vec<_>>().join("|"))
            };
            statement.query_map([], row).unwrap().map(Result::unwrap).collect()
        })
        .await
    }
}

fn refusal(error: &rusqlite::Error) -> Refusal {
    let message = match error {
        rusqlite::Error::SqliteFailure(_, Some(message)) => message.clone(),
        other => other.to_string(),
    };
    let first = message.split_whitespace().next().unwrap_or_default();
    Refusal { code: first.trim_end_matches([':', ',']).to_owned(), message }
}

fn text(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "∅".to_owned(),
        ValueRef::Integer(value) => value.to_string(),
        ValueRef::Real(value) => format!("{value:?}"),
        ValueRef::Text(value) => String::from_utf8_lossy(value).into_owned(),
        ValueRef::Blob(value) => format!("{value:?}"),
    }
}
