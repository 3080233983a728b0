//! How to reach a site, and when two ways lead to the same database.

use super::secret::Secret;
use crate::exit::{Failure, Result};
use std::fmt;
use std::path::{Component, Path, PathBuf};

/// How to reach a site.
#[derive(Clone, Debug)]
pub(crate) enum Address {
    /// A file.
    Sqlite(PathBuf),
    /// A server, by a URL that may hold a password.
    Postgres(Secret),
}

impl Address {
    pub(super) fn read(url: &str, place: &str, folder: &Path) -> Result<Address> {
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Ok(Address::Postgres(Secret::new(url.to_owned())));
        }
        let Some(path) = url.strip_prefix("sqlite:") else {
            // The text may hold a password, so only what stands before the colon is shown.
            let scheme = url.split(':').next().unwrap_or_default();
            let scheme: String = scheme.chars().take(20).collect();
            return Err(Failure::usage(format!("{place} url begins with `{scheme}`"))
                .hint("write sqlite:FILE or postgres://user@host:port/database"));
        };
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.is_empty() || path.contains(":memory:") {
            return Err(Failure::usage(format!("{place} url names no file"))
                .hint("write sqlite:FILE; a database in memory cannot be shared with writers"));
        }
        Ok(Address::Sqlite(folder.join(path)))
    }

    /// Whether both lead to the same database, as far as can be told without asking.
    pub(super) fn is_same(&self, other: &Address) -> bool {
        match (self, other) {
            (Address::Sqlite(one), Address::Sqlite(two)) => real_path(one) == real_path(two),
            (Address::Postgres(one), Address::Postgres(two)) => {
                database(one.expose()) == database(two.expose())
            }
            _ => false,
        }
    }
}

/// A database as people recognise it, without the password.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Address::Postgres(url) => {
                let (host, name) = database(url.expose());
                write!(f, "postgres://{host}/{name}")
            }
        }
    }
}

/// The file's own path, links and detours resolved as far as the path exists.
fn real_path(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut real = PathBuf::new();
    for component in absolute.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                real.pop();
            }
            other => {
                real.push(other);
                real = real.canonicalize().unwrap_or(real);
            }
        }
    }
    real
}

/// Host with port, and database.
fn database(url: &str) -> (String, String) {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split('?').next().unwrap_or_default();
    let (authority, name) = rest.split_once('/').unwrap_or((rest, ""));
    let (user, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    let user = user.split(':').next().unwrap_or_default();
    let hosts: Vec<String> = hosts.split(',').map(with_port).collect();
    // Without a name the database is called like the user.
    let name = if name.is_empty() { user } else { name };
    (hosts.join(","), name.to_owned())
}

fn with_port(host: &str) -> String {
    let host = host.to_ascii_lowercase();
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (name, port),
        _ => (host.as_str(), ""),
    };
    let name = if matches!(name, "localhost" | "[::1]" | "") { "127.0.0.1" } else { name };
    format!("{name}:{}", if port.is_empty() { "5432" } else { port })
}

/// Whether a URL holds a password that is not a variable of the environment.
pub(crate) fn has_password(url: &str) -> bool {
    if !url.starts_with("postgres") || url.contains("${") {
        return false;
    }
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (server, query) = rest.split_once('?').unwrap_or((rest, ""));
    // A password may hold a slash or a second @.
    let user = server.rsplit_once('@').map_or("", |(user, _)| user);
    user.contains(':') || query.contains("password=")
}

/// Reads an address from outside the configuration: paths are seen from `folder`, and `${NAME}`
/// stands for the environment's.
pub(crate) fn read_address(url: &str, place: &str, folder: &Path) -> Result<Address> {
    let url = with_environment(url, place, &|name| std::env::var(name).ok())?;
    Address::read(&url, place, folder)
}

/// Replaces every `${NAME}`.
pub(super) fn with_environment(
    url: &str,
    place: &str,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<String> {
    let mut text = String::new();
    let mut rest = url;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, after)) = after.split_once('}') else {
            return Err(Failure::usage(format!("{place} url has a ${{ without its }}"))
                .hint("write ${NAME} for a variable of the environment"));
        };
        let Some(value) = environment(name) else {
            return Err(Failure::usage(format!(
                "{place} url needs the variable {name}, which is not set"
            ))
            .hint(format!("set it: export {name}=…")));
        };
        text.push_str(before);
        text.push_str(&value);
        rest = after;
    }
    text.push_str(rest);
    Ok(text)
}
