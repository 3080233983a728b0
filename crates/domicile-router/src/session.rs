//! One client's session, from being let in to its end.

mod answers;
mod batch;
mod local;
mod meaning;
mod remote;
mod saying;
mod transaction;

use crate::cancel::Running;
use crate::classify::{Command, Statement, Unreadable};
use crate::error::{Error, Kind, Result};
use crate::homes::SiteAt;
use crate::pool::Lease;
use crate::prepared::Prepared;
use crate::route::{Needs, Values};
use crate::settings::Settings;
use crate::stream::{Stream, Unused};
use crate::wire::{Bind, Frames, error_response, ready_for_query};
use crate::worker::Worker;
use batch::{Batch, Part, Statements};
pub(crate) use meaning::check_setting;
use std::rc::Rc;
use std::sync::Arc;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::watch;
use transaction::Transaction;

/// The setting by which a session says whom its statements concern.
const SUBJECT: &str = "domicile.subject";

/// A client's session.
pub(crate) struct Session {
    worker: Rc<Worker>,
    client: Stream,
    /// What the client said and was not dealt with.
    unused: Unused,
    /// What the client is to be told.
    out: Vec<u8>,
    user: usize,
    statements: Statements,
    settings: Settings,
    /// Whom its statements concern, where it says so.
    subject: Option<String>,
    transaction: Transaction,
    lease: Option<(SiteAt, Lease)>,
    running: Arc<Running>,
    /// Becomes true when the session must end as soon as no transaction is open.
    stopping: watch::Receiver<bool>,
    /// Whether the last batch at a site met an error.
    commit_failed: bool,
    /// Whether it is not known what is set or left on the connection that is held.
    is_unsure: bool,
    /// After an error nothing is done up to the next `Sync`.
    skips_to_sync: bool,
    /// How far what the client said was looked at for the end of a batch.
    seen: usize,
}

/// So much a client may say before it waits for an answer.
const BATCH_BYTES_MAX: usize = 256 * 1024 * 1024;

impl Session {
    pub(crate) fn new(
        worker: Rc<Worker>,
        client: Stream,
        unused: Unused,
        user: usize,
        settings: Settings,
        running: Arc<Running>,
        stopping: watch::Receiver<bool>,
    ) -> Session {
        Session {
            worker,
            client,
            unused,
            out: Vec::new(),
            user,
            statements: Statements::default(),
            settings,
            subject: None,
            transaction: Transaction::default(),
            lease: None,
            running,
            stopping,
            commit_failed: false,
            is_unsure: false,
            skips_to_sync: false,
            seen: 0,
        }
    }

    /// Serves the client until it leaves. A connection that it held is closed with it.
    pub(crate) async fn run(&mut self) -> Result<()> {
        let ended = self.serve_all().await;
        if let Err(error) = &ended {
            self.tell(error, "FATAL");
            self.flush().await?;
        }
        ended
    }

    async fn serve_all(&mut self) -> Result<()> {
        while let Some(length) = self.next_batch().await? {
            match self.serve(length).await {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(error) if is_fatal(&error) => return Err(error),
                Err(error) => self.refuse(&error, length),
            }
            self.unused.use_up(length);
            self.flush().await?;
        }
        Ok(())
    }

    /// Waits for messages up to where the client waits: how many bytes; `None` where it left.
    async fn next_batch(&mut self) -> Result<Option<usize>> {
        loop {
            let end = batch::end(self.unused.bytes(), &mut self.seen).map_err(batch::broken)?;
            if end.is_some() {
                return Ok(end);
            }
            if self.unused.bytes().len() > BATCH_BYTES_MAX {
                return Err(Error::new(Kind::Client, "the client says too much at a time")
                    .with_code("54000")
                    .ends_session());
            }
            self.unused.rest();
            // A connection that is held must not end unnoticed while its client thinks.
            let read = match &mut self.lease {
                None if self.transaction.is_open => self.unused.read(&mut self.client).await,
                None => tokio::select! {
                    biased;
                    read = self.unused.read(&mut self.client) => read,
                    _ = self.stopping.wait_for(|stopping| *stopping) => {
                        return Err(Error::new(
                            Kind::Stopping,
                            "terminating connection due to administrator command",
                        )
                        .ends_session());
                    }
                },
                Some((_, lease)) => tokio::select! {
                    biased;
                    read = self.unused.read(&mut self.client) => read,
                    _ = lease.server.unused.read(&mut lease.server.stream) => {
                        return Err(self.site_spoke());
                    }
                },
            };
            match read {
                Ok(true) => {}
                Ok(false) | Err(_) => return Ok(None),
            }
        }
    }

