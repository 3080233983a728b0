//! The protocol of a move, small enough that a checker visits every state of it; and a checker of
//! what clients were told while people moved.
//!
//! [`protocol`] is one person between two sites: the mover step by step, writers at two isolation
//! levels who go straight to the databases, crashes, answers that come late, a standby that lacks
//! the last commit. Each [`rules::Rule`] can be left out, and then a property must fail.
//!
//! [`history`] judges recorded appends and reads of a real run.

pub mod history;
pub mod protocol;
pub mod rules;
pub mod world;
