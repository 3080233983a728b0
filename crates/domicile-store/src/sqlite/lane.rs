//! A connection of one side of a move, and what is chosen on it.

use crate::closure::Closure;
use crate::error::{Error, Kind, Result};
use crate::site::Engine;
use crate::sqlite::connection::Db;
use crate::sqlite::extent::Selection;
use crate::sqlite::install;
use rusqlite::Connection;
use std::path::Path;
use std::sync::Arc;

/// A connection and what is chosen on it.
pub(super) struct Lane {
    pub(super) db: Db,
    pub(super) selection: Selection,
}

impl Lane {
    /// Opens a connection for one side of a move.
    pub(super) async fn open(path: &Path, closure: Arc<Closure>, form: Engine) -> Result<Lane> {
        let db = Db::open(path).await?;
        let selection = db
            .run(move |connection| {
                install::require(connection, &closure)?;
                Selection::prepare(connection, closure, form)
            })
            .await?;
        Ok(Lane { db, selection })
    }

    /// Works with the selection, and keeps what became of it.
    pub(super) async fn work<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&Connection, &mut Selection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let mut selection = self.selection.clone();
        let (selection, result) = self
            .db
            .run(move |connection| {
                let result = work(connection, &mut selection);
                Ok((selection, result))
            })
            .await?;
        self.selection = selection;
        result
    }
}

/// The owned or shared table at this place.
pub(super) fn owned(closure: &Closure, at: usize) -> Result<&crate::closure::OwnedTable> {
    if at < closure.places() {
        return Ok(closure.at(at));
    }
    Err(Error::new(Kind::Never, format!("there is no owned table number {at}")))
}
