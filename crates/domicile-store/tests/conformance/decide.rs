//! The decision: when it is taken, and when it is not.

use super::support::{App, Bed, End, Refusal, Stage, look_again, people};
use domicile_model::{MoveId, State};
use domicile_store::Outcome;

pub(crate) async fn what_was_touched_since_must_be_shipped_first<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    let mut lane = stage.copied(&["1", "2"]).await;
    let mut app = stage.app(End::Source).await;
    app.run("update posts set body = 'late' where id = 21").await.unwrap();
    assert_eq!(lane.decide().await, ["decided", "touched"], "one by one");
    app.run("update posts set body = 'later' where id = 21").await.unwrap();
    lane.leaving.subjects = people(&["2"]);
    lane.catch_up_and_decide().await;
    let mut there = stage.app(End::Target).await;
    assert_eq!(there.rows("select body from posts where id = 21").await, ["later"]);
}

pub(crate) async fn an_open_write_is_waited_for_elsewhere<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    let mut lane = stage.copied(&["1"]).await;
    let mut app = stage.app(End::Source).await;
    for write in [
        "update users set city = 'open' where id = 1",
        "delete from comments where id = 111",
        "insert into likes (user_id, post_id) values (1, 101)",
    ] {
        app.run(&format!("begin; {write}")).await.unwrap();
        assert_eq!(lane.decide().await, ["busy"], "{write}");
        assert_eq!(stage.states("1").await[0], Some(State::Moving));
        app.run("rollback").await.unwrap();
    }
    app.run("begin; update users set city = 'open' where id = 1").await.unwrap();
    assert_eq!(lane.decide().await, ["busy"]);
    app.run("commit").await.unwrap();
    assert_eq!(lane.decide().await, ["touched"]);
    lane.catch_up_and_decide().await;
    let mut there = stage.app(End::Target).await;
    assert_eq!(there.rows("select city from users where id = 1").await, ["open"]);
}

pub(crate) async fn a_dropped_fence_stops_the_decision<B: Bed>() {
    for table in ["users", "comments", "likes"] {
        let stage = Stage::<B>::ready().await;
        let mut lane = stage.copied(&["1"]).await;
        stage.bed.drop_fence(End::Source, table).await;
        assert_eq!(lane.decide().await, ["schema changed"], "{table}");
        assert_eq!(stage.states("1").await[0], Some(State::Moving));
    }
}

pub(crate) async fn a_new_column_stops_the_decision<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    let mut lane = stage.copied(&["1"]).await;
    let mut app = stage.app(End::Source).await;
    app.run("alter table posts add column mood text default 'fine'").await.unwrap();
    assert_eq!(lane.decide().await, ["schema changed"]);
}

pub(crate) async fn nobody_is_decided_under_another_move<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    let mut lane = stage.copied(&["1"]).await;
    let others = lane.from.decide(MoveId(999), &people(&["1"])).await.unwrap();
    assert_eq!(others[0].outcome, Outcome::NotOurs);
    let strangers = people(&["1", "2", "404"]);
    let decisions = lane.from.decide(lane.leaving.move_id, &strangers).await.unwrap();
    assert!(matches!(decisions[0].outcome, Outcome::Decided(_)), "{decisions:?}");
    assert_eq!([decisions[1].outcome, decisions[2].outcome], [Outcome::NotOurs; 2]);
    assert_eq!(stage.states("2").await, [None, None]);
}

pub(crate) async fn closing_makes_writers_wait_until_reopened<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    let mut lane = stage.copied(&["1"]).await;
    let (move_id, ada) = (lane.leaving.move_id, lane.leaving.subjects[0].clone());
    lane.from.close(move_id, &ada).await.unwrap();
    assert_eq!(stage.states("1").await[0], Some(State::Closing));
    let writer = writer(stage.app(End::Source).await, "update users set city = 'w' where id = 1");
    assert!(waits(&writer).await, "a new writer waits");
    lane.from.reopen(move_id, &ada).await.unwrap();
    assert_eq!(writer.await.unwrap(), Ok(1));
    assert_eq!(stage.states("1").await[0], Some(State::Moving));

    lane.catch_up().await;
    lane.from.close(move_id, &ada).await.unwrap();
    let writer = self::writer(stage.app(End::Source).await, "delete from likes where user_id = 1");
    assert!(waits(&writer).await, "a new writer waits");
    assert_eq!(lane.decide().await, ["decided"]);
    lane.from.reopen(move_id, &ada).await.unwrap();
    assert!(writer.await.unwrap().unwrap_err().names(End::Target));
    assert_eq!(stage.states("1").await[0], Some(State::Moved));
}

pub(crate) async fn closing_ends_with_the_departure<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    let mut lane = stage.copied(&["1"]).await;
    let (move_id, ada) = (lane.leaving.move_id, lane.leaving.subjects[0].clone());
    lane.from.close(move_id, &ada).await.unwrap();
    let writer = writer(stage.app(End::Source).await, "update users set city = 'w' where id = 1");
    assert!(waits(&writer).await, "a new writer waits");
    lane.from = stage.source.departure(stage.closure.clone()).await.unwrap();
    assert_eq!(writer.await.unwrap(), Ok(1), "the mover is gone, life goes on");
    assert_eq!(lane.decide().await, ["touched"], "and what was written is noted");
    lane.catch_up_and_decide().await;
}

pub(crate) async fn a_hot_writer_loses_nothing<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    let mut lane = stage.copied(&["1"]).await;
    let (move_id, ada) = (lane.leaving.move_id, lane.leaving.subjects[0].clone());
    let writer = tokio::spawn(write_until_refused(stage.app(End::Source).await));
    let mut looks = 0;
    while lane.catch_up().await == 0 {
        look_again(&mut looks, "the writer never begins").await;
    }
    lane.from.close(move_id, &ada).await.unwrap();
    lane.catch_up_and_decide().await;
    lane.from.reopen(move_id, &ada).await.unwrap();
    let acknowledged = writer.await.unwrap();
    lane.settle().await;
    let mut there = stage.app(End::Target).await;
    let note = there.rows("select note from users where id = 1").await;
    assert_eq!(note, [acknowledged.to_string()], "the last acknowledged write came along");
}

/// Counts up in one column until the new home is named; the last number that was acknowledged.
async fn write_until_refused(mut app: Box<dyn App>) -> u64 {
    let mut acknowledged = 0;
    loop {
        let next = acknowledged + 1;
        match app.run(&format!("update users set note = '{next}' where id = 1")).await {
            Ok(rows) => {
                assert_eq!(rows, 1);
                acknowledged = next;
            }
            Err(refusal) if refusal.names(End::Target) => return acknowledged,
            // SQLite: the file was locked for too long; nothing was acknowledged.
            Err(refusal) if refusal.code == "database" => {}
            Err(refusal) => panic!("{refusal:?}"),
        }
    }
}

type Writer = tokio::task::JoinHandle<Result<u64, Refusal>>;

fn writer(mut app: Box<dyn App>, sql: &'static str) -> Writer {
    tokio::spawn(async move { app.run(sql).await })
}

/// Whether a writer is still waiting after a good many looks.
async fn waits(writer: &Writer) -> bool {
    let mut looks = 0;
    while !writer.is_finished() && looks < 30 {
        look_again(&mut looks, "bounded above").await;
    }
    !writer.is_finished()
}
