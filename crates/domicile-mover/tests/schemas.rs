//! Random schemas: everybody's rows move there and back, and equal the start byte for byte.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests; a failure should stop the test where it happens"
)]

mod schemas {
    pub(crate) mod dice;
    pub(crate) mod generate;
    pub(crate) mod oracle;
    pub(crate) mod rows;
    pub(crate) mod run;
    pub(crate) mod values;
}

use domicile_testkit::Rounds;
use schemas::generate::Schema;
use schemas::run::{Counts, round};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn soak_random_schemas_move_there_and_back() {
    let mut counts = Counts::default();
    let (mut rounds, mut first) = (0, None);
    for seed in Rounds::new(5).unwrap() {
        round(seed, &Schema::random(seed), &mut counts).await;
        rounds += 1;
        first = first.or(Some(seed));
    }
    let Some(first) = first else { return };
    assert!(counts.moved > 0, "from seed {first} on nobody moved");
    eprintln!(
        "random schemas: {rounds} rounds from seed {first} on, {} tables, {} rows, \
         {} rows moved there and back",
        counts.tables, counts.rows, counts.moved
    );
}
