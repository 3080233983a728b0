//! Copying and catching up: rows from a snapshot at the source into a transaction at the target.

use super::patience::Patience;
use super::{Drive, Lane, with_hint};
use crate::compare::{Comparison, compare};
use crate::error::Result;
use crate::step::Answer;
use domicile_model::Subject;
use domicile_store::{Announcement, Error, Extent, Kind};
use futures_util::StreamExt as _;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How long it is tried to ship rows again when somebody was in the way.
const AGAIN: Duration = Duration::from_millis(700);

impl Drive<'_> {
    /// Copies or catches up one group, in one snapshot at the source and one transaction at the
    /// target. What goes wrong with the group is an answer; what goes wrong with a site an error.
    pub(super) async fn ship(&mut self, group: &[Subject], whole: bool) -> Result<Answer> {
        // Another lane may just have brought a shared row of theirs, from a newer snapshot, or the
        // application at the target may hold a row that has arrived.
        let mut patience = Patience::new(AGAIN);
        loop {
            let error = match self.ship_once(group, whole).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            self.lane.target.roll_back().await?;
            self.lane.source.close_snapshot().await?;
            match error.kind() {
                Kind::RetryLater | Kind::Never => return Err(error.into()),
                Kind::RetryNow if patience.pause().await => self.lane.target.mark().await?,
                Kind::RetryNow | Kind::Operator => {
                    tracing::debug!(%error, people = group.len(), "a group was not shipped");
                    return Ok(Answer::NotShipped { reason: with_hint(&error) });
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
        // The snapshot sees no reference row that was committed after this.
        if self.closed_since.is_none() {
            lane.carrier.carry().await?;
        } else {
            lane.carrier.carry_ahead(&lane.target_name).await?;
        }
        // Asked for before the target has a transaction open, in which others may wait for it.
        let kept = lane.carrier.kept_at(&lane.source_name).await?;
        let vanished = lane.source.select(&extent).await?;
        lane.target.begin(&announcement, &extent).await?;
        let sent = send(lane).await?;
        let started = (lane.clock)();
        let (source, target) =
            futures_util::future::join(lane.source.digests(), lane.target.digests()).await;
        let (source, target) = (source?, target?);
        let comparison = compare(&source, &target);
        let compared = (lane.clock)() - started;
        let mut dangling = lane.target.check().await?;
        if !dangling.is_empty() && !kept.rows.is_empty() && lane.target.bring(&kept).await? > 0 {
            dangling = lane.target.check().await?;
        }
        if let Some(reason) = self.object(&comparison, &dangling) {
            return Err(Error::new(Kind::Operator, reason));
        }
        let lane = &mut *self.lane;
        lane.target.commit().await?;
        lane.source.close_snapshot().await?;
        lane.source.forget(&seqs).await?;
        self.report.rows += sent.rows;
        self.report.shared_rows += sent.shared_rows;
        self.report.bytes += sent.bytes;
        self.report.compared_rows += comparison.rows;
        self.report.spent.comparing += compared.as_secs_f64();
        self.report.spent.copying -= compared.as_secs_f64();
        Ok(Answer::Shipped { vanished })
    }

    /// Why what has arrived must not be committed, if it must not.
    fn object(&mut self, comparison: &Comparison, dangling: &[String]) -> Option<String> {
        if !comparison.is_equal() {
            self.report.mismatches += comparison.mismatches.len() as u64;
            let tables: BTreeSet<String> = comparison
                .mismatches
                .iter()
                .map(|table| self.lane.closure.at(*table).name.to_string())
                .collect();
            let tables: Vec<String> = tables.into_iter().collect();
            return Some(format!(
                "source and target differ in {} after the copy",
                tables.join(", ")
            ));
        }
        dangling.first().cloned()
    }
}

/// What went over the line.
struct Sent {
    rows: u64,
    shared_rows: u64,
    bytes: u64,
}

/// Sends the chosen rows of every table, in the order in which they are loaded.
async fn send(lane: &mut Lane) -> Result<Sent, Error> {
    let bytes = Arc::new(AtomicU64::new(0));
    let (mut rows, mut shared_rows) = (0, 0);
    for table in lane.closure.loading_order() {
        let counter = bytes.clone();
        let stream = lane.source.export(table).await?.inspect(move |piece| {
            if let Ok(piece) = piece {
                counter.fetch_add(piece.len() as u64, Ordering::Relaxed);
            }
        });
        let count = lane.target.import(table, stream.boxed()).await?;
        match lane.closure.shared_at(table) {
            Some(_) => shared_rows += count,
            None => rows += count,
        }
    }
    Ok(Sent { rows, shared_rows, bytes: bytes.load(Ordering::Relaxed) })
}
