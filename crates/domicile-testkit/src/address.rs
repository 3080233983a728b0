//! A running server's address, from which the URLs of its roles and databases are made.

use anyhow::{Context, Result};

use crate::SUPERUSER_ROLE;

/// A running server's address with the superuser that may make databases there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    /// `name` or `name:password`.
    superuser: String,
    /// `host:port`.
    host: String,
    /// What follows the `?`, if anything.
    parameters: Option<String>,
}

impl Address {
    pub(crate) fn on_loopback(port: u16) -> Self {
        Self {
            superuser: SUPERUSER_ROLE.to_owned(),
            host: format!("127.0.0.1:{port}"),
            parameters: None,
        }
    }

    /// Reads `postgres://user[:password]@host:port[/database][?parameters]`; the database is
    /// left aside.
    pub(crate) fn parse(url: &str) -> Result<Self> {
        let rest = url
            .strip_prefix("postgres://")
            .or_else(|| url.strip_prefix("postgresql://"))
            .with_context(|| format!("`{url}` does not begin with postgres://"))?;
        let (rest, parameters) = match rest.split_once('?') {
            Some((rest, parameters)) => (rest, Some(parameters.to_owned())),
            None => (rest, None),
        };
        let (authority, _database) = rest.split_once('/').unwrap_or((rest, ""));
        let (superuser, host) = authority
            .rsplit_once('@')
            .with_context(|| format!("`{url}` names no superuser before the host"))?;
        Ok(Self { superuser: superuser.to_owned(), host: host.to_owned(), parameters })
    }

    /// The address without a database, as [`Address::parse`] reads it.
    pub(crate) fn base_url(&self) -> String {
        format!("postgres://{}@{}", self.superuser, self.host)
    }

    pub(crate) fn superuser_url(&self, database: &str) -> String {
        self.url(&self.superuser, database)
    }

    pub(crate) fn url(&self, role: &str, database: &str) -> String {
        let parameters = self.parameters.iter().map(|text| format!("?{text}")).collect::<String>();
        format!("postgres://{role}@{}/{database}{parameters}", self.host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_is_read_back() {
        let address = Address::on_loopback(20001);
        assert_eq!(address.base_url(), "postgres://postgres@127.0.0.1:20001");
        assert_eq!(Address::parse(&address.base_url()).unwrap(), address);
    }

    #[test]
    fn roles_keep_host_and_parameters() {
        let address = Address::parse("postgresql://root:p@ss@db:5432/x?sslmode=disable").unwrap();
        assert_eq!(address.url("app", "d"), "postgres://app@db:5432/d?sslmode=disable");
        assert_eq!(address.superuser_url("d"), "postgres://root:p@ss@db:5432/d?sslmode=disable");
    }

    #[test]
    fn an_address_without_superuser_is_refused() {
        assert!(Address::parse("postgres://127.0.0.1:5432").is_err());
        assert!(Address::parse("mysql://root@127.0.0.1").is_err());
    }
}
