//! Waiting for the writers of before, of whom SQLite has none.
//!
//! A writer that passed the fence before an announcement held the write lock, and the
//! announcement is itself committed under that lock: that writer had ended. A reader whose
//! snapshot is older cannot become a writer: SQLite refuses it with SQLITE_BUSY_SNAPSHOT, since
//! its snapshot is not the newest. So nobody is left to wait for. The two looks take the write
//! lock all the same: they prove that it can be had, and keep both engines' callers alike.

use crate::error::Result;
use crate::site::{Blocker, Horizon};
use crate::sqlite::connection::{Db, roll_back};
use crate::sqlite::decision::{begin_within, commit};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_millis(100);

/// Looks once; `looks` counts the clean ones running.
pub(super) async fn look(db: &Db, looks: &mut u32) -> Result<Horizon> {
    let clean = db
        .run(|connection| {
            roll_back(connection);
            let begun = begin_within(connection, PATIENCE)?;
            if begun {
                commit(connection)?;
            }
            Ok(begun)
        })
        .await?;
    *looks = if clean { looks.saturating_add(1) } else { 0 };
    if *looks >= 2 {
        return Ok(Horizon::Passed);
    }
    let writer = || Blocker { process: None, words: "another connection is writing".to_owned() };
    Ok(Horizon::Waiting { blockers: (!clean).then(writer).into_iter().collect() })
}
