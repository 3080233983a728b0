//! Adding batches up.

use crate::drive::BatchReport;
use crate::erase::ErasureReport;
use crate::report::{MigrateReport, Percentiles};
use domicile_model::{MoveId, Subject};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What the lanes of a run have done so far.
#[derive(Default)]
pub(super) struct Totals {
    pub(super) report: MigrateReport,
    pauses: Vec<Duration>,
    handovers: Vec<Duration>,
    arrived: BTreeMap<MoveId, u64>,
    pub(super) to_move: u64,
    withdrawn: u64,
}

impl Totals {
    pub(super) fn add(&mut self, move_id: MoveId, batch: BatchReport, unknown: &BTreeSet<Subject>) {
        let report = &mut self.report;
        report.moved += batch.moved.len() as u64;
        report.held += batch.moved.iter().filter(|s| unknown.contains(*s)).count() as u64;
        report.failed += batch.failures.len() as u64;
        report.failures.extend(batch.failures);
        report.rows += batch.rows;
        report.bytes += batch.bytes;
        report.compared_rows += batch.compared_rows;
        report.mismatches += batch.mismatches;
        report.spent.announcing += batch.spent.announcing;
        report.spent.copying += batch.spent.copying;
        report.spent.comparing += batch.spent.comparing;
        report.spent.deciding += batch.spent.deciding;
        self.withdrawn += batch.withdrawn;
        self.pauses.extend(batch.pauses);
        self.handovers.extend(batch.handovers);
        *self.arrived.entry(move_id).or_insert(0) += batch.rows;
    }
}

/// Puts the numbers together. Where a batch was erased in this run, its rows are those that stood
/// at the source when it was decided, which is what erasing counts; a row that was shipped twice
/// because it changed meanwhile is one row.
pub(super) fn finish(totals: Totals, erased: ErasureReport) -> MigrateReport {
    let mut report = totals.report;
    report.rows = totals
        .arrived
        .iter()
        .map(|(move_id, arrived)| erased.rows.get(move_id).unwrap_or(arrived))
        .sum();
    report.erased_rows = erased.rows.values().sum();
    report.spent.erasing = erased.seconds;
    report.failures.extend(erased.failures);
    report.pause_ms = Percentiles::of(totals.pauses);
    report.handover_ms = Percentiles::of(totals.handovers);
    report
}
