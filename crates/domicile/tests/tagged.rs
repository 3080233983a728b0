//! Sessions that share a few connections to sites while clients vanish, cancel and time out and
//! servers crash: nobody sees a row, a setting or a cancel that is another's, and nothing commits
//! that its own session did not commit.
//!
//! Everything a session says carries its nonce: its statements' texts, their parameters, its
//! `application_name`, and the rows that it writes.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    dead_code,
    unreachable_pub,
    reason = "helpers of tests, shared with others; a failure should stop where it happens"
)]

#[path = "support/postgres.rs"]
mod postgres;
#[path = "support/served.rs"]
mod served;
#[path = "../../domicile-mover/tests/world/mod.rs"]
mod world;

use domicile_testkit::tokio_postgres::types::ToSql;
use domicile_testkit::tokio_postgres::{self, CancelToken, Client, Error, NoTls, Row, Statement};
use domicile_testkit::{Cluster, Options, Rounds, TestDatabase, connect};
use futures_util::future::join_all;
use postgres::domicile;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use served::Served;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;

const PEOPLE: i64 = 200;
/// Sessions that only read and write, and sessions that also vanish, cancel and time out.
const CALM: u64 = 10;
const WILD: u64 = 14;
/// Transactions of one round, and from one crash of a server to the next.
const TRANSACTIONS: u64 = 20_000;
const BETWEEN_CRASHES: u64 = 7_000;
/// So many statements are said before their answers come.
const AT_ONCE: usize = 16;
/// How long a round may take.
const PATIENCE: Duration = Duration::from_secs(300);

const SCHEMA: &str = "
create table users (id bigint primary key, country text not null);
create table tags (nonce text not null, n bigint not null,
    user_id bigint not null references users (id), primary key (nonce, n));
create index on tags (user_id);
insert into users select n, case n % 2 when 0 then 'US' else 'FR' end from generate_series(1, 200) n;
";

/// What all sessions have done.
#[derive(Default)]
struct Totals {
    transactions: AtomicU64,
    rows: AtomicU64,
    vanished: AtomicU64,
    cancelled: AtomicU64,
    stale_cancels: AtomicU64,
    timed_out: AtomicU64,
    lost: AtomicU64,
    crashes: AtomicU64,
}

/// What the sessions of a round share.
struct Round {
    port: u16,
    seed: u64,
    totals: Arc<Totals>,
    /// Transactions of this round.
    done: watch::Sender<u64>,
    is_over: AtomicBool,
    next: AtomicU64,
    /// Cancel keys of sessions that have ended.
    stale: std::sync::Mutex<Vec<CancelToken>>,
}

/// What must stand in the table at the end, and what must not.
#[derive(Default)]
struct Written {
    committed: Vec<(String, i64)>,
    never: Vec<(String, i64)>,
}

struct Session {
    nonce: String,
    client: Client,
    connection: JoinHandle<Result<(), Error>>,
    read: Statement,
}

/// Why a session ends.
enum Ended {
    /// A server crashed, or the session was let go on purpose.
    Gone,
}

/// What a session says that did not go well.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Excused {
    /// Nothing but the end of the connection.
    Loss,
    /// It may have been cancelled by itself.
    Cancel,
}

impl Round {
    fn count(&self, transactions: u64) {
        self.totals.transactions.fetch_add(transactions, Ordering::Relaxed);
        self.done.send_modify(|done| *done += transactions);
    }

    /// A session, or none while a server is away.
    async fn enter(&self) -> Option<Session> {
        let nonce = format!("{}-{}", self.seed, self.next.fetch_add(1, Ordering::Relaxed));
        let url =
            format!("postgres://app:secret@127.0.0.1:{}/app?application_name={nonce}", self.port);
        let entered = tokio_postgres::connect(&url, NoTls).await;
        let (client, connection) =
            entered.map_err(|error| self.excuse(&error, Excused::Loss)).ok()?;
        let connection = tokio::spawn(connection);
        let text = format!(
            "SELECT '{nonce}'::text, $2::text, current_setting('application_name') \
             FROM users WHERE id = $1"
        );
        let read = client.prepare(&text).await;
        let read = read.map_err(|error| self.excuse(&error, Excused::Loss)).ok()?;
        Some(Session { nonce, client, connection, read })
    }

    /// Whether an error is one that whoever did nothing wrong may meet.
    fn excuse(&self, error: &Error, excused: Excused) -> Ended {
        let code = error.code().map(|code| code.code().to_owned());
        match code.as_deref() {
            None | Some("08006" | "57P01" | "57P02" | "57P03") => {
                self.totals.lost.fetch_add(1, Ordering::Relaxed);
                Ended::Gone
            }
            Some("57014") if excused == Excused::Cancel => Ended::Gone,
            _ => {
                self.is_over.store(true, Ordering::Relaxed);
                self.done.send_modify(|done| *done += TRANSACTIONS);
                panic!("seed {}: {error:?}", self.seed)
            }
        }
    }

