//! Reference tables of shapes that only PostgreSQL has.

use crate::conformance::support::{End, Stage, World};
use crate::postgres_bed::PostgresBed;
use domicile_store::Applied;
use std::sync::Arc;

/// People, and one reference table called kinds.
fn world(schema: &'static str, rows: &'static str) -> World {
    World { schema, owned: &[("users", None)], shared: &[], reference: &["kinds"], rows }
}

/// A collation by which texts are equal whose letters differ in case; no script makes it.
const BLIND: &str = "create collation if not exists blind
    (provider = icu, locale = 'und-u-ks-level2', deterministic = false)";

async fn stage(world: &World) -> Stage<PostgresBed> {
    let stage = Stage::<PostgresBed>::bare(world).await;
    stage.app(End::Target).await.run(BLIND).await.unwrap();
    let script = stage.source.schema_script(&stage.all_tables().await).await.unwrap();
    stage.target.apply_schema(&script).await.unwrap();
    for site in [&stage.source, &stage.target] {
        site.install(&stage.installation()).await.unwrap();
    }
    stage.carry_reference().await;
    stage
}

async fn applied(stage: &Stage<PostgresBed>) -> Applied {
    let mut from = stage.source.reference(Arc::clone(&stage.closure)).await.unwrap();
    let mut to = stage.target.reference(Arc::clone(&stage.closure)).await.unwrap();
    let changes = from.changes(0, 1000).await.unwrap();
    let applied = to.apply(&changes).await.unwrap();
    if applied == Applied::default() {
        assert_eq!(from.digests(0).await.unwrap(), to.digests(0).await.unwrap());
    }
    applied
}

/// Changes reference rows of a shape, twice, and looks whether every change is carried.
async fn is_carried(world: &World, changes: [&str; 2]) {
    let stage = stage(world).await;
    for change in changes {
        stage.app(End::Source).await.run(change).await.unwrap();
        assert_eq!(applied(&stage).await, Applied::default(), "{change}");
        let ends = [End::Source, End::Target];
        let [here, there] = ends.map(|end| rows(&stage, end));
        assert_eq!(here.await, there.await, "{change}");
    }
}

async fn rows(stage: &Stage<PostgresBed>, end: End) -> Vec<String> {
    stage.app(end).await.rows("select * from kinds order by 1").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_that_is_always_generated() {
    let world = world(
        "create table kinds (id int primary key, name text,
             place int generated always as identity unique);
         create table users (id bigint primary key, kind int references kinds (id));",
        "insert into kinds values (1, 'a'), (2, 'b')",
    );
    let again = "delete from kinds where id = 2; insert into kinds values (2, 'd'), (3, 'e')";
    is_carried(&world, ["update kinds set name = 'c' where id = 1", again]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_equal_and_written_otherwise() {
    let world = world(
        "create table kinds (id numeric primary key, name text);
         create table users (id bigint primary key, kind numeric references kinds (id));",
        "insert into kinds values (1.0, 'a'), (2.0, 'b')",
    );
    let both = "update kinds set id = 1.0, name = 'c' where id = 1; delete from kinds where id = 2;
                insert into kinds values (2, 'd')";
    is_carried(&world, ["update kinds set id = 1.00 where id = 1", both]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_whose_letters_change_their_case() {
    let world = world(
        "create collation blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
         create table kinds (code text collate blind primary key, name text);
         create table users (id bigint primary key);",
        "insert into kinds values ('a', 'x'), ('b', 'y')",
    );
    let both = "update kinds set code = 'a', name = 'z'  where code = 'a'; \
                delete from kinds where code = 'B'; insert into kinds values ('B', 'y')";
    is_carried(&world, ["update kinds set code = 'A' where code = 'a'", both]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_can_wait() {
    let world = world(
        "create table kinds (id int primary key deferrable initially deferred, name text);
         create table users (id bigint primary key);",
        "insert into kinds values (1, 'a'), (2, 'b')",
    );
    let swapped = "update kinds set id = 3 - id";
    is_carried(&world, ["update kinds set name = 'c'; insert into kinds values (3, 'd')", swapped])
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_unique_name_that_can_wait_is_not_taken_twice() {
    let world = world(
        "create table kinds (id int primary key, name text unique deferrable initially deferred);
         create table users (id bigint primary key, kind int references kinds (id));",
        "insert into kinds values (1, 'a'), (2, 'b'); insert into users values (1, 1)",
    );
    let stage = stage(&world).await;
    stage.carry(End::Source, &["1"]).await;
    let mut app = stage.app(End::Source).await;
    app.run("delete from kinds where id = 1; insert into kinds values (3, 'a'), (4, 'c')")
        .await
        .unwrap();
    let done = applied(&stage).await;
    assert_eq!((done.kept.len(), done.refused.len()), (1, 1), "{done:?}");
    assert_eq!(rows(&stage, End::Target).await, ["1|a", "2|b", "4|c"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_made_later_is_without_its_trigger() {
    let world = world(
        "create table kinds (id int primary key, name text) partition by range (id);
         create table kinds_low partition of kinds for values from (0) to (100);
         create table users (id bigint primary key, kind int);",
        "insert into kinds values (1, 'a')",
    );
    let stage = stage(&world).await;
    let installation = stage.installation();
    assert!(stage.source.is_installed(&installation).await.unwrap());
    let mut app = stage.app(End::Source).await;
    app.run("create table kinds_high partition of kinds for values from (100) to (200)")
        .await
        .unwrap();
    assert!(!stage.source.is_installed(&installation).await.unwrap());
    assert!(stage.target.is_installed(&installation).await.unwrap());
    stage.source.install(&installation).await.unwrap();
    assert!(stage.source.is_installed(&installation).await.unwrap());
    app.run("insert into kinds values (101, 'b')").await.unwrap();
    app.run("truncate kinds_high").await.unwrap();
    let mut from = stage.source.reference(Arc::clone(&stage.closure)).await.unwrap();
    let notes = from.changes(0, 10).await.unwrap().notes;
    let of_it = notes.iter().filter(|note| note.key == ["101"]).count();
    assert_eq!(of_it, 2, "it came, and it went: {notes:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_tables_that_stay_hold_a_row_too() {
    let world = world(
        "create table kinds (id int primary key, name text);
         create table users (id bigint primary key, kind int references kinds (id));
         create table settings (id int primary key, kind int references kinds (id));",
        "insert into kinds values (1, 'a'), (2, 'b')",
    );
    let stage = stage(&world).await;
    let mut here = stage.app(End::Target).await;
    here.run("insert into settings values (1, 1)").await.unwrap();
    stage.app(End::Source).await.run("delete from kinds").await.unwrap();
    assert_eq!(applied(&stage).await.kept.len(), 1);
    assert_eq!(rows(&stage, End::Target).await, ["1|a"]);
}
