//! What a site is told and what it answers.

use crate::catalog::{ForeignKey, TableName};
use crate::closure::Closure;
use crate::error::{Error, Kind};
use bytes::Bytes;
use domicile_model::{MoveId, SiteName, State, Subject};
use jiff::Timestamp;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

/// Which database speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// PostgreSQL 15 or later.
    Postgres,
    /// SQLite in WAL mode.
    Sqlite,
}

/// A row of the root table, as far as placing a person needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The person.
    pub subject: Subject,
    /// The residence columns' texts, in the closure's order; text that is not UTF-8 is an error.
    pub residence: Vec<Option<String>>,
}

/// One line of a site's journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalEntry {
    /// The person.
    pub subject: Subject,
    /// What the journal says.
    pub state: State,
    /// The move it belongs to.
    pub move_id: MoveId,
    /// The other end: the new home at a source, the old one at a target.
    pub peer: SiteName,
    /// At a target: whether the rows have arrived and were compared. `false` elsewhere.
    pub copied: bool,
    /// When the decision was taken, at a source in state `moved`.
    pub decided_at: Option<Timestamp>,
}

/// People announced together, from one source to one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// The announcement's id, new for each announcement.
    pub move_id: MoveId,
    /// The other end: the new home when told to a source, the old one when told to a target.
    pub peer: SiteName,
    /// The people, ascending.
    pub subjects: Vec<Subject>,
}

/// Whether writers from before an announcement may still be under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Horizon {
    /// None is: whoever writes from now on sees the announcement.
    Passed,
    /// These still are; look again.
    Waiting {
        /// Who holds it up.
        blockers: Vec<Blocker>,
    },
}

/// Somebody who was writing, or had a snapshot, before an announcement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocker {
    /// The server's process; none of a prepared transaction, nor at SQLite.
    pub process: Option<i32>,
    /// Who it is: process, age, and the beginning of its statement.
    pub words: String,
}

/// A row that changed while its owner was moving.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touched {
    /// The note's own number; notes are forgotten by exact number, never by watermark.
    pub seq: i64,
    /// The person it concerns, as owner before or after the change.
    pub subject: Subject,
    /// The table's place in [`Closure::owned`].
    pub table: usize,
    /// The row's primary key, each column as the engine wrote it down; only an equal engine can
    /// read it back.
    pub key: Vec<String>,
    /// Whether the row came, went, or changed its key or owner, so that the rows below it may
    /// have come or gone with it. A plain change of values leaves them alone: a person's row
    /// changes often, and everything hangs from it.
    pub below: bool,
}

/// What is read, compared or cleared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Everything these people own.
    People(Vec<Subject>),
    /// These rows as far as the person of the note owns them, and everything below those that
    /// [`Touched::below`] says so of.
    Touched(Vec<Touched>),
}

/// A digest over rows that one site read by itself.
///
/// Each row's digest is SHA-256 over a canonical form of all its columns that tells NULL from
/// empty and keeps every bit of a value; the table's is their sum modulo 2²⁵⁶. Whose a row is, its
/// columns say, or those of the rows above it: where all tables are equal, so is every person.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TableDigest {
    /// The table's place in [`Closure::owned`].
    pub table: usize,
    /// How many rows.
    pub rows: u64,
    /// The sum, little-endian.
    pub sum: [u8; 32],
}

/// What came of one person's decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Decided: the home has changed. The duration is from the lock's grant to the commit's
    /// acknowledgement.
    Decided(Duration),
    /// Rows were touched since the last catch-up; ship them first.
    Touched,
    /// Somebody is writing about this person just now.
    Busy,
    /// The tables or fences changed since the copy; the copy cannot be trusted.
    SchemaChanged,
    /// Somebody put this person on hold since the announcement.
    OnHold,
    /// The journal no longer has this person in a state to decide from.
    NotOurs,
}

/// One person's decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The person.
    pub subject: Subject,
    /// What came of it.
    pub outcome: Outcome,
}

/// What an erasure did in one go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// Rows deleted this time.
    pub rows: u64,
    /// Whether nothing is left and the tombstones stand.
    pub finished: bool,
}

/// What [`super::Site::install`] puts in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installation {
    /// The closure the fences guard.
    pub closure: Arc<Closure>,
    /// Every configured site, so that a refusal can name the new home.
    pub sites: Vec<SiteName>,
    /// The one site where the application writes reference tables. There changes are noted; at
    /// every other site a write to them is refused.
    pub reference_site: SiteName,
}

