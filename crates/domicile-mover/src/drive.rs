//! Carrying out what a batch's state machine asks for.

mod patience;
mod ship;
mod waits;

use crate::error::Result;
use crate::reference::Carrier;
use crate::report::{Failure, Spent};
use crate::step::{Answer, Batch, Effect, Progress, Verdict};
use domicile_model::{MoveId, SiteName, Subject};
use domicile_store::{Announcement, Arrival, Closure, Departure, Error, Horizon, Kind, Outcome};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedMutexGuard;
use tokio::time::MissedTickBehavior;

/// How often a call that lost a race is tried again at once.
const RETRIES: u32 = 5;
/// The pause between two looks at a horizon or two tries at a decision.
const LOOK_EVERY: Duration = Duration::from_millis(3);
/// How often it is told who holds up a batch.
const TELL_EVERY: Duration = Duration::from_secs(3);
/// Time since a fixed moment; passed in, so that nothing below the binaries reads a clock.
pub type Clock = Arc<dyn Fn() -> Duration + Send + Sync>;

/// Told from outside: stop at the next safe point.
pub type Stop = tokio::sync::watch::Receiver<bool>;

/// Tries a call again at once while it only lost a race.
macro_rules! retry {
    ($call:expr) => {{
        let mut tries = 0;
        loop {
            match $call.await {
                Err(error) if error.kind() == Kind::RetryNow && tries < RETRIES => tries += 1,
                other => break other?,
            }
        }
    }};
}

pub(crate) use patience::take_back;
pub(crate) use waits::Waits;

/// The two ends of a batch, and what both need to know.
pub struct Lane {
    /// The side people leave.
    pub source: Box<dyn Departure>,
    /// The side they come to.
    pub target: Box<dyn Arrival>,
    /// The name of the source.
    pub source_name: SiteName,
    /// The name of the target.
    pub target_name: SiteName,
    /// What belongs to a person.
    pub closure: Arc<Closure>,
    /// Carries new reference rows ahead of the rows that refer to them.
    pub carrier: Arc<Carrier>,
    /// The clock.
    pub clock: Clock,
}

/// What one batch came to.
#[derive(Debug, Default)]
pub struct BatchReport {
    /// People settled at the target.
    pub moved: Vec<Subject>,
    /// People withdrawn because something went wrong with them.
    pub failures: Vec<Failure>,
    /// People withdrawn because the run was stopped.
    pub withdrawn: u64,
    /// Rows that arrived.
    pub rows: u64,
    /// Shared rows that were sent along, once for each batch that refers to them.
    pub shared_rows: u64,
    /// Bytes that travelled.
    pub bytes: u64,
    /// Rows compared.
    pub compared_rows: u64,
    /// Places that differed.
    pub mismatches: u64,
    /// One pause per decided person.
    pub pauses: Vec<Duration>,
    /// One handover per settled person.
    pub handovers: Vec<Duration>,
    /// Where the time went.
    pub spent: Spent,
    /// Older transactions that were waited for.
    pub(crate) waits: Waits,
}

/// A batch on its way through a lane.
struct Drive<'a> {
    lane: &'a mut Lane,
    move_id: MoveId,
    report: BatchReport,
    closed_since: Option<Duration>,
    /// Held while somebody is closed.
    turn: Option<OwnedMutexGuard<()>>,
    /// Decided people, with the pause of each and when it was acknowledged.
    decided: Vec<(Duration, Duration)>,
}

