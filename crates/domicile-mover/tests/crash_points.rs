//! Everything a mover does to a site breaks once at every named point, on three pairs of sites,
//! while an application writes; then one more run, and everything is there.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    unreachable_pub,
    reason = "helpers of tests; a failure should stop where it happens"
)]

mod either;
mod let_in;
mod points;
mod two_homes;

use domicile_store::faulty::POINTS;
use domicile_testkit::Rounds;
use points::world::Pair;
use points::{Totals, round_of_moves, round_of_preparing};

/// What only planning and preparing pass; [`soak_crash_points_of_preparing`] breaks those.
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
/// What preparing passes and a run passes too.
const BOTH: &[&str] = &[
    "site.claim",
    "site.is_installed",
    "site.people",
    "site.directives",
    "reference.open",
    "reference.changes",
    "reference.digests",
    "site.scan",
];

fn in_order(is_meant: impl Fn(&str) -> bool) -> Vec<&'static str> {
    POINTS.iter().copied().filter(|point| is_meant(point)).collect()
}

async fn moves(pair: Pair, test: &str) {
    let no_way_back = if pair == Pair::Crossing { NO_WAY_BACK } else { &[] };
    let unreached =
        in_order(|point| [PREPARING, no_way_back].iter().any(|all| all.contains(&point)));
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

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn soak_crash_points_of_preparing() {
    let unreached = in_order(|point| !PREPARING.contains(&point) && !BOTH.contains(&point));
    let mut totals = Totals::default();
    for seed in Rounds::new(1).unwrap() {
        round_of_preparing(&unreached, seed, &mut totals).await;
    }
    totals.tell("soak_crash_points_of_preparing");
}
