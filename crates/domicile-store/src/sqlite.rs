//! A site in an SQLite database file.
//!
//! Everything SQLite does blocks, so it happens in blocking threads; streams come out of them
//! through short channels, so that memory stays bounded whatever is moved.

mod announcement;
pub mod application;
mod arrival;
mod catalog;
mod claim;
mod connection;
mod copy;
mod crossing;
mod ddl;
mod decision;
mod departure;
mod digest;
mod directive;
mod erase;
mod erasure;
mod extent;
mod fence;
mod hold;
mod horizon;
mod install;
mod integrity;
mod journal;
mod keys;
mod lane;
mod load;
mod notes;
mod owner;
mod people;
mod reference;
mod removal;
mod rows;
mod sample;
mod scan;
mod schema;
mod shared;
mod stream;
mod waiting;

use crate::catalog::{Catalog, Column, TableName};
use crate::closure::{Closure, OwnedTable};
use crate::error::{Error, Kind, Result};
use crate::site::{
    Arrival, ByteStream, Change, Claim, Departure, Directive, Engine, ErasedMove, Finding,
    Installation, JournalEntry, KeyRemoval, Person, PersonStream, Reference, ReferenceName,
    RowsRead, Sample, Sharing, Site,
};
use crate::sql::idents;
use crate::sqlite::connection::{blocking, open, reading, writing};
use async_trait::async_trait;
pub(crate) use catalog::Affinity;
use domicile_model::{SiteName, Subject};
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A site whose people are in one SQLite database file.
#[derive(Clone, Debug)]
pub struct SqliteSite {
    name: SiteName,
    path: PathBuf,
    form: Engine,
}

impl SqliteSite {
    /// The site in this database file, which must exist.
    pub fn open(name: SiteName, path: &Path) -> Result<SqliteSite> {
        SqliteSite::check(name, path, false)
    }

    /// The site in this database file, which is created where there is none.
    pub fn create(name: SiteName, path: &Path) -> Result<SqliteSite> {
        SqliteSite::check(name, path, true)
    }

    fn check(name: SiteName, path: &Path, create: bool) -> Result<SqliteSite> {
        open(path, create)?;
        // Two ways to write one path must meet at the same lock file.
        let path = path.canonicalize().map_err(|error| {
            Error::new(Kind::Never, format!("{} cannot be found", path.display()))
                .hint("check the path in the configuration")
                .because(error)
        })?;
        Ok(SqliteSite { name, path, form: Engine::Sqlite })
    }

    /// The same site among sites on PostgreSQL: people leave it, and nobody comes. Its catalog,
    /// rows, keys and digests are told in PostgreSQL's form, and closures name tables and types as
    /// PostgreSQL has them.
    #[must_use]
    pub fn facing_postgres(mut self) -> SqliteSite {
        self.form = Engine::Postgres;
        self
    }

    /// A closure as this database names its tables.
    fn own(&self, closure: &Closure) -> Closure {
        match self.form {
            Engine::Sqlite => closure.clone(),
            Engine::Postgres => crossing::local(closure),
        }
    }

    fn own_installation(&self, installation: &Installation) -> Installation {
        let closure = Arc::new(self.own(&installation.closure));
        Installation { closure, ..installation.clone() }
    }

    /// Works on a connection of its own.
    async fn on_own<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let path = self.path.clone();
        blocking(move || work(&open(&path, false)?)).await
    }
}

#[async_trait]
impl Site for SqliteSite {
    fn name(&self) -> &SiteName {
        &self.name
    }

    fn engine(&self) -> Engine {
        Engine::Sqlite
    }

    fn form(&self) -> Engine {
        self.form
    }

    async fn catalog(&self) -> Result<Catalog> {
        match self.form {
            Engine::Sqlite => self.on_own(catalog::read).await,
            Engine::Postgres => self.on_own(crossing::catalog).await,
        }
    }

