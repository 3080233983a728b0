//! The site itself: calls that either end answers.

use super::Faults;
use super::lane::Lane;
use crate::catalog::{Catalog, Column, TableName};
use crate::closure::{Closure, OwnedTable};
use crate::error::Result;
use crate::site::{
    Arrival, ByteStream, Change, Claim, Departure, Directive, Engine, ErasedMove, Finding, Gauge,
    Installation, JournalEntry, KeyRemoval, Person, PersonStream, Reference, ReferenceName,
    RowsRead, Sample, Sharing, Site, Vacuumed,
};
use async_trait::async_trait;
use domicile_model::{SiteName, Subject};
use std::sync::Arc;
use std::time::Duration;

/// A site, seen through a process that dies where [`Faults`] says.
pub struct Faulty {
    inner: Arc<dyn Site>,
    faults: Faults,
}

impl Faulty {
    /// Wraps a site; wrappers of both ends share the faults of the one process that uses them.
    pub fn new(inner: Arc<dyn Site>, faults: Faults) -> Self {
        Faulty { inner, faults }
    }
}

/// Makes the call between its point's entry and exit.
macro_rules! forward {
    ($self:ident, $point:literal, $method:ident($($argument:expr),*)) => {{
        let passage = $self.faults.pass($point)?;
        let answer = $self.inner.$method($($argument),*).await;
        $self.faults.finish(passage, answer)
    }};
}

#[async_trait]
impl Site for Faulty {
    fn name(&self) -> &SiteName {
        self.inner.name()
    }

    fn engine(&self) -> Engine {
        self.inner.engine()
    }

    fn form(&self) -> Engine {
        self.inner.form()
    }

    async fn catalog(&self) -> Result<Catalog> {
        forward!(self, "site.catalog", catalog())
    }

    async fn sample(&self, table: &TableName, columns: &[String], rows_max: u32) -> Result<Sample> {
        // No move looks at samples, so that none can die here.
        self.inner.sample(table, columns, rows_max).await
    }

    async fn count_known(
        &self,
        table: &TableName,
        column: &Column,
        values: &[String],
    ) -> Result<u64> {
        self.inner.count_known(table, column, values).await
    }

    async fn count_crossing(
        &self,
        closure: &Closure,
        table: usize,
        columns: &[String],
        parent: usize,
        parent_columns: &[String],
    ) -> Result<u64> {
        forward!(
            self,
            "site.count_crossing",
            count_crossing(closure, table, columns, parent, parent_columns)
        )
    }

    async fn count_sharing(
        &self,
        closure: &Closure,
        table: usize,
        columns: &[String],
    ) -> Result<Sharing> {
        forward!(self, "site.count_sharing", count_sharing(closure, table, columns))
    }

    async fn key_removal(&self, columns: &[(TableName, Vec<String>)]) -> Result<KeyRemoval> {
        forward!(self, "site.key_removal", key_removal(columns))
    }

    async fn remove_keys(&self, removal: &KeyRemoval) -> Result<()> {
        forward!(self, "site.remove_keys", remove_keys(removal))
    }

    async fn schema_script(&self, tables: &[TableName]) -> Result<Vec<String>> {
        forward!(self, "site.schema_script", schema_script(tables))
    }

    async fn apply_schema(&self, script: &[String]) -> Result<()> {
        forward!(self, "site.apply_schema", apply_schema(script))
    }

    async fn install(&self, installation: &Installation) -> Result<()> {
        forward!(self, "site.install", install(installation))
    }

    async fn is_installed(&self, installation: &Installation) -> Result<bool> {
        forward!(self, "site.is_installed", is_installed(installation))
    }

    async fn claim(&self) -> Result<Box<dyn Claim>> {
        forward!(self, "site.claim", claim())
    }

    async fn people(&self, closure: &Closure) -> Result<PersonStream> {
        forward!(self, "site.people", people(closure))
    }

    async fn journal(&self) -> Result<Vec<JournalEntry>> {
        forward!(self, "site.journal", journal())
    }

    async fn look_up(
        &self,
        closure: &Closure,
        subject: &Subject,
    ) -> Result<(Option<JournalEntry>, Option<Person>)> {
        forward!(self, "site.look_up", look_up(closure, subject))
    }

    async fn gone(&self, subjects: &[Subject]) -> Result<Vec<(Subject, SiteName)>> {
        forward!(self, "site.gone", gone(subjects))
    }

    async fn directives(&self) -> Result<Vec<Directive>> {
        forward!(self, "site.directives", directives())
    }

    async fn direct(&self, subject: &Subject, change: &Change) -> Result<()> {
        forward!(self, "site.direct", direct(subject, change))
    }

    async fn scan(&self, closure: &Closure) -> Result<Finding> {
        forward!(self, "site.scan", scan(closure))
    }

    async fn read_rows(&self, table: &OwnedTable, rows_max: u32) -> Result<RowsRead> {
        forward!(self, "site.read_rows", read_rows(table, rows_max))
    }

    async fn export_reference(&self, table: &ReferenceName) -> Result<ByteStream<'static>> {
        forward!(self, "site.export_reference", export_reference(table))
    }

    async fn import_reference(&self, table: &ReferenceName, rows: ByteStream<'_>) -> Result<u64> {
        forward!(self, "site.import_reference", import_reference(table, rows))
    }

    async fn refusals(&self) -> Result<Option<u64>> {
        forward!(self, "site.refusals", refusals())
    }

    async fn erasures(&self) -> Result<Vec<ErasedMove>> {
        // No move asks for it.
        self.inner.erasures().await
    }

    async fn vacuum(&self) -> Result<Vacuumed> {
        // A move is over by then.
        self.inner.vacuum().await
    }

    async fn rest(&self, keep: Duration) -> Result<()> {
        forward!(self, "site.rest", rest(keep))
    }

    async fn departure(&self, closure: Arc<Closure>) -> Result<Box<dyn Departure>> {
        let inner = forward!(self, "source.open", departure(closure))?;
        Ok(Box::new(Lane::new(inner, self.faults.clone())))
    }

    async fn arrival(&self, closure: Arc<Closure>) -> Result<Box<dyn Arrival>> {
        let inner = forward!(self, "target.open", arrival(closure))?;
        Ok(Box::new(Lane::new(inner, self.faults.clone())))
    }

    async fn gauge(&self) -> Result<Option<Box<dyn Gauge>>> {
        // It only looks, beside the calls of a move.
        self.inner.gauge().await
    }

    async fn reference(&self, closure: Arc<Closure>) -> Result<Box<dyn Reference>> {
        let inner = forward!(self, "reference.open", reference(closure))?;
        Ok(Box::new(Lane::new(inner, self.faults.clone())))
    }
}
