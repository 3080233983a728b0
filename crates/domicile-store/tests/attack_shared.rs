//! Schedules tried on shared rows: old snapshots, other sites' words, keys of odd types, and
//! writers that see too little.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests; a failure should stop the test where it happens"
)]

#[expect(dead_code, unused_imports, reason = "this suite uses a part of the support")]
mod conformance {
    pub(crate) mod support;
}
#[path = "conformance/postgres_bed.rs"]
mod postgres_bed;
#[path = "conformance/sqlite_bed.rs"]
mod sqlite_bed;

use conformance::support::{
    App, Bed, End, Lane, Stage, World, look_again, people, refused, seqs_of, ship,
};
use domicile_store::{Announcement, Extent, Kind};
use domicile_testkit::connect;
use postgres_bed::PostgresBed;
use sqlite_bed::SqliteBed;

/// Ada and Bob live at one address, Ada has an order to a second, Eve lives alone.
const HOMES: World = World {
    schema: "
        create table addresses (id {id} primary key, street text, zip text);
        create table users (
            id {id} primary key, name text not null, home_id {id} references addresses (id));
        create table orders (
            id {id} primary key, user_id {id} not null references users (id),
            ship_id {id} references addresses (id) deferrable);
        create index users_by_home on users (home_id);
        create index orders_by_user on orders (user_id);
        create index orders_by_ship on orders (ship_id);",
    owned: &[("users", None), ("orders", Some((&["user_id"], "users", &["id"], true)))],
    shared: &["addresses"],
    reference: &[],
    rows: "
        insert into addresses (id, street, zip) values
            (1, 'Main', '1'), (2, 'Work', null), (4, 'Alone', '4');
        insert into users (id, name, home_id) values (1, 'Ada', 1), (2, 'Bob', 1), (10, 'Eve', 4);
        insert into orders (id, user_id, ship_id) values (11, 1, 2), (12, 1, 1), (21, 2, null);",
};

const STREETS: &str = "select id, street from addresses order by id";

async fn run(app: &mut dyn App, sql: &str) {
    app.run(sql).await.unwrap_or_else(|refusal| panic!("{sql}: {refusal:?}"));
}

async fn rows<B: Bed>(stage: &Stage<B>, end: End, sql: &str) -> Vec<String> {
    stage.app(end).await.rows(sql).await
}

/// Runs each schedule on both engines.
macro_rules! both {
    ($($name:ident)*) => { mod both { $(
        mod $name {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() { crate::$name::<crate::PostgresBed>().await; }
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() { crate::$name::<crate::SqliteBed>().await; }
        })*
    } };
}

both! {
    an_older_snapshot_does_not_take_a_newer_word_back
    a_word_from_a_third_site_is_not_taken_for_an_older_one_of_ours
    a_changed_code_leaves_nobody_at_the_target_without_the_row
    a_row_of_ones_own_under_a_key_that_was_brought_once_stays
    a_deleted_address_is_unset_at_both_ends
    a_closing_lane_brings_its_own_row_up_to_date
}

/// Bob's snapshot is older than a change that Ada's lane has brought already.
async fn an_older_snapshot_does_not_take_a_newer_word_back<B: Bed>() {
    let stage = Stage::<B>::of(&HOMES).await;
    let mut bobs = stage.lane(&["2"]).await;
    bobs.announce().await;
    bobs.to.mark().await.unwrap();
    let notes = bobs.from.open_snapshot(&people(&["2"])).await.unwrap();
    assert!(notes.is_empty());
    // The snapshot stands once something has been read in it.
    bobs.from.select(&Extent::People(people(&["2"]))).await.unwrap();
    let mut app = stage.app(End::Source).await;
    run(app.as_mut(), "update addresses set street = 'New' where id = 1").await;
    let mut adas = stage.copied(&["1"]).await;
    adas.catch_up_and_decide().await;
    adas.settle().await;
    let whole = Extent::People(people(&["2"]));
    let done = ship(bobs.from.as_mut(), bobs.to.as_mut(), &bobs.coming, &whole, &bobs.tables).await;
    assert_eq!(rows(&stage, End::Target, STREETS).await[0], "1|New", "{done:?}");
    assert_eq!(done.unwrap_err().kind(), Kind::RetryNow);
    bobs.to.roll_back().await.unwrap();
    bobs.from.close_snapshot().await.unwrap();
    bobs.copy().await;
    bobs.catch_up_and_decide().await;
    assert_eq!(rows(&stage, End::Target, STREETS).await, ["1|New", "2|Work"]);
}