    async fn sample(&self, table: &TableName, columns: &[String], rows_max: u32) -> Result<Sample> {
        let (table, columns) = (table.clone(), columns.to_vec());
        self.on_own(move |connection| sample::sample(connection, &table, &columns, rows_max)).await
    }

    async fn count_known(
        &self,
        table: &TableName,
        column: &Column,
        values: &[String],
    ) -> Result<u64> {
        let (table, column, values) = (table.clone(), column.name.clone(), values.to_vec());
        self.on_own(move |connection| sample::count_known(connection, &table, &column, &values))
            .await
    }

    async fn count_crossing(
        &self,
        closure: &Closure,
        table: usize,
        columns: &[String],
        parent: usize,
        parent_columns: &[String],
    ) -> Result<u64> {
        let closure = self.own(closure);
        let (columns, parent_columns) = (columns.to_vec(), parent_columns.to_vec());
        self.on_own(move |connection| {
            scan::crossing(connection, &closure, (table, &columns), (parent, &parent_columns))
        })
        .await
    }

    async fn count_sharing(
        &self,
        closure: &Closure,
        table: usize,
        columns: &[String],
    ) -> Result<Sharing> {
        let (closure, columns) = (self.own(closure), columns.to_vec());
        self.on_own(move |connection| scan::sharing(connection, &closure, table, &columns)).await
    }

    async fn key_removal(&self, columns: &[(TableName, Vec<String>)]) -> Result<KeyRemoval> {
        // Whatever form names are told in, the file knows them without a schema.
        let own = |name: &TableName| TableName { schema: None, name: name.name.clone() };
        let columns: Vec<(TableName, Vec<String>)> =
            columns.iter().map(|(table, columns)| (own(table), columns.clone())).collect();
        self.on_own(move |connection| {
            reading(connection, removal::DOING, || removal::read(connection, &columns))
        })
        .await
    }

    async fn remove_keys(&self, removal: &KeyRemoval) -> Result<()> {
        let removal = removal.clone();
        self.on_own(move |connection| removal::run(connection, &removal)).await
    }

    async fn schema_script(&self, tables: &[TableName]) -> Result<Vec<String>> {
        let tables = tables.to_vec();
        match self.form {
            Engine::Sqlite => {
                self.on_own(move |connection| schema::script(connection, &tables)).await
            }
            Engine::Postgres => {
                self.on_own(move |connection| crossing::script(connection, &tables)).await
            }
        }
    }

    async fn apply_schema(&self, script: &[String]) -> Result<()> {
        if self.form == Engine::Postgres {
            return Err(crossing::refuse("no tables are made"));
        }
        let script = script.to_vec();
        self.on_own(move |connection| schema::apply(connection, &script)).await
    }

    async fn install(&self, installation: &Installation) -> Result<()> {
        let (installation, here) = (self.own_installation(installation), self.name.clone());
        self.on_own(move |connection| install::install(connection, &installation, &here)).await
    }

    async fn is_installed(&self, installation: &Installation) -> Result<bool> {
        let (installation, here) = (self.own_installation(installation), self.name.clone());
        self.on_own(move |connection| install::is_installed(connection, &installation, &here)).await
    }

    async fn claim(&self) -> Result<Box<dyn Claim>> {
        claim::claim(&self.path)
    }

    async fn people(&self, closure: &Closure) -> Result<PersonStream> {
        let (path, closure) = (self.path.clone(), self.own(closure));
        Ok(stream::from_thread(move |outlet| people::all(&open(&path, false)?, &closure, outlet)))
    }

    async fn journal(&self) -> Result<Vec<JournalEntry>> {
        self.on_own(journal::entries).await
    }

    async fn look_up(
        &self,
        closure: &Closure,
        subject: &Subject,
    ) -> Result<(Option<JournalEntry>, Option<Person>)> {
        let (closure, subject) = (self.own(closure), subject.clone());
        self.on_own(move |connection| {
            reading(connection, "looking a person up", || {
                let entry = if install::has_journal(connection)? {
                    journal::entry(connection, &subject)?
                } else {
                    None
                };
                Ok((entry, people::one(connection, &closure, &subject)?))
            })
        })
        .await
    }

