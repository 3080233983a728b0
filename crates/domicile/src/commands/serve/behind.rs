//! What stands behind the address: the sites, their tables, and where people are at home.

use super::threads;
use crate::ambient;
use crate::config::{self, Address, Config, Secret, Serve};
use crate::exit::{Failure, Result};
use crate::platform;
use crate::sites;
use domicile_model::Subject;
use domicile_mover::people::Platform;
use domicile_router::asking::{Journals, Placing, listen};
use domicile_router::homes::Homes;
use domicile_router::schema::Schema;
use domicile_router::scram::Verifier;
use domicile_router::{Account, Metrics, Password, Proof, Shared, SiteAddress, User};
use domicile_store::postgres::PostgresSite;
use domicile_store::{Closure, Person};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// So many people's homes are kept in mind.
const PEOPLE_MAX: usize = 1_000_000;
/// How long a statement waits for a connection, and for somebody who is just moving.
const WAITS_FOR_CONNECTION: Duration = Duration::from_secs(10);
const WAITS_FOR_MOVE: Duration = Duration::from_secs(2);

/// What the sites and the configuration said when they were read last.
pub(super) struct Behind {
    pub(super) shared: Arc<Shared>,
    /// The configuration but for `[serve]`.
    besides: toml::Table,
    closure: Arc<Closure>,
}

impl Behind {
    /// Reads everything anew, for as many threads as there are already. Homes that are known stay
    /// known where neither the sites nor what belongs to a person is another than `before`: what one
    /// session has learnt of a move, every other must know.
    pub(super) async fn read(
        path: &Path,
        before: Option<(&Behind, usize)>,
    ) -> Result<(Behind, Serve)> {
        let config = Config::read(path)?;
        let Some(serve) = config.serve.clone() else {
            return Err(Failure::usage("the configuration has no [serve]").hint(
                "add [serve] with listen, and [serve.users.NAME] for the application's role",
            ));
        };
        let besides = besides_serve(path)?;
        let threads = before.map_or_else(|| threads(&serve), |(_, threads)| threads);
        let before = before.map(|(before, _)| before);
        let platform = platform::for_looking(&config, sites::open(&config).await?).await?;
        let closure = platform.closure.clone();
        let schema = read_schema(&platform, Some(&serve)).await?;
        let mut opened = Vec::new();
        for site in &config.sites {
            let Address::Postgres(url) = &site.address else {
                return Err(Failure::usage(format!("site {} is on SQLite", site.spec.name))
                    .hint("serve stands in front of sites on PostgreSQL"));
            };
            opened.push(PostgresSite::connect(site.spec.name.clone(), url.expose()).await?);
        }
        let addresses = opened.iter().map(address).collect::<Result<Vec<_>>>()?;
        let metrics = before.map(|before| before.shared.metrics.clone()).unwrap_or_default();
        let same = before.filter(|before| before.besides == besides && before.closure == closure);
        let homes = match same {
            Some(before) => before.shared.homes.clone(),
            None => homes(&platform, &opened, &serve, &metrics).await?,
        };
        let shared = Arc::new(Shared {
            schema,
            nearest: serve.nearest,
            reference: platform.reference_site,
            users: serve.users.iter().map(user).collect(),
            database: serve
                .database
                .clone()
                .unwrap_or_else(|| addresses[serve.nearest].database.clone()),
            homes,
            sites: addresses,
            search_path: serve.search_path.clone(),
            connections: serve.connections.div_ceil(threads),
            waits_for_connection: WAITS_FOR_CONNECTION,
            waits_for_move: WAITS_FOR_MOVE,
            metrics,
        });
        Ok((Behind { shared, besides, closure }, serve))
    }
}

/// The application's tables as the nearest site has them, the first where no `[serve]` says another.
pub(in crate::commands) async fn read_schema(
    platform: &Platform,
    serve: Option<&Serve>,
) -> Result<Schema> {
    let catalog = platform.sites[serve.map_or(0, |serve| serve.nearest)].catalog().await?;
    let functions = serve.map(|serve| serve.functions.clone()).unwrap_or_default();
    let mut schema = Schema::of(&catalog, &platform.closure, functions);
    for (table, site) in serve.iter().flat_map(|serve| &serve.undecided) {
        if !schema.runs_undecided(table, *site) {
            return Err(Failure::usage(format!(
                "[serve.undecided] names {table}, and no table of people's rows is called so"
            ))
            .hint("write its schema before the name where that is not public"));
        }
    }
    Ok(schema)
}

/// The configuration without what a change of need not ask the sites about.
fn besides_serve(path: &Path) -> Result<toml::Table> {
    let read = || -> Result<toml::Table, Box<dyn std::error::Error>> {
        let text = std::fs::read_to_string(path)?;
        Ok(text.strip_prefix('\u{feff}').unwrap_or(&text).parse()?)
    };
    let mut table = read().map_err(|error| {
        // It was read a moment ago.
        Failure::failed("the configuration changes while it is read").because(&*error)
    })?;
    table.remove("serve");
    Ok(table)
}

/// Where people are at home: asked at the sites, and listened for.
async fn homes(
    platform: &Platform,
    opened: &[PostgresSite],
    serve: &Serve,
    metrics: &Metrics,
) -> Result<Arc<Homes>> {
    let mut residents = Vec::new();
    for site in opened {
        residents.push(Arc::from(site.residents(platform.closure.clone()).await?));
    }
    let journals = Journals::new(residents.clone(), placing(platform), serve.nearest);
    let homes = Arc::new(Homes::new(PEOPLE_MAX, Box::new(journals), opened.len(), metrics));
    for (site, residents) in residents.into_iter().enumerate() {
        tokio::spawn(listen(Arc::downgrade(&homes), residents, site));
    }
    Ok(homes)
}

fn address(site: &PostgresSite) -> Result<Arc<SiteAddress>> {
    let endpoint = site.endpoint()?;
    Ok(Arc::new(SiteAddress {
        name: domicile_store::Site::name(site).to_string(),
        host: endpoint.host,
        port: endpoint.port,
        database: endpoint.database,
        tls: endpoint.tls,
    }))
}

fn user(user: &config::User) -> User {
    let salt: [u8; 16] = ambient::random_bytes();
    let password = user.password.as_ref().map(Secret::expose);
    let proof = match password {
        Some(password) if !user.by_certificate => Proof::Password(Verifier::of(password, &salt)),
        _ => Proof::Certificate,
    };
    let password = password.map(|password| Password(password.to_owned()));
    User { name: user.name.clone(), proof, account: Account { user: user.name.clone(), password } }
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
