//! An application whose transactions cannot deadlock with each other writes about people who move:
//! no circle of waits may have the mover in it and end at the application.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    unreachable_pub,
    dead_code,
    reason = "helpers of tests; a failure should stop the test where it happens"
)]

mod world;

use domicile_mover::migrate::{Options, migrate};
use domicile_mover::people::Platform;
use domicile_mover::plan::{Wishes, plan};
use domicile_mover::prepare::prepare;
use domicile_mover::verify::verify;
use domicile_testkit::tokio_postgres::Client;
use domicile_testkit::{Cluster, MOVER_ROLE, Rounds};
use jiff::civil::date;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use world::{SITES, World, options, surroundings};

const PEOPLE: i64 = 12;
const POSTS: i64 = 8;
const WRITERS: u64 = 6;
const RUNS: u32 = 4;
/// Lets others at the rows, too.
const PACE: Duration = Duration::from_millis(3);
const SCHEMA: &str = "
create table users (id bigint primary key, country text, seen bigint not null default 0);
create table posts (id bigint primary key, user_id bigint not null references users (id),
    seen bigint not null default 0);
create index on posts (user_id);
create table comments (id bigint primary key, post_id bigint not null references posts (id),
    seen bigint not null default 0);
create index on comments (post_id)";

/// All sites at one server, which looks for deadlocks early and tells who is connected.
fn cluster() -> Cluster {
    let options = domicile_testkit::Options::for_tests()
        .with("deadlock_timeout", "10ms")
        .with("log_connections", "on")
        .with("log_line_prefix", "%p ");
    Cluster::start(options).unwrap()
}

async fn begun(cluster: &Cluster) -> (World, Platform) {
    let databases = SITES.map(|_| cluster.fresh_database("deadlocks").unwrap());
    let world = World { databases: databases.into() };
    let fill = format!(
        "{SCHEMA}; insert into users select n, 'US' from generate_series(1, {PEOPLE}) n;
         insert into posts select u.id * 10 + n, u.id from users u, generate_series(1, {POSTS}) n;
         insert into comments select p.id * 10 + n, p.id from posts p, generate_series(1, 2) n"
    );
    world.app(0).await.batch_execute(&fill).await.unwrap();
    let wishes = Wishes { tables: BTreeMap::new(), ..world::wishes() };
    let sites = world.sites().await;
    let plan = plan(&sites, &world::homes(), &wishes, date(2026, 11, 21)).await.unwrap();
    assert_eq!(plan.refused, []);
    prepare(&sites, &plan).await.unwrap();
    let platform = world.platform(&plan).await;
    (world, platform)
}

/// Statements about one person: their row, then posts, then comments, each in the order of its keys.
fn statements(draw: &mut StdRng, person: i64, key: &mut i64) -> String {
    let mut text = String::new();
    match draw.random_range(0..4) {
        0 | 1 => write!(text, "select from users where id = {person} for update;").unwrap(),
        2 => write!(text, "update users set seen = seen + 1 where id = {person};").unwrap(),
        _ => {}
    }
    let posts: Vec<i64> =
        (1..=POSTS).filter(|_| draw.random_bool(0.5)).map(|n| person * 10 + n).collect();
    for post in &posts {
        write!(text, "update posts set seen = seen + 1 where id = {post};").unwrap();
    }
    for post in posts {
        match draw.random_range(0..4) {
            0 => {
                *key += 1;
                // Where the post has gone, nothing is added.
                write!(text, "insert into comments select {key}, id from posts where id = {post};")
                    .unwrap();
            }
            1 => write!(text, "delete from comments where id = {post}1;").unwrap(),
            _ => {
                write!(text, "update comments set seen = seen + 1 where id = {post}2;").unwrap();
            }
        }
    }
    text
}

#[derive(Debug, Default)]
struct Told {
    committed: u64,
    refused: u64,
    deadlocks: u64,
}

