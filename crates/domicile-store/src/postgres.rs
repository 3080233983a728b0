//! A site on PostgreSQL 15 or later.

mod arrival;
mod catalog;
mod client;
mod columns;
mod connecting;
mod departure;
mod digest;
mod directive;
mod erase;
mod erasure;
mod extent;
mod fence;
mod guard;
mod horizon;
mod install;
mod load;
mod patience;
mod people;
mod planner;
mod reference;
mod removal;
mod residents;
mod sample;
mod scan;
mod schema;
mod session;
mod shared;
mod tables;
mod text;
mod vacuum;
mod waiting;

use crate::catalog::{Catalog, Column, TableName};
use crate::closure::{Closure, OwnedTable, ReferenceTable};
use crate::error::Result;
use crate::site::{
    Arrival, ByteStream, Change, Claim, Departure, Directive, Engine, ErasedMove, Finding, Gauge,
    Installation, JournalEntry, KeyRemoval, Person, PersonStream, Reference, Residents, RowsRead,
    Sample, Sharing, Site, Vacuumed,
};
use async_trait::async_trait;
use domicile_model::{SiteName, Subject};
use session::{Session, Sessions};
use std::sync::Arc;
use std::time::Duration;

/// Where a site's server listens, for whoever speaks its protocol.
#[derive(Clone)]
pub struct Endpoint {
    /// The host: a name or an address, not a socket's folder.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The database.
    pub database: String,
    /// How TLS is spoken with it; `None` where the URL says that it is not.
    pub tls: Option<Arc<rustls::ClientConfig>>,
}

/// A site on PostgreSQL. The URL's role is the mover's: the fences step aside for it alone.
#[derive(Clone)]
pub struct PostgresSite {
    name: SiteName,
    sessions: Sessions,
}

impl PostgresSite {
    /// Connects once, to say early and clearly what is wrong: no answer, too old a server, a role
    /// that may not do what a move needs.
    pub async fn connect(name: SiteName, url: &str) -> Result<Self> {
        let sessions = Sessions::new(&name, url)?;
        let session = sessions.open().await?;
        session.check_server().await?;
        Ok(PostgresSite { name, sessions })
    }

    /// Connects for reading alone: sessions cannot write, any role will do that may read, and a
    /// standby serves as well. Nobody can be moved through such a site.
    pub async fn connect_to_read(name: SiteName, url: &str) -> Result<Self> {
        let sessions = Sessions::new(&name, url)?.for_reading();
        sessions.open().await?.check_version().await?;
        Ok(PostgresSite { name, sessions })
    }

    /// The same, with another time within which the site must give a sign of life while it is
    /// waited for; half a minute otherwise.
    #[must_use]
    pub fn answering_within(self, time: Duration) -> Self {
        PostgresSite { sessions: self.sessions.answering_within(time), ..self }
    }

    /// Where the site's server listens. A URL with several hosts means the first.
    pub fn endpoint(&self) -> Result<Endpoint> {
        self.sessions.endpoint()
    }

    /// The site as it is asked by whoever takes statements to people's homes.
    pub async fn residents(&self, closure: Arc<Closure>) -> Result<Box<dyn Residents>> {
        let residents =
            residents::PostgresResidents::open(&self.name, &self.sessions, closure).await?;
        Ok(Box::new(residents))
    }

    async fn open(&self) -> Result<Session> {
        self.sessions.open().await
    }
}

/// A session whose advisory lock is the claim; the server gives it back when the session ends.
struct SessionClaim {
    _session: Session,
}

impl Claim for SessionClaim {}

#[async_trait]
impl Site for PostgresSite {
    fn name(&self) -> &SiteName {
        &self.name
    }

    fn engine(&self) -> Engine {
        Engine::Postgres
    }

    async fn catalog(&self) -> Result<Catalog> {
        catalog::read(&self.open().await?).await
    }

    async fn sample(&self, table: &TableName, columns: &[String], rows_max: u32) -> Result<Sample> {
        sample::sample(&self.open().await?, table, columns, rows_max).await
    }

    async fn count_known(
        &self,
        table: &TableName,
        column: &Column,
        values: &[String],
    ) -> Result<u64> {
        sample::count_known(&self.open().await?, table, column, values).await
    }

