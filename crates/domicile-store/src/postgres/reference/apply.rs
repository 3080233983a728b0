//! Making reference rows equal at a site where they are not written.
//!
//! All of a call's changes are one transaction. What cannot be made here, because a constraint of
//! this site forbids it, is left out, and what stood under its key stands.

use super::declared::{self, Declared};
use super::stage;
use crate::closure::Closure;
use crate::error::{Error, Kind, Result};
use crate::postgres::session::Session;
use crate::postgres::text::key_array;
use crate::site::{Applied, ReferenceChanges, ReferenceNote};
use crate::sql::{equal, idents, literal};

/// Rows of the stage that are not in place: by their place there, and why. `is_out` are those
/// given up for now.
const LEFT: &str = "CREATE TEMPORARY TABLE IF NOT EXISTS domicile_left (row tid PRIMARY KEY, code text, \
                    message text, is_out boolean NOT NULL DEFAULT false) ON COMMIT DROP";

pub(super) async fn apply(
    session: &Session,
    closure: &Closure,
    changes: &ReferenceChanges,
) -> Result<Applied> {
    session.batch("BEGIN").await?;
    match Applying::run(session, closure, changes).await {
        Ok(applied) => session.batch("COMMIT").await.map(|()| applied),
        Err(error) => {
            // The error that counts is the first one.
            let _ = session.batch("ROLLBACK").await;
            Err(error)
        }
    }
}

struct Applying<'a> {
    session: &'a Session,
    closure: &'a Closure,
    changes: &'a ReferenceChanges,
    declared: Vec<Declared>,
}

