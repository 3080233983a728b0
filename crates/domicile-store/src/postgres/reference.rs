//! Reference tables: written at one site, noted there, and made equal at every other.

use super::extent::digest_bytes;
use super::session::Session;
use super::text::{copy_format, key_array, record};
use crate::closure::{Closure, ReferenceTable};
use crate::error::Result;
use crate::site::{Installation, Reference, ReferenceChanges, ReferenceNote};
use crate::sql::{equal, ident, idents, literal};
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use domicile_model::SiteName;
use futures_util::{SinkExt as _, StreamExt as _};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use tokio_postgres::error::SqlState;

/// Takes our triggers off every reference table before they are put on anew.
const RETIRE: &str = r#"
DO $d$ DECLARE v record; BEGIN
FOR v IN SELECT t.tgname, t.tgrelid::regclass AS relation FROM pg_catalog.pg_trigger t
    WHERE t.tgparentid = 0 AND t.tgname LIKE 'AA\_domicile\_reference%' LOOP
    EXECUTE pg_catalog.format('DROP TRIGGER %I ON %s', v.tgname, v.relation);
END LOOP; END $d$;
CREATE TABLE IF NOT EXISTS domicile.changed (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    relation text NOT NULL,
    key text[] NOT NULL
);
REVOKE ALL ON domicile.changed FROM PUBLIC;
CREATE OR REPLACE FUNCTION domicile.refuse_reference() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $f$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'DM005',
        MESSAGE = format('%I is the same at every site and written at %s only', TG_TABLE_NAME, TG_ARGV[0]),
        DETAIL = TG_ARGV[0], HINT = 'write it there; domicile carries it here';
END $f$;
"#;

/// What notes changes at the writing site, and what refuses them at any other.
pub(super) fn script(installation: &Installation, site: &SiteName) -> String {
    let mut text = RETIRE.to_owned();
    for (at, table) in installation.closure.reference.iter().enumerate() {
        if installation.reference_site == *site {
            text.push_str(&noting(at, table));
        } else {
            text.push_str(&refusing(table, &installation.reference_site));
        }
    }
    text
}

/// The notes' function writes keys down alike whatever the application's session has set.
fn noting(at: usize, table: &ReferenceTable) -> String {
    let (name, quoted) = (table.name.sql(), literal(&table.name.sql()));
    let (old, new) = (key_array("OLD", &table.key), key_array("NEW", &table.key));
    let mut text = format!(
        r#"
CREATE OR REPLACE FUNCTION domicile.reference_{at}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET row_security = off
SET TimeZone = 'UTC' SET DateStyle = 'ISO, YMD' SET IntervalStyle = 'postgres'
SET extra_float_digits = 1 SET bytea_output = 'hex' AS $f$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        INSERT INTO domicile.changed (relation, key) SELECT {quoted}, {every} FROM {name} AS t0;
        RETURN NULL;
    END IF;
    IF TG_OP <> 'INSERT' THEN
        INSERT INTO domicile.changed (relation, key) VALUES ({quoted}, {old});
    END IF;
    IF TG_OP = 'INSERT' OR (TG_OP = 'UPDATE' AND {new} IS DISTINCT FROM {old}) THEN
        INSERT INTO domicile.changed (relation, key) VALUES ({quoted}, {new});
    END IF;
    RETURN NULL;
END $f$;
CREATE TRIGGER "AA_domicile_reference" AFTER INSERT OR UPDATE OR DELETE ON {name}
    FOR EACH ROW EXECUTE FUNCTION domicile.reference_{at}();
ALTER TABLE {name} ENABLE ALWAYS TRIGGER "AA_domicile_reference";
"#,
        every = key_array("t0", &table.key),
    );
    text.push_str(&on_truncate(&quoted, &format!("domicile.reference_{at}()"), "ALWAYS"));
    text
}

/// Replication may bring the rows another way, and the mover does: neither fires an ordinary
/// trigger.
fn refusing(table: &ReferenceTable, writing: &SiteName) -> String {
    let (name, home) = (table.name.sql(), literal(writing.as_str()));
    let refuse = format!("domicile.refuse_reference({home})");
    let mut text = format!(
        "CREATE TRIGGER \"AA_domicile_reference\" BEFORE INSERT OR UPDATE OR DELETE ON {name}\n    \
         FOR EACH ROW EXECUTE FUNCTION {refuse};\n",
    );
    text.push_str(&on_truncate(&literal(&name), &refuse, ""));
    text
}

