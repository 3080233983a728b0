//! Databases of either engine, one for each site, and the application's connections to them.

#![allow(dead_code, reason = "each test program uses a part")]

use domicile_model::SiteName;
use domicile_store::Site;
use domicile_store::faulty::{Faults, Faulty};
use domicile_store::postgres::PostgresSite;
use domicile_store::sqlite::SqliteSite;
use domicile_store::sqlite::application::Application;
use domicile_testkit::tokio_postgres::{self, Client, SimpleQueryMessage};
use domicile_testkit::{Server, TestDatabase, connect};
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    Postgres,
    Sqlite,
}

pub(crate) enum Databases {
    Postgres(Vec<TestDatabase>),
    Sqlite(TempDir),
    /// The first site on SQLite, the second on PostgreSQL.
    Crossing(TempDir, TestDatabase),
}

pub(crate) enum Connection {
    Postgres(Client),
    Sqlite(Application),
}

pub(crate) type Line = Vec<Option<String>>;

impl Connection {
    /// Runs statements; what the database says when it refuses: its code, or else its words.
    pub(crate) async fn run(&mut self, sql: &str) -> Result<(), String> {
        match self {
            Connection::Postgres(client) => {
                client.batch_execute(sql).await.map_err(|error| said(&error))
            }
            Connection::Sqlite(app) => app.run(sql).map_err(|error| error.to_string()),
        }
    }

    /// The same of one statement; how many rows it changed.
    pub(crate) async fn execute(&mut self, sql: &str) -> Result<u64, String> {
        match self {
            Connection::Postgres(client) => {
                client.execute(sql, &[]).await.map_err(|error| said(&error))
            }
            Connection::Sqlite(app) => app.execute(sql, &[]).map_err(|error| error.to_string()),
        }
    }

    /// A query's lines, each value as text.
    pub(crate) async fn lines(&mut self, sql: &str) -> Vec<Line> {
        let mut lines = Vec::new();
        match self {
            Connection::Postgres(client) => {
                let found = client.simple_query(sql).await;
                for message in found.unwrap_or_else(|error| panic!("{error:?}: {sql}")) {
                    if let SimpleQueryMessage::Row(row) = message {
                        let cell = |at| row.get(at).map(str::to_owned);
                        lines.push((0..row.len()).map(cell).collect());
                    }
                }
            }
            Connection::Sqlite(app) => {
                let found = app.each_row(sql, &[], |line| lines.push(line));
                found.unwrap_or_else(|error| panic!("{error}: {sql}"));
            }
        }
        lines
    }
}

fn said(error: &tokio_postgres::Error) -> String {
    let code = error.code().map_or("", |code| code.code());
    format!("{code} {error:?}")
}

impl Databases {
    /// Empty ones, of which only the second is on PostgreSQL.
    pub(crate) fn crossing() -> Databases {
        let there = Server::shared(0).unwrap().fresh_database("either").unwrap();
        Databases::Crossing(tempfile::tempdir().unwrap(), there)
    }

    /// As many, empty, on as few servers as there are.
    pub(crate) fn fresh(engine: Engine, count: usize) -> Databases {
        match engine {
            Engine::Sqlite => Databases::Sqlite(tempfile::tempdir().unwrap()),
            Engine::Postgres => {
                let fresh = |_| Server::shared(0).unwrap().fresh_database("either").unwrap();
                Databases::Postgres((0..count).map(fresh).collect())
            }
        }
    }

    pub(crate) async fn sites(&self, names: &[&str], faults: &Faults) -> Vec<Arc<dyn Site>> {
        let mut sites: Vec<Arc<dyn Site>> = Vec::new();
        for (at, text) in names.iter().enumerate() {
            let name: SiteName = text.parse().unwrap();
            let site: Arc<dyn Site> = match self.place(at) {
                Place::Postgres(database) => {
                    let site = PostgresSite::connect(name, &database.mover_url).await;
                    Arc::new(site.unwrap())
                }
                Place::Sqlite(path) => {
                    let site = SqliteSite::create(name, &path).unwrap();
                    let faces_postgres = matches!(self, Databases::Crossing(..));
                    Arc::new(if faces_postgres { site.facing_postgres() } else { site })
                }
            };
            sites.push(Arc::new(Faulty::new(site, faults.clone())));
        }
        sites
    }

    pub(crate) async fn app(&self, site: usize) -> Connection {
        self.connect(site, |database| &database.app_url).await
    }

    pub(crate) async fn superuser(&self, site: usize) -> Connection {
        self.connect(site, |database| &database.superuser_url).await
    }

    async fn connect(&self, site: usize, url: fn(&TestDatabase) -> &String) -> Connection {
        match self.place(site) {
            Place::Postgres(database) => {
                let client = connect(url(database)).await.unwrap();
                let pinned = "set extra_float_digits = 3; set timezone = 'UTC'";
                client.batch_execute(pinned).await.unwrap();
                Connection::Postgres(client)
            }
            Place::Sqlite(path) => Connection::Sqlite(Application::open(&path).unwrap()),
        }
    }

    fn place(&self, site: usize) -> Place<'_> {
        match self {
            Databases::Postgres(databases) => Place::Postgres(&databases[site]),
            Databases::Crossing(_, database) if site == 1 => Place::Postgres(database),
            Databases::Sqlite(folder) | Databases::Crossing(folder, _) => {
                Place::Sqlite(folder.path().join(site.to_string()))
            }
        }
    }
}

/// Where one site stands.
enum Place<'a> {
    Postgres(&'a TestDatabase),
    Sqlite(PathBuf),
}
