//! A site's database: PostgreSQL and SQLite behind one contract.
//!
//! [`Site`] is a database that holds people, [`Departure`] the side of it that people leave,
//! [`Arrival`] the side they come to. [`faulty`] wraps all three with named crash points, and
//! the suite in `tests/conformance` is the one that every implementation passes.

pub mod catalog;
pub mod closure;
pub mod crossing;
mod digest;
mod error;
pub mod faulty;
pub mod postgres;
pub mod site;
pub mod sql;
pub mod sqlite;
mod waiting;

pub use catalog::{Catalog, Column, ForeignKey, Table, TableName};
pub use closure::{Closure, OwnedTable, ParentEdge, ReferenceTable, Referrer, SharedTable};
pub use error::{Error, Kind, Result};
pub use site::{
    Announcement, Applied, Arrival, Blocker, ByteStream, Change, Claim, Decision, Departure,
    Directive, Engine, Erased, ErasedMove, Extent, Finding, Gauge, Horizon, Installation,
    JournalEntry, KeyRemoval, Load, News, NewsStream, Outcome, Person, PersonStream, Reference,
    ReferenceChanges, ReferenceNote, Replica, Residents, RowsRead, Rung, RungState, Sample,
    Sharing, Site, Standing, Stray, TableDigest, TableLoad, Touched, Vacuumed, Whereabouts,
};
