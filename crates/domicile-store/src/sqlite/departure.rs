//! The side that people leave.
//!
//! # How writers are held
//!
//! SQLite has one writer at a time, so holding back the writers of one person means holding back
//! those of the whole database: [`Departure::close`] begins an IMMEDIATE transaction and leaves it
//! open. Writers wait in their own busy timeout and get no error as long as that is longer than
//! the last catch-up. Until the hold ends, snapshots are read, notes forgotten and people decided
//! on the connection that holds, inside its transaction. A decision commits it, and so does
//! reopening; when the departure ends first, SQLite rolls it back: the person is still `closing`
//! in the journal, the fences take that as `moving`, and the notes that were forgotten are there
//! again and are shipped a second time, which changes nothing.

use crate::closure::Closure;
use crate::error::{Error, Kind, Result};
use crate::site::{
    Announcement, ByteStream, Decision, Departure, Engine, Erased, Extent, Horizon, Outcome,
    TableDigest, Touched,
};
use crate::sql::idents;
use crate::sqlite::connection::{Doing, roll_back, writing};
use crate::sqlite::copy::{self, Keys, Told};
use crate::sqlite::decision;
use crate::sqlite::extent::Selection;
use crate::sqlite::hold::Hold;
use crate::sqlite::lane::{Lane, owned};
use crate::sqlite::{announcement, erase, horizon, journal, notes, stream};
use async_trait::async_trait;
use domicile_model::{MoveId, State, Subject};
use futures_util::StreamExt as _;
use rusqlite::Connection;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Which connection a snapshot is open on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Snapshot {
    None,
    /// The reader's own.
    Reader,
    /// Inside the transaction that holds the writers.
    Holder,
}

/// The side of an SQLite site that people leave.
pub(super) struct SqliteDeparture {
    writer: Lane,
    reader: Lane,
    snapshot: Snapshot,
    hold: Option<Hold>,
    looks: u32,
    keys: Keys,
}

impl SqliteDeparture {
    /// Opens it, with connections of its own.
    pub(super) async fn open(
        path: &Path,
        closure: Arc<Closure>,
        form: Engine,
    ) -> Result<SqliteDeparture> {
        Ok(SqliteDeparture {
            writer: Lane::open(path, Arc::clone(&closure), form).await?,
            reader: Lane::open(path, closure, form).await?,
            snapshot: Snapshot::None,
            hold: None,
            looks: 0,
            keys: Keys::default(),
        })
    }

    fn snapshot(&mut self) -> Result<&mut Lane> {
        match self.snapshot {
            Snapshot::Reader => Ok(&mut self.reader),
            Snapshot::Holder => Ok(&mut self.writer),
            Snapshot::None => Err(Error::new(Kind::Never, "no snapshot is open here")
                .hint("open one, choose what to read, then read it")),
        }
    }

    /// Runs a change: in a transaction of its own, or inside the one that holds the writers.
    async fn change<T: Send + 'static>(
        &mut self,
        doing: &'static str,
        work: impl FnOnce(&Connection, &mut Selection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let held = self.is_held().await?;
        self.writer
            .work(move |connection, selection| {
                if held {
                    decision::still_held(connection)?;
                    return work(connection, selection);
                }
                // A call that was given up may have left its transaction behind.
                roll_back(connection);
                writing(connection, doing, || work(connection, selection))
            })
            .await
    }

    /// Whether writers are held; an error when they were and have been let go meanwhile.
    async fn is_held(&mut self) -> Result<bool> {
        if self.hold.is_none() {
            return Ok(false);
        }
        if let Err(error) = self.writer.db.run(decision::still_held).await {
            self.forget_hold();
            return Err(error);
        }
        Ok(true)
    }

    fn refuse_while_held(&self, what: &str) -> Result<()> {
        match &self.hold {
            None => Ok(()),
            Some(hold) => Err(Error::new(
                Kind::Never,
                format!("{what} while the writers of {} people are held", hold.closed.len()),
            )
            .hint("decide them or reopen them first; what is done until then is not durable")),
        }
    }

