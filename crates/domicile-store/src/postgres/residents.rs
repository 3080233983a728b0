//! Asking a PostgreSQL site where people are at home, and hearing of those who move.

use super::people;
use super::session::{Session, Sessions};
use super::text::{key_text, path_joins, subject_parts};
use crate::closure::Closure;
use crate::error::{Error, Kind, Result};
use crate::site::{News, NewsStream, Residents, Whereabouts};
use crate::sql::ident;
use async_trait::async_trait;
use domicile_model::{MoveId, SiteName, Subject};
use futures_util::{StreamExt as _, future, stream};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio_postgres::Notification;

/// The channel on which the journal tells of its changes.
const CHANNEL: &str = "domicile";

/// One site, with a connection that is kept.
pub(super) struct PostgresResidents {
    name: SiteName,
    sessions: Sessions,
    closure: Arc<Closure>,
    session: Mutex<Option<Arc<Session>>>,
}

impl PostgresResidents {
    pub(super) async fn open(
        name: &SiteName,
        sessions: &Sessions,
        closure: Arc<Closure>,
    ) -> Result<Self> {
        let sessions = sessions.clone().into_router();
        let residents =
            PostgresResidents { name: name.clone(), sessions, closure, session: Mutex::new(None) };
        let session = residents.session().await?;
        if !people::is_installed(&session).await? {
            return Err(Error::new(Kind::Operator, format!("site {name} is not prepared"))
                .hint("run domicile prepare"));
        }
        Ok(residents)
    }

    async fn session(&self) -> Result<Arc<Session>> {
        let mut kept = self.session.lock().await;
        if let Some(session) = kept.as_ref().filter(|session| !session.client.is_closed()) {
            return Ok(session.clone());
        }
        let session = Arc::new(self.sessions.open().await?);
        *kept = Some(session.clone());
        Ok(session)
    }

    /// Asks, and once more over a new connection where the kept one turns out to have ended: what
    /// is asked here changes nothing, or nothing the second time.
    async fn ask<T, Answer>(&self, question: impl Fn(Arc<Session>) -> Answer) -> Result<T>
    where
        Answer: Future<Output = Result<T>>,
    {
        let session = self.session().await?;
        match question(session.clone()).await {
            Err(error) if error.kind() == Kind::RetryLater => {
                self.session.lock().await.take_if(|kept| Arc::ptr_eq(kept, &session));
                question(self.session().await?).await
            }
            answer => answer,
        }
    }
}

/// Whether a text could not be read as a value of its column's type.
fn is_no_value(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|code| code.code().starts_with("22"))
}

#[async_trait]
impl Residents for PostgresResidents {
    fn name(&self) -> &SiteName {
        &self.name
    }

    async fn whereabouts(&self, subject: &Subject) -> Result<Whereabouts> {
        let root = self.closure.root();
        let parts = root.key.iter().zip(subject_parts("x", root));
        let parts: Vec<String> =
            parts.map(|(column, part)| format!("t0.{} = {part}", ident(column))).collect();
        let statement = format!(
            "SELECT {}, EXISTS (SELECT 1 FROM {} AS t0 WHERE {}), g.home \
             FROM (SELECT $1::text AS subject) AS x \
             LEFT JOIN domicile.subject s ON s.subject = x.subject AND s.state <> 'withdrawn' \
             LEFT JOIN domicile.gone g ON g.subject = x.subject",
            people::ENTRY,
            root.name.sql(),
            parts.join(" AND "),
        );
        let (statement, with) = (&statement, subject.as_str());
        let row = self.ask(|session| async move {
            match session.client.query_one(statement, &[&with]).await {
                Err(error) if is_no_value(&error) => Ok(None),
                row => row.map(Some).map_err(|error| session.failed(error)),
            }
        });
        let Some(row) = row.await? else { return Ok(Whereabouts::default()) };
        let has_entry = row.get::<_, Option<&str>>(1).is_some();
        let gone_to: Option<&str> = row.get(7);
        Ok(Whereabouts {
            entry: if has_entry { Some(people::entry(&row)?) } else { None },
            is_here: row.get(6),
            gone_to: gone_to.map(people::site_name).transpose()?,
        })
    }

