//! The mover's steps.

use super::Protocol;
use crate::rules::Rule;
use crate::world::{Entry, Mover, Phase, Place, Site, Step, World, Writer, Writes};
use domicile_model::State;

impl Protocol {
    /// Whom the mover must wait for, at the moment of its announcement.
    pub(super) fn older(&self, world: &World) -> Writes {
        let mut found = 0;
        for (at, writer) in world.writers.iter().enumerate() {
            let is_waited_for = match (writer.place, writer.phase) {
                (Place::Target, _) if !self.keeps(Rule::WaitAtTarget) => false,
                (_, Phase::Wrote { .. }) => self.keeps(Rule::WaitForWriters),
                (_, Phase::Begun { .. }) => self.keeps(Rule::WaitForSnapshots),
                _ => false,
            };
            found |= Writes::from(is_waited_for) << at;
        }
        if world.announcements > 1 && !self.keeps(Rule::OwnHorizon) { 0 } else { found }
    }

    pub(super) fn is_held(world: &World) -> bool {
        let holds = |writer: &Writer| matches!(writer.phase, Phase::Wrote { holds: true, .. });
        world.writers.iter().any(holds)
    }

    /// The mover's next step.
    pub(super) fn step(&self, world: &mut World) -> Option<()> {
        let id = world.mover.move_id;
        let next = match world.mover.step {
            Step::Down | Step::Done | Step::Stuck => return None,
            Step::Start if self.keeps(Rule::FlagFirst) => {
                world.source.flag = true;
                world.target.flag = true;
                Step::Announce
            }
            Step::Start => Step::Announce,
            Step::Announce => {
                world.announcements += 1;
                world.mover.move_id = world.announcements;
                world.source.entry =
                    Some(Entry { state: State::Moving, move_id: world.announcements });
                if self.keeps(Rule::FlagFirst) { Step::Expect } else { Step::RaiseLate }
            }
            Step::RaiseLate | Step::Expect => self.expect(world),
            Step::Wait => {
                let mut open = 0;
                for (at, writer) in world.writers.iter().enumerate() {
                    open |= Writes::from(writer.is_open()) << at;
                }
                if world.mover.waits_for & open != 0 {
                    return None;
                }
                Step::Read
            }
            Step::Read => {
                world.mover.rows = world.source.rows;
                world.mover.notes = world.source.notes;
                if self.keeps(Rule::OneSnapshot) { Step::Load } else { Step::ReadNotes }
            }
            Step::ReadNotes => {
                world.mover.notes = world.source.notes;
                Step::Load
            }
            Step::Load => Self::load(world),
            Step::Forget => {
                let read = world.mover.notes;
                let forgotten = if self.keeps(Rule::ForgetExactly) { read } else { Writes::MAX };
                world.source.notes &= !forgotten;
                Step::Decide
            }
            Step::Decide => self.decide(world)?,
            Step::LockOnly => {
                if Self::is_held(world) {
                    return None;
                }
                Self::become_moved(world)
            }
            Step::Abandon => {
                self.abandon(world);
                if world.gave_up { Step::Done } else { Step::Start }
            }
            Step::Settle => {
                self.settle(world, id);
                Step::Erase
            }
            Step::Erase => {
                self.erase(world, id);
                let waits = world.source.entry == Some(Entry { state: State::Moved, move_id: id });
                if waits { Step::Stuck } else { Step::Done }
            }
        };
        world.mover.step = next;
        Some(())
    }

    pub(super) fn expect(&self, world: &mut World) -> Step {
        // The announcement's own time is the one that counts; here both are one step.
        if world.mover.step == Step::RaiseLate {
            world.source.flag = true;
            world.target.flag = true;
        }
        let id = world.mover.move_id;
        if world.target.entry.is_none() {
            world.target.entry = Some(Entry { state: State::Arriving, move_id: id });
            world.target.copied = false;
        }
        world.mover.waits_for = self.older(world);
        Step::Wait
    }

    /// What stands at the target and was not brought by this move makes the copy fail.
    pub(super) fn load(world: &mut World) -> Step {
        let (rows, notes) = (world.mover.rows, world.mover.notes);
        let target = &mut world.target;
        if !world.mover.has_copied {
            if target.rows != 0 && !target.copied {
                world.source.entry =
                    Some(Entry { state: State::Withdrawn, move_id: world.mover.move_id });
                world.gave_up = true;
                return Step::Abandon;
            }
            target.rows = rows;
        } else {
            target.rows = (target.rows & !notes) | (rows & notes);
        }
        (target.stands, target.copied) = (true, true);
        world.mover.has_copied = true;
        Step::Forget
    }

    pub(super) fn decide(&self, world: &mut World) -> Option<Step> {
        let is_touched = world.source.notes != 0 && self.keeps(Rule::CheckNotes);
        if !self.keeps(Rule::LockThenCheck) {
            return (!is_touched).then_some(Step::LockOnly);
        }
        (!is_touched && !Self::is_held(world)).then(|| Self::become_moved(world))
    }

    pub(super) fn become_moved(world: &mut World) -> Step {
        world.standby = Some(world.source.clone());
        world.source.entry = Some(Entry { state: State::Moved, move_id: world.mover.move_id });
        Step::Settle
    }

    pub(super) fn settle(&self, world: &mut World, id: u8) {
        let is_meant = world.target.entry == Some(Entry { state: State::Arriving, move_id: id });
        if is_meant || !self.keeps(Rule::SettleByMove) {
            world.target.entry = Some(Entry { state: State::Resident, move_id: id });
        }
    }

    pub(super) fn erase(&self, world: &mut World, id: u8) {
        let is_meant = world.source.entry == Some(Entry { state: State::Moved, move_id: id });
        let shows = world.target.entry == Some(Entry { state: State::Resident, move_id: id });
        if (is_meant || !self.keeps(Rule::EraseByMove))
            && (shows || world.returned || !self.keeps(Rule::EraseByEvidence))
        {
            let flag = world.source.flag;
            world.source = Site { flag, ..Site::default() };
        }
    }

    pub(super) fn abandon(&self, world: &mut World) {
        if self.keeps(Rule::Abandon) && world.target.copied {
            world.target.rows = 0;
            (world.target.stands, world.target.copied) = (false, false);
        }
        if self.keeps(Rule::Abandon) {
            world.target.entry = None;
        }
    }
}

impl Mover {
    /// A mover that remembers nothing.
    pub(super) fn at(step: Step) -> Mover {
        Mover { step, move_id: 0, waits_for: 0, rows: 0, notes: 0, has_copied: false }
    }
}
