//! What an engine brings so that the suite can run on it.

use async_trait::async_trait;
use domicile_store::Site;
use std::sync::Arc;

/// One of the two sites of a bed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Where people live at the beginning.
    Source,
    /// Where they move to.
    Target,
}

impl End {
    pub(crate) fn other(self) -> End {
        match self {
            End::Source => End::Target,
            End::Target => End::Source,
        }
    }

    /// The site's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            End::Source => "dub1",
            End::Target => "fra1",
        }
    }
}

/// Two empty databases of one engine, gone with this value.
#[async_trait]
pub(crate) trait Bed: Send + Sync + Sized + 'static {
    /// What stands for `{id}` in a schema: the type of keys.
    const ID: &'static str;

    /// Statements that take rows away from the badges without a DELETE.
    const REPLACING: &'static [&'static str];

    /// Makes the two databases.
    async fn make() -> Self;

    /// Opens the site as a process of its own would.
    async fn site(&self, end: End) -> Arc<dyn Site>;

    /// Connects as the platform's application, past the mover.
    async fn app(&self, end: End) -> Box<dyn App>;

    /// Drops one of the fences of a table, as somebody with the rights may.
    async fn drop_fence(&self, end: End, table: &str);

    /// Every foreign key as the engine itself writes it down.
    async fn keys(&self, end: End) -> Vec<String>;

    /// Writes as nobody should: foreign keys unchecked, no trigger fired.
    async fn plant(&self, end: End, sql: &str);
}

/// A connection of the application. A transaction begun with `begin` stays open across calls.
#[async_trait]
pub(crate) trait App: Send {
    /// Runs statements; returns how many rows the last one changed.
    async fn run(&mut self, sql: &str) -> Result<u64, Refusal>;

    /// Runs a query; each row is one text, its columns separated by `|`, NULL as `∅`.
    async fn rows(&mut self, sql: &str) -> Vec<String>;
}

/// What the database answered to the application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The SQLSTATE, or the message's first word where there is none.
    pub(crate) code: String,
    /// The message.
    pub(crate) message: String,
}

impl Refusal {
    /// Whether it says that the person's home is elsewhere, and where.
    pub(crate) fn names(&self, home: End) -> bool {
        self.code == "DM001" && self.message.contains(home.name())
    }
}
