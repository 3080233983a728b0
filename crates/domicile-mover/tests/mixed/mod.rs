//! A platform of two sites: iad1 on SQLite, where everybody begins, and dub1 on PostgreSQL.

pub mod model;

#[path = "../two_homes/mod.rs"]
mod two_homes;

use domicile_model::{MoveId, SiteName};
use domicile_mover::migrate::{Options, Surroundings};
use domicile_mover::people::{Directives, Platform, ResidenceColumns};
use domicile_mover::plan::{Plan, Wishes, plan};
use domicile_store::Site;
use domicile_store::faulty::{Faults, Faulty};
use domicile_store::postgres::PostgresSite;
use domicile_store::sqlite::SqliteSite;
use domicile_store::sqlite::application::Application;
use domicile_testkit::tokio_postgres::Client;
use domicile_testkit::{Server, TestDatabase, connect};
use jiff::civil::date;
use model::{Model, STANDING};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};
pub(crate) use two_homes::homes;

/// Europeans have odd numbers.
pub const SOCIAL: &str = "
CREATE TABLE badges (id INTEGER PRIMARY KEY, name TEXT NOT NULL, worth DECIMAL(6,2));
INSERT INTO badges VALUES (1, 'new', 0.1), (2, 'old', 12.5), (3, 'none', NULL);
CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT, country TEXT NOT NULL,
  seen INTEGER NOT NULL DEFAULT 0, badge INTEGER REFERENCES badges (id));
CREATE TABLE posts (id TEXT PRIMARY KEY, user_id INTEGER NOT NULL REFERENCES users (id)
  ON DELETE CASCADE, body TEXT) WITHOUT ROWID;
CREATE INDEX posts_user ON posts (user_id);
CREATE TABLE comments (id TEXT PRIMARY KEY NOT NULL, post_id TEXT NOT NULL REFERENCES posts (id)
  ON UPDATE CASCADE ON DELETE CASCADE, body TEXT);
CREATE INDEX comments_post ON comments (post_id);
";

pub struct Mixed {
    _directory: tempfile::TempDir,
    pub path: PathBuf,
    pub database: TestDatabase,
    pub wishes: Wishes,
}

impl Mixed {
    /// A platform whose tables at iad1 this script makes; `users` is the subject table.
    pub fn with(script: &str) -> Mixed {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("origin.db");
        let app = Application::open(&path).unwrap();
        app.run(script).unwrap_or_else(|error| panic!("{error}"));
        let wishes = Wishes {
            subjects: "users".to_owned(),
            residence: ResidenceColumns::Code("country".to_owned()),
            tables: BTreeMap::new(),
            reference_site: None,
        };
        let database = Server::shared(1).unwrap().fresh_database("crossing").unwrap();
        Mixed { _directory: directory, path, database, wishes }
    }

    /// Writers' people, each with a post and a comment.
    pub fn social(people: u64) -> Mixed {
        let world = Mixed::with(SOCIAL);
        let app = world.app();
        app.run("BEGIN").unwrap();
        for id in 1..=people {
            let country = if id % 2 == 0 { "US" } else { "FR" };
            app.run(&format!(
                "INSERT INTO users VALUES ({id}, '{country}', 0, 1 + {id} % 2);
                 INSERT INTO posts VALUES ('start-{id}', {id}, 'first');
                 INSERT INTO comments VALUES ('start-{id}', 'start-{id}', 'first')"
            ))
            .unwrap();
        }
        app.run("COMMIT").unwrap();
        world
    }

    /// The application's connection to iad1.
    pub fn app(&self) -> Application {
        Application::open(&self.path).unwrap()
    }

    /// The application's connection to dub1.
    pub async fn there(&self) -> Client {
        connect(&self.database.app_url).await.unwrap()
    }

    pub async fn superuser(&self) -> Client {
        connect(&self.database.superuser_url).await.unwrap()
    }

    pub async fn sites(&self, faults: &Faults) -> Vec<Arc<dyn Site>> {
        let here = SqliteSite::open(name("iad1"), &self.path).unwrap().facing_postgres();
        let there = PostgresSite::connect(name("dub1"), &self.database.mover_url).await.unwrap();
        let sites: [Arc<dyn Site>; 2] = [Arc::new(here), Arc::new(there)];
        sites
            .into_iter()
            .map(|site| Arc::new(Faulty::new(site, faults.clone())) as Arc<dyn Site>)
            .collect()
    }

    pub async fn plan(&self) -> Plan {
        let sites = self.sites(&Faults::none()).await;
        plan(&sites, &homes(), &self.wishes, date(2026, 11, 21)).await.unwrap()
    }

    /// Makes dub1 ready; the application may write everything there.
    pub async fn prepare(&self) -> Plan {
        let plan = self.plan().await;
        assert_eq!(plan.refused, []);
        let sites = self.sites(&Faults::none()).await;
        domicile_mover::prepare::prepare(&sites, &plan).await.unwrap();
        let grant = "GRANT ALL ON ALL TABLES IN SCHEMA public TO app;
                     GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO app";
        self.superuser().await.batch_execute(grant).await.unwrap();
        plan
    }

    pub async fn platform(&self, plan: &Plan, faults: &Faults) -> Platform {
        Platform {
            sites: self.sites(faults).await,
            closure: plan.closure.clone().unwrap(),
            homes: homes(),
            residence: self.wishes.residence.clone(),
            reference_site: plan.reference_site,
            on: date(2026, 11, 21),
            directives: Directives::default(),
        }
    }

    /// Everything acknowledged stands once, over both sites, and nothing else does.
    pub async fn check(&self, model: &Model, context: &str) {
        let found = self.here(STANDING).into_iter().chain(self.texts(STANDING).await);
        let mut found: Vec<String> = found.flatten().collect();
        found.sort();
        assert_eq!(found, model.lines(), "{context}");
    }

    /// The first column of a query at iad1, as texts.
    pub fn here(&self, sql: &str) -> Vec<Option<String>> {
        let mut found = Vec::new();
        self.app().each_row(sql, &[], |row| found.push(row[0].clone())).unwrap();
        found
    }

    /// The first column of a query at dub1, which must be text.
    pub async fn texts(&self, sql: &str) -> Vec<Option<String>> {
        let rows = self.superuser().await.query(sql, &[]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }
}

fn name(text: &str) -> SiteName {
    text.parse().unwrap()
}

pub fn options() -> Options {
    Options { batch: Some(8), quiet: Duration::ZERO, ..Options::default() }
}

pub fn move_ids() -> Arc<dyn Fn() -> MoveId + Send + Sync> {
    static NEXT: AtomicI64 = AtomicI64::new(1);
    Arc::new(|| MoveId(NEXT.fetch_add(1, Ordering::Relaxed)))
}

/// Surroundings with a real clock; the sender stops the run.
pub fn surroundings() -> (Surroundings, tokio::sync::watch::Sender<bool>) {
    let (sender, stop) = tokio::sync::watch::channel(false);
    let started = Instant::now();
    let surroundings = Surroundings {
        clock: Arc::new(move || started.elapsed()),
        now: Arc::new(jiff::Timestamp::now),
        move_id: move_ids(),
        progress: Arc::new(|_| {}),
        stop,
    };
    (surroundings, sender)
}
