//! Types and tables that only PostgreSQL has.

use crate::conformance::support::{Bed as _, End, Stage, World, refused};
use crate::postgres_bed::PostgresBed;

const TYPES: World = World {
    schema: "
        create type mood as enum ('sad', 'ok', 'happy');
        create domain email as text check (value like '%@%');
        create table users (
            id uuid primary key, city text, mail email, feels mood, moods mood[],
            sum numeric, half real, whole double precision, born date, seen timestamptz,
            span interval, raw bytea, doc jsonb, plain json, net inet, texts text[], bits bit(3),
            number bigint generated always as identity, twice text generated always as (city || city) stored);
        create table notes (
            user_id uuid not null references users (id), at timestamptz not null, note text,
            primary key (user_id, at));",
    owned: &[("users", None), ("notes", Some((&["user_id"], "users", &["id"], true)))],
    shared: &[],
    reference: &[],
    rows: "
        insert into users values (
            '00000000-0000-0000-0000-000000000001', 'Dublin', 'a@b', 'happy', '{sad,ok}', 'NaN', '-0', 'Infinity', '0044-03-15 BC', '2026-01-01 00:00:00.000001+05',
            '1 mon -1 day', '\\x00ff', '{\"b\": 1.10, \"a\": null}', '{\"b\" : 1}', '10.0.0.1/8',
            '{NULL,\"\",\"a b\"}', b'101');
        insert into users (id, city) values ('00000000-0000-0000-0000-000000000002', 'Cork');
        insert into notes values
            ('00000000-0000-0000-0000-000000000001', '2026-01-01 00:00:00.000001+00', 'a'),
            ('00000000-0000-0000-0000-000000000001', 'infinity', 'b');",
};

const ADA: &str = "00000000-0000-0000-0000-000000000001";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_type_arrives_as_it_was() {
    let stage = Stage::<PostgresBed>::of(&TYPES).await;
    let mut app = stage.app(End::Source).await;
    let mut lane = stage.copied(&[ADA]).await;
    // The session's way of printing must not reach the notes.
    app.run("set timezone = 'Asia/Kathmandu'; set datestyle = 'SQL, DMY'").await.unwrap();
    app.run("update notes set note = 'c' where at < 'infinity'").await.unwrap();
    app.run("update users set moods = '{happy}', sum = 1.500").await.unwrap();
    app.run("reset timezone; reset datestyle").await.unwrap();
    let queries = [
        format!("select * from users where id = '{ADA}'"),
        format!(
            "select encode(float4send(half), 'hex'), doc::text, plain::text, number
                 from users where id = '{ADA}'"
        ),
        "select * from notes order by at".to_owned(),
    ];
    let mut before = Vec::new();
    for query in &queries {
        before.push(app.rows(query).await);
    }
    lane.catch_up_and_decide().await;
    lane.settle().await;
    lane.erase().await;
    let mut there = stage.app(End::Target).await;
    for (query, before) in queries.iter().zip(before) {
        assert_eq!(there.rows(query).await, before, "{query}");
    }
    assert_eq!(app.rows("select city from users").await, ["Cork"]);
}

