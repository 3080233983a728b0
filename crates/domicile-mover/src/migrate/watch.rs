//! Keeping everybody at home: round after round, until told to stop.

use super::totals::Tally;
use super::vacuum::{Vacuums, WATCH_EVERY};
use super::{Options, Run, Surroundings, keep_installed, report};
use crate::drive::Stop;
use crate::error::{Error, Result};
use crate::people::Platform;
use crate::report::MigrateReport;
use domicile_store::Kind;
use std::time::Duration;

/// How often new reference rows are carried between rounds.
const CARRY_EVERY: Duration = Duration::from_millis(100);
/// A look at everybody takes at most this share of the time, whatever the interval asked for.
const REST_PER_LOOK: u32 = 9;
/// How long a site that does not answer is left alone, at first and at most.
const LEFT_ALONE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Moves whoever is not at home, again and again: people who sign up, whose residence changes, or
/// who could not be moved before. `every` is the time from one look at everybody to the next. A
/// site that stops answering is waited for. Ends with a stop.
pub async fn watch(
    platform: &Platform,
    options: &Options,
    surroundings: &Surroundings,
    every: Duration,
) -> Result<MigrateReport> {
    let started = (surroundings.clock)();
    let (mut tally, vacuums) = (Tally::default(), Vacuums::default());
    let mut stop = surroundings.stop.clone();
    let mut left_alone = LEFT_ALONE.0;
    while !*stop.borrow() {
        let rounds = tally.rounds;
        match keep_moving(platform, options, surroundings, every, &mut tally, &vacuums).await {
            Err(Error::Site(error)) if may_pass(error.kind(), &tally) => {
                tracing::warn!(%error, hint = error.hint_text(), "trying again later");
                if tally.rounds > rounds {
                    left_alone = LEFT_ALONE.0;
                }
                pause(left_alone, &mut stop).await;
                left_alone = (left_alone * 2).min(LEFT_ALONE.1);
            }
            other => other?,
        }
    }
    report(platform, tally, vacuums, surroundings, started).await
}

/// Whether an error may be gone later. What needs an operator may be put right while this waits,
/// such as a full disk; but what has never worked is told at once.
fn may_pass(kind: Kind, tally: &Tally) -> bool {
    match kind {
        Kind::RetryNow | Kind::RetryLater => tally.has_begun,
        Kind::Operator => tally.rounds > 0,
        Kind::Never => false,
    }
}

async fn keep_moving(
    platform: &Platform,
    options: &Options,
    surroundings: &Surroundings,
    every: Duration,
    tally: &mut Tally,
    vacuums: &Vacuums,
) -> Result<()> {
    let run = Run::begin(platform, options, surroundings).await?;
    tally.has_begun = true;
    vacuums.beside(&run, Some(WATCH_EVERY), rounds(&run, every, tally)).await
}

async fn rounds(run: &Run<'_>, every: Duration, tally: &mut Tally) -> Result<()> {
    let surroundings = run.surroundings;
    let mut stop = surroundings.stop.clone();
    while !*stop.borrow() {
        let began = (surroundings.clock)();
        keep_installed(run.platform).await?;
        let looked = run.round(tally).await?;
        tally.rounds += 1;
        let next = began + every.max(looked * REST_PER_LOOK);
        while !*stop.borrow() && (surroundings.clock)() < next {
            run.carrier.carry().await?;
            pause(CARRY_EVERY, &mut stop).await;
        }
    }
    Ok(())
}

async fn pause(how_long: Duration, stop: &mut Stop) {
    tokio::select! {
        () = tokio::time::sleep(how_long) => {}
        _ = stop.changed() => {}
    }
}
