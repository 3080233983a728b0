//! Reference tables: written at one site, noted there, and made equal at every other.

mod apply;
mod declared;
mod stage;
mod triggers;

use super::extent::digest_bytes;
use super::session::Session;
use super::text::{copy_format, key_array, record};
use crate::closure::Closure;
use crate::error::Result;
use crate::site::{
    Applied, REFUSED_NAMED_MAX, Reference, ReferenceChanges, ReferenceNote, Standing,
};
use crate::sql::{idents, literal};
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;

pub(super) use triggers::{script, unwatched};

/// Why a change was refused; NULL as well where an earlier version has prepared the site.
const REFUSED: &str = "(pg_catalog.to_jsonb(c) ->> 'refused')";

/// The reference tables of one PostgreSQL site.
pub(super) struct PostgresReference {
    session: Session,
    closure: Arc<Closure>,
}

impl PostgresReference {
    pub(super) fn new(session: Session, closure: Arc<Closure>) -> Self {
        PostgresReference { session, closure }
    }

    /// A line of `domicile.changed`.
    fn note(&self, line: &Row) -> ReferenceNote {
        let relation: &str = line.get(1);
        let table = self.closure.reference.iter().position(|table| table.name.sql() == relation);
        ReferenceNote { seq: line.get(0), table, key: line.get(2), refused: line.get(3) }
    }

    async fn read(&self, after: i64, limit: u32) -> Result<ReferenceChanges> {
        let failed = |e| self.session.failed(e);
        let statement = format!(
            "SELECT c.seq, c.relation, c.key, {REFUSED} FROM domicile.changed c \
             WHERE c.seq > $1 ORDER BY c.seq LIMIT $2"
        );
        let client = &self.session.client;
        let lines = client.query(&statement, &[&after, &i64::from(limit)]).await.map_err(failed)?;
        let notes = lines.iter().map(|line| self.note(line)).collect();
        let mut changes = ReferenceChanges { notes, rows: Vec::new() };
        let last = changes.notes.last().map_or(after, |note| note.seq);
        for (at, table) in self.closure.reference.iter().enumerate() {
            if !changes.notes.iter().any(|note| note.table == Some(at)) {
                continue;
            }
            let statement = format!(
                "COPY (SELECT {columns} FROM {name} AS t0 WHERE ({keys}) IN (SELECT {noted} \
                 FROM domicile.changed c WHERE c.relation = {relation} \
                 AND c.seq > {after} AND c.seq <= {last})) TO STDOUT (FORMAT {format})",
                columns = idents("t0.", &table.columns),
                keys = idents("t0.", &table.key),
                noted = stage::casts(table, |place| format!("c.key[{}]", place + 1)).join(", "),
                relation = literal(&table.name.sql()),
                name = table.name.sql(),
                format = copy_format(&table.user_types),
            );
            changes.rows.push((at, self.copied(&statement).await?));
        }
        Ok(changes)
    }

    /// The rows under keys that are parameters of nobody: a COPY takes none.
    async fn stand_in(&self, notes: &[ReferenceNote]) -> Result<ReferenceChanges> {
        let mut changes = ReferenceChanges { notes: notes.to_vec(), rows: Vec::new() };
        for (at, table) in self.closure.reference.iter().enumerate() {
            let keys: Vec<&Vec<String>> =
                notes.iter().filter(|note| note.table == Some(at)).map(|note| &note.key).collect();
            if keys.is_empty() {
                continue;
            }
            let keys = serde_json::to_string(&keys).unwrap_or_default();
            let set = "SELECT pg_catalog.set_config('domicile.keys', $1, true)";
            let set = self.session.client.execute(set, &[&keys]).await;
            set.map_err(|e| self.session.failed(e))?;
            let statement = format!(
                "COPY (SELECT {columns} FROM {name} AS t0 WHERE EXISTS (SELECT 1 FROM \
                 pg_catalog.json_array_elements(pg_catalog.current_setting('domicile.keys')::json) \
                 AS x(key) WHERE {keyed})) TO STDOUT (FORMAT {format})",
                columns = idents("t0.", &table.columns),
                name = table.name.sql(),
                keyed = stage::keyed(table, "t0", |place| format!("(x.key ->> {place})")),
                format = copy_format(&table.user_types),
            );
            changes.rows.push((at, self.copied(&statement).await?));
        }
        Ok(changes)
    }

    async fn copied(&self, statement: &str) -> Result<Bytes> {
        let failed = |e| self.session.failed(e);
        let mut rows = BytesMut::new();
        let mut stream = self.session.client.copy_out(statement).await.map_err(failed)?;
        while let Some(piece) = stream.next().await {
            rows.extend_from_slice(&piece.map_err(failed)?);
        }
        Ok(rows.freeze())
    }
}

/// Puts those of these rows in place that are missing and that rows here refer to, in the open
/// transaction. A row that comes may need another one in its turn.
pub(super) async fn bring(
    session: &Session,
    closure: &Closure,
    kept: &ReferenceChanges,
) -> Result<u64> {
    let declared = declared::read(session, closure).await?;
    for (at, rows) in &kept.rows {
        stage::fill(session, closure, *at, rows).await?;
    }
    let mut brought = 0;
    loop {
        let before = brought;
        for (at, _) in kept.rows.iter().rev() {
            let table = &closure.reference[*at];
            let (name, columns) = (table.name.sql(), idents("", &table.columns));
            let insert = format!(
                "INSERT INTO {name} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} \
                 FROM {} AS y WHERE NOT EXISTS (SELECT 1 FROM {name} AS t0 WHERE {}) AND {}",
                stage::name(*at),
                stage::same(table, "t0", "y"),
                declared[*at].is_referred("y")
            );
            let rows = session.client.execute(&insert, &[]).await;
            brought += rows.map_err(|e| session.failed(e))?;
        }
        if brought == before {
            return Ok(brought);
        }
    }
}

