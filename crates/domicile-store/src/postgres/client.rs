//! A client whose calls do not wait for ever for a server that has fallen silent.
//!
//! How long a call may take cannot be told from the call: a digest of somebody with a million rows
//! and a wait for a lock are as long as they are, and a decision must not be cut off at all. So no
//! call has a time limit. One that has no answer for a while makes us ask the server, over a new
//! connection, what it does for us. Is it at work, the call goes on, however long. Does it rest
//! though we wait, or not answer either, twice running, the connection is dropped, and every call
//! on it fails at once.
//!
//! Keepalives notice a host that is gone; they do not notice a proxy or a frozen process whose
//! kernel goes on acknowledging.

use super::session::{Sessions, refused};
use crate::error::{Error, Kind};
use bytes::Bytes;
use domicile_model::SiteName;
use futures_util::{SinkExt as _, Stream, future};
use std::collections::BTreeMap;
use std::ops::Deref;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{CopyInSink, CopyOutStream, Row, RowStream, Statement};

/// Into how many parts the time is divided after which a connection is given up: in the first two
/// a call may have begun, the others are for two looks and the time between them.
const PARTS: u32 = 5;

type Result<T> = std::result::Result<T, tokio_postgres::Error>;
type Parameters<'a> = &'a [&'a dyn Parameter];

/// A value with the type as which it is sent: a statement whose types the server need not be asked
/// for takes one trip and not two.
pub(super) trait Parameter: ToSql + Sync {
    /// The type.
    fn type_of(&self) -> Type;
}

macro_rules! parameters {
    ($($rust:ty => $sql:ident),* $(,)?) => {$(
        impl Parameter for $rust {
            fn type_of(&self) -> Type {
                Type::$sql
            }
        }
    )*};
}

parameters! {
    bool => BOOL,
    i32 => INT4,
    i64 => INT8,
    f64 => FLOAT8,
    &str => TEXT,
    String => TEXT,
    Option<&str> => TEXT,
    Option<String> => TEXT,
    Vec<&str> => TEXT_ARRAY,
    Vec<String> => TEXT_ARRAY,
    Vec<Option<&str>> => TEXT_ARRAY,
    &[String] => TEXT_ARRAY,
    Vec<i64> => INT8_ARRAY,
    &[i64] => INT8_ARRAY,
    Vec<bool> => BOOL_ARRAY,
}

fn typed<'a>(with: &[&'a dyn Parameter]) -> Vec<(&'a (dyn ToSql + Sync), Type)> {
    with.iter().map(|parameter| (*parameter as &(dyn ToSql + Sync), parameter.type_of())).collect()
}

/// What is known of the calls of one connection.
#[derive(Debug, Default)]
pub(super) struct Calls {
    /// Calls without an answer.
    waiting: AtomicU64,
    /// Calls that have had theirs, or another piece of it.
    answered: AtomicU64,
    /// Whether the connection was dropped because nothing came.
    is_silent: AtomicBool,
    /// The server's process for this connection, once it is known.
    process: OnceLock<i32>,
}

/// One call without an answer, until dropped.
struct Call(Arc<Calls>);

