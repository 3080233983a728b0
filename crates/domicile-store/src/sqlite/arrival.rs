//! The side that people come to.
//!
//! A batch is one IMMEDIATE transaction, so the applications at this site wait with their writes
//! while a batch arrives: batches must be small enough for their busy timeouts.

use crate::closure::Closure;
use crate::error::{Error, Kind, Result};
use crate::site::{
    Announcement, Arrival, ByteStream, Engine, Extent, Horizon, ReferenceChanges, TableDigest,
};
use crate::sqlite::connection::{Doing, roll_back, writing};
use crate::sqlite::decision::still_held;
use crate::sqlite::extent::{BATCH, Selection};
use crate::sqlite::lane::{Lane, owned};
use crate::sqlite::load::{Loader, feed};
use crate::sqlite::{crossing, horizon, integrity, journal, reference, shared};
use async_trait::async_trait;
use domicile_model::{MoveId, State, Subject};
use rusqlite::Connection;
use std::path::Path;
use std::sync::Arc;

/// The batch that is arriving.
struct Batch {
    announcement: Announcement,
    extent: Extent,
    /// A load failed half-way; only a rollback is left.
    broken: bool,
}

/// The side of an SQLite site that people come to.
pub(super) struct SqliteArrival {
    lane: Lane,
    batch: Option<Batch>,
    looks: u32,
    /// The number of the last batch that had arrived here when the mark was set.
    mark: Option<i64>,
    /// The numbers of this lane's own batches since.
    own: Vec<i64>,
}

impl SqliteArrival {
    /// Opens it, with a connection of its own.
    pub(super) async fn open(
        path: &Path,
        closure: Arc<Closure>,
        form: Engine,
    ) -> Result<SqliteArrival> {
        Ok(SqliteArrival {
            lane: Lane::open(path, closure, form).await?,
            batch: None,
            looks: 0,
            mark: None,
            own: Vec::new(),
        })
    }

    fn batch(&mut self) -> Result<&mut Batch> {
        match &mut self.batch {
            Some(batch) if !batch.broken => Ok(batch),
            Some(_) => Err(Error::new(Kind::Never, "the batch failed half-way")
                .hint("roll it back and begin again")),
            None => Err(Error::new(Kind::Never, "no batch is open here").hint("begin one first")),
        }
    }

    /// Runs a change of its own, outside any batch.
    async fn change<T: Send + 'static>(
        &mut self,
        doing: &'static str,
        work: impl FnOnce(&Connection, &mut Selection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        if self.batch.is_some() {
            return Err(Error::new(Kind::Never, format!("a batch is open while {doing}"))
                .hint("commit it or roll it back first"));
        }
        self.lane
            .work(move |connection, selection| {
                roll_back(connection);
                writing(connection, doing, || work(connection, selection))
            })
            .await
    }

    /// Reads the extent as it stands here now: what notes name may stand elsewhere than before
    /// the batch was loaded.
    async fn read<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&Connection, &Selection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let touched = matches!(self.batch()?.extent, Extent::Touched(_));
        self.lane
            .work(move |connection, selection| {
                still_held(connection)?;
                if touched {
                    selection.pick(connection)?;
                }
                work(connection, selection)
            })
            .await
    }
}

/// Whose rows were committed here by this move: what stands under anybody else's key was not
/// brought by it.
const BROUGHT: &str = "subject IN (SELECT subject FROM domicile_subject WHERE copied = 1)";

/// Whose rows may be written here under this announcement.
fn arriving(announcement: &Announcement) -> String {
    format!(
        "subject IN (SELECT subject FROM domicile_subject
           WHERE state = 'arriving' AND move_id = {} AND peer = {})",
        announcement.move_id.0,
        crate::sql::literal(announcement.peer.as_str())
    )
}

#[async_trait]
impl Arrival for SqliteArrival {
    async fn expect(&mut self, announcement: &Announcement) -> Result<Vec<Subject>> {
        let announcement = announcement.clone();
        self.change("expecting people", move |connection, selection| {
            forget_stale_residents(connection, selection, &announcement.subjects)?;
            expect(connection, &announcement)
        })
        .await
    }

    async fn start_horizon(&mut self) -> Result<()> {
        self.looks = 0;
        Ok(())
    }

    async fn look_at_horizon(&mut self) -> Result<Horizon> {
        if self.batch.is_some() {
            return Err(Error::new(Kind::Never, "a batch is open while waiting for writers")
                .hint("commit it or roll it back first"));
        }
        horizon::look(&self.lane.db, &mut self.looks).await
    }

    async fn mark(&mut self) -> Result<()> {
        self.mark = Some(self.lane.work(|connection, _| journal::arrivals(connection)).await?);
        self.own.clear();
        Ok(())
    }

