//! Schedules tried on the finished mover: quiet periods, deployments and restores between a
//! decision and its erasure, people who come again.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    unreachable_pub,
    reason = "helpers of tests; a failure should stop the test where it happens"
)]

#[expect(dead_code, reason = "this suite uses a part of the world")]
mod world;

use domicile_model::Subject;
use domicile_mover::migrate::{Options, migrate};
use domicile_mover::prepare::prepare;
use domicile_mover::step::{Answer, Batch, Effect};
use domicile_mover::verify::verify;
use domicile_testkit::connect;
use std::time::Duration;
use world::{SITES, World, options, surroundings};

const A_WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

fn erasing_later() -> Options {
    Options { erase_after: A_WEEK, ..options() }
}

/// A prepared world of twelve, six of whom have moved and wait, fenced, to be erased.
async fn pending() -> World {
    let world = World::with(12).await;
    let plan = world.plan().await;
    prepare(&world.sites().await, &plan).await.unwrap();
    let platform = world.platform(&plan).await;
    let (surroundings, _stop) = surroundings();
    let report = migrate(&platform, &erasing_later(), &surroundings).await.unwrap();
    assert_eq!((report.moved, report.failed, report.pending_erasure), (6, 0, 6));
    world
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_batch_too_waits_for_a_quiet_period_before_it_is_erased() {
    let world = World::with(12).await;
    let plan = world.plan().await;
    prepare(&world.sites().await, &plan).await.unwrap();
    let platform = world.platform(&plan).await;
    let (surroundings, _stop) = surroundings();
    let quiet = Duration::from_secs(2);
    let options = Options { quiet, ..options() };
    let report = migrate(&platform, &options, &surroundings).await.unwrap();
    assert_eq!((report.moved, report.pending_erasure), (6, 0));
    assert!(report.seconds >= quiet.as_secs_f64(), "erased after {} s", report.seconds);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fences_that_a_restore_switched_back_wrongly_can_be_put_right_while_erasure_waits() {
    let world = pending().await;
    // What `pg_restore --disable-triggers` leaves: enabled, but not ALWAYS.
    world.databases[0]
        .run_as_superuser(
            "alter table posts disable trigger all; alter table posts enable trigger all",
        )
        .await
        .unwrap();
    let plan = world.plan().await;
    prepare(&world.sites().await, &plan).await.unwrap();
    let (surroundings, _stop) = surroundings();
    let platform = world.platform(&plan).await;
    let report = migrate(&platform, &options(), &surroundings).await.unwrap();
    assert_eq!(report.pending_erasure, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_that_adds_a_table_while_erasure_waits_needs_no_surgery() {
    let world = pending().await;
    let app = world.app(0).await;
    app.batch_execute(
        "create table medals (id bigint primary key, user_id bigint not null references users (id));
         create index on medals (user_id);
         insert into medals values (1, 2)",
    )
    .await
    .unwrap();
    let plan = world.plan().await;
    assert_eq!(plan.refused, []);
    let (surroundings, _stop) = surroundings();
    let platform = world.platform(&plan).await;
    // Either order will do, as long as one of the two goes on.
    if let Err(error) = prepare(&world.sites().await, &plan).await {
        migrate(&platform, &options(), &surroundings).await.unwrap_or_else(|other| {
            panic!("prepare: {error}; migrate: {other}");
        });
        prepare(&world.sites().await, &plan).await.unwrap();
    }
    let report = migrate(&platform, &options(), &surroundings).await.unwrap();
    assert_eq!(report.pending_erasure, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_lost_its_arrivals_is_not_answered_by_erasing_the_last_copy() {
    let world = pending().await;
    // The targets are restored from a backup of before the migration.
    for site in 1..SITES.len() {
        world.databases[site]
            .run_as_superuser("truncate users, posts, comments, likes, domicile.subject")
            .await
            .unwrap();
    }
    let plan = world.plan().await;
    let platform = world.platform(&plan).await;
    let found = verify(&platform).await.unwrap();
    let (surroundings, _stop) = surroundings();
    let report = migrate(&platform, &options(), &surroundings).await;
    let left = world.sum("select count(*) from users").await;
    assert_eq!(left, 12, "{report:?}");
    assert!(!found.is_clean(), "six people have no open home, and verify says {found:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_trace_at_a_target_is_no_proof_that_rows_arrived() {
    for trace in [
        "insert into domicile.gone (subject, home, move_id) select subject, 'iad1', 1 from domicile.subject",
        "update domicile.subject set state = 'resident', move_id = 1, fenced = false",
        "update domicile.subject set state = 'moved', move_id = 1, fenced = true",
    ] {
        let world = pending().await;
        // Restored to a day on which these people had been here once before.
        for site in 1..SITES.len() {
            world.databases[site].run_as_superuser(trace).await.unwrap();
            world.databases[site]
                .run_as_superuser("truncate users, posts, comments, likes")
                .await
                .unwrap();
            if trace.starts_with("insert") {
                world.databases[site].run_as_superuser("truncate domicile.subject").await.unwrap();
            }
        }
        let plan = world.plan().await;
        let platform = world.platform(&plan).await;
        let (surroundings, _stop) = surroundings();
        let report = migrate(&platform, &options(), &surroundings).await;
        assert_eq!(world.sum("select count(*) from users").await, 12, "{trace}: {report:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_used_again_after_its_account_was_deleted_moves_too() {
    let world = World::with(12).await;
    let plan = world.plan().await;
    prepare(&world.sites().await, &plan).await.unwrap();
    let platform = world.platform(&plan).await;
    let run = Options { keep_tombstones: Duration::ZERO, ..options() };
    let (around, _stop) = surroundings();
    assert_eq!(migrate(&platform, &run, &around).await.unwrap().moved, 6);
    // Person 3 deletes their account where they live now, and later signs up again at iad1.
    for site in 1..SITES.len() {
        let app = world.app(site).await;
        app.batch_execute(
            "delete from comments where post_id in (select id from posts where user_id = 3);
             delete from posts where user_id = 3; delete from likes where user_id = 3;
             delete from users where id = 3",
        )
        .await
        .unwrap();
    }
    let app = world.app(0).await;
    app.batch_execute("insert into users values (3, 'FR', 1)").await.unwrap();
    let (around, _stop) = surroundings();
    let report = migrate(&platform, &run, &around).await.unwrap();
    assert_eq!((report.moved, report.failed), (1, 0), "{:?}", report.failures);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_who_wants_home_again_before_the_old_rows_are_erased_gets_there() {
    let world = pending().await;
    for site in 1..SITES.len() {
        let app = world.app(site).await;
        app.batch_execute("update users set country = 'US' where id = 3").await.unwrap();
    }
    let plan = world.plan().await;
    let platform = world.platform(&plan).await;
    let (around, _stop) = surroundings();
    let report = migrate(&platform, &erasing_later(), &around).await.unwrap();
    assert_eq!((report.moved, report.failed), (1, 0), "{:?}", report.failures);
    let (around, _stop) = surroundings();
    let report = migrate(&platform, &options(), &around).await.unwrap();
    assert_eq!((report.failed, report.pending_erasure), (0, 0), "{:?}", report.failures);
    assert!(verify(&platform).await.unwrap().is_clean());
    assert_eq!(world.sum("select count(*) from users").await, 12);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_died_between_decision_and_settling_is_no_clean_state() {
    let world = pending().await;
    // As the journal stands after the decision's commit, before the settling's.
    for site in 1..SITES.len() {
        world.databases[site]
            .run_as_superuser(
                "update domicile.subject set state = 'arriving', fenced = true where subject = '3'",
            )
            .await
            .unwrap();
    }
    let plan = world.plan().await;
    let platform = world.platform(&plan).await;
    let limbo = verify(&platform).await.unwrap();
    let (around, _stop) = surroundings();
    let report = migrate(&platform, &options(), &around).await.unwrap();
    assert_eq!((report.failed, report.pending_erasure), (0, 0));
    assert!(verify(&platform).await.unwrap().is_clean());
    assert_eq!(world.sum("select count(*) from users").await, 12);
    let accounted: u64 = limbo.sites.iter().map(|site| site.subjects).sum();
    assert!(accounted == 12 || !limbo.is_clean(), "{accounted} of 12 are open, and all is clean");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_persons_tombstone_makes_nobody_else_at_home() {
    let world = pending().await;
    let there = connect(&world.databases[1].superuser_url).await.unwrap();
    let pairs = "select min(subject), max(subject) from domicile.subject
        group by move_id having count(*) > 1";
    let pair = there.query(pairs, &[]).await.unwrap();
    let (erased, withdrawn): (String, String) = (pair[0].get(0), pair[0].get(1));
    // The target failed over and lost the last second: one person's settling and, of the same
    // batch, another's abandoning. The first was erased behind, the second stays at iad1.
    world.databases[0]
        .run_as_superuser(&format!(
            "set session_replication_role = replica; set domicile.mover = 'on';
             insert into domicile.gone (subject, home, move_id)
                 select subject, peer, move_id from domicile.subject where subject = '{erased}';
             delete from domicile.subject where subject = '{erased}';
             update domicile.subject set state = 'withdrawn', fenced = false
                 where subject = '{withdrawn}';
             delete from comments where post_id in (select id from posts where user_id = {erased});
             delete from posts where user_id = {erased};
             delete from likes where user_id = {erased};
             delete from users where id = {erased}"
        ))
        .await
        .unwrap();
    world.databases[1]
        .run_as_superuser(&format!(
            "update domicile.subject set state = 'arriving', fenced = true
                 where subject in ('{erased}', '{withdrawn}')"
        ))
        .await
        .unwrap();
    let plan = world.plan().await;
    let platform = world.platform(&plan).await;
    let (around, _stop) = surroundings();
    let report = migrate(&platform, &options(), &around).await.unwrap();
    let found = verify(&platform).await.unwrap();
    assert!(found.is_clean(), "{:?} {found:?}", report.failures);
    assert_eq!(world.sum("select count(*) from users").await, 12);
}

#[test]
fn somebody_whose_copy_lost_a_race_is_not_tried_again_at_once() {
    let ada = Subject::new("1");
    let mut batch = Batch::announce([ada.clone()]);
    let now = Duration::ZERO;
    let taken = || Answer::Taken(vec![ada.clone()]);
    for answer in [taken(), Answer::Done, taken(), Answer::Done] {
        let effect = batch.next(now);
        batch.apply(&effect, answer, now);
    }
    let copy = batch.next(now);
    assert_eq!(copy, Effect::Copy(vec![ada.clone()]));
    batch.apply(&copy, Answer::NotShipped { reason: "deadlock detected".to_owned() }, now);
    assert_eq!(batch.next(now), Effect::Wait, "four tries in four milliseconds are one");
}
