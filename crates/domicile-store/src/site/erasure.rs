//! What is left of people's rows where they were erased, as far as there is evidence.

use jiff::Timestamp;
use serde::Serialize;

/// What is known of one place in which erased rows may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RungState {
    /// There is evidence that nothing of them is left there.
    Done,
    /// There is evidence that something of them is, or nothing yet that could have removed it.
    NotYet,
    /// There is no evidence either way.
    NotKnown,
    /// No evidence, and the operator says so.
    Declared,
}

/// One place in which erased rows may go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rung {
    /// Its name.
    pub rung: &'static str,
    /// What is known.
    pub state: RungState,
    /// When it happened, or by when it will have; otherwise when it was looked at.
    pub at: Option<Timestamp>,
    /// The evidence, one sentence.
    pub why: String,
    /// What would bring it about, or let it be known.
    pub hint: Option<String>,
}

impl Rung {
    /// A rung without a date or a hint.
    pub fn new(rung: &'static str, state: RungState, why: impl Into<String>) -> Self {
        Rung { rung, state, at: None, why: why.into(), hint: None }
    }

    /// With a date.
    #[must_use]
    pub fn at(self, at: Timestamp) -> Self {
        Rung { at: Some(at), ..self }
    }

    /// With a hint.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Rung { hint: Some(hint.into()), ..self }
    }
}

/// What was erased behind one announcement at the site people left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ErasedMove {
    /// The announcement.
    pub move_id: i64,
    /// Where the people went.
    pub home: String,
    /// How many of them are erased.
    pub people: u64,
    /// Their rows.
    pub rows: u64,
    /// When the last of these rows was deleted.
    pub erased_at: Timestamp,
    /// People of this announcement who are decided and still have rows here.
    pub pending: u64,
    /// Tombstones of this announcement that stand.
    pub tombstones: u64,
    /// When the last of them was made.
    pub last_tombstone_at: Option<Timestamp>,
    /// What the database gives evidence of.
    pub rungs: Vec<Rung>,
}

/// What became of tables of which much was erased.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vacuumed {
    /// Vacuumed and analyzed.
    pub tables: Vec<String>,
    /// Passed over: they are somebody else's, or locked.
    pub skipped: Vec<String>,
    /// Left for later: somebody may still see the erased rows.
    pub too_early: Vec<String>,
}

impl ErasedMove {
    /// The first rung: the journal says what was deleted.
    pub(crate) fn deleted(&self) -> Rung {
        if self.pending > 0 {
            let why = format!("rows of {} people still stand", self.pending);
            return Rung::new("rows_deleted", RungState::NotYet, why).hint("run domicile migrate");
        }
        let why = format!("{} rows of {} people, by the journal", self.rows, self.people);
        Rung::new("rows_deleted", RungState::Done, why).at(self.erased_at)
    }
}
