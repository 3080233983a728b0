//! The contract of a site.
//!
//! # What every implementation promises
//!
//! - **Accepted means durable.** When a call that writes returns `Ok`, what it did survives a
//!   crash of that database. When it returns `Err` it may have been done or not; every call is
//!   therefore idempotent for the same `MoveId` and subjects, and the caller finds out by
//!   reading [`Site::journal`].
//! - **Guarded by state and move.** No call changes a person whose journal entry carries another
//!   move, or a state the call does not start from (`domicile_model::State::may_become`). Such
//!   people are skipped, never an error.
//! - **Nothing is destroyed that was not named.** No call relies on a cascade, and none may
//!   delete a row of anybody but the people it was given.
//! - **Order.** Subjects are locked in ascending order. Tables are loaded in the closure's order
//!   and erased in the opposite one.

mod erasure;
mod load;
mod records;
mod residents;

use crate::catalog::{Catalog, Column, TableName};
use crate::closure::{Closure, OwnedTable};
use crate::error::Result;
use async_trait::async_trait;
use bytes::Bytes;
use domicile_model::{MoveId, SiteName, Subject};
use futures_util::stream::BoxStream;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub use erasure::{ErasedMove, Rung, RungState, Vacuumed};
pub use load::{Gauge, Load, Replica, TableLoad};
pub use records::{
    Announcement, Applied, Blocker, Change, Decision, Directive, Engine, Erased, Extent, Finding,
    Horizon, Installation, JournalEntry, KeyRemoval, Outcome, Person, REFUSED_NAMED_MAX,
    ReferenceChanges, ReferenceNote, RowsRead, SAMPLED_CHARS_MAX, Sample, Sharing, Standing, Stray,
    TableDigest, Touched,
};
pub use residents::{News, NewsStream, Residents, Whereabouts};

/// Rows in the form of [`Site::form`], in pieces of any length; only that engine can read them.
pub type ByteStream<'a> = BoxStream<'a, Result<Bytes>>;

/// People in ascending byte order of their key.
pub type PersonStream = BoxStream<'static, Result<Person>>;

/// The right to be the only mover at a site; given back when dropped or when the process ends.
pub trait Claim: Send + Sync {}

/// A database that holds people.
#[async_trait]
pub trait Site: Send + Sync {
    /// The site's name.
    fn name(&self) -> &SiteName;

    /// Which database speaks.
    fn engine(&self) -> Engine;

    /// The engine in whose terms this site speaks: its catalog, rows, keys of notes and digests.
    /// Sites of equal forms understand each other. It is another engine than [`Site::engine`] at
    /// an SQLite site that people leave for PostgreSQL only, and nobody can come to such a site:
    /// whatever would arrive is [`crate::Kind::Operator`].
    fn form(&self) -> Engine {
        self.engine()
    }

    /// Reads what the database says of itself. Takes no locks that block writers.
    async fn catalog(&self) -> Result<Catalog>;

    /// Reads at most `rows_max` rows of a table, from all over it where it is large, each value as
    /// the text the engine prints, cut at [`SAMPLED_CHARS_MAX`] characters. Cheap on a table of any
    /// size; takes no locks that block writers.
    async fn sample(&self, table: &TableName, columns: &[String], rows_max: u32) -> Result<Sample>;

    /// How many of these values stand in a column, which should be indexed. Values that the
    /// column's type cannot hold are an error.
    async fn count_known(
        &self,
        table: &TableName,
        column: &Column,
        values: &[String],
    ) -> Result<u64>;

    /// Counts the rows of an owned table whose parent along another edge belongs to somebody
    /// else: `columns` of `table` refer to `parent_columns` of the owned table `parent`.
    async fn count_crossing(
        &self,
        closure: &Closure,
        table: usize,
        columns: &[String],
        parent: usize,
        parent_columns: &[String],
    ) -> Result<u64>;

    /// Counts how rows of an owned table refer to rows that belong to nobody, by `columns`.
    async fn count_sharing(
        &self,
        closure: &Closure,
        table: usize,
        columns: &[String],
    ) -> Result<Sharing>;

    /// How the foreign keys with these referring columns, as far as they stand here, would be
    /// dropped and made again. Changes nothing.
    async fn key_removal(&self, columns: &[(TableName, Vec<String>)]) -> Result<KeyRemoval>;

