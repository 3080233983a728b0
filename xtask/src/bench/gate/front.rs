//! The addresses that pgbench comes to.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use domicile_testkit::connect;
use domicile_testkit::tokio_postgres::Client;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::bench::pair::{DATABASE, Pair};
use crate::bench::program::Prepared;

/// The contenders, in the order of their columns.
pub(super) const NAMES: [&str; 3] = ["direct", "PgBouncer", "domicile"];

/// As whom pgbench comes.
pub(super) const USER: &str = "app";
pub(super) const PASSWORD: &str = "secret";

/// How long a program may take to listen.
const LISTENS_WITHIN: Duration = Duration::from_secs(20);

/// One address.
pub(super) struct Front {
    pub(super) port: u16,
    /// The process that stands there; `None` for the site itself.
    program: Option<Child>,
    _folder: Option<TempDir>,
}

impl Front {
    /// Processor time of its process so far, in microseconds; 0 for the site itself.
    pub(super) fn processor_us(&self) -> Result<f64> {
        /// `USER_HZ`, which is 100 on every Linux that Rust runs on.
        const TICKS_A_SECOND: f64 = 100.0;
        let Some(program) = &self.program else { return Ok(0.0) };
        let stat = told(program, "stat")?;
        // The name, in parentheses, may hold spaces.
        let (_, rest) = stat.rsplit_once(')').context("what the system tells of a process")?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let ticks = |at: usize| -> Result<f64> { Ok(fields.get(at).context("a time")?.parse()?) };
        Ok((ticks(11)? + ticks(12)?) / TICKS_A_SECOND * 1e6)
    }

    /// Its process's resident memory, in MB; 0 for the site itself.
    pub(super) fn memory_mb(&self) -> Result<f64> {
        let Some(program) = &self.program else { return Ok(0.0) };
        let status = told(program, "status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.context("its memory")?.trim().trim_end_matches(" kB");
        Ok(kib.parse::<f64>()? * 1024.0 / 1e6)
    }

    /// So many clients, each of which has asked once.
    pub(super) async fn clients(&self, count: u32) -> Result<Vec<Client>> {
        /// So many come at a time.
        const AT_ONCE: usize = 16;
        let url = format!("postgres://{USER}:{PASSWORD}@127.0.0.1:{}/{DATABASE}", self.port);
        let comes = |at: u32| {
            let url = &url;
            async move {
                let client = connect(url).await?;
                let asked = format!("SELECT balance FROM users WHERE id = {}", at % 10_000 + 1);
                client.simple_query(&asked).await?;
                Ok(client)
            }
        };
        stream::iter(0..count).map(comes).buffer_unordered(AT_ONCE).try_collect().await
    }
}

/// What the system tells of a process.
fn told(program: &Child, what: &str) -> Result<String> {
    let process = program.id().context("it has ended")?;
    Ok(std::fs::read_to_string(format!("/proc/{process}/{what}"))?)
}

/// All of them.
pub(super) struct Fronts {
    direct: Front,
    bouncer: Front,
    /// PgBouncer 1.18 keeps statements that are prepared only where a client keeps its connection.
    bouncer_by_session: Front,
    domicile: Front,
    /// pgbench prepares while others of its clients hold connections and wait for it: with fewer than
    /// there are clients it waits for itself.
    domicile_with_many: Front,
}

/// As many connections as there can be clients.
const MANY: u32 = 300;

impl Fronts {
    pub(super) async fn start(pair: &Pair, prepared: &Prepared<'_>, pool: u32) -> Result<Fronts> {
        let direct = Front { port: pair.source.port(), program: None, _folder: None };
        Ok(Fronts {
            bouncer: bouncer(direct.port, "transaction", pool).await?,
            bouncer_by_session: bouncer(direct.port, "session", MANY).await?,
            domicile: domicile(prepared, pool).await?,
            domicile_with_many: domicile(prepared, MANY).await?,
            direct,
        })
    }

    /// A contender's address.
    pub(super) fn get(&self, contender: usize, is_prepared: bool) -> &Front {
        match (contender, is_prepared) {
            (0, _) => &self.direct,
            (1, false) => &self.bouncer,
            (1, true) => &self.bouncer_by_session,
            (_, false) => &self.domicile,
            (_, true) => &self.domicile_with_many,
        }
    }
}

/// A port that nobody listens on now.
fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

async fn bouncer(site: u16, mode: &str, pool: u32) -> Result<Front> {
    let port = free_port()?;
    let folder = tempfile::tempdir()?;
    let [settings, users] = ["pgbouncer.ini", "users.txt"].map(|name| folder.path().join(name));
    std::fs::write(&users, format!("\"{USER}\" \"{PASSWORD}\"\n"))?;
    // PgBouncer will not run as root.
    let user = if crate::run::succeeds("sh", &["-c", r#"[ "$(id -u)" = 0 ]"#]) {
        for path in [folder.path(), &users] {
            crate::run::run(&mut crate::run::command(
                "chown",
                [std::ffi::OsStr::new("postgres"), path.as_os_str()],
            )?)?;
        }
        "user = postgres\n"
    } else {
        ""
    };
    std::fs::write(
        &settings,
        format!(
            "[databases]\n{DATABASE} = host=127.0.0.1 port={site} user={USER}\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = plain\nauth_file = {}\npool_mode = {mode}\ndefault_pool_size = {pool}\n\
             max_client_conn = 20000\nlog_connections = 0\nlog_disconnections = 0\n{user}",
            users.display()
        ),
    )?;
    let mut command = Command::new("pgbouncer");
    command.arg("--quiet").arg(&settings).stdin(Stdio::null()).kill_on_drop(true);
    let mut program = command.spawn().context("pgbouncer")?;
    let listens = async {
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            if let Some(ended) = program.try_wait()? {
                bail!("pgbouncer ended: {ended}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    };
    tokio::time::timeout(LISTENS_WITHIN, listens).await.context("pgbouncer does not listen")??;
    Ok(Front { port, program: Some(program), _folder: Some(folder) })
}

async fn domicile(prepared: &Prepared<'_>, pool: u32) -> Result<Front> {
    let port = free_port()?;
    let serve = format!(
        "[serve]\nlisten = \"127.0.0.1:{port}\"\ndatabase = \"{DATABASE}\"\nconnections = {pool}\n\
         [serve.users.{USER}]\npassword = \"{PASSWORD}\"\n"
    );
    let mut program = prepared.serve(&serve)?;
    let lines = program.stderr.take().context("its stderr")?;
    let mut lines = BufReader::new(lines).lines();
    let listens = async {
        while let Some(line) = lines.next_line().await? {
            if line.starts_with("serving") {
                return Ok(());
            }
            eprintln!("{line}");
        }
        bail!("serve ended")
    };
    tokio::time::timeout(LISTENS_WITHIN, listens).await.context("serve does not listen")??;
    ensure!(program.try_wait()?.is_none(), "serve ended");
    tokio::spawn(async move {
        while let Ok(Some(line)) = lines.next_line().await {
            eprintln!("serve: {line}");
        }
    });
    Ok(Front { port, program: Some(program), _folder: None })
}
