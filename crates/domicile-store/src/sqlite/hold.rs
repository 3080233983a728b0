//! Holding writers back, and letting them go when the mover is too slow.

use crate::error::Result;
use crate::sqlite::connection::{Db, Doing, roll_back};
use domicile_model::Subject;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::task::AbortHandle;

/// How long writers are held at most. A mover that needs longer loses its hold and nothing else;
/// a writer that waited less than its busy timeout never learns of it.
const HELD_MAX: Duration = Duration::from_secs(10);

/// The people whose writers are held, by a transaction that stays open.
pub(super) struct Hold {
    /// When the lock was granted.
    pub(super) since: Instant,
    /// Whom it is held for.
    pub(super) closed: BTreeSet<Subject>,
    over: Arc<AtomicBool>,
    watch: AbortHandle,
}

impl Hold {
    /// Begins the transaction that holds back every writer.
    pub(super) async fn begin(db: &Db, closed: BTreeSet<Subject>) -> Result<Hold> {
        let since = db
            .run(|connection| {
                roll_back(connection);
                connection.execute_batch("BEGIN IMMEDIATE").doing("holding writers back")?;
                Ok(Instant::now())
            })
            .await?;
        let over = Arc::new(AtomicBool::new(false));
        let watch = watch(db, Arc::clone(&over));
        Ok(Hold { since, closed, over, watch })
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        self.watch.abort();
    }
}

/// Rolls the transaction back when it is held for too long. Whatever works on the connection at
/// that moment ends first; the next call then finds the hold lost.
fn watch(db: &Db, over: Arc<AtomicBool>) -> AbortHandle {
    let db = db.downgrade();
    let task = tokio::spawn(async move {
        tokio::time::sleep(HELD_MAX).await;
        let Some(db) = db.upgrade() else {
            return;
        };
        let undone = db.run(move |connection| {
            if !over.load(Ordering::SeqCst) {
                roll_back(connection);
                tracing::warn!("writers were held for too long and were let go");
            }
            Ok(())
        });
        if let Err(error) = undone.await {
            tracing::warn!(%error, "writers could not be let go");
        }
    });
    task.abort_handle()
}