impl Call {
    fn begin(calls: &Arc<Calls>) -> Call {
        calls.waiting.fetch_add(1, Ordering::Relaxed);
        Call(calls.clone())
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.0.answered.fetch_add(1, Ordering::Relaxed);
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Accounts for a call that does not end at once, which costs a streamed row nothing.
async fn during<F: Future>(calls: &Arc<Calls>, call: F) -> F::Output {
    let mut call = pin!(call);
    if let Some(answer) = future::poll_immediate(&mut call).await {
        return answer;
    }
    let _waiting = Call::begin(calls);
    call.await
}

/// A connection's client.
pub(super) struct Client {
    inner: tokio_postgres::Client,
    calls: Arc<Calls>,
    /// `COPY` cannot be sent without being prepared; the server plans it anew each time all the same.
    copies: Mutex<BTreeMap<String, Statement>>,
}

impl Client {
    pub(super) fn new(inner: tokio_postgres::Client, calls: Arc<Calls>) -> Client {
        Client { inner, calls, copies: Mutex::default() }
    }

    /// From here on silence is noticed.
    pub(super) fn answers_as(&self, process: i32) {
        // It is asked for once.
        let _ = self.calls.process.set(process);
    }

    /// What to say of an error, for those who cannot ask the session: a server that refused, also at
    /// commit, or a connection that is gone.
    pub(super) fn failing(
        &self,
        site: &SiteName,
    ) -> impl Fn(tokio_postgres::Error) -> Error + Clone + use<> {
        let (site, calls) = (site.clone(), self.calls.clone());
        move |error| {
            if let Some(refusal) = error.as_db_error() {
                return refused(&site, refusal);
            }
            if calls.is_silent.load(Ordering::Relaxed) {
                return silent(&site);
            }
            Error::new(Kind::RetryLater, format!("the connection to site {site} broke"))
                .hint("run the same command again; it goes on where it stopped")
                .because(error)
        }
    }

    /// Whether the connection has ended.
    pub(super) fn is_closed(&self) -> bool {
        self.inner.is_closed()
    }

    pub(super) async fn batch_execute(&self, statements: &str) -> Result<()> {
        during(&self.calls, self.inner.batch_execute(statements)).await
    }

    pub(super) async fn execute(&self, statement: &str, with: Parameters<'_>) -> Result<u64> {
        during(&self.calls, self.inner.execute_typed(statement, &typed(with))).await
    }

    pub(super) async fn query(&self, statement: &str, with: Parameters<'_>) -> Result<Vec<Row>> {
        during(&self.calls, self.inner.query_typed(statement, &typed(with))).await
    }

    pub(super) async fn query_one(&self, statement: &str, with: Parameters<'_>) -> Result<Row> {
        during(&self.calls, self.inner.query_typed_one(statement, &typed(with))).await
    }

    pub(super) async fn query_opt(
        &self,
        statement: &str,
        with: Parameters<'_>,
    ) -> Result<Option<Row>> {
        during(&self.calls, self.inner.query_typed_opt(statement, &typed(with))).await
    }

    pub(super) async fn prepare(&self, statement: &str) -> Result<Statement> {
        during(&self.calls, self.inner.prepare(statement)).await
    }

    /// Rows as they come.
    pub(super) async fn stream(&self, statement: &str) -> Result<Pieces<RowStream>> {
        let none: [(&str, Type); 0] = [];
        let rows = during(&self.calls, self.inner.query_typed_raw(statement, none)).await?;
        Ok(Pieces::new(rows, &self.calls))
    }

    async fn prepare_copy(&self, statement: &str) -> Result<Statement> {
        let copies = || self.copies.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(prepared) = copies().get(statement) {
            return Ok(prepared.clone());
        }
        let prepared = self.prepare(statement).await?;
        copies().insert(statement.to_owned(), prepared.clone());
        Ok(prepared)
    }

    pub(super) async fn copy_out(&self, statement: &str) -> Result<Pieces<CopyOutStream>> {
        let statement = self.prepare_copy(statement).await?;
        let pieces = during(&self.calls, self.inner.copy_out(&statement)).await?;
        Ok(Pieces::new(pieces, &self.calls))
    }

    pub(super) async fn copy_in(&self, statement: &str) -> Result<CopyIn> {
        let statement = self.prepare_copy(statement).await?;
        let sink = during(&self.calls, self.inner.copy_in(&statement)).await?;
        Ok(CopyIn { sink: Box::pin(sink), calls: self.calls.clone() })
    }

    pub(super) async fn transaction(&mut self) -> Result<Transaction<'_>> {
        let call = Call::begin(&self.calls);
        Ok(Transaction { inner: self.inner.transaction().await?, _call: call })
    }
}

/// A transaction; rolled back when dropped. It counts as one call, since what the server last did
/// tells one statement of it from the next.
pub(super) struct Transaction<'a> {
    inner: tokio_postgres::Transaction<'a>,
    _call: Call,
}

impl<'a> Deref for Transaction<'a> {
    type Target = tokio_postgres::Transaction<'a>;

    fn deref(&self) -> &Self::Target {
        &self.inner
    }
}

