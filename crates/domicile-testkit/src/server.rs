//! Servers that many tests share, and the databases made for one test.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use tokio_postgres::Client;

use crate::address::Address;
use crate::cluster::{Cluster, Options};
use crate::session::{connect, wait_for};
use crate::{APP_ROLE, MOVER_ROLE};

/// Names the running servers: the superuser's URLs without a database, separated by commas.
/// `cargo xtask test` sets it; without it each process starts the servers that it asks for.
pub const TEST_SERVERS_ENV: &str = "DOMICILE_TEST_PG";

/// How long the best effort to drop a test's database lasts at most.
const DROP_WAIT_MAX: Duration = Duration::from_secs(10);

/// The servers that this process started, by index. Their wardens stop them at the exit.
static STARTED: Mutex<BTreeMap<usize, Cluster>> = Mutex::new(BTreeMap::new());

static DATABASES_MADE: AtomicU32 = AtomicU32::new(0);

/// A running server that this test shares with others. Tests make databases there, but they
/// neither stop it nor change its settings; for that there is [`Cluster`].
#[derive(Debug, Clone)]
pub struct Server {
    address: Address,
}

impl Server {
    /// The shared server of that index; small different indexes are different servers.
    ///
    /// With [`TEST_SERVERS_ENV`] the index chooses from that list, round and round. Without it
    /// the process starts one server per index and keeps it until it exits.
    pub fn shared(index: usize) -> Result<Self> {
        match std::env::var(TEST_SERVERS_ENV) {
            Ok(list) if !list.trim().is_empty() => Self::listed(&list, index),
            _ => Self::started_here(index),
        }
    }

    /// Makes an empty database whose name no other test has.
    pub fn fresh_database(&self, prefix: &str) -> Result<TestDatabase> {
        TestDatabase::make(&self.address, prefix)
    }

    fn listed(list: &str, index: usize) -> Result<Self> {
        let urls: Vec<&str> = list.split(',').map(str::trim).collect();
        let address = Address::parse(urls[index % urls.len()])
            .with_context(|| format!("reading {TEST_SERVERS_ENV}"))?;
        Ok(Self { address })
    }

    fn started_here(index: usize) -> Result<Self> {
        // A test that panicked while it held the lock left the map whole.
        let mut started = STARTED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cluster) = started.get(&index) {
            return Ok(Self { address: cluster.address() });
        }
        let cluster = Cluster::start(Options::for_tests())?;
        let address = cluster.address();
        started.insert(index, cluster);
        Ok(Self { address })
    }
}

/// An empty database of one test, owned by the application's role; dropped with this value.
#[derive(Debug)]
pub struct TestDatabase {
    /// The URL for the mover.
    pub mover_url: String,
    /// The URL for the platform's application, which may make tables in `public`.
    pub app_url: String,
    /// The URL for the superuser of the server.
    pub superuser_url: String,
    /// The database's name.
    pub name: String,
    address: Address,
}

impl TestDatabase {
    pub(crate) fn make(address: &Address, prefix: &str) -> Result<Self> {
        let name = unique_name(prefix);
        wait_for(make_database(address, &name)).with_context(|| format!("making {name}"))?;
        Ok(Self {
            mover_url: address.url(MOVER_ROLE, &name),
            app_url: address.url(APP_ROLE, &name),
            superuser_url: address.superuser_url(&name),
            name,
            address: address.clone(),
        })
    }

    /// Runs statements as the superuser of the server.
    ///
    /// # Errors
    ///
    /// What the server says to them.
    pub async fn run_as_superuser(&self, statements: &str) -> Result<()> {
        Ok(connect(&self.superuser_url).await?.batch_execute(statements).await?)
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        // Best effort: the server may be stopped already, and it goes away with its databases.
        let dropped = wait_for(async {
            tokio::time::timeout(DROP_WAIT_MAX, drop_database(&self.address, &self.name)).await?
        });
        if let Err(error) = dropped {
            eprintln!("database {} is not dropped: {error:#}", self.name);
        }
    }
}

/// Makes the roles that are not there yet; other processes may be doing the same.
pub(crate) async fn make_roles(address: &Address) -> Result<()> {
    make_roles_over(&connect(&address.superuser_url("postgres")).await?).await
}

async fn make_roles_over(superuser: &Client) -> Result<()> {
    for (role, rights) in [(MOVER_ROLE, "login superuser"), (APP_ROLE, "login")] {
        superuser
            .batch_execute(&format!(
                "do $$ begin create role {role} {rights};
                 exception when duplicate_object or unique_violation then null; end $$"
            ))
            .await
            .with_context(|| format!("making the role {role}"))?;
    }
    Ok(())
}

/// Since PostgreSQL 15 the database's owner owns its `public` schema.
async fn make_database(address: &Address, name: &str) -> Result<()> {
    let superuser = connect(&address.superuser_url("postgres")).await?;
    make_roles_over(&superuser).await?;
    superuser.batch_execute(&format!("create database {name} owner {APP_ROLE}")).await?;
    Ok(())
}

/// Prepared transactions and replication slots would keep the database; they go first.
async fn drop_database(address: &Address, name: &str) -> Result<()> {
    let inside = connect(&address.superuser_url(name)).await?;
    let prepared = "select gid from pg_prepared_xacts where database = current_database()";
    for row in inside.query(prepared, &[]).await? {
        let gid: String = row.get(0);
        inside.batch_execute(&format!("rollback prepared '{}'", gid.replace('\'', "''"))).await?;
    }
    inside
        .batch_execute(
            "select pg_terminate_backend(active_pid, 2000) from pg_replication_slots
               where database = current_database() and active;
             select pg_drop_replication_slot(slot_name) from pg_replication_slots
               where database = current_database()",
        )
        .await?;
    drop(inside);
    let superuser = connect(&address.superuser_url("postgres")).await?;
    superuser.batch_execute(&format!("drop database if exists {name} with (force)")).await?;
    Ok(())
}

/// Unique among all tests of all processes: two processes never share their number at one time,
/// and the clock tells a process from an earlier one with the same number.
fn unique_name(prefix: &str) -> String {
    let prefix: String = prefix
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' })
        .take(24)
        .collect();
    let made = DATABASES_MADE.fetch_add(1, Ordering::Relaxed);
    let clock_us = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
    format!("t_{prefix}_{}_{made}_{:x}", std::process::id(), clock_us & 0xff_ffff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_identifiers_and_differ() {
        let [a, b] = ["Plan & Größe, a very long prefix indeed"; 2].map(unique_name);
        assert_ne!(a, b);
        assert!(a.len() <= 63, "{a}");
        assert!(a.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'));
    }

    #[test]
    fn the_index_goes_round_the_list() {
        let list = "postgres://a@h:1, postgres://b@h:2";
        let host = |index| Server::listed(list, index).unwrap().address.base_url();
        assert_eq!(host(1), "postgres://b@h:2");
        assert_eq!(host(2), "postgres://a@h:1");
    }
}
