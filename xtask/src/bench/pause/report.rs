//! The tables.

use super::super::figures::{Figures, head, row};
use super::super::world::HEAVY;
use super::{Arguments, Case, Felt, Ran};

/// What writers felt, and what `migrate` reported of the same runs.
pub(super) fn tables(arguments: &Arguments, cases: &[Case], runs: &[Ran]) -> String {
    let of = |case: Case| runs.iter().filter(move |ran| ran.case == case);
    let mut text = format!(
        "{} people move and as many stay, {} rounds; milliseconds as p50 / p99 / max.\n\nFrom outside:\n\n",
        arguments.people, arguments.rounds
    );
    text += &head(&[
        "target; writers",
        "people measured",
        "pause",
        "longest write at the old home",
        "handover",
        "an acknowledged write",
    ]);
    for &case in cases.iter().filter(|case| case.writers > 0) {
        let felt = || of(case).flat_map(|ran| &ran.felt);
        text += &felt_row(&case.name(), felt());
        if case.is_heavy {
            let name = format!("of these, the person with {} rows more", arguments.heavy);
            text += &felt_row(&name, felt().filter(|felt| felt.people == [HEAVY]));
        }
    }
    text += "\nWhat `migrate` reported, the median of the rounds' p50, p99 and max with the least and the \
        most. The last column is the p50 of each round to that of the same round near by.\n\n";
    text += &head(&[
        "target; writers",
        "pause p50",
        "pause p99",
        "pause max",
        "handover p50",
        "handover p99",
        "seconds",
        "memory, MB",
        "failed",
        "pause p50, ratio",
    ]);
    for &case in cases {
        let base = cases
            .iter()
            .find(|other| (other.writers, other.every) == (case.writers, case.every))
            .copied()
            .unwrap_or(case);
        let ratios = of(case).zip(of(base));
        let ratios = ratios
            .map(|(ran, base)| ran.reported("pause_ms", "p50") / base.reported("pause_ms", "p50"));
        let reported = |name: &str, point: &str| {
            of(case).map(|ran| ran.reported(name, point)).collect::<Figures>().spread(1)
        };
        let failed =
            of(case).map(|ran| ran.migration.report["failed"].as_f64().unwrap_or(f64::NAN));
        text += &row(&[
            case.name(),
            reported("pause_ms", "p50"),
            reported("pause_ms", "p99"),
            reported("pause_ms", "max"),
            reported("handover_ms", "p50"),
            reported("handover_ms", "p99"),
            of(case).map(|ran| ran.migration.seconds).collect::<Figures>().spread(1),
            of(case).map(|ran| ran.migration.memory_mb).collect::<Figures>().spread(0),
            format!("{}", failed.sum::<f64>()),
            ratios.collect::<Figures>().spread(2),
        ]);
    }
    text
}

fn felt_row<'a>(name: &str, felt: impl Iterator<Item = &'a Felt>) -> String {
    let mut all = Felt::default();
    for felt in felt {
        all.pauses.extend(felt.pauses.clone());
        all.longest.extend(felt.longest.clone());
        all.handovers.extend(felt.handovers.clone());
        all.writes.extend(felt.writes.clone());
    }
    row(&[
        name.to_owned(),
        all.pauses.count().to_string(),
        all.pauses.tail(),
        all.longest.tail(),
        all.handovers.tail(),
        all.writes.tail(),
    ])
}

impl Ran {
    fn reported(&self, name: &str, point: &str) -> f64 {
        self.migration.report[name][point].as_f64().unwrap_or(f64::NAN)
    }
}
