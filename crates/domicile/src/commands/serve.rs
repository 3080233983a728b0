//! `domicile serve`: one address in front of all sites.

use crate::ambient;
use crate::cli::Global;
use crate::config::{Address, Config, Serve};
use crate::exit::{Exit, Failure, Result};
use crate::platform;
use crate::screen;
use crate::sites;
use crate::stop::Signals;
use domicile_model::Subject;
use domicile_mover::people::Platform;
use domicile_router::asking::{Journals, Placing, listen};
use domicile_router::homes::Homes;
use domicile_router::schema::Schema;
use domicile_router::scram::Verifier;
use domicile_router::{Account, Entrance, Password, ServerTls, Shared, SiteAddress, User};
use domicile_store::postgres::PostgresSite;
use domicile_store::{Person, Residents};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::LocalSet;

/// So many people's homes are kept in mind.
const PEOPLE_MAX: usize = 1_000_000;
/// How long a statement waits for a connection, and for somebody who is just moving.
const WAITS_FOR_CONNECTION: Duration = Duration::from_secs(10);
const WAITS_FOR_MOVE: Duration = Duration::from_secs(2);

/// Serves until a signal comes.
pub(crate) async fn run(global: &Global) -> Result<Exit> {
    let config = Config::read(&global.config)?;
    let Some(serve) = config.serve.clone() else {
        return Err(Failure::usage("the configuration has no [serve]")
            .hint("add [serve] with listen, and [serve.users.NAME] for the application's role"));
    };
    let mut signals = Signals::listen()?;
    let (platform, shared) = shared(&config, &serve).await?;
    for (site, residents) in shared.residents.iter().enumerate() {
        tokio::spawn(listen(shared.shared.homes.clone(), residents.clone(), site));
    }
    let entrance = Entrance::new(shared.shared, tls(&serve)?)
        .map_err(|error| Failure::failed(error.to_string()).because(&error))?;
    let (serving, mut all_ended) = mpsc::channel::<()>(1);
    for number in 0..threads(&serve) {
        let listener = bind(serve.listen)?;
        let (entrance, serving) = (entrance.clone(), serving.clone());
        let thread = std::thread::Builder::new().name(format!("serve-{number}"));
        let run = move || {
            serve_on(entrance, listener);
            drop(serving);
        };
        thread
            .spawn(run)
            .map_err(|error| Failure::failed("a thread cannot be started").because(&error))?;
    }
    drop(serving);
    screen::say(format!("serving {} sites at {}", platform.sites.len(), serve.listen));
    signals.next().await;
    entrance.stop();
    screen::say(format!(
        "letting nobody more in; transactions have {} seconds to end, once more to end at once",
        serve.drain.as_secs()
    ));
    tokio::select! {
        _ = all_ended.recv() => {}
        () = signals.next() => {}
        () = tokio::time::sleep(serve.drain) => {}
    }
    Ok(Exit::Ok)
}

struct Everything {
    shared: Arc<Shared>,
    residents: Vec<Arc<dyn Residents>>,
}

/// What every thread knows.
async fn shared(config: &Config, serve: &Serve) -> Result<(Platform, Everything)> {
    let platform = platform::for_looking(config, sites::open(config).await?).await?;
    let catalog = platform.sites[serve.nearest].catalog().await?;
    let schema = Schema::of(&catalog, &platform.closure, serve.functions.clone());
    let (mut addresses, mut residents) = (Vec::new(), Vec::new());
    for site in &config.sites {
        let Address::Postgres(url) = &site.address else {
            return Err(Failure::usage(format!("site {} is on SQLite", site.spec.name))
                .hint("serve stands in front of sites on PostgreSQL"));
        };
        let opened = PostgresSite::connect(site.spec.name.clone(), url.expose()).await?;
        let endpoint = opened.endpoint()?;
        addresses.push(SiteAddress {
            name: site.spec.name.to_string(),
            host: endpoint.host,
            port: endpoint.port,
            database: endpoint.database,
            tls: endpoint.tls,
        });
        residents.push(Arc::from(opened.residents(platform.closure.clone()).await?));
    }
    let users = serve.users.iter().map(|(name, password)| {
        let salt: [u8; 16] = ambient::random_bytes();
        User {
            name: name.clone(),
            verifier: Verifier::of(password.expose(), &salt),
            account: Account {
                user: name.clone(),
                password: Some(Password(password.expose().to_owned())),
            },
        }
    });
    let journals = Journals::new(residents.clone(), placing(&platform), serve.nearest);
    let shared = Arc::new(Shared {
        schema,
        nearest: serve.nearest,
        reference: platform.reference_site,
        users: users.collect(),
        database: serve
            .database
            .clone()
            .unwrap_or_else(|| addresses[serve.nearest].database.clone()),
        homes: Arc::new(Homes::new(PEOPLE_MAX, Box::new(journals), addresses.len())),
        sites: addresses,
        search_path: serve.search_path.clone(),
        connections: serve.connections.div_ceil(threads(serve)),
        waits_for_connection: WAITS_FOR_CONNECTION,
        waits_for_move: WAITS_FOR_MOVE,
    });
    Ok((platform, Everything { shared, residents }))
}

fn threads(serve: &Serve) -> usize {
    match serve.threads {
        Some(threads) => threads,
        None => std::thread::available_parallelism().map_or(1, usize::from),
    }
}

/// Where somebody who signs up is to live, by the rules for homes.
fn placing(platform: &Platform) -> Placing {
    let platform = platform.clone();
    Box::new(move |row| {
        let value = |column: &String| {
            let found = row.iter().find(|(name, _)| name == column);
            found.and_then(|(_, value)| value.clone())
        };
        let key: Option<Vec<String>> = platform.closure.root().key.iter().map(value).collect();
        let person = Person {
            // A key that the site makes is not known yet: the rules share such people out by what is.
            subject: Subject::new(domicile_router::key::subject(&key.unwrap_or_default())),
            residence: platform.closure.residence.iter().map(value).collect(),
        };
        platform.home_of(&person).1
    })
}

/// A socket that several threads can listen on.
fn bind(address: SocketAddr) -> Result<TcpListener> {
    domicile_router::bind(address).map_err(|error| {
        Failure::failed(format!("cannot listen on {address}"))
            .hint("somebody else may listen there; choose another address in [serve] listen")
            .because(&error)
    })
}

fn serve_on(entrance: Arc<Entrance>, listener: TcpListener) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let serving = runtime.map_err(|error| error.to_string()).and_then(|runtime| {
        LocalSet::new().block_on(&runtime, entrance.serve(listener)).map_err(|e| e.to_string())
    });
    if let Err(error) = serving {
        tracing::error!(%error, "a thread serves no more");
    }
}

/// What TLS needs towards clients.
fn tls(serve: &Serve) -> Result<Option<ServerTls>> {
    let Some((certificate, key)) = &serve.tls else { return Ok(None) };
    domicile_router::tls(certificate, key).map(Some).map_err(|error| {
        Failure::usage(format!("TLS cannot be spoken: {error}"))
            .hint("[serve] certificate and key are files in PEM")
    })
}
