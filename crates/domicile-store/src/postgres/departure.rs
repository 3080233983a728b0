//! The side of a PostgreSQL site that people leave.

use super::client::Parameter;
use super::columns;
use super::digest::{self, Passed, Types};
use super::erase::{self, Held};
use super::extent::{self, Chosen};
use super::horizon::Wait;
use super::planner;
use super::session::{CLOSING, FLAG, LOCKS, Session, Sessions};
use super::tables;
use super::text::copy_format;
use crate::closure::Closure;
use crate::error::{Error, Kind, Result};
use crate::site::{
    Announcement, ByteStream, Decision, Departure, Erased, Extent, Horizon, Outcome, TableDigest,
    Touched,
};
use crate::sql::idents;
use async_trait::async_trait;
use domicile_model::{MoveId, Subject};
use futures_util::{StreamExt as _, future, stream};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// Two sessions: one writes the journal, one holds the snapshot.
pub(super) struct PostgresDeparture {
    writer: Session,
    reader: Session,
    closure: Arc<Closure>,
    wait: Option<Wait>,
    chosen: Chosen,
    types: Types,
    /// What has been exported since the choice.
    passed: Passed,
}

impl PostgresDeparture {
    pub(super) async fn open(sessions: &Sessions, closure: Arc<Closure>) -> Result<Self> {
        let mut writer = sessions.open().await?;
        let mut reader = sessions.open().await?;
        // A mover that freezes under a lock must not hold the application up for long.
        writer.batch("SET idle_in_transaction_session_timeout = '1s'").await?;
        for session in [&mut reader, &mut writer] {
            session.has_indexes = planner::has_indexes(session, &closure).await?;
            extent::create_tables(session, &closure).await?;
        }
        erase::create_tables(&writer, &closure).await?;
        Ok(PostgresDeparture {
            writer,
            reader,
            closure,
            wait: None,
            chosen: Chosen::People,
            types: Types::default(),
            passed: Passed::default(),
        })
    }

    fn failed(&self, error: tokio_postgres::Error) -> Error {
        self.writer.failed(error)
    }

    async fn erase_once(
        &self,
        move_id: MoveId,
        subjects: &[Subject],
        limit: u64,
        held: Held,
    ) -> Result<Erased> {
        let (writer, closure) = (&self.writer, &self.closure);
        let limit = limit.max(1);
        tables::begin(writer, closure).await?;
        let erased =
            erase::erase_in_transaction(writer, closure, move_id, subjects, limit, held).await;
        self.end_writer(erased).await
    }

    async fn end_writer(&self, result: Result<Erased>) -> Result<Erased> {
        match result {
            Ok(erased) => {
                self.writer.batch("COMMIT").await?;
                Ok(erased)
            }
            Err(error) => {
                // A connection that is gone has rolled back already.
                let _ = self.writer.batch("ROLLBACK").await;
                Err(error)
            }
        }
    }
}

#[async_trait]
impl Departure for PostgresDeparture {
    async fn announce(&mut self, announcement: &Announcement) -> Result<Vec<Subject>> {
        let names: Vec<&str> = announcement.subjects.iter().map(Subject::as_str).collect();
        let site = self.writer.site.clone();
        let failing = self.writer.client.failing(&site);
        let transaction = self.writer.client.transaction().await.map_err(&failing)?;
        let run = async {
            transaction
                .execute("SELECT pg_catalog.pg_advisory_xact_lock_shared($1, $2)", &[&LOCKS, &FLAG])
                .await?;
            transaction.execute("SELECT pg_catalog.setval('domicile.flag', 1, true)", &[]).await?;
            let rows = transaction
                .query(
                    "INSERT INTO domicile.subject AS s (subject, state, fenced, move_id, peer, fingerprint) \
                     SELECT u, 'moving', true, $1, $2, (SELECT domicile.fingerprint()) \
                     FROM pg_catalog.unnest($3::text[]) AS u \
                     WHERE NOT EXISTS (SELECT 1 FROM domicile.directive d \
                        WHERE d.subject = u AND d.hold IS NOT NULL) ORDER BY u COLLATE \"C\" \
                     ON CONFLICT (subject) DO UPDATE SET state = 'moving', fenced = true, \
                         move_id = excluded.move_id, peer = excluded.peer, copied = false, \
                         fingerprint = excluded.fingerprint, announced_at = excluded.announced_at, \
                         decided_at = NULL \
                     WHERE s.state IN ('resident', 'withdrawn') \
                        OR (s.state = 'moving' AND s.move_id = excluded.move_id) \
                     RETURNING s.subject",
                    &[&announcement.move_id.0, &announcement.peer.as_str(), &names],
                )
                .await?;
            Ok((rows, columns::changed(&transaction, &site, &self.closure).await?))
        };
        match run.await {
            Ok((_, Some(changed))) => Err(changed),
            Ok((rows, None)) => {
                transaction.commit().await.map_err(failing)?;
                Ok(subjects_of(&rows))
            }
            Err(error) => {
                drop(transaction);
                Err(self.failed(error))
            }
        }
    }

