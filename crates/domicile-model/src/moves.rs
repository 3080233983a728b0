//! The life of one person's move, as each site's journal records it.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The id of one announcement; together with a subject it names one move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MoveId(pub i64);

impl fmt::Display for MoveId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// What a site's journal says of a person. Nobody who never moved has an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// At the source: announced; writes go on and are noted.
    Moving,
    /// At the source: new writers wait, those in flight drain.
    Closing,
    /// At the source: decided; writes are refused with the name of the new home.
    Moved,
    /// At the source: the announcement was taken back.
    Withdrawn,
    /// At the target: rows may be arriving; nobody else may write them.
    Arriving,
    /// At the target: settled; this site is home.
    Resident,
}

/// Every state, in the order of a move.
pub const STATES: [State; 6] = [
    State::Moving,
    State::Closing,
    State::Moved,
    State::Withdrawn,
    State::Arriving,
    State::Resident,
];

impl State {
    /// The word the journals store.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Moving => "moving",
            State::Closing => "closing",
            State::Moved => "moved",
            State::Withdrawn => "withdrawn",
            State::Arriving => "arriving",
            State::Resident => "resident",
        }
    }

    /// Whether the fences must look at writes about a person in this state.
    pub fn is_fenced(self) -> bool {
        !matches!(self, State::Withdrawn | State::Resident)
    }

    /// Whether a journal may go from this state to `next` (`None`: the entry is removed).
    ///
    /// The decision, `moving | closing → moved`, is the only way to `moved`, and nothing leads
    /// from `moved` back: a decided move can only be erased behind.
    pub fn may_become(self, next: Option<State>) -> bool {
        use State::{Arriving, Closing, Moved, Moving, Resident, Withdrawn};
        matches!(
            (self, next),
            (Moving, Some(Closing | Moved | Withdrawn))
                | (Closing, Some(Moving | Moved | Withdrawn))
                | (Moved, None)
                | (Withdrawn, Some(Moving | Arriving))
                | (Arriving, Some(Resident) | None)
                | (Resident, Some(Moving))
        )
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that no journal uses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a state of a move")]
pub struct BadState(String);

impl FromStr for State {
    type Err = BadState;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        STATES
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| BadState(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_reads_back() {
        for state in STATES {
            assert_eq!(state.as_str().parse(), Ok(state));
        }
    }

    #[test]
    fn a_decision_is_never_taken_back() {
        for state in STATES {
            assert!(!State::Moved.may_become(Some(state)), "moved -> {state}");
        }
        assert!(State::Moved.may_become(None));
    }

    #[test]
    fn only_an_announced_person_can_be_decided() {
        let from: Vec<State> =
            STATES.into_iter().filter(|s| s.may_become(Some(State::Moved))).collect();
        assert_eq!(from, [State::Moving, State::Closing]);
    }
}
