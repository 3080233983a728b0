//! `domicile` itself, as its user runs it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// The built program.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) path: PathBuf,
}

/// Two sites, prepared, with the configuration that names them.
pub(super) struct Prepared<'a> {
    program: &'a Path,
    folder: TempDir,
}

/// What one migration took.
pub(super) struct Migration {
    pub(super) seconds: f64,
    /// The largest resident memory of the program, in MB.
    pub(super) memory_mb: f64,
    /// What it reported.
    pub(super) report: Value,
}

impl Program {
    /// Makes two sites ready; vacuums behind or does not.
    pub(super) async fn prepare(
        &self,
        source: &str,
        target: &str,
        vacuum: bool,
    ) -> Result<Prepared<'_>> {
        let prepared = Prepared { program: &self.path, folder: tempfile::tempdir()? };
        std::fs::write(
            prepared.config(),
            format!(
                "[subjects]\ntable = \"users\"\nresidence = {{ code = \"country\" }}\n\
                [erase]\nvacuum = {vacuum}\n\
                [sites.iad1]\nterritory = \"US\"\nurl = \"{source}\"\n\
                [sites.dub1]\nterritory = \"IE\"\nurl = \"{target}\"\n\
                [[homes]]\nregimes = [\"EU\"]\nsites = [\"dub1\"]\n\
                [[homes]]\nregimes = [\"*\"]\nsites = [\"iad1\"]\n"
            ),
        )?;
        let output = prepared.command(&["prepare"]).output().await?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(prepared)
    }
}

impl Prepared<'_> {
    fn config(&self) -> PathBuf {
        self.folder.path().join("domicile.toml")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.program);
        command.arg("--quiet").arg("--config").arg(self.config()).args(arguments);
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// Stands in front of the sites, with this added to a copy of the configuration; tells on stderr.
    pub(super) fn serve(&self, text: &str) -> Result<Child> {
        let prepared = std::fs::read_to_string(self.config())?;
        let (_, kept) =
            tempfile::Builder::new().suffix(".toml").tempfile_in(&self.folder)?.keep()?;
        std::fs::write(&kept, prepared + text)?;
        let mut command = Command::new(self.program);
        command.arg("--config").arg(&kept).arg("serve").kill_on_drop(true);
        Ok(command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn()?)
    }

    /// Moves everybody home.
    pub(super) async fn migrate(&self, further: &[&str]) -> Result<Migration> {
        let mut command = self.command(&["migrate", "--json"]);
        let started = Instant::now();
        let child = command.args(further).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let process = child.id().context("the program has ended already")?;
        let mut output = std::pin::pin!(child.wait_with_output());
        let mut memory_mb = 0.0;
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        let output = loop {
            tokio::select! {
                output = &mut output => break output?,
                _ = ticks.tick() => memory_mb = peak_mb(process).unwrap_or(memory_mb),
            }
        };
        let seconds = started.elapsed().as_secs_f64();
        // Somebody who could not be moved is a failure of the program, and in the report.
        let report = serde_json::from_slice(&output.stdout);
        let report =
            report.with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
        Ok(Migration { seconds, memory_mb, report })
    }
}

impl Migration {
    /// Why people could not be moved, each reason once.
    pub(super) fn failures(&self) -> BTreeSet<&str> {
        let failures = self.report["failures"].as_array().into_iter().flatten();
        failures.filter_map(|failure| failure["reason"].as_str()).collect()
    }

    /// Three percentiles that it reported, in milliseconds.
    pub(super) fn tail(&self, name: &str) -> String {
        let percentiles = &self.report[name];
        let at = |point: &str| percentiles[point].as_f64().unwrap_or(f64::NAN);
        format!("{:.1} / {:.1} / {:.1}", at("p50"), at("p99"), at("max"))
    }
}

/// The largest resident memory of a process so far; nothing once it has ended.
fn peak_mb(process: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = peak.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kib * 1024.0 / 1e6)
}
