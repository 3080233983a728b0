//! Where people are at home as the sites' journals say, asked when it is not known and told when
//! it changes.

use crate::error::{Error, Kind, Result};
use crate::homes::{Home, Homes, SiteAt, Sites};
use crate::schema::Place;
use async_trait::async_trait;
use domicile_model::{SiteName, State, Subject};
use domicile_store::{JournalEntry, News, Residents, Whereabouts};
use futures_util::future::join_all;
use futures_util::{Stream, StreamExt as _};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Where a new person of a row is to live; `None` where nothing says so.
pub type Placing = Box<dyn Fn(&[(String, Option<String>)]) -> Option<SiteAt> + Send + Sync>;

/// Every site, asked through its journal.
pub struct Journals {
    residents: Vec<Arc<dyn Residents>>,
    placing: Placing,
    /// Where somebody whom nothing places signs up.
    otherwise: SiteAt,
}

impl Journals {
    /// The sites, in the order of their places.
    pub fn new(
        residents: Vec<Arc<dyn Residents>>,
        placing: Placing,
        otherwise: SiteAt,
    ) -> Journals {
        Journals { residents, placing, otherwise }
    }

    /// What every site says of somebody. One that does not answer says nothing, and why.
    async fn everywhere(&self, subject: &str) -> (Vec<Whereabouts>, Option<Error>) {
        let subject = Subject::new(subject);
        let asked = self.residents.iter().map(|site| in_time(site, site.whereabouts(&subject)));
        let mut away = None;
        let said = join_all(asked).await.into_iter();
        let said = said.map(|said| {
            said.unwrap_or_else(|error| {
                away = Some(error);
                Whereabouts::default()
            })
        });
        (said.collect(), away)
    }

    fn at(&self, name: &SiteName) -> Option<SiteAt> {
        self.residents.iter().position(|site| site.name() == name)
    }
}

#[async_trait]
impl Sites for Journals {
    async fn home(&self, subject: &str) -> Result<Option<Home>> {
        let (mut said, mut away) = self.everywhere(subject).await;
        if is_torn(&said) {
            // A move may have passed while the sites were asked one after another.
            (said, away) = self.everywhere(subject).await;
        }
        if away.is_some() {
            // Where somebody went once is not where they are: who knows may be away.
            said.iter_mut().for_each(|said| said.gone_to = None);
        }
        let home = home(&said, &|name| self.at(name)).map_err(|Torn| {
            Error::new(Kind::Undecided, "two sites say that they are this person's home")
                .hint("run domicile verify")
        })?;
        // Whoever is found is at home there, whatever a site that does not answer would say; whom
        // none of the others knows may be there.
        match (home, away) {
            (None, Some(away)) => Err(away),
            (home, _) => Ok(home),
        }
    }

    async fn owners(
        &self,
        table: Place,
        columns: &[String],
        values: &[String],
    ) -> Result<Vec<String>> {
        let asked = self.residents.iter();
        let asked = asked.map(|site| in_time(site, site.owners(table, columns, values)));
        let mut owners = Vec::new();
        let mut away = None;
        for found in join_all(asked).await {
            match found {
                Ok(found) => {
                    owners.extend(found.iter().map(|subject| subject.as_str().to_owned()));
                }
                // What none of the others has may be there.
                Err(error) => away = Some(error),
            }
        }
        if let Some(away) = away.filter(|error| owners.is_empty() || error.kind() != Kind::SiteAway)
        {
            return Err(away);
        }
        owners.sort();
        owners.dedup();
        Ok(owners)
    }

    fn place(&self, row: &[(String, Option<String>)]) -> SiteAt {
        (self.placing)(row).unwrap_or(self.otherwise)
    }

    async fn settle(&self, subject: &str, site: SiteAt) -> Result<()> {
        let (said, _) = self.everywhere(subject).await;
        let decided = said
            .iter()
            .filter_map(|said| said.entry.as_ref())
            .find(|entry| entry.state == State::Moved && self.at(&entry.peer) == Some(site));
        let Some(decided) = decided else { return Ok(()) };
        let subject = Subject::new(subject);
        self.residents[site].settle(decided.move_id, &subject).await.map_err(away)
    }
}

/// How long a site may take to say where somebody is.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

