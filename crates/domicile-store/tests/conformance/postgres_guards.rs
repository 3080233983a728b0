//! What the guards before the fences ask, of keys of all kinds and of owners who alter their tables.

use crate::conformance::support::{Bed, End, WORLD, World, refused};
use crate::schedules::PostgresStage;
use domicile_testkit::MOVER_ROLE;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_named_by_a_date_is_known_however_the_application_writes_dates() {
    let world = World {
        schema: "create table users (born date primary key, note text);
            create table posts (id {id} primary key, born date not null references users (born),
                body text);
            create index posts_by_born on posts (born);",
        owned: &[("users", None), ("posts", Some((&["born"], "users", &["born"], true)))],
        shared: &[],
        reference: &[],
        rows: "insert into users (born) values ('2001-02-03'), ('2004-05-06');
            insert into posts (id, born, body) values (11, '2001-02-03', 'old');",
    };
    let stage = PostgresStage::of(&world).await;
    let mut lane = stage.copied(&["2001-02-03"]).await;
    let mut app = stage.app(End::Source).await;
    app.run("set datestyle = 'german'").await.unwrap();
    for sql in [
        "update posts set body = 'new'",
        "update users set note = 'seen' where born < '2004-01-01'",
    ] {
        assert_eq!(app.run(sql).await, Ok(1));
        assert_eq!(lane.decide().await, ["touched"], "{sql}");
        lane.catch_up().await;
    }
    lane.catch_up_and_decide().await;
    refused(app.as_mut(), "update posts set body = 'late'", &["DM001"]).await;
    lane.settle().await;
    lane.erase().await;
    stage.source.rest(Duration::from_secs(60)).await.unwrap();
    refused(app.as_mut(), "insert into users (born) values ('03.02.2001')", &["DM001"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renamed_column_is_nothing_to_who_writes_while_nobody_moves() {
    let stage = PostgresStage::ready().await;
    let owner = "alter table posts rename column user_id to owner_id";
    stage.bed.plant(End::Source, owner).await;
    let mut app = stage.app(End::Source).await;
    assert_eq!(app.run("update posts set body = 'on' where id = 11").await, Ok(1));
    assert_eq!(app.run("insert into posts (id, owner_id) values (19, 1)").await, Ok(1));
    assert_eq!(app.run("delete from posts where id = 19").await, Ok(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_of_another_collation_is_looked_up_all_the_same() {
    let world = World {
        schema: "create table users (name text collate \"POSIX\" primary key, note text);
            create table posts (part text collate \"POSIX\", name text collate \"POSIX\" not null
                references users (name), body text, primary key (part, name));
            create index posts_by_name on posts (name);",
        owned: &[("users", None), ("posts", Some((&["name"], "users", &["name"], true)))],
        shared: &[],
        reference: &[],
        rows: "insert into users (name) values ('ada'), ('bob');
            insert into posts values ('a', 'ada', 'old');",
    };
    let stage = PostgresStage::of(&world).await;
    let mut lane = stage.copied(&["ada"]).await;
    let mut app = stage.app(End::Source).await;
    assert_eq!(app.run("update users set note = 'new' where name = 'bob'").await, Ok(1));
    for sql in ["update users set note = 'new' where name = 'ada'", "update posts set part = 'b'"] {
        assert_eq!(app.run(sql).await, Ok(1));
        assert_eq!(lane.decide().await, ["touched"], "{sql}");
        lane.catch_up().await;
    }
    lane.catch_up_and_decide().await;
    refused(app.as_mut(), "update posts set body = 'late'", &["DM001"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_whose_type_has_changed_is_installed_anew() {
    let stage = PostgresStage::ready().await;
    let wider = "alter table comments alter column id type numeric";
    stage.bed.plant(End::Source, wider).await;
    stage.bed.plant(End::Target, wider).await;
    assert!(!stage.source.is_installed(&stage.installation()).await.unwrap());
    for site in [&stage.source, &stage.target] {
        site.install(&stage.installation()).await.unwrap();
        assert!(site.is_installed(&stage.installation()).await.unwrap());
    }
}

/// Installs where neither functions nor types are public by default.
async fn hardened(world: &World) -> PostgresStage {
    let stage = PostgresStage::bare(world).await;
    let defaults = format!(
        "alter default privileges for role {MOVER_ROLE} revoke execute on functions from public;
         alter default privileges for role {MOVER_ROLE} revoke usage on types from public"
    );
    stage.bed.plant(End::Source, &defaults).await;
    stage.source.install(&stage.installation()).await.unwrap();
    stage
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn functions_that_are_not_public_by_default_do_not_stop_the_application() {
    let stage = hardened(&WORLD).await;
    let mut app = stage.app(End::Source).await;
    assert_eq!(app.run("update users set note = 'still here' where id = 2").await, Ok(1));
    assert_eq!(app.run("insert into likes values (2, 12)").await, Ok(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_to_whom_no_function_is_granted_makes_partitions() {
    let schema = WORLD.schema.replace(
        "primary key (user_id, post_id));",
        "primary key (user_id, post_id)) partition by range (user_id);
        create table likes_low partition of likes for values from (minvalue) to (1000);",
    );
    assert_ne!(schema, WORLD.schema);
    let stage = hardened(&World { schema: schema.leak(), ..WORLD }).await;
    let mut app = stage.app(End::Source).await;
    app.run("create table likes_high partition of likes default").await.unwrap();
    assert_eq!(app.run("insert into likes values (2000, 1)").await, Ok(1));
}
