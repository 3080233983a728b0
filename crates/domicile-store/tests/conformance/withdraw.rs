//! Taking an announcement back.

use super::support::{Bed, End, Stage, people};
use domicile_model::State;
use domicile_store::Outcome;

pub(crate) async fn writes_go_on_and_the_target_is_empty<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    let mut lane = stage.copied(&["1", "2"]).await;
    let move_id = lane.leaving.move_id;
    let ada = people(&["1"]);
    for time in ["first", "again"] {
        assert!(lane.from.withdraw(move_id, &ada).await.is_ok(), "{time}");
        lane.to.abandon(move_id, &ada).await.unwrap();
    }
    let [source, target] = stage.states("1").await;
    assert!(matches!(source, None | Some(State::Withdrawn)), "{source:?}");
    assert_eq!(target, None);
    assert_eq!(stage.rows_of(End::Target, "1").await, Vec::<String>::new());
    assert_eq!(stage.rows_of(End::Target, "2").await, stage.rows_of(End::Source, "2").await);

    let mut app = stage.app(End::Source).await;
    assert_eq!(app.run("update users set city = 'stays' where id = 1").await, Ok(1));
    assert_eq!(app.run("delete from posts where id = 11").await, Ok(1));
    assert_eq!(lane.decide().await, ["not ours", "decided"]);
    assert_eq!(app.run("delete from posts where id = 12").await, Ok(1));
}

pub(crate) async fn announced_again_after_a_withdrawal<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    let mut first = stage.copied(&["1"]).await;
    let (ada, move_id) = (people(&["1"]), first.leaving.move_id);
    let mut app = stage.app(End::Source).await;
    app.run("update posts set body = 'noted under the first' where id = 11").await.unwrap();
    assert_eq!(first.from.withdraw(move_id, &ada).await.unwrap(), ada);
    first.to.abandon(move_id, &ada).await.unwrap();
    app.run("update posts set body = 'between' where id = 12").await.unwrap();

    let mut second = stage.copied(&["1"]).await;
    let late = first.from.decide(move_id, &ada).await.unwrap();
    assert_eq!(late[0].outcome, Outcome::NotOurs, "the first move has no say any more");
    assert_eq!(first.from.withdraw(move_id, &ada).await.unwrap(), []);
    first.to.abandon(move_id, &ada).await.unwrap();
    app.run("update posts set body = 'under the second' where id = 11").await.unwrap();
    let hers = stage.rows_of(End::Source, "1").await;
    second.catch_up_and_decide().await;
    second.settle().await;
    second.erase().await;
    assert_eq!(stage.rows_of(End::Target, "1").await, hers);
}

pub(crate) async fn a_decided_move_is_never_withdrawn<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    let mut lane = stage.decided(&["1"]).await;
    let (ada, move_id) = (people(&["1"]), lane.leaving.move_id);
    assert_eq!(lane.from.withdraw(move_id, &ada).await.unwrap(), []);
    assert_eq!(stage.states("1").await[0], Some(State::Moved));
    lane.settle().await;
    let home = stage.rows_of(End::Target, "1").await;
    lane.to.abandon(move_id, &ada).await.unwrap();
    assert_eq!(stage.rows_of(End::Target, "1").await, home, "who is resident is not abandoned");
    assert_eq!(stage.states("1").await[1], Some(State::Resident));
}

pub(crate) async fn abandoning_spares_everybody_else<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    let mut there = stage.app(End::Target).await;
    there.run("insert into users (id, handle) values (50, 'Res')").await.unwrap();
    let mut lane = stage.copied(&["1"]).await;
    there.run("insert into likes (user_id, post_id) values (50, 11)").await.unwrap();
    let resident = stage.rows_of(End::Target, "50").await;
    lane.from.withdraw(lane.leaving.move_id, &lane.leaving.subjects).await.unwrap();
    lane.to.abandon(lane.leaving.move_id, &lane.leaving.subjects).await.unwrap();
    assert_eq!(stage.everything(End::Target).await, resident);
}
