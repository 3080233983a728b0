//! The side of a PostgreSQL site that people come to.

mod earlier;

use super::client::Parameter;
use super::departure::subjects_of;
use super::digest::Types;
use super::erase;
use super::extent::{self, Chosen};
use super::horizon::Wait;
use super::planner;
use super::reference;
use super::session::{FLAG, LOCKS, Session, Sessions};
use super::shared;
use super::tables;
use super::text::{copy_format, subject_parts};
use crate::closure::Closure;
use crate::error::{Error, Kind, Result};
use crate::site::{
    Announcement, Arrival, ByteStream, Extent, Horizon, ReferenceChanges, TableDigest,
};
use crate::sql::{ident, idents};
use async_trait::async_trait;
use domicile_model::{MoveId, Subject};
use futures_util::{StreamExt as _, TryFutureExt as _, future};
use std::collections::BTreeMap;
use std::sync::Arc;

/// One session; the open transaction is a batch's arrival.
pub(super) struct PostgresArrival {
    session: Session,
    closure: Arc<Closure>,
    wait: Option<Wait>,
    open: Option<(Announcement, Extent)>,
    chosen: Chosen,
    types: Types,
    /// Whether rows have come or gone since the choice.
    is_stale: bool,
    /// What was found together with digests, until rows come.
    unmet: Option<Vec<String>>,
    /// What had arrived when the mark was set, as a snapshot of this site.
    mark: String,
    putting: shared::Putting,
}

/// A snapshot that sees nothing.
const NO_MARK: &str = "3:3:";

impl PostgresArrival {
    pub(super) async fn open(sessions: &Sessions, closure: Arc<Closure>) -> Result<Self> {
        let mut session = sessions.open().await?;
        session.has_indexes = planner::has_indexes(&session, &closure).await?;
        extent::create_tables(&session, &closure).await?;
        extent::create_stages(&session, &closure).await?;
        erase::create_tables(&session, &closure).await?;
        let putting = shared::Putting::new(&session, &closure).await?;
        Ok(PostgresArrival {
            session,
            putting,
            closure,
            wait: None,
            open: None,
            chosen: Chosen::People,
            types: Types::default(),
            is_stale: false,
            unmet: None,
            mark: NO_MARK.to_owned(),
        })
    }

    fn failed(&self, error: tokio_postgres::Error) -> Error {
        self.session.failed(error)
    }

    /// Begins a transaction in which what stands of an extent from before is chosen and gone.
    async fn make_room(&self, move_id: MoveId, extent: &Extent) -> Result<Chosen> {
        let (session, closure) = (&self.session, &self.closure);
        let beginning = tables::beginning(closure);
        let begin = session.batch(&beginning);
        match extent {
            Extent::People(subjects) => {
                let ((), copied) = future::try_join(begin, self.copied(move_id, subjects)).await?;
                self.clear_people(&copied).await?;
                extent::choose_people(session, closure, subjects).await?;
                Ok(Chosen::People)
            }
            Extent::Touched(touched) => {
                let choose = extent::choose_rows(session, closure, touched);
                if let Some(foreseen) = Chosen::foreseen(closure, touched) {
                    let delete = extent::delete_chosen(session, closure, &foreseen);
                    return Ok(future::try_join3(begin, choose, delete).await?.1);
                }
                let ((), chosen) = future::try_join(begin, choose).await?;
                erase::keep_referred(session, closure, &chosen).await?;
                shared::loosen_brought(session, closure, &chosen).await?;
                extent::delete_chosen(session, closure, &chosen).await?;
                Ok(chosen)
            }
        }
    }

    /// What notes name may stand elsewhere than before rows were loaded.
    async fn choose_again(&mut self) -> Result<()> {
        if let Extent::Touched(touched) = self.opened()?
            && self.is_stale
        {
            self.chosen = extent::choose_rows(&self.session, &self.closure, touched).await?;
            self.is_stale = false;
        }
        Ok(())
    }

