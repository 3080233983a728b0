//! The bed of PostgreSQL: a database on each of two servers.

use crate::conformance::support::{App, Bed, End, Refusal};
use async_trait::async_trait;
use domicile_store::Site;
use domicile_store::postgres::PostgresSite;
use domicile_testkit::{Server, TestDatabase, connect};
use std::sync::Arc;
use tokio_postgres::{Client, SimpleQueryMessage};

pub(crate) struct PostgresBed {
    source: TestDatabase,
    target: TestDatabase,
}

impl PostgresBed {
    /// Two databases of servers of one's own.
    pub(crate) fn of(source: TestDatabase, target: TestDatabase) -> Self {
        PostgresBed { source, target }
    }

    pub(crate) fn database(&self, end: End) -> &TestDatabase {
        match end {
            End::Source => &self.source,
            End::Target => &self.target,
        }
    }
}

#[async_trait]
impl Bed for PostgresBed {
    const ID: &'static str = "bigint";
    const REPLACING: &'static [&'static str] =
        &["truncate badges, users", "insert into badges values (9, 'x', 1)"];

    async fn make() -> Self {
        let fresh = |server| Server::shared(server).unwrap().fresh_database("conformance").unwrap();
        Self::of(fresh(0), fresh(1))
    }

    async fn site(&self, end: End) -> Arc<dyn Site> {
        let name = end.name().parse().unwrap();
        Arc::new(PostgresSite::connect(name, &self.database(end).mover_url).await.unwrap())
    }

    async fn app(&self, end: End) -> Box<dyn App> {
        Box::new(PostgresApp(connect(&self.database(end).app_url).await.unwrap()))
    }

    async fn drop_fence(&self, end: End, table: &str) {
        let client = connect(&self.database(end).superuser_url).await.unwrap();
        let fence = "select tgname::text from pg_trigger
            where tgrelid = $1::text::regclass and not tgisinternal order by tgname";
        let fence: String = client.query(fence, &[&table]).await.unwrap()[0].get(0);
        client.batch_execute(&format!("drop trigger \"{fence}\" on {table}")).await.unwrap();
    }

    async fn keys(&self, end: End) -> Vec<String> {
        let client = connect(&self.database(end).superuser_url).await.unwrap();
        let all = "select concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid), \
                convalidated, obj_description(oid, 'pg_constraint')) from pg_constraint \
            where contype = 'f' and connamespace = 'public'::regnamespace order by 1";
        client.query(all, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
    }

    async fn plant(&self, end: End, sql: &str) {
        let client = connect(&self.database(end).superuser_url).await.unwrap();
        client.batch_execute("set session_replication_role = replica").await.unwrap();
        client.batch_execute(sql).await.unwrap();
    }
}

struct PostgresApp(Client);

#[async_trait]
impl App for PostgresApp {
    async fn run(&mut self, sql: &str) -> Result<u64, Refusal> {
        let messages = self.0.simple_query(sql).await.map_err(|error| refusal(&error))?;
        let counts = messages.iter().filter_map(|message| match message {
            SimpleQueryMessage::CommandComplete(rows) => Some(*rows),
            _ => None,
        });
        Ok(counts.last().unwrap_or(0))
    }

    async fn rows(&mut self, sql: &str) -> Vec<String> {
        let messages = self.0.simple_query(sql).await.unwrap();
        let rows = messages.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        let text = |row: &tokio_postgres::SimpleQueryRow| {
            let values = (0..row.len()).map(|at| row.get(at).unwrap_or("∅"));
            values.collect::<Vec<_>>().join("|")
        };
        rows.map(text).collect()
    }
}

fn refusal(error: &tokio_postgres::Error) -> Refusal {
    match error.as_db_error() {
        Some(error) => {
            Refusal { code: error.code().code().to_owned(), message: error.message().to_owned() }
        }
        None => Refusal { code: String::new(), message: error.to_string() },
    }
}
