//! One PostgreSQL cluster: a directory, a server, a port.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::hash::{BuildHasher, RandomState};
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::account::Account;
use crate::address::Address;
use crate::binaries::Binaries;
use crate::server::{self, TestDatabase};
use crate::session::wait_for;
use crate::warden::Warden;
use crate::{APP_ROLE, MOVER_ROLE, SUPERUSER_ROLE};

/// Below Linux's ephemeral ports: while the server is stopped, no outgoing connection of a test
/// can take the port by chance.
const PORTS: std::ops::Range<u16> = 15_000..32_000;

/// How often a start is tried when another process took the port in between.
const START_TRIES_MAX: u32 = 10;

/// How long `pg_ctl` waits for the server to answer.
const START_WAIT_S_MAX: u32 = 60;

/// How a cluster is started.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Whether commits wait for the disk. Tests go without: what they check is what survives the
    /// server's death, not the machine's.
    pub fsync: bool,
    /// Further settings of `postgresql.conf`; they come last and therefore win.
    pub settings: Vec<(String, String)>,
}

impl Options {
    /// Fast, not durable against a crash of the machine.
    pub fn for_tests() -> Self {
        Self::default()
    }

    /// Durable, as in production: what is measured includes the disk.
    pub fn for_benchmarks() -> Self {
        Self { fsync: true, ..Self::default() }
    }

    /// Adds a setting of `postgresql.conf`.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// How a server is stopped; the names are PostgreSQL's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopMode {
    /// Waits until all clients have left.
    Smart,
    /// Ends the sessions, writes everything, stops.
    Fast,
    /// Stops at once, as in a crash; the next start recovers from the log.
    Immediate,
}

impl StopMode {
    fn name(self) -> &'static str {
        match self {
            Self::Smart => "smart",
            Self::Fast => "fast",
            Self::Immediate => "immediate",
        }
    }
}

/// A PostgreSQL cluster of this process; dropping it stops the server and removes its files.
///
/// Every local connection is trusted. The roles [`MOVER_ROLE`] and [`APP_ROLE`] exist.
#[derive(Debug)]
pub struct Cluster {
    binaries: Binaries,
    account: Account,
    home: PathBuf,
    data_dir: PathBuf,
    port: u16,
    /// Stops the server and removes `home` when it is dropped.
    _warden: Warden,
}

impl Cluster {
    /// Makes a cluster in a directory of its own and starts it on a free loopback port.
    pub fn start(options: Options) -> Result<Self> {
        let mut cluster = Self::without_files()?;
        cluster.init(&options)?;
        cluster.start_on_a_free_port()?;
        wait_for(server::make_roles(&cluster.address()))?;
        Ok(cluster)
    }

    /// Makes a streaming standby of this cluster, asynchronous and called `standby`.
    pub fn standby(&self) -> Result<Self> {
        let mut standby = Self::without_files()?;
        let port = self.port.to_string();
        let from = ["-R", "-c", "fast", "-h", "127.0.0.1", "-U", SUPERUSER_ROLE, "-p", &port, "-D"];
        standby.run("pg_basebackup", from, &standby.data_dir)?;
        let socket_dir = standby.make_socket_dir()?;
        let own = [("cluster_name", "standby"), ("unix_socket_directories", &socket_dir)];
        standby.append_settings(&lines(own))?;
        standby.start_on_a_free_port()?;
        Ok(standby)
    }

    fn without_files() -> Result<Self> {
        let binaries = Binaries::find()?;
        let account = Account::for_this_process()?;
        let temporary = tempfile::Builder::new().prefix("domicile-pg-").tempdir()?;
        account.take_over(temporary.path())?;
        let home = temporary.path().to_path_buf();
        let data_dir = home.join("data");

        let mut stop_server = account.argv(&binaries.program("pg_ctl"));
        stop_server.extend(["stop", "-w", "-m", "immediate", "-D"].map(Into::into));
        stop_server.push(data_dir.clone().into());
        let warden = Warden::over(temporary, &stop_server)?;

        Ok(Self { binaries, account, home, data_dir, port: 0, _warden: warden })
    }

    /// The loopback port; the same for the cluster's whole life.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of a database for the mover.
    pub fn url(&self, database: &str) -> String {
        self.address().url(MOVER_ROLE, database)
    }

    /// The URL of a database for the platform's application.
    pub fn app_url(&self, database: &str) -> String {
        self.address().url(APP_ROLE, database)
    }

    /// The URL of a database for the role that made the cluster.
    pub fn superuser_url(&self, database: &str) -> String {
        self.address().superuser_url(database)
    }

    /// The superuser's URL without a database, as [`crate::TEST_SERVERS_ENV`] lists it.
    pub fn base_url(&self) -> String {
        self.address().base_url()
    }

