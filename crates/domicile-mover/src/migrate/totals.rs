//! Adding batches up.

use super::listing::Listing;
use crate::drive::{BatchReport, Waits};
use crate::erase::ErasureReport;
use crate::report::{Failure, MigrateReport, Rested, Spread};
use domicile_model::{MoveId, Subject};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What the lanes of a run have done so far.
#[derive(Default)]
pub(super) struct Totals {
    pub(super) report: MigrateReport,
    pauses: Spread,
    handovers: Spread,
    arrived: BTreeMap<MoveId, u64>,
    waits: Waits,
    /// People who could not be moved in this round.
    not_moved: Vec<Failure>,
    pub(super) to_move: u64,
    withdrawn: u64,
}

impl Totals {
    pub(super) fn add(&mut self, move_id: MoveId, batch: BatchReport, unknown: &BTreeSet<Subject>) {
        let report = &mut self.report;
        report.moved += batch.moved.len() as u64;
        report.held += batch.moved.iter().filter(|s| unknown.contains(*s)).count() as u64;
        self.not_moved.extend(batch.failures);
        report.rows += batch.rows;
        report.shared_rows += batch.shared_rows;
        report.bytes += batch.bytes;
        report.compared_rows += batch.compared_rows;
        report.mismatches += batch.mismatches;
        report.spent.announcing += batch.spent.announcing;
        report.spent.copying += batch.spent.copying;
        report.spent.comparing += batch.spent.comparing;
        report.spent.deciding += batch.spent.deciding;
        self.withdrawn += batch.withdrawn;
        self.waits.add(batch.waits);
        batch.pauses.into_iter().for_each(|pause| self.pauses.add(pause));
        batch.handovers.into_iter().for_each(|handover| self.handovers.add(handover));
        *self.arrived.entry(move_id).or_insert(0) += batch.rows;
    }
}

/// What the rounds of a run have come to.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) totals: Totals,
    pub(super) erased: ErasureReport,
    /// Whether every site was open once.
    pub(super) has_begun: bool,
    /// Rounds that went to their end.
    pub(super) rounds: u64,
    /// People who could not be moved, in earlier rounds.
    failing: BTreeMap<Subject, Failing>,
    /// When the last round began.
    round_began: Duration,
}

struct Failing {
    reason: String,
    tries: u32,
    next_try: Duration,
}

/// How long somebody who could not be moved is left alone, after the first failure and at most.
const LEFT_ALONE: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(300));

impl Tally {
    /// Takes over what a listing says. Whoever failed a short while ago is left out this time.
    pub(super) fn begin_round(
        &mut self,
        listing: &mut Listing,
        uncleared: Vec<Failure>,
        now: Duration,
    ) {
        self.note_failing(now);
        for subjects in listing.candidates.values_mut() {
            subjects.retain(|subject| {
                self.failing.get(subject).is_none_or(|failing| failing.next_try <= now)
            });
        }
        let report = &mut self.totals.report;
        report.already_home = listing.already_home;
        report.on_hold = listing.on_hold;
        report.failed = listing.doubles.len() as u64;
        report.failures = std::mem::take(&mut listing.doubles);
        report.failures.extend(uncleared);
    }

    /// Adds rests to those of earlier rounds.
    pub(super) fn rest(&mut self, rests: Vec<Rested>) {
        let report = &mut self.totals.report;
        for rest in rests {
            report.spent.resting += rest.seconds;
            let mut known = report.rested.iter_mut();
            match known.find(|known| known.site == rest.site && known.why == rest.why) {
                Some(known) => known.seconds += rest.seconds,
                None => report.rested.push(rest),
            }
        }
    }

    /// Remembers who failed in the round that has ended, and forgets who was tried and has moved.
    fn note_failing(&mut self, now: Duration) {
        let tried_at = std::mem::replace(&mut self.round_began, now);
        let failed = std::mem::take(&mut self.totals.not_moved);
        let again: BTreeSet<Subject> = failed.iter().map(|f| f.subject.clone()).collect();
        self.failing
            .retain(|subject, failing| failing.next_try > tried_at || again.contains(subject));
        for Failure { subject, reason } in failed {
            let tries = self.failing.get(&subject).map_or(0, |failing| failing.tries) + 1;
            let (first, most) = LEFT_ALONE;
            let next_try = now + first.saturating_mul(1 << tries.min(16)).min(most);
            self.failing.insert(subject, Failing { reason, tries, next_try });
        }
    }

    /// Puts the numbers together. Where a batch was erased in this run, its rows are those that
    /// stood at the source when it was decided, which is what erasing counts; a row that was
    /// shipped twice because it changed meanwhile is one row.
    pub(super) fn report(self) -> MigrateReport {
        let Tally { totals, erased, failing, .. } = self;
        let mut report = totals.report;
        let now: BTreeSet<Subject> = totals.not_moved.iter().map(|f| f.subject.clone()).collect();
        let earlier: Vec<_> =
            failing.into_iter().filter(|(subject, _)| !now.contains(subject)).collect();
        report.failed += (totals.not_moved.len() + earlier.len()) as u64;
        report.failures.extend(totals.not_moved);
        let earlier = earlier.into_iter();
        report.failures.extend(earlier.map(|(subject, f)| Failure { subject, reason: f.reason }));
        report.rows = totals
            .arrived
            .iter()
            .map(|(move_id, arrived)| erased.rows.get(move_id).unwrap_or(arrived))
            .sum();
        report.erased_rows = erased.rows.values().sum();
        report.spent.erasing = erased.seconds;
        report.failures.extend(erased.failures);
        report.pause_ms = totals.pauses.percentiles();
        report.handover_ms = totals.handovers.percentiles();
        report.waited_for = totals.waits.told();
        report
    }
}
#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    /// One round in which somebody fails, whenever they are tried.
    fn round(tally: &mut Tally, now: u64) -> bool {
        let subject = Subject::new("3".to_owned());
        let mut listing = Listing::default();
        listing.candidates.insert((0, 1), vec![subject.clone()]);
        tally.begin_round(&mut listing, Vec::new(), Duration::from_secs(now));
        let is_tried = !listing.candidates[&(0, 1)].is_empty();
        if is_tried {
            tally.totals.not_moved.push(Failure { subject, reason: "no".to_owned() });
        }
        is_tried
    }

    #[test]
    fn whoever_fails_again_and_again_is_left_alone_longer_each_time() {
        let mut tally = Tally::default();
        let tried = (0..1000).filter(|now| round(&mut tally, *now)).count();
        assert!(tried < 20, "tried {tried} times in 1000 s");
    }

    #[test]
    fn whoever_failed_and_was_not_tried_again_is_in_the_report() {
        let mut tally = Tally::default();
        assert!(round(&mut tally, 0));
        assert!(!round(&mut tally, 1));
        // They are due, but a stop comes before their batch.
        let mut listing = Listing::default();
        listing.candidates.insert((0, 1), vec![Subject::new("3".to_owned())]);
        tally.begin_round(&mut listing, Vec::new(), Duration::from_secs(60));
        assert_eq!(tally.report().failed, 1);
    }
}
