//! From a new connection to a session: TLS, who it is, and what it begins with.

mod client;

use crate::cancel::{Entered, Sessions};
use crate::error::{Error, Kind, Result};
use crate::metrics::Counted;
use crate::scram::{self, Verifier};
use crate::session::Session;
use crate::settings::Settings;
use crate::stream::{Stream, Unused};
use crate::wire::{
    Startup, StartupMessage, error_response, frame, negotiate, parameter_status, ready_for_query,
};
use crate::worker::{Proof, Shared, Worker};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use client::{Client, left};
use ring::rand::{SecureRandom, SystemRandom};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::{TlsAcceptor, TlsStream};

/// How long to wait after a connection could not be accepted.
const ACCEPTS_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// How long a client may take to say who it is.
const ENTERS_WITHIN: Duration = Duration::from_secs(60);

/// Protocol 3.0; newer clients are told so.
const MINOR: u16 = 0;

/// One address that clients come to.
pub struct Entrance {
    /// What whoever comes now is served by.
    now: watch::Sender<Now>,
    sessions: Sessions,
    /// Becomes true when nobody more is let in, and whoever has no transaction open must go.
    stopping: watch::Sender<bool>,
    random: SystemRandom,
    /// By which users that do not exist get salts.
    secret: [u8; 32],
}

/// What a session begins with and keeps, whatever changes later.
#[derive(Clone)]
struct Now {
    /// What every thread knows.
    shared: Arc<Shared>,
    /// How TLS is spoken with clients; `None` where it is not.
    tls: Option<TlsAcceptor>,
}

impl Entrance {
    /// An entrance; nothing listens yet.
    pub fn new(
        shared: Arc<Shared>,
        tls: Option<Arc<rustls::ServerConfig>>,
    ) -> Result<Arc<Entrance>> {
        let random = SystemRandom::new();
        let mut secret = [0; 32];
        random.fill(&mut secret).map_err(|_| no_random())?;
        let now = watch::Sender::new(Now { shared, tls: tls.map(TlsAcceptor::from) });
        let (sessions, stopping) = (Sessions::default(), watch::Sender::new(false));
        Ok(Arc::new(Entrance { now, sessions, stopping, random, secret }))
    }

    /// Whoever comes from now on is served by this; whoever is here already goes on as before.
    pub fn renew(&self, shared: Arc<Shared>, tls: Option<Arc<rustls::ServerConfig>>) {
        self.now.send_replace(Now { shared, tls: tls.map(TlsAcceptor::from) });
    }

    /// What was counted, in Prometheus' text format.
    pub fn metrics(&self) -> String {
        let shared = self.shared();
        shared.metrics.text(&shared.homes)
    }