    async fn begin(&mut self, announcement: &Announcement, extent: &Extent) -> Result<()> {
        self.roll_back().await?;
        let (eligible, chosen) = (arriving(announcement), extent.clone());
        self.lane
            .work(move |connection, selection| {
                connection.execute_batch("BEGIN IMMEDIATE").doing("beginning a batch")?;
                let brought = format!("{eligible} AND {BROUGHT}");
                let cleared = selection
                    .choose(connection, &chosen, &brought)
                    .and_then(|()| shared::loosen(connection, selection))
                    .and_then(|()| selection.delete(connection))
                    .and_then(|_| selection.choose(connection, &chosen, &eligible));
                if cleared.is_err() {
                    roll_back(connection);
                }
                cleared.map(drop)
            })
            .await?;
        let (announcement, extent) = (announcement.clone(), extent.clone());
        self.batch = Some(Batch { announcement, extent, broken: false });
        Ok(())
    }

    async fn import(&mut self, table: usize, rows: ByteStream<'_>) -> Result<u64> {
        if self.lane.selection.form() != Engine::Sqlite {
            return Err(crossing::refuse("rows do not arrive"));
        }
        let batch = self.batch()?;
        // Until the load has ended well, whatever ends it early leaves a batch that is broken.
        batch.broken = true;
        let peer = batch.announcement.peer.clone();
        let columns = owned(self.lane.selection.closure(), table)?.columns.len();
        let (db, selection) = (self.lane.db.clone(), self.lane.selection.clone());
        let since = shared::Since { peer, mark: self.mark, own: self.own.clone() };
        let loaded = feed(rows, columns, move |inlet| {
            db.with(|connection| {
                still_held(connection)?;
                load(connection, selection, since, table, inlet)
            })
        })
        .await?;
        if let Some(batch) = &mut self.batch {
            batch.broken = false;
        }
        Ok(loaded)
    }

    async fn digests(&mut self) -> Result<Vec<TableDigest>> {
        self.read(|connection, selection| selection.digests(connection)).await
    }

    async fn check(&mut self) -> Result<Vec<String>> {
        self.read(integrity::violations).await
    }

    async fn bring(&mut self, kept: &ReferenceChanges) -> Result<u64> {
        self.batch()?;
        let (closure, kept) = (Arc::clone(self.lane.selection.closure()), kept.clone());
        self.read(move |connection, _| reference::bring(connection, closure, &kept)).await
    }

    async fn commit(&mut self) -> Result<()> {
        let batch = self.batch()?;
        let (shipped, copied) = match &batch.extent {
            Extent::People(subjects) => (subjects.clone(), true),
            Extent::Touched(notes) => (notes.iter().map(|n| n.subject.clone()).collect(), false),
        };
        let shipped = journal::ascending(&shipped);
        let eligible = arriving(&batch.announcement);
        let closure = Arc::clone(self.lane.selection.closure());
        let count = self
            .lane
            .work(move |connection, _| {
                let doing = "committing a batch";
                still_held(connection)?;
                let count = journal::count_arrival(connection)?;
                let sql = format!(
                    "UPDATE domicile_subject SET copied = max(copied, ?2), shipped = ?3
                     WHERE subject = ?1 AND {eligible}"
                );
                let mut statement = connection.prepare(&sql).doing(doing)?;
                for subject in &shipped {
                    statement.execute((subject.as_str(), copied, count)).doing(doing)?;
                }
                shared::sweep_brought(connection, &closure)?;
                connection.execute_batch("COMMIT").doing(doing)?;
                Ok(count)
            })
            .await?;
        self.own.push(count);
        self.batch = None;
        Ok(())
    }

    async fn roll_back(&mut self) -> Result<()> {
        self.batch = None;
        self.lane
            .work(|connection, selection| {
                roll_back(connection);
                selection.clear(connection)
            })
            .await
    }

    async fn settle(&mut self, move_id: MoveId, subjects: &[Subject]) -> Result<Vec<Subject>> {
        let subjects = journal::ascending(subjects);
        self.change("settling people", move |connection, _| {
            let sql = "DELETE FROM domicile_gone WHERE subject = ?1 AND suspended = 1";
            let mut settled = Vec::new();
            for subject in subjects {
                let from = [State::Arriving];
                if journal::step(connection, &subject, move_id, &from, State::Resident)? {
                    connection.execute(sql, [subject.as_str()]).doing("settling people")?;
                    let rows = "DELETE FROM domicile_gone_row WHERE subject = ?1";
                    connection.execute(rows, [subject.as_str()]).doing("settling people")?;
                }
                let entry = journal::entry(connection, &subject)?;
                let is_here = |e: crate::site::JournalEntry| {
                    e.state == State::Resident && e.move_id == move_id
                };
                if entry.is_some_and(is_here) {
                    settled.push(subject);
                }
            }
            Ok(settled)
        })
        .await
    }

