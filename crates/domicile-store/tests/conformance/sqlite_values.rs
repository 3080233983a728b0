//! What only SQLite has: any type in any column, and rows replaced without a DELETE.

use crate::conformance::support::{End, Stage, World, refused};
use crate::sqlite_bed::SqliteBed;

const ANYTHING: World = World {
    schema: "create table users (id integer primary key, city text, value);
             create table notes (
                 user_id integer not null references users (id), key text, value,
                 primary key (user_id, key)) without rowid;",
    owned: &[("users", None), ("notes", Some((&["user_id"], "users", &["id"], true)))],
    shared: &[],
    reference: &[],
    rows: "insert into users values (1, 'Dublin', null);",
};

const VALUES: [&str; 16] = [
    "null",
    "''",
    "x''",
    "'1'",
    "1",
    "1.0",
    "x'31'",
    "0",
    "0.0",
    "-0.0",
    "9223372036854775807",
    "9.2e18",
    "9e999",
    "'a' || char(0) || 'b'",
    "'a'",
    "cast(x'ff' as text)",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn digests_tell_values_of_different_types() {
    let stage = Stage::<SqliteBed>::of(&ANYTHING).await;
    let mut lane = stage.lane(&["1"]).await;
    lane.announce().await;
    let mut app = stage.app(End::Source).await;
    let mut seen = Vec::new();
    for value in VALUES {
        app.run(&format!("update users set value = {value}")).await.unwrap();
        let digest = lane.digest("1").await;
        let twin = seen.iter().find(|(_, other)| *other == digest);
        assert_eq!(twin.map(|(other, _)| *other), None, "{value}");
        seen.push((value, digest));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_value_arrives_as_it_was() {
    let stage = Stage::<SqliteBed>::of(&ANYTHING).await;
    let mut app = stage.app(End::Source).await;
    for (key, value) in VALUES.iter().enumerate() {
        app.run(&format!("insert into notes values (1, 'k{key}', {value})")).await.unwrap();
    }
    let notes = "select key, typeof(value), hex(value), quote(value) from notes order by key";
    let before = app.rows(notes).await;
    stage.carry(End::Source, &["1"]).await;
    let mut there = stage.app(End::Target).await;
    assert_eq!(there.rows(notes).await, before);
    assert_eq!(before.len(), VALUES.len());
}

/// A replaced row goes without any DELETE trigger; here each takes something of person 1's.
const REPLACING: [&str; 4] = [
    "insert or replace into posts (id, user_id, body) values (12, 2, 'taken')",
    "update or replace posts set id = 11 where id = 21",
    "replace into likes (user_id, post_id) values (1, 21)",
    "insert or replace into users (id, handle) values (20, 'Ada')",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replacing_a_row_of_somebody_who_moves_is_noted() {
    for sql in REPLACING {
        let stage = Stage::<SqliteBed>::ready().await;
        let mut lane = stage.copied(&["1"]).await;
        let mut app = stage.app(End::Source).await;
        app.run("pragma foreign_keys = off").await.unwrap();
        app.run(sql).await.unwrap();
        assert_eq!(lane.decide().await, ["touched"], "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replacing_a_row_of_somebody_who_moved_is_refused() {
    let stage = Stage::<SqliteBed>::ready().await;
    stage.decided(&["1"]).await;
    let before = stage.everything(End::Source).await;
    let mut app = stage.app(End::Source).await;
    app.run("pragma foreign_keys = off").await.unwrap();
    for sql in REPLACING {
        let refusal = refused(app.as_mut(), sql, &["DM001"]).await;
        assert!(refusal.names(End::Target), "{sql}: {}", refusal.message);
    }
    assert_eq!(stage.everything(End::Source).await, before);
}
