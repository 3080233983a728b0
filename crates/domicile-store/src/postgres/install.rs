//! The `domicile` schema of a site: journal, notes, tombstones, flag and fences.

use super::fence;
use super::guard::{self, TRIGGERS};
use super::patience::{self, BRIEFLY, TRIES};
use super::reference;
use super::session::{FLAG, LOCKS, Session};
use super::waiting;
use crate::closure::Closure;
use crate::error::{Error, Kind, Result};
use crate::site::Installation;
use sha2::{Digest, Sha256};
use std::time::Duration;

/// Tables, and the functions that do not depend on the closure. Every name in a body is written
/// with its schema: these functions run in sessions whose search_path anybody may have set.
const JOURNAL: &str = include_str!("journal.sql");

/// Everything an installation runs, in order.
fn script(installation: &Installation, session: &Session, mover: &str) -> String {
    use super::session::CLOSING;
    let mut text = JOURNAL.replace("%CLOSING%", &CLOSING.to_string());
    text.push_str(&fence::script(&installation.closure, mover));
    text.push_str(&reference::script(installation, &session.site));
    text
}

fn version(script: &str) -> String {
    let digest = Sha256::digest(script.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) async fn install(session: &mut Session, installation: &Installation) -> Result<()> {
    if is_installed(session, installation).await? {
        return Ok(());
    }
    // The same fences may always be put right: whoever is moving starts again, because the
    // fingerprint tells that they were touched. Other fences only while nobody's rows travel.
    let is_same = installed_version(session).await?
        == Some(version(&script(installation, session, &session.role_literal().await?)));
    if !is_same && people_under_way(session).await? > 0 {
        return Err(Error::new(
            Kind::Operator,
            format!("people are moving at site {} under another plan", session.site),
        )
        .hint("run migrate with the configuration they were announced with, then prepare again"));
    }
    let script = script(installation, session, &session.role_literal().await?);
    let mut tries = 0;
    loop {
        tries += 1;
        match install_once(session, &installation.closure, &script).await {
            Err(error) if error.kind() == Kind::RetryNow && tries < TRIES => {
                tracing::info!(site = %session.site, tries, "the tables are busy; trying again");
            }
            Err(error) => {
                let reference = installation.closure.reference.iter().map(|table| &table.name);
                let tables = installation.closure.tables().map(|table| &table.name);
                let tables: Vec<String> = tables.chain(reference).map(|name| name.sql()).collect();
                return Err(patience::gave_up(session, &tables, error).await);
            }
            Ok(()) => return Ok(()),
        }
    }
}

async fn install_once(session: &mut Session, closure: &Closure, script: &str) -> Result<()> {
    let site = session.site.clone();
    let failing = session.client.failing(&site);
    let transaction = session.client.transaction().await.map_err(&failing)?;
    let version = version(script);
    let mut forbidden = None;
    let run = async {
        transaction.batch_execute(BRIEFLY).await?;
        let before = waiting::guarded_tables(&transaction).await?;
        transaction.batch_execute(script).await?;
        forbidden = waiting::forbids(&transaction, closure, &before).await?;
        transaction
            .execute(
                "INSERT INTO domicile.setting VALUES ('version', $1) \
                 ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                &[&version],
            )
            .await
    };
    match (run.await, forbidden) {
        (Ok(_), Some(change)) => Err(change.refusal(Some(&site))),
        (Ok(_), None) => transaction.commit().await.map_err(failing),
        (Err(error), _) => {
            drop(transaction);
            Err(session.failed(error))
        }
    }
}

async fn installed_version(session: &Session) -> Result<Option<String>> {
    if !exists(session).await? {
        return Ok(None);
    }
    let row = session
        .client
        .query_opt("SELECT value FROM domicile.setting WHERE name = 'version'", &[])
        .await
        .map_err(|e| session.failed(e))?;
    Ok(row.map(|row| row.get(0)))
}

pub(super) async fn exists(session: &Session) -> Result<bool> {
    let row = session
        .client
        .query_one("SELECT pg_catalog.to_regclass('domicile.setting') IS NOT NULL", &[])
        .await
        .map_err(|e| session.failed(e))?;
    Ok(row.get(0))
}

async fn people_under_way(session: &Session) -> Result<i64> {
    if !exists(session).await? {
        return Ok(0);
    }
    let row = session
        .client
        .query_one("SELECT count(*) FROM domicile.subject WHERE fenced AND state <> 'moved'", &[])
        .await
        .map_err(|e| session.failed(e))?;
    Ok(row.get(0))
}

pub(super) async fn is_installed(session: &Session, installation: &Installation) -> Result<bool> {
    if !exists(session).await? {
        return Ok(false);
    }
    let script = script(installation, session, &session.role_literal().await?);
    let row = session
        .client
        .query_one(
            &format!(
                "SELECT (SELECT value FROM domicile.setting WHERE name = 'version'), \
                 (SELECT count(*) FROM domicile.relations() r WHERE 4 > (SELECT count(*) \
                    FROM pg_catalog.pg_trigger t WHERE t.tgrelid = r \
                    AND (t.tgname::text, t.tgenabled::text) IN ({TRIGGERS})))"
            ),
            &[],
        )
        .await
        .map_err(|e| session.failed(e))?;
    let tables: Vec<String> = installation.closure.tables().map(|table| table.name.sql()).collect();
    let rows: Vec<String> = (0..tables.len()).map(guard::row_type).collect();
    let found: Option<String> = row.get(0);
    let unfenced: i64 = row.get(1);
    Ok(found.as_deref() == Some(version(&script).as_str())
        && unfenced == 0
        && guard::outdated(session, &rows, &tables).await? == 0
        && reference::unwatched(session, installation).await? == 0)
}

/// Lowers the flag, unless somebody is under way, or a shared row waits to be swept, or a snapshot is
/// left that shows people as they were before they were erased: whoever writes from it sees no
/// tombstone, and only the entry that it still shows makes the fence refuse the write.
const LOWER_FLAG: &str = "SELECT pg_catalog.setval('domicile.flag', 1, false) \
    WHERE NOT EXISTS (SELECT 1 FROM domicile.subject WHERE fenced) \
      AND NOT EXISTS (SELECT 1 FROM domicile.loose) \
      AND NOT EXISTS (SELECT 1 FROM domicile.erasure e JOIN pg_catalog.pg_stat_activity a \
          ON pg_catalog.age(a.backend_xmin) >= pg_catalog.age(e.xid::xid) \
          WHERE e.horizon_at IS NULL AND a.datname = pg_catalog.current_database() \
            AND a.pid <> pg_catalog.pg_backend_pid() AND a.backend_type = 'client backend' \
            AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_stat_progress_vacuum v WHERE v.pid = a.pid))";

/// Lowers the flag when nobody is under way, and drops tombstones that have served their time.
pub(super) async fn rest(session: &mut Session, keep: Duration) -> Result<()> {
    if !exists(session).await? {
        return Ok(());
    }
    let seconds = keep.as_secs_f64();
    let site = session.site.clone();
    let failing = session.client.failing(&site);
    let transaction = session.client.transaction().await.map_err(&failing)?;
    let run = async {
        // Exclusive against announcements, which hold it shared from raising to commit.
        transaction
            .execute("SELECT pg_catalog.pg_advisory_xact_lock($1, $2)", &[&LOCKS, &FLAG])
            .await?;
        // What somebody held when their people's rows were erased; while any is left, fences look.
        transaction.execute("SELECT domicile.sweep()", &[]).await?;
        transaction.execute(LOWER_FLAG, &[]).await?;
        transaction
            .execute(
                "DELETE FROM domicile.met WHERE NOT EXISTS \
                 (SELECT 1 FROM domicile.subject WHERE fenced)",
                &[],
            )
            .await?;
        transaction
            .execute(
                "DELETE FROM domicile.gone \
                 WHERE erased_at < pg_catalog.now() - pg_catalog.make_interval(secs => $1)",
                &[&seconds],
            )
            .await
    };
    match run.await {
        Ok(_) => transaction.commit().await.map_err(failing),
        Err(error) => {
            drop(transaction);
            Err(session.failed(error))
        }
    }
}
