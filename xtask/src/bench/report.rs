//! The table.

use std::fmt::Write as _;

use super::contenders::Ran;
use super::world::{ROWS_PER_PERSON, Template};

/// Medians, spreads, and ratios to the median of the faster floor of the same run.
pub(super) fn markdown(people: u32, template: &Template, runs: &[(&str, Ran)]) -> String {
    let mut text = format!(
        "{people} people move, {} rows; as many stay. The source database has {} MB.\n\n\
        | contender | seconds (median) | least to most | ratio to the faster floor | copied after |\n\
        |---|---|---|---|---|\n",
        people * ROWS_PER_PERSON,
        template.bytes / 1_000_000
    );
    let mut names: Vec<&str> = runs.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    names.dedup();
    let seconds_of = |name: &str| -> Vec<f64> {
        let mut seconds: Vec<f64> =
            runs.iter().filter(|(n, _)| *n == name).map(|(_, ran)| ran.seconds).collect();
        seconds.sort_by(f64::total_cmp);
        seconds
    };
    let floors = names.iter().filter(|name| name.starts_with("floor"));
    let floor = floors.map(|name| median(&seconds_of(name))).min_by(f64::total_cmp);
    for name in names {
        let seconds = seconds_of(name);
        let (least, most) = (seconds[0], seconds[seconds.len() - 1]);
        let mut copied: Vec<f64> =
            runs.iter().filter(|(n, _)| *n == name).filter_map(|(_, ran)| ran.copied).collect();
        copied.sort_by(f64::total_cmp);
        let ratio = floor.map_or_else(String::new, |floor| {
            format!("{:.2} ({:.2}–{:.2})", median(&seconds) / floor, least / floor, most / floor)
        });
        let copied =
            if copied.is_empty() { String::new() } else { format!("{:.1} s", median(&copied)) };
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "| {name} | {:.1} | {least:.1} to {most:.1} | {ratio} | {copied} |",
            median(&seconds)
        );
    }
    for (_, ran) in runs.iter().filter(|(_, ran)| ran.report.is_some()) {
        let report = ran.report.clone().unwrap_or_default();
        let _ = writeln!(
            text,
            "\n`migrate` reported: moved {}, pause_ms {}, handover_ms {}, spent {}; memory at most {} MB.",
            report["moved"],
            report["pause_ms"],
            report["handover_ms"],
            report["spent"],
            ran.memory.unwrap_or(0) / 1024
        );
    }
    text
}

/// The middle one of sorted figures.
fn median(sorted: &[f64]) -> f64 {
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
