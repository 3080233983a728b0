//! `kill -9` at random moments between real PostgreSQL servers, while an application writes at
//! three isolation levels; then one more run.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    dead_code,
    unreachable_pub,
    reason = "helpers of tests, shared with another test; a failure should stop where it happens"
)]

#[path = "support/kills.rs"]
mod kills;
#[path = "support/postgres.rs"]
mod postgres;
#[path = "../../domicile-mover/tests/world/mod.rs"]
mod world;

use domicile_testkit::Rounds;
use kills::Totals;
use postgres::{configuration, domicile};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use world::{World, write_until};

const PEOPLE: i64 = 16_000;
const KILLS: u64 = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn soak_killed_between_servers_and_nothing_is_lost() {
    let mut totals = Totals::default();
    for seed in Rounds::new(1).unwrap() {
        let (kills, acknowledged) = round(seed).await;
        totals.add(seed, kills, acknowledged);
    }
    totals.tell("soak_killed_between_servers_and_nothing_is_lost");
}

/// Kills one run after the other, and finishes; how often, and how many writes were acknowledged.
async fn round(seed: u64) -> (u64, u64) {
    let mut draw = StdRng::seed_from_u64(seed);
    let world = Arc::new(World::with(PEOPLE).await);
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("domicile.toml");
    std::fs::write(&config, configuration(&world, domicile_testkit::MOVER_ROLE)).unwrap();
    assert!(domicile(&config, &["prepare"]).status().await.unwrap().success());
    let start = world.sum("select count(*) from posts where nonce = 'start'").await;

    let stop = Arc::new(AtomicU64::new(0));
    let writers: Vec<_> = ["read committed", "repeatable read", "serializable"]
        .into_iter()
        .zip(0..)
        .map(|(isolation, writer)| {
            let (world, stop) = (world.clone(), stop.clone());
            tokio::spawn(async move { write_until(&world, writer, PEOPLE, isolation, &stop).await })
        })
        .collect();
    let source = world.app(0).await;
    let count = "select count(*) from users where country <> 'US'";
    // A machine that is slow today must get somewhere too before the next kill.
    let (mut killed, mut left, mut longest) = (0, PEOPLE / 2, 400_u64);
    for _ in 0..KILLS {
        let mut child = domicile(&config, &["migrate", "--batch", "20"]).spawn().unwrap();
        let moment = Duration::from_millis(draw.random_range(50..longest));
        if let Ok(ended) = tokio::time::timeout(moment, child.wait()).await {
            assert!(ended.unwrap().success(), "a run that was not killed must succeed");
            break;
        }
        child.kill().await.unwrap();
        killed += 1;
        let before = left;
        left = source.query_one(count, &[]).await.unwrap().get(0);
        longest = if left == before { longest + 300 } else { 400.max(longest - 100) };
    }
    assert!(killed >= KILLS / 2, "only {killed} runs were killed; give it more people");
    assert!(left < PEOPLE / 2, "no killed run got far enough to move anybody");
    let last = domicile(&config, &["migrate"]).status().await.unwrap();
    assert!(last.success(), "{last:?}");
    stop.store(1, Ordering::Relaxed);

    let mut finished = Vec::new();
    for writer in writers {
        finished.push(writer.await.unwrap());
    }
    let standing = world.nonces().await;
    for done in &finished {
        for nonce in &done.nonces {
            assert_eq!(standing.get(nonce), Some(&1), "{nonce}");
        }
    }
    let updates: u64 = finished.iter().map(|done| done.updates).sum();
    let counted = world.sum("select coalesce(sum(writes), 0)::bigint from users").await;
    assert_eq!(counted.unsigned_abs(), updates, "acknowledged updates of {killed} killed runs");
    assert_eq!(world.sum("select count(*) from posts where nonce = 'start'").await, start);
    assert_eq!(domicile(&config, &["verify"]).status().await.unwrap().code(), Some(0));
    let nonces: usize = finished.iter().map(|done| done.nonces.len()).sum();
    (killed, nonces as u64 + updates)
}
