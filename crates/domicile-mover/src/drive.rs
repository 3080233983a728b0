//! Carrying out what a batch's state machine asks for.

use crate::compare::{Comparison, compare};
use crate::error::Result;
use crate::report::{Failure, Spent};
use crate::step::{Answer, Batch, Effect, Progress, Verdict};
use domicile_model::{MoveId, SiteName, Subject};
use domicile_store::{
    Announcement, Arrival, Closure, Departure, Error, Extent, Horizon, Kind, Outcome,
};
use futures_util::StreamExt as _;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::MissedTickBehavior;

/// How often a call that lost a race is tried again at once.
const RETRIES: u32 = 5;
/// The pause between two looks at a horizon or two tries at a decision.
const LOOK_EVERY: Duration = Duration::from_millis(3);
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
}

/// A batch on its way through a lane.
struct Drive<'a> {
    lane: &'a mut Lane,
    move_id: MoveId,
    report: BatchReport,
    closed_since: Option<Duration>,
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
                Answer::Done
            }
            Effect::Settle(group) => self.settle(group).await?,
            Effect::Withdraw(group) => {
                let withdrawn = retry!(self.lane.source.withdraw(self.move_id, group));
                retry!(self.lane.target.abandon(self.move_id, &withdrawn));
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
        let mut ticks = pace();
        let mut looks: u32 = 0;
        loop {
            let horizon = if at_source {
                self.lane.source.look_at_horizon().await?
            } else {
                self.lane.target.look_at_horizon().await?
            };
            match horizon {
                Horizon::Passed => return Ok(Some(Answer::Done)),
                Horizon::Waiting { blockers } if !blockers.is_empty() => {
                    looks += 1;
                    if looks.is_multiple_of(1000) {
                        let site =
                            if at_source { &self.lane.source_name } else { &self.lane.target_name };
                        tracing::warn!(%site, ?blockers, "still waiting for older transactions");
                    }
                    ticks.tick().await;
                }
                Horizon::Waiting { .. } => {}
            }
            if *stop.borrow() {
                return Ok(None);
            }
        }
    }

    /// Copies or catches up one group, in one snapshot at the source and one transaction at the
    /// target. What goes wrong with the group is an answer; what goes wrong with a site an error.
    async fn ship(&mut self, group: &[Subject], whole: bool) -> Result<Answer> {
        match self.ship_once(group, whole).await {
            Ok(answer) => Ok(answer),
            Err(error) => {
                self.lane.target.roll_back().await?;
                self.lane.source.close_snapshot().await?;
                match error.kind() {
                    Kind::RetryLater | Kind::Never => Err(error.into()),
                    Kind::RetryNow | Kind::Operator => {
                        tracing::debug!(%error, people = group.len(), "a group was not shipped");
                        Ok(Answer::NotShipped { reason: with_hint(&error) })
                    }
                }
            }
        }
    }

    async fn ship_once(&mut self, group: &[Subject], whole: bool) -> Result<Answer, Error> {
        let lane = &mut *self.lane;
        if self.closed_since.is_none() {
            // An old mark is safe, and while somebody waits every trip counts.
            lane.target.mark().await?;
        }
        let touched = lane.source.open_snapshot(group).await?;
        if touched.is_empty() && !whole {
            lane.source.close_snapshot().await?;
            return Ok(Answer::Shipped { vanished: Vec::new() });
        }
        let seqs: Vec<i64> = touched.iter().map(|note| note.seq).collect();
        let extent = if whole { Extent::People(group.to_vec()) } else { Extent::Touched(touched) };
        let announcement = Announcement {
            move_id: self.move_id,
            peer: lane.source_name.clone(),
            subjects: group.to_vec(),
        };
        lane.source.select(&extent).await?;
        lane.target.begin(&announcement, &extent).await?;
        let bytes = Arc::new(AtomicU64::new(0));
        let mut rows = 0;
        for table in 0..lane.closure.owned.len() {
            let counter = bytes.clone();
            let stream = lane.source.export(table).await?.inspect(move |piece| {
                if let Ok(piece) = piece {
                    counter.fetch_add(piece.len() as u64, Ordering::Relaxed);
                }
            });
            rows += lane.target.import(table, stream.boxed()).await?;
        }
        let started = (lane.clock)();
        let (source, target) =
            futures_util::future::join(lane.source.digests(), lane.target.digests()).await;
        let (source, target) = (source?, target?);
        let comparison = compare(&source, &target);
        let compared = (lane.clock)() - started;
        let dangling = lane.target.check().await?;
        if let Some(reason) = self.object(&comparison, &dangling) {
            return Err(Error::new(Kind::Operator, reason));
        }
        let lane = &mut *self.lane;
        lane.target.commit().await?;
        lane.source.close_snapshot().await?;
        lane.source.forget(&seqs).await?;
        self.report.rows += rows;
        self.report.bytes += bytes.load(Ordering::Relaxed);
        self.report.compared_rows += comparison.rows;
        self.report.spent.comparing += compared.as_secs_f64();
        self.report.spent.copying -= compared.as_secs_f64();
        let alive: BTreeSet<&Subject> =
            source.iter().filter(|d| d.table == 0).filter_map(|d| d.subject.as_ref()).collect();
        let vanished = if whole {
            group.iter().filter(|subject| !alive.contains(subject)).cloned().collect()
        } else {
            Vec::new()
        };
        Ok(Answer::Shipped { vanished })
    }

    /// Why what has arrived must not be committed, if it must not.
    fn object(&mut self, comparison: &Comparison, dangling: &[String]) -> Option<String> {
        if !comparison.is_equal() {
            self.report.mismatches += comparison.mismatches.len() as u64;
            let tables: BTreeSet<String> = comparison
                .mismatches
                .iter()
                .map(|(_, table)| self.lane.closure.owned[*table].name.to_string())
                .collect();
            let tables: Vec<String> = tables.into_iter().collect();
            return Some(format!(
                "source and target differ in {} after the copy",
                tables.join(", ")
            ));
        }
        dangling.first().cloned()
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
                Outcome::SchemaChanged => Verdict::SchemaChanged,
                Outcome::NotOurs => Verdict::NotOurs,
            };
            verdicts.push((decision.subject, verdict));
        }
        Ok(Answer::Decided(verdicts))
    }

    /// Makes new writers wait. Somebody who cannot be closed now is opened again and tried later.
    async fn close(&mut self, subject: &Subject) -> Result<Answer> {
        let started = (self.lane.clock)();
        match self.lane.source.close(self.move_id, subject).await {
            Ok(()) => {
                self.closed_since = Some(started);
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
        retry!(self.lane.target.settle(self.move_id, group));
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
