//! Batches through lanes, several at once.

use super::queue::Work;
use super::totals::Totals;
use super::{Options, Progress, Surroundings};
use crate::drive::{Lane, Stop, drive};
use crate::erase::Due;
use crate::error::Result;
use crate::pace::Pacer;
use crate::people::Platform;
use crate::recover::Erasure;
use crate::reference::Carrier;
use crate::step::Batch;
use domicile_model::Subject;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;

/// What lanes share.
pub(super) struct Shared<'a> {
    pub(super) platform: &'a Platform,
    pub(super) options: &'a Options,
    pub(super) surroundings: &'a Surroundings,
    pub(super) work: Mutex<VecDeque<Work>>,
    pub(super) totals: Mutex<Totals>,
    pub(super) erasures: UnboundedSender<Due>,
    pub(super) carrier: Arc<Carrier>,
    pub(super) pacer: Arc<Pacer>,
    /// Told when a lane meets an error: the others stop.
    pub(super) halt: tokio::sync::watch::Sender<bool>,
}

impl Shared<'_> {
    /// The next batch, no larger than the pace allows.
    fn take(&self) -> Option<Work> {
        let mut waiting = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        let work = waiting.pop_front()?;
        let (source, target) = work.ends();
        let (work, rest) = work.split(self.pacer.people_at_once(&[source, target]));
        if let Some(rest) = rest {
            waiting.push_front(rest);
        }
        Some(work)
    }
}

pub(super) async fn run_lanes(
    shared: Shared<'_>,
    unknown: &BTreeSet<Subject>,
    halted: Stop,
) -> (Totals, Result<()>) {
    let lanes =
        (0..shared.options.lanes.max(1)).map(|_| run_lane(&shared, unknown, halted.clone()));
    let lanes = futures_util::future::join_all(lanes);
    let mut stop = shared.surroundings.stop.clone();
    let watch = async {
        // Passes a stop from outside on to the lanes and the eraser.
        while stop.changed().await.is_ok() {
            if *stop.borrow() {
                shared.halt.send_replace(true);
            }
        }
        std::future::pending::<()>().await;
    };
    let ended = tokio::select! {
        ended = lanes => ended,
        () = watch => Vec::new(),
    };
    let totals = shared.totals.into_inner().unwrap_or_else(PoisonError::into_inner);
    (totals, ended.into_iter().collect())
}

async fn run_lane(shared: &Shared<'_>, unknown: &BTreeSet<Subject>, mut stop: Stop) -> Result<()> {
    let mut lanes: BTreeMap<(usize, usize), Lane> = BTreeMap::new();
    let mut worked: Option<((usize, usize), Duration)> = None;
    loop {
        shared.pacer.wait(&mut stop).await;
        let Some(work) = shared.take() else { return Ok(()) };
        if let Some(((source, target), worked)) = worked {
            shared.pacer.rest(worked, &[source, target], &mut stop).await;
        }
        if *stop.borrow() {
            return Ok(());
        }
        let ends = work.ends();
        match run_batch(shared, &mut lanes, work, unknown, stop.clone()).await {
            Ok(took) => worked = Some((ends, took)),
            Err(error) => {
                shared.halt.send_replace(true);
                return Err(error);
            }
        }
    }
}

pub(super) async fn open_lane(
    platform: &Platform,
    surroundings: &Surroundings,
    carrier: &Arc<Carrier>,
    (source, target): (usize, usize),
) -> Result<Lane> {
    let (from, to) = (&platform.sites[source], &platform.sites[target]);
    let closure = platform.closure.clone();
    Ok(Lane {
        source: from.departure(closure.clone()).await?,
        target: to.arrival(closure.clone()).await?,
        source_name: from.name().clone(),
        target_name: to.name().clone(),
        closure,
        carrier: carrier.clone(),
        clock: surroundings.clock.clone(),
    })
}

/// Returns how long the batch was at work.
async fn run_batch(
    shared: &Shared<'_>,
    lanes: &mut BTreeMap<(usize, usize), Lane>,
    work: Work,
    unknown: &BTreeSet<Subject>,
    stop: Stop,
) -> Result<Duration> {
    let ends = work.ends();
    let lane = match lanes.entry(ends) {
        Entry::Occupied(open) => open.into_mut(),
        Entry::Vacant(place) => {
            let Shared { platform, surroundings, carrier, .. } = shared;
            place.insert(open_lane(platform, surroundings, carrier, ends).await?)
        }
    };
    let (move_id, batch) = match work {
        Work::New { subjects, .. } => ((shared.surroundings.move_id)(), Batch::announce(subjects)),
        Work::Resume(resume) => {
            for subject in &resume.closed {
                lane.source.reopen(resume.move_id, subject).await?;
            }
            (resume.move_id, Batch::resume(resume.people))
        }
    };
    let began = (shared.surroundings.clock)();
    let report = drive(lane, move_id, batch, stop).await?;
    let worked = (shared.surroundings.clock)() - began;
    shared.pacer.spend(report.rows, report.bytes, report.moved.len() as u64, worked);
    if !report.moved.is_empty() && shared.options.erase_after.is_zero() {
        // The receiver lives as long as the migration.
        let erasure =
            Erasure { source: ends.0, move_id, subjects: report.moved.clone(), decided_at: None };
        let _ = shared.erasures.send((erasure, (shared.surroundings.clock)()));
    }
    let progress = {
        let mut totals = shared.totals.lock().unwrap_or_else(PoisonError::into_inner);
        totals.add(move_id, report, unknown);
        Progress { to_move: totals.to_move, moved: totals.report.moved, rows: totals.report.rows }
    };
    (shared.surroundings.progress)(progress);
    Ok(worked)
}
