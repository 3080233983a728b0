//! From SQLite to PostgreSQL while an application writes.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    unreachable_pub,
    reason = "helpers of tests; a failure should stop the test where it happens"
)]
#![allow(dead_code, reason = "each test program uses a part of the platform")]

mod mixed;

use domicile_mover::migrate::{Options, Surroundings, migrate};
use domicile_mover::plan::{TableKind, TableRule};
use domicile_mover::verify::verify;
use domicile_store::Kind;
use domicile_store::faulty::Faults;
use domicile_store::sqlite::application::Application;
use mixed::model::{Model, Op};
use mixed::{Mixed, move_ids, options, surroundings};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Where a statement came to at SQLite.
#[derive(Debug, PartialEq, Eq)]
enum Came {
    Done,
    /// The person is not here any more, or is about to be there.
    Away,
    /// Somebody else writes.
    Busy,
}

fn at_sqlite(app: &Application, op: &Op) -> Came {
    let (sql, parameters) = op.sql();
    let parameters: Vec<&str> = parameters.iter().map(String::as_str).collect();
    match app.execute(sql, &parameters) {
        Ok(1) => Came::Done,
        // Everything the model names stands somewhere, so it stands elsewhere.
        Ok(0) => Came::Away,
        Ok(rows) => panic!("{op:?} changed {rows} rows"),
        Err(error) if error.kind() == Kind::RetryNow => Came::Busy,
        Err(error) => {
            let text = error.to_string();
            let is_away = text.contains("DM001") || text.contains("FOREIGN KEY");
            assert!(is_away, "{op:?}: {text}");
            Came::Away
        }
    }
}

#[derive(Debug, Default)]
struct Wrote {
    model: Model,
    here: u64,
    there: u64,
}

/// Writes about some people, wherever the refusals send it, until told to stop.
async fn write(
    world: Arc<Mixed>,
    people: Vec<u64>,
    count: Arc<AtomicU64>,
    stop: Arc<AtomicU64>,
) -> Wrote {
    let client = world.there().await;
    let app = Mutex::new(world.app());
    let mut wrote = Wrote { model: Model::of(people.iter().copied()), ..Wrote::default() };
    let mut away = BTreeSet::new();
    for turn in 0_u64.. {
        if stop.load(Ordering::Relaxed) == 1 {
            break;
        }
        let person = people[usize::try_from(turn).unwrap() % people.len()];
        let op = wrote.model.next(person, turn / people.len() as u64 + person);
        loop {
            if !away.contains(&person) {
                let came = tokio::task::block_in_place(|| at_sqlite(&app.lock().unwrap(), &op));
                match came {
                    Came::Done => {
                        wrote.here += 1;
                        break;
                    }
                    Came::Away => drop(away.insert(person)),
                    Came::Busy => {}
                }
                tokio::task::yield_now().await;
                continue;
            }
            let (_, parameters) = op.sql();
            let parameters: Vec<&(dyn domicile_testkit::tokio_postgres::types::ToSql + Sync)> =
                parameters.iter().map(|text| text as _).collect();
            match client.execute(&op.sql_there(), &parameters).await {
                Ok(1) => {
                    wrote.there += 1;
                    break;
                }
                Ok(rows) => panic!("{op:?} changed {rows} rows at dub1"),
                Err(error) => {
                    let code = error.code().unwrap_or_else(|| panic!("{error:?}")).code();
                    assert!(["DM002", "40001", "40P01"].contains(&code), "{op:?}: {error:?}");
                    tokio::task::yield_now().await;
                }
            }
        }
        wrote.model.done(&op);
        count.fetch_add(1, Ordering::Relaxed);
    }
    wrote
}

