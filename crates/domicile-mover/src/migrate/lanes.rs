//! Batches through lanes, several at once.

use super::queue::Work;
use super::totals::Totals;
use super::{Options, Progress, Surroundings};
use crate::drive::{Lane, Stop, drive};
use crate::erase::Due;
use crate::error::Result;
use crate::people::Platform;
use crate::recover::Erasure;
use crate::reference::Carrier;
use crate::step::Batch;
use domicile_model::Subject;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
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
    /// Told when a lane meets an error: the others stop.
    pub(super) halt: tokio::sync::watch::Sender<bool>,
}

pub(super) async fn run_lanes(
    shared: Shared<'_>,
    unknown: &BTreeSet<Subject>,
    halted: Stop,
) -> Result<Totals> {
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
    for lane in ended {
        lane?;
    }
    Ok(shared.totals.into_inner().unwrap_or_else(PoisonError::into_inner))
}

async fn run_lane(shared: &Shared<'_>, unknown: &BTreeSet<Subject>, stop: Stop) -> Result<()> {
    let mut lanes: BTreeMap<(usize, usize), Lane> = BTreeMap::new();
    loop {
        if *stop.borrow() {
            return Ok(());
        }
        let work = shared.work.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Some(work) = work else { return Ok(()) };
        if let Err(error) = run_batch(shared, &mut lanes, work, unknown, stop.clone()).await {
            shared.halt.send_replace(true);
            return Err(error);
        }
    }
}

async fn open_lane(shared: &Shared<'_>, source: usize, target: usize) -> Result<Lane> {
    let (from, to) = (&shared.platform.sites[source], &shared.platform.sites[target]);
    let closure = shared.platform.closure.clone();
    Ok(Lane {
        source: from.departure(closure.clone()).await?,
        target: to.arrival(closure.clone()).await?,
        source_name: from.name().clone(),
        target_name: to.name().clone(),
        closure,
        carrier: shared.carrier.clone(),
        clock: shared.surroundings.clock.clone(),
    })
}

async fn run_batch(
    shared: &Shared<'_>,
    lanes: &mut BTreeMap<(usize, usize), Lane>,
    work: Work,
    unknown: &BTreeSet<Subject>,
    stop: Stop,
) -> Result<()> {
    let ends = work.ends();
    let lane = match lanes.entry(ends) {
        Entry::Occupied(open) => open.into_mut(),
        Entry::Vacant(place) => place.insert(open_lane(shared, ends.0, ends.1).await?),
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
    let report = drive(lane, move_id, batch, stop).await?;
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
    Ok(())
}
