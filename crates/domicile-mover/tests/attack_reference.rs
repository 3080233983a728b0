//! Schedules tried on reference tables that live, holds and the watch.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    unreachable_pub,
    dead_code,
    reason = "helpers of tests; a failure should stop the test where it happens"
)]

mod world;

use domicile_model::Subject;
use domicile_mover::direct::{choose_home, hold};
use domicile_mover::locate::status;
use domicile_mover::migrate::{migrate, watch};
use domicile_mover::people::Platform;
use domicile_mover::prepare::prepare;
use domicile_mover::verify::verify;
use domicile_testkit::connect;
use std::time::Duration;
use world::{World, options, surroundings};

async fn number(world: &World, site: usize, sql: &str) -> i64 {
    let client = connect(&world.databases[site].superuser_url).await.unwrap();
    client.query_one(sql, &[]).await.unwrap().get(0)
}

/// A prepared world of twelve whose schema has more than usual.
async fn with(extra: &str) -> (World, Platform) {
    let world = World::with(12).await;
    world.app(0).await.batch_execute(extra).await.unwrap();
    let plan = world.plan().await;
    assert_eq!(plan.refused, []);
    prepare(&world.sites().await, &plan).await.unwrap();
    let platform = world.platform(&plan).await;
    (world, platform)
}

async fn migrated(extra: &str) -> (World, Platform) {
    let (world, platform) = with(extra).await;
    again(&platform).await.unwrap();
    (world, platform)
}

