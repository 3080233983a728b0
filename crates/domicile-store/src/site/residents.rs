//! A site as it is asked by whoever takes statements to people's homes.

use super::JournalEntry;
use crate::error::Result;
use async_trait::async_trait;
use domicile_model::{MoveId, SiteName, State, Subject};
use futures_util::stream::BoxStream;

/// What one site knows of where a person is at home.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Whereabouts {
    /// What the journal says of them.
    pub entry: Option<JournalEntry>,
    /// Whether their root row stands here.
    pub is_here: bool,
    /// The home that a tombstone names.
    pub gone_to: Option<SiteName>,
}

/// A change in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// What the journal says of a person now.
    Of {
        /// The person.
        subject: Subject,
        /// The state: moving, withdrawn, or resident. A decision is not told.
        state: State,
    },
    /// Of somebody whose key is too long to be told.
    OfSomebody,
}

/// News as they are committed, in order. Ends with an error when the connection does; what happens
/// from then on is not told.
pub type NewsStream = BoxStream<'static, Result<News>>;

/// One site's residents. Its connection is kept, and opened anew when it breaks.
#[async_trait]
pub trait Residents: Send + Sync {
    /// The site's name.
    fn name(&self) -> &SiteName;

    /// What the site knows of a person. A text that is no key of the root table is nobody.
    async fn whereabouts(&self, subject: &Subject) -> Result<Whereabouts>;

    /// Who owns rows of an owned table with these values, each once and at most two; the values are
    /// texts that the columns' types read; others are [`crate::Kind::Never`], for an equality may
    /// hold that is not between texts.
    async fn owners(
        &self,
        table: usize,
        columns: &[String],
        values: &[String],
    ) -> Result<Vec<Subject>>;

    /// Makes a person who has been decided to live here a resident; whoever calls has seen the
    /// decision. Idempotent, and does nothing of another move.
    async fn settle(&self, move_id: MoveId, subject: &Subject) -> Result<()>;

    /// Listens to the journal from now on: what is committed after this returns is told.
    async fn news(&self) -> Result<NewsStream>;
}