/// Drives a batch to its end: everybody settled, withdrawn, or found to be somebody else's.
///
/// On an error the journals say how far it came, and [`crate::recover`] goes on from there.
pub async fn drive(
    lane: &mut Lane,
    move_id: MoveId,
    mut batch: Batch,
    mut stop: Stop,
) -> Result<BatchReport> {
    let started = (lane.clock)();
    let mut drive = Drive {
        lane,
        move_id,
        report: BatchReport::default(),
        closed_since: None,
        turn: None,
        decided: Vec::new(),
    };
    loop {
        if *stop.borrow_and_update() {
            batch.stop();
        }
        let effect = batch.next((drive.lane.clock)() - started);
        tracing::trace!(%move_id, ?effect, "next");
        if effect == Effect::Finish {
            break;
        }
        let before = (drive.lane.clock)();
        let answer = drive.carry_out(&effect, &batch, &stop).await?;
        let now = (drive.lane.clock)();
        drive.account(&effect, now - before);
        if let Some(answer) = answer {
            batch.apply(&effect, answer, now - started);
        }
    }
    let mut report = drive.report;
    for (subject, progress) in batch.people() {
        match progress {
            Progress::Settled => report.moved.push(subject.clone()),
            Progress::Withdrawn(Some(reason)) => {
                report.failures.push(Failure { subject: subject.clone(), reason: reason.clone() });
            }
            Progress::Withdrawn(None) => report.withdrawn += 1,
            Progress::NotOurs => {
                let reason = "another announcement of this person stands".to_owned();
                report.failures.push(Failure { subject: subject.clone(), reason });
            }
            _ => {}
        }
    }
    Ok(report)
}