impl Applying<'_> {
    async fn run(
        session: &Session,
        closure: &Closure,
        changes: &ReferenceChanges,
    ) -> Result<Applied> {
        let declared = declared::read(session, closure).await?;
        let applying = Applying { session, closure, changes, declared };
        for (at, rows) in &changes.rows {
            stage::fill(session, closure, *at, rows).await?;
        }
        let mut applied = Applied::default();
        // What went makes room for what came under another key.
        for (at, _) in changes.rows.iter().rev() {
            applied.kept.extend(applying.remove(*at).await?);
        }
        for (at, _) in &changes.rows {
            applied.refused.extend(applying.put(*at).await?);
        }
        Ok(applied)
    }

    fn notes(&self, at: usize) -> impl Iterator<Item = &ReferenceNote> {
        self.changes.notes.iter().filter(move |note| note.table == Some(at))
    }

    async fn texts(&self, statement: &str, keys: &[String]) -> Result<Vec<String>> {
        let rows = self.session.client.query(statement, &[&keys]).await;
        let rows = rows.map_err(|e| self.session.failed(e))?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// Deletes the rows that went and that nobody here refers to. They are locked first and looked
    /// at again, so that whoever has just begun to refer to one is seen. A row that somebody holds
    /// is being referred to: it stays for now, since an application must not wait for us, nor we
    /// for it. Rows of one table that refer to each other go together or not at all.
    async fn remove(&self, at: usize) -> Result<Vec<ReferenceNote>> {
        let (table, declared) = (&self.closure.reference[at], &self.declared[at]);
        let keys: Vec<String> = self.notes(at).map(stage::json).collect();
        let part = |place: usize| format!("(x.key::json ->> {place})");
        let gone = format!(
            "FROM {name} AS t0, pg_catalog.unnest($1::text[]) AS x(key) WHERE {keyed} \
             AND NOT EXISTS (SELECT 1 FROM {staged} AS y WHERE {same})",
            name = table.name.sql(),
            keyed = stage::keyed(table, "t0", part),
            staged = stage::name(at),
            same = stage::same(table, "y", "t0"),
        );
        let present = self.texts(&format!("SELECT x.key {gone}"), &keys).await?;
        let lock = format!(
            "SELECT x.key {gone}{} ORDER BY {} FOR UPDATE OF t0 SKIP LOCKED",
            self.unreferred(at, declared),
            idents("t0.", &table.key)
        );
        let (mut free, mut were_locked) = (present.clone(), false);
        while !free.is_empty() {
            let locked = self.texts(&lock, &free).await?;
            let is_stable = were_locked && locked.len() == free.len();
            (free, were_locked) = (locked, true);
            if is_stable {
                break;
            }
        }
        let delete = format!(
            "DELETE FROM {} AS t0 USING pg_catalog.unnest($1::text[]) AS x(key) WHERE {}",
            table.name.sql(),
            stage::keyed(table, "t0", part)
        );
        if !free.is_empty() {
            let done = self.session.client.execute(&delete, &[&free]).await;
            done.map_err(|e| self.session.failed(e))?;
        }
        let is_kept = |key: String| present.contains(&key) && !free.contains(&key);
        Ok(self.notes(at).filter(|note| is_kept(stage::json(note))).cloned().collect())
    }

    /// That nobody refers to row `t0`, but rows of its own table that go with it.
    fn unreferred(&self, at: usize, declared: &Declared) -> String {
        let table = &self.closure.reference[at];
        let part = |place: usize| format!("(w.key::json ->> {place})");
        let with_it = format!(
            " AND NOT EXISTS (SELECT 1 FROM pg_catalog.unnest($1::text[]) AS w(key) WHERE {})",
            stage::keyed(table, "c0", part)
        );
        let conditions = declared.referring.iter().map(|key| {
            format!(
                " AND NOT EXISTS (SELECT 1 FROM {} AS c0 WHERE {}{})",
                key.other,
                equal("c0", &key.columns, "t0", &key.parent_columns),
                if key.is_own { with_it.as_str() } else { "" }
            )
        });
        conditions.collect()
    }

    /// Puts the staged rows in place; returns the notes of those that cannot be.
    async fn put(&self, at: usize) -> Result<Vec<ReferenceNote>> {
        let (table, declared) = (&self.closure.reference[at], &self.declared[at]);
        self.session.batch("SAVEPOINT domicile_put").await?;
        match self.session.batch(&stage::put(table, declared, at, "true")).await {
            Ok(()) if !self.is_in_trouble(at).await? => return Ok(Vec::new()),
            Err(error) if error.kind() != Kind::Operator => return Err(error),
            _ => self.session.batch("ROLLBACK TO SAVEPOINT domicile_put").await?,
        }
        self.session
            .batch(&format!(
                "{LEFT}; DELETE FROM pg_temp.domicile_left; \
                 INSERT INTO pg_temp.domicile_left (row) SELECT y.ctid FROM {} AS y",
                stage::name(at)
            ))
            .await?;
        self.put_one_by_one(at).await?;
        self.replace_together(at).await?;
        self.refused(at).await
    }

    async fn is_in_trouble(&self, at: usize) -> Result<bool> {
        let table = &self.closure.reference[at];
        let Some(trouble) = stage::trouble(table, &self.declared[at]) else { return Ok(false) };
        let look =
            format!("SELECT EXISTS (SELECT 1 FROM {} AS y WHERE {trouble})", stage::name(at));
        let row = self.session.client.query_one(&look, &[]).await;
        row.map(|row| row.get(0)).map_err(|e| self.session.failed(e))
    }

    /// Each row for itself, as often as that brings another one into place: a row may wait for
    /// what another one gives up.
    async fn put_one_by_one(&self, at: usize) -> Result<()> {
        let (table, declared) = (&self.closure.reference[at], &self.declared[at]);
        let put = stage::put(table, declared, at, "y.ctid = v_row");
        let each = self.each(at, &put, "DELETE FROM pg_temp.domicile_left l WHERE l.row = v_row;");
        let mut before = i64::MAX;
        loop {
            self.session.batch(&each).await?;
            let left = self.count_left().await?;
            if left == 0 || left == before {
                return Ok(());
            }
            before = left;
        }
    }

    /// Rows that stand in each other's way, such as two that change a unique value with each
    /// other: all are deleted, then all inserted. Those that still cannot be are given up, and the
    /// others tried again without them.
    async fn replace_together(&self, at: usize) -> Result<()> {
        let table = &self.closure.reference[at];
        let (target, staged) = (table.name.sql(), stage::name(at));
        let clear = format!(
            "DELETE FROM {target} AS t0 USING {staged} AS y, pg_temp.domicile_left l \
             WHERE l.row = y.ctid AND NOT l.is_out AND {}",
            stage::same(table, "t0", "y")
        );
        let put = stage::put(table, &self.declared[at], at, "y.ctid = v_row");
        let done = "UPDATE pg_temp.domicile_left l SET code = NULL WHERE l.row = v_row;";
        let each = self.each(at, &put, done);
        let failing = "SELECT l.row::text, l.code, l.message FROM pg_temp.domicile_left l \
                       WHERE NOT l.is_out AND l.code IS NOT NULL";
        let give_up = "UPDATE pg_temp.domicile_left l SET is_out = true, code = x.code, \
                       message = x.message FROM ROWS FROM (pg_catalog.unnest($1::text[]), \
                       pg_catalog.unnest($2::text[]), pg_catalog.unnest($3::text[])) \
                       AS x(place, code, message) WHERE l.row = x.place::tid";
        while self.count_left().await? > 0 {
            let failed = |e| self.session.failed(e);
            self.session.batch(&format!("SAVEPOINT domicile_together; {clear}; {each}")).await?;
            let rows = self.session.client.query(failing, &[]).await.map_err(failed)?;
            if rows.is_empty() {
                return Ok(());
            }
            self.session.batch("ROLLBACK TO SAVEPOINT domicile_together").await?;
            let column = |at: usize| rows.iter().map(|row| row.get(at)).collect::<Vec<String>>();
            let (places, codes, messages) = (column(0), column(1), column(2));
            let client = &self.session.client;
            client.execute(give_up, &[&places, &codes, &messages]).await.map_err(failed)?;
        }
        Ok(())
    }

    async fn count_left(&self) -> Result<i64> {
        let count = "SELECT count(*) FROM pg_temp.domicile_left l WHERE NOT l.is_out";
        let row = self.session.client.query_one(count, &[]).await;
        row.map(|row| row.get(0)).map_err(|e| self.session.failed(e))
    }

    /// A statement that runs `put` for each row that is left and `done` after it, and writes down
    /// why where that cannot be. A lost race, a lost connection or a full disk is no reason.
    fn each(&self, at: usize, put: &str, done: &str) -> String {
        let table = &self.closure.reference[at];
        let trouble = stage::trouble(table, &self.declared[at]).map_or_else(String::new, |what| {
            format!(
                "IF EXISTS (SELECT 1 FROM {} AS y WHERE y.ctid = v_row AND ({what})) THEN \
                 RAISE EXCEPTION USING ERRCODE = '23503', MESSAGE = 'a row it refers to is \
                 missing, or another row has its unique value'; END IF;\n",
                stage::name(at)
            )
        });
        let body = format!(
            "DECLARE v_row tid; BEGIN\n\
             FOR v_row IN SELECT l.row FROM pg_temp.domicile_left l WHERE NOT l.is_out ORDER BY 1 LOOP\n\
             BEGIN\n{put}{trouble}{done}\n\
             EXCEPTION WHEN OTHERS THEN\n\
             IF SQLSTATE LIKE '40%' OR SQLSTATE LIKE '53%' OR SQLSTATE IN ('55P03', '42501') THEN RAISE; END IF;\n\
             UPDATE pg_temp.domicile_left l SET code = SQLSTATE, message = SQLERRM WHERE l.row = v_row;\n\
             END; END LOOP; END"
        );
        format!("DO {}", literal(&body))
    }

    /// The notes of the rows that were given up.
    async fn refused(&self, at: usize) -> Result<Vec<ReferenceNote>> {
        let table = &self.closure.reference[at];
        let statement = format!(
            "SELECT {}, l.code, l.message FROM pg_temp.domicile_left l JOIN {} AS y \
             ON y.ctid = l.row WHERE l.is_out",
            key_array("y", &table.key),
            stage::name(at)
        );
        let rows = self.session.client.query(&statement, &[]).await;
        let mut refused = Vec::new();
        for row in rows.map_err(|e| -> Error { self.session.failed(e) })? {
            let (key, code, message): (Vec<String>, &str, &str) =
                (row.get(0), row.get(1), row.get(2));
            // The detail, which the message is without, holds values.
            let reason = format!("{message} ({code})");
            refused.extend(
                self.notes(at)
                    .filter(|note| note.key == key)
                    .map(|note| ReferenceNote { refused: Some(reason.clone()), ..note.clone() }),
            );
        }
        Ok(refused)
    }
}