/// Bob went to a third site before Ada changed the address here. She goes to the second, he follows
/// from the third, where it still has its old value.
async fn a_word_from_a_third_site_is_not_taken_for_an_older_one_of_ours<B: Bed>() {
    let stage = Stage::<B>::of(&HOMES).await;
    let third = Stage::<B>::of(&HOMES).await;
    let mut app = stage.app(End::Source).await;
    run(app.as_mut(), "update addresses set street = 'New' where id = 1").await;
    stage.carry(End::Source, &["1"]).await;
    let move_id = domicile_model::MoveId(700);
    let told = |peer: &str| Announcement {
        move_id,
        peer: peer.parse().unwrap(),
        subjects: people(&["2"]),
    };
    let mut lane = Lane {
        from: third.source.departure(third.closure.clone()).await.unwrap(),
        to: stage.target.arrival(stage.closure.clone()).await.unwrap(),
        leaving: told("fra1"),
        coming: told("osl1"),
        tables: stage.closure.loading_order().collect(),
    };
    lane.announce().await;
    let done = lane.try_to_copy().await;
    assert_eq!(rows(&stage, End::Target, STREETS).await[0], "1|New", "{done:?}");
    let error = done.unwrap_err();
    assert_eq!(error.kind(), Kind::Operator);
    assert!(error.to_string().contains("shared row"), "{error}");
}

/// Rows refer to the address by a unique code, which follows its changes.
const CODES: World = World {
    schema: "
        create table addresses (id {id} primary key, code text not null unique, street text);
        create table users (
            id {id} primary key, name text not null,
            home text references addresses (code) on update cascade);
        create index users_by_home on users (home);",
    owned: &[("users", None)],
    shared: &["addresses"],
    reference: &[],
    rows: "
        insert into addresses (id, code, street) values (1, 'A', 'Main'), (2, 'B', 'Work');
        insert into users (id, name, home) values (1, 'Ada', 'A'), (2, 'Bob', 'A'), (3, 'Eve', 'B');",
};

async fn a_changed_code_leaves_nobody_at_the_target_without_the_row<B: Bed>() {
    let stage = Stage::<B>::of(&CODES).await;
    let mut app = stage.app(End::Source).await;
    // Nobody else is at the target: the code may change there.
    let mut lane = stage.copied(&["3"]).await;
    run(app.as_mut(), "update addresses set code = 'B2' where id = 2").await;
    lane.catch_up_and_decide().await;
    lane.settle().await;
    lane.erase().await;
    assert_eq!(
        rows(&stage, End::Target, "select id, home from users").await,
        ["3|B2"],
        "and not the code of before"
    );
    stage.carry(End::Source, &["1"]).await;
    run(app.as_mut(), "update addresses set code = 'C', street = 'Moved' where id = 1").await;
    let mut lane = stage.lane(&["2"]).await;
    lane.announce().await;
    let done = lane.try_to_copy().await;
    let dangling = "select u.id from users u left join addresses a on a.code = u.home
        where u.home is not null and a.id is null";
    assert_eq!(rows(&stage, End::Target, dangling).await, Vec::<String>::new(), "{done:?}");
    let error = done.unwrap_err();
    assert!(error.to_string().contains("shared row"), "{error}");
}

