//! Two databases at PostgreSQL with people who have lists, and what breaks there.

use super::Journal;
use super::platform::{
    Database, HOUSE, LIST, ROWS, SITES, Told, Writer, add, append, numbers, start,
};
use super::writer::Part;
use domicile_store::Site;
use domicile_store::faulty::{Faults, Faulty};
use domicile_store::postgres::PostgresSite;
use domicile_testkit::tokio_postgres::{Client, Error};
use domicile_testkit::{
    Cluster, Direction, LinkFault, Options, Proxy, Server, TestDatabase, connect,
};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use rand::RngExt as _;
use rand::rngs::StdRng;
use std::sync::Arc;
use std::time::Duration;

/// How long a link is silent before it is closed; nothing below the proxy would close it.
const SILENCE: Duration = Duration::from_millis(200);
/// How long a link may stay whole before what was to break it is taken back.
const WHOLE_AT_MOST: Duration = Duration::from_millis(600);
const POLL: Duration = Duration::from_millis(5);

/// Servers that may be crashed.
pub fn clusters() -> Vec<Arc<Cluster>> {
    SITES.iter().map(|_| Arc::new(Cluster::start(Options::for_tests()).unwrap())).collect()
}

pub struct PostgresDatabases {
    databases: Vec<TestDatabase>,
    /// How the mover comes to them.
    urls: Vec<String>,
    clusters: Vec<Arc<Cluster>>,
    proxies: Vec<Arc<Proxy>>,
}

impl PostgresDatabases {
    /// At servers that crash while the mover runs.
    pub async fn at(clusters: &[Arc<Cluster>]) -> PostgresDatabases {
        let fresh = |cluster: &Arc<Cluster>| cluster.fresh_database("histories").unwrap();
        let databases: Vec<TestDatabase> = clusters.iter().map(fresh).collect();
        let urls = databases.iter().map(|database| database.mover_url.clone()).collect();
        let clusters = clusters.to_vec();
        PostgresDatabases { databases, urls, clusters, proxies: Vec::new() }.begun().await
    }

    /// At shared servers, each behind a link that breaks between it and the mover.
    pub async fn behind_links() -> PostgresDatabases {
        let fresh = |at| Server::shared(at).unwrap().fresh_database("histories").unwrap();
        let databases: Vec<TestDatabase> = (0..SITES.len()).map(fresh).collect();
        let (mut proxies, mut urls) = (Vec::new(), Vec::new());
        for database in &databases {
            let proxy = Proxy::before(&database.mover_url).await.unwrap();
            urls.push(proxy.url(&database.mover_url).unwrap());
            proxies.push(Arc::new(proxy));
        }
        PostgresDatabases { databases, urls, clusters: Vec::new(), proxies }.begun().await
    }

    async fn begun(self) -> PostgresDatabases {
        let app = connect(&self.databases[0].app_url).await.unwrap();
        app.batch_execute(&start()).await.unwrap();
        self
    }

    /// Both ways, of the link to the second site.
    pub fn delay(&self, by: Duration) {
        for direction in [Direction::ToServer, Direction::ToClient] {
            self.proxies[1].delay(direction, by);
        }
    }
}

impl PostgresDatabases {
    /// Opens a session for writing, whose link is cut after so many bytes to the server.
    pub async fn open_and_cut(&self, bytes: usize) -> Option<domicile_store::Error> {
        let (name, _) = SITES[0];
        let site = PostgresSite::connect(name.parse().unwrap(), &self.urls[0]).await.unwrap();
        self.proxies[0].fail_after(Direction::ToServer, bytes, LinkFault::Cut);
        let claimed = site.claim().await;
        self.proxies[0].heal();
        claimed.err()
    }
}

/// After a moment the server stops at once and starts again.
async fn crash(cluster: Arc<Cluster>, after: Duration) {
    tokio::time::sleep(after).await;
    let restart = move || cluster.restart_immediate();
    tokio::task::spawn_blocking(restart).await.unwrap().unwrap();
}

/// Waits until an armed link has broken, and lets bytes through again; whether it broke.
async fn mend(proxy: &Proxy, fault: LinkFault, before: u64) -> bool {
    let armed = std::time::Instant::now();
    while proxy.faults() == before && armed.elapsed() < WHOLE_AT_MOST {
        tokio::time::sleep(POLL).await;
    }
    if fault == LinkFault::HalfOpen && proxy.faults() > before {
        tokio::time::sleep(SILENCE).await;
    }
    proxy.heal();
    proxy.faults() > before
}

impl Database for PostgresDatabases {
    fn sites<'a>(&'a self, faults: &'a Faults) -> BoxFuture<'a, Vec<Arc<dyn Site>>> {
        let connected = async move {
            let mut sites = Vec::new();
            for ((name, _), url) in SITES.iter().zip(&self.urls) {
                let name = name.parse().unwrap();
                let site = PostgresSite::connect(name, url).await.unwrap();
                let faulty = Faulty::new(Arc::new(site), faults.clone());
                sites.push(Arc::new(faulty) as Arc<dyn Site>);
            }
            sites
        };
        connected.boxed()
    }

