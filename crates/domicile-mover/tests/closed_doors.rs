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
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use two_homes::{SITES, homes};

/// So long is waited for a lock that is not free.
const NOBODY_WAITS: Duration = Duration::from_secs(8);

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

/// Moves people about whom something is written whenever the mover looks at the clock, while new
/// reference rows come up at iad1.
async fn migrate_restless(databases: &Databases, platform: &Platform) -> MigrateReport {
    let apps = Mutex::new([app(databases, 0).await, app(databases, 1).await]);
    let ticks = AtomicU64::new(0);
    let write = move || {
        let tick = ticks.fetch_add(10, Ordering::Relaxed);
        let apps = apps.lock().unwrap();
        // A site whose lock is not free refuses.
        let _ = apps[0].run(&format!("insert into kinds values ({tick} + 1)"));
        for app in apps.iter() {
            let _ = app.run("update users set seen = seen + 1");
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
    let began = Instant::now();
    let report = migrate(platform, &options, &surroundings).await.unwrap();
    assert!(began.elapsed() < NOBODY_WAITS, "{:?}: {report:?}", began.elapsed());
    report
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_who_is_closed_where_reference_rows_arrive_holds_nobody_up() {
    let databases = Databases::fresh(Engine::Sqlite, 2);
    databases.app(0).await.run(SCHEMA).await.unwrap();
    databases.app(0).await.run("insert into users (id, country) values (1, 'FR')").await.unwrap();
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
    databases.app(0).await.run("insert into users (id, country) values (1, 'FR')").await.unwrap();
    let platform = platform(&databases).await;
    assert_eq!(migrate_restless(&databases, &platform).await.moved, 1);
    for id in 2..=4 {
        let away = format!(
            "insert into users (id, country) values ({id}, 'FR');
             insert into users (id, country) values ({id} + 10, 'FR')"
        );
        databases.app(0).await.run(&away).await.unwrap();
        assert_eq!(migrate_restless(&databases, &platform).await.failed, 0);
        // One comes back while another leaves.
        databases.app(1).await.run("update users set country = 'US' where id > 10").await.unwrap();
        let leaves = format!("insert into users (id, country) values ({id} + 20, 'FR')");
        databases.app(0).await.run(&leaves).await.unwrap();
        let report = migrate_restless(&databases, &platform).await;
        assert_eq!((report.failed, report.pending_erasure), (0, 0), "{report:?}");
    }
    assert!(verify(&platform).await.unwrap().is_clean());
}