    async fn count_crossing(
        &self,
        closure: &Closure,
        table: usize,
        columns: &[String],
        parent: usize,
        parent_columns: &[String],
    ) -> Result<u64> {
        let session = self.open().await?;
        scan::count_crossing(&session, closure, table, columns, parent, parent_columns).await
    }

    async fn count_sharing(
        &self,
        closure: &Closure,
        table: usize,
        columns: &[String],
    ) -> Result<Sharing> {
        scan::count_sharing(&self.open().await?, closure, table, columns).await
    }

    async fn key_removal(&self, columns: &[(TableName, Vec<String>)]) -> Result<KeyRemoval> {
        removal::read(&self.open().await?, columns).await
    }

    async fn remove_keys(&self, removal: &KeyRemoval) -> Result<()> {
        removal::run(&self.open().await?, removal).await
    }

    async fn schema_script(&self, tables: &[TableName]) -> Result<Vec<String>> {
        schema::script(&self.open().await?, tables).await
    }

    async fn apply_schema(&self, script: &[String]) -> Result<()> {
        schema::apply(&mut self.open().await?, script).await
    }

    async fn install(&self, installation: &Installation) -> Result<()> {
        install::install(&mut self.open().await?, installation).await
    }

    async fn is_installed(&self, installation: &Installation) -> Result<bool> {
        install::is_installed(&self.open().await?, installation).await
    }

    async fn claim(&self) -> Result<Box<dyn Claim>> {
        let session = self.open().await?;
        session.claim().await?;
        Ok(Box::new(SessionClaim { _session: session }))
    }

    async fn people(&self, closure: &Closure) -> Result<PersonStream> {
        people::stream(self.open().await?, closure).await
    }

    async fn journal(&self) -> Result<Vec<JournalEntry>> {
        people::journal(&self.open().await?).await
    }

    async fn look_up(
        &self,
        closure: &Closure,
        subject: &Subject,
    ) -> Result<(Option<JournalEntry>, Option<Person>)> {
        people::look_up(&self.open().await?, closure, subject).await
    }

    async fn gone(&self, subjects: &[Subject]) -> Result<Vec<(Subject, SiteName)>> {
        people::gone(&self.open().await?, subjects).await
    }

    async fn directives(&self) -> Result<Vec<Directive>> {
        directive::read(&self.open().await?).await
    }

    async fn direct(&self, subject: &Subject, change: &Change) -> Result<()> {
        directive::write(&self.open().await?, subject, change).await
    }

    async fn scan(&self, closure: &Closure) -> Result<Finding> {
        scan::scan(&mut self.open().await?, closure).await
    }

    async fn read_rows(&self, table: &OwnedTable, rows_max: u32) -> Result<RowsRead> {
        scan::read_rows(&self.open().await?, table, rows_max).await
    }

    async fn export_reference(&self, table: &ReferenceTable) -> Result<ByteStream<'static>> {
        scan::export_reference(self.open().await?, table).await
    }

    async fn import_reference(&self, table: &ReferenceTable, rows: ByteStream<'_>) -> Result<u64> {
        scan::import_reference(&mut self.open().await?, table, rows).await
    }

    async fn refusals(&self) -> Result<Option<u64>> {
        people::refusals(&self.open().await?).await
    }

    async fn erasures(&self) -> Result<Vec<ErasedMove>> {
        erasure::account(&self.open().await?).await
    }

    async fn vacuum(&self) -> Result<Vacuumed> {
        vacuum::vacuum(&self.open().await?).await
    }

    async fn rest(&self, keep: Duration) -> Result<()> {
        let mut session = self.open().await?;
        install::rest(&mut session, keep).await?;
        erasure::note_horizon(&session).await
    }

    async fn departure(&self, closure: Arc<Closure>) -> Result<Box<dyn Departure>> {
        Ok(Box::new(departure::PostgresDeparture::open(&self.sessions, closure).await?))
    }

    async fn arrival(&self, closure: Arc<Closure>) -> Result<Box<dyn Arrival>> {
        Ok(Box::new(arrival::PostgresArrival::open(&self.sessions, closure).await?))
    }

    async fn gauge(&self) -> Result<Option<Box<dyn Gauge>>> {
        Ok(Some(Box::new(load::PostgresGauge(self.open().await?))))
    }

    async fn reference(&self, closure: Arc<Closure>) -> Result<Box<dyn Reference>> {
        Ok(Box::new(reference::PostgresReference::new(self.open().await?, closure)))
    }
}
