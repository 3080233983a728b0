//! The mover: plans and drives the move of people between sites.
//!
//! [`plan`] reads catalogs and says what can move and what is refused;
//! [`propose`] drafts a first plan for an unknown schema. [`step`] is one batch's
//! state machine and touches nothing. [`drive`] carries out what a step asks for, [`recover`]
//! rebuilds steps from the sites' journals, and [`migrate`] runs them all.

pub mod compare;
pub mod direct;
pub mod drive;
mod erase;
pub mod erasure;
mod error;
pub mod locate;
pub mod migrate;
mod pace;
pub mod people;
pub mod plan;
pub mod prepare;
pub mod propose;
pub mod recover;
pub mod reference;
pub mod report;
pub mod step;
pub mod verify;

pub use error::{Error, Result};
