//! Who runs, and how.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use domicile_testkit::tokio_postgres::Client;
use domicile_testkit::{Cluster, connect};
use futures_util::{SinkExt as _, StreamExt as _, future};
use serde_json::Value;

use super::world::{TABLES, Template};
use crate::run;

/// One way to bring people's rows to another database and take them from the first.
pub(super) enum Contender {
    /// `COPY` to `COPY`, then `DELETE`, so many streams at once: the least that must be done.
    Floor(usize),
    /// `domicile migrate`, with so many lanes.
    Domicile(Option<usize>),
    /// `INSERT … SELECT` through a foreign table, then `DELETE`.
    ForeignTables,
}

/// The clusters and what each run begins with.
pub(super) struct Pair<'a> {
    pub(super) source: &'a Cluster,
    pub(super) target: &'a Cluster,
    pub(super) template: &'a Template,
}

/// What one run took.
#[derive(Debug, Default)]
pub(super) struct Ran {
    pub(super) seconds: f64,
    /// Up to the last row's arrival, where that can be told apart from the deletion.
    pub(super) copied: Option<f64>,
    /// The largest resident memory of the program, in KiB.
    pub(super) memory: Option<u64>,
    /// What `domicile migrate` reports.
    pub(super) report: Option<Value>,
}

impl Contender {
    pub(super) fn all(lanes: Option<usize>) -> Vec<Contender> {
        vec![
            Contender::Floor(1),
            Contender::Floor(2),
            Contender::Domicile(lanes),
            Contender::ForeignTables,
        ]
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Contender::Floor(1) => "floor, one stream",
            Contender::Floor(_) => "floor, two streams",
            Contender::Domicile(_) => "domicile migrate",
            Contender::ForeignTables => "postgres_fdw",
        }
    }

    /// Runs once on fresh copies of the template, and looks whether everybody has arrived.
    pub(super) async fn run(&self, pair: &Pair<'_>) -> Result<Ran> {
        let database = "bench";
        for cluster in [pair.source, pair.target] {
            let server = connect(&cluster.superuser_url("postgres")).await?;
            server.batch_execute("DROP DATABASE IF EXISTS bench WITH (FORCE)").await?;
            let copy = format!(
                "CREATE DATABASE bench OWNER app TEMPLATE {} STRATEGY FILE_COPY",
                pair.template.name
            );
            server.batch_execute(&copy).await?;
        }
        let before = counts(pair, database).await?;
        let ran = match self {
            Contender::Floor(streams) => floor(pair, database, *streams).await?,
            Contender::Domicile(lanes) => domicile(pair, database, *lanes).await?,
            Contender::ForeignTables => foreign_tables(pair, database).await?,
        };
        let after = counts(pair, database).await?;
        ensure!(
            after.0 == before.0 - before.0 / 2 && after.1 == before.0 / 2 && before.1 == 0,
            "{}: {before:?} rows before and {after:?} after",
            self.name()
        );
        Ok(ran)
    }
}

/// Rows at the source and at the target; those who leave have as many as those who stay.
async fn counts(pair: &Pair<'_>, database: &str) -> Result<(i64, i64)> {
    let mut found = [0, 0];
    for (cluster, count) in [pair.source, pair.target].into_iter().zip(&mut found) {
        let client = connect(&cluster.superuser_url(database)).await?;
        for (table, _) in TABLES {
            let row = client.query_one(&format!("SELECT count(*) FROM {table}"), &[]).await?;
            *count += row.get::<_, i64>(0);
        }
        client.batch_execute("CHECKPOINT").await?;
    }
    Ok((found[0], found[1]))
}

async fn open(cluster: &Cluster, database: &str) -> Result<Client> {
    let client = connect(&cluster.superuser_url(database)).await?;
    client.batch_execute("SET session_replication_role = replica").await?;
    Ok(client)
}

/// The rows of one table that one stream of so many takes.
fn chosen(table: &str, condition: &str, stream: usize, streams: usize) -> String {
    let owner = match table {
        "users" => "t.id",
        "comments" => "t.post_id",
        _ => "t.user_id",
    };
    format!("{table} t WHERE {condition} AND {owner} / 2 % {streams} = {stream}")
}

