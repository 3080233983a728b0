//! The real driver, killed before and after every call it makes, while an application writes
//! between any two of its steps; then one more run.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests; a failure should stop where it happens"
)]

mod two_homes;

use domicile_model::MoveId;
use domicile_mover::migrate::{Options, Surroundings, migrate};
use domicile_mover::people::{Directives, Platform, ResidenceColumns};
use domicile_mover::plan::{TableRule, Wishes, plan};
use domicile_mover::prepare::prepare;
use domicile_mover::verify::verify;
use domicile_store::faulty::{FAULTS, Fault, Faults, Faulty, POINTS};
use domicile_store::sqlite::SqliteSite;
use domicile_store::sqlite::application::Application;
use domicile_store::{Closure, Site};
use jiff::civil::date;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use two_homes::{SITES, homes};

const PEOPLE: u64 = 6;

const SCHEMA: &str = "
CREATE TABLE users (id INTEGER PRIMARY KEY, country TEXT, seen INTEGER NOT NULL DEFAULT 0);
CREATE TABLE kinds (id TEXT PRIMARY KEY);
INSERT INTO kinds VALUES ('k0');
CREATE TABLE posts (id TEXT PRIMARY KEY, user_id INTEGER NOT NULL REFERENCES users (id),
  kind TEXT NOT NULL DEFAULT 'k0' REFERENCES kinds (id));
CREATE TABLE comments (id TEXT PRIMARY KEY, post_id TEXT NOT NULL REFERENCES posts (id));
CREATE INDEX posts_user ON posts (user_id);
CREATE INDEX comments_post ON comments (post_id);
";

struct World {
    _directory: tempfile::TempDir,
    paths: Vec<PathBuf>,
}

impl World {
    fn new() -> World {
        let directory = tempfile::tempdir().unwrap();
        let paths: Vec<PathBuf> =
            SITES.iter().map(|(name, _)| directory.path().join(format!("{name}.db"))).collect();
        for ((name, _), path) in SITES.iter().zip(&paths) {
            SqliteSite::create(name.parse().unwrap(), path).unwrap();
        }
        let app = Application::open(&paths[0]).unwrap();
        app.run(SCHEMA).unwrap();
        for id in 1..=PEOPLE {
            let country = if id % 3 == 0 { "US" } else { "FR" };
            app.run(&format!(
                "INSERT INTO users VALUES ({id}, '{country}', 0);
                 INSERT INTO posts VALUES ('start-{id}', {id}, 'k0');
                 INSERT INTO comments VALUES ('start-{id}', 'start-{id}')"
            ))
            .unwrap();
        }
        World { _directory: directory, paths }
    }

    fn sites(&self, faults: &Faults) -> Vec<Arc<dyn Site>> {
        SITES
            .iter()
            .zip(&self.paths)
            .map(|((name, _), path)| {
                let site = SqliteSite::open(name.parse().unwrap(), path).unwrap();
                Arc::new(Faulty::new(Arc::new(site), faults.clone())) as Arc<dyn Site>
            })
            .collect()
    }

    fn platform(&self, closure: &Arc<Closure>, faults: &Faults) -> Platform {
        Platform {
            sites: self.sites(faults),
            closure: closure.clone(),
            homes: homes(),
            residence: ResidenceColumns::Code("country".to_owned()),
            reference_site: 0,
            on: date(2026, 11, 21),
            directives: Directives::default(),
        }
    }
}

fn wishes() -> Wishes {
    Wishes {
        subjects: "users".to_owned(),
        residence: ResidenceColumns::Code("country".to_owned()),
        tables: BTreeMap::from([("posts".to_owned(), TableRule::default())]),
        reference_site: None,
    }
}

/// An application that writes once whenever it is asked, wherever the refusals send it.
struct Writer {
    sites: Vec<Application>,
    home: BTreeMap<u64, usize>,
    turn: u64,
    posts: Vec<String>,
    seen: u64,
}

impl Writer {
    fn new(world: &World) -> Writer {
        let sites = world
            .paths
            .iter()
            .map(|path| {
                let app = Application::open(path).unwrap();
                // The mover may hold the lock in this very thread: never wait for it.
                app.run("PRAGMA busy_timeout = 0; PRAGMA foreign_keys = ON").unwrap();
                app
            })
            .collect();
        Writer { sites, home: BTreeMap::new(), turn: 0, posts: Vec::new(), seen: 0 }
    }

