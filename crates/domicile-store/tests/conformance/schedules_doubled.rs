//! Schedules that doubled or destroyed rows, or gave somebody two homes, and the one that is
//! silently ignored.

use crate::conformance::support::{
    App, Bed, End, Refusal, World, drain, pass_source, people, refused,
};
use crate::schedules::{PostgresStage, await_waiters, stage_of, world_with};
use domicile_model::State;
use domicile_store::{Extent, Horizon, Kind};
use domicile_testkit::connect;
use std::time::Duration;

/// A like is its giver's, has a foreign key to a post, and goes with it. None crosses people yet.
fn likes_with_a_key() -> World {
    let key = "post_id {id} not null references posts (id) on delete cascade, primary key";
    let plain = "post_id {id} not null, primary key";
    world_with((plain, key), ("(1, 21), (2, 11), (10, 11)", "(1, 11)"))
}

const LIKES: &str = "select * from likes where user_id = 2";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attack_18_an_erasure_leaves_what_is_liked_meanwhile_and_spares_the_like() {
    let stage = stage_of(&likes_with_a_key()).await;
    let mut lane = stage.decided(&["1"]).await;
    lane.settle().await;
    let mut other = stage.app(End::Source).await;
    other.run("begin; insert into likes values (2, 11)").await.unwrap();
    let (who, move_id) = (people(&["1"]), lane.leaving.move_id);
    let erased = lane.from.erase(move_id, &who, 1_000).await.unwrap();
    assert!(!erased.finished, "the post is held");
    other.run("commit").await.unwrap();
    let erased = lane.from.erase(move_id, &who, 1_000).await;
    assert_eq!(erased.unwrap_err().kind(), Kind::Operator);
    assert_eq!(other.rows(LIKES).await, ["2|11"]);
    assert_eq!(stage.states("1").await[0], Some(State::Moved));
    other.run("delete from likes where user_id = 2").await.unwrap();
    lane.erase().await;
    assert_eq!(stage.rows_of(End::Source, "1").await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attack_18_a_cascade_in_the_movers_own_session_raises() {
    let stage = stage_of(&likes_with_a_key()).await;
    let _lane = stage.decided(&["1"]).await;
    let mut other = stage.app(End::Source).await;
    other.run("insert into likes values (2, 11)").await.unwrap();
    // Foreign keys are set aside in the mover's sessions; a trigger that is always on is not.
    let cascade = "create function unlike() returns trigger language plpgsql as
            $$ begin delete from likes where post_id = old.id; return old; end $$;
        create trigger unlike before delete on posts for each row execute function unlike();
        alter table posts enable always trigger unlike";
    stage.bed.plant(End::Source, cascade).await;
    let mover = connect(&stage.bed.database(End::Source).mover_url).await.unwrap();
    let as_it_does = "set session_replication_role = replica; set domicile.mover = 'on'";
    mover.batch_execute(as_it_does).await.unwrap();
    for sql in ["delete from likes where user_id = 1", "delete from posts where id = 11"] {
        let error = mover.batch_execute(sql).await.err();
        let code = error.as_ref().and_then(|e| e.code()).map(|code| code.code());
        assert_eq!(code, sql.contains("posts").then_some("DM003"), "{sql}");
    }
    assert_eq!(other.rows(LIKES).await, ["2|11"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attack_19_an_erasure_retried_after_the_person_came_back_deletes_nothing() {
    let stage = PostgresStage::ready().await;
    let who = people(&["1"]);
    let first = stage.carry(End::Source, &["1"]).await;
    stage.carry(End::Target, &["1"]).await;
    let hers = stage.rows_of(End::Source, "1").await;
    let mut late = stage.source.departure(stage.closure.clone()).await.unwrap();
    assert_eq!(late.erase(first, &who, 1_000).await.unwrap().rows, 0, "at home again");
    let mut lane = stage.decided(&["1"]).await;
    assert_eq!(late.erase(first, &who, 1_000).await.unwrap().rows, 0, "gone under another move");
    assert_eq!(stage.rows_of(End::Source, "1").await, hers);
    lane.settle().await;
    assert!(lane.erase().await > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attack_20_an_erasure_and_a_late_writer_who_holds_a_row_make_no_deadlock() {
    let stage = PostgresStage::ready().await;
    let mut lane = stage.decided(&["1"]).await;
    lane.settle().await;
    let holder = connect(&stage.bed.database(End::Source).superuser_url).await.unwrap();
    let mut writer = stage.app(End::Source).await;
    // The erasure has deleted everything and waits; whoever is late is told at once, and holds up
    // nobody with what they hold of others.
    holder.batch_execute("begin; lock table domicile.gone in share mode").await.unwrap();
    writer.run("begin; select 1 from users where id = 2 for update").await.unwrap();
    let meanwhile = async {
        await_waiters(&stage, End::Source, 1).await;
        let late = "insert into likes values (1, 77)";
        let late = refused(writer.as_mut(), late, &["DM001"]);
        tokio::time::timeout(Duration::from_secs(10), late).await.expect("it waits");
        writer.run("rollback").await.unwrap();
        holder.batch_execute("rollback").await.unwrap();
    };
    let (rows, ()) = tokio::join!(lane.erase(), meanwhile);
    assert_eq!(rows, 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attack_21_a_late_settling_makes_no_second_home() {
    let stage = PostgresStage::ready().await;
    let mut lane = stage.decided(&["1"]).await;
    lane.settle().await;
    lane.erase().await;
    let mut back = stage.lane_from(End::Target, &["1"]).await;
    back.announce().await;
    back.copy().await;
    assert_eq!(back.decide().await, ["decided"]);
    let mut there = stage.app(End::Target).await;
    for time in ["decided", "settled", "erased"] {
        lane.settle().await;
        let late = "insert into likes values (1, 77)";
        refused(there.as_mut(), late, &["DM001"]).await;
        match time {
            "decided" => back.settle().await,
            _ => drop(back.erase().await),
        }
    }
    let [source, target] = stage.states("1").await;
    assert_eq!((source, target), (Some(State::Resident), None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attack_24_a_stray_at_the_target_is_waited_for_and_noticed() {
    let stage = PostgresStage::ready().await;
    let mut there = stage.app(End::Target).await;
    there.run("begin; insert into likes values (1, 50)").await.unwrap();
    let mut lane = stage.lane(&["1"]).await;
    lane.from.announce(&lane.leaving).await.unwrap();
    lane.to.expect(&lane.coming).await.unwrap();
    pass_source(lane.from.as_mut()).await;
    lane.to.start_horizon().await.unwrap();
    for _ in 0..5 {
        let looked = lane.to.look_at_horizon().await.unwrap();
        assert_ne!(looked, Horizon::Passed, "a stray is still under way");
    }
    there.run("commit").await.unwrap();
    crate::conformance::support::pass_target(lane.to.as_mut()).await;
    // The copy is compared with what stands there, and is not committed.
    let who = people(&["1"]);
    let everything = Extent::People(who.clone());
    lane.to.mark().await.unwrap();
    lane.from.open_snapshot(&who).await.unwrap();
    lane.from.select(&everything).await.unwrap();
    lane.to.begin(&lane.coming, &everything).await.unwrap();
    for table in lane.tables.clone() {
        let rows = drain(lane.from.export(table).await.unwrap()).await.unwrap();
        let rows = futures_util::stream::iter(rows.into_iter().map(Ok));
        lane.to.import(table, Box::pin(rows)).await.unwrap();
    }
    let [left, here] = [lane.from.digests().await.unwrap(), lane.to.digests().await.unwrap()];
    assert_ne!(left, here, "one row too many stands at the target");
    lane.to.roll_back().await.unwrap();
    lane.from.withdraw(lane.leaving.move_id, &who).await.unwrap();
    lane.to.abandon(lane.leaving.move_id, &who).await.unwrap();
    assert_eq!(stage.everything(End::Target).await, ["likes: 1|50"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attack_25_a_withdrawal_spares_a_residents_like() {
    let stage = stage_of(&likes_with_a_key()).await;
    stage.carry(End::Source, &["2"]).await;
    let mut lane = stage.copied(&["1"]).await;
    let mut there = stage.app(End::Target).await;
    assert_eq!(there.run("insert into likes values (2, 11)").await, Ok(1));
    let (who, move_id) = (people(&["1"]), lane.leaving.move_id);
    lane.from.withdraw(move_id, &who).await.unwrap();
    let abandoned = lane.to.abandon(move_id, &who).await;
    assert_eq!(abandoned.unwrap_err().kind(), Kind::Operator, "somebody must decide");
    assert_eq!(there.rows(LIKES).await, ["2|11"]);
    there.run("delete from likes where user_id = 2").await.unwrap();
    lane.to.abandon(move_id, &who).await.unwrap();
    let bobs = stage.rows_of(End::Target, "2").await;
    assert_eq!(stage.everything(End::Target).await, bobs);
}

type Wrote = (Box<dyn App>, Result<u64, Refusal>);

fn spawn(mut app: Box<dyn App>, sql: &'static str) -> tokio::task::JoinHandle<Wrote> {
    tokio::spawn(async move {
        let wrote = app.run(sql).await;
        (app, wrote)
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attack_26_an_update_that_waited_for_the_erasure_matches_nothing() {
    let stage = PostgresStage::ready().await;
    let mut lane = stage.decided(&["1"]).await;
    lane.settle().await;
    let holder = connect(&stage.bed.database(End::Source).superuser_url).await.unwrap();
    let mut older = stage.app(End::Source).await;
    // The erasure has deleted all rows when it has to wait for this table.
    holder.batch_execute("begin; lock table domicile.gone in share mode").await.unwrap();
    older.run("begin isolation level repeatable read; select * from users").await.unwrap();
    let newer = stage.app(End::Source).await;
    let meanwhile = async {
        await_waiters(&stage, End::Source, 1).await;
        let newer = spawn(newer, "update comments set text = 'late' where id = 111");
        let older = spawn(older, "update comments set text = 'late' where id = 112");
        await_waiters(&stage, End::Source, 3).await;
        holder.batch_execute("rollback").await.unwrap();
        (newer.await.unwrap(), older.await.unwrap())
    };
    let (rows, ((mut newer, matched), (_, told))) = tokio::join!(lane.erase(), meanwhile);
    assert_eq!((rows, matched), (7, Ok(0)), "no trigger can know whom it meant");
    assert_eq!(told.unwrap_err().code, "40001");
    for sql in ["update users set note = 'x' where id = 1", "delete from posts where user_id = 1"] {
        assert_eq!(newer.run(sql).await, Ok(0), "{sql}");
    }
    let locked = newer.rows("select id from comments where id = 111 for update").await;
    assert_eq!(locked, Vec::<String>::new());
    refused(newer.as_mut(), "insert into likes values (1, 21)", &["DM001"]).await;
}
