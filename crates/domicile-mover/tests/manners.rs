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

/// Thirty people move in some seconds.
async fn moved_slowly(first: &Cluster) -> MigrateReport {
    let world = World::on(first.fresh_database("manners").unwrap(), PEOPLE).await;
    let plan = world.plan().await;
    prepare(&world.sites().await, &plan).await.unwrap();
    let platform = world.platform(&plan).await;
    let (surroundings, _stop) = surroundings();
    let slow = Options { rows_per_second: Some(40), ..options() };
    let report = migrate(&platform, &slow, &surroundings).await.unwrap();
    assert_eq!((report.moved, report.failed), (30, 0), "{:?}", report.failures);
    report
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
    let follows = moved_slowly(&primary).await;
    assert_eq!(follows.rested, [], "the standby follows");

    let there = connect(&standby.superuser_url("postgres")).await.unwrap();
    there.batch_execute("select pg_wal_replay_pause()").await.unwrap();
    await_true(&there, "select pg_get_wal_replay_pause_state() = 'paused'").await;
    let report = moved_slowly(&primary).await;
    let [rest] = report.rested.as_slice() else { panic!("{:?}", report.rested) };
    assert_eq!((rest.site.as_str(), rest.why), ("iad1", Strain::ReplicaLag));
    assert!(rest.seconds > 0.1, "{rest:?}");
    assert!((report.spent.resting - rest.seconds).abs() < 1e-6, "{:?}", report.spent);
    eprintln!(
        "rested {:.2} s, {:.1} s in all, {:.1} s without",
        rest.seconds, report.seconds, follows.seconds
    );
}