    /// A site says something of itself only to end the connection.
    fn site_spoke(&mut self) -> Error {
        let Some((_, lease)) = self.lease.take() else {
            return Error::new(Kind::SiteAway, "the site closed the connection");
        };
        self.running.ends();
        let said = Frames::Backend.first(lease.server.unused.bytes()).ok().flatten();
        let notice = said.filter(|frame| frame.tag == b'E');
        let notice = notice.and_then(|frame| crate::wire::Notice::read(&frame).ok());
        let error = lease.site().away(
            notice
                .as_ref()
                .and_then(|notice| notice.field(b'M'))
                .unwrap_or("it closed the connection"),
        );
        match notice {
            Some(notice) => error.with_code(notice.code()).ends_session(),
            None => error.ends_session(),
        }
    }

    /// Deals with one batch; `false` where the client takes its leave.
    async fn serve(&mut self, length: usize) -> Result<bool> {
        let worker = self.worker.clone();
        let search_path = self.search_path();
        let read =
            |text: &str, types: &[u8], recurs: bool| worker.read(text, types, &search_path, recurs);
        if self.skips_to_sync {
            return self.skip(length).await;
        }
        let bytes = &self.unused.bytes()[..length];
        let Some(mut batch) = Batch::read(bytes, &mut self.statements, &read)? else {
            return Ok(false);
        };
        let done = self.run_batch(&mut batch).await;
        if done.is_err() {
            batch.take_back(&mut self.statements, 0);
        }
        done.map(|()| true)
    }

    async fn run_batch(&mut self, batch: &mut Batch) -> Result<()> {
        self.refuse_settings(batch)?;
        if self.transaction.has_failed {
            self.only_ends(batch)?;
            self.leave_failed(batch).await?;
            if statements_of(batch).next().is_none() {
                return self.answer_locally(batch);
            }
        }
        if self.is_ours_alone(batch) || (self.lease.is_none() && self.is_local(batch)) {
            return self.answer_locally(batch);
        }
        let commits = statements_of(batch).any(Statement::commits);
        if self.lease.is_none() && commits && self.transaction.prelude.len() > 1 {
            self.catch_up().await?;
        }
        // What only prepares leaves nothing behind: it must not decide where a transaction is.
        batch.is_closed_here = self.lease.is_none() && !batch.ends() && batch.only_prepares();
        self.run_at_site(batch).await
    }

    /// What follows an error up to `Sync` is not looked at.
    async fn skip(&mut self, length: usize) -> Result<bool> {
        let bytes = &self.unused.bytes()[..length];
        let tags = batch::tags(bytes);
        if tags.contains(&b'X') {
            return Ok(false);
        }
        // A `Query` is not looked at either.
        if tags.last() == Some(&b'S') {
            self.skips_to_sync = false;
            match self.lease.is_some() {
                true => self.sync_site().await?,
                false => ready_for_query(&mut self.out, self.transaction.status()),
            }
        }
        Ok(true)
    }

    /// After an error in a transaction only its end is taken.
    fn only_ends(&self, batch: &Batch) -> Result<()> {
        let mentioned = batch.parts.iter().flat_map(|(part, _)| match part {
            Part::Query(prepared) | Part::Parse(prepared) | Part::Bind(prepared) => read(prepared),
            _ => &[],
        });
        let mut mentioned = mentioned.map(|statement| &statement.command);
        let ends =
            mentioned.all(|command| matches!(command, Command::Transaction(t) if t.ends_failure()));
        if ends {
            return Ok(());
        }
        Err(Error::new(
            Kind::Client,
            "current transaction is aborted, commands ignored until end of transaction block",
        )
        .with_code("25P02"))
    }