    async fn start_horizon(&mut self) -> Result<()> {
        let rounds = if self.closure.shared.is_empty() { 1 } else { 2 };
        self.wait = Some(Wait::start(&self.writer, rounds).await?);
        Ok(())
    }

    async fn look_at_horizon(&mut self) -> Result<Horizon> {
        match &mut self.wait {
            Some(wait) => wait.look(&self.writer).await,
            None => Err(Error::new(Kind::Never, "no horizon was started")),
        }
    }

    async fn open_snapshot(&mut self, subjects: &[Subject]) -> Result<Vec<Touched>> {
        self.reader.batch("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        extent::touched(&self.reader, subjects).await
    }

    async fn select(&mut self, extent: &Extent) -> Result<Vec<Subject>> {
        // A stream of before may still end somewhere.
        self.passed = Passed::default();
        match extent {
            Extent::People(subjects) => {
                self.reader.batch("DELETE FROM pg_temp.domicile_batch").await?;
                extent::choose_people(&self.reader, &self.closure, subjects).await?;
                self.chosen = Chosen::People;
                extent::vanished(&self.reader, &self.closure).await
            }
            Extent::Touched(touched) => {
                self.chosen = extent::choose_rows(&self.reader, &self.closure, touched).await?;
                Ok(Vec::new())
            }
        }
    }

    async fn export(&mut self, table: usize) -> Result<ByteStream<'_>> {
        if self.chosen.is_empty_at(table) {
            return Ok(stream::empty().boxed());
        }
        let types = self.types.of(&self.reader, &self.closure, table).await?;
        let owned = self.closure.at(table);
        // Several people of a batch may refer to one shared row.
        let is_shared = self.closure.shared_at(table).is_some();
        let once = match is_shared {
            true => format!("DISTINCT ON ({}) ", idents("t0.", &owned.key)),
            false => String::new(),
        };
        let statement = format!(
            "COPY (SELECT {once}{} FROM {}) TO STDOUT (FORMAT {})",
            idents("t0.", &owned.columns),
            extent::chosen_from(&self.reader, &self.closure, table, &self.chosen),
            copy_format(&owned.user_types),
        );
        let rows =
            self.reader.client.copy_out(&statement).await.map_err(|e| self.reader.failed(e))?;
        let reader = &self.reader;
        let rows = rows.map(move |piece| piece.map_err(|e| reader.failed(e))).boxed();
        if is_shared || !digest::travels_as_compared(owned) {
            return Ok(rows);
        }
        Ok(digest::in_passing(rows, types, table, self.passed.clone()))
    }

    async fn digests(&mut self) -> Result<Vec<TableDigest>> {
        let passed = self.passed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (reader, closure) = (&self.reader, &self.closure);
        extent::digests(reader, closure, &self.chosen, &mut self.types, passed).await
    }

    async fn close_snapshot(&mut self) -> Result<()> {
        self.reader.batch("ROLLBACK").await
    }

    async fn forget(&mut self, seqs: &[i64]) -> Result<()> {
        self.writer
            .client
            .execute("DELETE FROM domicile.touched t WHERE t.seq = ANY ($1)", &[&seqs])
            .await
            .map_err(|e| self.failed(e))?;
        Ok(())
    }

