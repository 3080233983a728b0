//! Drivers that applications use, at one address, while everybody moves: no error, and what they
//! were told is what happened.
//!
//! Each program under `drivers/` appends to lists of people and reads them, on three connections,
//! and tells of every transaction. Its clock is the machine's monotonic one, which all share.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    dead_code,
    unreachable_pub,
    reason = "helpers of tests, shared with others; a failure should stop where it happens"
)]

#[path = "support/postgres.rs"]
mod postgres;
#[path = "support/served.rs"]
mod served;
#[path = "../../domicile-mover/tests/world/mod.rs"]
mod world;

use domicile_sim::history::{Action, Isolation, Operation, Outcome, check};
use domicile_testkit::{Rounds, Server, TestDatabase, connect};
use postgres::domicile;
use serde::Deserialize;
use served::Served;
use std::collections::BTreeMap;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;

const PEOPLE: i64 = 400;
/// So many transactions each driver does before the migration, and after it.
const BESIDES: usize = 400;

const SCHEMA: &str = "
create table users (id bigint primary key, country text not null, list text not null default '');
create table appends (id bigint not null, part int not null, user_id bigint not null
    references users (id), primary key (id, part));
create index on appends (user_id);
";

/// One transaction as a driver tells of it.
#[derive(Debug, Deserialize)]
struct Told {
    process: u64,
    phase: String,
    /// Nanoseconds, as is `ended`.
    started: u64,
    ended: u64,
    person: u64,
    append: Option<u64>,
    /// The person's list, what was appended included.
    list: String,
}

fn numbers(list: &str) -> Vec<u64> {
    list.split_whitespace().map(|word| word.parse().unwrap()).collect()
}

impl Told {
    fn operation(&self) -> Operation {
        let key = self.person.to_string();
        let append = self.append.map(|value| Action::Append { key: key.clone(), value });
        let read = Action::Read { key: key.clone(), observed: numbers(&self.list) };
        Operation {
            process: self.process,
            started: self.started,
            ended: self.ended,
            actions: append.into_iter().chain([read]).collect(),
            outcome: Outcome::Acknowledged,
        }
    }
}

/// A driver's program.
struct Driver {
    name: &'static str,
    program: Child,
    /// What it hears: the phases.
    ear: Option<ChildStdin>,
    told: JoinHandle<Vec<Told>>,
    /// How many transactions it has told of.
    count: watch::Receiver<usize>,
}

impl Driver {
    fn start(name: &'static str, command: &[&str], arguments: [String; 4]) -> Driver {
        let mut program = Command::new(command[0]);
        program.args(&command[1..]).args(arguments).kill_on_drop(true);
        program.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/drivers"));
        // Where `cargo xtask setup` puts node-postgres.
        let packages = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/node/node_modules");
        program.env("NODE_PATH", packages);
        program.stdin(Stdio::piped()).stdout(Stdio::piped());
        let program = program.spawn();
        let mut program = program.unwrap_or_else(|error| {
            panic!("{}: {error}; `cargo xtask setup` installs it", command[0])
        });
        let mut lines = BufReader::new(program.stdout.take().unwrap()).lines();
        let (counts, count) = watch::channel(0);
        let told = tokio::spawn(async move {
            let mut told = Vec::new();
            while let Some(line) = lines.next_line().await.unwrap() {
                told.push(serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}")));
                counts.send_replace(told.len());
            }
            told
        });
        Driver { name, ear: program.stdin.take(), program, told, count }
    }

    async fn hears(&mut self, phase: &str) {
        let ear = self.ear.as_mut().unwrap();
        ear.write_all(format!("{phase}\n").as_bytes()).await.unwrap();
    }

    /// Waits until it has done so many transactions more.
    async fn goes_on(&mut self, transactions: usize) {
        let enough = *self.count.borrow() + transactions;
        let more = self.count.wait_for(|count| *count >= enough).await;
        assert!(more.is_ok(), "{} ended: see its error above", self.name);
    }

    async fn ends(mut self) -> Vec<Told> {
        drop(self.ear.take());
        assert!(self.program.wait().await.unwrap().success(), "{}", self.name);
        self.told.await.unwrap()
    }
}