    /// Commits the transaction that holds the writers. Those still closed are held again, if the
    /// lock is free; if it is not, nothing is wrong but that they are not held.
    async fn end_hold(&mut self, closed: BTreeSet<Subject>) -> Result<()> {
        self.forget_hold();
        self.writer.db.run(decision::commit).await?;
        if closed.is_empty() {
            return Ok(());
        }
        match Hold::begin(&self.writer.db, closed).await {
            Ok(hold) => self.hold = Some(hold),
            Err(error) => tracing::warn!(%error, "writers could not be held again"),
        }
        Ok(())
    }

    fn forget_hold(&mut self) {
        self.hold = None;
        if self.snapshot == Snapshot::Holder {
            self.snapshot = Snapshot::None;
        }
    }

    async fn decide_held(
        &mut self,
        since: Instant,
        move_id: MoveId,
        subjects: Vec<Subject>,
    ) -> Result<Vec<Decision>> {
        let judged = self
            .writer
            .work(move |connection, selection| {
                decision::still_held(connection)?;
                let judged = decision::judge(connection, selection.closure(), move_id, &subjects)?;
                let decided = decision::any_decided(&judged);
                if decided {
                    decision::commit(connection)?;
                }
                Ok((decision::took(judged, since.elapsed()), decided))
            })
            .await;
        let (decisions, decided) = match judged {
            Ok(judged) => judged,
            Err(error) => {
                let undone = self.writer.db.run(|connection| {
                    roll_back(connection);
                    Ok(())
                });
                undone.await?;
                self.forget_hold();
                return Err(error);
            }
        };
        if decided {
            let mut closed = self
                .hold
                .take()
                .map(|mut hold| std::mem::take(&mut hold.closed))
                .unwrap_or_default();
            let open = |d: &&Decision| matches!(d.outcome, Outcome::Decided(_) | Outcome::NotOurs);
            for decision in decisions.iter().filter(open) {
                closed.remove(&decision.subject);
            }
            self.end_hold(closed).await?;
        }
        Ok(decisions)
    }
}

#[async_trait]
impl Departure for SqliteDeparture {
    async fn announce(&mut self, announcement: &Announcement) -> Result<Vec<Subject>> {
        self.refuse_while_held("people cannot be announced")?;
        let told = announcement.clone();
        self.change("announcing people", move |connection, selection| {
            announcement::announce(connection, selection.closure(), &told)
        })
        .await
    }

    async fn start_horizon(&mut self) -> Result<()> {
        self.looks = 0;
        Ok(())
    }

    async fn look_at_horizon(&mut self) -> Result<Horizon> {
        if self.hold.is_some() {
            return Ok(Horizon::Passed);
        }
        horizon::look(&self.writer.db, &mut self.looks).await
    }

    async fn open_snapshot(&mut self, subjects: &[Subject]) -> Result<Vec<Touched>> {
        self.close_snapshot().await?;
        let held = self.is_held().await?;
        let subjects = subjects.to_vec();
        self.snapshot = if held { Snapshot::Holder } else { Snapshot::Reader };
        let opened = self
            .snapshot()?
            .work(move |connection, selection| {
                if !held {
                    // A snapshot begins with the first read, not with BEGIN.
                    let begin = "BEGIN; SELECT count(*) FROM domicile_site;";
                    connection.execute_batch(begin).doing("opening a snapshot")?;
                }
                notes::read(connection, &subjects, selection.affinities())
            })
            .await;
        let told = opened.and_then(|notes| self.keys.told(&self.reader.selection, notes));
        if told.is_err() {
            self.close_snapshot().await?;
        }
        told
    }

    async fn select(&mut self, extent: &Extent) -> Result<Vec<Subject>> {
        let extent = self.keys.own(extent);
        self.snapshot()?
            .work(move |connection, selection| {
                decision::still_held(connection)?;
                selection.choose(connection, &extent, "1")?;
                selection.vanished(connection)
            })
            .await
    }