/// A note that a row of a reference table came, changed or went at its writing site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferenceNote {
    /// The note's own number.
    pub seq: i64,
    /// The table's place in [`Closure::reference`]; `None` for a table that is no longer one.
    pub table: Option<usize>,
    /// The row's primary key, as the engine wrote it down.
    pub key: Vec<String>,
    /// Why the change could not be made at some site when that was last tried.
    pub refused: Option<String>,
}

/// Noted changes of reference tables, with the rows as they stood in one snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReferenceChanges {
    /// The notes, by number.
    pub notes: Vec<ReferenceNote>,
    /// By table, the rows under the noted keys in the engine's own form. A noted key without a
    /// row is that of a row that went.
    pub rows: Vec<(usize, Bytes)>,
}

/// What came of changes of reference tables at one site. Whatever is in neither list is done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Notes of rows that went, and stay here for now because rows here refer to them.
    pub kept: Vec<ReferenceNote>,
    /// Notes of changes that cannot be made here, each with the reason; what stood stands.
    pub refused: Vec<ReferenceNote>,
}

/// The notes that stand at a writing site.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// How many.
    pub notes: u64,
    /// The first of those that some site could not apply, by number; at most
    /// [`REFUSED_NAMED_MAX`].
    pub refused: Vec<ReferenceNote>,
}

/// So many refused changes are named; all are counted.
pub const REFUSED_NAMED_MAX: u32 = 100;

/// A row whose owner is not at this site, found by a scan.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Stray {
    /// The owner the row names; `None` where the way to the owner is broken.
    pub subject: Option<Subject>,
    /// The table.
    pub table: String,
    /// How many rows.
    pub rows: u64,
}

/// A sampled value is cut here; what a column holds shows in its first characters.
pub const SAMPLED_CHARS_MAX: usize = 200;

/// Some rows of a table, for judging what its columns hold. They are people's data: they are read,
/// judged and dropped, and never printed or logged.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Sample {
    /// The columns asked for.
    pub columns: Vec<String>,
    /// Rows, with a value for each column.
    pub rows: Vec<Vec<Option<String>>>,
}

impl Sample {
    /// A column's values, NULL left out; none of a column that was not asked for.
    pub fn values(&self, column: &str) -> Vec<&str> {
        let Some(at) = self.columns.iter().position(|name| name == column) else {
            return Vec::new();
        };
        self.rows.iter().filter_map(|row| row.get(at)?.as_deref()).collect()
    }
}

impl std::fmt::Debug for Sample {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sample({} rows of {:?})", self.rows.len(), self.columns)
    }
}

/// What a scan of one site found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Finding {
    /// Owned rows whose owner's root row is not at this site.
    pub ownerless: Vec<Stray>,
    /// Digest and row count of each reference table, in the closure's order.
    pub reference: Vec<(TableName, u64, [u8; 32])>,
    /// Of each shared table, in the closure's order: its rows, and how many of them nobody here
    /// refers to.
    pub shared: Vec<(TableName, u64, u64)>,
    /// Rows of owned tables, all people together.
    pub rows: u64,
}

/// What somebody has directed about one person, beside what the rules for homes say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Directive {
    /// The person.
    pub subject: Subject,
    /// Why their rows must neither move nor be erased (a legal hold).
    pub hold: Option<String>,
    /// The site that is to be their home.
    pub home: Option<SiteName>,
}

/// Foreign keys that stand at a site, how to be rid of them, and how to have them back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyRemoval {
    /// The keys, each with the table that has it.
    pub keys: Vec<(TableName, ForeignKey)>,
    /// The statements that drop them, in order; one transaction runs them all.
    pub drop: Vec<String>,
    /// A script, with its own transactions, that makes them again exactly as they stand now.
    pub restore: Vec<String>,
}

impl KeyRemoval {
    /// The keys by table and referring columns.
    pub fn columns(&self) -> Vec<(TableName, Vec<String>)> {
        self.keys.iter().map(|(table, key)| (table.clone(), key.columns.clone())).collect()
    }

    /// What a site says when the keys are defined otherwise now than they were listed.
    pub(crate) fn changed() -> Error {
        Error::new(Kind::Operator, "the foreign keys have changed since they were listed")
            .hint("nothing was dropped there; run the command again")
    }
}

/// How rows of an owned table refer to rows that belong to nobody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sharing {
    /// Rows that refer to one.
    pub referring: u64,
    /// Rows referred to on behalf of one person only.
    pub of_one: u64,
    /// Rows referred to on behalf of several people.
    pub of_several: u64,
}

/// What reading a few rows came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowsRead {
    /// Rows read.
    pub rows: u64,
    /// Their bytes, in the form in which they travel.
    pub bytes: u64,
}

/// One thing that is directed about a person; `None` takes it back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A hold, with its reason.
    Hold(Option<String>),
    /// A home.
    Home(Option<SiteName>),
}
