//! Crashes and what follows, and what the mover does not choose.

use super::Protocol;
use crate::world::{Entry, Late, Mover, Phase, Place, Site, Step, World};
use domicile_model::State;

impl Protocol {
    /// Reads the journals, as recovery does, and goes on with the normal steps.
    pub(super) fn restart(world: &mut World) -> Option<()> {
        if world.mover.step != Step::Down {
            return None;
        }
        let state = |site: &Site| site.entry.map(|entry| entry.state);
        let id = world.source.entry.map_or(0, |entry| entry.move_id);
        world.mover = Mover::at(match (state(&world.source), state(&world.target)) {
            (Some(State::Moving), Some(State::Resident)) => Step::Stuck,
            (Some(State::Moving), _) => Step::Expect,
            (Some(State::Moved), Some(State::Resident)) => Step::Erase,
            (Some(State::Moved), _) => Step::Settle,
            (Some(State::Withdrawn), Some(State::Arriving)) => Step::Abandon,
            (Some(State::Withdrawn), _) if world.gave_up => Step::Done,
            (Some(State::Withdrawn), _) => Step::Start,
            _ if !world.source.stands || world.returned => Step::Done,
            _ => Step::Start,
        });
        world.mover.move_id = id;
        Some(())
    }

    /// The person has moved back, and waits to be erased at the former target.
    pub(super) fn come_back(world: &mut World) -> Option<()> {
        if world.mover.step != Step::Done || world.returned || world.source.stands {
            return None;
        }
        world.returned = true;
        world.announcements += 1;
        let id = world.announcements;
        world.source.rows = world.target.rows;
        world.source.stands = true;
        world.source.entry = Some(Entry { state: State::Resident, move_id: id });
        world.target.entry = Some(Entry { state: State::Moved, move_id: id });
        Some(())
    }

    pub(super) fn fail_over(world: &mut World) -> Option<()> {
        let standby = world.standby.take()?;
        world.source = standby;
        world.had_disaster = true;
        world.mover = Mover::at(Step::Down);
        for writer in &mut world.writers {
            if writer.place == Place::Source && writer.is_open() {
                writer.phase = Phase::Refused;
            }
        }
        Some(())
    }

    pub(super) fn restore(world: &mut World) -> Option<()> {
        // Once the source is erased nobody can give back what the target's operator has lost.
        if world.had_disaster || !world.source.stands {
            return None;
        }
        world.had_disaster = true;
        world.target = Site { flag: world.target.flag, ..Site::default() };
        world.mover = Mover::at(Step::Down);
        Some(())
    }

    pub(super) fn deliver(&self, world: &mut World) -> Option<()> {
        match world.late.take()? {
            Late::Settle(id) => self.settle(world, id),
            Late::Erase(id) => self.erase(world, id),
        }
        Some(())
    }

    pub(super) fn crash(world: &mut World) -> Option<()> {
        if matches!(world.mover.step, Step::Down | Step::Done | Step::Stuck) {
            return None;
        }
        world.crashes = world.crashes.checked_sub(1)?;
        let id = world.mover.move_id;
        world.late = match world.mover.step {
            Step::Settle => Some(Late::Settle(id)),
            Step::Erase => Some(Late::Erase(id)),
            _ => world.late,
        };
        world.mover = Mover::at(Step::Down);
        Some(())
    }

    pub(super) fn withdraw(world: &mut World) -> Option<()> {
        let is_moving = world.source.entry.is_some_and(|entry| entry.state == State::Moving);
        if world.mover.step != Step::Decide || !is_moving {
            return None;
        }
        world.withdrawals = world.withdrawals.checked_sub(1)?;
        let id = world.mover.move_id;
        world.source.entry = Some(Entry { state: State::Withdrawn, move_id: id });
        world.source.notes = 0;
        world.mover = Mover::at(Step::Abandon);
        world.mover.move_id = id;
        Some(())
    }
}