async fn in_time<T>(
    site: &Arc<dyn Residents>,
    answer: impl Future<Output = domicile_store::Result<T>>,
) -> Result<T> {
    match tokio::time::timeout(ANSWERS_WITHIN, answer).await {
        Ok(answer) => answer.map_err(away),
        Err(_) => Err(Error::new(
            Kind::SiteAway,
            format!("site {}: it does not say in time who is there", site.name()),
        )),
    }
}

fn away(error: domicile_store::Error) -> Error {
    let kind = match error.kind() {
        domicile_store::Kind::Never => Kind::Undecided,
        _ => Kind::SiteAway,
    };
    Error::new(kind, error.to_string()).because(error)
}

/// Two sites claim one person.
#[derive(Debug, PartialEq, Eq)]
struct Torn;

/// Sites at which somebody is at home by what they say, and not about to arrive or gone.
fn claims(said: &[Whereabouts]) -> Vec<(SiteAt, Option<&JournalEntry>)> {
    let claims = said.iter().enumerate().filter(|(_, said)| {
        said.is_here
            && !said
                .entry
                .as_ref()
                .is_some_and(|entry| matches!(entry.state, State::Moved | State::Arriving))
    });
    claims.map(|(site, said)| (site, said.entry.as_ref())).collect()
}

fn is_torn(said: &[Whereabouts]) -> bool {
    claims(said).len() > 1
}

/// The home that the sites' words together mean.
fn home(
    said: &[Whereabouts],
    at: &dyn Fn(&SiteName) -> Option<SiteAt>,
) -> Result<Option<Home>, Torn> {
    let claims = claims(said);
    match claims[..] {
        [(site, entry)] => {
            let is_under_way =
                entry.is_some_and(|entry| matches!(entry.state, State::Moving | State::Closing));
            Ok(Some(Home { site, is_under_way }))
        }
        [] => {
            // Decided and not settled yet; or erased behind, and the new home was asked before that.
            let entries = said.iter().filter_map(|said| said.entry.as_ref());
            let decided = entries
                .filter(|entry| entry.state == State::Moved)
                .max_by_key(|entry| entry.decided_at)
                .and_then(|entry| at(&entry.peer));
            let gone = said.iter().filter_map(|said| said.gone_to.as_ref()).find_map(at);
            Ok(decided.or(gone).map(|site| Home { site, is_under_way: true }))
        }
        _ => Err(Torn),
    }
}

/// Listens to one site's journal and keeps the homes that are known right, for as long as anybody
/// needs them.
pub async fn listen(homes: Weak<Homes>, residents: Arc<dyn Residents>, site: SiteAt) {
    while homes.strong_count() > 0 {
        match residents.news().await {
            Ok(news) => {
                if hear(&homes, news, site).await.is_none() {
                    return;
                }
                tracing::warn!(site = %residents.name(), "no news any more; homes are asked for");
            }
            Err(error) => tracing::warn!(site = %residents.name(), %error, "no news"),
        }
        tokio::time::sleep(LISTENS_AGAIN_AFTER).await;
    }
}

/// Takes news in until they end; `None` where nobody needs them any more.
async fn hear(
    homes: &Weak<Homes>,
    mut news: impl Stream<Item = domicile_store::Result<News>> + Unpin,
    site: SiteAt,
) -> Option<()> {
    homes.upgrade()?.hears_a_site();
    loop {
        match tokio::time::timeout(LOOKS_UP_AFTER, news.next()).await {
            Ok(Some(Ok(news))) => take_in(&*homes.upgrade()?, &news, site),
            Ok(_) => break,
            Err(_) if homes.strong_count() == 0 => return None,
            Err(_) => {}
        }
    }
    homes.upgrade()?.loses_a_site();
    Some(())
}

/// How long to wait before a broken connection is opened again.
const LISTENS_AGAIN_AFTER: Duration = Duration::from_millis(200);
/// How long to listen before it is looked whether anybody needs the news.
const LOOKS_UP_AFTER: Duration = Duration::from_secs(1);

fn take_in(homes: &Homes, news: &News, site: SiteAt) {
    match news {
        News::OfSomebody => homes.forget_all(),
        News::Of { subject, state } => {
            let is_under_way = matches!(state, State::Moving);
            homes.hear(subject.as_str(), Home { site, is_under_way });
        }
    }
}

#[cfg(test)]
mod tests;