    async fn owners(
        &self,
        table: usize,
        columns: &[String],
        values: &[String],
    ) -> Result<Vec<Subject>> {
        let (from, last) = path_joins(&self.closure, table);
        let owner = key_text(&last, self.closure.owner_columns(table));
        let owned = &self.closure.owned[table];
        let equal = columns.iter().enumerate().map(|(at, column)| {
            let type_name = owned.type_of(column).unwrap_or("text");
            format!("t0.{} = ($1[{}])::{type_name}", ident(column), at + 1)
        });
        let equal: Vec<String> = equal.collect();
        let statement =
            format!("SELECT DISTINCT {owner} FROM {from} WHERE {} LIMIT 2", equal.join(" AND "));
        let statement = &statement;
        let rows = self.ask(|session| async move {
            session.client.query(statement, &[&values]).await.map_err(|error| {
                if !is_no_value(&error) {
                    return session.failed(error);
                }
                let text = format!("a value is not what a column of {} holds", owned.name);
                Error::new(Kind::Never, text)
                    .hint("send it as the column's own type")
                    .because(error)
            })
        });
        let rows = rows.await?;
        let owners = rows.iter().filter_map(|row| row.get::<_, Option<String>>(0));
        Ok(owners.map(Subject::new).collect())
    }

    async fn settle(&self, move_id: MoveId, subject: &Subject) -> Result<()> {
        let subjects = std::slice::from_ref(subject);
        let settled = self.ask(|session| async move {
            super::arrival::settle(&session, move_id, subjects).await.map(|_| ())
        });
        settled.await
    }

    async fn news(&self) -> Result<NewsStream> {
        let (session, mut notifications) = self.sessions.open_to_listen().await?;
        session.batch(&format!("LISTEN {CHANNEL}")).await?;
        let name = self.name.clone();
        let end = move || {
            Err(Error::new(Kind::RetryLater, format!("site {name} tells no news any more")))
        };
        let told = stream::poll_fn(move |context| notifications.poll_recv(context));
        let told = told.flat_map(|notification| stream::iter(read(&notification)));
        let told = told.chain(stream::once(future::ready(end())));
        // The session lives as long as somebody listens.
        let silence = stream::once(async move {
            while answers(&session).await {
                tokio::time::sleep(ASKS_EVERY).await;
            }
            end()
        });
        Ok(stream::select(told, silence).boxed())
    }
}

/// Whether a connection still has another end: what nothing comes from any more looks like one of
/// which there is nothing to tell.
async fn answers(session: &Session) -> bool {
    let asked = tokio::time::timeout(ANSWERS_WITHIN, session.batch("SELECT 1"));
    matches!(asked.await, Ok(Ok(())))
}

/// How often that is asked, and how long an answer may take.
const ASKS_EVERY: Duration = Duration::from_millis(500);
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// The lines of one notification.
fn read(notification: &Notification) -> Vec<Result<News>> {
    if notification.channel() != CHANNEL {
        return Vec::new();
    }
    notification.payload().lines().map(read_line).collect()
}

/// `state subject`, as `domicile.tell` writes it; `?` where the subject is too long.
fn read_line(line: &str) -> Result<News> {
    if line == "?" {
        return Ok(News::OfSomebody);
    }
    let told = line.split_once(' ').and_then(|(state, subject)| {
        let subject = Subject::new(unescaped(subject));
        state.parse().ok().map(|state| News::Of { subject, state })
    });
    told.ok_or_else(|| {
        Error::new(Kind::Operator, "a site tells news that cannot be read")
            .hint("run domicile prepare, so that every site speaks one version")
    })
}

/// A line break in a key is written `\n`, a backslash doubled.
fn unescaped(text: &str) -> String {
    let mut letters = text.chars();
    let mut whole = String::with_capacity(text.len());
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                Some('n') => whole.push('\n'),
                Some(other) => whole.push(other),
                None => {}
            },
            letter => whole.push(letter),
        }
    }
    whole
}
