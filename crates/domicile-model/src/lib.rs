//! The words of the house as types: subjects, sites, territories, residence, homes, moves.
//!
//! This crate is pure. It opens no file and no socket, reads no clock and draws no random number,
//! and it knows nothing about SQL.

pub mod category;
pub mod homes;
pub mod moves;
pub mod residence;
pub mod site;
pub mod subject;
pub mod territory;

pub use category::{Category, UnknownCategory};
pub use homes::{HomeRule, Homes, Placement};
pub use moves::{MoveId, State};
pub use site::{Operator, SiteName, SiteSpec};
pub use subject::Subject;

/// How far two words are apart, for "did you mean": smaller is nearer.
pub fn nearness(one: &str, other: &str) -> usize {
    strsim::damerau_levenshtein(&one.to_lowercase(), &other.to_lowercase())
}
