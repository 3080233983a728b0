//! What is SQLite's own; the conformance suite has what both engines share.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use domicile_model::{MoveId, SiteName, State, Subject};
use domicile_store::closure::Check;
use domicile_store::sqlite::SqliteSite;
use domicile_store::{
    Announcement, Arrival, Closure, Departure, Extent, Horizon, Installation, Kind, Outcome,
    OwnedTable, ParentEdge, Site, TableName, Touched,
};
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const TABLES: &str = "
  CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT UNIQUE, land TEXT);
  CREATE TABLE posts (id TEXT PRIMARY KEY, user_id INTEGER NOT NULL REFERENCES users, body,
    len INTEGER GENERATED ALWAYS AS (length(body)) VIRTUAL) WITHOUT ROWID;
  CREATE TABLE comments (id INTEGER PRIMARY KEY,
    post_id TEXT NOT NULL REFERENCES posts ON DELETE CASCADE, slug TEXT, score REAL);
  CREATE UNIQUE INDEX slugs ON comments (lower(slug)) WHERE score IS NOT NULL;
  INSERT INTO users VALUES (1, 'one@x', 'IE'), (2, 'two@x', 'DE');
  INSERT INTO posts (id, user_id, body) VALUES ('a', 1, 'aa'), ('b', 2, 'bb');
  INSERT INTO comments VALUES (10, 'a', 'S1', 1.5), (20, 'b', 'S2', -0.0), (21, 'b', 'S3', NULL);
";

fn name(name: &str) -> TableName {
    TableName { schema: None, name: name.to_owned() }
}