/// The word that is said of a driver in a phase: how many transactions, and how long they took.
fn latency(told: &[Told], phase: &str) -> String {
    let of_phase = told.iter().filter(|told| told.phase == phase);
    let mut took: Vec<u64> = of_phase.map(|told| (told.ended - told.started) / 1000).collect();
    took.sort_unstable();
    let at = |part: usize| took[(took.len() - 1) * part / 100] as f64 / 1000.0;
    let count = took.len();
    format!("{phase} {count}, ms {:.1} / {:.1} / {:.1}", at(50), at(99), at(100))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn soak_drivers_notice_nothing() {
    for seed in Rounds::new(1).unwrap() {
        round(seed).await;
    }
}

async fn sites() -> [TestDatabase; 2] {
    let sites = [0, 1].map(|at| Server::shared(at).unwrap().fresh_database("drivers").unwrap());
    let app = connect(&sites[0].app_url).await.unwrap();
    app.batch_execute(SCHEMA).await.unwrap();
    let people = "insert into users select n, 'FR' from generate_series(1, $1::bigint) n";
    app.execute(people, &[&PEOPLE]).await.unwrap();
    sites
}

fn configuration(sites: &[TestDatabase; 2]) -> String {
    format!(
        "[subjects]\ntable = \"users\"\nresidence = {{ code = \"country\" }}\n\
         [sites.iad1]\nterritory = \"US\"\nurl = \"{}\"\n\
         [sites.dub1]\nterritory = \"IE\"\nurl = \"{}\"\n\
         [[homes]]\nregimes = [\"EU\"]\nsites = [\"dub1\"]\n\
         [[homes]]\nregimes = [\"*\"]\nsites = [\"iad1\"]\n\
         [erase]\nquiet = \"0s\"\nvacuum = false\n",
        sites[0].mover_url, sites[1].mover_url
    )
}

async fn round(seed: u64) {
    let sites = sites().await;
    let served = Served::start(configuration(&sites)).await;
    let jdbc = ["java", "-cp", "/usr/share/java/postgresql.jar", "Lists.java"];
    let programs: [(&str, &[&str]); 3] = [
        ("psycopg", &["/usr/bin/python3", "lists_psycopg.py"]),
        ("node-postgres", &["node", "lists_node_postgres.js"]),
        ("JDBC", &jdbc),
    ];
    let mut drivers = Vec::new();
    for (at, (name, command)) in programs.into_iter().enumerate() {
        let arguments = [i64::from(served.port), 1 + 100 * at as i64, PEOPLE, seed.cast_signed()];
        drivers.push(Driver::start(name, command, arguments.map(|number| number.to_string())));
    }
    for driver in &mut drivers {
        driver.goes_on(BESIDES).await;
    }
    for driver in &mut drivers {
        driver.hears("during").await;
    }
    let migrated = domicile(&served.config, &["migrate"]).status().await.unwrap();
    for driver in &mut drivers {
        driver.hears("after").await;
        driver.goes_on(BESIDES).await;
    }
    assert_eq!(migrated.code(), Some(0));
    let mut operations = Vec::new();
    for driver in drivers {
        let name = driver.name;
        let told = driver.ends().await;
        let latencies = ["before", "during", "after"].map(|phase| latency(&told, phase));
        eprintln!("{name}: {} (p50 / p99 / max)", latencies.join("; "));
        operations.extend(told.iter().map(Told::operation));
    }
    let transactions = operations.len();
    operations.push(what_stands(&sites, &operations).await);
    let anomalies = check(&operations, Isolation::Serializable);
    assert!(anomalies.is_empty(), "seed {seed}: {} anomalies: {anomalies:?}", anomalies.len());
    let verified = domicile(&served.config, &["verify"]).status().await.unwrap();
    assert_eq!(verified.code(), Some(0));
    eprintln!("soak_drivers: seed {seed}, {transactions} transactions, 0 errors, 0 anomalies");
}

/// Everybody's list at the end, each at the new home with all of its rows.
async fn what_stands(sites: &[TestDatabase; 2], operations: &[Operation]) -> Operation {
    let source = connect(&sites[0].superuser_url).await.unwrap();
    let left = source.query_one("select count(*) from users", &[]).await.unwrap();
    assert_eq!(left.get::<_, i64>(0), 0);
    let home = connect(&sites[1].superuser_url).await.unwrap();
    let mut lists = BTreeMap::new();
    for row in home.query("select id, list from users", &[]).await.unwrap() {
        lists.insert(row.get::<_, i64>(0), numbers(row.get(1)));
    }
    assert_eq!(lists.len() as i64, PEOPLE);
    let mut rows = BTreeMap::new();
    for row in home.query("select id, user_id from appends", &[]).await.unwrap() {
        *rows.entry((row.get::<_, i64>(1), row.get::<_, i64>(0).cast_unsigned())).or_insert(0) += 1;
    }
    let listed = lists.iter().flat_map(|(person, list)| list.iter().map(|value| (*person, *value)));
    let expected: BTreeMap<(i64, u64), i32> = listed.map(|found| (found, 2)).collect();
    assert_eq!(rows, expected);
    let read = lists
        .into_iter()
        .map(|(person, observed)| Action::Read { key: person.to_string(), observed });
    let started = operations.iter().map(|operation| operation.ended).max().unwrap_or(0) + 1;
    Operation {
        process: 0,
        started,
        ended: started + 1,
        actions: read.collect(),
        outcome: Outcome::Acknowledged,
    }
}
