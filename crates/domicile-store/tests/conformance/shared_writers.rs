//! Two writers that could miss each other over a shared row: one who begins to refer to it, and one
//! who changes it. Only PostgreSQL has two at a time.

use crate::conformance::shared::SHARED;
use crate::conformance::support::{App, End, Lane, Stage, look_again, pass_target, refused};
use crate::postgres_bed::PostgresBed;
use domicile_store::Horizon;
use domicile_testkit::connect;

type PostgresStage = Stage<PostgresBed>;

async fn ready() -> PostgresStage {
    PostgresStage::of(&SHARED).await
}

async fn run(app: &mut dyn App, sql: &str) {
    app.run(sql).await.unwrap_or_else(|refusal| panic!("{sql}: {refusal:?}"));
}

/// Runs a statement that must wait for a lock, and `meanwhile`, which must let it go on.
async fn waits_for(
    stage: &PostgresStage,
    mut waiter: Box<dyn App>,
    sql: &'static str,
    holder: &mut dyn App,
    meanwhile: &str,
) -> (Box<dyn App>, Result<u64, crate::conformance::support::Refusal>) {
    let waiting = tokio::spawn(async move {
        let done = waiter.run(sql).await;
        (waiter, done)
    });
    let superuser = connect(&stage.bed.database(End::Source).superuser_url).await.unwrap();
    let look = "select 1 from pg_stat_activity where datname = current_database()
        and wait_event_type = 'Lock'";
    let mut looks = 0;
    while superuser.query(look, &[]).await.unwrap().is_empty() {
        look_again(&mut looks, &format!("{sql} waits for nobody")).await;
    }
    run(holder, meanwhile).await;
    waiting.await.unwrap()
}

/// Ends the move, and asserts that all of Ada's addresses are at the target what they are here.
async fn ends_with_equal_addresses(stage: &PostgresStage, lane: &mut Lane) {
    lane.catch_up_and_decide().await;
    let hers = "select a.* from addresses a where a.id in (select home_id from users where id = 1
        union select ship_id from orders where user_id = 1
        union select gift_id from lines join orders on orders.id = order_id where user_id = 1)
        order by id";
    let here = stage.app(End::Source).await.rows(hers).await;
    let there = stage.app(End::Target).await.rows(hers).await;
    assert_eq!(here, there);
    assert!(!here.is_empty());
}

