//! A move gives way to what else a site has to do.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    unreachable_pub,
    dead_code,
    reason = "helpers of tests; a failure should stop the test where it happens"
)]

mod world;

use domicile_mover::migrate::{Options, migrate};
use domicile_mover::prepare::prepare;
use domicile_mover::report::{MigrateReport, Strain};
use domicile_testkit::tokio_postgres::Client;
use domicile_testkit::{Cluster, connect};
use std::time::{Duration, Instant};
use world::{World, options, surroundings};

const PEOPLE: i64 = 60;

/// So many rows may move in a second that thirty people take five.
const RATE: u64 = 40;

/// Thirty people move.
async fn moved_slowly(first: &Cluster, rate: u64, manners: Options) -> (World, MigrateReport) {
    let world = World::on(first.fresh_database("manners").unwrap(), PEOPLE).await;
    let plan = world.plan().await;
    prepare(&world.sites().await, &plan).await.unwrap();
    let platform = world.platform(&plan).await;
    let (surroundings, _stop) = surroundings();
    let slow = Options { rows_per_second: Some(rate), ..manners };
    let report = migrate(&platform, &slow, &surroundings).await.unwrap();
    assert_eq!((report.moved, report.failed), (30, 0), "{:?}", report.failures);
    (world, report)
}

async fn await_true(client: &Client, query: &str) {
    let started = Instant::now();
    while !client.query_one(query, &[]).await.unwrap().get::<_, bool>(0) {
        assert!(started.elapsed() < Duration::from_secs(60), "{query}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_that_falls_behind_makes_the_move_rest_and_never_stops_it() {
    let primary = Cluster::start(domicile_testkit::Options::for_tests()).unwrap();
    let standby = primary.standby().unwrap();
    let (_, follows) = moved_slowly(&primary, RATE, options()).await;
    assert_eq!(follows.rested, [], "the standby follows");

    let there = connect(&standby.superuser_url("postgres")).await.unwrap();
    there.batch_execute("select pg_wal_replay_pause()").await.unwrap();
    await_true(&there, "select pg_get_wal_replay_pause_state() = 'paused'").await;
    let (_, report) = moved_slowly(&primary, RATE, options()).await;
    let [rest] = report.rested.as_slice() else { panic!("{:?}", report.rested) };
    assert_eq!((rest.site.as_str(), rest.why), ("iad1", Strain::ReplicaLag));
    assert!(rest.seconds > 0.1, "{rest:?}");
    assert!((report.spent.resting - rest.seconds).abs() < 1e-6, "{:?}", report.spent);
    eprintln!(
        "rested {:.2} s, {:.1} s in all, {:.1} s without",
        rest.seconds, report.seconds, follows.seconds
    );
}

/// A handful of dead rows are too many; nobody else vacuums.
async fn moved_with_dead_rows(first: &Cluster, rate: u64, vacuum: bool) -> (World, MigrateReport) {
    moved_slowly(first, rate, Options { vacuum, max_dead_rows: 10, ..options() }).await
}

fn rested_for_dead_rows(report: &MigrateReport) -> bool {
    report.rested.iter().any(|rest| (rest.site.as_str(), rest.why) == ("iad1", Strain::DeadRows))
}

fn unvacuumed() -> Cluster {
    Cluster::start(domicile_testkit::Options::for_tests().with("autovacuum", "off")).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_rows_are_vacuumed_away_while_people_move_and_nothing_rests_for_their_sake() {
    let source = unvacuumed();
    let (_, report) = moved_with_dead_rows(&source, RATE, false).await;
    assert!(rested_for_dead_rows(&report), "nobody vacuums: {:?}", report.rested);
    assert_eq!(report.vacuumed, []);

    let (world, report) = moved_with_dead_rows(&source, RATE, true).await;
    assert_eq!(report.rested, []);
    let client = connect(&world.databases[0].superuser_url).await.unwrap();
    let most = "select max(vacuum_count) from pg_stat_user_tables where schemaname = 'public'";
    let most: i64 = client.query_one(most, &[]).await.unwrap().get(0);
    assert!(most >= 2, "once and again, not only behind the run: {most}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_dead_rows_cannot_be_vacuumed_away_a_move_rests() {
    let source = unvacuumed();
    // In another database it holds no move up, and VACUUM must keep what it might see.
    let elsewhere = connect(&source.superuser_url("postgres")).await.unwrap();
    elsewhere.batch_execute("begin isolation level repeatable read; select").await.unwrap();
    // Some looks find dead rows, and a vacuum is tried, before anything rests.
    let (_, report) = moved_with_dead_rows(&source, RATE / 2, true).await;
    assert!(rested_for_dead_rows(&report), "{:?}", report.rested);
    assert_eq!(report.vacuumed, []);
    elsewhere.batch_execute("rollback").await.unwrap();
}
