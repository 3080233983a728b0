//! A run that waits until it is let in.

use domicile_mover::Error;
use domicile_mover::migrate::{Options, Surroundings, migrate};
use domicile_mover::people::Platform;
use domicile_mover::report::MigrateReport;
use std::time::Duration;

const TRIES: u32 = 200;

/// Runs once. The claim of a run that ended without leave may outlast it a little.
pub(crate) async fn migrate_when_let_in(
    platform: &Platform,
    options: &Options,
    surroundings: &Surroundings,
) -> Result<MigrateReport, Error> {
    let mut tries = 0;
    loop {
        match migrate(platform, options, surroundings).await {
            Err(error)
                if error.to_string().contains("somebody else is migrating") && tries < TRIES =>
            {
                tries += 1;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            ended => return ended,
        }
    }
}
