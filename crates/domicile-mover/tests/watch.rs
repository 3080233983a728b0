//! Moving that goes on: whoever signs up or changes residence is taken as they come.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    unreachable_pub,
    dead_code,
    reason = "helpers of tests; a failure should stop the test where it happens"
)]

mod world;

use domicile_mover::migrate::{migrate, watch, withdraw};
use domicile_mover::prepare::prepare;
use domicile_mover::verify::verify;
use std::sync::Arc;
use std::time::{Duration, Instant};
use world::{World, options, surroundings};

/// Waits until a query over all sites gives a number.
async fn await_sum(world: &World, query: &str, expected: i64) {
    let started = Instant::now();
    loop {
        let found = world.sum(query).await;
        if found == expected {
            return;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "{query}: {found}, not {expected}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A new reference row and a new sign-up that refers to it every 10 ms.
async fn sign_up(world: &World, people: i32) {
    let app = world.app(0).await;
    let mut tick = tokio::time::interval(Duration::from_millis(10));
    for number in 1..=people {
        tick.tick().await;
        let (badge, person) = (100 + number, 1000 + i64::from(number));
        app.execute("insert into badges values ($1, 'new')", &[&badge]).await.unwrap();
        let country = if number % 5 == 0 { "US" } else { "NO" };
        let sign_up = "insert into users values ($1, $3, $2)";
        app.execute(sign_up, &[&person, &badge, &country]).await.unwrap();
        let post = "insert into posts values ($1::bigint * 3, $1, 'start')";
        // Whoever has moved already posts at their new home.
        if let Err(error) = app.execute(post, &[&person]).await {
            assert!(["DM001", "23503"].contains(&error.code().unwrap().code()), "{error:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_who_sign_up_move_as_they_come() {
    const PEOPLE: i32 = 300;
    let world = Arc::new(World::with(60).await);
    let plan = world.plan().await;
    prepare(&world.sites().await, &plan).await.unwrap();
    let platform = Arc::new(world.platform(&plan).await);
    let (around, stop) = surroundings();
    let watching = {
        let platform = platform.clone();
        tokio::spawn(async move {
            watch(&platform, &options(), &around, Duration::from_millis(50)).await
        })
    };
    sign_up(&world, PEOPLE).await;
    // Somebody who moves house while everybody watches.
    let app = world.app(0).await;
    app.execute("update users set country = 'NO' where id = 2", &[]).await.unwrap();
    await_nobody(&world, "select count(*) from users where country <> 'US'").await;
    await_sum(&world, "select count(*) from domicile.changed", 0).await;
    stop.send_replace(true);
    let report = watching.await.unwrap().unwrap();
    assert_eq!((report.failed, report.mismatches), (0, 0), "{:?}", report.failures);
    assert_eq!(report.moved, 30 + 240 + 1);
    let found = verify(&platform).await.unwrap();
    assert!(found.is_clean(), "{found:?}");
    assert_eq!(world.sum("select count(*) from users").await, 60 + i64::from(PEOPLE));
    assert_eq!(world.sum("select count(*) from badges").await, 3 * (2 + i64::from(PEOPLE)));
}

/// Waits until nobody of Europe stands at iad1.
async fn await_nobody(world: &World, query: &str) {
    let app = world.app(0).await;
    let started = Instant::now();
    while app.query_one(query, &[]).await.unwrap().get::<_, i64>(0) > 0 {
        assert!(started.elapsed() < Duration::from_secs(60), "{query}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_site_that_goes_away_is_waited_for() {
    let world = Arc::new(World::with(12).await);
    let plan = world.plan().await;
    prepare(&world.sites().await, &plan).await.unwrap();
    let platform = Arc::new(world.platform(&plan).await);
    let (around, stop) = surroundings();
    let watching = {
        let platform = platform.clone();
        tokio::spawn(async move {
            watch(&platform, &options(), &around, Duration::from_millis(50)).await
        })
    };
    let europeans = "select count(*) from users where country <> 'US'";
    await_nobody(&world, europeans).await;
    for (at, database) in world.databases.iter().enumerate() {
        let superuser = domicile_testkit::connect(&database.superuser_url).await.unwrap();
        superuser
            .execute(
                "select pg_terminate_backend(pid) from pg_stat_activity \
                 where datname = current_database() and pid <> pg_backend_pid()",
                &[],
            )
            .await
            .unwrap();
        let app = world.app(0).await;
        let person = 1000 + i64::try_from(at).unwrap();
        app.execute("insert into users values ($1, 'NO', 1)", &[&person]).await.unwrap();
        await_nobody(&world, europeans).await;
    }
    stop.send_replace(true);
    let report = watching.await.unwrap().unwrap();
    assert_eq!((report.moved, report.failed), (9, 0), "{:?}", report.failures);
    assert!(verify(&platform).await.unwrap().is_clean());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_rows_a_second_than_allowed() {
    let world = World::with(60).await;
    let plan = world.plan().await;
    prepare(&world.sites().await, &plan).await.unwrap();
    let platform = world.platform(&plan).await;
    let (around, _stop) = surroundings();
    let slow = domicile_mover::migrate::Options { rows_per_second: Some(60), ..options() };
    let report = migrate(&platform, &slow, &around).await.unwrap();
    assert_eq!(report.moved, 30);
    // The last batch is not waited for, and no batch has more rows than two seconds allow.
    let least = (report.rows as f64 / 60.0) - 2.0;
    assert!(report.seconds > least, "{} rows in {} s", report.rows, report.seconds);
    assert!(least > 0.5, "too few rows to tell: {}", report.rows);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_bytes_a_second_than_allowed() {
    const ALLOWED: u64 = 2000;
    let world = World::with(60).await;
    let plan = world.plan().await;
    prepare(&world.sites().await, &plan).await.unwrap();
    let platform = world.platform(&plan).await;
    let (around, _stop) = surroundings();
    let slow = domicile_mover::migrate::Options { bytes_per_second: Some(ALLOWED), ..options() };
    let report = migrate(&platform, &slow, &around).await.unwrap();
    assert_eq!(report.moved, 30);
    // As above: the last batch is not waited for, nor is one larger than two seconds allow.
    let least = (report.bytes as f64 / ALLOWED as f64) - 2.0;
    assert!(report.seconds > least, "{} bytes in {} s", report.bytes, report.seconds);
    assert!(least > 0.5, "too few bytes to tell: {}", report.bytes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_announced_is_taken_back() {
    let world = World::with(12).await;
    let plan = world.plan().await;
    prepare(&world.sites().await, &plan).await.unwrap();
    let before = world.sum("select count(*) from users").await;
    // As a run leaves them that died after announcing these people.
    for (site, state) in [(0, "moving"), (1, "arriving"), (2, "arriving")] {
        let superuser =
            domicile_testkit::connect(&world.databases[site].superuser_url).await.unwrap();
        let peer =
            if site == 0 { "case when id = 3 then 'dub1' else 'osl1' end" } else { "'iad1'" };
        let whom = match site {
            0 => "id in (3, 5)",
            1 => "id = 3",
            _ => "id = 5",
        };
        superuser
            .batch_execute(&format!(
                "select setval('domicile.flag', 1, true);
                 insert into domicile.subject (subject, state, fenced, move_id, peer)
                 select id::text, '{state}', true, 77, {peer} from generate_series(1, 12) id where {whom}"
            ))
            .await
            .unwrap();
    }
    let platform = world.platform(&plan).await;
    let (around, _stop) = surroundings();
    let report = withdraw(&platform, &options(), &around).await.unwrap();
    assert_eq!((report.withdrawn, report.settled), (2, 0), "{:?}", report.failures);
    assert_eq!(world.sum("select count(*) from users").await, before);
    assert_eq!(
        world.sum("select count(*) from domicile.subject where state <> 'withdrawn'").await,
        0
    );
    let again = withdraw(&platform, &options(), &around).await.unwrap();
    assert_eq!((again.withdrawn, again.settled), (0, 0));
    // Nobody is worse off for it.
    let (around, _stop) = surroundings();
    assert_eq!(migrate(&platform, &options(), &around).await.unwrap().moved, 6);
}
