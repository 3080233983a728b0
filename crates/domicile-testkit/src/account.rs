//! Whose account PostgreSQL's programs run under: PostgreSQL refuses to run as root.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::binaries::program_on_path;

const POSTGRES_ACCOUNT: &str = "postgres";

/// Whose account PostgreSQL's programs run under.
#[derive(Debug)]
pub(crate) enum Account {
    /// The account of this process.
    Own,
    /// This process is root's: the programs are started through `switch` as `postgres`.
    Postgres { uid: u32, gid: u32, switch: Vec<OsString> },
}

impl Account {
    /// The account that fits this process.
    pub(crate) fn for_this_process() -> Result<Self> {
        if number_from_id(&["-u"])? != 0 {
            return Ok(Self::Own);
        }
        let hint = "hint: `cargo xtask setup` installs PostgreSQL with its account";
        let uid = number_from_id(&["-u", POSTGRES_ACCOUNT])
            .with_context(|| format!("root needs the account `{POSTGRES_ACCOUNT}`\n{hint}"))?;
        let gid = number_from_id(&["-g", POSTGRES_ACCOUNT])?;
        Ok(Self::Postgres { uid, gid, switch: switch_to_postgres()? })
    }

    /// The program with what must stand before it to run under this account.
    pub(crate) fn argv(&self, program: &Path) -> Vec<OsString> {
        let mut argv = match self {
            Self::Own => Vec::new(),
            Self::Postgres { switch, .. } => switch.clone(),
        };
        argv.push(program.into());
        argv
    }

    /// Makes the path the account's own.
    pub(crate) fn take_over(&self, path: &Path) -> Result<()> {
        let Self::Postgres { uid, gid, .. } = self else { return Ok(()) };
        std::os::unix::fs::chown(path, Some(*uid), Some(*gid))
            .with_context(|| format!("cannot give {} to {POSTGRES_ACCOUNT}", path.display()))
    }
}

fn switch_to_postgres() -> Result<Vec<OsString>> {
    let words: &[&str] = if program_on_path("setpriv").is_some() {
        &["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]
    } else if program_on_path("runuser").is_some() {
        &["runuser", "-u", POSTGRES_ACCOUNT, "--"]
    } else {
        bail!("root needs `setpriv` or `runuser` to start PostgreSQL as {POSTGRES_ACCOUNT}");
    };
    Ok(words.iter().map(OsString::from).collect())
}

fn number_from_id(arguments: &[&str]) -> Result<u32> {
    let output = Command::new("id").args(arguments).output().context("cannot run `id`")?;
    if !output.status.success() {
        bail!("`id {}`: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    String::from_utf8_lossy(&output.stdout).trim().parse().context("`id` printed no number")
}
