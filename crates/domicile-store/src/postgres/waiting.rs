//! What a changed plan must not do to people who have left and wait to be erased.

use super::text::{owner_text, path_joins};
use crate::closure::Closure;
use crate::waiting::ForbiddenChange;
use tokio_postgres::{Error, Transaction};

/// The tables that had fences before, by number; none before the first installation.
pub(super) async fn guarded_tables(transaction: &Transaction<'_>) -> Result<Vec<u32>, Error> {
    let exists = "SELECT pg_catalog.to_regclass('domicile.guarded') IS NOT NULL";
    if !transaction.query_one(exists, &[]).await?.get::<_, bool>(0) {
        return Ok(Vec::new());
    }
    let rows = transaction.query("SELECT g.relation::oid FROM domicile.guarded g", &[]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// What the new closure, whose fences stand in this transaction, would do to them. The fences'
/// locks keep more such rows from coming now.
pub(super) async fn forbids(
    transaction: &Transaction<'_>,
    closure: &Closure,
    before: &[u32],
) -> Result<Option<ForbiddenChange>, Error> {
    let mut uncopied = Vec::new();
    for (at, table) in closure.owned.iter().enumerate() {
        let statement = format!(
            "SELECT $1::text::regclass::oid <> ALL ($2) AND EXISTS (SELECT 1 FROM {}, domicile.subject AS s \
             WHERE s.subject = {} AND s.state = 'moved')",
            path_joins(closure, at).0,
            owner_text(closure, at),
        );
        let row = transaction.query_one(&statement, &[&table.name.sql(), &before]).await?;
        if row.get(0) {
            uncopied.push(table.name.to_string());
        }
    }
    let rows = transaction
        .query(
            "SELECT c.oid::regclass::text FROM pg_catalog.pg_class c WHERE c.oid = ANY ($1) \
             AND c.oid NOT IN (SELECT r FROM domicile.relations() r) \
             AND EXISTS (SELECT 1 FROM domicile.subject s WHERE s.state = 'moved') ORDER BY 1",
            &[&before],
        )
        .await?;
    let unerased = rows.iter().map(|row| row.get(0)).collect();
    Ok(ForbiddenChange::of(uncopied, unerased))
}