    fn end(&self, session: Session) {
        let mut stale = self.stale.lock().unwrap();
        stale.push(session.client.cancel_token());
    }
}

impl Session {
    /// Says many statements at once, and looks at every row that is answered. Those that its own
    /// cancel has hit are not counted.
    async fn reads(
        &self,
        round: &Round,
        draw: &mut StdRng,
        excused: Excused,
    ) -> Result<u64, Ended> {
        let asked: Vec<(i64, String)> = (0..AT_ONCE)
            .map(|_| (draw.random_range(1..=PEOPLE), draw.random::<u64>().to_string()))
            .collect();
        let answers = asked.iter().map(|(person, tag)| async move {
            let row = self.client.query_one(&self.read, &[person, tag]).await?;
            Ok::<_, Error>((row, tag))
        });
        let mut cancelled = 0;
        for answer in join_all(answers).await {
            match answer {
                Ok((row, tag)) => self.is_own(&row, tag),
                Err(error) if is_cancel(&error) && excused == Excused::Cancel => cancelled += 1,
                Err(error) => return Err(round.excuse(&error, excused)),
            }
        }
        let done = AT_ONCE as u64 - cancelled;
        round.totals.rows.fetch_add(done, Ordering::Relaxed);
        round.count(done);
        Ok(cancelled)
    }

    fn is_own(&self, row: &Row, tag: &str) {
        let found = [0, 1, 2].map(|at| row.get::<_, &str>(at));
        assert_eq!(found, [&self.nonce, tag, &self.nonce], "somebody else's");
    }

    /// A transaction that writes; commits, goes back, or leaves its client in the middle.
    async fn writes(
        &mut self,
        round: &Round,
        draw: &mut StdRng,
        written: &mut Written,
        n: i64,
        is_wild: bool,
    ) -> Result<(), Ended> {
        let (nonce, person) = (self.nonce.clone(), draw.random_range(1..=PEOPLE));
        let tag = (nonce, n);
        let judge = |error: &Error| round.excuse(error, Excused::Loss);
        let ending = draw.random_range(0..if is_wild { 4 } else { 3 });
        // Before its commit is said, what was written can never stand.
        written.never.push(tag.clone());
        let transaction = self.client.transaction().await.map_err(|error| judge(&error))?;
        let insert = "INSERT INTO tags (nonce, n, user_id) VALUES ($1, $2, $3)";
        let inserted = transaction.execute(insert, &[&tag.0, &n, &person]).await;
        inserted.map_err(|error| judge(&error))?;
        let own = "SELECT nonce FROM tags WHERE user_id = $1 AND nonce = $2 AND n = $3";
        let own = transaction.query_one(own, &[&person, &tag.0, &n]).await;
        assert_eq!(own.map_err(|error| judge(&error))?.get::<_, &str>(0), tag.0);
        match ending {
            0 => transaction.rollback().await.map_err(|error| judge(&error))?,
            3 => {
                // Its socket is closed while a statement runs.
                let sleeps = "SELECT pg_sleep(0.02) FROM users WHERE id = $1";
                let whose: [&(dyn ToSql + Sync); 1] = [&person];
                let sleeping = transaction.query(sleeps, &whose);
                let aborted = abort_after(&self.connection, draw.random_range(0..20));
                let (slept, ()) = tokio::join!(sleeping, aborted);
                assert!(slept.is_err(), "the connection is gone");
                round.totals.vanished.fetch_add(1, Ordering::Relaxed);
                return Err(Ended::Gone);
            }
            _ => {
                written.never.pop();
                transaction.commit().await.map_err(|error| judge(&error))?;
                written.committed.push(tag);
            }
        }
        round.count(1);
        Ok(())
    }