/// Transactions about one to four people in ascending order, where the last refusal sent them.
async fn write_until(world: &World, writer: u64, mut draw: StdRng, is_over: &AtomicBool) -> Told {
    let mut clients = Vec::new();
    for at in 0..SITES.len() {
        let client = world.app(at).await;
        let level = if writer.is_multiple_of(2) { "read committed" } else { "repeatable read" };
        let set = format!("set default_transaction_isolation = '{level}'");
        client.batch_execute(&set).await.unwrap();
        clients.push(client);
    }
    let mut home: BTreeMap<i64, usize> = BTreeMap::new();
    let mut told = Told::default();
    let mut key = i64::try_from((writer + 1) << 40).unwrap();
    while !is_over.load(Ordering::SeqCst) {
        let first = draw.random_range(1..=PEOPLE);
        let at = home.get(&first).copied().unwrap_or(0);
        let together = |person: &i64| home.get(person).copied().unwrap_or(0) == at;
        let mut people: BTreeSet<i64> = (0..3).map(|_| draw.random_range(1..=PEOPLE)).collect();
        people.retain(together);
        people.insert(first);
        tokio::time::sleep(PACE).await;
        match transaction(&clients[at], &people, &mut draw, &mut key).await {
            Ok(()) => told.committed += 1,
            Err((person, code)) => {
                told.refused += 1;
                match code.as_str() {
                    "DM001" | "23503" | "gone" => {
                        home.insert(person, (at + 1) % SITES.len());
                    }
                    "40P01" => told.deadlocks += 1,
                    "DM002" | "40001" => {}
                    other => panic!("{other} of {person}"),
                }
            }
        }
    }
    told
}

async fn transaction(
    client: &Client,
    people: &BTreeSet<i64>,
    draw: &mut StdRng,
    key: &mut i64,
) -> Result<(), (i64, String)> {
    client.batch_execute("begin").await.unwrap();
    for person in people {
        let done = part(client, *person, draw, key).await;
        if let Err(code) = done {
            client.batch_execute("rollback").await.unwrap();
            return Err((*person, code));
        }
    }
    let committed = client.batch_execute("commit").await;
    committed.map_err(|error| (0, error.code().unwrap().code().to_owned()))
}

/// One person's statements, one after the other, so that others come in between.
async fn part(
    client: &Client,
    person: i64,
    draw: &mut StdRng,
    key: &mut i64,
) -> Result<(), String> {
    for statement in statements(draw, person, key).split_terminator(';') {
        let rows = client.execute(statement, &[]).await;
        let rows = rows.map_err(|error| error.code().unwrap().code().to_owned())?;
        if rows == 0 && statement.contains(" users ") {
            return Err("gone".to_owned());
        }
    }
    Ok(())
}

/// The circles that the server has resolved: whom it ended, and everybody in it.
fn circles(log: &str) -> Vec<(u32, BTreeSet<u32>)> {
    let mut circles: Vec<(u32, BTreeSet<u32>)> = Vec::new();
    let mut detail_of = None;
    for line in log.lines() {
        let process = line.split_once(' ').and_then(|(process, _)| process.parse().ok());
        if let (Some(process), true) = (process, line.contains("ERROR:  deadlock detected")) {
            circles.push((process, BTreeSet::new()));
        }
        if line.contains(" DETAIL:  Process ") {
            detail_of = circles.iter().rposition(|(victim, _)| Some(*victim) == process);
        } else if !line.starts_with('\t') {
            detail_of = None;
        }
        let waits = line.find("Process ").map(|at| &line[at + "Process ".len()..]);
        if let (Some(at), Some((waits, _))) =
            (detail_of, waits.and_then(|w| w.split_once(" waits for ")))
        {
            circles[at].1.insert(waits.parse().unwrap());
        }
    }
    circles
}

/// What the server says of its deadlocks: who waited for what, and in which statements.
fn around_deadlocks(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    let found = (0..lines.len()).filter(|at| lines[*at].contains("ERROR:  deadlock detected"));
    let around = found.flat_map(|at| lines[at..].iter().take(24)).copied();
    around.collect::<Vec<_>>().join("\n")
}

/// Everybody who has connected as the mover.
fn movers(log: &str) -> BTreeSet<u32> {
    let authorized = format!("connection authorized: user={MOVER_ROLE} ");
    let lines = log.lines().filter(|line| line.contains(&authorized));
    lines.map(|line| line.split_once(' ').unwrap().0.parse().unwrap()).collect()
}