const REFERS: &str = "insert into orders (id, user_id, ship_id) values (19, 1, 4)";
const CHANGES: &str = "update addresses set street = 'changed' where id = 4";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_changes_a_row_waits_for_who_begins_to_refer_to_it() {
    let stage = ready().await;
    let mut lane = stage.copied(&["1"]).await;
    let mut refers = stage.app(End::Source).await;
    run(refers.as_mut(), &format!("begin; {REFERS}")).await;
    let mut changes = stage.app(End::Source).await;
    run(changes.as_mut(), "begin").await;
    let (mut changes, done) = waits_for(&stage, changes, CHANGES, refers.as_mut(), "commit").await;
    assert_eq!(done, Ok(1));
    // What came to be hers is shipped as it was, and the change is still to come.
    lane.catch_up().await;
    assert_eq!(lane.decide().await, ["busy"]);
    run(changes.as_mut(), "commit").await;
    assert_eq!(lane.decide().await, ["touched"]);
    ends_with_equal_addresses(&stage, &mut lane).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_begins_to_refer_to_a_row_waits_for_who_changes_it() {
    let stage = ready().await;
    let mut lane = stage.copied(&["1"]).await;
    let mut changes = stage.app(End::Source).await;
    run(changes.as_mut(), &format!("begin; {CHANGES}")).await;
    let refers = stage.app(End::Source).await;
    let (_refers, done) = waits_for(&stage, refers, REFERS, changes.as_mut(), "commit").await;
    assert_eq!(done, Ok(1));
    assert_eq!(lane.decide().await, ["touched"]);
    ends_with_equal_addresses(&stage, &mut lane).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_that_cannot_see_the_new_reference_is_told_to_try_again() {
    for level in ["repeatable read", "serializable"] {
        let stage = ready().await;
        let mut lane = stage.copied(&["1"]).await;
        let mut changes = stage.app(End::Source).await;
        run(changes.as_mut(), &format!("begin isolation level {level}; select * from users")).await;
        let mut refers = stage.app(End::Source).await;
        run(refers.as_mut(), REFERS).await;
        refused(changes.as_mut(), CHANGES, &["40001"]).await;
        run(changes.as_mut(), "rollback").await;
        run(changes.as_mut(), &format!("begin isolation level {level}; {CHANGES}; commit")).await;
        ends_with_equal_addresses(&stage, &mut lane).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_come_to_somebody_with_what_is_below_them_meet_as_well() {
    let stage = ready().await;
    let mut setup = stage.app(End::Source).await;
    run(setup.as_mut(), "insert into lines (id, order_id, gift_id) values (211, 21, 4)").await;
    let mut lane = stage.copied(&["1"]).await;
    let mut gives = stage.app(End::Source).await;
    // Bob's order, whose line goes to Eve's address, becomes Ada's.
    run(gives.as_mut(), "begin; update orders set user_id = 1 where id = 21").await;
    let changes = stage.app(End::Source).await;
    let (_changes, done) = waits_for(&stage, changes, CHANGES, gives.as_mut(), "commit").await;
    assert_eq!(done, Ok(1));
    ends_with_equal_addresses(&stage, &mut lane).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_changed_a_row_without_seeing_a_reference_from_before_is_waited_for() {
    let stage = ready().await;
    let mut refers = stage.app(End::Source).await;
    run(refers.as_mut(), &format!("begin; {REFERS}")).await;
    let mut lane = stage.lane(&["1"]).await;
    lane.from.announce(&lane.leaving).await.unwrap();
    lane.to.expect(&lane.coming).await.unwrap();
    pass_target(lane.to.as_mut()).await;
    lane.from.start_horizon().await.unwrap();
    // Sees the announcement, and not that Ada is about to refer to it.
    let mut changes = stage.app(End::Source).await;
    run(changes.as_mut(), &format!("begin; {CHANGES}")).await;
    run(refers.as_mut(), "commit").await;
    for _ in 0..8 {
        let horizon = lane.from.look_at_horizon().await.unwrap();
        assert_ne!(horizon, Horizon::Passed, "the change is still open");
    }
    run(changes.as_mut(), "commit").await;
    let mut looks = 0;
    while lane.from.look_at_horizon().await.unwrap() != Horizon::Passed {
        look_again(&mut looks, "nobody is left, yet the horizon does not pass").await;
    }
    lane.copy().await;
    ends_with_equal_addresses(&stage, &mut lane).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erased_address_is_not_missed_by_who_refers_to_it_just_then() {
    let stage = ready().await;
    let mut lane = stage.decided(&["1"]).await;
    lane.settle().await;
    let mut app = stage.app(End::Source).await;
    run(app.as_mut(), "begin; update users set home_id = 2 where id = 2").await;
    lane.erase().await;
    run(app.as_mut(), "commit").await;
    assert_eq!(app.rows("select street from addresses where id = 2").await, ["Work"]);
    // What was held stays loose, and is looked at again when there is time.
    run(app.as_mut(), "update users set home_id = null where id = 2").await;
    stage.source.rest(std::time::Duration::from_secs(60)).await.unwrap();
    let left = ["1", "4", "9"];
    assert_eq!(app.rows("select id from addresses order by id").await, left);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_held_while_its_people_are_erased_is_not_written_to() {
    let stage = ready().await;
    let mut lane = stage.decided(&["1"]).await;
    lane.settle().await;
    let mut app = stage.app(End::Source).await;
    run(app.as_mut(), "begin; select 1 from addresses where id = 2 for update").await;
    lane.erase().await;
    refused(app.as_mut(), "update addresses set street = 'late' where id = 2", &["DM001"]).await;
    run(app.as_mut(), "rollback").await;
    stage.source.rest(std::time::Duration::from_secs(60)).await.unwrap();
    assert_eq!(app.run("update addresses set street = 'late' where id = 2").await, Ok(0));
    // Nobody ever referred to this one.
    run(app.as_mut(), "update addresses set street = 'still empty' where id = 9").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_snapshot_gives_nobody_rows_whose_lines_it_may_not_see() {
    let stage = ready().await;
    let mut lane = stage.copied(&["1"]).await;
    let mut gives = stage.app(End::Source).await;
    run(gives.as_mut(), "begin isolation level repeatable read; select * from orders").await;
    let mut adds = stage.app(End::Source).await;
    run(adds.as_mut(), "insert into lines (id, order_id, gift_id) values (211, 21, 4)").await;
    refused(gives.as_mut(), "update orders set user_id = 1 where id = 21", &["40001"]).await;
    run(gives.as_mut(), "rollback").await;
    run(adds.as_mut(), "update orders set user_id = 1 where id = 21").await;
    ends_with_equal_addresses(&stage, &mut lane).await;
}
