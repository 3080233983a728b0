//! What the demo tells at its end.

use super::directory::CONFIG;
use super::map::Map;
use super::oracle::Account;
use super::world::{DemoSite, SITES};
use super::writers::Memory;
use crate::exit::Exit;
use crate::screen::aligned;
use domicile_mover::report::{MigrateReport, Percentiles};
use domicile_mover::verify::VerifyReport;
use indicatif::HumanCount;
use serde::Serialize;
use std::path::Path;

/// How many failures the text names; JSON has them all.
const NAMED: usize = 10;

/// JSON fields are extended, never renamed.
#[derive(Serialize)]
pub(super) struct Report {
    /// What `migrate` says, but `handover_ms` is what the writers measured from outside.
    #[serde(flatten)]
    migrate: MigrateReport,
    /// What the mover itself took for the handover.
    handover_inside_ms: Percentiles,
    /// How many handovers the writers happened to see.
    handovers_seen: u64,
    subjects: u64,
    writes: u64,
    writes_during_move: u64,
    writes_refused: u64,
    writes_lost: u64,
    misplaced: u64,
    strays: u64,
    doubles: u64,
    orphans: u64,
    reference_drift: u64,
    sites: Vec<SiteLine>,
}

#[derive(Serialize)]
struct SiteLine {
    site: &'static str,
    territory: &'static str,
    subjects_before: u64,
    subjects_after: u64,
}

impl Report {
    pub(super) fn new(
        mut migrate: MigrateReport,
        verified: &VerifyReport,
        memory: &Memory,
        account: &Account,
        (before, after): (&Map, &Map),
    ) -> Report {
        let seen = memory.handovers();
        let handovers_seen = seen.len() as u64;
        let handover_inside_ms = std::mem::replace(&mut migrate.handover_ms, Percentiles::of(seen));
        let line = |(at, site): (usize, &DemoSite)| SiteLine {
            site: site.name,
            territory: site.territory,
            subjects_before: before.people(at),
            subjects_after: after.people(at),
        };
        Report {
            migrate,
            handover_inside_ms,
            handovers_seen,
            subjects: (0..SITES.len()).map(|at| before.people(at)).sum(),
            writes: memory.posts.len() as u64 + memory.updates.values().sum::<u64>(),
            writes_during_move: memory.during_move,
            writes_refused: memory.refused,
            writes_lost: account.lost,
            misplaced: account.misplaced,
            strays: verified.strays,
            doubles: verified.doubles,
            orphans: verified.orphans,
            reference_drift: verified.reference_drift,
            sites: SITES.iter().enumerate().map(line).collect(),
        }
    }

    /// How the demo ends. Whoever was not moved, because of a stop or a failure, is still where
    /// everybody began, and is no more wrong than that.
    pub(super) fn exit(&self) -> Exit {
        let broken = [
            self.writes_lost,
            self.doubles,
            self.orphans,
            self.reference_drift,
            self.migrate.mismatches,
        ];
        let astray = self.strays.max(self.misplaced);
        if broken.iter().any(|count| *count > 0) {
            Exit::Mismatch
        } else if self.migrate.stopped {
            Exit::Stopped
        } else if astray > self.migrate.failed {
            Exit::Mismatch
        } else if self.migrate.failed > 0 || !self.migrate.failures.is_empty() {
            Exit::Failed
        } else {
            Exit::Ok
        }
    }

    /// The numbers for people to read.
    pub(super) fn text(&self, dir: &Path) -> String {
        let migrate = &self.migrate;
        let count = |number: u64| HumanCount(number).to_string();
        let row = |name: &str, value: String, note: String| vec![name.to_owned(), value, note];
        let mut text = aligned(&[
            row("people moved", count(migrate.moved), format!("of {}", count(self.subjects))),
            row("  of unknown residence", count(migrate.held), "held at dub1".to_owned()),
            row("failed", count(migrate.failed), String::new()),
            row("rows", count(migrate.rows), format!("in {:.1} s", migrate.seconds)),
            row("rows compared", count(migrate.compared_rows), "by both sites".to_owned()),
            row("  that differed", count(migrate.mismatches), String::new()),
            row("writes during the move", count(self.writes_during_move), String::new()),
            row("  sent to the new home", count(self.writes_refused), String::new()),
            row("writes lost", count(self.writes_lost), format!("of {}", count(self.writes))),
            row("strays", count(self.strays), String::new()),
            row("people in a wrong place", count(self.misplaced), String::new()),
        ]);
        let spread = |name: &str, found: Percentiles, note: String| {
            let points = [("p50", found.p50), ("p99", found.p99), ("max", found.max)];
            let mut cells = vec![name.to_owned()];
            cells.extend(points.map(|(point, ms)| format!("{ms:.2} ms {point}")));
            cells.push(note);
            cells
        };
        let seen = format!("seen by the writers, {} times", count(self.handovers_seen));
        text.push('\n');
        text.push_str(&aligned(&[
            spread("pause", migrate.pause_ms, "per person".to_owned()),
            spread("handover", migrate.handover_ms, seen),
        ]));
        for failure in migrate.failures.iter().take(NAMED) {
            text.push_str(&format!("  {}: {}\n", failure.subject, failure.reason));
        }
        let config = dir.join(CONFIG);
        let config = config.display();
        let next = [("verify", "scan every site again"), ("locate 17", "find one person")];
        let next = next.map(|(command, what)| {
            vec![format!("domicile --config {config} {command}"), what.to_owned()]
        });
        format!("{text}\ntry next\n{}", aligned(&next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit(change: impl FnOnce(&mut Report)) -> Exit {
        let (before, after) = (Map::default(), Map::default());
        let nothing = (MigrateReport::default(), VerifyReport::default());
        let (memory, account) = (Memory::default(), Account::default());
        let mut report = Report::new(nothing.0, &nothing.1, &memory, &account, (&before, &after));
        change(&mut report);
        report.exit()
    }

    #[test]
    fn the_exit_code_tells_what_went_wrong() {
        assert_eq!(exit(|_| {}), Exit::Ok);
        assert_eq!(exit(|it| it.writes_lost = 1), Exit::Mismatch);
        assert_eq!(exit(|it| it.migrate.mismatches = 1), Exit::Mismatch);
        assert_eq!(exit(|it| it.doubles = 1), Exit::Mismatch);
        assert_eq!(exit(|it| it.strays = 1), Exit::Mismatch);
        assert_eq!(exit(|it| it.misplaced = 1), Exit::Mismatch);
    }

    #[test]
    fn who_was_not_moved_is_astray_and_that_is_all() {
        let left = |it: &mut Report| (it.strays, it.misplaced) = (2, 2);
        let failed = |it: &mut Report, count| {
            left(it);
            it.migrate.failed = count;
        };
        assert_eq!(exit(|it| failed(it, 2)), Exit::Failed);
        assert_eq!(exit(|it| failed(it, 1)), Exit::Mismatch);
        let stopped = |it: &mut Report| {
            left(it);
            it.migrate.stopped = true;
        };
        assert_eq!(exit(stopped), Exit::Stopped);
        assert_eq!(
            exit(|it| {
                stopped(it);
                it.writes_lost = 1;
            }),
            Exit::Mismatch
        );
    }
}
