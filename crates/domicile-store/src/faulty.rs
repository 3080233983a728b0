//! A site that crashes where a test wants it to.
//!
//! [`Faulty`] wraps any [`crate::Site`] together with the lanes it opens. Each call passes a named
//! point; [`Faults`] decides whether something breaks there, before the call or after it. A dead
//! process makes no further call until [`Faults::revive`], and what it had open is closed, so that
//! transactions end as they do in a crash. Where only a connection is lost, its lane is closed, and
//! the process goes on with what else it has.
//!
//! Points of calls that either end answers begin with `site.`; those of [`crate::Departure`] with
//! `source.`, those of [`crate::Arrival`] with `target.`, those of [`crate::Reference`] with
//! `reference.`.

mod lane;
mod site;

use crate::error::{Error, Kind, Result};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use site::Faulty;

/// Every point, in the order in which a move passes them.
pub const POINTS: &[&str] = &[
    "site.claim",
    "site.catalog",
    "site.count_crossing",
    "site.count_sharing",
    "site.key_removal",
    "site.remove_keys",
    "site.read_rows",
    "site.schema_script",
    "site.apply_schema",
    "site.export_reference",
    "site.import_reference",
    "site.install",
    "site.is_installed",
    "site.people",
    "site.journal",
    "source.open",
    "target.open",
    "source.announce",
    "target.expect",
    "source.start_horizon",
    "source.look_at_horizon",
    "target.start_horizon",
    "target.look_at_horizon",
    "site.directives",
    "site.direct",
    "reference.open",
    "reference.changes",
    "reference.apply",
    "reference.held",
    "reference.stand",
    "reference.standing",
    "reference.mark_refused",
    "reference.forget",
    "reference.digests",
    "target.mark",
    "source.open_snapshot",
    "source.select",
    "target.roll_back",
    "target.begin",
    "source.export",
    "source.export.stream",
    "target.import",
    "source.digests",
    "target.digests",
    "target.check",
    "target.bring",
    "target.commit",
    "source.close_snapshot",
    "source.forget",
    "source.close",
    "source.decide",
    "source.reopen",
    "target.settle",
    "source.withdraw",
    "target.abandon",
    "source.erase",
    "site.look_up",
    "site.gone",
    "site.scan",
    "site.refusals",
    "site.rest",
];

/// How a call fails.
///
/// At `source.export.stream`, which is passed when the first chunk is there, the stream breaks
/// before that chunk or right after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Before the call.
    NotDone,
    /// The call is made, and its answer is not heard.
    Done,
}

/// Both faults, for tests that try each.
pub const FAULTS: [Fault; 2] = [Fault::NotDone, Fault::Done];

/// How much goes with a call that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The process dies.
    Process,
    /// The lane that made the call has lost its connection; of a call that belongs to no lane,
    /// only the answer. The process goes on.
    Connection,
}

/// Both, for tests that try each.
pub const REACHES: [Reach; 2] = [Reach::Process, Reach::Connection];

/// Where one process dies or loses a connection; clones speak of the same process.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    plan: Arc<Mutex<Plan>>,
}

#[derive(Debug, Default)]
struct Plan {
    armed: Vec<Armed>,
    hits: BTreeMap<&'static str, u32>,
    crashed_at: Option<&'static str>,
    /// Where a connection was lost last.
    lost_at: Option<&'static str>,
    /// How often the process was started again; lanes of an earlier life stay dead.
    life: u32,
}

#[derive(Debug)]
struct Armed {
    point: String,
    passings_left: u32,
    fault: Fault,
    reach: Reach,
}

/// Leave to make a call, and what breaks after it.
#[must_use]
#[derive(Debug)]
struct Passage {
    breaks: Option<(&'static str, Reach)>,
}

impl Faults {
    /// A process to which nothing happens.
    pub fn none() -> Self {
        Self::default()
    }

    /// Lets the process die, once, at the `nth` passing of the point from now on; the next passing
    /// is the first.
    pub fn arm(&self, point: &str, nth: u32, fault: Fault) {
        self.arm_reaching(point, nth, fault, Reach::Process);
    }

    /// The same, with no more or no less than this breaking.
    pub fn arm_reaching(&self, point: &str, nth: u32, fault: Fault, reach: Reach) {
        debug_assert!(POINTS.contains(&point), "{point} is not a crash point");
        let (point, passings_left) = (point.to_owned(), nth.max(1));
        self.plan().armed.push(Armed { point, passings_left, fault, reach });
    }