#[test]
fn who_is_in_a_circle_is_read_from_the_log() {
    let log = "41 LOG:  connection authorized: user=domicile_mover database=d application_name=a
42 LOG:  connection authorized: user=app database=d
42 ERROR:  deadlock detected
42 DETAIL:  Process 42 waits for ShareLock on transaction 7; blocked by process 41.
\tProcess 41 waits for ShareLock on transaction 8; blocked by process 42.
\tProcess 42: update users set seen = 1
42 HINT:  See server log for query details.
43 LOG:  Process 43 waits for nothing";
    assert_eq!(movers(log), BTreeSet::from([41]));
    assert_eq!(circles(log), [(42, BTreeSet::from([41, 42]))]);
}

/// Half the people change house before each run, which two lanes of small batches carry out.
async fn move_about(world: &World, platform: &Platform, draw: &mut StdRng, seed: u64) -> u64 {
    let mut moved = 0;
    for run in 1..=RUNS {
        for person in 1..=PEOPLE {
            if draw.random_bool(0.5) {
                continue;
            }
            let house = format!(
                "update users set country = case country when 'US' then 'FR' else 'US' end where id = {person}"
            );
            for at in 0..SITES.len() {
                // Refused where they are not.
                let _ = world.app(at).await.batch_execute(&house).await;
            }
        }
        let small = Options { batch: Some(3), ..options() };
        let (surroundings, _stop) = surroundings();
        let report = migrate(platform, &small, &surroundings).await;
        let report = report.unwrap_or_else(|error| panic!("seed {seed}, run {run}: {error:?}"));
        assert_eq!(
            (report.failed, report.mismatches),
            (0, 0),
            "seed {seed}, run {run}: {report:?}"
        );
        moved += report.moved;
    }
    moved
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn soak_deadlocks_of_the_application_never_have_the_mover_in_them() {
    let cluster = cluster();
    let (mut all, mut moved, mut rounds, mut first) = (Told::default(), 0, 0, None);
    for seed in Rounds::new(1).unwrap() {
        let mut draw = StdRng::seed_from_u64(seed);
        let (world, platform) = begun(&cluster).await;
        let (world, is_over) = (Arc::new(world), Arc::new(AtomicBool::new(false)));
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (world, is_over) = (world.clone(), is_over.clone());
                let draw = StdRng::seed_from_u64(seed << 8 | (writer + 1));
                tokio::spawn(async move { write_until(&world, writer, draw, &is_over).await })
            })
            .collect();
        let of_this = move_about(&world, &platform, &mut draw, seed).await;
        is_over.store(true, Ordering::SeqCst);
        for writer in writers {
            let told = writer.await.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            all.committed += told.committed;
            all.refused += told.refused;
            all.deadlocks += told.deadlocks;
        }
        assert!(of_this > 0, "seed {seed}: nobody moved");
        let log = cluster.log().unwrap();
        let (circles, movers) = (circles(&log), movers(&log));
        assert!(!movers.is_empty(), "the log tells who is the mover");
        let who = |process: &u32| match movers.contains(process) {
            true => "mover",
            false => "application",
        };
        let told: Vec<(&str, Vec<&str>)> = circles
            .iter()
            .map(|(victim, circle)| (who(victim), circle.iter().map(who).collect()))
            .collect();
        assert!(
            told.is_empty(),
            "seed {seed}: who was ended, of whom: {told:?}\n{}",
            around_deadlocks(&log)
        );
        let found = verify(&platform).await.unwrap();
        assert!(found.is_clean(), "seed {seed}: {found:?}");
        moved += of_this;
        rounds += 1;
        first.get_or_insert(seed);
    }
    eprintln!(
        "soak_deadlocks: {rounds} rounds from seed {first:?}, {moved} moves, {} transactions \
         committed, {} refused, {} deadlocks",
        all.committed, all.refused, all.deadlocks
    );
    assert!(all.committed > 100 && all.refused > 0, "too little: {all:?}");
}
