//! Taking back what an interrupted run has announced and not decided.

use super::lanes::open_lane;
use super::{Options, Run, Surroundings, clear_leftovers};
use crate::drive::drive;
use crate::error::Result;
use crate::people::Platform;
use crate::recover;
use crate::report::Failure;
use crate::step::Batch;
use serde::Serialize;

/// What was taken back. JSON fields are extended, never renamed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct WithdrawReport {
    /// People who stay where they are; nothing of them is left at the other end.
    pub withdrawn: u64,
    /// People who were decided already; their home has changed, and their rows at the old one
    /// wait, fenced, to be erased.
    pub settled: u64,
    /// What could not be taken back, and why.
    pub failures: Vec<Failure>,
}

/// Takes back every move that is not decided, and settles those that are. Nobody new moves.
pub async fn withdraw(
    platform: &Platform,
    options: &Options,
    surroundings: &Surroundings,
) -> Result<WithdrawReport> {
    let run = Run::begin(platform, options, surroundings).await?;
    let found = recover::find(platform).await?;
    let failures = clear_leftovers(platform, &found).await?;
    let mut report = WithdrawReport { failures, ..WithdrawReport::default() };
    for resume in found.resume {
        let mut lane =
            open_lane(platform, surroundings, &run.carrier, (resume.source, resume.target)).await?;
        for subject in &resume.closed {
            lane.source.reopen(resume.move_id, subject).await?;
        }
        // A batch that is told to stop settles whom it decided and takes back everybody else.
        let (_called, stop) = tokio::sync::watch::channel(true);
        let ended = drive(&mut lane, resume.move_id, Batch::resume(resume.people), stop).await?;
        report.withdrawn += ended.withdrawn;
        report.settled += ended.moved.len() as u64;
        report.failures.extend(ended.failures);
    }
    for site in &platform.sites {
        site.rest(options.keep_tombstones).await?;
    }
    Ok(report)
}