    /// How often the living process has come to the point.
    pub fn hits(&self, point: &str) -> u32 {
        self.plan().hits.get(point).copied().unwrap_or(0)
    }

    /// Where the process died, if it is dead.
    pub fn crashed_at(&self) -> Option<&'static str> {
        self.plan().crashed_at
    }

    /// Where the process has lost a connection, if it has.
    pub fn lost_at(&self) -> Option<&'static str> {
        self.plan().lost_at
    }

    /// Starts the process again. The lanes it had open stay closed; open new ones.
    pub fn revive(&self) {
        let mut plan = self.plan();
        plan.crashed_at = None;
        plan.life += 1;
    }

    fn life(&self) -> u32 {
        self.plan().life
    }

    /// Comes to a point: an error when the process is dead, or when something breaks before the
    /// call.
    fn pass(&self, point: &'static str) -> Result<Passage> {
        debug_assert!(POINTS.contains(&point), "{point} is not in POINTS");
        let mut plan = self.plan();
        if let Some(earlier) = plan.crashed_at {
            return Err(crashed(earlier));
        }
        *plan.hits.entry(point).or_default() += 1;
        match plan.fault_at(point) {
            None => Ok(Passage { breaks: None }),
            Some((Fault::Done, reach)) => Ok(Passage { breaks: Some((point, reach)) }),
            Some((Fault::NotDone, reach)) => Err(plan.break_at(point, reach)),
        }
    }

    /// Hands the answer on, or loses it.
    fn finish<R>(&self, passage: Passage, answer: Result<R>) -> Result<R> {
        match passage.breaks {
            None => answer,
            Some((point, reach)) => Err(self.plan().break_at(point, reach)),
        }
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        // Nothing in here panics half-way; a test that failed elsewhere left the plan whole.
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Plan {
    fn break_at(&mut self, point: &'static str, reach: Reach) -> Error {
        match reach {
            Reach::Process => {
                self.crashed_at = Some(point);
                crashed(point)
            }
            Reach::Connection => {
                self.lost_at = Some(point);
                lost(point)
            }
        }
    }

    fn fault_at(&mut self, point: &str) -> Option<(Fault, Reach)> {
        for armed in self.armed.iter_mut().filter(|armed| armed.point == point) {
            armed.passings_left = armed.passings_left.saturating_sub(1);
        }
        let fires = self.armed.iter().position(|a| a.point == point && a.passings_left == 0)?;
        let Armed { fault, reach, .. } = self.armed.remove(fires);
        Some((fault, reach))
    }
}

fn crashed(point: &str) -> Error {
    Error::new(Kind::RetryLater, format!("crashed at {point}"))
}

fn lost(point: &str) -> Error {
    Error::new(Kind::RetryLater, format!("connection lost at {point}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nth_passing_fails_once_and_death_lasts_until_the_revival() {
        let faults = Faults::none();
        faults.arm("source.decide", 2, Fault::NotDone);
        assert!(faults.pass("source.decide").is_ok());
        let error = faults.pass("source.decide").unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), CRASHED_AT_DECIDE);
        let error = faults.pass("target.settle").unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), CRASHED_AT_DECIDE);
        faults.revive();
        assert!(faults.pass("source.decide").is_ok());
        assert_eq!((faults.hits("source.decide"), faults.hits("target.settle")), (3, 0));
    }

    #[test]
    fn a_call_that_was_made_keeps_its_effect_but_not_its_answer() {
        let faults = Faults::none();
        faults.arm("source.decide", 1, Fault::Done);
        let passage = faults.pass("source.decide").unwrap();
        assert_eq!(faults.crashed_at(), None, "the call is still being made");
        assert!(faults.finish(passage, Ok("the answer")).is_err());
        assert_eq!(faults.crashed_at(), Some("source.decide"));
    }

    #[test]
    fn a_lost_connection_fails_one_call_and_the_process_goes_on() {
        let faults = Faults::none();
        faults.arm_reaching("source.decide", 1, Fault::NotDone, Reach::Connection);
        let error = faults.pass("source.decide").unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), LOST_AT_DECIDE);
        assert_eq!((faults.crashed_at(), faults.lost_at()), (None, Some("source.decide")));
        let passage = faults.pass("source.decide").unwrap();
        assert_eq!(faults.finish(passage, Ok("the answer")).unwrap(), "the answer");
    }

    const LOST_AT_DECIDE: (Kind, &str) = (Kind::RetryLater, "connection lost at source.decide");
    const CRASHED_AT_DECIDE: (Kind, &str) = (Kind::RetryLater, "crashed at source.decide");
}