/// A trigger on truncation, which each partition needs for itself.
fn on_truncate(quoted: &str, function: &str, enable: &str) -> String {
    let call = literal(&format!(
        "CREATE TRIGGER \"AA_domicile_reference_truncate\" BEFORE TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION {function}"
    ));
    let enable = if enable.is_empty() {
        String::new()
    } else {
        format!(
            "EXECUTE pg_catalog.format('ALTER TABLE %s ENABLE {enable} TRIGGER \"AA_domicile_reference_truncate\"', v);\n"
        )
    };
    format!(
        "DO $d$ DECLARE v regclass; BEGIN\n\
         FOR v IN SELECT {quoted}::regclass UNION SELECT p.relid FROM pg_catalog.pg_partition_tree({quoted}::regclass) p LOOP\n\
         EXECUTE pg_catalog.format({call}, v);\n{enable}END LOOP; END $d$;\n"
    )
}

/// The reference tables of one PostgreSQL site.
pub(super) struct PostgresReference {
    session: Session,
    closure: Arc<Closure>,
}

impl PostgresReference {
    pub(super) fn new(session: Session, closure: Arc<Closure>) -> Self {
        PostgresReference { session, closure }
    }

    async fn read(&self, after: i64, limit: u32) -> Result<ReferenceChanges> {
        let failed = |e| self.session.failed(e);
        let statement = "SELECT c.seq, c.relation, c.key FROM domicile.changed c \
                         WHERE c.seq > $1 ORDER BY c.seq LIMIT $2";
        let client = &self.session.client;
        let lines = client.query(statement, &[&after, &i64::from(limit)]).await.map_err(failed)?;
        let names: Vec<String> = self.closure.reference.iter().map(|t| t.name.sql()).collect();
        let mut changes = ReferenceChanges::default();
        for line in &lines {
            let relation: &str = line.get(1);
            let table = names.iter().position(|name| name == relation);
            changes.notes.push(ReferenceNote { seq: line.get(0), table, key: line.get(2) });
        }
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
                noted = casts(table, |place| format!("c.key[{}]", place + 1)).join(", "),
                relation = literal(&table.name.sql()),
                name = table.name.sql(),
                format = copy_format(&table.user_types),
            );
            let mut rows = BytesMut::new();
            let stream = client.copy_out(&statement).await.map_err(failed)?;
            let mut stream = std::pin::pin!(stream);
            while let Some(piece) = stream.next().await {
                rows.extend_from_slice(&piece.map_err(failed)?);
            }
            changes.rows.push((at, rows.freeze()));
        }
        Ok(changes)
    }

    async fn stage(&self, at: usize, rows: &Bytes) -> Result<()> {
        let table = &self.closure.reference[at];
        let columns = idents("", &table.columns);
        self.session
            .batch(&format!(
                "CREATE TEMPORARY TABLE domicile_reference_{at} ON COMMIT DROP AS \
                 SELECT {columns} FROM {} WITH NO DATA",
                table.name.sql()
            ))
            .await?;
        let statement = format!(
            "COPY pg_temp.domicile_reference_{at} ({columns}) FROM STDIN (FORMAT {})",
            copy_format(&table.user_types)
        );
        let failed = |e| self.session.failed(e);
        let sink = self.session.client.copy_in(&statement).await.map_err(failed)?;
        let mut sink = std::pin::pin!(sink);
        sink.feed(rows.clone()).await.map_err(failed)?;
        sink.as_mut().finish().await.map_err(failed)?;
        Ok(())
    }

    /// Rows that are there already are updated and not replaced: an UPDATE lets the application's
    /// foreign-key checks of that moment find them. Only where values of a unique key change
    /// places is that impossible.
    async fn put(&self, at: usize) -> Result<()> {
        let table = &self.closure.reference[at];
        let (name, columns) = (table.name.sql(), idents("", &table.columns));
        let set: Vec<String> = table
            .columns
            .iter()
            .filter(|column| !table.key.contains(column))
            .map(|column| format!("{0} = EXCLUDED.{0}", ident(column)))
            .collect();
        let act = if set.is_empty() {
            "NOTHING".to_owned()
        } else {
            format!("UPDATE SET {}", set.join(", "))
        };
        let insert = format!(
            "INSERT INTO {name} ({columns}) OVERRIDING SYSTEM VALUE \
             SELECT {columns} FROM pg_temp.domicile_reference_{at}"
        );
        self.session.batch("SAVEPOINT domicile_put").await?;
        let key = idents("", &table.key);
        let upsert = format!("{insert} ON CONFLICT ({key}) DO {act}");
        match self.session.client.batch_execute(&upsert).await {
            Err(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => {
                let same = equal("t0", &table.key, "y", &table.key);
                self.session
                    .batch(&format!(
                        "ROLLBACK TO SAVEPOINT domicile_put; \
                         DELETE FROM {name} AS t0 USING pg_temp.domicile_reference_{at} AS y \
                         WHERE {same}; {insert}"
                    ))
                    .await
            }
            other => other.map_err(|e| self.session.failed(e)),
        }
    }

    /// Deletes the rows that went and that nobody here refers to. They are locked first and looked
    /// at again, so that whoever has just begun to refer to one is seen. A row that somebody holds
    /// is being referred to: it stays for now, since an application must not wait for us, nor we
    /// for it.
    async fn remove(&self, at: usize, notes: &[&ReferenceNote]) -> Result<Vec<ReferenceNote>> {
        let table = &self.closure.reference[at];
        let keys: Vec<String> = notes
            .iter()
            .map(|note| serde_json::Value::from(note.key.clone()).to_string())
            .collect();
        let gone = format!(
            "FROM {name} AS t0, pg_catalog.unnest($1::text[]) AS x(key) WHERE {same} \
             AND NOT EXISTS (SELECT 1 FROM pg_temp.domicile_reference_{at} AS y WHERE {staged})",
            name = table.name.sql(),
            same = noted(table, |place| format!("(x.key::json ->> {place})")),
            staged = equal("y", &table.key, "t0", &table.key),
        );
        let client = &self.session.client;
        let failed = |e| self.session.failed(e);
        let mut unreferred = String::new();
        for check in self.closure.checks.iter().filter(|check| check.parent == table.name) {
            // Writing to a String cannot fail.
            let _ = write!(
                unreferred,
                " AND NOT EXISTS (SELECT 1 FROM {} AS c0 WHERE {})",
                check.child.sql(),
                equal("c0", &check.columns, "t0", &check.parent_columns)
            );
        }
        let lock = format!(
            "SELECT x.key {gone}{unreferred} ORDER BY {} FOR UPDATE OF t0 SKIP LOCKED",
            idents("t0.", &table.key)
        );
        let locked = client.query(&lock, &[&keys]).await.map_err(failed)?;
        let locked: Vec<&str> = locked.iter().map(|row| row.get(0)).collect();
        let delete = format!(
            "DELETE FROM {name} AS t1 USING (SELECT {keys} {gone}{unreferred}) AS z WHERE {same}",
            name = table.name.sql(),
            keys = idents("t0.", &table.key),
            same = equal("t1", &table.key, "z", &table.key),
        );
        client.execute(&delete, &[&locked]).await.map_err(failed)?;
        let kept = client.query(&format!("SELECT x.key {gone}"), &[&keys]).await.map_err(failed)?;
        let kept: Vec<&str> = kept.iter().map(|row| row.get(0)).collect();
        let is_kept = |at: &usize| kept.contains(&keys[*at].as_str());
        Ok((0..notes.len()).filter(is_kept).map(|at| notes[at].clone()).collect())
    }
}