    /// What must not be committed: rows without those they refer to, one sentence for each kind.
    async fn find_unmet(&self, chosen: &Chosen) -> Result<Vec<String>> {
        let unmet = erase::unmet(&self.session, &self.closure, chosen);
        // What was deleted and has not come again must not be missed by anybody at home here.
        let dangling = erase::dangling(&self.session, &self.closure);
        let (mut found, dangling) = future::try_join(unmet, dangling).await?;
        found.extend(dangling);
        Ok(found)
    }

    /// The extent of the open arrival.
    fn opened(&self) -> Result<&Extent> {
        match &self.open {
            Some((_, extent)) => Ok(extent),
            None => Err(Error::new(Kind::Never, "no arrival is open")),
        }
    }
}

#[async_trait]
impl Arrival for PostgresArrival {
    async fn expect(&mut self, announcement: &Announcement) -> Result<Vec<Subject>> {
        let names: Vec<&str> = announcement.subjects.iter().map(Subject::as_str).collect();
        // Somebody who came here by a move and is no longer here has left an entry behind.
        let table = self.closure.root();
        let root = table.name.sql();
        let same: Vec<String> = table
            .key
            .iter()
            .zip(subject_parts("s", table))
            .map(|(column, part)| format!("t0.{} = {part}", ident(column)))
            .collect();
        let same = same.join(" AND ");
        let statement = format!(
            "INSERT INTO domicile.subject AS s (subject, state, fenced, move_id, peer) \
             SELECT u, 'arriving', true, $1, $2 \
             FROM pg_catalog.unnest($3::text[]) AS u ORDER BY u COLLATE \"C\" \
             ON CONFLICT (subject) DO UPDATE SET state = 'arriving', fenced = true, \
                 move_id = excluded.move_id, peer = excluded.peer, copied = false, \
                 fingerprint = NULL, announced_at = excluded.announced_at, decided_at = NULL \
             WHERE s.state = 'withdrawn' OR (s.state = 'resident' AND NOT EXISTS \
                 (SELECT 1 FROM {root} AS t0 WHERE {same})) \
             RETURNING s.subject"
        );
        let client = &self.session.client;
        let peer = announcement.peer.as_str();
        let values: [&dyn Parameter; 3] = [&announcement.move_id.0, &peer, &names];
        let ours: [&dyn Parameter; 2] = [&names, &announcement.move_id.0];
        let flag: [&dyn Parameter; 2] = [&LOCKS, &FLAG];
        // In this order and in one trip; after an error the server takes COMMIT for ROLLBACK.
        let taken = future::try_join5(
            client.batch_execute("BEGIN"),
            client.execute("SELECT pg_catalog.pg_advisory_xact_lock_shared($1, $2)", &flag),
            client.execute("SELECT pg_catalog.setval('domicile.flag', 1, true)", &[]),
            client.query(&statement, &values),
            // Told twice: those who are arriving under this move already are arriving.
            client.query(
                "SELECT s.subject FROM domicile.subject s WHERE s.subject = ANY ($1) \
                 AND s.state = 'arriving' AND s.move_id = $2",
                &ours,
            ),
        );
        let taken = future::try_join(taken, client.batch_execute("COMMIT"));
        match taken.await {
            Ok(((_, _, _, rows, again), ())) => {
                let mut expected = subjects_of(&rows);
                expected.extend(subjects_of(&again));
                expected.sort();
                expected.dedup();
                Ok(expected)
            }
            Err(error) => {
                let error = self.failed(error);
                self.roll_back().await?;
                Err(error)
            }
        }
    }

    async fn start_horizon(&mut self) -> Result<()> {
        self.wait = Some(Wait::start(&self.session, 1).await?);
        Ok(())
    }