    async fn export(&mut self, table: usize) -> Result<ByteStream<'_>> {
        let lane = self.snapshot()?;
        let owned = owned(lane.selection.closure(), table)?;
        let form = lane.selection.form();
        let Some(rows) = lane.selection.rows_once(table) else {
            if form == Engine::Postgres {
                return Ok(futures_util::stream::empty().boxed());
            }
            return stream::no_rows(owned.columns.len());
        };
        let sql = format!("SELECT {} FROM {rows}", idents("\"t\".", &owned.columns));
        let key: Vec<usize> =
            (0..owned.columns.len()).filter(|at| owned.key.contains(&owned.columns[*at])).collect();
        let (db, name) = (lane.db.clone(), owned.name.to_string());
        let told = Told::owned(owned);
        Ok(stream::from_thread(move |outlet| {
            db.with(|connection| {
                decision::still_held(connection)?;
                match form {
                    Engine::Sqlite => stream::give_rows(connection, &name, &sql, &key, outlet),
                    Engine::Postgres => copy::give_rows(connection, &told, &sql, outlet),
                }
            })
        }))
    }

    async fn digests(&mut self) -> Result<Vec<TableDigest>> {
        self.snapshot()?
            .work(|connection, selection| {
                decision::still_held(connection)?;
                selection.digests(connection)
            })
            .await
    }

    async fn close_snapshot(&mut self) -> Result<()> {
        let snapshot = std::mem::replace(&mut self.snapshot, Snapshot::None);
        if snapshot == Snapshot::Holder {
            return self.writer.work(|connection, selection| selection.clear(connection)).await;
        }
        self.reader
            .work(|connection, selection| {
                roll_back(connection);
                selection.clear(connection)
            })
            .await
    }

    async fn forget(&mut self, seqs: &[i64]) -> Result<()> {
        let seqs = seqs.to_vec();
        self.change("forgetting notes", move |connection, _| {
            let doing = "forgetting notes";
            let sql = "DELETE FROM domicile_touched WHERE seq = ?1";
            let mut statement = connection.prepare_cached(sql).doing(doing)?;
            for seq in seqs {
                statement.execute([seq]).doing(doing)?;
            }
            Ok(())
        })
        .await
    }

    async fn decide(&mut self, move_id: MoveId, subjects: &[Subject]) -> Result<Vec<Decision>> {
        let subjects = journal::ascending(subjects);
        self.is_held().await?;
        if let Some(since) = self.hold.as_ref().map(|hold| hold.since) {
            return self.decide_held(since, move_id, subjects).await;
        }
        self.writer
            .work(move |connection, selection| {
                decision::decide(connection, selection.closure(), move_id, &subjects)
            })
            .await
    }

    async fn close(&mut self, move_id: MoveId, subject: &Subject) -> Result<()> {
        let closing = subject.clone();
        let closed = self
            .change("closing a person", move |connection, _| {
                journal::step(connection, &closing, move_id, &[State::Moving], State::Closing)?;
                let entry = journal::entry(connection, &closing)?;
                Ok(entry.is_some_and(|e| e.state == State::Closing && e.move_id == move_id))
            })
            .await?;
        if !closed {
            return Ok(());
        }
        match &mut self.hold {
            Some(hold) => {
                hold.closed.insert(subject.clone());
            }
            None => {
                let closed = BTreeSet::from([subject.clone()]);
                self.hold = Some(Hold::begin(&self.writer.db, closed).await?);
            }
        }
        Ok(())
    }

    async fn reopen(&mut self, move_id: MoveId, subject: &Subject) -> Result<()> {
        let reopened = subject.clone();
        self.change("reopening a person", move |connection, _| {
            journal::step(connection, &reopened, move_id, &[State::Closing], State::Moving)
        })
        .await?;
        if let Some(hold) = &mut self.hold
            && hold.closed.remove(subject)
            && hold.closed.is_empty()
        {
            self.end_hold(BTreeSet::new()).await?;
        }
        Ok(())
    }

    async fn withdraw(&mut self, move_id: MoveId, subjects: &[Subject]) -> Result<Vec<Subject>> {
        let subjects = journal::ascending(subjects);
        let withdrawn = self
            .change("withdrawing people", move |connection, _| {
                announcement::withdraw(connection, move_id, subjects)
            })
            .await?;
        if let Some(hold) = &mut self.hold {
            let mut closed = std::mem::take(&mut hold.closed);
            closed.retain(|subject| !withdrawn.contains(subject));
            self.end_hold(closed).await?;
        }
        Ok(withdrawn)
    }

    async fn erase(&mut self, move_id: MoveId, subjects: &[Subject], limit: u64) -> Result<Erased> {
        self.refuse_while_held("nothing can be erased")?;
        let subjects = journal::ascending(subjects);
        self.change("erasing behind a move", move |connection, selection| {
            erase::erase(connection, selection, move_id, &subjects, limit)
        })
        .await
    }
}