    /// A transaction that failed here and not at its site cannot commit there; what goes back to a
    /// savepoint first has not failed any more.
    async fn leave_failed(&mut self, batch: &Batch) -> Result<()> {
        match ends_failed(batch) {
            true => self.abandon().await,
            false => Ok(()),
        }
    }

    /// Tells the client of an error that concerns its statement alone.
    fn refuse(&mut self, error: &Error, length: usize) {
        self.tell(error, "ERROR");
        self.transaction.has_failed |= self.transaction.is_open;
        match batch::tags(&self.unused.bytes()[..length]).last() {
            Some(b'S' | b'Q' | b'F') => ready_for_query(&mut self.out, self.transaction.status()),
            _ => self.skips_to_sync = true,
        }
    }

    fn tell(&mut self, error: &Error, severity: &str) {
        let message = error.to_string();
        self.worker.shared.metrics.tells(error.code());
        error_response(&mut self.out, severity, error.code(), &message, error.hint_text());
    }

    async fn flush(&mut self) -> Result<()> {
        if self.out.is_empty() {
            return Ok(());
        }
        let sent = async {
            self.client.write_all(&self.out).await?;
            self.client.flush().await
        };
        sent.await.map_err(|error| Error::new(Kind::Client, "the client left").because(error))?;
        self.out.clear();
        Ok(())
    }

    /// Whom the session says that its statements concern.
    fn subject(&self) -> Option<&str> {
        self.transaction.subject.as_ref().unwrap_or(&self.subject).as_deref()
    }

    /// What the statements of a batch need together.
    fn needs(&self, batch: &Batch) -> Result<Needs> {
        let mut needs = Needs::default();
        for (part, _) in &batch.parts {
            if let Part::Query(prepared) | Part::Parse(prepared) | Part::Bind(prepared) = part
                && let Err(why) = &prepared.read
            {
                return Err(unreadable(why));
            }
        }
        let schema = &self.worker.shared.schema;
        for (part, range) in &batch.parts {
            let (prepared, bind) = match part {
                Part::Query(prepared) => (prepared, None),
                Part::Bind(prepared) => {
                    let frame = Frames::Frontend.first(&self.unused.bytes()[range.clone()]);
                    let frame = frame.map_err(batch::broken)?;
                    let bind = frame.and_then(|frame| Bind::read(&frame).ok());
                    (prepared, bind)
                }
                _ => continue,
            };
            let values = Values { bind, types: &prepared.types };
            for statement in read(prepared) {
                needs.add(schema, statement, &values, self.subject())?;
            }
        }
        Ok(needs)
    }
}

/// Whether the connection cannot go on.
fn is_fatal(error: &Error) -> bool {
    error.is_end() || (error.kind() == Kind::Client && error.code() == "08P01")
}

/// What is not read here runs nowhere.
fn unreadable(why: &Unreadable) -> Error {
    match why {
        Unreadable::Grammar(why) => Error::new(Kind::Undecided, why.clone()).with_code("42601"),
        _ => Error::new(Kind::Undecided, why.to_string())
            .hint("split it, or send what is long as parameters"),
    }
}

/// The statements of a text; none where it cannot be read, and then nothing of it runs.
fn read(prepared: &Prepared) -> &[Statement] {
    prepared.read.as_deref().unwrap_or_default()
}

/// The statements that a batch runs.
fn statements_of(batch: &Batch) -> impl Iterator<Item = &Statement> {
    batch.parts.iter().flat_map(|(part, _)| match part {
        Part::Query(prepared) | Part::Bind(prepared) => read(prepared),
        _ => &[],
    })
}

/// Whether a batch ends a transaction that has failed, as a failed one.
fn ends_failed(batch: &Batch) -> bool {
    statements_of(batch).next().is_some_and(Statement::ends_transaction)
}
