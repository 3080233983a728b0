//! Whoever writes straight to a database, and the fences.

use super::Protocol;
use crate::rules::Rule;
use crate::world::{Entry, Isolation, Phase, Place, Site, World};
use domicile_model::State;

impl Protocol {
    /// The site where a writer writes.
    pub(super) fn site(world: &World, at: usize) -> &Site {
        match world.writers[at].place {
            Place::Source => &world.source,
            Place::Target => &world.target,
        }
    }

    pub(super) fn begin(world: &mut World, at: usize) -> Option<()> {
        let writer = &world.writers[at];
        if writer.phase != Phase::Idle || writer.isolation == Isolation::ReadCommitted {
            return None;
        }
        let entry = Self::site(world, at).entry;
        world.writers[at].phase = Phase::Begun { entry };
        Some(())
    }

    /// The statement, with what the fence does.
    pub(super) fn write(&self, world: &mut World, at: usize) -> Option<()> {
        let site = Self::site(world, at);
        let seen = match (world.writers[at].isolation, world.writers[at].phase) {
            (Isolation::ReadCommitted, Phase::Idle) => site.entry,
            (Isolation::RepeatableRead, Phase::Begun { entry }) => entry,
            _ => return None,
        };
        let passes = |noted, holds| Phase::Wrote { noted, holds };
        let phase = match world.writers[at].place {
            // Whoever is not here matches nothing, or meets the tombstone.
            Place::Source if !site.stands => Phase::Refused,
            _ if !site.flag => passes(false, false),
            _ => match seen {
                Some(entry) if !entry.state.is_fenced() => passes(false, false),
                None => passes(false, false),
                // The entry has changed since the snapshot: 40001.
                Some(_) if seen != site.entry => Phase::Refused,
                Some(Entry { state: State::Moving, .. }) => {
                    passes(self.keeps(Rule::NoteChanges), self.keeps(Rule::HoldEntry))
                }
                Some(Entry { state: State::Moved, .. }) if self.keeps(Rule::RefuseMoved) => {
                    Phase::Refused
                }
                Some(Entry { state: State::Moved, .. }) => passes(false, false),
                Some(_) => Phase::Refused,
            },
        };
        world.writers[at].phase = phase;
        Some(())
    }

    pub(super) fn commit(world: &mut World, at: usize) -> Option<()> {
        let Phase::Wrote { noted, .. } = world.writers[at].phase else { return None };
        world.writers[at].phase = Phase::Acknowledged;
        let site = match world.writers[at].place {
            Place::Source => &mut world.source,
            Place::Target => &mut world.target,
        };
        site.rows |= 1 << at;
        if noted {
            site.notes |= 1 << at;
        }
        Some(())
    }
}
