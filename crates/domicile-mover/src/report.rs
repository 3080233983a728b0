//! What a migration did, in numbers.

mod spread;

use domicile_model::Subject;
use serde::Serialize;
use std::time::Duration;

pub use spread::Spread;

/// Three points of a distribution, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Percentiles {
    /// Half are at most this.
    pub p50: f64,
    /// 99 of 100 are at most this.
    pub p99: f64,
    /// The longest.
    pub max: f64,
}

impl Percentiles {
    /// Percentiles by nearest rank; all zero where nothing was measured.
    pub fn of(mut durations: Vec<Duration>) -> Self {
        durations.sort();
        let at = |percent: usize| {
            // Nearest rank: the smallest value with at least that share at or below it.
            let rank = (durations.len() * percent).div_ceil(100).max(1);
            durations.get(rank - 1).map_or(0.0, |d| (d.as_secs_f64() * 1e6).round() / 1e3)
        };
        Percentiles { p50: at(50), p99: at(99), max: at(100) }
    }
}

/// One person who could not be moved, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The person.
    pub subject: Subject,
    /// Why, one sentence.
    pub reason: String,
}

/// A change of a reference row that some site could not apply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RefusedChange {
    /// The table.
    pub table: String,
    /// The row's key.
    pub key: String,
    /// Which site, and why.
    pub reason: String,
}

/// What a move may strain at a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Strain {
    /// A replica falls behind.
    ReplicaLag,
    /// Dead rows pile up in a table of people.
    DeadRows,
    /// Sessions of others wait for locks of the mover's.
    LockWaits,
}

/// Somebody for whom batches waited before they were copied.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WaitedFor {
    /// The site.
    pub site: String,
    /// The server's process, where it is one.
    pub process: Option<i32>,
    /// Who it is, as last seen: process, age, and the beginning of its statement.
    pub who: String,
    /// Seconds, summed over lanes.
    pub seconds: f64,
}

/// What was vacuumed at a site because much of it was erased.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VacuumedSite {
    /// The site.
    pub site: String,
    /// The tables, vacuumed and analyzed.
    pub tables: Vec<String>,
    /// Tables that should have been, and are not the mover's or were locked.
    pub skipped: Vec<String>,
}

/// For how long work rested, for one site's sake.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rested {
    /// The site.
    pub site: String,
    /// What strained it.
    pub why: Strain,
    /// Seconds, summed over lanes.
    pub seconds: f64,
}

/// What one run of `migrate` did. JSON fields are extended, never renamed.
#[derive(Clone, Debug, Default, Serialize)]
pub struct MigrateReport {
    /// People whose home changed in this run.
    pub moved: u64,
    /// People who were at home already.
    pub already_home: u64,
    /// People of unknown residence, among the moved where they moved.
    pub held: u64,
    /// People who would move, were they not on hold.
    pub on_hold: u64,
    /// People who could not be moved; they are where they were.
    pub failed: u64,
    /// Rows of the moved people, reference rows not counted.
    pub rows: u64,
    /// Shared rows sent along with them, once for each batch that refers to them.
    pub shared_rows: u64,
    /// Bytes that were copied between sites.
    pub bytes: u64,
    /// How long the run took.
    pub seconds: f64,
    /// Per person, from the lock's grant (or the closing) to the decision's acknowledgement. Exact
    /// for ten thousand people, to a thousandth for more.
    pub pause_ms: Percentiles,
    /// Per person, the pause and the time until the new home was open.
    pub handover_ms: Percentiles,
    /// Rows that both sites digested by themselves.
    pub compared_rows: u64,
    /// Places in which they differed; nothing that differed was decided.
    pub mismatches: u64,
    /// Rows deleted at the sources in this run.
    pub erased_rows: u64,
    /// People whose rows still stand, fenced, at the source.
    pub pending_erasure: u64,
    /// Whether the run was stopped before everybody was moved.
    pub stopped: bool,
    /// Where the time went, in seconds over all lanes.
    pub spent: Spent,
    /// Rests that let strained sites recover.
    pub rested: Vec<Rested>,
    /// What was vacuumed behind.
    pub vacuumed: Vec<VacuumedSite>,
    /// Older transactions that held batches up for a second or more, longest first; a hundred of them.
    pub waited_for: Vec<WaitedFor>,
    /// Who failed, and why.
    pub failures: Vec<Failure>,
    /// Changes of reference rows that are set aside since a site could not apply them, the first
    /// hundred.
    pub reference_refused: Vec<RefusedChange>,
}

/// Seconds by activity, summed over lanes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Spent {
    /// Announcing and waiting for both horizons.
    pub announcing: f64,
    /// Copying and catching up, comparing left out.
    pub copying: f64,
    /// Digesting at both sites.
    pub comparing: f64,
    /// Deciding and settling.
    pub deciding: f64,
    /// Erasing at the sources.
    pub erasing: f64,
    /// Resting, all of it.
    pub resting: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_rank() {
        let durations = (1..=200).map(Duration::from_millis).collect();
        let found = Percentiles::of(durations);
        assert_eq!(found, Percentiles { p50: 100.0, p99: 198.0, max: 200.0 });
        assert_eq!(Percentiles::of(Vec::new()), Percentiles::default());
        let one = Percentiles::of(vec![Duration::from_micros(1500)]);
        assert_eq!(one, Percentiles { p50: 1.5, p99: 1.5, max: 1.5 });
    }
}