    /// Drops these keys, all or none. Idempotent: keys that are gone already are no error, keys
    /// that are defined otherwise by now than they were listed are, and then nothing is dropped.
    /// Writers wait for at most half a second at a time.
    async fn remove_keys(&self, removal: &KeyRemoval) -> Result<()>;

    /// The statements that would make these tables, with their types, sequences, keys and
    /// indexes, in an empty database of the form's engine, in order.
    async fn schema_script(&self, tables: &[TableName]) -> Result<Vec<String>>;

    /// Runs such a script, all of it or none.
    async fn apply_schema(&self, script: &[String]) -> Result<()>;

    /// Puts the `domicile` schema, the journal and the fences in place, or brings them up to
    /// date. Idempotent; refuses while people are moving under a different closure.
    async fn install(&self, installation: &Installation) -> Result<()>;

    /// Whether what [`Site::install`] would put in place is in place, every fence enabled.
    async fn is_installed(&self, installation: &Installation) -> Result<bool>;

    /// Claims the site for one mover; a second process is refused with [`crate::Kind::Operator`].
    async fn claim(&self) -> Result<Box<dyn Claim>>;

    /// Everybody in the root table, ascending by the bytes of their key. The stream holds a
    /// snapshot until it ends, so it must be drained before an announcement.
    async fn people(&self, closure: &Closure) -> Result<PersonStream>;

    /// The journal: every entry, residents of earlier moves included; withdrawn ones left out.
    /// Empty where nothing is installed.
    async fn journal(&self) -> Result<Vec<JournalEntry>>;

    /// One person's entry, unless withdrawn, and their root row if it stands here.
    async fn look_up(
        &self,
        closure: &Closure,
        subject: &Subject,
    ) -> Result<(Option<JournalEntry>, Option<Person>)>;

    /// People with a tombstone here, with the home it names.
    async fn gone(&self, subjects: &[Subject]) -> Result<Vec<(Subject, SiteName)>>;

    /// What is directed about people here, ascending. Empty where nothing is installed.
    async fn directives(&self) -> Result<Vec<Directive>>;

    /// Directs one thing about a person and leaves the other as it is. Once a hold is accepted no
    /// call announces or decides the person here, and none erases another row of theirs; one that
    /// is doing so is waited for.
    async fn direct(&self, subject: &Subject, change: &Change) -> Result<()>;

    /// Scans for rows without their owner and digests the reference tables, by queries that use
    /// nothing the mover wrote down.
    async fn scan(&self, closure: &Closure) -> Result<Finding>;

    /// Reads at most so many rows of an owned table, whichever come first, in the form in which
    /// rows travel, and forgets them. Changes nothing; needs nothing installed.
    async fn read_rows(&self, table: &OwnedTable, rows_max: u32) -> Result<RowsRead>;

    /// Streams a reference table's rows.
    async fn export_reference(&self, table: &ReferenceName) -> Result<ByteStream<'static>>;

    /// Loads a reference table's rows into an empty table, all or none; returns how many.
    async fn import_reference(&self, table: &ReferenceName, rows: ByteStream<'_>) -> Result<u64>;

    /// Refusals the fences have given since they stand, where the engine can count them.
    async fn refusals(&self) -> Result<Option<u64>>;

    /// What was erased here behind each announcement, oldest first, with what the database gives
    /// evidence of. Writes down, for later looks, that nobody can still see the erased rows, once
    /// that is so; a VACUUM that is to count must begin after that. Empty where nothing is installed.
    async fn erasures(&self) -> Result<Vec<ErasedMove>>;

    /// Vacuums and analyzes the tables of people of which a tenth or more was erased, where the
    /// engine has that to do; each once after an erasure, when nobody can see the rows any more.
    /// Locks nobody out, and takes its time. Ends when dropped.
    async fn vacuum(&self) -> Result<Vacuumed> {
        Ok(Vacuumed::default())
    }

    /// Lowers the flag when nobody is moving or arriving, and drops tombstones older than `keep`.
    async fn rest(&self, keep: Duration) -> Result<()>;

    /// Opens the side that people leave, with connections of its own.
    async fn departure(&self, closure: Arc<Closure>) -> Result<Box<dyn Departure>>;

    /// Opens the side that people come to, with connections of its own.
    async fn arrival(&self, closure: Arc<Closure>) -> Result<Box<dyn Arrival>>;

    /// Opens what tells the site's load, where the engine can tell; what is moved there must be
    /// installed.
    async fn gauge(&self) -> Result<Option<Box<dyn Gauge>>> {
        Ok(None)
    }

    /// Opens what keeps reference tables equal, with a connection of its own.
    async fn reference(&self, closure: Arc<Closure>) -> Result<Box<dyn Reference>>;
}

/// The reference tables of one site: their changes are read at the one site where they are
/// written, and applied at every other.
#[async_trait]
pub trait Reference: Send {
    /// At the writing site: notes above `after`, at most `limit` of them, lowest first, with
    /// their rows, all read in one snapshot. A note of a lower number may be committed later.
    /// Empty where nothing is installed.
    async fn changes(&mut self, after: i64, limit: u32) -> Result<ReferenceChanges>;

