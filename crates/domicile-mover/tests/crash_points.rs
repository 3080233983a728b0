//! Everything a mover does to a site breaks once at every named point, on three pairs of sites,
//! while an application writes; then one more run, and everything is there.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    unreachable_pub,
    reason = "helpers of tests; a failure should stop where it happens"
)]
#![allow(dead_code, reason = "each test program uses a part of the platform")]

mod either;
mod let_in;
mod points;
mod two_homes;

use domicile_store::faulty::POINTS;
use domicile_testkit::Rounds;
use points::world::Pair;
use points::{Totals, round_of_moves};

/// Passed by `plan` and `prepare` only.
const PREPARING: &[&str] = &[
    "site.catalog",
    "site.count_crossing",
    "site.count_sharing",
    "site.key_removal",
    "site.remove_keys",
    "site.read_rows",
    "site.schema_script",
    "site.apply_schema",
    "site.export_reference",
    "site.import_reference",
    "site.install",
];
/// Nobody goes back from PostgreSQL to SQLite, so no row comes there whose reference row is
/// deleted there.
const NO_WAY_BACK: &[&str] = &["reference.stand", "target.bring"];

async fn moves(pair: Pair, test: &str) {
    let no_way_back = if pair == Pair::Crossing { NO_WAY_BACK } else { &[] };
    let unreached = [PREPARING, no_way_back].concat();
    // A point is listed where it stands among all.
    let unreached: Vec<_> = POINTS.iter().copied().filter(|p| unreached.contains(p)).collect();
    let mut totals = Totals::default();
    for seed in Rounds::new(1).unwrap() {
        round_of_moves(pair, &unreached, seed, &mut totals).await;
    }
    totals.tell(test);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn soak_crash_points_sqlite() {
    moves(Pair::Sqlite, "soak_crash_points_sqlite").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn soak_crash_points_postgres() {
    moves(Pair::Postgres, "soak_crash_points_postgres").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn soak_crash_points_crossing() {
    moves(Pair::Crossing, "soak_crash_points_crossing").await;
}
