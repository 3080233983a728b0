//! What stands where: two sites, the writers, the mover's memory.

use domicile_model::State;

/// A set of writes, one bit for each writer.
pub type Writes = u8;

/// A journal's entry of the one person there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// What the journal says.
    pub state: State,
    /// Under which announcement.
    pub move_id: u8,
}

/// One database, as it is committed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Site {
    /// Whether fences look at anything. Not part of any transaction.
    pub flag: bool,
    /// The person's entry.
    pub entry: Option<Entry>,
    /// Whether the person's rows stand here.
    pub stands: bool,
    /// The writes in them.
    pub rows: Writes,
    /// The notes, one for each noted write.
    pub notes: Writes,
    /// Whether what stands here was brought by the move that is under way.
    pub copied: bool,
}

/// At which site somebody writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// Where the person lives at the beginning.
    Source,
    /// Where they move to.
    Target,
}

/// What a writer's transaction sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Isolation {
    /// Each statement what is committed when it begins.
    ReadCommitted,
    /// All of it what was committed when it began.
    RepeatableRead,
}

/// How far a writer's one transaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Not begun.
    Idle,
    /// Begun, with a snapshot that shows this.
    Begun {
        /// The person's entry.
        entry: Option<Entry>,
    },
    /// Written, not committed.
    Wrote {
        /// Whether the fence noted it.
        noted: bool,
        /// Whether it holds the person's entry.
        holds: bool,
    },
    /// Committed and acknowledged.
    Acknowledged,
    /// Refused, or nothing matched.
    Refused,
}

/// Somebody who goes straight to a database.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Writer {
    /// Where.
    pub place: Place,
    /// How.
    pub isolation: Isolation,
    /// How far.
    pub phase: Phase,
}

impl Writer {
    /// Whether its transaction is open.
    pub fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Begun { .. } | Phase::Wrote { .. })
    }
}

/// What the mover does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// It is not running.
    Down,
    /// Raise the flag.
    Start,
    /// Announce at the source.
    Announce,
    /// Raise the flag after all, where that comes second.
    RaiseLate,
    /// Write `arriving` at the target, and begin to wait.
    Expect,
    /// Wait.
    Wait,
    /// Open a snapshot and read.
    Read,
    /// Read the notes, where that is not the same snapshot.
    ReadNotes,
    /// Load at the target.
    Load,
    /// Forget notes.
    Forget,
    /// Decide, or catch up.
    Decide,
    /// Lock and decide, where the look for notes came first.
    LockOnly,
    /// Take back what has arrived.
    Abandon,
    /// Settle.
    Settle,
    /// Erase.
    Erase,
    /// Nothing more.
    Done,
    /// Nothing more until somebody resolves what sites say against each other.
    Stuck,
}

/// The mover's memory; gone with a crash.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Mover {
    /// What it does next.
    pub step: Step,
    /// The announcement it works on.
    pub move_id: u8,
    /// Writers it waits for.
    pub waits_for: Writes,
    /// The rows it has read.
    pub rows: Writes,
    /// The notes it has read.
    pub notes: Writes,
    /// Whether a first copy has been loaded.
    pub has_copied: bool,
}

/// A call that was sent before a crash and may be carried out later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Late {
    /// Settle this move.
    Settle(u8),
    /// Erase behind this move.
    Erase(u8),
}

/// Everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    /// The site the person leaves.
    pub source: Site,
    /// The site they go to.
    pub target: Site,
    /// The source without its last decision: what an asynchronous standby has.
    pub standby: Option<Site>,
    /// The writers; the bit of a write is its writer's place.
    pub writers: Vec<Writer>,
    /// The mover.
    pub mover: Mover,
    /// A call on its way.
    pub late: Option<Late>,
    /// How often the mover may still crash.
    pub crashes: u8,
    /// How often it may still withdraw.
    pub withdrawals: u8,
    /// Announcements so far.
    pub announcements: u8,
    /// Whether the person has come back.
    pub returned: bool,
    /// Whether the mover has given the person up: something stands in the way at the target.
    pub gave_up: bool,
    /// Whether a site has lost what it had accepted.
    pub had_disaster: bool,
}

impl World {
    /// The writes that were acknowledged at a place.
    pub fn acknowledged(&self, place: Place) -> Writes {
        let mut writes = 0;
        for (at, writer) in self.writers.iter().enumerate() {
            if writer.place == place && writer.phase == Phase::Acknowledged {
                writes |= 1 << at;
            }
        }
        writes
    }

    /// Whether the source is home: nothing has been decided, or the person has come back.
    pub fn lives_at_source(&self) -> bool {
        let moved = self.source.entry.is_some_and(|entry| entry.state == State::Moved);
        self.source.stands && !moved
    }

    /// Whether writes about the person are taken at the target.
    pub fn is_open_at_target(&self) -> bool {
        self.target.entry.is_some_and(|entry| entry.state == State::Resident)
    }
}