impl Drive<'_> {
    fn account(&mut self, effect: &Effect, took: Duration) {
        let spent = &mut self.report.spent;
        let seconds = took.as_secs_f64();
        match effect {
            Effect::Announce | Effect::SourceHorizon | Effect::Expect | Effect::TargetHorizon => {
                spent.announcing += seconds;
            }
            Effect::Copy(_) | Effect::CatchUp(_) | Effect::Withdraw(_) => spent.copying += seconds,
            _ => spent.deciding += seconds,
        }
    }

    fn announcement(&self, peer: &SiteName, subjects: Vec<Subject>) -> Announcement {
        Announcement { move_id: self.move_id, peer: peer.clone(), subjects }
    }

    /// Does one effect. `None` means the machine should be asked again: a stop was called for.
    async fn carry_out(
        &mut self,
        effect: &Effect,
        batch: &Batch,
        stop: &Stop,
    ) -> Result<Option<Answer>> {
        let answer = match effect {
            Effect::Announce => {
                let everybody = batch.people().keys().cloned().collect();
                let announcement = self.announcement(&self.lane.target_name.clone(), everybody);
                Answer::Taken(retry!(self.lane.source.announce(&announcement)))
            }
            Effect::Expect => {
                let announced = batch.people().iter();
                let announced = announced
                    .filter(|(_, progress)| **progress == Progress::Announced)
                    .map(|(subject, _)| subject.clone())
                    .collect();
                let announcement = self.announcement(&self.lane.source_name.clone(), announced);
                Answer::Taken(retry!(self.lane.target.expect(&announcement)))
            }
            Effect::SourceHorizon | Effect::TargetHorizon => {
                return self.wait_for_horizon(*effect == Effect::SourceHorizon, stop).await;
            }
            Effect::Copy(group) => self.ship(group, true).await?,
            Effect::CatchUp(group) => self.ship(group, false).await?,
            Effect::Decide(group) => self.decide(group).await?,
            Effect::Close(subject) => self.close(subject).await?,
            Effect::Reopen(subject) => {
                retry!(self.lane.source.reopen(self.move_id, subject));
                self.closed_since = None;
                self.turn = None;
                Answer::Done
            }
            Effect::Settle(group) => self.settle(group).await?,
            Effect::Withdraw(group) => {
                let withdrawn = retry!(self.lane.source.withdraw(self.move_id, group));
                let target = self.lane.target.as_mut();
                let failure = take_back(target, self.move_id, &withdrawn).await?;
                self.report.failures.extend(failure);
                Answer::Withdrawn(withdrawn)
            }
            Effect::Wait => {
                pace().tick().await;
                Answer::Done
            }
            Effect::Finish => Answer::Done,
        };
        Ok(Some(answer))
    }

    async fn wait_for_horizon(&mut self, at_source: bool, stop: &Stop) -> Result<Option<Answer>> {
        if at_source {
            self.lane.source.start_horizon().await?;
        } else {
            self.lane.target.start_horizon().await?;
        }
        let lane = &self.lane;
        let site = if at_source { &lane.source_name } else { &lane.target_name }.clone();
        let mut ticks = pace();
        let mut looked_at = (self.lane.clock)();
        let mut told_at = looked_at;
        loop {
            let horizon = if at_source {
                self.lane.source.look_at_horizon().await?
            } else {
                self.lane.target.look_at_horizon().await?
            };
            let now = (self.lane.clock)();
            match horizon {
                Horizon::Passed => return Ok(Some(Answer::Done)),
                Horizon::Waiting { blockers } if !blockers.is_empty() => {
                    self.report.waits.note(&site, &blockers, now - looked_at);
                    if now - told_at >= TELL_EVERY {
                        told_at = now;
                        let blockers: Vec<&str> = blockers.iter().map(|b| &*b.words).collect();
                        tracing::warn!(%site, ?blockers, "still waiting for older transactions");
                    }
                    ticks.tick().await;
                }
                Horizon::Waiting { .. } => {}
            }
            looked_at = now;
            if *stop.borrow() {
                return Ok(None);
            }
        }
    }

    async fn decide(&mut self, group: &[Subject]) -> Result<Answer> {
        let decisions = retry!(self.lane.source.decide(self.move_id, group));
        let now = (self.lane.clock)();
        let mut verdicts = Vec::new();
        for decision in decisions {
            let verdict = match decision.outcome {
                Outcome::Decided(held) => {
                    let pause = self.closed_since.map_or(held, |since| now - since);
                    self.report.pauses.push(pause);
                    self.decided.push((pause, now));
                    Verdict::Decided
                }
                Outcome::Touched => Verdict::Touched,
                Outcome::Busy => Verdict::Busy,
                Outcome::OnHold => Verdict::OnHold,
                Outcome::SchemaChanged => Verdict::SchemaChanged,
                Outcome::NotOurs => Verdict::NotOurs,
            };
            verdicts.push((decision.subject, verdict));
        }
        Ok(Answer::Decided(verdicts))
    }

    /// Makes new writers wait. Somebody who cannot be closed now is opened again and tried later.
    async fn close(&mut self, subject: &Subject) -> Result<Answer> {
        let turn = self.lane.carrier.take_turn().await;
        let started = (self.lane.clock)();
        match self.lane.source.close(self.move_id, subject).await {
            Ok(()) => {
                self.closed_since = Some(started);
                self.turn = turn;
                Ok(Answer::Done)
            }
            Err(error) if error.kind() == Kind::RetryNow => {
                retry!(self.lane.source.reopen(self.move_id, subject));
                Ok(Answer::NotShipped { reason: with_hint(&error) })
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn settle(&mut self, group: &[Subject]) -> Result<Answer> {
        let settled = retry!(self.lane.target.settle(self.move_id, group));
        if let Some(lost) = group.iter().find(|subject| settled.binary_search(subject).is_err()) {
            return Err(crate::Error::refused(
                format!("the target no longer knows {lost}, who was decided"),
                "it was restored or failed over; nothing is erased at the source, where the rows \
                 stand; restore the target's journal, or run verify",
            ));
        }
        let now = (self.lane.clock)();
        for (pause, decided) in self.decided.drain(..) {
            self.report.handovers.push(pause + (now - decided));
        }
        Ok(Answer::Done)
    }
}

fn with_hint(error: &Error) -> String {
    match error.hint_text() {
        Some(hint) => format!("{error} ({hint})"),
        None => error.to_string(),
    }
}

/// Ticks between two looks; the first comes after one period.
fn pace() -> tokio::time::Interval {
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + LOOK_EVERY, LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