    async fn abandon(&mut self, move_id: MoveId, subjects: &[Subject]) -> Result<()> {
        let subjects = journal::ascending(subjects);
        self.change("abandoning an arrival", move |connection, selection| {
            abandon(connection, selection, move_id, &subjects)
        })
        .await
    }
}

fn load(
    connection: &Connection,
    selection: Selection,
    since: shared::Since,
    table: usize,
    inlet: crate::sqlite::load::Inlet,
) -> Result<u64> {
    let closure: Arc<Closure> = Arc::clone(selection.closure());
    if let Some(shared) = closure.shared_at(table) {
        let batch = journal::arrivals(connection)? + 1;
        let mut putter = shared::Putter::new(connection, &closure, shared, (since, batch))?;
        return inlet.each(|row| putter.put(&row));
    }
    let owned = owned(&closure, table)?;
    let mut loader = Loader::new(connection, &owned.name, &owned.columns)?;
    let mut stale = integrity::Stale::new(connection, selection, (since.peer, since.mark), table);
    inlet.each(|row| loader.insert_or(&row, |error| stale.make_way(&row, error)))
}

/// Drops the entries of those who came here by a move and have no row in the root table any more:
/// they have left the platform, and whoever has the key now is somebody new.
fn forget_stale_residents(
    connection: &Connection,
    selection: &mut Selection,
    subjects: &[Subject],
) -> Result<()> {
    let resident = "subject IN (SELECT subject FROM domicile_subject WHERE state = 'resident')";
    selection.choose_people(connection, subjects, resident)?;
    let Some(rows) = selection.rows(0) else { return Ok(()) };
    let sql = format!(
        "DELETE FROM domicile_subject WHERE subject IN (SELECT subject FROM {BATCH}) \
         AND subject NOT IN (SELECT \"b\".subject FROM {rows})"
    );
    connection.execute(&sql, []).doing("expecting people")?;
    selection.clear(connection)
}

fn expect(connection: &Connection, announcement: &Announcement) -> Result<Vec<Subject>> {
    let doing = "expecting people";
    let sql = format!(
        "INSERT INTO domicile_subject (subject, state, fenced, move_id, peer, announced_at)
         VALUES (?1, 'arriving', 1, ?2, ?3, {now})
         ON CONFLICT (subject) DO UPDATE SET state = 'arriving', fenced = 1,
           move_id = excluded.move_id, peer = excluded.peer, copied = 0, erased = 0,
           fingerprint = NULL, announced_at = excluded.announced_at, decided_at = NULL
         WHERE state = 'withdrawn'",
        now = journal::NOW
    );
    let mut statement = connection.prepare_cached(&sql).doing(doing)?;
    let suspend = "UPDATE domicile_gone SET suspended = 1 WHERE subject = ?1";
    let mut expected = Vec::new();
    for subject in journal::ascending(&announcement.subjects) {
        let line = (subject.as_str(), announcement.move_id.0, announcement.peer.as_str());
        if statement.execute(line).doing(doing)? == 1 {
            connection.execute(suspend, [subject.as_str()]).doing(doing)?;
            expected.push(subject);
        } else {
            let entry = journal::entry(connection, &subject)?;
            let same = |entry: crate::site::JournalEntry| {
                entry.state == State::Arriving
                    && entry.move_id == announcement.move_id
                    && entry.peer == announcement.peer
            };
            if entry.is_some_and(same) {
                expected.push(subject);
            }
        }
    }
    Ok(expected)
}

/// Deletes what has arrived, and the entries. A tombstone that stood here before stands again: the
/// person has stayed where it says.
fn abandon(
    connection: &Connection,
    selection: &mut Selection,
    move_id: MoveId,
    subjects: &[Subject],
) -> Result<()> {
    let doing = "abandoning an arrival";
    let arriving = format!(
        "subject IN (SELECT subject FROM domicile_subject
           WHERE state = 'arriving' AND move_id = {})",
        move_id.0
    );
    selection.choose_people(connection, subjects, &format!("{arriving} AND {BROUGHT}"))?;
    shared::loosen(connection, selection)?;
    selection.delete(connection)?;
    shared::sweep_brought(connection, selection.closure())?;
    selection.choose_people(connection, subjects, &arriving)?;
    let batch = crate::sqlite::extent::BATCH;
    let stand = format!(
        "UPDATE domicile_gone SET suspended = 0,
           home = (SELECT peer FROM domicile_subject AS s WHERE s.subject = domicile_gone.subject)
         WHERE suspended = 1 AND subject IN (SELECT subject FROM {batch})"
    );
    connection.execute(&stand, []).doing(doing)?;
    let remove =
        format!("DELETE FROM domicile_subject WHERE subject IN (SELECT subject FROM {batch})");
    connection.execute(&remove, []).doing(doing)?;
    selection.clear(connection)
}
