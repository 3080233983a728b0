//! Who runs, and how.

use std::process::Stdio;
use std::time::Instant;

use anyhow::{Result, ensure};
use domicile_testkit::tokio_postgres::Client;
use domicile_testkit::{Cluster, connect};
use futures_util::{SinkExt as _, StreamExt as _, future};

use super::pair::{DATABASE, Pair};
use super::program::{Migration, Program};
use super::world::{TABLES, Template};
use crate::run;

/// One way to bring people's rows to another database and take them from the first.
pub(super) enum Contender<'a> {
    /// `COPY` to `COPY`, then `DELETE`, so many streams at once: the least that must be done.
    Floor(usize),
    /// `domicile migrate`, with so many lanes; as it comes, or with dead rows left to others as all
    /// contenders leave them.
    Domicile { program: &'a Program, lanes: Option<usize>, vacuum: bool },
    /// `INSERT … SELECT` through a foreign table, then `DELETE`.
    ForeignTables,
    /// `pgcopydb clone`: everybody, since it cannot choose rows, and nothing is deleted.
    Pgcopydb,
}

/// What one run took.
#[derive(Default)]
pub(super) struct Ran {
    pub(super) seconds: f64,
    /// Up to the last row's arrival, where that can be told apart from the deletion.
    pub(super) copied: Option<f64>,
    pub(super) migration: Option<Migration>,
}

impl<'a> Contender<'a> {
    /// All that can run here.
    pub(super) fn all(program: &'a Program, lanes: Option<usize>) -> Vec<Contender<'a>> {
        let mut all = vec![
            Contender::Floor(1),
            Contender::Floor(2),
            Contender::Domicile { program, lanes, vacuum: false },
            Contender::Domicile { program, lanes, vacuum: true },
            Contender::ForeignTables,
        ];
        if run::succeeds("pgcopydb", &["--version"]) {
            all.push(Contender::Pgcopydb);
        } else {
            eprintln!("pgcopydb is left out: it is missing (Debian: apt-get install pgcopydb)");
        }
        all
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Contender::Floor(1) => "floor, one stream",
            Contender::Floor(_) => "floor, two streams",
            Contender::Domicile { vacuum: false, .. } => "domicile migrate",
            Contender::Domicile { .. } => "domicile migrate, vacuuming behind",
            Contender::ForeignTables => "postgres_fdw",
            Contender::Pgcopydb => "pgcopydb clone (everybody, nothing deleted)",
        }
    }

    /// Runs once on fresh copies of the template, and looks whether everybody has arrived.
    pub(super) async fn run(&self, pair: &Pair, template: &Template) -> Result<Ran> {
        let clones = matches!(self, Contender::Pgcopydb);
        pair.renew(template, clones).await?;
        let ran = match self {
            Contender::Floor(streams) => floor(pair, *streams).await?,
            Contender::Domicile { program, lanes, vacuum } => {
                domicile(pair, program, *lanes, *vacuum).await?
            }
            Contender::ForeignTables => foreign_tables(pair).await?,
            Contender::Pgcopydb => pgcopydb(pair).await?,
        };
        let leaving = template.size.leaving_rows();
        let wanted = if clones { [leaving * 2; 2] } else { [leaving; 2] };
        let found = pair.counts().await?;
        ensure!(found == wanted, "{}: {found:?} rows, not {wanted:?}", self.name());
        Ok(ran)
    }
}

async fn open(cluster: &Cluster) -> Result<Client> {
    let client = connect(&cluster.superuser_url(DATABASE)).await?;
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

async fn floor(pair: &Pair, streams: usize) -> Result<Ran> {
    let started = Instant::now();
    let copies = (0..streams).map(|stream| async move {
        let (from, to) = (open(&pair.source).await?, open(&pair.target).await?);
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
    // Children first, in all streams: which rows are a person's is told by their parents.
    let sessions = future::try_join_all((0..streams).map(|_| open(&pair.source))).await?;
    for (table, condition) in TABLES.iter().rev() {
        let deletions = sessions.iter().enumerate().map(|(stream, from)| async move {
            let rows = chosen(table, condition, stream, streams);
            from.batch_execute(&format!("DELETE FROM {rows}")).await
        });
        future::try_join_all(deletions).await?;
    }
    Ok(Ran {
        seconds: started.elapsed().as_secs_f64(),
        copied: Some(copied.as_secs_f64()),
        ..Ran::default()
    })
}

async fn foreign_tables(pair: &Pair) -> Result<Ran> {
    let to = connect(&pair.target.superuser_url(DATABASE)).await?;
    to.batch_execute(&format!(
        "CREATE EXTENSION postgres_fdw;
        CREATE SERVER origin FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '{}',
            dbname '{DATABASE}', fetch_size '10000');
        CREATE USER MAPPING FOR CURRENT_USER SERVER origin OPTIONS (user 'postgres');
        CREATE SCHEMA origin;
        IMPORT FOREIGN SCHEMA public FROM SERVER origin INTO origin",
        pair.source.port()
    ))
    .await?;
    let from = connect(&pair.source.superuser_url(DATABASE)).await?;
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
async fn domicile(
    pair: &Pair,
    program: &Program,
    lanes: Option<usize>,
    vacuum: bool,
) -> Result<Ran> {
    let [source, target] = [&pair.source, &pair.target].map(|cluster| cluster.url(DATABASE));
    let prepared = program.prepare(&source, &target, vacuum).await?;
    let lanes = lanes.map(|lanes| format!("--lanes={lanes}"));
    // What nobody vacuums is nothing to wait for.
    let dead = (!vacuum).then(|| format!("--max-dead-rows={}", u64::MAX));
    let further: Vec<&str> = lanes.iter().chain(&dead).map(String::as_str).collect();
    let migration = prepared.migrate(&further).await?;
    Ok(Ran { seconds: migration.seconds, copied: None, migration: Some(migration) })
}

/// It makes the tables as well, and their indexes and keys after the rows.
async fn pgcopydb(pair: &Pair) -> Result<Ran> {
    let folder = tempfile::tempdir()?;
    let mut command = tokio::process::Command::new("pgcopydb");
    command.args(["clone", "--table-jobs", "2", "--index-jobs", "2", "--dir"]);
    command.arg(folder.path().join("work"));
    command.arg("--source").arg(pair.source.superuser_url(DATABASE));
    command.arg("--target").arg(pair.target.superuser_url(DATABASE));
    command.stdin(Stdio::null()).kill_on_drop(true);
    let started = Instant::now();
    let output = command.output().await?;
    let seconds = started.elapsed().as_secs_f64();
    ensure!(output.status.success(), "pgcopydb: {}", String::from_utf8_lossy(&output.stderr));
    Ok(Ran { seconds, ..Ran::default() })
}