#[tokio::test(flavor = "multi_thread", worker_threads = 6)]
async fn no_acknowledged_write_is_lost_on_the_way_to_postgresql() {
    const PEOPLE: u64 = 80;
    const WRITERS: u64 = 3;
    let world = Arc::new(Mixed::social(PEOPLE));
    let plan = world.prepare().await;
    let (count, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let people = (1..=PEOPLE).filter(|id| id % WRITERS == writer).collect();
            tokio::spawn(write(world.clone(), people, count.clone(), stop.clone()))
        })
        .collect();
    let platform = world.platform(&plan, &Faults::none()).await;
    let (surroundings, _stop) = surroundings();
    let options = Options { batch: Some(6), ..options() };
    let report = migrate(&platform, &options, &surroundings).await.unwrap();
    // Everybody writes once more about everybody.
    let goal = count.load(Ordering::Relaxed) + 4 * PEOPLE;
    while count.load(Ordering::Relaxed) < goal && writers.iter().all(|w| !w.is_finished()) {
        tokio::task::yield_now().await;
    }
    stop.store(1, Ordering::Relaxed);
    let mut all = Wrote::default();
    for writer in writers {
        let wrote = writer.await.unwrap();
        all.here += wrote.here;
        all.there += wrote.there;
        all.model.posts.extend(wrote.model.posts);
        all.model.comments.extend(wrote.model.comments);
        all.model.seen.extend(wrote.model.seen);
    }
    assert_eq!((report.moved, report.failed, report.mismatches), (40, 0, 0), "{report:?}");
    assert!(all.here > 100 && all.there > 40, "{} here, {} there", all.here, all.there);
    world.check(&all.model, "after the move").await;
    assert!(verify(&platform).await.unwrap().is_clean());
}

/// Runs a migration in which `act` has a turn whenever the mover looks at the clock.
async fn migrate_with(
    world: &Mixed,
    act: impl FnMut(&Application) + Send + 'static,
) -> domicile_mover::report::MigrateReport {
    let plan = world.prepare().await;
    let platform = world.platform(&plan, &Faults::none()).await;
    let (_sender, stop) = tokio::sync::watch::channel(false);
    let app = world.app();
    app.run("PRAGMA busy_timeout = 0").unwrap();
    let (ticks, turn) = (AtomicU64::new(0), Mutex::new((app, act)));
    let surroundings = Surroundings {
        clock: Arc::new(move || {
            let (app, act) = &mut *turn.lock().unwrap();
            act(app);
            Duration::from_millis(ticks.fetch_add(10, Ordering::Relaxed))
        }),
        now: Arc::new(jiff::Timestamp::now),
        move_id: move_ids(),
        progress: Arc::new(|_| {}),
        stop,
    };
    migrate(&platform, &options(), &surroundings).await.unwrap()
}