const POINTS: World = World {
    schema: "
        create type point3 as (x int, y int, z text);
        create table users (id bigint primary key, city text, spot point3);",
    owned: &[("users", None)],
    shared: &[],
    reference: &[],
    rows: "insert into users values (1, 'Dublin', (1, null, 'a,b'));",
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_composite_type_comes_along() {
    let stage = Stage::<PostgresBed>::of(&POINTS).await;
    stage.carry(End::Source, &["1"]).await;
    let mut there = stage.app(End::Target).await;
    assert_eq!(there.rows("select * from users").await, ["1|Dublin|(1,,\"a,b\")"]);
}

const PARTS: World = World {
    schema: "
        create table users (id bigint primary key, city text);
        create table posts (
            id bigint, user_id bigint not null references users (id), body text, primary key (id))
            partition by range (id);
        create table posts_low partition of posts for values from (0) to (100);
        create table posts_high partition of posts for values from (100) to (200);",
    owned: &[("users", None), ("posts", Some((&["user_id"], "users", &["id"], true)))],
    shared: &[],
    reference: &[],
    rows: "
        insert into users values (1, 'Dublin'), (2, 'Cork');
        insert into posts values (11, 1, 'low'), (111, 1, 'high'), (22, 2, 'low');",
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_are_fenced_and_moved() {
    let stage = Stage::<PostgresBed>::of(&PARTS).await;
    let mut lane = stage.copied(&["1"]).await;
    let mut app = stage.app(End::Source).await;
    for sql in [
        "update posts_low set body = 'past the root' where id = 11",
        "update posts set id = 112 where id = 11",
        "insert into posts_high values (113, 1, 'new')",
        "delete from posts_high where id = 111",
    ] {
        app.run(sql).await.unwrap();
        assert_eq!(lane.decide().await, ["touched"], "{sql}");
    }
    let posts = "select * from posts where user_id = 1 order by id";
    let before = app.rows(posts).await;
    lane.catch_up_and_decide().await;
    for sql in ["update posts_high set body = 'late'", "insert into posts_low values (1, 1, '')"] {
        refused(app.as_mut(), sql, &["DM001"]).await;
    }
    for sql in ["truncate posts_high", "truncate posts"] {
        assert!(app.run(sql).await.is_err(), "{sql}");
    }
    lane.settle().await;
    lane.erase().await;
    let mut there = stage.app(End::Target).await;
    assert_eq!(there.rows(posts).await, before);
    assert_eq!(app.rows("select * from posts").await, ["22|2|low"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attack_14_a_detached_or_emptied_partition_stops_the_decision() {
    for sql in [
        "alter table posts detach partition posts_high",
        "truncate posts_high",
        "drop table posts_high",
        "vacuum full posts_low",
        "alter table posts_low disable trigger all",
    ] {
        let stage = Stage::<PostgresBed>::of(&PARTS).await;
        let mut lane = stage.copied(&["1"]).await;
        let mut app = stage.app(End::Source).await;
        if app.run(sql).await.is_ok() {
            assert_ne!(lane.decide().await, ["decided"], "{sql}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counters_triggers_and_what_takes_commits_back_are_told() {
    const NUMBERED: World = World {
        schema: "
            create table users (id bigserial primary key, city text);
            create table posts (
                id bigint generated by default as identity (start 7 increment 3) primary key,
                user_id bigint not null references users (id));
            create function noted() returns trigger language plpgsql as 'begin return null; end';
            create trigger usual after insert on posts for each row execute function noted();
            create trigger stubborn after insert on posts for each row execute function noted();
            create trigger \"on replicas\" after insert on posts for each row execute function noted();
            alter table posts enable always trigger stubborn;
            alter table posts enable replica trigger \"on replicas\";",
        owned: &[("users", None), ("posts", Some((&["user_id"], "users", &["id"], true)))],
        shared: &[],
    reference: &[],
        rows: "insert into users (city) values ('Dublin'), ('Cork')",
    };
    let stage = Stage::<PostgresBed>::bare(&NUMBERED).await;
    let catalog = stage.source.catalog().await.unwrap();
    let posts = catalog.find("posts").unwrap();
    assert_eq!(posts.triggers, ["on replicas", "stubborn", "usual"]);
    assert_eq!(posts.triggers_always, ["on replicas", "stubborn"]);
    let at = |catalog: &domicile_store::Catalog| -> Vec<(String, i64, i64)> {
        let counters = catalog.counters.iter();
        counters.map(|c| (format!("{}.{}", c.table, c.column), c.next, c.step)).collect()
    };
    assert_eq!(at(&catalog), [("posts.id".to_owned(), 7, 3), ("users.id".to_owned(), 3, 1)]);

    // What the plan says is what the sequence then does, also before its first use.
    let mut app = stage.app(End::Source).await;
    for counter in &catalog.counters {
        app.run(&counter.restart(101, 4).unwrap()).await.unwrap();
    }
    let told = at(&stage.source.catalog().await.unwrap());
    assert_eq!(told, [("posts.id".to_owned(), 101, 4), ("users.id".to_owned(), 101, 4)]);
    app.run("insert into users (city) values ('Galway')").await.unwrap();
    app.run("insert into posts (user_id) values (1)").await.unwrap();
    assert_eq!(app.rows("select max(id) from users").await, ["101"]);
    assert_eq!(app.rows("select id from posts").await, ["101"]);

    let database = &stage.bed.database(End::Source).name;
    let settings = format!(
        "create publication everything for all tables;
         alter database {database} set synchronous_commit = off"
    );
    stage.bed.plant(End::Source, &settings).await;
    let warnings = stage.source.catalog().await.unwrap().warnings;
    let told = |part: &str| warnings.iter().any(|warning| warning.contains(part));
    assert!(told("publication everything sends rows to subscribers"), "{warnings:?}");
    assert!(told("the database sets synchronous_commit=off"), "{warnings:?}");
}