fn words(words: &str) -> Vec<String> {
    words.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn table(
    called: &str,
    columns: &str,
    key: &str,
    parent: Option<(usize, &str, &str)>,
) -> OwnedTable {
    let columns = words(columns);
    OwnedTable {
        name: name(called),
        user_types: vec![false; columns.len()],
        types: vec![String::new(); columns.len()],
        columns,
        generated: Vec::new(),
        key: words(key),
        parent: parent.map(|(table, columns, parents)| ParentEdge {
            table,
            columns: words(columns),
            parent_columns: words(parents),
            declared: true,
        }),
    }
}

fn closure() -> Arc<Closure> {
    let mut posts = table("posts", "id user_id body", "id", Some((0, "user_id", "id")));
    posts.generated = words("len");
    let check = |child: &str, columns: &str, parent: &str, owned| Check {
        child: name(child),
        columns: words(columns),
        parent: name(parent),
        parent_columns: words("id"),
        owned,
    };
    Arc::new(Closure {
        owned: vec![
            table("users", "id email land", "id", None),
            posts,
            table("comments", "id post_id slug score", "id", Some((1, "post_id", "id"))),
        ],
        shared: Vec::new(),
        reference: Vec::new(),
        checks: vec![
            check("posts", "user_id", "users", 1),
            check("comments", "post_id", "posts", 2),
        ],
        residence: words("land"),
    })
}

/// Two sites with the same tables, the first of them with people.
struct World {
    _folder: tempfile::TempDir,
    closure: Arc<Closure>,
    source: SqliteSite,
    target: SqliteSite,
    paths: [PathBuf; 2],
}

impl World {
    async fn new(tables: &str, closure: Arc<Closure>) -> World {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["bos1", "dub1"].map(|name| folder.path().join(name));
        for path in &paths {
            Connection::open(path).unwrap().execute_batch(tables).unwrap();
        }
        let target = app(&paths[1]);
        target.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
        for owned in &closure.owned {
            target.execute(&format!("DELETE FROM {}", owned.name.sql()), []).unwrap();
        }
        let source = SqliteSite::open(site("bos1"), &paths[0]).unwrap();
        let target = SqliteSite::open(site("dub1"), &paths[1]).unwrap();
        let sites = vec![site("bos1"), site("dub1")];
        let installation =
            Installation { closure: Arc::clone(&closure), sites, reference_site: site("bos1") };
        for one in [&source, &target] {
            assert!(!one.is_installed(&installation).await.unwrap());
            one.install(&installation).await.unwrap();
            one.install(&installation).await.unwrap();
            assert!(one.is_installed(&installation).await.unwrap());
        }
        World { _folder: folder, closure, source, target, paths }
    }

    async fn plain() -> World {
        World::new(TABLES, closure()).await
    }

    async fn lanes(&self) -> (Box<dyn Departure>, Box<dyn Arrival>) {
        let departure = self.source.departure(Arc::clone(&self.closure)).await.unwrap();
        (departure, self.target.arrival(Arc::clone(&self.closure)).await.unwrap())
    }

    fn app(&self) -> Connection {
        app(&self.paths[0])
    }
}

fn app(path: &Path) -> Connection {
    let app = Connection::open(path).unwrap();
    app.busy_timeout(Duration::from_secs(5)).unwrap();
    app
}

fn site(name: &str) -> SiteName {
    name.parse().unwrap()
}

fn people(names: &[&str]) -> Vec<Subject> {
    names.iter().map(|name| Subject::new(*name)).collect()
}

fn told(move_id: i64, peer: &str, names: &[&str]) -> Announcement {
    Announcement { move_id: MoveId(move_id), peer: site(peer), subjects: people(names) }
}

async fn announce(departure: &mut dyn Departure, move_id: i64, names: &[&str]) {
    let announced = departure.announce(&told(move_id, "dub1", names)).await.unwrap();
    assert_eq!(announced, people(names));
    departure.start_horizon().await.unwrap();
    while departure.look_at_horizon().await.unwrap() != Horizon::Passed {}
}

/// Ships an extent, compares it, and forgets the notes that are in it.
async fn ship(
    departure: &mut dyn Departure,
    arrival: &mut dyn Arrival,
    announcement: &Announcement,
    extent: &Extent,
    tables: usize,
) {
    departure.select(extent).await.unwrap();
    arrival.begin(announcement, extent).await.unwrap();
    for at in 0..tables {
        let rows = departure.export(at).await.unwrap();
        arrival.import(at, rows).await.unwrap();
    }
    assert_eq!(arrival.digests().await.unwrap(), departure.digests().await.unwrap());
    assert_eq!(arrival.check().await.unwrap(), Vec::<String>::new());
    arrival.commit().await.unwrap();
    departure.close_snapshot().await.unwrap();
    if let Extent::Touched(notes) = extent {
        let seqs: Vec<i64> = notes.iter().map(|note| note.seq).collect();
        departure.forget(&seqs).await.unwrap();
    }
}

async fn copy(
    world: &World,
    departure: &mut dyn Departure,
    arrival: &mut dyn Arrival,
    id: i64,
    names: &[&str],
) {
    announce(departure, id, names).await;
    let back = told(id, "bos1", names);
    assert_eq!(arrival.expect(&back).await.unwrap(), people(names));
    arrival.mark().await.unwrap();
    departure.open_snapshot(&people(names)).await.unwrap();
    let extent = Extent::People(people(names));
    ship(departure, arrival, &back, &extent, world.closure.owned.len()).await;
}

async fn catch_up(
    world: &World,
    departure: &mut dyn Departure,
    arrival: &mut dyn Arrival,
    id: i64,
    names: &[&str],
) -> Vec<Touched> {
    arrival.mark().await.unwrap();
    let notes = departure.open_snapshot(&people(names)).await.unwrap();
    let extent = Extent::Touched(notes.clone());
    ship(departure, arrival, &told(id, "bos1", names), &extent, world.closure.owned.len()).await;
    notes
}

fn dump(connection: &Connection, sql: &str) -> Vec<String> {
    let mut statement = connection.prepare(sql).unwrap();
    let columns = statement.column_count();
    let rows = statement.query_map([], |row| {
        (0..columns)
            .map(|at| Ok(format!("{:?}", row.get_ref(at)?)))
            .collect::<rusqlite::Result<Vec<_>>>()
    });
    rows.unwrap().map(|row| row.unwrap().join("|")).collect()
}

fn refusal(result: rusqlite::Result<usize>) -> String {
    match result {
        Ok(rows) => panic!("accepted: {rows} rows"),
        Err(error) => error.to_string(),
    }
}

async fn decide(departure: &mut dyn Departure, id: i64, person: &str) -> Outcome {
    departure.decide(MoveId(id), &people(&[person])).await.unwrap()[0].outcome
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_moves_with_what_was_written_meanwhile() {
    let world = World::plain().await;
    let (mut departure, mut arrival) = world.lanes().await;
    copy(&world, &mut *departure, &mut *arrival, 7, &["2"]).await;
    let app = world.app();
    app.execute("UPDATE posts SET body = 'changed' WHERE id = 'b'", []).unwrap();
    app.execute("INSERT INTO posts (id, user_id, body) VALUES ('c', 2, x'00ff')", []).unwrap();
    app.execute("UPDATE comments SET post_id = 'c' WHERE id = 21", []).unwrap();
    app.execute("DELETE FROM comments WHERE id = 20", []).unwrap();
    assert_eq!(decide(&mut *departure, 7, "2").await, Outcome::Touched);
    let notes = catch_up(&world, &mut *departure, &mut *arrival, 7, &["2"]).await;
    assert_eq!(notes.len(), 4, "{notes:?}");
    let Outcome::Decided(pause) = decide(&mut *departure, 7, "2").await else {
        panic!("not decided")
    };
    assert!(pause < Duration::from_secs(1), "{pause:?}");
    assert_eq!(decide(&mut *departure, 7, "2").await, Outcome::NotOurs);
    let late = [
        "UPDATE posts SET body = '' WHERE id = 'b'",
        "INSERT OR IGNORE INTO users VALUES (2, 'z', 'z')",
        "UPDATE comments SET score = 3 WHERE id = 21",
        "UPDATE posts SET user_id = 2 WHERE id = 'a'",
        "DELETE FROM users WHERE id = 2",
    ];
    for sql in late {
        let refused = refusal(app.execute(sql, []));
        assert!(refused.starts_with("DM001 ") && refused.contains("moved to dub1"), "{refused}");
    }
    app.execute("UPDATE posts SET body = 'mine' WHERE id = 'a'", []).unwrap();
    let there = self::app(&world.paths[1]);
    let early = refusal(there.execute("DELETE FROM posts WHERE id = 'b'", []));
    assert!(early.starts_with("DM002 "), "{early}");
    arrival.settle(MoveId(7), &people(&["2"])).await.unwrap();
    let rows = dump(&there, "SELECT id, post_id, slug, score FROM comments");
    assert_eq!(rows.len(), 1, "{rows:?}");
    there.execute("UPDATE posts SET body = 'home' WHERE id = 'b'", []).unwrap();
    let mut erased = 0;
    loop {
        let step = departure.erase(MoveId(7), &people(&["2"]), 2).await.unwrap();
        erased += step.rows;
        if step.finished {
            break;
        }
    }
    assert_eq!(erased, 4);
    assert_eq!(
        world.source.gone(&people(&["1", "2"])).await.unwrap(),
        [(Subject::new("2"), site("dub1"))]
    );
    app.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
    for sql in [
        "INSERT INTO users VALUES (2, 'z', 'z')",
        "INSERT INTO posts (id, user_id) VALUES ('z', 2)",
    ] {
        assert!(refusal(app.execute(sql, [])).starts_with("DM001 moved to dub1"), "{sql}");
    }
    assert_eq!(world.source.scan(&world.closure).await.unwrap().ownerless, []);
    world.source.rest(Duration::ZERO).await.unwrap();
    assert_eq!(world.source.gone(&people(&["2"])).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn replace_is_seen_by_the_owner_of_the_replaced_row() {
    let world = World::plain().await;
    let (mut departure, mut arrival) = world.lanes().await;
    copy(&world, &mut *departure, &mut *arrival, 7, &["2"]).await;
    let app = world.app();
    // Person 1 replaces rows of person 2: by primary key, and by a unique index over an expression.
    app.execute("INSERT OR REPLACE INTO posts (id, user_id, body) VALUES ('b', 1, 'taken')", [])
        .unwrap();
    app.execute("INSERT INTO posts (id, user_id) VALUES ('d', 2)", []).unwrap();
    app.execute("INSERT INTO comments VALUES (30, 'd', 'Slug', 1)", []).unwrap();
    catch_up(&world, &mut *departure, &mut *arrival, 7, &["2"]).await;
    let there = self::app(&world.paths[1]);
    assert_eq!(dump(&there, "SELECT id FROM posts").len(), 1);
    assert_eq!(dump(&there, "SELECT id FROM comments").len(), 1);
    app.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
    app.execute("INSERT OR REPLACE INTO comments VALUES (31, 'a', 'sLUG', 1)", []).unwrap();
    app.execute("UPDATE OR REPLACE users SET email = 'two@x' WHERE id = 1", []).unwrap();
    let notes = catch_up(&world, &mut *departure, &mut *arrival, 7, &["2"]).await;
    let named: Vec<(usize, &str)> = notes.iter().map(|n| (n.table, n.key[0].as_str())).collect();
    assert_eq!(named, [(2, "30"), (0, "2")]);
    assert_eq!(dump(&there, "SELECT id FROM users UNION ALL SELECT id FROM comments").len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn replace_of_a_row_that_moved_is_refused() {
    let world = World::plain().await;
    let (mut departure, mut arrival) = world.lanes().await;
    copy(&world, &mut *departure, &mut *arrival, 7, &["2"]).await;
    assert!(matches!(decide(&mut *departure, 7, "2").await, Outcome::Decided(_)));
    let app = world.app();
    for sql in [
        "REPLACE INTO posts (id, user_id) VALUES ('b', 1)",
        "REPLACE INTO comments VALUES (40, 'a', 's2', 1)",
        "UPDATE OR REPLACE users SET email = 'two@x' WHERE id = 1",
    ] {
        assert!(refusal(app.execute(sql, [])).starts_with("DM001 moved to dub1"), "{sql}");
    }
    // The partial index does not hold for S3, whose score is NULL, so nothing is replaced.
    app.execute("REPLACE INTO comments VALUES (41, 'a', 's3', 1)", []).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_passes_between_moving_people_in_either_order() {
    for first in ["1", "2"] {
        let world = World::plain().await;
        let (mut departure, mut arrival) = world.lanes().await;
        copy(&world, &mut *departure, &mut *arrival, 7, &["1", "2"]).await;
        world.app().execute("UPDATE posts SET user_id = 1 WHERE id = 'b'", []).unwrap();
        for person in [first, if first == "1" { "2" } else { "1" }] {
            catch_up(&world, &mut *departure, &mut *arrival, 7, &[person]).await;
        }
        let there = app(&world.paths[1]);
        assert_eq!(
            dump(&there, "SELECT id, user_id FROM posts ORDER BY id"),
            dump(&world.app(), "SELECT id, user_id FROM posts ORDER BY id"),
            "{first} first"
        );
        assert_eq!(dump(&there, "SELECT id FROM comments").len(), 3, "{first} first");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hot_writer_waits_while_a_person_is_closed() {
    let world = World::plain().await;
    let (mut departure, mut arrival) = world.lanes().await;
    copy(&world, &mut *departure, &mut *arrival, 7, &["2"]).await;
    let path = world.paths[0].clone();
    let (wrote, has_written) = std::sync::mpsc::channel();
    let writer = std::thread::spawn(move || {
        let app = app(&path);
        let mut written = 0;
        loop {
            match app.execute("UPDATE posts SET body = body || 'x' WHERE id = 'b'", []) {
                Ok(_) => {
                    written += 1;
                    // Nobody listens after the first.
                    let _ = wrote.send(());
                }
                Err(error) => return (written, error.to_string()),
            }
        }
    });
    has_written.recv().unwrap();
    departure.close(MoveId(7), &Subject::new("2")).await.unwrap();
    assert_eq!(world.source.journal().await.unwrap()[0].state, State::Closing);
    catch_up(&world, &mut *departure, &mut *arrival, 7, &["2"]).await;
    assert!(matches!(decide(&mut *departure, 7, "2").await, Outcome::Decided(_)));
    let (written, refused) = writer.join().unwrap();
    assert!(refused.starts_with("DM001 moved to dub1"), "{refused}");
    let body = dump(&app(&world.paths[1]), "SELECT body FROM posts WHERE id = 'b'");
    assert_eq!(body, dump(&world.app(), "SELECT body FROM posts WHERE id = 'b'"));
    assert!(body[0].len() > written, "{written} acknowledged, {} kept", body[0].len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tombstone_stands_again_when_its_person_does_not_come_back() {
    let world = World::plain().await;
    let (mut departure, mut arrival) = world.lanes().await;
    copy(&world, &mut *departure, &mut *arrival, 7, &["2"]).await;
    assert!(matches!(decide(&mut *departure, 7, "2").await, Outcome::Decided(_)));
    assert!(departure.erase(MoveId(7), &people(&["2"]), 1_000).await.unwrap().finished);
    let mut back = world.source.arrival(Arc::clone(&world.closure)).await.unwrap();
    for (id, settle) in [(8, false), (9, true)] {
        assert_eq!(back.expect(&told(id, "dub1", &["2"])).await.unwrap(), people(&["2"]));
        assert_eq!(world.source.gone(&people(&["2"])).await.unwrap(), []);
        let insert = "INSERT INTO users VALUES (2, 'z', 'z')";
        assert!(refusal(world.app().execute(insert, [])).starts_with("DM002"));
        if settle {
            back.settle(MoveId(id), &people(&["2"])).await.unwrap();
            world.app().execute(insert, []).unwrap();
        } else {
            back.abandon(MoveId(id), &people(&["2"])).await.unwrap();
            let stands = world.source.gone(&people(&["2"])).await.unwrap();
            assert_eq!(stands, [(Subject::new("2"), site("dub1"))]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_foreign_keys_nothing_is_hung_below_an_erased_row() {
    let world = World::plain().await;
    let (mut departure, mut arrival) = world.lanes().await;
    copy(&world, &mut *departure, &mut *arrival, 7, &["2"]).await;
    assert!(matches!(decide(&mut *departure, 7, "2").await, Outcome::Decided(_)));
    arrival.settle(MoveId(7), &people(&["2"])).await.unwrap();
    while !departure.erase(MoveId(7), &people(&["2"]), 1).await.unwrap().finished {}
    let app = world.app();
    app.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
    let below = "INSERT INTO comments (post_id, slug) VALUES ('b', 'late')";
    assert!(refusal(app.execute(below, [])).starts_with("DM001 moved to dub1"));
    let moved = "UPDATE comments SET post_id = 'b' WHERE id = 10";
    assert!(refusal(app.execute(moved, [])).starts_with("DM001 moved to dub1"));
    // A parent that was never here, or that somebody else makes again, is nobody who left.
    app.execute("INSERT INTO comments (post_id) VALUES ('to come')", []).unwrap();
    app.execute("INSERT INTO posts (id, user_id) VALUES ('to come', 1), ('b', 1)", []).unwrap();
    app.execute(below, []).unwrap();
    app.execute("DELETE FROM comments WHERE post_id = 'b'", []).unwrap();
    app.execute("DELETE FROM posts WHERE id = 'b'", []).unwrap();
    world.source.rest(Duration::ZERO).await.unwrap();
    app.execute(below, []).unwrap();
    let left = dump(&app, "SELECT count(*) FROM domicile_gone_row");
    assert_eq!(left, ["Integer(0)"], "with the tombstone goes what it knew");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_row_takes_what_cascades_from_it_along() {
    let world = World::plain().await;
    let (mut departure, mut arrival) = world.lanes().await;
    copy(&world, &mut *departure, &mut *arrival, 7, &["2"]).await;
    let app = world.app();
    app.execute_batch("PRAGMA foreign_keys = ON").unwrap();
    app.execute("INSERT INTO posts (id, user_id) VALUES ('c', 2)", []).unwrap();
    app.execute("DELETE FROM posts WHERE id = 'b'", []).unwrap();
    catch_up(&world, &mut *departure, &mut *arrival, 7, &["2"]).await;
    let there = self::app(&world.paths[1]);
    assert_eq!(dump(&there, "SELECT id FROM comments").len(), 0);
    app.execute("INSERT INTO comments VALUES (50, 'c', NULL, NULL)", []).unwrap();
    catch_up(&world, &mut *departure, &mut *arrival, 7, &["2"]).await;
    assert!(matches!(decide(&mut *departure, 7, "2").await, Outcome::Decided(_)));
    let refused = refusal(app.execute("DELETE FROM posts WHERE id = 'c'", []));
    assert!(refused.starts_with("DM001 moved to dub1"), "{refused}");
    assert_eq!(dump(&app, "SELECT id FROM comments WHERE post_id = 'c'").len(), 1);
}

/// One writer of the stress below: statements of every kind about everybody, until told to stop.
fn scribble(path: &Path, seed: u64, stop: &AtomicBool) -> u64 {
    let app = app(path);
    app.busy_timeout(Duration::from_secs(20)).unwrap();
    app.execute_batch(&format!("PRAGMA foreign_keys = {}", seed % 2)).unwrap();
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut accepted = 0;
    while !stop.load(Ordering::Relaxed) {
        let mut next = |bound: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % bound) as i64
        };
        let (user, post, comment, other) = (next(6) + 1, next(30), next(60), next(30));
        let sql = match next(9) {
            0 => format!("UPDATE posts SET body = hex(randomblob(4)) WHERE id = 'p{post}'"),
            1 => format!("UPDATE posts SET user_id = {user} WHERE id = 'p{post}'"),
            2 => format!("REPLACE INTO posts (id, user_id, body) VALUES ('p{post}', {user}, 1)"),
            3 => format!("DELETE FROM posts WHERE id = 'p{post}'"),
            4 => format!("REPLACE INTO comments VALUES ({comment}, 'p{post}', 's{other}', 1)"),
            5 => format!("UPDATE OR REPLACE comments SET slug = 'S{other}' WHERE id = {comment}"),
            6 => format!("UPDATE comments SET post_id = 'p{other}' WHERE id = {comment}"),
            7 => format!("UPDATE OR IGNORE posts SET id = 'p{other}' WHERE id = 'p{post}'"),
            _ => format!("UPDATE users SET land = 'L' || {comment} WHERE id = {user}"),
        };
        match app.execute(&sql, []) {
            Ok(_) => accepted += 1,
            Err(error) => {
                let text = error.to_string();
                assert!(text.starts_with("DM001") || text.contains("constraint"), "{sql}: {text}");
            }
        }
    }
    accepted
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_and_moves_together_lose_nothing() {
    let world = World::plain().await;
    let app = world.app();
    app.execute_batch("DELETE FROM comments; DELETE FROM posts; DELETE FROM users").unwrap();
    for user in 1..=6 {
        app.execute("INSERT INTO users VALUES (?1, NULL, 'IE')", [user]).unwrap();
    }
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (1..=3)
        .map(|seed| {
            let (path, stop) = (world.paths[0].clone(), Arc::clone(&stop));
            std::thread::spawn(move || scribble(&path, seed, &stop))
        })
        .collect();
    let (mut departure, mut arrival) = world.lanes().await;
    for (id, pair) in [["1", "2"], ["3", "4"]].iter().enumerate() {
        let id = i64::try_from(id).unwrap() + 7;
        copy(&world, &mut *departure, &mut *arrival, id, pair).await;
        for person in pair {
            for round in 0.. {
                if round == 3 {
                    departure.close(MoveId(id), &Subject::new(*person)).await.unwrap();
                }
                catch_up(&world, &mut *departure, &mut *arrival, id, pair).await;
                if let Outcome::Decided(_) = decide(&mut *departure, id, person).await {
                    break;
                }
                assert!(round < 3, "nobody else can write");
            }
        }
    }
    stop.store(true, Ordering::Relaxed);
    let accepted: u64 = writers.into_iter().map(|writer| writer.join().unwrap()).sum();
    assert!(accepted > 50, "{accepted}");
    let theirs = "SELECT 0, u.* FROM users AS u WHERE id < 5
      UNION ALL SELECT 1, id, user_id, body FROM posts WHERE user_id < 5
      UNION ALL SELECT 2, c.id, c.post_id, c.slug FROM comments AS c
        JOIN posts AS p ON p.id = c.post_id WHERE p.user_id < 5 ORDER BY 1, 2";
    assert_eq!(dump(&self::app(&world.paths[1]), theirs), dump(&app, theirs));
    assert_eq!(world.target.scan(&world.closure).await.unwrap().ownerless, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn reopening_lets_writers_go_on() {
    let world = World::plain().await;
    let (mut departure, _arrival) = world.lanes().await;
    announce(&mut *departure, 7, &["1", "2"]).await;
    for person in ["1", "2"] {
        departure.close(MoveId(7), &Subject::new(person)).await.unwrap();
    }
    let app = world.app();
    app.busy_timeout(Duration::from_millis(20)).unwrap();
    let update = "UPDATE users SET land = 'FR' WHERE id = 1";
    departure.reopen(MoveId(7), &Subject::new("1")).await.unwrap();
    assert!(app.execute(update, []).is_err(), "the other is still closed");
    departure.reopen(MoveId(7), &Subject::new("2")).await.unwrap();
    app.execute(update, []).unwrap();
    let states: Vec<State> =
        world.source.journal().await.unwrap().iter().map(|e| e.state).collect();
    assert_eq!(states, [State::Moving, State::Moving]);
    // A departure that ends lets them go as well.
    departure.close(MoveId(7), &Subject::new("1")).await.unwrap();
    assert!(app.execute(update, []).is_err());
    drop(departure);
    app.execute(update, []).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_snapshot_cannot_write_past_the_fence() {
    let world = World::plain().await;
    let (mut departure, _arrival) = world.lanes().await;
    let app = world.app();
    app.execute_batch("BEGIN; SELECT count(*) FROM posts;").unwrap();
    assert_eq!(dump(&app, "SELECT 1 FROM domicile_subject").len(), 0);
    announce(&mut *departure, 7, &["2"]).await;
    let refused = refusal(app.execute("UPDATE posts SET body = 'old' WHERE id = 'b'", []));
    assert!(refused.contains("locked"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_holds_the_lock_makes_a_decision_busy() {
    let world = World::plain().await;
    let (mut departure, _arrival) = world.lanes().await;
    announce(&mut *departure, 7, &["2"]).await;
    let app = world.app();
    app.execute_batch("BEGIN IMMEDIATE").unwrap();
    let asked = Instant::now();
    assert_eq!(decide(&mut *departure, 7, "2").await, Outcome::Busy);
    assert!(asked.elapsed() < Duration::from_secs(2));
    departure.start_horizon().await.unwrap();
    let waiting = departure.look_at_horizon().await.unwrap();
    assert!(matches!(waiting, Horizon::Waiting { blockers } if blockers.len() == 1));
    app.execute_batch("COMMIT").unwrap();
    assert!(matches!(decide(&mut *departure, 7, "2").await, Outcome::Decided(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fence_dropped_and_made_again_is_seen() {
    let world = World::plain().await;
    let (mut departure, _arrival) = world.lanes().await;
    announce(&mut *departure, 7, &["2"]).await;
    let app = world.app();
    let fence = "AA_domicile_fence_posts_update";
    let sql: String = app
        .query_row("SELECT sql FROM sqlite_schema WHERE name = ?1", [fence], |row| row.get(0))
        .unwrap();
    app.execute_batch(&format!("DROP TRIGGER {fence}; UPDATE posts SET body = ''; {sql}")).unwrap();
    assert_eq!(decide(&mut *departure, 7, "2").await, Outcome::SchemaChanged);
}

#[tokio::test]
async fn a_second_claim_is_refused_until_the_first_is_dropped() {
    let world = World::plain().await;
    let claim = world.source.claim().await.unwrap();
    let again = SqliteSite::open(site("bos1"), &world.paths[0]).unwrap();
    let Err(error) = again.claim().await else { panic!("claimed twice") };
    assert_eq!(error.kind(), Kind::Operator);
    assert!(error.to_string().starts_with("somebody else is migrating"), "{error}");
    drop(claim);
    again.claim().await.unwrap();
}

#[tokio::test]
async fn only_a_database_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let missing = SqliteSite::open(site("bos1"), &folder.path().join("none")).unwrap_err();
    assert_eq!((missing.kind(), missing.hint_text().is_some()), (Kind::Never, true));
    assert!(!folder.path().join("none").exists());
    let text = folder.path().join("text");
    std::fs::write(&text, "not a database, but long enough to be taken for its header".repeat(20))
        .unwrap();
    let error = SqliteSite::open(site("bos1"), &text).unwrap_err();
    assert_eq!((error.kind(), error.hint_text().is_some()), (Kind::Never, true));
    SqliteSite::create(site("bos1"), &folder.path().join("new")).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_names_composite_keys_and_odd_values() {
    let tables = "
      CREATE TABLE \"us'ers\" (\"te\"\"nant\" TEXT, \"no\" INTEGER, land TEXT,
        PRIMARY KEY (\"te\"\"nant\", \"no\"));
      CREATE TABLE \"th ings\" (k BLOB, t TEXT, n INTEGER, v, PRIMARY KEY (k, v));
      INSERT INTO \"us'ers\" VALUES ('a\"b', 1, 'IE'), ('a\"b', 2, 'IE');
      INSERT INTO \"th ings\" VALUES (x'00', 'a\"b', 1, 7), (x'00', 'a\"b', 1, '7'),
        (1, 'a\"b', 2, CAST(x'ff27' AS TEXT)), (2, NULL, 2, 'nobody''s');
    ";
    let mut root = table("us'ers", "te\"nant no land", "te\"nant no", None);
    root.columns = words("te\"nant no land");
    let closure = Arc::new(Closure {
        owned: vec![root, table("th ings", "k t n v", "k v", Some((0, "t n", "te\"nant no")))],
        shared: Vec::new(),
        reference: Vec::new(),
        checks: Vec::new(),
        residence: words("land"),
    });
    let world = World::new(tables, closure).await;
    let (mut departure, mut arrival) = world.lanes().await;
    let person = "[\"a\\\"b\",\"1\"]";
    let (_, found) = world.source.look_up(&world.closure, &Subject::new(person)).await.unwrap();
    assert_eq!(found.unwrap().residence, [Some("IE".to_owned())]);
    copy(&world, &mut *departure, &mut *arrival, 7, &[person]).await;
    let app = world.app();
    app.execute("UPDATE \"th ings\" SET n = 1 WHERE n = 2", []).unwrap();
    app.execute("DELETE FROM \"th ings\" WHERE typeof(v) = 'integer'", []).unwrap();
    let notes = catch_up(&world, &mut *departure, &mut *arrival, 7, &[person]).await;
    assert_eq!(notes.len(), 2, "{notes:?}");
    let there = dump(&self::app(&world.paths[1]), "SELECT k, t, n, v FROM \"th ings\" ORDER BY 1");
    let here = dump(&app, "SELECT k, t, n, v FROM \"th ings\" WHERE t IS NOT NULL ORDER BY 1");
    assert_eq!(there, here);
    assert_eq!(there.len(), 2);
}

#[tokio::test]
async fn what_is_not_utf8_cannot_name_people() {
    use futures_util::StreamExt;
    let world = World::plain().await;
    world.app().execute("UPDATE users SET land = CAST(x'ff' AS TEXT) WHERE id = 2", []).unwrap();
    let all: Vec<_> = world.source.people(&world.closure).await.unwrap().collect().await;
    assert_eq!(all[0].as_ref().unwrap().subject, Subject::new("1"));
    let error = all[1].as_ref().unwrap_err();
    assert_eq!(error.kind(), Kind::Never);
    assert!(error.to_string().contains("land of 2"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn erasing_refuses_to_leave_a_reference_dangling() {
    let tables =
        format!("{TABLES} CREATE TABLE pins (post TEXT REFERENCES posts ON DELETE CASCADE);");
    let world = World::new(&tables, closure()).await;
    let (mut departure, mut arrival) = world.lanes().await;
    copy(&world, &mut *departure, &mut *arrival, 7, &["2"]).await;
    world.app().execute("INSERT INTO pins VALUES ('b')", []).unwrap();
    assert!(matches!(decide(&mut *departure, 7, "2").await, Outcome::Decided(_)));
    let error = departure.erase(MoveId(7), &people(&["2"]), 1_000).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Operator);
    assert!(error.to_string().contains("pins"), "{error}");
    let app = world.app();
    assert_eq!(dump(&app, "SELECT id FROM comments").len(), 3, "nothing was erased");
    app.execute("DELETE FROM pins", []).unwrap();
    assert!(departure.erase(MoveId(7), &people(&["2"]), 1_000).await.unwrap().finished);
}

#[tokio::test]
async fn the_catalog_says_what_cannot_move() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let tables = "
      PRAGMA foreign_keys = OFF;
      CREATE TABLE Users (ID INTEGER PRIMARY KEY, nick TEXT COLLATE NOCASE CHECK (nick <> ''));
      CREATE TABLE notes (id TEXT PRIMARY KEY, who INT REFERENCES users, whom TEXT REFERENCES users(id),
        lost INTEGER REFERENCES nowhere, up TEXT AS (upper(id)) STORED);
      CREATE VIRTUAL TABLE search USING fts5(body);
      INSERT INTO notes VALUES (NULL, 1, '1', 1);
      CREATE TRIGGER silent AFTER UPDATE ON notes BEGIN SELECT RAISE ( ignore ); END;
    ";
    app(&path).execute_batch(tables).unwrap();
    let catalog = SqliteSite::open(site("bos1"), &path).unwrap().catalog().await.unwrap();
    let names: Vec<&str> = catalog.tables.iter().map(|t| t.name.name.as_str()).collect();
    assert_eq!(names, ["Users", "notes", "search"]);
    let (users, notes) = (&catalog.tables[0], &catalog.tables[1]);
    assert_eq!(
        (users.primary_key.as_slice(), users.checks.as_slice()),
        (&words("ID")[..], &["nick <> ''".to_owned()][..])
    );
    assert!(
        users.columns[0].exact_text && users.columns[0].not_null && !users.columns[1].exact_text
    );
    assert_eq!(notes.foreign_keys[0].parent_columns, words("ID"));
    assert_eq!(notes.foreign_keys[0].parent, users.name);
    assert_eq!(notes.column("up").unwrap().default.as_deref(), Some("upper(id)"));
    assert_eq!(notes.obstacles.len(), 4, "{:?}", notes.obstacles);
    assert_eq!(catalog.tables[2].obstacles.len(), 1);
}