#[async_trait]
impl Reference for PostgresReference {
    async fn changes(&mut self, after: i64, limit: u32) -> Result<ReferenceChanges> {
        let look = "SELECT EXISTS (SELECT 1 FROM domicile.changed c WHERE c.seq > $1)";
        match self.session.client.query_one(look, &[&after]).await {
            Ok(row) if row.get(0) => {}
            Ok(_) => return Ok(ReferenceChanges::default()),
            // Nothing is installed here, so nothing is noted.
            Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => {
                return Ok(ReferenceChanges::default());
            }
            Err(error) => return Err(self.session.failed(error)),
        }
        self.session.batch("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        let changes = self.read(after, limit).await;
        self.session.batch("ROLLBACK").await?;
        changes
    }

    async fn forget(&mut self, seqs: &[i64]) -> Result<()> {
        let statement = "DELETE FROM domicile.changed c WHERE c.seq = ANY ($1)";
        let done = self.session.client.execute(statement, &[&seqs]).await;
        done.map(drop).map_err(|e| self.session.failed(e))
    }

    async fn standing(&mut self) -> Result<Standing> {
        let count = "SELECT count(*) FROM domicile.changed c";
        let notes = match self.session.client.query_one(count, &[]).await {
            Ok(row) => row.get::<_, i64>(0).unsigned_abs(),
            Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => {
                return Ok(Standing::default());
            }
            Err(error) => return Err(self.session.failed(error)),
        };
        let named = format!(
            "SELECT c.seq, c.relation, c.key, {REFUSED} FROM domicile.changed c \
             WHERE {REFUSED} IS NOT NULL ORDER BY c.seq LIMIT {REFUSED_NAMED_MAX}"
        );
        let lines = self.session.client.query(&named, &[]).await;
        let lines = lines.map_err(|e| self.session.failed(e))?;
        Ok(Standing { notes, refused: lines.iter().map(|line| self.note(line)).collect() })
    }

    async fn mark_refused(&mut self, notes: &[ReferenceNote]) -> Result<()> {
        let seqs: Vec<i64> = notes.iter().map(|note| note.seq).collect();
        let reasons: Vec<Option<&str>> = notes.iter().map(|note| note.refused.as_deref()).collect();
        let statement = "UPDATE domicile.changed c SET refused = x.refused \
             FROM ROWS FROM (pg_catalog.unnest($1::bigint[]), pg_catalog.unnest($2::text[])) \
             AS x(seq, refused) WHERE c.seq = x.seq";
        let done = self.session.client.execute(statement, &[&seqs, &reasons]).await;
        done.map(drop).map_err(|e| self.session.failed(e))
    }

    async fn apply(&mut self, changes: &ReferenceChanges) -> Result<Applied> {
        apply::apply(&self.session, &self.closure, changes).await
    }

    async fn held(&mut self, notes: &[ReferenceNote]) -> Result<Vec<ReferenceNote>> {
        let declared = declared::read(&self.session, &self.closure).await?;
        let mut held = Vec::new();
        for (at, table) in self.closure.reference.iter().enumerate() {
            let of_table: Vec<&ReferenceNote> =
                notes.iter().filter(|note| note.table == Some(at)).collect();
            if of_table.is_empty() {
                continue;
            }
            let keys: Vec<String> = of_table.iter().map(|note| stage::json(note)).collect();
            let statement = format!(
                "SELECT x.key FROM {} AS t0, pg_catalog.unnest($1::text[]) AS x(key) \
                 WHERE {} AND {}",
                table.name.sql(),
                stage::keyed(table, "t0", |place| format!("(x.key::json ->> {place})")),
                declared[at].is_referred("t0")
            );
            let rows = self.session.client.query(&statement, &[&keys]).await;
            let rows = rows.map_err(|e| self.session.failed(e))?;
            let found: BTreeSet<&str> = rows.iter().map(|row| row.get(0)).collect();
            let is_held = |note: &&&ReferenceNote| found.contains(stage::json(note).as_str());
            held.extend(of_table.iter().filter(is_held).map(|note| (*note).clone()));
        }
        Ok(held)
    }

    async fn stand(&mut self, notes: &[ReferenceNote]) -> Result<ReferenceChanges> {
        self.session.batch("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        let changes = self.stand_in(notes).await;
        self.session.batch("ROLLBACK").await?;
        changes
    }

    async fn digests(&mut self, table: usize) -> Result<BTreeMap<Vec<String>, [u8; 32]>> {
        let table = &self.closure.reference[table];
        let statement = format!(
            "SELECT {}, pg_catalog.sha256(pg_catalog.record_send({})) FROM {} AS t0",
            key_array("t0", &table.key),
            record("t0", &table.columns, &table.user_types, &[]),
            table.name.sql(),
        );
        let rows = self.session.client.query(&statement, &[]).await;
        let rows = rows.map_err(|e| self.session.failed(e))?;
        rows.iter().map(|row| Ok((row.get(0), digest_bytes(row.get(1))?))).collect()
    }
}