    async fn decide(&mut self, move_id: MoveId, subjects: &[Subject]) -> Result<Vec<Decision>> {
        let names: Vec<&str> = subjects.iter().map(Subject::as_str).collect();
        let client = &self.writer.client;
        let parameters: [&dyn Parameter; 2] = [&move_id.0, &names];
        let decide = client.query(
            "SELECT out_subject, out_outcome, extract(epoch FROM out_granted)::float8 \
             FROM domicile.decide($1, $2)",
            &parameters,
        );
        // Sent behind the decision without waiting for it: the server's clock right after its
        // commit, so that the pause is measured there and not from here.
        let after =
            client.query("SELECT extract(epoch FROM pg_catalog.clock_timestamp())::float8", &[]);
        let (rows, after) = future::join(decide, after).await;
        let rows = rows.map_err(|e| self.failed(e))?;
        let after = after.map_err(|e| self.failed(e))?;
        let committed: f64 = after.first().map_or(0.0, |row| row.get(0));
        rows.iter()
            .map(|row| {
                let held = (committed - row.get::<_, f64>(2)).max(0.0);
                let outcome = match row.get(1) {
                    "decided" => Outcome::Decided(Duration::from_secs_f64(held)),
                    "touched" => Outcome::Touched,
                    "busy" => Outcome::Busy,
                    "on hold" => Outcome::OnHold,
                    "schema changed" => Outcome::SchemaChanged,
                    "not ours" => Outcome::NotOurs,
                    other => {
                        let text = format!("domicile.decide answered {other:?}");
                        return Err(Error::new(Kind::Never, text).hint("run prepare again"));
                    }
                };
                Ok(Decision { subject: Subject::new(row.get::<_, String>(0)), outcome })
            })
            .collect()
    }

    async fn close(&mut self, move_id: MoveId, subject: &Subject) -> Result<()> {
        // Writers that passed the queue of an earlier closing may hold it shared until they end.
        self.writer.batch("SET lock_timeout = '1s'").await?;
        let locked = self
            .writer
            .client
            .execute(
                "SELECT pg_catalog.pg_advisory_lock($1, pg_catalog.hashtext($2))",
                &[&CLOSING, &subject.as_str()],
            )
            .await;
        self.writer.batch("RESET lock_timeout").await?;
        locked.map_err(|e| self.failed(e))?;
        self.writer
            .client
            .execute(
                "UPDATE domicile.subject s SET state = 'closing' \
                 WHERE s.subject = $1 AND s.move_id = $2 AND s.state = 'moving'",
                &[&subject.as_str(), &move_id.0],
            )
            .await
            .map_err(|e| self.failed(e))?;
        Ok(())
    }

    async fn reopen(&mut self, move_id: MoveId, subject: &Subject) -> Result<()> {
        self.writer
            .client
            .execute(
                "UPDATE domicile.subject s SET state = 'moving' \
                 WHERE s.subject = $1 AND s.move_id = $2 AND s.state = 'closing'",
                &[&subject.as_str(), &move_id.0],
            )
            .await
            .map_err(|e| self.failed(e))?;
        self.writer
            .client
            .execute(
                "SELECT pg_catalog.pg_advisory_unlock($1, pg_catalog.hashtext($2))",
                &[&CLOSING, &subject.as_str()],
            )
            .await
            .map_err(|e| self.failed(e))?;
        Ok(())
    }

    async fn withdraw(&mut self, move_id: MoveId, subjects: &[Subject]) -> Result<Vec<Subject>> {
        let names: Vec<&str> = subjects.iter().map(Subject::as_str).collect();
        let rows = self
            .writer
            .client
            .query(
                "WITH ours AS (SELECT s.subject FROM domicile.subject s WHERE s.subject = ANY ($1) \
                     AND s.move_id = $2 AND s.state IN ('moving', 'closing', 'withdrawn') \
                     ORDER BY s.subject FOR NO KEY UPDATE) \
                 UPDATE domicile.subject s SET state = 'withdrawn', fenced = false \
                 FROM ours WHERE s.subject = ours.subject RETURNING s.subject",
                &[&names, &move_id.0],
            )
            .await
            .map_err(|e| self.failed(e))?;
        Ok(subjects_of(&rows))
    }

    async fn erase(&mut self, move_id: MoveId, subjects: &[Subject], limit: u64) -> Result<Erased> {
        let erased = match self.erase_once(move_id, subjects, limit, Held::Refuse).await {
            Err(error) if error.kind() == Kind::RetryNow => {
                self.erase_once(move_id, subjects, limit, Held::Skip).await
            }
            erased => erased,
        }?;
        if erased.finished {
            // Whoever vacuums next must know how many rows are dead.
            self.writer.batch("SELECT pg_catalog.pg_stat_force_next_flush()").await?;
        }
        Ok(erased)
    }
}

pub(super) fn subjects_of(rows: &[tokio_postgres::Row]) -> Vec<Subject> {
    let mut subjects: Vec<Subject> =
        rows.iter().map(|row| Subject::new(row.get::<_, String>(0))).collect();
    subjects.sort();
    subjects
}
