//! `[serve]`: the address in front of all sites, and who may come to it.

use super::secret::Secret;
use super::{ConfiguredSite, address, document};
use crate::exit::{Failure, Result};
use indexmap::IndexMap;
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
    /// Where monitoring looks, where it may.
    pub(crate) metrics: Option<SocketAddr>,
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
    /// By table, the place of the site where statements run that do not say whose rows they mean.
    pub(crate) undecided: Vec<(String, usize)>,
    /// What TLS needs, where clients may speak it.
    pub(crate) tls: Option<Tls>,
    /// Who may come.
    pub(crate) users: Vec<User>,
}

/// Files in PEM.
#[derive(Clone, Debug)]
pub(crate) struct Tls {
    /// The chain that clients see.
    pub(crate) certificate: PathBuf,
    /// Its key.
    pub(crate) key: PathBuf,
    /// Whose word about clients is believed.
    pub(crate) client_authorities: Option<PathBuf>,
}

/// Who may come, as the same role at the sites.
#[derive(Clone, Debug)]
pub(crate) struct User {
    /// The name.
    pub(crate) name: String,
    /// The password, at the sites and for clients.
    pub(crate) password: Option<Secret>,
    /// Whether clients come by a certificate and not by the password.
    pub(crate) by_certificate: bool,
}

pub(super) fn read(
    serve: document::Serve,
    sites: &[ConfiguredSite],
    folder: &Path,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Serve> {
    let listen = socket("listen", serve.listen.as_deref().unwrap_or(LISTEN))?;
    let metrics = serve.metrics.as_deref().map(|text| socket("metrics", text)).transpose()?;
    let place = |key: &str, name: &str| {
        let found = sites.iter().position(|site| site.spec.name.as_str() == name);
        found.ok_or_else(|| {
            Failure::usage(format!("[serve] {key} names the site {name}, which is not configured"))
                .hint("name one of [sites.…]")
        })
    };
    let nearest = serve.nearest.as_ref().map_or(Ok(0), |name| place("nearest", name))?;
    let undecided = serve.undecided.into_iter();
    let undecided = undecided.map(|(table, site)| {
        let place = place(&format!("undecided.{table}"), &site)?;
        Ok((table, place))
    });
    let undecided = undecided.collect::<Result<_>>()?;
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
        (Some(certificate), Some(key)) => Some(Tls {
            certificate: folder.join(certificate),
            key: folder.join(key),
            client_authorities: serve.client_authorities.map(|path| folder.join(path)),
        }),
        _ => {
            return Err(Failure::usage("[serve] has one of certificate and key without the other")
                .hint("give both, as files in PEM, or neither"));
        }
    };
    let users = read_users(serve.users, tls.as_ref(), environment)?;
    if users.is_empty() {
        return Err(Failure::usage("[serve] lets nobody in").hint(
            "add [serve.users.NAME] with the role and password the application has at the sites",
        ));
    }
    Ok(Serve {
        listen,
        metrics,
        database: serve.database,
        nearest,
        connections,
        threads: serve.threads,
        drain: serve.drain_seconds.map_or(DRAIN, Duration::from_secs),
        search_path: serve.search_path.unwrap_or_else(|| vec!["public".to_owned()]),
        functions: serve.functions,
        undecided,
        tls,
        users,
    })
}

fn read_users(
    written: IndexMap<String, document::User>,
    tls: Option<&Tls>,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<User>> {
    let believes = tls.is_some_and(|tls| tls.client_authorities.is_some());
    let mut users = Vec::new();
    for (name, user) in written {
        let place = format!("[serve.users.{name}] password");
        if user.certificate && !believes {
            return Err(Failure::usage(format!(
                "[serve.users.{name}] comes by a certificate, and nobody's word about it is believed"
            ))
            .hint("add client_authorities to [serve], beside certificate and key"));
        }
        if user.password.is_none() && !user.certificate {
            return Err(Failure::usage(format!("[serve.users.{name}] has no password"))
                .hint(format!("add password = \"${{{}_PASSWORD}}\"", name.to_uppercase())));
        }
        let password =
            user.password.map(|text| address::with_environment(&text, &place, environment));
        let password = password.transpose()?.map(Secret::new);
        users.push(User { name, password, by_certificate: user.certificate });
    }
    Ok(users)
}

fn socket(key: &str, text: &str) -> Result<SocketAddr> {
    text.parse().map_err(|error| {
        Failure::usage(format!("[serve] {key}: `{text}` is no address"))
            .hint("write an address and a port, as in 127.0.0.1:6432 or [::]:6432")
            .because(&error)
    })
}