    /// Cancels what it says itself, until that has ended.
    async fn cancels(&self, round: &Round, draw: &mut StdRng) -> Result<(), Ended> {
        let token = self.client.cancel_token();
        let cancel = || cancel(round, &token);
        if draw.random_bool(0.5) {
            let (cancelled, _) = tokio::join!(self.reads(round, draw, Excused::Cancel), cancel());
            round.totals.cancelled.fetch_add(cancelled?, Ordering::Relaxed);
            return Ok(());
        }
        let person = draw.random_range(1..=PEOPLE);
        let whose: [&(dyn ToSql + Sync); 1] = [&person];
        let sleeps = "SELECT pg_sleep(60) FROM users WHERE id = $1";
        let mut sleeping = std::pin::pin!(self.client.query(sleeps, &whose));
        let slept = loop {
            tokio::select! {
                biased;
                slept = &mut sleeping => break slept,
                _ = cancel() => {}
            }
        };
        let error = slept.err().unwrap_or_else(|| panic!("nobody cancelled it"));
        if !is_cancel(&error) {
            return Err(round.excuse(&error, Excused::Loss));
        }
        round.totals.cancelled.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Sets a time limit, meets it, and takes it back or leaves with it.
    async fn times_out(&self, round: &Round, draw: &mut StdRng) -> Result<(), Ended> {
        let judge = |error: &Error| round.excuse(error, Excused::Loss);
        let set = self.client.batch_execute("SET statement_timeout = 10").await;
        set.map_err(|error| judge(&error))?;
        let person = draw.random_range(1..=PEOPLE);
        let slept = "SELECT pg_sleep(60) FROM users WHERE id = $1";
        match self.client.query(slept, &[&person]).await {
            Ok(_) => panic!("seed {}: the limit was not set", round.seed),
            Err(error) if is_cancel(&error) => {}
            Err(error) => return Err(judge(&error)),
        }
        round.totals.timed_out.fetch_add(1, Ordering::Relaxed);
        if draw.random_bool(0.5) {
            return Err(Ended::Gone);
        }
        let reset = self.client.batch_execute("RESET statement_timeout").await;
        reset.map_err(|error| judge(&error))
    }

    /// Leaves while rows are on their way.
    async fn vanishes(&self, round: &Round, draw: &mut StdRng) -> Ended {
        let person = draw.random_range(1..=PEOPLE);
        let many = format!(
            "SELECT '{}', generate_series(1, 20000) FROM users WHERE id = {person}",
            self.nonce
        );
        let asked = self.client.simple_query(&many);
        let aborted = abort_after(&self.connection, draw.random_range(0..20));
        let (asked, ()) = tokio::join!(asked, aborted);
        if let Err(error) = asked {
            round.excuse(&error, Excused::Loss);
        }
        round.totals.vanished.fetch_add(1, Ordering::Relaxed);
        Ended::Gone
    }
}

/// Cancels, and waits for the end of the connection by which that is done: nothing that is said
/// afterwards may be cancelled.
async fn cancel(round: &Round, token: &CancelToken) {
    let (said, mut heard) = tokio::io::duplex(64);
    token.cancel_query_raw(said, NoTls).await.unwrap();
    let mut request = Vec::new();
    heard.read_to_end(&mut request).await.unwrap();
    let done = async {
        let mut stream = TcpStream::connect(("127.0.0.1", round.port)).await?;
        stream.write_all(&request).await?;
        stream.read_to_end(&mut Vec::new()).await
    };
    assert_eq!(done.await.unwrap(), 0);
}

/// Closes a socket when others have had so many turns.
async fn abort_after<T>(connection: &JoinHandle<T>, turns: u32) {
    for _ in 0..turns {
        tokio::task::yield_now().await;
    }
    connection.abort();
}

fn is_cancel(error: &Error) -> bool {
    error.code().is_some_and(|code| code.code() == "57014")
}

/// One client after the other, until the round is over.
async fn work(round: Arc<Round>, number: u64, is_wild: bool) -> Written {
    let mut draw = StdRng::seed_from_u64(round.seed << 16 | number);
    let mut written = Written::default();
    let mut n = 0;
    while !round.is_over.load(Ordering::Relaxed) {
        let Some(mut session) = round.enter().await else { continue };
        while !round.is_over.load(Ordering::Relaxed) {
            n += 1;
            let ended = match draw.random_range(0..if is_wild { 60 } else { 48 }) {
                0..40 => session.reads(&round, &mut draw, Excused::Loss).await.map(drop),
                40..50 => session.writes(&round, &mut draw, &mut written, n, is_wild).await,
                50..54 => session.cancels(&round, &mut draw).await,
                54..56 => session.times_out(&round, &mut draw).await,
                56..58 => Err(session.vanishes(&round, &mut draw).await),
                _ => cancels_nobody(&round, &mut draw).await,
            };
            if ended.is_err() {
                break;
            }
        }
        round.end(session);
    }
    written
}

/// Comes with the key of a session that has ended.
async fn cancels_nobody(round: &Round, draw: &mut StdRng) -> Result<(), Ended> {
    let token = {
        let stale = round.stale.lock().unwrap();
        let at = draw.random_range(0..stale.len().max(1));
        stale.get(at).cloned()
    };
    if let Some(token) = token {
        cancel(round, &token).await;
        round.totals.stale_cancels.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// The sites, on servers that nobody else has.
struct Sites {
    databases: [TestDatabase; 2],
    clusters: [Arc<Cluster>; 2],
}

impl Sites {
    async fn start() -> Sites {
        let start = || Arc::new(Cluster::start(Options::for_tests()).unwrap());
        let clusters = [start(), start()];
        let databases = [0, 1].map(|at| clusters[at].fresh_database("tagged").unwrap());
        let app = connect(&databases[0].app_url).await.unwrap();
        app.batch_execute(SCHEMA).await.unwrap();
        Sites { databases, clusters }
    }

    fn configuration(&self) -> String {
        format!(
            "[subjects]\ntable = \"users\"\nresidence = {{ code = \"country\" }}\n\
             [sites.iad1]\nterritory = \"US\"\nurl = \"{}\"\n\
             [sites.dub1]\nterritory = \"IE\"\nurl = \"{}\"\n\
             [[homes]]\nregimes = [\"EU\"]\nsites = [\"dub1\"]\n\
             [[homes]]\nregimes = [\"*\"]\nsites = [\"iad1\"]\n\
             [erase]\nquiet = \"0s\"\nvacuum = false\n",
            self.databases[0].mover_url, self.databases[1].mover_url
        )
    }

    /// Every row of a round.
    async fn tags(&self, seed: u64) -> BTreeSet<(String, i64)> {
        let mut found = BTreeSet::new();
        for database in &self.databases {
            let client = connect(&database.superuser_url).await.unwrap();
            let query = format!("select nonce, n from tags where nonce like '{seed}-%'");
            for row in client.query(&query, &[]).await.unwrap() {
                assert!(found.insert((row.get(0), row.get(1))), "twice");
            }
        }
        found
    }
}

/// Crashes one server after the other, each when so much more has been done.
async fn crash(round: Arc<Round>, clusters: [Arc<Cluster>; 2]) {
    let mut done = round.done.subscribe();
    for at in 1..=(TRANSACTIONS - 1) / BETWEEN_CRASHES {
        if done.wait_for(|done| *done >= BETWEEN_CRASHES * at).await.is_err() {
            return;
        }
        let cluster = clusters[usize::try_from(at % 2).unwrap()].clone();
        tokio::task::spawn_blocking(move || cluster.restart_immediate().unwrap()).await.unwrap();
        round.totals.crashes.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn soak_tagged_nobody_meets_anybody() {
    let sites = Sites::start().await;
    let served = Served::start(sites.configuration()).await;
    let migrated = domicile(&served.config, &["migrate"]).status().await.unwrap();
    assert!(migrated.success());
    let totals = Arc::new(Totals::default());
    let mut seeds = Vec::new();
    for seed in Rounds::new(1).unwrap() {
        seeds.push(seed);
        round(seed, &sites, &served, &totals).await;
    }
    let count = |total: &AtomicU64| total.load(Ordering::Relaxed);
    eprintln!(
        "soak_tagged: {} rounds from seed {}, {} transactions, {} rows read; {} clients vanished, \
         {} statements cancelled, {} timed out, {} cancels with old keys, {} crashes of a server, \
         {} connections lost; 0 rows of others, 0 cancels of others",
        seeds.len(),
        seeds[0],
        count(&totals.transactions),
        count(&totals.rows),
        count(&totals.vanished),
        count(&totals.cancelled),
        count(&totals.timed_out),
        count(&totals.stale_cancels),
        count(&totals.crashes),
        count(&totals.lost)
    );
}

async fn round(seed: u64, sites: &Sites, served: &Served, totals: &Arc<Totals>) {
    let round = Arc::new(Round {
        port: served.port,
        seed,
        totals: totals.clone(),
        done: watch::Sender::new(0),
        is_over: AtomicBool::new(false),
        next: AtomicU64::new(0),
        stale: std::sync::Mutex::default(),
    });
    let crashing = tokio::spawn(crash(round.clone(), sites.clusters.clone()));
    let workers: Vec<JoinHandle<Written>> = (0..CALM + WILD)
        .map(|number| tokio::spawn(work(round.clone(), number, number >= CALM)))
        .collect();
    let mut done = round.done.subscribe();
    let enough = async { done.wait_for(|done| *done >= TRANSACTIONS).await.is_ok() };
    let enough = tokio::time::timeout(PATIENCE, enough).await;
    assert!(enough.is_ok(), "seed {seed}: no end");
    crashing.await.unwrap();
    round.is_over.store(true, Ordering::Relaxed);
    let (mut committed, mut never) = (Vec::new(), Vec::new());
    for worker in workers {
        let written = worker.await.unwrap();
        committed.extend(written.committed);
        never.extend(written.never);
    }
    let standing = sites.tags(seed).await;
    for tag in &committed {
        assert!(standing.contains(tag), "seed {seed}: {tag:?} is lost");
    }
    for tag in &never {
        assert!(!standing.contains(tag), "seed {seed}: nobody committed {tag:?}");
    }
}