    async fn look_at_horizon(&mut self) -> Result<Horizon> {
        match &mut self.wait {
            Some(wait) => wait.look(&self.session).await,
            None => Err(Error::new(Kind::Never, "no horizon was started")),
        }
    }

    async fn mark(&mut self) -> Result<()> {
        self.mark = self.snapshot().await?;
        self.putting.marked();
        Ok(())
    }

    async fn begin(&mut self, announcement: &Announcement, extent: &Extent) -> Result<()> {
        self.open = Some((announcement.clone(), extent.clone()));
        (self.is_stale, self.unmet) = (true, None);
        match self.make_room(announcement.move_id, extent).await {
            Ok(chosen) => {
                self.chosen = chosen;
                Ok(())
            }
            Err(error) => {
                if error.kind() == Kind::RetryNow {
                    self.roll_back().await?;
                    tables::wait(&self.session, &self.closure).await?;
                }
                Err(error)
            }
        }
    }

    async fn import(&mut self, table: usize, mut rows: ByteStream<'_>) -> Result<u64> {
        let owned = self.closure.at(table);
        (self.is_stale, self.unmet) = (true, None);
        let is_shared = self.closure.shared_at(table).is_some();
        let is_staged = is_shared || matches!(self.opened()?, Extent::Touched(_));
        // A table without chosen rows sends nothing, not even a header.
        let Some(first) = rows.next().await else { return Ok(0) };
        let stage = format!("pg_temp.domicile_stage_{table}");
        let statement = format!(
            "COPY {} ({}) FROM STDIN (FORMAT {})",
            if is_staged { stage.clone() } else { owned.name.sql() },
            idents("", &owned.columns),
            copy_format(&owned.user_types),
        );
        let mut sink = self.session.client.copy_in(&statement).await.map_err(|e| self.failed(e))?;
        sink.feed(first?).await.map_err(|e| self.failed(e))?;
        while let Some(piece) = rows.next().await {
            sink.feed(piece?).await.map_err(|e| self.failed(e))?;
        }
        let count = sink.finish().await.map_err(|e| self.failed(e))?;
        if is_shared && count > 0 {
            let Some((announcement, _)) = &self.open else { return Ok(0) };
            let since = (announcement.peer.as_str(), self.mark.as_str());
            shared::put(&self.session, &self.closure, table, &mut self.putting, since).await?;
        } else if is_staged && count > 0 {
            self.replace(table, &stage).await?;
        }
        Ok(count)
    }

    async fn digests(&mut self) -> Result<Vec<TableDigest>> {
        let mut types = std::mem::take(&mut self.types);
        let (session, closure) = (&self.session, &self.closure);
        // Whoever asks for digests asks for what is unmet next, and the target may be far away.
        let (digests, unmet) = match self.opened()? {
            Extent::Touched(touched)
                if self.is_stale
                    && let Some(foreseen) = Chosen::foreseen(closure, touched) =>
            {
                let choose = extent::choose_rows(session, closure, touched);
                let digests =
                    extent::digests(session, closure, &foreseen, &mut types, BTreeMap::new());
                let unmet = self.find_unmet(&foreseen);
                let (chosen, digests, unmet) = future::try_join3(choose, digests, unmet).await?;
                (self.chosen, self.is_stale) = (chosen, false);
                (digests, unmet)
            }
            _ => {
                self.choose_again().await?;
                let (session, closure) = (&self.session, &self.closure);
                let digests =
                    extent::digests(session, closure, &self.chosen, &mut types, BTreeMap::new());
                future::try_join(digests, self.find_unmet(&self.chosen)).await?
            }
        };
        self.types = types;
        self.unmet = Some(unmet);
        Ok(digests)
    }

    async fn check(&mut self) -> Result<Vec<String>> {
        if let Some(unmet) = self.unmet.take() {
            return Ok(unmet);
        }
        self.choose_again().await?;
        self.find_unmet(&self.chosen).await
    }

