//! `[serve]`: the address in front of all sites, and who may come to it.

use super::secret::Secret;
use super::{ConfiguredSite, address, document};
use crate::exit::{Failure, Result};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// PgBouncer's port is where people look for something in front of PostgreSQL.
const LISTEN: &str = "127.0.0.1:6432";
/// As many as PgBouncer opens for a user and database when nobody says so.
const CONNECTIONS: usize = 20;

/// A transaction of an application takes less; what takes more may be stuck.
const DRAIN: Duration = Duration::from_secs(30);

/// How the application's statements are served.
#[derive(Clone, Debug)]
pub(crate) struct Serve {
    /// Where clients come to.
    pub(crate) listen: SocketAddr,
    /// The database's name towards clients; that of the nearest site where nobody says so.
    pub(crate) database: Option<String>,
    /// The place of the site where rows that are everywhere are read.
    pub(crate) nearest: usize,
    /// Connections to each site for each user.
    pub(crate) connections: usize,
    /// Threads; as many as there are processors where nobody says so.
    pub(crate) threads: Option<usize>,
    /// How long open transactions have to end when it is stopped.
    pub(crate) drain: Duration,
    /// The schemas in which a session looks for tables at first.
    pub(crate) search_path: Vec<String>,
    /// Functions of the application's own that read and write nothing, as `schema.name`.
    pub(crate) functions: Vec<String>,
    /// A certificate chain and its key, in PEM.
    pub(crate) tls: Option<(PathBuf, PathBuf)>,
    /// Who may come, with their passwords, which hold at the sites too.
    pub(crate) users: Vec<(String, Secret)>,
}

pub(super) fn read(
    serve: document::Serve,
    sites: &[ConfiguredSite],
    folder: &Path,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Serve> {
    let listen = serve.listen.as_deref().unwrap_or(LISTEN);
    let listen = listen.parse().map_err(|error| {
        Failure::usage(format!("[serve] listen: `{listen}` is no address"))
            .hint("write an address and a port, as in 127.0.0.1:6432 or [::]:6432")
            .because(&error)
    })?;
    let nearest = match &serve.nearest {
        None => 0,
        Some(name) => {
            let found = sites.iter().position(|site| site.spec.name.as_str() == name);
            found.ok_or_else(|| {
                Failure::usage(format!(
                    "[serve] nearest names the site {name}, which is not configured"
                ))
                .hint("name one of [sites.…]")
            })?
        }
    };
    let connections = serve.connections.unwrap_or(CONNECTIONS);
    for (key, number) in [("connections", Some(connections)), ("threads", serve.threads)] {
        if number == Some(0) {
            return Err(
                Failure::usage(format!("[serve] {key} is 0")).hint("at least one is needed")
            );
        }
    }
    let tls = match (serve.certificate, serve.key) {
        (None, None) => None,
        (Some(certificate), Some(key)) => Some((folder.join(certificate), folder.join(key))),
        _ => {
            return Err(Failure::usage("[serve] has one of certificate and key without the other")
                .hint("give both, as files in PEM, or neither"));
        }
    };
    let mut users = Vec::new();
    for (name, user) in serve.users {
        let place = format!("[serve.users.{name}] password");
        let password = user.password.ok_or_else(|| {
            Failure::usage(format!("[serve.users.{name}] has no password"))
                .hint(format!("add password = \"${{{}_PASSWORD}}\"", name.to_uppercase()))
        })?;
        let password = address::with_environment(&password, &place, environment)?;
        users.push((name, Secret::new(password)));
    }
    if users.is_empty() {
        return Err(Failure::usage("[serve] lets nobody in").hint(
            "add [serve.users.NAME] with the role and password the application has at the sites",
        ));
    }
    Ok(Serve {
        listen,
        database: serve.database,
        nearest,
        connections,
        threads: serve.threads,
        drain: serve.drain_seconds.map_or(DRAIN, Duration::from_secs),
        search_path: serve.search_path.unwrap_or_else(|| vec!["public".to_owned()]),
        functions: serve.functions,
        tls,
        users,
    })
}