    fn client(&self, process: u64) -> BoxFuture<'_, Box<dyn Writer>> {
        const LEVELS: [&str; 3] = ["read committed", "repeatable read", "serializable"];
        let level = LEVELS[usize::try_from(process).unwrap() % LEVELS.len()];
        let urls: Vec<String> = self.databases.iter().map(|at| at.app_url.clone()).collect();
        let clients = urls.iter().map(|_| None).collect();
        let writer = Box::new(PostgresWriter { urls, clients, level }) as Box<dyn Writer>;
        std::future::ready(writer).boxed()
    }

    fn change_house(&self, person: u64) -> BoxFuture<'_, ()> {
        let asked = async move {
            for database in &self.databases {
                let app = connect(&database.app_url).await.unwrap();
                let Err(error) = app.execute(&format!("{HOUSE}{person}"), &[]).await else {
                    continue;
                };
                // Not here any more, or not yet.
                assert!(matches!(code(&error), "DM001" | "DM002"), "{error:?}");
            }
        };
        asked.boxed()
    }

    fn lists(&self, person: u64) -> BoxFuture<'_, (Vec<u64>, Vec<u64>)> {
        let found = async move {
            let (mut list, mut rows) = (Vec::new(), Vec::new());
            for database in &self.databases {
                let app = connect(&database.app_url).await.unwrap();
                for row in app.query(&format!("{LIST}{person}"), &[]).await.unwrap() {
                    list.extend(numbers(row.get(0)));
                }
                let sql = format!("{ROWS}{person} order by seq");
                for row in app.query(&sql, &[]).await.unwrap() {
                    rows.extend(numbers(row.get(0)));
                }
            }
            (list, rows)
        };
        found.boxed()
    }

    fn breakage(&self, draw: &mut StdRng) -> Option<BoxFuture<'_, Option<String>>> {
        let at = draw.random_range(0..SITES.len());
        let (site, _) = SITES[at];
        if let Some(cluster) = self.clusters.get(at) {
            let after = Duration::from_millis(draw.random_range(5..300));
            let crashed = crash(cluster.clone(), after);
            return Some(crashed.map(move |()| Some(format!("{site} restarted"))).boxed());
        }
        let proxy = self.proxies.get(at)?;
        let direction = if draw.random() { Direction::ToServer } else { Direction::ToClient };
        // As many faults in the first thousand bytes as in the last ten thousand.
        let bytes = 1 << draw.random_range(4..15_u32);
        let bytes = draw.random_range(bytes / 2..bytes);
        let fault = if draw.random() { LinkFault::Cut } else { LinkFault::HalfOpen };
        let what = format!("{fault:?} {direction:?} {site} after {bytes} bytes");
        let before = proxy.faults();
        proxy.fail_after(direction, bytes, fault);
        Some(mend(proxy, fault, before).map(|has_broken| has_broken.then_some(what)).boxed())
    }
}

/// Empty when the connection is lost.
fn code(error: &Error) -> &str {
    error.code().map_or("", |code| code.code())
}

struct PostgresWriter {
    urls: Vec<String>,
    clients: Vec<Option<Client>>,
    level: &'static str,
}

/// Why a transaction is not done.
enum Failed {
    /// No row: this person is not here, or no longer.
    NotFound(u64),
    Error(u64, Error),
}

impl PostgresWriter {
    /// A connection, however long the server is down.
    async fn connected(&mut self, at: usize) -> &Client {
        while self.clients[at].is_none() {
            match connect(&self.urls[at]).await {
                Ok(client) => self.clients[at] = Some(client),
                Err(_) => tokio::time::sleep(POLL).await,
            }
        }
        self.clients[at].as_ref().unwrap()
    }

    /// Everything but the commit; what was read.
    async fn statements(
        client: &Client,
        level: &str,
        parts: &[Part],
        journal: &Journal,
    ) -> Result<Vec<Vec<u64>>, Failed> {
        let begin = format!("begin isolation level {level}");
        client.batch_execute(&begin).await.map_err(|error| Failed::Error(0, error))?;
        let mut read = Vec::new();
        for part in parts {
            let failed = |error| Failed::Error(part.person, error);
            if part.list {
                let rows = client.query(&append(part), &[]).await.map_err(failed)?;
                let row = rows.first().ok_or(Failed::NotFound(part.person))?;
                read.push(numbers(row.get(0)));
            }
            if part.row {
                let sql = add(part, journal.tick());
                client.execute(&sql, &[]).await.map_err(failed)?;
            }
        }
        Ok(read)
    }
}

/// The codes with which a server that stops ends a session.
const STOPS: [&str; 4] = ["", "57P01", "57P02", "57P03"];

impl Writer for PostgresWriter {
    fn write<'a>(
        &'a mut self,
        at: usize,
        parts: &'a [Part],
        journal: &'a Journal,
        is_lost: bool,
    ) -> BoxFuture<'a, Told> {
        let written = async move {
            let level = self.level;
            let client = self.connected(at).await;
            let failed = match PostgresWriter::statements(client, level, parts, journal).await {
                Ok(_) if is_lost => {
                    // The commit is sent and nobody waits for its answer.
                    let _ = client.batch_execute("commit").now_or_never();
                    self.clients[at] = None;
                    return Told::Lost;
                }
                Ok(read) => match client.batch_execute("commit").await {
                    Ok(()) => return Told::Done(read),
                    Err(error) if STOPS.contains(&code(&error)) => {
                        self.clients[at] = None;
                        return Told::Lost;
                    }
                    Err(error) => Failed::Error(0, error),
                },
                Err(failed) => failed,
            };
            let told = match &failed {
                Failed::NotFound(person) => Told::NotHere(*person),
                Failed::Error(person, error) => match code(error) {
                    "DM001" | "23503" => Told::NotHere(*person),
                    "DM002" | "40001" | "40P01" => Told::TryAgain,
                    // Before the commit was sent: it is not done.
                    stopped if STOPS.contains(&stopped) => {
                        self.clients[at] = None;
                        return Told::TryAgain;
                    }
                    _ => panic!("{error:?}"),
                },
            };
            if client.batch_execute("rollback").await.is_err() {
                self.clients[at] = None;
            }
            told
        };
        written.boxed()
    }
}
