//! What an earlier copy brought, and how it makes room for a later one.

use super::PostgresArrival;
use crate::error::{Error, Kind, Result};
use crate::postgres::departure::subjects_of;
use crate::postgres::extent::{self, Chosen};
use crate::postgres::{erase, shared};
use crate::sql::idents;
use domicile_model::{MoveId, Subject};
use futures_util::future;

impl PostgresArrival {
    /// People of this announcement who are arriving here and whose rows have been committed here:
    /// what stands here under anybody else's key was not brought by this move.
    pub(super) async fn copied(
        &self,
        move_id: MoveId,
        subjects: &[Subject],
    ) -> Result<Vec<Subject>> {
        let names: Vec<&str> = subjects.iter().map(Subject::as_str).collect();
        let rows = self
            .session
            .client
            .query(
                "SELECT s.subject FROM domicile.subject s WHERE s.subject = ANY ($1) \
                 AND s.move_id = $2 AND s.state = 'arriving' AND s.copied \
                 ORDER BY s.subject FOR NO KEY UPDATE",
                &[&names, &move_id.0],
            )
            .await
            .map_err(|e| self.failed(e))?;
        Ok(subjects_of(&rows))
    }

    /// What this site has committed by now.
    pub(super) async fn snapshot(&self) -> Result<String> {
        let row = self
            .session
            .client
            .query_one("SELECT pg_catalog.pg_current_snapshot()::text", &[])
            .await
            .map_err(|e| self.failed(e))?;
        Ok(row.get(0))
    }

    /// Refuses to replace what was shipped since the mark: it may come from a newer snapshot.
    pub(super) async fn refuse_newer(&self, subjects: &[Subject]) -> Result<()> {
        let names: Vec<&str> = subjects.iter().map(Subject::as_str).collect();
        let row = self
            .session
            .client
            .query_one(
                "SELECT count(*) FROM domicile.subject s WHERE s.subject = ANY ($1) \
                 AND NOT pg_catalog.pg_visible_in_snapshot(s.shipped, $2::text::pg_snapshot)",
                &[&names, &self.mark],
            )
            .await
            .map_err(|e| self.failed(e))?;
        if row.get::<_, i64>(0) == 0 {
            return Ok(());
        }
        Err(Error::new(Kind::RetryNow, "rows of these people were shipped since the snapshot"))
    }

    /// Puts staged rows in the place of stale ones.
    pub(super) async fn replace(&self, table: usize, stage: &str) -> Result<()> {
        let Some((announcement, _)) = &self.open else { return Ok(()) };
        let peer = announcement.peer.as_str();
        let (session, closure) = (&self.session, &self.closure);
        let owned = &closure.owned[table];
        let columns = idents("", &owned.columns);
        let insert = format!(
            "INSERT INTO {} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM {stage}",
            owned.name.sql()
        );
        // Mostly nothing is stale, and one trip is enough.
        let at_once =
            format!("{insert} WHERE NOT EXISTS (SELECT 1 FROM pg_temp.domicile_rows_{table})");
        let stale = extent::choose_stale(session, closure, table, peer, &self.mark);
        let (stale, ()) = future::try_join(stale, session.batch(&at_once)).await?;
        if stale > 0 {
            extent::delete_stale(session, closure, table, stale).await?;
            session.batch(&insert).await?;
        }
        Ok(())
    }

    /// Deletes what an earlier copy of this move brought of these people.
    pub(super) async fn clear_people(&self, copied: &[Subject]) -> Result<()> {
        if !copied.is_empty() {
            self.refuse_newer(copied).await?;
            extent::choose_people(&self.session, &self.closure, copied).await?;
            erase::keep_referred(&self.session, &self.closure, &Chosen::People).await?;
            shared::loosen_brought(&self.session, &self.closure, &Chosen::People).await?;
            extent::delete_chosen(&self.session, &self.closure, &Chosen::People).await?;
            self.session.batch("DELETE FROM pg_temp.domicile_batch").await?;
        }
        Ok(())
    }
}
