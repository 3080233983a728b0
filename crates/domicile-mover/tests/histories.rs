//! Writers append to lists of people who move back and forth while the mover crashes; a checker
//! judges what the writers were told, in order.
//!
//! Every transaction that reads has first appended to the same person's list, so that the fence
//! has told that the person is at home there and the row is locked: each reads what is current,
//! and the whole history is serializable at every isolation level.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    dead_code,
    unreachable_pub,
    reason = "helpers of tests, shared with others; a failure should stop where it happens"
)]

mod lists;

use domicile_testkit::Rounds;
use lists::platform::Database;
use lists::postgres::{PostgresDatabases, clusters};
use lists::sqlite::SqliteDatabases;
use lists::{Totals, round};
use std::sync::Arc;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn soak_histories_postgres() {
    let mut totals = Totals::default();
    let clusters = clusters();
    for seed in Rounds::new(1).unwrap() {
        let databases: Arc<dyn Database> = Arc::new(PostgresDatabases::at(&clusters).await);
        totals.add(seed, &round(databases, seed).await);
    }
    totals.tell("soak_histories_postgres", "restarts of a server");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn soak_histories_sqlite() {
    let mut totals = Totals::default();
    for seed in Rounds::new(10).unwrap() {
        let databases: Arc<dyn Database> = Arc::new(SqliteDatabases::new());
        totals.add(seed, &round(databases, seed).await);
    }
    totals.tell("soak_histories_sqlite", "other faults");
}
