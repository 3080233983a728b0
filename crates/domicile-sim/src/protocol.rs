//! The move as a transition system, and what must hold in every state of it.

mod mover;
mod trouble;
mod writers;

use crate::rules::Rule;
use crate::world::{Isolation, Mover, Phase, Place, Site, Step, World, Writer};
use domicile_model::State;
use stateright::{Model, Property};

/// One person, two sites, and what may go wrong.
#[derive(Clone, Debug)]
pub struct Protocol {
    /// The writers, at most eight.
    pub writers: Vec<(Place, Isolation)>,
    /// The rule that is left out.
    pub without: Option<Rule>,
    /// How often the mover may crash.
    pub crashes: u8,
    /// How often it may withdraw and announce anew.
    pub withdrawals: u8,
    /// Whether the source may fail over to a standby that lacks the decision.
    pub has_standby: bool,
    /// Whether the target may be restored to a day on which nobody had arrived.
    pub has_backup: bool,
    /// Whether the person may come back while calls of their first move are on their way.
    pub may_return: bool,
}

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// The mover takes its next step.
    Step,
    /// The mover catches up instead of deciding.
    CatchUp,
    /// The mover withdraws instead of deciding.
    Withdraw,
    /// The mover crashes.
    Crash,
    /// It is started again.
    Restart,
    /// A writer's transaction begins.
    Begin(usize),
    /// A writer writes.
    Write(usize),
    /// A writer commits.
    Commit(usize),
    /// A call of before a crash is carried out.
    Deliver,
    /// The person comes back.
    Return,
    /// The source is replaced by its standby.
    FailOver,
    /// The target is restored from an old backup.
    Restore,
}

impl Protocol {
    fn keeps(&self, rule: Rule) -> bool {
        self.without != Some(rule)
    }

    fn enabled(&self, world: &World, action: Action) -> bool {
        self.next_state(world, action).is_some()
    }
}

impl Model for Protocol {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let writer = |(place, isolation): &(Place, Isolation)| Writer {
            place: *place,
            isolation: *isolation,
            phase: Phase::Idle,
        };
        vec![World {
            source: Site { stands: true, ..Site::default() },
            target: Site::default(),
            standby: None,
            writers: self.writers.iter().map(writer).collect(),
            mover: Mover::at(Step::Start),
            late: None,
            crashes: self.crashes,
            withdrawals: self.withdrawals,
            announcements: 0,
            returned: false,
            gave_up: false,
            had_disaster: false,
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        let others = [
            Action::Step,
            Action::CatchUp,
            Action::Withdraw,
            Action::Crash,
            Action::Restart,
            Action::Deliver,
            Action::Return,
            Action::FailOver,
            Action::Restore,
        ];
        let writers = (0..world.writers.len())
            .flat_map(|at| [Action::Begin(at), Action::Write(at), Action::Commit(at)]);
        actions.extend(others.into_iter().chain(writers).filter(|a| self.enabled(world, *a)));
    }

    fn next_state(&self, last: &World, action: Action) -> Option<World> {
        let mut world = last.clone();
        match action {
            Action::Step => self.step(&mut world)?,
            Action::CatchUp => {
                let is_touched = world.source.notes != 0;
                if world.mover.step != Step::Decide || !is_touched {
                    return None;
                }
                world.mover.step = Step::Read;
            }
            Action::Withdraw => Self::withdraw(&mut world)?,
            Action::Crash => Self::crash(&mut world)?,
            Action::Restart => Self::restart(&mut world)?,
            Action::Begin(at) => Self::begin(&mut world, at)?,
            Action::Write(at) => self.write(&mut world, at)?,
            Action::Commit(at) => Self::commit(&mut world, at)?,
            Action::Deliver => self.deliver(&mut world)?,
            Action::Return if self.may_return => Self::come_back(&mut world)?,
            Action::FailOver if self.has_standby => Self::fail_over(&mut world)?,
            Action::Restore if self.has_backup => Self::restore(&mut world)?,
            Action::Return | Action::FailOver | Action::Restore => return None,
        }
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ONE_HOME, |_: &Protocol, world: &World| {
                world.had_disaster || !(world.lives_at_source() && world.is_open_at_target())
            }),
            Property::always(NOTHING_LOST, |_: &Protocol, world: &World| {
                let acknowledged = world.acknowledged(Place::Source);
                let home = if world.had_disaster {
                    world.source.rows | world.target.rows
                } else if world.lives_at_source() {
                    world.source.rows
                } else {
                    world.target.rows
                };
                acknowledged & !home == 0
            }),
            Property::always(NOTHING_ADDED, |_: &Protocol, world: &World| {
                let is_decided =
                    world.source.entry.is_some_and(|entry| entry.state == State::Moved);
                !is_decided
                    || world.had_disaster
                    || world.is_open_at_target()
                    || world.target.rows == world.source.rows
            }),
            Property::always(NOTHING_LEFT, |_: &Protocol, world: &World| {
                let withdrawn =
                    world.source.entry.is_some_and(|entry| entry.state == State::Withdrawn);
                let is_over = withdrawn
                    && !world.had_disaster
                    && matches!(world.mover.step, Step::Start | Step::Done);
                let strays = world.acknowledged(Place::Target);
                !is_over || (world.target.entry.is_none() && world.target.rows & !strays == 0)
            }),
            Property::eventually(ENDS, |_: &Protocol, world: &World| {
                matches!(world.mover.step, Step::Done | Step::Stuck)
            }),
        ]
    }
}

/// A person has one home at any time.
pub const ONE_HOME: &str = "one home at any time";
/// Every acknowledged write is at home.
pub const NOTHING_LOST: &str = "no acknowledged write is lost";
/// What was decided is what has arrived.
pub const NOTHING_ADDED: &str = "nothing arrives that did not leave";
/// A withdrawn move leaves nothing at the target.
pub const NOTHING_LEFT: &str = "a withdrawn move leaves nothing";
/// Every move ends.
pub const ENDS: &str = "every move ends";