fn is_moving(app: &Application, person: &str) -> bool {
    let mut found = false;
    let sql = "SELECT 1 FROM domicile_subject WHERE subject = ?1 AND state = 'moving'";
    app.each_row(sql, &[person], |_| found = true).unwrap();
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_with_keys_of_every_kind_are_caught_up() {
    let world = Mixed::with(
        "CREATE TABLE users (id INTEGER PRIMARY KEY, country TEXT);
         CREATE TABLE odd (user_id INTEGER NOT NULL REFERENCES users (id), k NUMERIC, b BLOB,
           y BOOLEAN, day DATE, t TEXT, v INTEGER, PRIMARY KEY (k, b, y, day, t));
         CREATE INDEX odd_user ON odd (user_id);
         INSERT INTO users VALUES (1, 'FR')",
    );
    let rows = Arc::new(Mutex::new(std::collections::BTreeMap::new()));
    let (written, changes) = (rows.clone(), Arc::new(AtomicU64::new(0)));
    let (counted, mut turn) = (changes.clone(), 0_u64);
    migrate_with(&world, move |app| {
        turn += 1;
        let mut rows = written.lock().unwrap();
        let key = |n: u64| {
            let k = if n.is_multiple_of(2) { format!("{n}") } else { format!("{n}.5") };
            format!("{k}, x'00ff{:04x}', {}, '2024-02-{:02}', 'ä,{n}'", n % 7, n % 2, n % 28 + 1)
        };
        let named = |n: u64| format!("(k, b, y, day, t) = ({})", key(n));
        let last = rows.keys().next_back().copied();
        let ran = match (turn % 4, last) {
            (1, Some(last)) => app.run(&format!("UPDATE odd SET v = {turn} WHERE {}", named(last))),
            (2, Some(last)) => app.run(&format!(
                "UPDATE odd SET (k, b, y, day, t) = ({}) WHERE {}",
                key(turn),
                named(last)
            )),
            (3, Some(_)) => {
                let first = *rows.keys().next().unwrap();
                app.run(&format!("DELETE FROM odd WHERE {}", named(first)))
            }
            _ => app.run(&format!("INSERT INTO odd VALUES (1, {}, {turn})", key(turn))),
        };
        let mut stands = false;
        let person = "SELECT 1 FROM users WHERE id = 1";
        app.each_row(person, &[], |_| stands = true).unwrap();
        if ran.is_err() || !stands {
            return;
        }
        counted.fetch_add(1, Ordering::Relaxed);
        match (turn % 4, last) {
            (1, Some(last)) => drop(rows.insert(last, turn)),
            (2, Some(last)) => {
                let v = rows.remove(&last).unwrap();
                rows.insert(turn, v);
            }
            (3, Some(_)) => drop(rows.pop_first()),
            _ => drop(rows.insert(turn, turn)),
        }
    })
    .await;
    let rows = rows.lock().unwrap().clone();
    let mut expected: Vec<String> = rows.iter().map(|(n, v)| format!("ä,{n} {v}")).collect();
    expected.sort();
    let found = world.texts("SELECT t || ' ' || v FROM odd").await;
    let mut found: Vec<String> = found.into_iter().flatten().collect();
    found.sort();
    assert_eq!(found, expected);
    let changes = changes.load(Ordering::Relaxed);
    assert!(changes > 12, "only {changes} changes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_comes_while_its_owner_moves_stops_only_them() {
    let world = Mixed::social(20);
    let mut is_written = false;
    let report = migrate_with(&world, move |app| {
        if !is_written && is_moving(app, "3") {
            is_written = app.run("INSERT INTO posts VALUES ('late', 3, x'00')").is_ok();
        }
    })
    .await;
    assert_eq!((report.moved, report.failed, report.mismatches), (9, 1, 0), "{report:?}");
    let failure = &report.failures[0];
    let named = "column body of posts (id late) is a BLOB and not text";
    assert!(failure.subject.as_str() == "3" && failure.reason.contains(named), "{failure:?}");
    assert_eq!(world.here("SELECT count(*) FROM posts WHERE user_id = 3"), [Some("2".into())]);
    // Nothing of theirs is left there, and the application goes on at the old home.
    assert_eq!(
        world.texts("SELECT count(*)::text FROM posts WHERE user_id = 3").await,
        [Some("0".to_owned())]
    );
    world.app().run("UPDATE users SET seen = 1 WHERE id = 3").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shared_rows_cross_with_their_last_word() {
    // Two people at one address; addresses 1 to 4 are lived at by Europeans only.
    let people: String = (1..=12)
        .map(|id| {
            let country = if id <= 8 { "FR" } else { "US" };
            format!("INSERT INTO users VALUES ({id}, '{country}', ({id} + 1) / 2);")
        })
        .collect();
    let mut world = Mixed::with(&format!(
        "CREATE TABLE addresses (id INTEGER PRIMARY KEY, street TEXT NOT NULL, said INTEGER);
         CREATE TABLE users (id INTEGER PRIMARY KEY, country TEXT NOT NULL,
           address_id INTEGER REFERENCES addresses (id));
         CREATE INDEX users_address ON users (address_id);
         INSERT INTO addresses VALUES (1, 'a', 0), (2, 'b', 0), (3, 'c', 0), (4, 'd', 0),
           (5, 'e', 0), (6, 'f', 0);
         {people}"
    ));
    let shared = TableRule { kind: Some(TableKind::Shared), ..TableRule::default() };
    world.wishes.tables.insert("addresses".to_owned(), shared);
    let said = Arc::new(Mutex::new([0_u64; 7]));
    let (saying, mut turn) = (said.clone(), 0);
    let report = migrate_with(&world, move |app| {
        turn += 1;
        let address = turn % 6 + 1;
        let (id, word) = (address.to_string(), turn.to_string());
        let rename = "UPDATE addresses SET said = ?2 WHERE id = ?1
            AND EXISTS (SELECT 1 FROM users WHERE address_id = addresses.id)";
        if matches!(app.execute(rename, &[&id, &word]), Ok(1)) {
            saying.lock().unwrap()[usize::try_from(address).unwrap()] = turn;
        }
    })
    .await;
    assert_eq!((report.moved, report.failed, report.mismatches), (8, 0, 0), "{report:?}");
    assert!(report.shared_rows >= 4, "{report:?}");
    let said = *said.lock().unwrap();
    let expected: Vec<_> = said[1..5].iter().map(|word| Some(word.to_string())).collect();
    let there = world.texts("SELECT said::text FROM addresses ORDER BY id").await;
    assert_eq!(there, expected);
    assert!(said[1..5].iter().any(|word| *word > 0), "nobody said anything");
    let here = world.here("SELECT said FROM addresses ORDER BY id");
    assert_eq!(here, [Some(said[5].to_string()), Some(said[6].to_string())]);
}
