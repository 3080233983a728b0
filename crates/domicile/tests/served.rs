//! An application at one address, while everybody who must moves: it notices nothing.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    dead_code,
    unreachable_pub,
    reason = "helpers of tests, shared with another test; a failure should stop where it happens"
)]

#[path = "support/postgres.rs"]
mod postgres;
#[path = "../../domicile-mover/tests/world/mod.rs"]
mod world;

use domicile_testkit::tokio_postgres::{self, Client, NoTls};
use domicile_testkit::{MOVER_ROLE, Rounds};
use postgres::{configuration, domicile};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Child;
use world::World;

const PEOPLE: i64 = 2000;

/// The program in front of the world's sites.
struct Served {
    world: World,
    config: std::path::PathBuf,
    port: u16,
    program: Child,
    _directory: tempfile::TempDir,
}

impl Served {
    async fn start(people: i64) -> Served {
        let world = World::with(people).await;
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("domicile.toml");
        let port = {
            let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            free.local_addr().unwrap().port()
        };
        let mut text = configuration(&world, MOVER_ROLE);
        write!(
            text,
            "[tables.addresses]\nkind = \"shared\"\n\
             [serve]\nlisten = \"127.0.0.1:{port}\"\ndatabase = \"app\"\nthreads = 2\ndrain_seconds = 60\n\
             [serve.users.app]\npassword = \"secret\"\n"
        )
        .unwrap();
        std::fs::write(&config, text).unwrap();
        let prepared = domicile(&config, &["prepare"]).status().await.unwrap();
        assert!(prepared.success());
        let mut program = tokio::process::Command::new(env!("CARGO_BIN_EXE_domicile"));
        program.arg("--config").arg(&config).arg("serve").kill_on_drop(true);
        let mut program = program.stderr(std::process::Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(program.stderr.take().unwrap()).lines();
        loop {
            let line = said.next_line().await.unwrap().unwrap();
            if line.starts_with("serving") {
                break;
            }
        }
        tokio::spawn(async move {
            while let Ok(Some(line)) = said.next_line().await {
                eprintln!("serve: {line}");
            }
        });
        Served { world, config, port, program, _directory: directory }
    }

    async fn client(&self, settings: &str) -> Client {
        let url = format!("postgres://app:secret@127.0.0.1:{}/app?{settings}", self.port);
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }
}

/// What one writer was told is done.
#[derive(Default)]
struct Done {
    nonces: Vec<String>,
    updates: i64,
    reads: u64,
}

/// Writes and reads about people at random until it is told to stop; any error is a failure.
async fn work(client: Client, writer: i64, seed: u64, stop: Arc<AtomicBool>) -> Done {
    let mut client = client;
    let mut draw = StdRng::seed_from_u64(seed);
    let mut done = Done::default();
    let mut last: BTreeMap<i64, String> = BTreeMap::new();
    let mut count = 0;
    while !stop.load(Ordering::Relaxed) {
        count += 1;
        let person = draw.random_range(1..=PEOPLE);
        let key = (writer + 1) << 40 | count;
        let nonce = format!("{writer}-{count}");
        match draw.random_range(0..4) {
            0 => {
                let insert = "INSERT INTO posts (id, user_id, nonce) VALUES ($1, $2, $3)";
                client.execute(insert, &[&key, &person, &nonce]).await.unwrap();
                last.insert(person, nonce.clone());
                done.nonces.push(nonce);
            }
            1 => {
                let transaction = client.transaction().await.unwrap();
                let read = "SELECT writes FROM users WHERE id = $1";
                let before: i64 = transaction.query_one(read, &[&person]).await.unwrap().get(0);
                let update = "UPDATE users SET writes = writes + 1 WHERE id = $1 RETURNING writes";
                let after: i64 = transaction.query_one(update, &[&person]).await.unwrap().get(0);
                assert!(after > before);
                let insert = "INSERT INTO posts (id, user_id, nonce) VALUES ($1, $2, $3)";
                transaction.execute(insert, &[&key, &person, &nonce]).await.unwrap();
                let found = "SELECT count(*) FROM posts WHERE user_id = $1 AND nonce = $2";
                let found = transaction.query_one(found, &[&person, &nonce]).await.unwrap();
                assert_eq!(found.get::<_, i64>(0), 1);
                transaction.commit().await.unwrap();
                done.updates += 1;
                last.insert(person, nonce.clone());
                done.nonces.push(nonce);
            }
            2 => {
                let post = person * 3;
                let text = format!("INSERT INTO comments VALUES ({key}, {post}, '{nonce}')");
                client.simple_query(&text).await.unwrap();
                done.nonces.push(nonce);
            }
            _ => {
                // What was acknowledged is seen, wherever the person is by now.
                let Some(nonce) = last.get(&person) else { continue };
                let found = "SELECT count(*) FROM posts WHERE user_id = $1 AND nonce = $2";
                let found = client.query_one(found, &[&person, nonce]).await.unwrap();
                assert_eq!(found.get::<_, i64>(0), 1, "{nonce} of {person}");
                done.reads += 1;
            }
        }
    }
    done
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_in_a_transaction_ends_it_before_the_router_stops() {
    let mut served = Served::start(2).await;
    let idle = served.client("").await;
    let mut busy = served.client("").await;
    let transaction = busy.transaction().await.unwrap();
    let insert = "INSERT INTO posts (id, user_id, nonce) VALUES ($1, 1, 'x')";
    transaction.execute(insert, &[&9001i64]).await.unwrap();
    let asked = std::process::Command::new("kill")
        .args(["-TERM", &served.program.id().unwrap().to_string()])
        .status()
        .unwrap();
    assert!(asked.success());
    // Whoever does nothing is told, and nobody more is let in.
    let mut told = idle.simple_query("SELECT 1").await;
    while told.is_ok() {
        told = idle.simple_query("SELECT 1").await;
    }
    let url = format!("postgres://app:secret@127.0.0.1:{}/app", served.port);
    assert!(tokio_postgres::connect(&url, NoTls).await.is_err());
    transaction.execute(insert, &[&9002i64]).await.unwrap();
    transaction.commit().await.unwrap();
    assert!(served.program.wait().await.unwrap().success());
    assert_eq!(served.world.sum("select count(*) from posts where id > 9000").await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn soak_served_and_nobody_notices_the_move() {
    for seed in Rounds::new(1).unwrap() {
        round(seed).await;
    }
}

async fn round(seed: u64) {
    let served = Served::start(PEOPLE).await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut writers = Vec::new();
    for writer in 0..8_i64 {
        let client = served.client("application_name=shop").await;
        let seed = seed.wrapping_mul(31).wrapping_add(writer.unsigned_abs());
        writers.push(tokio::spawn(work(client, writer, seed, stop.clone())));
    }
    let migrated = domicile(&served.config, &["migrate"]).status().await.unwrap();
    stop.store(true, Ordering::Relaxed);
    let mut all = Done::default();
    for writer in writers {
        let done = writer.await.unwrap();
        all.nonces.extend(done.nonces);
        all.updates += done.updates;
        all.reads += done.reads;
    }
    assert!(migrated.success());
    let standing = served.world.nonces().await;
    for nonce in &all.nonces {
        assert_eq!(standing.get(nonce), Some(&1), "{nonce}");
    }
    let counted = served.world.sum("select coalesce(sum(writes), 0)::bigint from users").await;
    assert_eq!(counted, all.updates);
    let left = served.world.sum("select count(*) from domicile.subject where state = 'resident'");
    assert_eq!(left.await, PEOPLE / 2);
    let verified = domicile(&served.config, &["verify"]).status().await.unwrap();
    assert_eq!(verified.code(), Some(0));
    eprintln!(
        "soak_served: seed {seed}, {} inserts, {} updates, {} reads, 0 errors",
        all.nonces.len(),
        all.updates,
        all.reads
    );
}