    async fn gone(&self, subjects: &[Subject]) -> Result<Vec<(Subject, SiteName)>> {
        let subjects = subjects.to_vec();
        self.on_own(move |connection| journal::gone(connection, &subjects)).await
    }

    async fn directives(&self) -> Result<Vec<Directive>> {
        self.on_own(directive::read).await
    }

    async fn direct(&self, subject: &Subject, change: &Change) -> Result<()> {
        let (subject, change) = (subject.clone(), change.clone());
        self.on_own(move |connection| directive::write(connection, &subject, &change)).await
    }

    async fn scan(&self, closure: &Closure) -> Result<Finding> {
        let (own, form) = (self.own(closure), self.form);
        let mut finding = self.on_own(move |connection| scan::scan(connection, &own, form)).await?;
        for (found, table) in finding.reference.iter_mut().zip(&closure.reference) {
            found.0.clone_from(&table.name);
        }
        Ok(finding)
    }

    async fn read_rows(&self, table: &OwnedTable, rows_max: u32) -> Result<RowsRead> {
        let mut table = table.clone();
        table.name.schema = None;
        self.on_own(move |connection| scan::read_rows(connection, &table, rows_max)).await
    }

    async fn export_reference(&self, table: &ReferenceName) -> Result<ByteStream<'static>> {
        let (path, table, form) = (self.path.clone(), table.clone(), self.form);
        let own = TableName { schema: None, name: table.name.name.clone() };
        Ok(stream::from_thread(move |outlet| {
            let connection = open(&path, false)?;
            let name = own.to_string();
            let sql = format!("SELECT {} FROM {}", idents("", &table.columns), own.sql());
            match form {
                Engine::Sqlite => stream::give_rows(&connection, &name, &sql, &[], outlet),
                Engine::Postgres => {
                    copy::give_rows(&connection, &copy::Told::reference(&table), &sql, outlet)
                }
            }
        }))
    }

    async fn import_reference(&self, table: &ReferenceName, rows: ByteStream<'_>) -> Result<u64> {
        if self.form == Engine::Postgres {
            return Err(crossing::refuse("reference rows do not arrive"));
        }
        let (path, table) = (self.path.clone(), table.clone());
        load::feed(rows, table.columns.len(), move |inlet| {
            let connection = open(&path, false)?;
            writing(&connection, "loading a reference table", || {
                load::refuse_filled(&connection, &table.name)?;
                let mut loader = load::Loader::new(&connection, &table.name, &table.columns)?;
                inlet.each(|row| loader.insert(&row))
            })
        })
        .await
    }

    async fn refusals(&self) -> Result<Option<u64>> {
        // A refusal is an error, and an error undoes whatever would have counted it.
        Ok(None)
    }

    async fn erasures(&self) -> Result<Vec<ErasedMove>> {
        let path = self.path.clone();
        self.on_own(move |connection| {
            reading(connection, erasure::DOING, || erasure::account(connection, &path))
        })
        .await
    }

    async fn rest(&self, keep: Duration) -> Result<()> {
        self.on_own(move |connection| journal::rest(connection, keep)).await
    }

    async fn departure(&self, closure: Arc<Closure>) -> Result<Box<dyn Departure>> {
        let closure = Arc::new(self.own(&closure));
        Ok(Box::new(departure::SqliteDeparture::open(&self.path, closure, self.form).await?))
    }

    async fn arrival(&self, closure: Arc<Closure>) -> Result<Box<dyn Arrival>> {
        let closure = Arc::new(self.own(&closure));
        Ok(Box::new(arrival::SqliteArrival::open(&self.path, closure, self.form).await?))
    }

    async fn reference(&self, closure: Arc<Closure>) -> Result<Box<dyn Reference>> {
        let closure = Arc::new(self.own(&closure));
        Ok(Box::new(reference::SqliteReference::open(&self.path, closure, self.form).await?))
    }
}
