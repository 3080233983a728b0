//! Random schemas: everybody's rows move there and back, and equal the start byte for byte, or what
//! is wrong with a schema is refused by name.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests; a failure should stop the test where it happens"
)]

mod either;
mod schemas {
    pub(crate) mod ddl;
    pub(crate) mod ddl_sqlite;
    pub(crate) mod dialect;
    pub(crate) mod dice;
    pub(crate) mod generate;
    pub(crate) mod oracle;
    pub(crate) mod place;
    pub(crate) mod rows;
    pub(crate) mod run;
    pub(crate) mod spoil;
    pub(crate) mod spoil_sqlite;
    pub(crate) mod values;
    pub(crate) mod values_sqlite;
}

use domicile_testkit::Rounds;
use schemas::dialect::Dialect;
use schemas::generate::Schema;
use schemas::run::{Counts, refused, round};
use schemas::spoil::{self, Way};
use schemas::spoil_sqlite;
use schemas::values::POSTGRES;
use schemas::values_sqlite::SQLITE;

async fn there_and_back(what: &str, dialect: &'static Dialect) {
    let mut counts = Counts::default();
    let (mut rounds, mut first) = (0, None);
    for seed in Rounds::new(5).unwrap() {
        round(seed, &Schema::random(seed, dialect), &mut counts).await;
        rounds += 1;
        first = first.or(Some(seed));
    }
    let Some(first) = first else { return };
    assert!(counts.moved > 0, "from seed {first} on nobody moved");
    eprintln!(
        "{what}: {rounds} rounds from seed {first} on, {} tables, {} rows, \
         {} rows moved there and back",
        counts.tables, counts.rows, counts.moved
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn soak_random_schemas_move_there_and_back() {
    there_and_back("random schemas", &POSTGRES).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn soak_random_schemas_move_there_and_back_at_sqlite() {
    there_and_back("random schemas at SQLite", &SQLITE).await;
}

async fn refused_by_name(what: &str, dialect: &'static Dialect, ways: &[Way]) {
    let mut rounds = 0;
    for seed in Rounds::new(ways.len() as u64).unwrap() {
        let way = usize::try_from(seed).unwrap() % ways.len();
        refused(seed, &mut Schema::random(seed, dialect), &ways[way]).await;
        rounds += 1;
    }
    eprintln!("{what}: {rounds} refused, of {} kinds", ways.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn soak_random_schemas_that_cannot_move_are_refused_by_name() {
    refused_by_name("random schemas that cannot move", &POSTGRES, spoil::WAYS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn soak_random_schemas_that_cannot_move_are_refused_by_name_at_sqlite() {
    let what = "random schemas at SQLite that cannot move";
    refused_by_name(what, &SQLITE, spoil_sqlite::WAYS).await;
}