    /// At the writing site: forgets exactly these notes, once every other site has the rows.
    async fn forget(&mut self, seqs: &[i64]) -> Result<()>;

    /// At the writing site: counts the notes, without their rows. Zero where nothing is installed.
    async fn standing(&mut self) -> Result<Standing>;

    /// At the writing site: writes down with each of these notes whether it was refused.
    async fn mark_refused(&mut self, notes: &[ReferenceNote]) -> Result<()>;

    /// At another site: makes the noted rows what the changes say, in one commit. A row that went
    /// but that rows here still refer to stays. A change that a constraint of this site forbids is
    /// left out, and nothing else for its sake.
    async fn apply(&mut self, changes: &ReferenceChanges) -> Result<Applied>;

    /// Those of the notes whose rows stand here and are referred to by rows here.
    async fn held(&mut self, notes: &[ReferenceNote]) -> Result<Vec<ReferenceNote>>;

    /// The rows that stand here under the notes' keys, for [`Arrival::bring`].
    async fn stand(&mut self, notes: &[ReferenceNote]) -> Result<ReferenceChanges>;

    /// Every row's key and digest, for finding out in which rows two sites differ.
    async fn digests(&mut self, table: usize) -> Result<BTreeMap<Vec<String>, [u8; 32]>>;
}

/// A reference table and its copied columns.
pub type ReferenceName = crate::closure::ReferenceTable;

/// The side of a site that people leave. One lane owns it; calls follow each other.
#[async_trait]
pub trait Departure: Send {
    /// Raises the flag and writes `moving` for these people, in one commit. People who already
    /// have an entry other than `resident` or `withdrawn`, or than this very announcement's, are
    /// left out of what it returns. The schema's fingerprint is stored with each.
    async fn announce(&mut self, announcement: &Announcement) -> Result<Vec<Subject>>;

    /// Starts waiting for the writers of before: everybody who may have passed the fences without
    /// seeing what is committed by now.
    async fn start_horizon(&mut self) -> Result<()>;

    /// Looks once whether they have ended. Passed needs two clean looks running; the caller
    /// paces the looks.
    async fn look_at_horizon(&mut self) -> Result<Horizon>;

    /// Opens a read-only snapshot and returns every note about these people that it sees.
    async fn open_snapshot(&mut self, subjects: &[Subject]) -> Result<Vec<Touched>>;

    /// Chooses what [`Departure::export`] and [`Departure::digests`] read from the snapshot.
    /// Returns the people of an [`Extent::People`] who have no root row in it, ascending.
    async fn select(&mut self, extent: &Extent) -> Result<Vec<Subject>>;

    /// Streams the chosen rows of one table.
    async fn export(&mut self, table: usize) -> Result<ByteStream<'_>>;

    /// Digests the chosen rows of every owned table, as [`Departure::export`] has read them or by
    /// another reading. Tables without rows may be left out.
    async fn digests(&mut self) -> Result<Vec<TableDigest>>;

    /// Ends the snapshot.
    async fn close_snapshot(&mut self) -> Result<()>;

    /// Forgets exactly these notes, after what they name has been committed at the target.
    async fn forget(&mut self, seqs: &[i64]) -> Result<()>;

    /// Decides these people, in one commit: each is locked, skipped when somebody else holds
    /// them, and becomes `moved` when nothing about them is touched and the schema is as it was
    /// announced. One outcome per person asked for.
    async fn decide(&mut self, move_id: MoveId, subjects: &[Subject]) -> Result<Vec<Decision>>;

