//! At SQLite whoever is closed holds back every writer of the site: no lane of the run may wait
//! there for what this one has to do.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests; a failure should stop where it happens"
)]

mod either;
mod two_homes;

use domicile_model::MoveId;
use domicile_mover::migrate::{Options, Surroundings, migrate};
use domicile_mover::people::{Directives, Platform, ResidenceColumns};
use domicile_mover::plan::{Wishes, plan};
use domicile_mover::prepare::prepare;
use domicile_mover::report::MigrateReport;
use domicile_mover::verify::verify;
use domicile_store::faulty::Faults;
use domicile_store::sqlite::application::Application;
use either::{Connection, Databases, Engine};
use jiff::civil::date;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use two_homes::{SITES, homes};

/// Who is written about in every turn, at iad1 and at dub1. One person who is just arriving would
/// have a statement about all refused.
const RESTLESS: [&str; 2] = ["id > 100", "id between 11 and 100"];

/// So many that doors are closed at both ends at once.
const EACH_WAY: u64 = 20;

const SCHEMA: &str = "
create table kinds (id bigint not null primary key);
create table users (id bigint not null primary key, country text not null,
    seen bigint not null default 0, kind bigint references kinds (id));
";

async fn app(databases: &Databases, at: usize) -> Application {
    match databases.app(at).await {
        Connection::Sqlite(app) => {
            // The mover may hold the lock in this very thread: never wait for it.
            app.run("PRAGMA busy_timeout = 0").unwrap();
            app
        }
        Connection::Postgres(_) => panic!("not at SQLite"),
    }
}

async fn platform(databases: &Databases) -> Platform {
    let sites = databases.sites(&SITES.map(|(name, _)| name), &Faults::none()).await;
    let wishes = Wishes {
        subjects: "users".to_owned(),
        residence: ResidenceColumns::Code("country".to_owned()),
        tables: BTreeMap::new(),
        reference_site: None,
    };
    let plan = plan(&sites, &homes(), &wishes, date(2026, 11, 21)).await.unwrap();
    prepare(&sites, &plan).await.unwrap();
    Platform {
        sites,
        closure: plan.closure.clone().unwrap(),
        homes: homes(),
        residence: wishes.residence,
        reference_site: plan.reference_site,
        on: date(2026, 11, 21),
        directives: Directives::default(),
    }
}

/// Moves people, about some of whom something is written whenever the mover looks at the clock,
/// while new reference rows come up at iad1. Two who wait for each other end as an error: nobody is
/// held back for longer than ten seconds.
async fn migrate_restless(databases: &Databases, platform: &Platform) -> MigrateReport {
    let apps = Mutex::new([app(databases, 0).await, app(databases, 1).await]);
    let ticks = AtomicU64::new(0);
    let write = move || {
        let tick = ticks.fetch_add(10, Ordering::Relaxed);
        let apps = apps.lock().unwrap();
        // A site whose lock is not free refuses.
        let _ = apps[0].run(&format!("insert into kinds values ({tick} + 1)"));
        for (app, who) in apps.iter().zip(RESTLESS) {
            let _ = app.run(&format!("update users set seen = seen + 1 where {who}"));
        }
        Duration::from_millis(tick)
    };
    let next = AtomicI64::new(1);
    let (_sender, stop) = tokio::sync::watch::channel(false);
    let surroundings = Surroundings {
        clock: Arc::new(write),
        now: Arc::new(jiff::Timestamp::now),
        move_id: Arc::new(move || MoveId(next.fetch_add(1, Ordering::Relaxed))),
        progress: Arc::new(|_| {}),
        stop,
    };
    let options = Options { quiet: Duration::ZERO, ..Options::default() };
    migrate(platform, &options, &surroundings).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_who_is_closed_where_reference_rows_arrive_holds_nobody_up() {
    let databases = Databases::fresh(Engine::Sqlite, 2);
    databases.app(0).await.run(SCHEMA).await.unwrap();
    databases.app(0).await.run("insert into users (id, country) values (11, 'FR')").await.unwrap();
    let platform = platform(&databases).await;
    assert_eq!(migrate_restless(&databases, &platform).await.moved, 1);
    databases.app(1).await.run("update users set country = 'US'").await.unwrap();
    let back = migrate_restless(&databases, &platform).await;
    assert_eq!((back.moved, back.failed), (1, 0), "{back:?}");
    assert!(verify(&platform).await.unwrap().is_clean());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_who_are_closed_at_either_end_do_not_wait_for_each_other() {
    let databases = Databases::fresh(Engine::Sqlite, 2);
    databases.app(0).await.run(SCHEMA).await.unwrap();
    let insert = async |ids: RangeInclusive<u64>| {
        for id in ids {
            let sql = format!("insert into users (id, country) values ({id}, 'FR')");
            databases.app(0).await.run(&sql).await.unwrap();
        }
    };
    insert(11..=10 + EACH_WAY).await;
    let platform = platform(&databases).await;
    assert_eq!(migrate_restless(&databases, &platform).await.moved, EACH_WAY);
    insert(101..=100 + EACH_WAY).await;
    databases.app(1).await.run("update users set country = 'US'").await.unwrap();
    let report = migrate_restless(&databases, &platform).await;
    let counts = (report.moved, report.failed, report.pending_erasure);
    assert_eq!(counts, (2 * EACH_WAY, 0, 0), "{report:?}");
    assert!(verify(&platform).await.unwrap().is_clean());
}
