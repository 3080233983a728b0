//! The rules of the protocol, each of which can be left out.

/// One rule of the move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// The flag is raised before anybody is announced.
    FlagFirst,
    /// Writers who hold a lock on an owned table when the announcement is committed have ended
    /// before anything is read.
    WaitForWriters,
    /// So have snapshots that are older than the announcement.
    WaitForSnapshots,
    /// The same at the target, before rows arrive.
    WaitAtTarget,
    /// Every announcement has its own wait, also of somebody who was withdrawn.
    OwnHorizon,
    /// A write about somebody who moves is noted.
    NoteChanges,
    /// The writer holds the person's entry until it ends, and a decision skips who is held.
    HoldEntry,
    /// Nobody is decided about whom a note stands.
    CheckNotes,
    /// The decision locks first and looks for notes in a later statement.
    LockThenCheck,
    /// Exactly the notes that were read are forgotten.
    ForgetExactly,
    /// Notes and rows are read in one snapshot.
    OneSnapshot,
    /// Once decided, writes are refused.
    RefuseMoved,
    /// Settling looks at the entry's state and move.
    SettleByMove,
    /// So does erasing.
    EraseByMove,
    /// Nothing is erased whose arrival the target does not show.
    EraseByEvidence,
    /// A withdrawn arrival is taken back.
    Abandon,
}

/// Every rule.
pub const RULES: [Rule; 16] = [
    Rule::FlagFirst,
    Rule::WaitForWriters,
    Rule::WaitForSnapshots,
    Rule::WaitAtTarget,
    Rule::OwnHorizon,
    Rule::NoteChanges,
    Rule::HoldEntry,
    Rule::CheckNotes,
    Rule::LockThenCheck,
    Rule::ForgetExactly,
    Rule::OneSnapshot,
    Rule::RefuseMoved,
    Rule::SettleByMove,
    Rule::EraseByMove,
    Rule::EraseByEvidence,
    Rule::Abandon,
];
