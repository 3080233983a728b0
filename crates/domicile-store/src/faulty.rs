//! A site that crashes where a test wants it to.
//!
//! [`Faulty`] wraps any [`crate::Site`] together with the lanes it opens. Each call passes a named
//! point; [`Faults`] decides whether the process dies there, before the call or after it. A dead
//! process makes no further call until [`Faults::revive`], and what it had open is closed, so that
//! transactions end as they do in a crash.
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
    /// The process dies before the call.
    NotDone,
    /// The call is made, and the process dies before it hears the answer.
    Done,
}

/// Both faults, for tests that try each.
pub const FAULTS: [Fault; 2] = [Fault::NotDone, Fault::Done];

/// Where one process dies; clones speak of the same process.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    plan: Arc<Mutex<Plan>>,
}

#[derive(Debug, Default)]
struct Plan {
    armed: Vec<Armed>,
    hits: BTreeMap<&'static str, u32>,
    crashed_at: Option<&'static str>,
    /// How often the process was started again; lanes of an earlier life stay dead.
    life: u32,
}

#[derive(Debug)]
struct Armed {
    point: String,
    passings_left: u32,
    fault: Fault,
}

/// Leave to make a call, and whether the process dies after it.
#[must_use]
#[derive(Debug)]
struct Passage {
    crash_at: Option<&'static str>,
}

impl Faults {
    /// A process that does not die.
    pub fn none() -> Self {
        Self::default()
    }

    /// Lets the process die, once, at the `nth` passing of the point from now on; the next passing
    /// is the first.
    pub fn arm(&self, point: &str, nth: u32, fault: Fault) {
        debug_assert!(POINTS.contains(&point), "{point} is not a crash point");
        self.plan().armed.push(Armed { point: point.to_owned(), passings_left: nth.max(1), fault });
    }

    /// How often the living process has come to the point.
    pub fn hits(&self, point: &str) -> u32 {
        self.plan().hits.get(point).copied().unwrap_or(0)
    }

    /// Where the process died, if it is dead.
    pub fn crashed_at(&self) -> Option<&'static str> {
        self.plan().crashed_at
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

    /// Comes to a point: an error when the process is dead or dies before the call.
    fn pass(&self, point: &'static str) -> Result<Passage> {
        debug_assert!(POINTS.contains(&point), "{point} is not in POINTS");
        let mut plan = self.plan();
        if let Some(earlier) = plan.crashed_at {
            return Err(crashed(earlier));
        }
        *plan.hits.entry(point).or_default() += 1;
        match plan.fault_at(point) {
            None => Ok(Passage { crash_at: None }),
            Some(Fault::Done) => Ok(Passage { crash_at: Some(point) }),
            Some(Fault::NotDone) => {
                plan.crashed_at = Some(point);
                Err(crashed(point))
            }
        }
    }

    /// Hands the answer on, or dies with it.
    fn finish<R>(&self, passage: Passage, answer: Result<R>) -> Result<R> {
        let Some(point) = passage.crash_at else { return answer };
        self.plan().crashed_at = Some(point);
        Err(crashed(point))
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        // Nothing in here panics half-way; a test that failed elsewhere left the plan whole.
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Plan {
    fn fault_at(&mut self, point: &str) -> Option<Fault> {
        for armed in self.armed.iter_mut().filter(|armed| armed.point == point) {
            armed.passings_left = armed.passings_left.saturating_sub(1);
        }
        let fires = self.armed.iter().position(|a| a.point == point && a.passings_left == 0)?;
        Some(self.armed.remove(fires).fault)
    }
}

fn crashed(point: &str) -> Error {
    Error::new(Kind::RetryLater, format!("crashed at {point}"))
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

    const CRASHED_AT_DECIDE: (Kind, &str) = (Kind::RetryLater, "crashed at source.decide");
}