    /// Where the cluster keeps its data.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// What the server has logged so far.
    pub fn log(&self) -> Result<String> {
        let bytes = std::fs::read(self.log_file()).context("reading the server's log")?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Makes an empty database in this cluster.
    pub fn fresh_database(&self, prefix: &str) -> Result<TestDatabase> {
        TestDatabase::make(&self.address(), prefix)
    }

    /// Stops the server; its files stay.
    pub fn stop(&self, mode: StopMode) -> Result<()> {
        self.run("pg_ctl", ["stop", "-w", "-m", mode.name(), "-D"], &self.data_dir)
    }

    /// Starts the stopped server again, on the same port and the same files.
    pub fn start_again(&self) -> Result<()> {
        for _ in 0..START_TRIES_MAX {
            if self.start_on(self.port)? {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        bail!("port {} was taken while the server was stopped", self.port)
    }

    /// Crashes the server and starts it again; what was committed is there afterwards.
    pub fn restart_immediate(&self) -> Result<()> {
        self.stop(StopMode::Immediate)?;
        self.start_again()
    }

    pub(crate) fn address(&self) -> Address {
        Address::on_loopback(self.port)
    }

    fn log_file(&self) -> PathBuf {
        self.home.join("log")
    }

    fn init(&self, options: &Options) -> Result<()> {
        let socket_dir = self.make_socket_dir()?;
        self.run(
            "initdb",
            [
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "--lc-messages=C",
                "--no-sync",
                "--no-instructions",
                "--username",
                SUPERUSER_ROLE,
                "-D",
            ],
            &self.data_dir,
        )?;
        self.append_settings(&settings_text(options, &socket_dir))
    }

    fn make_socket_dir(&self) -> Result<String> {
        let socket_dir = self.home.join("socket");
        std::fs::create_dir(&socket_dir)?;
        self.account.take_over(&socket_dir)?;
        Ok(socket_dir.to_string_lossy().into_owned())
    }

    fn append_settings(&self, text: &str) -> Result<()> {
        OpenOptions::new()
            .append(true)
            .open(self.data_dir.join("postgresql.conf"))?
            .write_all(text.as_bytes())
            .context("writing postgresql.conf")
    }

    fn start_on_a_free_port(&mut self) -> Result<()> {
        for _ in 0..START_TRIES_MAX {
            let port = free_port()?;
            if self.start_on(port)? {
                self.port = port;
                return Ok(());
            }
        }
        bail!("{START_TRIES_MAX} free ports were taken before the server could listen")
    }

    /// Starts the server; `false` when the port is taken.
    fn start_on(&self, port: u16) -> Result<bool> {
        let log_before = self.log().map_or(0, |text| text.len());
        let [wait, port] = [START_WAIT_S_MAX.to_string(), format!("-p {port}")];
        let log_file = self.log_file();
        let started = self.run(
            "pg_ctl",
            [
                OsStr::new("start"),
                OsStr::new("-w"),
                OsStr::new("-t"),
                OsStr::new(&wait),
                OsStr::new("-o"),
                OsStr::new(&port),
                OsStr::new("-l"),
                log_file.as_os_str(),
                OsStr::new("-D"),
            ],
            &self.data_dir,
        );
        let Err(error) = started else { return Ok(true) };
        let log = self.log().unwrap_or_default();
        let said = log.get(log_before..).unwrap_or(&log);
        if said.contains("Address already in use") {
            return Ok(false);
        }
        Err(error.context(format!("the server did not start; it said:\n{said}")))
    }

    /// Runs one of PostgreSQL's programs under the cluster's account; the path comes last.
    fn run<A: AsRef<OsStr>>(
        &self,
        program: &str,
        arguments: impl IntoIterator<Item = A>,
        path: &Path,
    ) -> Result<()> {
        let argv = self.account.argv(&self.binaries.program(program));
        let mut command = Command::new(&argv[0]);
        command.args(&argv[1..]).args(arguments).arg(path);
        // The caller's own PostgreSQL settings (PGPORT, PGDATA, …) must not reach this cluster.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PG") {
                command.env_remove(&name);
            }
        }
        let output = command
            .env("LC_ALL", "C")
            .current_dir(&self.home)
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("cannot run {program}"))?;
        if output.status.success() {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&output.stderr);
        bail!("{program} failed ({}): {}", output.status, text.trim())
    }
}

fn settings_text(options: &Options, socket_dir: &str) -> String {
    let switch = if options.fsync { "on" } else { "off" };
    let fixed = [
        ("listen_addresses", "127.0.0.1"),
        ("unix_socket_directories", socket_dir),
        ("max_prepared_transactions", "20"),
        ("max_connections", "200"),
        ("wal_level", "logical"),
        ("max_replication_slots", "50"),
        ("max_wal_senders", "50"),
        ("fsync", switch),
        // Even without fsync: a commit that the server only holds in memory dies with the server.
        ("synchronous_commit", "on"),
        ("full_page_writes", switch),
    ];
    let further = options.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    lines(fixed.into_iter().chain(further))
}

fn lines<'a>(settings: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut text = String::from("\n# domicile-testkit\n");
    for (name, value) in settings {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name} = '{}'", value.replace('\'', "''"));
    }
    text
}

/// A port that nobody listens on now. Tests in other processes choose at the same time, so the
/// choice begins at a random place.
fn free_port() -> Result<u16> {
    let count = u64::from(PORTS.end - PORTS.start);
    let offset = u16::try_from(RandomState::new().hash_one(std::process::id()) % count)?;
    (PORTS.start + offset..PORTS.end)
        .chain(PORTS.start..PORTS.start + offset)
        .find(|&port| TcpListener::bind(("127.0.0.1", port)).is_ok())
        .context("no free port on the loopback address")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_callers_settings_come_last_and_are_quoted() {
        let options = Options::for_benchmarks().with("application_name", "it's");
        let text = settings_text(&options, "/tmp/s");
        assert!(text.contains("fsync = 'on'\n"));
        assert!(text.ends_with("application_name = 'it''s'\n"));
    }

    #[test]
    fn a_taken_port_is_not_free() {
        let listener = TcpListener::bind(("127.0.0.1", free_port().unwrap())).unwrap();
        assert_ne!(free_port().unwrap(), listener.local_addr().unwrap().port());
    }
}
