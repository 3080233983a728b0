//! pgbench, and what it tells.

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

use super::front::{Front, PASSWORD, USER};
use crate::bench::figures::Figures;
use crate::bench::pair::DATABASE;

/// One kind of transaction.
#[derive(Clone, Copy)]
pub(super) struct Script {
    pub(super) name: &'static str,
    text: &'static str,
}

pub(super) const SCRIPTS: [Script; 3] = [
    Script {
        name: "select",
        text: "\\set id random(1, 10000)\nSELECT balance FROM users WHERE id = :id;\n",
    },
    Script {
        name: "mixed",
        text: "\\set id random(1, 10000)\n\\set delta random(-5000, 5000)\n\
               BEGIN;\n\
               UPDATE users SET balance = balance + :delta WHERE id = :id;\n\
               SELECT balance FROM users WHERE id = :id;\n\
               INSERT INTO history (user_id, delta) VALUES (:id, :delta);\n\
               END;\n",
    },
    Script {
        // Ten thousand rows, a megabyte.
        name: "wide",
        text: "\\set id random(1, 10)\nSELECT * FROM events WHERE user_id = :id;\n",
    },
];

pub(super) const MODES: [&str; 3] = ["simple", "extended", "prepared"];

/// One run of pgbench.
#[derive(Clone, Copy)]
pub(super) struct Run {
    pub(super) script: Script,
    pub(super) mode: &'static str,
    pub(super) clients: u32,
    pub(super) seconds: u64,
}

/// What it showed.
pub(super) struct Ran {
    pub(super) per_second: f64,
    pub(super) p99_us: f64,
    /// Of the front's process, for each transaction.
    pub(super) processor_us: f64,
}

impl Run {
    /// Runs against an address; any error is one.
    pub(super) async fn against(&self, front: &Front) -> Result<Ran> {
        let folder = tempfile::tempdir()?;
        let script = folder.path().join("script.sql");
        std::fs::write(&script, self.script.text)?;
        let mut command = Command::new("pgbench");
        command.args(["--no-vacuum", "--log", "--host=127.0.0.1", "--username", USER]);
        command.arg(format!("--port={}", front.port)).arg(format!("--time={}", self.seconds));
        command.arg(format!("--client={}", self.clients));
        command.arg(format!("--jobs={}", self.clients.min(2)));
        command.arg(format!("--protocol={}", self.mode)).arg("--file").arg(&script).arg(DATABASE);
        command.env("PGPASSWORD", PASSWORD).current_dir(folder.path()).kill_on_drop(true);
        let before = front.processor_us()?;
        let output = command.output().await.context("pgbench")?;
        let processor_us = front.processor_us()? - before;
        let said = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "pgbench: {errors}");
        let number = |beginning: &str| -> Result<f64> {
            let found = said.lines().find_map(|line| line.strip_prefix(beginning));
            let word = found.and_then(|rest| rest.split_whitespace().next());
            Ok(word.with_context(|| format!("no {beginning:?} in {said}"))?.parse()?)
        };
        ensure!(number("number of failed transactions:")? == 0.0, "{said}{errors}");
        let transactions = number("number of transactions actually processed:")?;
        Ok(Ran {
            per_second: number("tps =")?,
            p99_us: latencies(folder.path())?.percentile(99),
            processor_us: processor_us / transactions,
        })
    }
}

/// What the logs tell of every transaction, in microseconds.
fn latencies(folder: &std::path::Path) -> Result<Figures> {
    let mut found = Figures::default();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("pgbench_log")) {
            for line in std::fs::read_to_string(&path)?.lines() {
                found.add(line.split(' ').nth(2).context("a latency")?.parse()?);
            }
        }
    }
    Ok(found)
}
