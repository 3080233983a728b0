//! Writers append to lists of people who move back and forth while the link between the mover
//! and each site breaks and falls silent; and what distance costs.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    dead_code,
    unreachable_pub,
    reason = "helpers of tests, shared with others; a failure should stop where it happens"
)]

mod lists;

use domicile_store::Kind;
use domicile_testkit::Rounds;
use lists::postgres::PostgresDatabases;
use lists::{Totals, report_of_one_run, round};
use std::sync::Arc;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn soak_network_cuts_lose_nothing() {
    let (mut totals, mut broken, mut rounds) = (Totals::default(), 0, 0);
    for seed in Rounds::new(1).unwrap() {
        let counts = round(Arc::new(PostgresDatabases::behind_links().await), seed).await;
        broken += counts.broken;
        rounds += 1;
        totals.add(seed, &counts);
    }
    assert!(rounds == 0 || broken > 0, "no link broke");
    totals.tell("soak_network_cuts_lose_nothing", "broken links");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn distance_does_not_lengthen_the_pause() {
    const ONE_WAY: Duration = Duration::from_millis(40);
    let databases = PostgresDatabases::behind_links().await;
    let report = report_of_one_run(&databases, || databases.delay(ONE_WAY)).await;
    let trip_ms = ONE_WAY.as_secs_f64() * 2000.0;
    assert!(report.moved > 0 && report.failed == 0, "{report:?}");
    assert!(report.handover_ms.p50 >= trip_ms, "no distance: {:?}", report.handover_ms);
    assert!(report.pause_ms.p99 < trip_ms / 2.0, "{:?}", report.pause_ms);
}

/// What a site says of a link that broke is that it broke, wherever in opening a session it did.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_cut_while_a_session_is_opened_is_not_told_as_a_missing_right() {
    let databases = PostgresDatabases::behind_links().await;
    let mut cut = 0;
    for bytes in (20..2000).step_by(20) {
        if let Some(error) = databases.open_and_cut(bytes).await {
            // The session that was cut just before may hold its claim for a moment more.
            if error.to_string().contains("somebody else is migrating") {
                continue;
            }
            assert_eq!(error.kind(), Kind::RetryLater, "cut after {bytes} bytes: {error:?}");
            cut += 1;
        }
    }
    assert!(cut > 20, "only {cut} sessions were cut");
}