impl Transaction<'_> {
    pub(super) async fn execute(&self, statement: &str, with: Parameters<'_>) -> Result<u64> {
        self.inner.execute_typed(statement, &typed(with)).await
    }

    pub(super) async fn query(&self, statement: &str, with: Parameters<'_>) -> Result<Vec<Row>> {
        self.inner.query_typed(statement, &typed(with)).await
    }

    pub(super) async fn commit(self) -> Result<()> {
        self.inner.commit().await
    }
}

/// An answer in pieces. While nobody asks for the next one, nobody waits.
pub(super) struct Pieces<S> {
    stream: Pin<Box<S>>,
    calls: Arc<Calls>,
    call: Option<Call>,
}

impl<S> Pieces<S> {
    fn new(stream: S, calls: &Arc<Calls>) -> Pieces<S> {
        Pieces { stream: Box::pin(stream), calls: calls.clone(), call: None }
    }
}

impl<S: Stream> Stream for Pieces<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let polled = self.stream.as_mut().poll_next(context);
        match (&polled, &self.call) {
            (Poll::Ready(_), Some(_)) => self.call = None,
            (Poll::Pending, None) => self.call = Some(Call::begin(&self.calls)),
            _ => {}
        }
        polled
    }
}

/// Rows on their way into a table.
pub(super) struct CopyIn {
    sink: Pin<Box<CopyInSink<Bytes>>>,
    calls: Arc<Calls>,
}

impl CopyIn {
    pub(super) async fn feed(&mut self, piece: Bytes) -> Result<()> {
        during(&self.calls, self.sink.feed(piece)).await
    }

    /// Ends the copy; without it nothing is kept. Returns how many rows there were.
    pub(super) async fn finish(mut self) -> Result<u64> {
        during(&self.calls, self.sink.as_mut().finish()).await
    }
}

/// The error of a call that had no answer.
pub(super) fn silent(site: &SiteName) -> Error {
    Error::new(Kind::RetryLater, format!("site {site} has stopped answering")).hint(
        "look at the server and the network between; then run the same command again, and it goes \
         on where it stopped",
    )
}

/// What the server said when it was asked about a call.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Look {
    /// Its process is at work, or waits for a lock.
    AtWork,
    /// Its process has nothing to do since that time, or waits for us, or has gone.
    AtRest(Option<String>),
    /// Nothing.
    Silent,
}

/// Ends once a call on this connection waits for an answer that will not come.
pub(super) async fn silence(site: &SiteName, sessions: &Sessions, calls: &Calls, after: Duration) {
    let part = after / PARTS;
    let (mut answered, mut parts_left, mut doubt) = (0, 0, None);
    loop {
        tokio::time::sleep(part).await;
        let Some(process) = calls.process.get() else { continue };
        let now = calls.answered.load(Ordering::Relaxed);
        if calls.waiting.load(Ordering::Relaxed) == 0 || now != answered {
            (answered, parts_left, doubt) = (now, 0, None);
            continue;
        }
        if parts_left > 0 {
            parts_left -= 1;
            continue;
        }
        let look = tokio::time::timeout(part, look(sessions, *process)).await;
        match look.unwrap_or(Look::Silent) {
            Look::AtWork => {
                // It may work on for long, and every look costs it a connection.
                (parts_left, doubt) = (PARTS, None);
            }
            look if doubt.as_ref() == Some(&look) => {
                tracing::warn!(%site, process, ?look, "no answer comes; the connection is dropped");
                calls.is_silent.store(true, Ordering::Relaxed);
                return;
            }
            look => doubt = Some(look),
        }
    }
}

async fn look(sessions: &Sessions, process: i32) -> Look {
    let statement = "SELECT a.state = 'active' AND a.wait_event_type IS DISTINCT FROM 'Client', \
         a.state_change::text FROM pg_catalog.pg_stat_activity a \
         WHERE a.pid = $1 AND a.usename = session_user";
    let asked = async {
        let client = sessions.connect(None, None).await?;
        client.query_typed(statement, &[(&process, Type::INT4)]).await
    };
    match asked.await {
        Ok(rows) => match rows.first() {
            Some(row) if row.get::<_, Option<bool>>(0) == Some(true) => Look::AtWork,
            Some(row) => Look::AtRest(row.get(1)),
            None => Look::AtRest(None),
        },
        // It answers, if only that it has no connection left.
        Err(error) if error.as_db_error().is_some() => Look::AtWork,
        Err(_) => Look::Silent,
    }
}