/// What a move brought was deleted, and somebody at home put a row of their own under its key.
async fn a_row_of_ones_own_under_a_key_that_was_brought_once_stays<B: Bed>() {
    let stage = Stage::<B>::of(&HOMES).await;
    stage.carry(End::Source, &["1"]).await;
    let mut there = stage.app(End::Target).await;
    run(there.as_mut(), "update orders set ship_id = null").await;
    run(there.as_mut(), "delete from addresses where id = 2").await;
    run(there.as_mut(), "insert into addresses (id, street) values (2, 'Ours')").await;
    let mut app = stage.app(End::Source).await;
    run(app.as_mut(), "insert into addresses (id, street) values (2, 'Ours')").await;
    run(app.as_mut(), "update users set home_id = 2 where id = 10").await;
    let lane = &mut stage.copied(&["10"]).await;
    let (move_id, who) = (lane.leaving.move_id, lane.leaving.subjects.clone());
    lane.from.withdraw(move_id, &who).await.unwrap();
    lane.to.abandon(move_id, &who).await.unwrap();
    assert_eq!(rows(&stage, End::Target, STREETS).await, ["1|Main", "2|Ours"]);
}

const UNSET: World = World {
    schema: "
        create table addresses (id {id} primary key, street text);
        create table users (id {id} primary key, name text not null,
            home_id {id} references addresses (id) on delete set null on update cascade);
        create index users_by_home on users (home_id);",
    owned: &[("users", None)],
    shared: &["addresses"],
    reference: &[],
    rows: "
        insert into addresses (id, street) values (1, 'Main'), (2, 'Work');
        insert into users (id, name, home_id) values (1, 'Ada', 1), (2, 'Bob', 2);",
};

async fn a_deleted_address_is_unset_at_both_ends<B: Bed>() {
    let stage = Stage::<B>::of(&UNSET).await;
    let mut lane = stage.copied(&["1", "2"]).await;
    let mut app = stage.app(End::Source).await;
    run(app.as_mut(), "delete from addresses where id = 1").await;
    run(app.as_mut(), "update addresses set id = 22 where id = 2").await;
    lane.catch_up_and_decide().await;
    lane.settle().await;
    let homes = "select id, home_id from users order by id";
    assert_eq!(rows(&stage, End::Target, homes).await, ["1|∅", "2|22"]);
    assert_eq!(rows(&stage, End::Target, STREETS).await, ["22|Work"]);
    lane.erase().await;
    assert_eq!(rows(&stage, End::Source, STREETS).await, Vec::<String>::new());
}

type PostgresStage = Stage<PostgresBed>;

const CHANGES: &str = "update addresses set street = 'changed' where id = ";