    fn write(&mut self) {
        self.turn += 1;
        let person = self.turn % PEOPLE + 1;
        let at = *self.home.get(&person).unwrap_or(&0);
        let id = person.to_string();
        let nonce = format!("n{}", self.turn);
        let written = if self.turn.is_multiple_of(3) {
            let sql = "UPDATE users SET seen = seen + 1 WHERE id = ?1";
            self.sites[at].execute(sql, &[&id])
        } else {
            // Half of the posts are of a kind that has only just come up.
            let new = format!("k{}", self.turn);
            let is_new = self.turn.is_multiple_of(2)
                && at == 0
                && self.sites[0].execute("INSERT INTO kinds VALUES (?1)", &[&new]).is_ok();
            let kind = if is_new { new } else { "k0".to_owned() };
            self.sites[at].execute("INSERT INTO posts VALUES (?1, ?2, ?3)", &[&nonce, &id, &kind])
        };
        match written {
            Ok(1) if self.turn.is_multiple_of(3) => self.seen += 1,
            Ok(1) => self.posts.push(nonce),
            // Not here, or busy, or arriving: nothing was acknowledged. Look again next time.
            Ok(_) => drop(self.home.insert(person, 1)),
            Err(error) if error.to_string().contains("DM001") => drop(self.home.insert(person, 1)),
            Err(_) => {}
        }
    }

    /// Every acknowledged write stands once, over both sites.
    fn check(&self, context: &str) {
        let mut posts: BTreeMap<String, u32> = BTreeMap::new();
        let mut seen = 0;
        for site in &self.sites {
            site.each_row("SELECT id FROM posts", &[], |row| {
                *posts.entry(row[0].clone().unwrap()).or_default() += 1;
            })
            .unwrap();
            site.each_row("SELECT coalesce(sum(seen), 0) FROM users", &[], |row| {
                seen += row[0].as_ref().unwrap().parse::<u64>().unwrap();
            })
            .unwrap();
        }
        for nonce in &self.posts {
            assert_eq!(posts.get(nonce), Some(&1), "{context}: {nonce}");
        }
        for id in 1..=PEOPLE {
            assert_eq!(posts.get(&format!("start-{id}")), Some(&1), "{context}: person {id}");
        }
        assert_eq!(seen, self.seen, "{context}: updates");
    }
}

/// A clock that gives the application a turn whenever the mover looks at it.
fn surroundings(writer: &Arc<Mutex<Writer>>) -> (Surroundings, tokio::sync::watch::Sender<bool>) {
    static NEXT: AtomicI64 = AtomicI64::new(1);
    let (sender, stop) = tokio::sync::watch::channel(false);
    let (writer, ticks) = (writer.clone(), AtomicU64::new(0));
    let surroundings = Surroundings {
        clock: Arc::new(move || {
            writer.lock().unwrap().write();
            Duration::from_millis(ticks.fetch_add(10, Ordering::Relaxed))
        }),
        now: Arc::new(jiff::Timestamp::now),
        move_id: Arc::new(|| MoveId(NEXT.fetch_add(1, Ordering::Relaxed))),
        progress: Arc::new(|_| {}),
        stop,
    };
    (surroundings, sender)
}

fn options() -> Options {
    Options { batch: Some(2), quiet: Duration::ZERO, ..Options::default() }
}

/// Crashes one run at one point; returns whether it came to that point. Then runs once more.
async fn crash_and_run_again(point: &str, nth: u32, fault: Fault) -> bool {
    let context = format!("{point}, passing {nth}, {fault:?}");
    let world = World::new();
    let faults = Faults::none();
    let sites = world.sites(&faults);
    let planned = plan(&sites, &homes(), &wishes(), date(2026, 11, 21)).await.unwrap();
    assert_eq!(planned.refused, []);
    prepare(&sites, &planned).await.unwrap();
    let closure = planned.closure.clone().unwrap();
    let writer = Arc::new(Mutex::new(Writer::new(&world)));

    faults.arm(point, nth, fault);
    let (surroundings, _stop) = surroundings(&writer);
    let first = migrate(&world.platform(&closure, &faults), &options(), &surroundings).await;
    let crashed = faults.crashed_at().is_some();
    assert_eq!(first.is_err(), crashed, "{context}: {first:?}");

    let platform = world.platform(&closure, &Faults::none());
    let again = migrate(&platform, &options(), &surroundings).await;
    let again = again.unwrap_or_else(|error| panic!("{context}: {error}"));
    assert_eq!((again.failed, again.pending_erasure), (0, 0), "{context}: {again:?}");
    let found = verify(&platform).await.unwrap();
    assert!(found.is_clean(), "{context}: {found:?}");
    assert_eq!((found.sites[0].subjects, found.sites[1].subjects), (2, 4), "{context}");
    writer.lock().unwrap().check(&context);
    crashed
}

/// Every point at its first, a middle and a late passing.
async fn crash_everywhere(fault: Fault) {
    let mut reached = 0;
    for point in POINTS {
        for nth in [1, 4, 9] {
            reached += usize::from(crash_and_run_again(point, nth, fault).await);
        }
    }
    assert!(reached > 60, "only {reached} crashes happened");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_before_any_call_a_migration_goes_on() {
    crash_everywhere(FAULTS[0]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_after_any_call_a_migration_goes_on() {
    crash_everywhere(FAULTS[1]).await;
}