async fn floor(pair: &Pair<'_>, database: &str, streams: usize) -> Result<Ran> {
    let started = Instant::now();
    let copies = (0..streams).map(|stream| async move {
        let (from, to) = (open(pair.source, database).await?, open(pair.target, database).await?);
        for (table, condition) in TABLES {
            let rows = chosen(table, condition, stream, streams);
            let rows = format!("COPY (SELECT t.* FROM {rows}) TO STDOUT (FORMAT binary)");
            let mut rows = std::pin::pin!(from.copy_out(&rows).await?);
            let sink = format!("COPY {table} FROM STDIN (FORMAT binary)");
            let mut sink = std::pin::pin!(to.copy_in(&sink).await?);
            while let Some(piece) = rows.next().await {
                sink.feed(piece?).await?;
            }
            sink.finish().await?;
        }
        anyhow::Ok(())
    });
    future::try_join_all(copies).await?;
    let copied = started.elapsed();
    // Children first: which rows are a person's is told by their parents.
    let deletions = (0..streams).map(|stream| async move {
        let from = open(pair.source, database).await?;
        for (table, condition) in TABLES.iter().rev() {
            let rows = chosen(table, condition, stream, streams);
            from.batch_execute(&format!("DELETE FROM {rows}")).await?;
        }
        anyhow::Ok(())
    });
    future::try_join_all(deletions).await?;
    Ok(Ran {
        seconds: started.elapsed().as_secs_f64(),
        copied: Some(copied.as_secs_f64()),
        ..Ran::default()
    })
}

async fn foreign_tables(pair: &Pair<'_>, database: &str) -> Result<Ran> {
    let to = connect(&pair.target.superuser_url(database)).await?;
    to.batch_execute(&format!(
        "CREATE EXTENSION postgres_fdw;
        CREATE SERVER origin FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '{}',
            dbname '{database}', fetch_size '10000');
        CREATE USER MAPPING FOR CURRENT_USER SERVER origin OPTIONS (user 'postgres');
        CREATE SCHEMA origin;
        IMPORT FOREIGN SCHEMA public FROM SERVER origin INTO origin",
        pair.source.port()
    ))
    .await?;
    let from = connect(&pair.source.superuser_url(database)).await?;
    let started = Instant::now();
    for (table, condition) in TABLES {
        let condition = condition
            .replace("FROM users", "FROM origin.users")
            .replace("FROM posts", "FROM origin.posts")
            .replace("JOIN users", "JOIN origin.users");
        let statement =
            format!("INSERT INTO {table} SELECT t.* FROM origin.{table} t WHERE {condition}");
        to.batch_execute(&statement).await?;
    }
    let copied = started.elapsed();
    for (table, condition) in TABLES.iter().rev() {
        from.batch_execute(&format!("DELETE FROM {table} t WHERE {condition}")).await?;
    }
    Ok(Ran {
        seconds: started.elapsed().as_secs_f64(),
        copied: Some(copied.as_secs_f64()),
        ..Ran::default()
    })
}

/// `prepare` is not in the time: the others have their tables made as well.
async fn domicile(pair: &Pair<'_>, database: &str, lanes: Option<usize>) -> Result<Ran> {
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("domicile.toml");
    std::fs::write(
        &config,
        format!(
            "[subjects]\ntable = \"users\"\nresidence = {{ code = \"country\" }}\n\
            [sites.iad1]\nterritory = \"US\"\nurl = \"{}\"\n\
            [sites.dub1]\nterritory = \"IE\"\nurl = \"{}\"\n\
            [[homes]]\nregimes = [\"EU\"]\nsites = [\"dub1\"]\n\
            [[homes]]\nregimes = [\"*\"]\nsites = [\"iad1\"]\n",
            pair.source.url(database),
            pair.target.url(database)
        ),
    )?;
    let program = run::top()?.join("target/release/domicile");
    let command = |arguments: &[&str]| {
        let mut command = tokio::process::Command::new(&program);
        command.arg("--quiet").arg("--config").arg(&config).args(arguments);
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    };
    let prepared = command(&["prepare"]).output().await?;
    ensure!(prepared.status.success(), "{}", String::from_utf8_lossy(&prepared.stderr));
    let lanes = lanes.map(|lanes| lanes.to_string());
    let mut arguments = vec!["migrate", "--json"];
    if let Some(lanes) = &lanes {
        arguments.extend(["--lanes", lanes.as_str()]);
    }
    let started = Instant::now();
    let child = command(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let process = child.id().context("the program has ended already")?;
    let mut output = std::pin::pin!(child.wait_with_output());
    let mut memory = 0;
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    let output = loop {
        tokio::select! {
            output = &mut output => break output?,
            _ = ticks.tick() => memory = memory.max(resident(process)),
        }
    };
    let seconds = started.elapsed().as_secs_f64();
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(Ran {
        seconds,
        memory: Some(memory),
        report: Some(serde_json::from_slice(&output.stdout)?),
        ..Ran::default()
    })
}

/// The largest resident memory of a process so far, in KiB; 0 once it has ended.
fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.and_then(|text| text.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}