/// The condition that row `t0` has the key whose texts `part` gives.
fn noted(table: &ReferenceTable, part: impl Fn(usize) -> String) -> String {
    let values = casts(table, part);
    let parts: Vec<String> = table
        .key
        .iter()
        .zip(values)
        .map(|(column, value)| format!("t0.{} = {value}", ident(column)))
        .collect();
    parts.join(" AND ")
}

/// A key's values, from the texts `part` gives.
fn casts(table: &ReferenceTable, part: impl Fn(usize) -> String) -> Vec<String> {
    let cast = |place: usize| table.type_of(&table.key[place]).unwrap_or("text").to_owned();
    (0..table.key.len()).map(|place| format!("{}::{}", part(place), cast(place))).collect()
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

    async fn apply(&mut self, changes: &ReferenceChanges) -> Result<Vec<ReferenceNote>> {
        self.session.batch("BEGIN").await?;
        let run = async {
            for (at, rows) in &changes.rows {
                self.stage(*at, rows).await?;
            }
            // What went makes room for what came under another key.
            let mut kept = Vec::new();
            for (at, _) in changes.rows.iter().rev() {
                let notes: Vec<&ReferenceNote> =
                    changes.notes.iter().filter(|note| note.table == Some(*at)).collect();
                kept.extend(self.remove(*at, &notes).await?);
            }
            for (at, _) in &changes.rows {
                self.put(*at).await?;
            }
            Ok(kept)
        };
        match run.await {
            Ok(kept) => self.session.batch("COMMIT").await.map(|()| kept),
            Err(error) => {
                // The error that counts is the first one.
                let _ = self.session.batch("ROLLBACK").await;
                Err(error)
            }
        }
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