    async fn bring(&mut self, kept: &ReferenceChanges) -> Result<u64> {
        self.opened()?;
        self.unmet = None;
        reference::bring(&self.session, &self.closure, kept).await
    }

    async fn commit(&mut self) -> Result<()> {
        let Some((announcement, extent)) = self.open.take() else {
            return Err(Error::new(Kind::Never, "no arrival is open"));
        };
        let (names, is_copied): (Vec<&str>, bool) = match &extent {
            Extent::People(subjects) => (subjects.iter().map(Subject::as_str).collect(), true),
            Extent::Touched(notes) => (notes.iter().map(|n| n.subject.as_str()).collect(), false),
        };
        let parameters: [&dyn Parameter; 3] = [&names, &announcement.move_id.0, &is_copied];
        let shipped = self.session.client.execute(
            "UPDATE domicile.subject s SET copied = s.copied OR $3, \
             shipped = pg_catalog.pg_current_xact_id() WHERE s.subject = ANY ($1) \
             AND s.move_id = $2 AND s.state = 'arriving'",
            &parameters,
        );
        let shipped = shipped.map_err(|e| self.failed(e));
        let swept = shared::sweep(&self.session, &self.closure);
        // After an error the server takes COMMIT for ROLLBACK.
        future::try_join3(shipped, swept, self.session.batch("COMMIT")).await?;
        Ok(())
    }

    async fn roll_back(&mut self) -> Result<()> {
        self.open = None;
        self.session.batch("ROLLBACK").await
    }

    async fn settle(&mut self, move_id: MoveId, subjects: &[Subject]) -> Result<Vec<Subject>> {
        settle(&self.session, move_id, subjects).await
    }

    async fn abandon(&mut self, move_id: MoveId, subjects: &[Subject]) -> Result<()> {
        tables::begin(&self.session, &self.closure).await?;
        let run = async {
            self.mark = self.snapshot().await?;
            self.clear_people(&self.copied(move_id, subjects).await?).await?;
            if let Some(dangling) = erase::dangling(&self.session, &self.closure).await?.pop() {
                return Err(Error::new(Kind::Operator, dangling)
                    .hint("remove the rows that refer to them, then run migrate again"));
            }
            let names: Vec<&str> = subjects.iter().map(Subject::as_str).collect();
            self.session
                .client
                .execute(
                    "DELETE FROM domicile.subject s WHERE s.subject = ANY ($1) \
                     AND s.move_id = $2 AND s.state = 'arriving'",
                    &[&names, &move_id.0],
                )
                .await
                .map_err(|e| self.failed(e))?;
            shared::sweep(&self.session, &self.closure).await?;
            self.session.batch("COMMIT").await
        };
        let done = run.await;
        if done.is_err() {
            self.roll_back().await?;
        }
        done
    }
}

/// Makes people residents; gives those who are, also those who were before.
pub(super) async fn settle(
    session: &Session,
    move_id: MoveId,
    subjects: &[Subject],
) -> Result<Vec<Subject>> {
    let names: Vec<&str> = subjects.iter().map(Subject::as_str).collect();
    let rows = session
        .client
        .query(
            "WITH ours AS (SELECT s.subject, s.state FROM domicile.subject s \
                 WHERE s.subject = ANY ($1) AND s.move_id = $2 \
                 AND s.state IN ('arriving', 'resident') \
                 ORDER BY s.subject FOR NO KEY UPDATE), \
             back AS (DELETE FROM domicile.gone g USING ours WHERE g.subject = ours.subject \
                 AND ours.state = 'arriving'), \
             settled AS (UPDATE domicile.subject s SET state = 'resident', fenced = false \
                 FROM ours WHERE s.subject = ours.subject AND ours.state = 'arriving') \
             SELECT ours.subject FROM ours",
            &[&names, &move_id.0],
        )
        .await
        .map_err(|e| session.failed(e))?;
    Ok(subjects_of(&rows))
}
