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
#[path = "support/served.rs"]
mod served;
#[path = "../../domicile-mover/tests/world/mod.rs"]
mod world;

use domicile_testkit::tokio_postgres::Client;
use domicile_testkit::{MOVER_ROLE, Rounds};
use postgres::{configuration, domicile};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use served::Served;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use world::World;

const PEOPLE: i64 = 2000;

/// The program in front of the sites of a world with so many people.
async fn start(people: i64) -> (World, Served) {
    let world = World::with(people).await;
    let text = configuration(&world, MOVER_ROLE) + "[tables.addresses]\nkind = \"shared\"\n";
    let served = Served::start(text).await;
    (world, served)
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
    let (world, mut served) = start(2).await;
    let idle = served.client().await;
    let mut busy = served.client().await;
    let transaction = busy.transaction().await.unwrap();
    let insert = "INSERT INTO posts (id, user_id, nonce) VALUES ($1, 1, 'x')";
    transaction.execute(insert, &[&9001i64]).await.unwrap();
    assert_eq!(served.get("/health").await, ("200".to_owned(), "ok\n".to_owned()));
    served.signal("-TERM");
    served.says("letting nobody more in").await;
    assert_eq!(served.get("/health").await, ("503".to_owned(), "stopping\n".to_owned()));
    // Whoever does nothing is told, and nobody more is let in.
    let mut told = idle.simple_query("SELECT 1").await;
    while told.is_ok() {
        told = idle.simple_query("SELECT 1").await;
    }
    assert!(served.enters("app", "secret").await.is_err());
    transaction.execute(insert, &[&9002i64]).await.unwrap();
    transaction.commit().await.unwrap();
    assert!(served.program.wait().await.unwrap().success());
    assert_eq!(world.sum("select count(*) from posts where id > 9000").await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_passes_is_counted() {
    let (_world, served) = start(4).await;
    let mut client = served.client().await;
    let insert = "INSERT INTO posts (id, user_id, nonce) VALUES ($1, 1, 'x')";
    client.execute(insert, &[&9001i64]).await.unwrap();
    client.query("SELECT 1 FROM users", &[]).await.unwrap_err();
    assert!(served.enters("app", "wrong").await.is_err());
    assert!(served.enters("nobody", "secret").await.is_err());
    let transaction = client.transaction().await.unwrap();
    transaction.execute(insert, &[&9002i64]).await.unwrap();
    let (status, text) = served.get("/metrics").await;
    assert_eq!(status, "200");
    let value = |name: &str| {
        let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        found.unwrap_or_else(|| panic!("no {name} in {text}")).parse::<f64>().unwrap()
    };
    assert_eq!(value("domicile_serve_clients"), 1.0);
    assert_eq!(value("domicile_serve_sessions_total"), 1.0);
    assert_eq!(value("domicile_serve_logins_refused_total{code=\"28P01\"}"), 2.0);
    assert_eq!(value("domicile_serve_errors_total{code=\"0A000\"}"), 1.0);
    let (site, _) = world::SITES[0];
    assert_eq!(value(&format!("domicile_serve_connections_used{{site=\"{site}\"}}")), 1.0);
    assert!(value(&format!("domicile_serve_batches_total{{site=\"{site}\"}}")) >= 2.0);
    assert!(value("domicile_serve_home_lookups_total") >= 1.0);
    assert!(!text.contains("9001") && !text.contains("posts"), "{text}");
    transaction.commit().await.unwrap();
    assert_eq!(served.get("/").await.0, "404");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_many_files_are_opened_as_the_system_allows() {
    let (_world, served) = start(2).await;
    let limits = format!("/proc/{}/limits", served.program.id().unwrap());
    let limits = std::fs::read_to_string(limits).unwrap();
    let files = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let files: Vec<&str> = files.split_whitespace().collect();
    assert_eq!(files[0], files[1], "{limits}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_configuration_holds_for_whoever_comes_next() {
    let (_world, mut served) = start(2).await;
    let before = served.client().await;
    let written = std::fs::read_to_string(&served.config).unwrap();
    let changed = written.replace("\"secret\"", "\"new\"")
        + "[serve.users.domicile_mover]\npassword = \"x\"\n";
    std::fs::write(&served.config, &changed).unwrap();
    served.signal("-HUP");
    served.says("whoever comes now").await;
    assert!(served.enters("app", "secret").await.is_err());
    let after = served.enters("app", "new").await.unwrap();
    let other = served.enters("domicile_mover", "x").await.unwrap();
    for client in [&before, &after, &other] {
        let found = client.query_one("SELECT country FROM users WHERE id = 1", &[]).await.unwrap();
        assert!(!found.get::<_, String>(0).is_empty());
    }
    for wrong in ["[serve", "[subjects]\n", &written.replace("[serve", "[served")] {
        std::fs::write(&served.config, wrong).unwrap();
        served.signal("-HUP");
        served.says("serving by the configuration as it was").await;
        served.enters("app", "new").await.unwrap().simple_query("SELECT 1").await.unwrap();
    }
    let (_, text) = served.get("/metrics").await;
    assert!(text.contains("domicile_serve_sessions_total 6\n"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn soak_served_and_nobody_notices_the_move() {
    for seed in Rounds::new(1).unwrap() {
        round(seed).await;
    }
}

async fn round(seed: u64) {
    let (world, served) = start(PEOPLE).await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut writers = Vec::new();
    for writer in 0..8_i64 {
        let client = served.client().await;
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
    let standing = world.nonces().await;
    for nonce in &all.nonces {
        assert_eq!(standing.get(nonce), Some(&1), "{nonce}");
    }
    let counted = world.sum("select coalesce(sum(writes), 0)::bigint from users").await;
    assert_eq!(counted, all.updates);
    let left = world.sum("select count(*) from domicile.subject where state = 'resident'");
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