async fn again(platform: &Platform) -> Result<domicile_mover::report::MigrateReport, String> {
    let (around, _stop) = surroundings();
    match tokio::time::timeout(Duration::from_secs(10), migrate(platform, &options(), &around))
        .await
    {
        Err(_) => Err("did not end in 10 s".to_owned()),
        Ok(done) => done.map_err(|error| format!("{error:?}")),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_is_not_taken_away_by_a_home_chosen_at_the_same_moment() {
    let (_world, platform) = with("").await;
    let other = platform.clone();
    let (mut lost, mut homeless) = (0, 0);
    for id in [3_i64, 9] {
        for _ in 0..15 {
            let subject = Subject::new(id.to_string());
            hold(&platform, &subject, None).await.unwrap();
            let separate = Platform {
                directives: domicile_mover::people::Directives::default(),
                ..other.clone()
            };
            let (held, chosen) = tokio::join!(
                hold(&platform, &subject, Some("a court".to_owned())),
                choose_home(&separate, &subject, Some("dub1".parse().unwrap())),
            );
            held.unwrap();
            chosen.unwrap();
            platform.read_directives().await.unwrap();
            let told = platform.directives.about(&subject).unwrap();
            lost += u32::from(told.hold.is_none());
            homeless += u32::from(told.home.is_none());
        }
    }
    assert_eq!((lost, homeless), (0, 0), "holds and homes lost, of 30");
}

/// Changes one reference row of a shape and looks whether it is carried.
async fn is_carried(extra: &str, change: &str, count: &str) {
    let (world, platform) = migrated(extra).await;
    world.app(0).await.batch_execute(change).await.unwrap();
    let done = again(&platform).await;
    assert!(done.is_ok(), "{done:?}");
    assert_eq!(world.sum(count).await, 3, "{change}");
    assert!(verify(&platform).await.unwrap().is_clean());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_char_key() {
    is_carried(
        "create table kinds (code char(3) primary key, note text);
         insert into kinds (code) values ('ab'), ('abc');
         alter table users add column kind char(3) references kinds (code)",
        "update kinds set note = 'x' where code = 'abc'; delete from kinds where code = 'ab'",
        "select count(*) from kinds where note = 'x'",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn swapped_unique_values_and_moved_keys() {
    is_carried(
        "create table kinds (code int primary key, note text unique deferrable);
         insert into kinds values (1, 'a'), (2, 'b');
         alter table users add column kind int references kinds (code)",
        "begin; set constraints all deferred; update kinds set note = case note when 'a' then 'b' else 'a' end; commit",
        "select count(*) from kinds where code = 1 and note = 'b'",
    )
    .await;
}

/// A transaction at a home that refers to a row which the writing site has deleted.
async fn with_a_kept_row() -> (World, Platform) {
    let (world, platform) =
        migrated("insert into badges select n, 'b' from generate_series(3, 9) n").await;
    let app = world.app(1).await;
    app.batch_execute("insert into users select n + 1000, 'FR', n from generate_series(3, 9) n")
        .await
        .unwrap();
    world.app(0).await.batch_execute("delete from badges where id between 3 and 9").await.unwrap();
    (world, platform)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_ends_on_a_stop_while_the_carrier_waits() {
    let (world, platform) = with_a_kept_row().await;
    let long = world.app(1).await;
    long.batch_execute("begin; insert into users values (2001, 'FR', 9)").await.unwrap();
    let (around, stop) = surroundings();
    let watching = tokio::spawn(async move {
        watch(&platform, &options(), &around, Duration::from_millis(50)).await
    });
    let client = connect(&world.databases[1].superuser_url).await.unwrap();
    for _ in 0..200 {
        let waiting: i64 = client.query_one("select count(*) from pg_stat_activity where datname = current_database() and application_name = 'domicile mover' and wait_event_type = 'Lock'", &[]).await.unwrap().get(0);
        if waiting > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stop.send_replace(true);
    let ended = tokio::time::timeout(Duration::from_secs(8), watching).await;
    assert!(ended.is_ok(), "still running 8 s after the stop");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_application_at_a_home_does_not_deadlock_with_the_carrier() {
    let (world, platform) = with_a_kept_row().await;
    let app = world.app(1).await;
    app.batch_execute("begin; insert into users values (2001, 'FR', 9)").await.unwrap();
    let running = tokio::spawn(async move { again(&platform).await });
    let client = connect(&world.databases[1].superuser_url).await.unwrap();
    for _ in 0..300 {
        let waiting: i64 = client.query_one("select count(*) from pg_stat_activity where datname = current_database() and application_name = 'domicile mover' and wait_event_type = 'Lock'", &[]).await.unwrap().get(0);
        if waiting > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let second = app.batch_execute("insert into users values (2002, 'FR', 3); commit").await;
    let ended = running.await.unwrap();
    assert!(second.is_ok() && ended.is_ok(), "application: {second:?}; migrate: {:?}", ended.err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reference_trigger_that_a_restore_switched_back_wrongly() {
    let (world, platform) = migrated("").await;
    let again_on = "alter table badges disable trigger all; alter table badges enable trigger all";
    world.databases[0].run_as_superuser(again_on).await.unwrap();
    let plan = world.plan().await;
    prepare(&world.sites().await, &plan).await.unwrap();
    let unseen = "set session_replication_role = replica; insert into badges values (77, 'x')";
    world.databases[0].run_as_superuser(unseen).await.unwrap();
    again(&platform).await.unwrap();
    assert_eq!(world.sum("select count(*) from badges where id = 77").await, 3);
}

/// Writes about somebody who moves, in transactions that first refer to a row kept here.
async fn busy_with(app: domicile_testkit::tokio_postgres::Client, first: i64) -> u32 {
    let mut done = 0;
    for n in 0..100_000 {
        let work = async {
            app.batch_execute("begin").await?;
            app.execute("insert into users values ($1, 'FR', 9)", &[&(first + n)]).await?;
            app.batch_execute("select pg_sleep(0.002)").await?;
            let rows =
                app.execute("update users set writes = writes + 1 where id = 1003", &[]).await?;
            app.batch_execute("commit").await?;
            Ok::<u64, domicile_testkit::tokio_postgres::Error>(rows)
        };
        match work.await {
            Ok(0) => return done,
            Ok(_) => done += 1,
            Err(error) if error.code().is_some_and(|code| code.code() == "DM001") => return done,
            Err(_) => drop(app.batch_execute("rollback").await),
        }
    }
    done
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_door_and_the_carrier_do_not_wait_for_each_other() {
    let (world, platform) = with_a_kept_row().await;
    let app = world.app(1).await;
    app.batch_execute("update users set badge_id = 1, country = 'US' where id = 1003")
        .await
        .unwrap();
    let mut writers = Vec::new();
    for at in 0..1 {
        writers.push(tokio::spawn(busy_with(world.app(1).await, 1_000_000 * (at + 1))));
    }
    let migrating = tokio::spawn(async move { again(&platform).await });
    let client = connect(&world.databases[1].superuser_url).await.unwrap();
    let mut seen: Vec<String> = Vec::new();
    while !migrating.is_finished() {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let rows = client
            .query(
                "select pid || ' ' || application_name || ' ' || wait_event_type || '/' || wait_event \
                 || ' blocked by ' || pg_blocking_pids(pid)::text || ' for ' || (clock_timestamp() - query_start)::text || ': ' || left(query, 60) \
                 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' order by 1",
                &[],
            )
            .await
            .unwrap();
        seen.push("--".to_owned());
        seen.extend(rows.iter().map(|row| row.get::<_, String>(0)));
    }
    let ended = migrating.await.unwrap();
    for writer in &writers {
        writer.abort();
    }
    assert!(ended.is_ok(), "{ended:?}\n{}", seen.join("\n"));
}

/// Badges with a unique name; user 1003 stays at home abroad and refers to badge 3.
async fn with_a_name_in_use() -> (World, Platform) {
    let (world, platform) = migrated(
        "alter table badges add unique (name); insert into badges values (3, 'gold'), (4, 'tin')",
    )
    .await;
    let app = world.app(1).await;
    app.batch_execute("insert into users values (1003, 'FR', 3)").await.unwrap();
    (world, platform)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_one_site_cannot_take_stops_nobody_else() {
    let (world, platform) = with_a_name_in_use().await;
    let app = world.app(0).await;
    app.batch_execute(
        "delete from badges where id = 3; insert into badges values (5, 'gold'), (6, 'iron');
         insert into users values (1006, 'FR', 6), (1005, 'FR', 5)",
    )
    .await
    .unwrap();
    let done = again(&platform).await.unwrap();
    let home = platform.sites[1].name();
    let named = &done.reference_refused;
    assert_eq!(named.len(), 1, "{named:?}");
    assert_eq!((named[0].table.as_str(), named[0].key.as_str()), ("badges", "5"));
    assert!(named[0].reason.starts_with(&format!("{home}: ")), "{named:?}");
    assert!(named[0].reason.contains("23505"), "{named:?}");
    assert_eq!(world.sum("select count(*) from badges where id = 6").await, 3);
    // Whoever needs the row at that site waits, and is told why; everybody else has moved.
    let waiting: Vec<&str> = done.failures.iter().map(|f| f.subject.as_str()).collect();
    assert!(waiting.iter().all(|subject| *subject == "1005"), "{:?}", done.failures);
    assert_eq!(number(&world, 0, "select count(*) from users where id = 1006").await, 0);
    let found = status(&platform).await.unwrap();
    assert_eq!((found.reference_behind, &found.reference_refused), (2, named), "kept, refused");
    let found = verify(&platform).await.unwrap();
    assert_eq!((found.reference_drift, found.reference_kept, found.reference_refused), (1, 1, 1));

    // A plan that is prepared again does not stumble over it.
    prepare(&world.sites().await, &world.plan().await).await.unwrap();

    world
        .app(1)
        .await
        .batch_execute("update users set badge_id = 4 where id = 1003")
        .await
        .unwrap();
    let done = again(&platform).await.unwrap();
    assert_eq!((done.reference_refused, done.failures), (vec![], vec![]));
    assert_eq!(world.sum("select count(*) from badges where name = 'gold'").await, 3);
    let found = verify(&platform).await.unwrap();
    assert!(found.is_clean() && found.reference_waiting == 0, "{found:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_changes_beside_a_unique_name() {
    let (world, platform) = with_a_name_in_use().await;
    world.app(0).await.batch_execute("update badges set id = 33 where id = 3").await.unwrap();
    let done = again(&platform).await.unwrap();
    assert_eq!(done.reference_refused.len(), 1, "{done:?}");
    world
        .app(1)
        .await
        .batch_execute("update users set badge_id = 4 where id = 1003")
        .await
        .unwrap();
    assert_eq!(again(&platform).await.unwrap().reference_refused, []);
    assert_eq!(world.sum("select count(*) from badges where id = 33").await, 3);
    assert!(verify(&platform).await.unwrap().is_clean());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_refers_to_a_deleted_row_moves_on_and_home() {
    let (world, platform) = with_a_name_in_use().await;
    let count = "select count(*) from badges where id = 3";
    world.app(0).await.batch_execute("delete from badges where id = 3").await.unwrap();
    again(&platform).await.unwrap();
    let stays = number(&world, 1, "select count(*) from users where id = 1003").await;
    let from = if stays == 1 { 1 } else { 2 };
    let other = 3 - from;
    assert_eq!((number(&world, from, count).await, world.sum(count).await), (1, 1));

    // To the third site, whose row went with the others.
    let subject = Subject::new("1003");
    let there = platform.sites[other].name().clone();
    choose_home(&platform, &subject, Some(there)).await.unwrap();
    let done = again(&platform).await.unwrap();
    assert_eq!((done.failures, done.moved), (vec![], 1));
    assert_eq!((number(&world, other, count).await, world.sum(count).await), (1, 1));
    let found = verify(&platform).await.unwrap();
    assert!(found.is_clean() && found.reference_kept == 1, "{found:?}");

    // And home, where the row is written: it comes back, and is everywhere again.
    choose_home(&platform, &subject, None).await.unwrap();
    let app = world.app(other).await;
    app.batch_execute("update users set country = 'US' where id = 1003").await.unwrap();
    let done = again(&platform).await.unwrap();
    assert_eq!((done.failures, done.moved), (vec![], 1));
    assert_eq!((number(&world, 0, count).await, world.sum(count).await), (1, 3));
    assert_eq!(status(&platform).await.unwrap().reference_behind, 0);
    assert!(verify(&platform).await.unwrap().is_clean());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_does_not_prepare_while_people_move() {
    let (world, platform) = migrated("").await;
    let (around, stop) = surroundings();
    let claimed = std::sync::Arc::new(tokio::sync::Notify::new());
    let (told, watched) = (claimed.clone(), platform.clone());
    let watching = tokio::spawn(async move {
        let around = domicile_mover::migrate::Surroundings {
            progress: std::sync::Arc::new(move |_| told.notify_one()),
            ..around
        };
        watch(&watched, &options(), &around, Duration::from_millis(50)).await
    });
    let app = world.app(0).await;
    app.batch_execute("insert into users values (2001, 'FR', 1)").await.unwrap();
    claimed.notified().await;
    let refused = prepare(&world.sites().await, &world.plan().await).await.unwrap_err();
    assert!(refused.to_string().contains("somebody else is migrating site iad1"), "{refused}");
    assert!(refused.hint_text().is_some());
    stop.send_replace(true);
    watching.await.unwrap().unwrap();
    prepare(&world.sites().await, &world.plan().await).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_act_on_peoples_rows_are_refused_by_name() {
    for (action, says) in [
        ("on delete set null", "ON DELETE SET NULL"),
        ("on delete cascade on update cascade", "ON DELETE CASCADE ON UPDATE CASCADE"),
        ("on update set default", "ON UPDATE SET DEFAULT"),
    ] {
        let world = World::with(4).await;
        let change = format!(
            "alter table users drop constraint users_badge_id_fkey;
             alter table users add constraint the_badge foreign key (badge_id)
                 references badges (id) {action}"
        );
        world.app(0).await.batch_execute(&change).await.unwrap();
        let refused = world.plan().await.refused;
        assert_eq!(refused.len(), 1, "{refused:?}");
        assert_eq!(refused[0].what, "users");
        assert!(
            refused[0].why.contains("the_badge") && refused[0].why.contains(says),
            "{refused:?}"
        );
        assert!(refused[0].hint.contains("NO ACTION"), "{refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_note_that_nothing_holds_is_reported() {
    let (world, platform) = migrated("").await;
    world.app(0).await.batch_execute("insert into badges values (9, 'late')").await.unwrap();
    let found = verify(&platform).await.unwrap();
    assert!(found.is_clean() && found.reference_waiting == 1, "{found:?}");
    again(&platform).await.unwrap();
    assert_eq!(verify(&platform).await.unwrap().reference_waiting, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_made_while_a_watch_runs_gets_its_trigger() {
    let (world, platform) = migrated(
        "create table kinds (id int primary key) partition by range (id);
         create table kinds_low partition of kinds for values from (0) to (100);
         create table kind_names (id int primary key, kind int references kinds (id));
         alter table users add column kind int references kind_names (id)",
    )
    .await;
    let app = world.app(0).await;
    let partition = |name: &str, from: i32| {
        let to = from + 100;
        format!("create table {name} partition of kinds for values from ({from}) to ({to})")
    };
    app.batch_execute(&partition("kinds_high", 100)).await.unwrap();
    let refused = again(&platform).await.unwrap_err();
    assert!(refused.contains("site iad1 is not prepared for this plan"), "{refused}");
    for site in [1, 2] {
        world.app(site).await.batch_execute(&partition("kinds_high", 100)).await.unwrap();
    }
    prepare(&world.sites().await, &world.plan().await).await.unwrap();
    again(&platform).await.unwrap();

    let (around, stop) = surroundings();
    let watching = tokio::spawn(async move {
        watch(&platform, &options(), &around, Duration::from_millis(50)).await
    });
    app.batch_execute("insert into kinds values (1); insert into kind_names values (1, 1)")
        .await
        .unwrap();
    until(&world, 1, "select count(*) from kind_names").await;
    app.batch_execute(&partition("kinds_top", 200)).await.unwrap();
    let trigger = "select count(*) from pg_trigger where tgrelid = 'kinds_top'::regclass \
                   and tgname = 'AA_domicile_reference_truncate'";
    until(&world, 0, trigger).await;
    stop.send_replace(true);
    watching.await.unwrap().unwrap();
}

/// Waits until a query counts one.
async fn until(world: &World, site: usize, sql: &str) {
    for _ in 0..500 {
        if number(world, site, sql).await == 1 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{sql}: never");
}