    /// Why nobody more should be sent here; `None` where somebody may.
    pub fn trouble(&self) -> Option<&'static str> {
        let shared = self.shared();
        if *self.stopping.borrow() {
            Some("stopping")
        } else if shared.homes.unheard() >= shared.sites.len() {
            Some("no site is heard")
        } else {
            None
        }
    }

    fn shared(&self) -> Arc<Shared> {
        self.now.borrow().shared.clone()
    }

    /// Lets nobody more in. Sessions end where no transaction is open in them.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Serves whoever comes, on this thread; within a `LocalSet`. Ends after [`Entrance::stop`], when
    /// the last session here has ended.
    pub async fn serve(self: Arc<Self>, listener: std::net::TcpListener) -> Result<()> {
        let listener = TcpListener::from_std(listener).map_err(|error| {
            Error::new(Kind::Stopping, "the socket cannot be listened on").because(error)
        })?;
        let mut now = self.now.subscribe();
        let mut worker = Worker::new(now.borrow_and_update().shared.clone());
        let mut stopping = self.stopping.subscribe();
        let mut sessions = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                Some(_) = sessions.join_next() => continue,
                _ = stopping.wait_for(|stopping| *stopping) => break,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Too many open files, say: those who are here go on.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPTS_AGAIN_AFTER).await;
                    continue;
                }
            };
            if now.has_changed().unwrap_or_default() {
                worker = Worker::new(now.borrow_and_update().shared.clone());
            }
            let (entrance, worker) = (self.clone(), worker.clone());
            sessions.spawn_local(async move {
                if let Err(error) = entrance.receive(worker, stream).await {
                    tracing::debug!(%error, "a session ended");
                }
            });
        }
        drop(listener);
        while sessions.join_next().await.is_some() {}
        Ok(())
    }

    async fn receive(&self, worker: Rc<Worker>, stream: TcpStream) -> Result<()> {
        let metrics = worker.shared.metrics.clone();
        let entering = tokio::time::timeout(ENTERS_WITHIN, self.enter(&worker, stream)).await;
        let entered = entering
            .unwrap_or_else(|_| Err(Error::new(Kind::Client, "the client does not say who it is")));
        let Some((_entered, mut session)) = entered? else { return Ok(()) };
        metrics.sessions.inc();
        let _client = Counted::one(&metrics.clients);
        session.run().await
    }

    /// Up to the first statement; `None` where nothing more is to be done.
    async fn enter(
        &self,
        worker: &Rc<Worker>,
        stream: TcpStream,
    ) -> Result<Option<(Entered, Session)>> {
        stream.set_nodelay(true).map_err(left)?;
        let mut client = Client { stream: Stream::Plain(stream), unused: Unused::default() };
        let startup = loop {
            match client.startup().await? {
                StartupMessage::Tls => client = self.encrypt(client).await?,
                StartupMessage::Gss => client.send(b"N").await?,
                StartupMessage::Cancel(request) => {
                    self.sessions.cancel(&request).await?;
                    return Ok(None);
                }
                StartupMessage::Startup(startup) => break startup,
            }
        };
        let begun = match *self.stopping.borrow() {
            true => {
                Err(Error::new(Kind::Stopping, "the router is shutting down").with_code("57P03"))
            }
            false => self.begin(worker, &mut client, &startup).await,
        };
        match begun {
            Ok(begun) => {
                let Client { stream, unused } = client;
                let Begun { user, settings, entered } = begun;
                let running = entered.running();
                let stopping = self.stopping.subscribe();
                let session =
                    Session::new(worker.clone(), stream, unused, user, settings, running, stopping);
                Ok(Some((entered, session)))
            }
            Err(error) => {
                let mut bytes = Vec::new();
                let (code, hint) = (error.code(), error.hint_text());
                worker.shared.metrics.refuses(code);
                error_response(&mut bytes, "FATAL", code, &error.to_string(), hint);
                client.send(&bytes).await?;
                Err(error)
            }
        }
    }

    async fn encrypt(&self, mut client: Client) -> Result<Client> {
        let tls = self.now.borrow().tls.clone();
        let (Some(tls), Stream::Plain(_)) = (tls, &client.stream) else {
            client.send(b"N").await?;
            return Ok(client);
        };
        // What came before encryption somebody else may have said.
        if !client.unused.bytes().is_empty() {
            return Err(Error::new(Kind::Client, "data came before encryption"));
        }
        client.send(b"S").await?;
        let Stream::Plain(stream) = client.stream else { return Ok(client) };
        let stream = tls.accept(stream).await.map_err(left)?;
        let stream = Stream::Tls(Box::new(TlsStream::Server(stream)));
        Ok(Client { stream, unused: Unused::default() })
    }

    async fn begin(
        &self,
        worker: &Rc<Worker>,
        client: &mut Client,
        startup: &Startup,
    ) -> Result<Begun> {
        let unknown: Vec<&str> = startup.parameters.iter().map(|(name, _)| name.as_str()).collect();
        let unknown: Vec<&str> =
            unknown.into_iter().filter(|name| name.starts_with("_pq_.")).collect();
        let mut bytes = Vec::new();
        if startup.minor > MINOR || !unknown.is_empty() {
            negotiate(&mut bytes, MINOR, &unknown);
        }
        let name = startup.parameter("user").unwrap_or_default();
        let shared = &worker.shared;
        let user = shared.users.iter().position(|user| user.name == name);
        client.send(&bytes).await?;
        let proof = match user {
            Some(user) => shared.users[user].proof.clone(),
            None => Proof::Password(Verifier::of_nobody(name, &self.secret)),
        };
        match proof {
            Proof::Password(verifier) => self.authenticate(client, name, verifier).await?,
            Proof::Certificate if client.stream.peer_name().as_deref() == Some(name) => {}
            Proof::Certificate => return Err(uncertified(name)),
        }
        // Only whoever is let in is told what exists.
        let Some(user) = user else { return Err(denied(name)) };
        let database = startup.parameter("database").unwrap_or(name);
        if database != shared.database {
            return Err(Error::new(
                Kind::Client,
                format!("database \"{database}\" does not exist"),
            )
            .with_code("3D000")
            .hint(format!("the router serves the database {}", shared.database)));
        }
        let settings = Settings::of_startup(startup)?;
        let statuses = self.statuses(worker, user, &settings).await?;
        let mut bytes = Vec::new();
        frame(&mut bytes, b'R', |to| to.extend([0; 4]));
        for (name, value) in statuses {
            let own = settings.get(&name.to_ascii_lowercase());
            parameter_status(&mut bytes, &name, own.unwrap_or(&value));
        }
        let secret = self.draw::<4>()?.to_vec();
        let mut numbers = Vec::new();
        for _ in 0..8 {
            numbers.push(u32::from_be_bytes(self.draw()?));
        }
        let entered = self.sessions.enter(secret.clone(), || {
            let number = numbers.pop().unwrap_or(1);
            numbers.insert(0, number.wrapping_add(0x9e37_79b9));
            number
        });
        frame(&mut bytes, b'K', |to| {
            to.extend(entered.process().to_be_bytes());
            to.extend(&secret);
        });
        ready_for_query(&mut bytes, b'I');
        client.send(&bytes).await?;
        Ok(Begun { user, settings, entered })
    }

    /// What the nearest site tells of its settings, or another where that one is away.
    async fn statuses(
        &self,
        worker: &Worker,
        user: usize,
        settings: &Settings,
    ) -> Result<Vec<(String, String)>> {
        let nearest = worker.shared.nearest;
        let others = (0..worker.shared.sites.len()).filter(|site| *site != nearest);
        let first = worker.pool(nearest, user).statuses(settings).await;
        let Err(away) = first else { return first };
        for site in others {
            if let Ok(statuses) = worker.pool(site, user).statuses(settings).await {
                return Ok(statuses);
            }
        }
        Err(away)
    }

    async fn authenticate(
        &self,
        client: &mut Client,
        name: &str,
        verifier: Verifier,
    ) -> Result<()> {
        let mut bytes = Vec::new();
        frame(&mut bytes, b'R', |to| {
            to.extend(10u32.to_be_bytes());
            to.extend(scram::MECHANISM.as_bytes());
            to.extend([0, 0]);
        });
        client.send(&bytes).await?;
        let first = client.password().await?;
        let chosen = first.strip_prefix(scram::MECHANISM.as_bytes());
        let chosen = chosen.and_then(|rest| rest.strip_prefix(&[0]));
        let first = chosen.and_then(|rest| rest.get(4..)).ok_or_else(|| denied(name))?;
        let nonce = BASE64.encode(self.draw::<18>()?);
        let refused = |why: scram::Refused| denied(name).because(why);
        let (challenge, challenged) = scram::challenge(verifier, first, &nonce).map_err(refused)?;
        client.say(11, &challenge).await?;
        let last = client.password().await?;
        let proof = challenged.finish(&last).map_err(refused)?;
        client.say(12, &proof).await
    }

    fn draw<const BYTES: usize>(&self) -> Result<[u8; BYTES]> {
        let mut bytes = [0; BYTES];
        self.random.fill(&mut bytes).map_err(|_| no_random())?;
        Ok(bytes)
    }
}

/// What a session begins with.
struct Begun {
    user: usize,
    settings: Settings,
    entered: Entered,
}

fn denied(user: &str) -> Error {
    Error::new(Kind::Denied, format!("password authentication failed for user \"{user}\""))
}

fn uncertified(user: &str) -> Error {
    Error::new(Kind::Denied, format!("certificate authentication failed for user \"{user}\""))
        .with_code("28000")
        .hint("connect with TLS and a certificate whose common name is the user")
}

fn no_random() -> Error {
    Error::new(Kind::Stopping, "the system gives no random numbers")
}