/// Asserts that whoever changes this row now must wait for somebody.
async fn must_wait<B: Bed>(stage: &Stage<B>, changes: &str) {
    let mut app = stage.app(End::Source).await;
    run(app.as_mut(), "set lock_timeout = '300ms'").await;
    refused(app.as_mut(), changes, &["55P03"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_meet_over_a_row_that_is_not_there_yet() {
    let stage = PostgresStage::of(&HOMES).await;
    let mut lane = stage.copied(&["1"]).await;
    let mut refers = stage.app(End::Source).await;
    let deferred = "begin; set constraints all deferred; insert into orders values (19, 1, 8)";
    run(refers.as_mut(), deferred).await;
    let mut other = stage.app(End::Source).await;
    run(other.as_mut(), "insert into addresses values (8, 'Late', null)").await;
    must_wait(&stage, &format!("{CHANGES} 8")).await;
    run(refers.as_mut(), "commit").await;
    lane.catch_up_and_decide().await;
    assert!(rows(&stage, End::Target, STREETS).await.contains(&"8|Late".to_owned()));
}

const BYTES: World = World {
    schema: "
        create table addresses (day date, id bytea, street text, primary key (day, id));
        create table users (id bigint primary key, name text not null, home_day date, home_id bytea,
            foreign key (home_day, home_id) references addresses (day, id));
        create index users_by_home on users (home_day, home_id);",
    owned: &[("users", None)],
    shared: &["addresses"],
    reference: &[],
    rows: r"
        insert into addresses values ('2026-02-01', '\x0102', 'Main'), ('2026-02-01', '\xff', 'Work');
        insert into users values (1, 'Ada', null, null), (2, 'Bob', '2026-02-01', '\x0102');",
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_meet_whatever_the_sessions_settings_say_of_texts() {
    let stage = PostgresStage::of(&BYTES).await;
    let _lane = stage.copied(&["1"]).await;
    let mut refers = stage.app(End::Source).await;
    run(
        refers.as_mut(),
        r"begin; set local bytea_output = 'escape'; set local datestyle = 'German';
          update users set home_day = '2026-02-01', home_id = '\xff' where id = 1",
    )
    .await;
    must_wait(&stage, r"update addresses set street = 'x' where id = '\xff'").await;
}

const NUMBERED: World = World {
    schema: "
        create table addresses (id bigint primary key, n bigint generated always as identity,
            upper_street text generated always as (upper(street)) stored, street text);
        create table users (id bigint primary key, name text not null,
            home_id bigint references addresses (id));
        create index users_by_home on users (home_id);",
    owned: &[("users", None)],
    shared: &["addresses"],
    reference: &[],
    rows: "
        insert into addresses (id, street) values (1, 'Main');
        insert into users values (1, 'Ada', 1), (2, 'Bob', 1);",
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_column_that_is_always_numbered_does_not_stop_changes() {
    let stage = PostgresStage::of(&NUMBERED).await;
    stage.carry(End::Source, &["1"]).await;
    let mut app = stage.app(End::Source).await;
    run(app.as_mut(), "update addresses set street = 'New'").await;
    let mut lane = stage.copied(&["2"]).await;
    let all = "select * from addresses";
    assert_eq!(rows(&stage, End::Target, all).await, ["1|1|NEW|New"]);
    lane.catch_up_and_decide().await;
    lane.settle().await;
    // A new number cannot be set at the target: it is told apart by name.
    let mut lane = stage.lane_from(End::Target, &["1"]).await;
    lane.announce().await;
    lane.copy().await;
    let mut there = stage.app(End::Target).await;
    run(there.as_mut(), "update addresses set n = default; update addresses set n = default").await;
    let error = lane.try_to_catch_up().await.unwrap_err();
    assert!(error.to_string().contains("shared row"), "{error}");
}

/// While somebody closes, the mark stays old: what the lane itself brought since is no other's.
async fn a_closing_lane_brings_its_own_row_up_to_date<B: Bed>() {
    let stage = Stage::<B>::of(&HOMES).await;
    let mut lane = stage.copied(&["1"]).await;
    let mut app = stage.app(End::Source).await;
    for street in ["one", "two", "three"] {
        let rename = format!("update addresses set street = '{street}' where id = 1");
        run(app.as_mut(), &rename).await;
        let notes = lane.from.open_snapshot(&people(&["1"])).await.unwrap();
        let extent = Extent::Touched(notes.clone());
        ship(lane.from.as_mut(), lane.to.as_mut(), &lane.coming, &extent, &lane.tables)
            .await
            .unwrap();
        lane.from.forget(&seqs_of(&notes)).await.unwrap();
        assert_eq!(rows(&stage, End::Target, STREETS).await[0], format!("1|{street}"));
    }
    assert_eq!(lane.decide().await, ["decided"]);
}

const EXACT: World = World {
    schema: "
        create table addresses (id numeric primary key, street text);
        create table users (id bigint primary key, name text not null,
            home_id numeric references addresses (id), work_id numeric references addresses (id));
        create index users_by_home on users (home_id);
        create index users_by_work on users (work_id);",
    owned: &[("users", None)],
    shared: &["addresses"],
    reference: &[],
    rows: "
        insert into addresses values (1.0, 'Main'), (2, 'Work');
        insert into users values (1, 'Ada', 1.00, 1), (2, 'Bob', 1.000, 2.0);",
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn equal_numbers_of_different_texts_are_one_row() {
    let stage = PostgresStage::of(&EXACT).await;
    let mut lane = stage.copied(&["1"]).await;
    let mut app = stage.app(End::Source).await;
    run(app.as_mut(), "update addresses set street = 'New' where id = 1").await;
    let mut refers = stage.app(End::Source).await;
    run(refers.as_mut(), "begin; update users set work_id = 2.000 where id = 1").await;
    must_wait(&stage, "update addresses set street = 'x' where id = 2.0").await;
    run(refers.as_mut(), "rollback").await;
    lane.catch_up_and_decide().await;
    lane.settle().await;
    lane.erase().await;
    stage.carry(End::Source, &["2"]).await;
    assert_eq!(rows(&stage, End::Source, STREETS).await, Vec::<String>::new());
    stage.carry(End::Target, &["1", "2"]).await;
    assert_eq!(rows(&stage, End::Source, STREETS).await, ["1.0|New", "2|Work"]);
    assert_eq!(rows(&stage, End::Target, STREETS).await, Vec::<String>::new());
}

const QUOTED: World = World {
    schema: "
        create schema geo; grant usage on schema geo to public;
        create type geo.\"Kind\" as enum ('flat', 'house');
        create table geo.\"Addr\" (\"Tenant\" uuid, \"the id\" text, kind geo.\"Kind\", big text,
            primary key (\"Tenant\", \"the id\")) partition by hash (\"Tenant\");
        create table geo.\"Addr_0\" partition of geo.\"Addr\" for values with (modulus 2, remainder 0);
        create table geo.\"Addr_1\" partition of geo.\"Addr\" for values with (modulus 2, remainder 1);
        create table users (id bigint primary key, \"T\" uuid, \"Home\" text, \"Work\" text,
            boss bigint references users (id),
            foreign key (\"T\", \"Home\") references geo.\"Addr\" (\"Tenant\", \"the id\"),
            foreign key (\"T\", \"Work\") references geo.\"Addr\" (\"Tenant\", \"the id\"));
        create index on users (\"T\", \"Home\"); create index on users (\"T\", \"Work\");",
    owned: &[("users", None)],
    shared: &["geo.Addr"],
    reference: &[],
    rows: "
        insert into geo.\"Addr\" select gen_random_uuid(), x, 'flat', repeat('x', 1000000)
            from unnest(array['', 'a''b\"c\\', '[1]']) x;
        insert into geo.\"Addr\" select \"Tenant\", 'two', null, '' from geo.\"Addr\";
        insert into users select row_number() over (), \"Tenant\", \"the id\", 'two'
            from geo.\"Addr\" where \"the id\" <> 'two';
        insert into users select id + 10, \"T\", \"Work\", \"Home\" from users;",
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_names_partitions_and_long_values_travel_there_and_back() {
    let stage = PostgresStage::of(&QUOTED).await;
    let all = "select \"Tenant\", \"the id\", kind, md5(big) from geo.\"Addr\" order by 1, 2";
    let mut lane = stage.copied(&["1", "2", "3"]).await;
    let mut app = stage.app(End::Source).await;
    run(
        app.as_mut(),
        "update geo.\"Addr\" set big = null, kind = 'house' where \"the id\" = 'two'",
    )
    .await;
    lane.catch_up_and_decide().await;
    lane.settle().await;
    lane.erase().await;
    let before = rows(&stage, End::Source, all).await;
    assert_eq!(rows(&stage, End::Target, all).await, before);
    stage.carry(End::Source, &["11", "12", "13"]).await;
    assert_eq!(rows(&stage, End::Source, all).await, Vec::<String>::new());
    stage.carry(End::Target, &["1", "11", "12", "13", "2", "3"]).await;
    assert_eq!(rows(&stage, End::Source, all).await, before);
    assert_eq!(rows(&stage, End::Target, all).await, Vec::<String>::new());
}

/// Waits until somebody at the source waits for a lock.
async fn somebody_waits(stage: &PostgresStage, what: &str) {
    let superuser = connect(&stage.bed.database(End::Source).superuser_url).await.unwrap();
    let look = "select 1 from pg_stat_activity where datname = current_database()
        and wait_event_type = 'Lock'";
    let mut looks = 0;
    while superuser.query(look, &[]).await.unwrap().is_empty() {
        look_again(&mut looks, what).await;
    }
}

/// Ada's erasure has marked the address they share, and Bob's finds the mark; hers then ends while
/// his rows are still to be seen.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_erasures_leave_no_address_to_each_other() {
    let stage = PostgresStage::of(&HOMES).await;
    let mut adas = stage.decided(&["1"]).await;
    adas.settle().await;
    let mut bobs = stage.decided(&["2"]).await;
    bobs.settle().await;
    let who = adas.leaving.subjects.clone();
    assert!(!adas.from.erase(adas.leaving.move_id, &who, 1).await.unwrap().finished);
    // His has deleted its rows when it comes to his tombstone.
    let holder = connect(&stage.bed.database(End::Source).superuser_url).await.unwrap();
    let tombstone = "begin; insert into domicile.gone (subject, home, move_id, decided_at)
        select subject, peer, move_id, decided_at from domicile.subject where subject = '2'";
    holder.batch_execute(tombstone).await.unwrap();
    let waiting = tokio::spawn(async move {
        bobs.erase().await;
    });
    somebody_waits(&stage, "Bob's erasure waits for nobody").await;
    let ended = tokio::spawn(async move {
        adas.erase().await;
    });
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    holder.batch_execute("rollback").await.unwrap();
    waiting.await.unwrap();
    ended.await.unwrap();
    stage.source.rest(std::time::Duration::from_secs(60)).await.unwrap();
    assert_eq!(rows(&stage, End::Source, STREETS).await, ["4|Alone"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_whose_transactions_keep_their_snapshot_loses_no_address() {
    let stage = PostgresStage::bare(&HOMES).await;
    let superuser = connect(&stage.bed.database(End::Source).superuser_url).await.unwrap();
    let keep = "alter database {} set default_transaction_isolation = 'repeatable read'";
    let name = &stage.bed.database(End::Source).name;
    superuser.batch_execute(&keep.replace("{}", name)).await.unwrap();
    let script = stage.source.schema_script(&stage.all_tables().await).await.unwrap();
    stage.target.apply_schema(&script).await.unwrap();
    stage.source.install(&stage.installation()).await.unwrap();
    stage.target.install(&stage.installation()).await.unwrap();
    let mut lane = stage.decided(&["1"]).await;
    lane.settle().await;
    // Its snapshot is taken when it has to wait for this table, and nothing is deleted yet.
    superuser.batch_execute("begin; lock table domicile.loose in share mode").await.unwrap();
    let erased = tokio::spawn(async move {
        lane.erase().await;
    });
    somebody_waits(&stage, "the erasure waits for nobody").await;
    let mut app = stage.app(End::Source).await;
    run(app.as_mut(), "update users set home_id = 2 where id = 2").await;
    superuser.batch_execute("rollback").await.unwrap();
    erased.await.unwrap();
    assert_eq!(app.rows("select street from addresses where id = 2").await, ["Work"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_lanes_bring_one_row_at_once() {
    let stage = PostgresStage::of(&HOMES).await;
    let mut app = stage.app(End::Source).await;
    run(
        app.as_mut(),
        "insert into addresses select n, 'street ' || n from generate_series(100, 400) n;
         insert into orders select n, 1 + n % 2, 500 - n from generate_series(100, 400) n;
         insert into orders select 1000 + n, 2 - n % 2, n from generate_series(100, 400) n",
    )
    .await;
    let (mut adas, mut bobs) = (stage.lane(&["1"]).await, stage.lane(&["2"]).await);
    adas.announce().await;
    bobs.announce().await;
    let (one, other) = tokio::join!(adas.try_to_copy(), bobs.try_to_copy());
    one.unwrap();
    other.unwrap();
    for round in 0..5 {
        let rename = format!("update addresses set street = street || {round} where id > 99");
        run(app.as_mut(), &rename).await;
        let (one, other) = tokio::join!(adas.try_to_catch_up(), bobs.try_to_catch_up());
        // Who comes later with an older snapshot is told to try again.
        for done in [&one, &other] {
            assert!(done.as_ref().is_ok_and(|notes| *notes > 0) || done.is_err(), "{done:?}");
            if let Err(error) = done {
                assert_eq!(error.kind(), Kind::RetryNow, "{error:?}");
            }
        }
    }
    adas.catch_up_and_decide().await;
    bobs.catch_up_and_decide().await;
    let all = "select * from addresses where id <> 4 order by id";
    let there = rows(&stage, End::Target, all).await;
    assert_eq!(rows(&stage, End::Source, all).await, there);
}