    /// Makes new writers about this person wait until [`Departure::reopen`], a decision, or the
    /// end of this departure. `moving → closing`.
    async fn close(&mut self, move_id: MoveId, subject: &Subject) -> Result<()>;

    /// Lets the waiting writers go on: to the refusal when decided, else `closing → moving`.
    async fn reopen(&mut self, move_id: MoveId, subject: &Subject) -> Result<()>;

    /// Takes the announcement back for these people, by an update. Returns those withdrawn;
    /// decided people stay decided.
    async fn withdraw(&mut self, move_id: MoveId, subjects: &[Subject]) -> Result<Vec<Subject>>;

    /// Deletes at most about `limit` rows of these decided people, children first. Waits for nobody's
    /// row locks: what somebody holds is left, with everything above it. When nothing is left, replaces
    /// their entries by tombstones.
    async fn erase(&mut self, move_id: MoveId, subjects: &[Subject], limit: u64) -> Result<Erased>;
}

/// The side of a site that people come to. One lane owns it; calls follow each other.
#[async_trait]
pub trait Arrival: Send {
    /// Raises the flag and writes `arriving` for these people, in one commit; a tombstone of an
    /// earlier departure stands until they settle. People who stand here as anything but `withdrawn` under
    /// another move are left out of what it returns.
    async fn expect(&mut self, announcement: &Announcement) -> Result<Vec<Subject>>;

    /// As [`Departure::start_horizon`], at the target, before rows arrive.
    async fn start_horizon(&mut self) -> Result<()>;

    /// As [`Departure::look_at_horizon`].
    async fn look_at_horizon(&mut self) -> Result<Horizon>;

    /// Notes what has arrived here by now. Called before the source's snapshot is opened: what
    /// arrived before it was shipped from an older snapshot, what arrives later may come from a
    /// newer one. An old mark is always safe; without one nothing is replaced.
    async fn mark(&mut self) -> Result<()>;

    /// Opens the one transaction in which a batch arrives. Deletes what stands here of the extent
    /// as far as the people of the extent own it here, and are arriving under this announcement,
    /// and were copied by it before: anything else under their keys was not brought by this move,
    /// stays, and makes the import or the comparison fail.
    async fn begin(&mut self, announcement: &Announcement, extent: &Extent) -> Result<()>;

    /// Loads one table's rows; returns their number. A row that stands here under the same key is
    /// [`crate::Kind::Operator`], with one exception on [`Extent::Touched`]: if it belongs to
    /// somebody else who is arriving from the same source, it has passed between two people who
    /// move, and stands here under its former owner. It is replaced, with everything below it,
    /// when it was there at the mark; otherwise [`crate::Kind::RetryNow`], with a new mark and a
    /// new snapshot.
    async fn import(&mut self, table: usize, rows: ByteStream<'_>) -> Result<u64>;

    /// Digests what stands here of the extent, by its own reading.
    async fn digests(&mut self) -> Result<Vec<TableDigest>>;

    /// Rechecks the declared foreign keys of what has arrived; each violation is one sentence.
    async fn check(&mut self) -> Result<Vec<String>>;

    /// Puts those of these reference rows in place that rows here refer to and that are not here,
    /// in the open transaction: the writing site has deleted them, and they were kept where people
    /// refer to them. At the writing site itself they are noted like any new row. Returns how many.
    async fn bring(&mut self, kept: &ReferenceChanges) -> Result<u64>;

    /// Commits; on [`Extent::People`] the people are `copied` from now on.
    async fn commit(&mut self) -> Result<()>;

    /// Rolls back whatever is open. Safe at any time.
    async fn roll_back(&mut self) -> Result<()>;

    /// `arriving → resident`, for these people under this move only. The commit is durable.
    /// Returns those who are resident here by this move now, ascending; nobody else's rows at the
    /// source may be erased.
    async fn settle(&mut self, move_id: MoveId, subjects: &[Subject]) -> Result<Vec<Subject>>;

    /// After a withdrawal: deletes what this move has brought for these people, and their entries.
    async fn abandon(&mut self, move_id: MoveId, subjects: &[Subject]) -> Result<()>;
}
