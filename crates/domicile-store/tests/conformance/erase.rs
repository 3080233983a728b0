//! Erasing behind a decision.

use super::support::{Bed, End, Stage, World, people};
use domicile_model::{MoveId, State};

pub(crate) async fn in_bites_and_to_the_end<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    let mut lane = stage.decided(&["1", "2"]).await;
    lane.settle().await;
    let (who, move_id) = (people(&["1", "2"]), lane.leaving.move_id);
    let first = lane.from.erase(move_id, &who, 2).await.unwrap();
    assert!(first.rows > 0 && !first.finished, "{first:?}");
    let mut app = stage.app(End::Source).await;
    assert_eq!(app.rows("select count(*) from users").await, ["3"], "children first");
    let late = app.run("update users set city = 'late' where id = 1").await;
    assert!(late.unwrap_err().names(End::Target), "fenced until the end");
    let rest = lane.erase().await;
    assert_eq!(first.rows + rest, 7 + 4);
    assert_eq!(stage.everything(End::Source).await.len(), 3, "Eve's rows");
    assert_eq!(stage.gone_to(End::Source, "2").await.as_deref(), Some(End::Target.name()));
}

pub(crate) async fn never_before_the_decision<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    let before = stage.everything(End::Source).await;
    let mut lane = stage.copied(&["1"]).await;
    let who = people(&["1", "2", "404"]);
    for move_id in [lane.leaving.move_id, MoveId(999)] {
        let erased = lane.from.erase(move_id, &who, 1_000).await.unwrap();
        assert_eq!(erased.rows, 0);
    }
    assert_eq!(stage.everything(End::Source).await, before);
    assert_eq!(stage.states("1").await[0], Some(State::Moving));
    assert_eq!(stage.source.gone(&who).await.unwrap(), []);
    assert_eq!(lane.decide().await, ["decided"]);
    lane.from.erase(MoveId(999), &people(&["1"]), 1_000).await.unwrap();
    assert_eq!(stage.everything(End::Source).await, before);
}

/// Replies to other people's posts; the database would delete them along with the post.
const REPLIES: World = World {
    schema: "
        create table users (id {id} primary key, city text);
        create table posts (
            id {id} primary key, user_id {id} not null references users (id),
            reply_to {id} references posts (id) on delete cascade);",
    owned: &[("users", None), ("posts", Some((&["user_id"], "users", &["id"], true)))],
    shared: &[],
    reference: &[],
    rows: "
        insert into users values (1, 'Dublin'), (2, 'Cork');
        insert into posts values (11, 1, null), (12, 1, 11);",
};

pub(crate) async fn never_a_row_of_somebody_else<B: Bed>() {
    let stage = Stage::<B>::of(&REPLIES).await;
    let mut lane = stage.copied(&["1"]).await;
    let mut app = stage.app(End::Source).await;
    app.run("insert into posts values (21, 2, 11)").await.unwrap();
    lane.catch_up_and_decide().await;
    lane.settle().await;
    let (ada, move_id) = (people(&["1"]), lane.leaving.move_id);
    let erased = lane.from.erase(move_id, &ada, 1_000).await;
    assert!(erased.is_err(), "somebody must decide what becomes of Bob's reply: {erased:?}");
    assert_eq!(app.rows("select * from posts where user_id = 2").await, ["21|2|11"]);
    assert_eq!(stage.states("1").await[0], Some(State::Moved), "and the fences still stand");

    app.run("update posts set reply_to = null where id = 21").await.unwrap();
    lane.erase().await;
    assert_eq!(app.rows("select * from posts").await, ["21|2|∅"]);
}
