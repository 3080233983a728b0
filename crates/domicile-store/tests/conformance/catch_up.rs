//! What people write about themselves while they move.

use super::support::{Bed, End, Stage, people};
use domicile_store::Extent;

/// Copies person 1, lets the application write, catches up and ends the move. What stands at the
/// target then must be what the source showed before the decision.
async fn while_moving<B: Bed>(writes: &[&str]) -> Stage<B> {
    let stage = Stage::<B>::ready().await;
    let mut lane = stage.copied(&["1"]).await;
    let mut app = stage.app(End::Source).await;
    for sql in writes {
        app.run(sql).await.unwrap_or_else(|refusal| panic!("{sql}: {refusal:?}"));
        assert_eq!(lane.decide().await, ["touched"], "{sql}");
    }
    let (hers, all) = (stage.rows_of(End::Source, "1").await, stage.everything(End::Source).await);
    lane.catch_up_and_decide().await;
    lane.settle().await;
    lane.erase().await;
    assert_eq!(stage.rows_of(End::Target, "1").await, hers);
    assert_eq!(stage.everything(End::Target).await, hers, "nothing else came along");
    let mut now = [stage.everything(End::Source).await, hers].concat();
    let mut then = all;
    now.sort();
    then.sort();
    assert_eq!(now, then, "nothing is lost and nothing is doubled");
    stage
}

pub(crate) async fn nothing_touched_is_nothing_to_ship<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    let mut lane = stage.copied(&["1"]).await;
    assert_eq!(lane.catch_up().await, 0);
    assert_eq!(lane.decide().await, ["decided"]);
}

pub(crate) async fn inserts_updates_and_deletes_are_shipped<B: Bed>() {
    while_moving::<B>(&[
        "insert into posts (id, user_id, body) values (13, 1, 'new')",
        "insert into comments (id, post_id, text) values (131, 13, 'below the new one')",
        "update users set city = 'Kerry', badge_id = null where id = 1",
        "update comments set text = '' where id = 112",
        "delete from likes where user_id = 1",
        "insert into likes (user_id, post_id) values (1, 11), (1, 12)",
        "delete from comments where id = 111",
        "update posts set body = null where id = 12; update posts set body = 'again' where id = 12",
        "insert into posts (id, user_id) values (14, 1); delete from posts where id = 14",
    ])
    .await;
}

pub(crate) async fn a_post_deleted_with_its_comments<B: Bed>() {
    let stage = while_moving::<B>(&["delete from posts where id = 11"]).await;
    let mut there = stage.app(End::Target).await;
    assert_eq!(there.rows("select id from comments order by id").await, ["121"]);
}

pub(crate) async fn a_comment_moved_to_another_post<B: Bed>() {
    while_moving::<B>(&[
        "update comments set post_id = 12 where id = 111",
        "update comments set post_id = 21 where id = 112",
        "update comments set post_id = 11 where id = 211",
    ])
    .await;
}

pub(crate) async fn a_changed_key_takes_its_comments_along<B: Bed>() {
    while_moving::<B>(&[
        "begin; insert into posts (id, user_id, body) values (19, 1, 'new key');
         update comments set post_id = 19 where post_id = 11; delete from posts where id = 11; commit",
        "update comments set id = 999 where id = 121",
        "update likes set post_id = 101 where user_id = 1",
    ])
    .await;
}

pub(crate) async fn an_account_deleted_while_moving<B: Bed>() {
    let stage = while_moving::<B>(&["begin; delete from posts where user_id = 1;
        delete from likes where user_id = 1; delete from users where id = 1; commit"])
    .await;
    assert_eq!(stage.everything(End::Target).await, Vec::<String>::new());
}

pub(crate) async fn a_rolled_back_write_leaves_no_note<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    let mut lane = stage.copied(&["1"]).await;
    let mut app = stage.app(End::Source).await;
    app.run("begin; delete from posts where user_id = 1; rollback").await.unwrap();
    assert_eq!(lane.decide().await, ["decided"]);
}

pub(crate) async fn writes_about_others_are_not_noted<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    let mut lane = stage.copied(&["1"]).await;
    let mut app = stage.app(End::Source).await;
    app.run("update users set city = 'Galway' where id = 2").await.unwrap();
    app.run("insert into posts (id, user_id) values (22, 2)").await.unwrap();
    app.run("insert into comments (id, post_id) values (221, 22)").await.unwrap();
    app.run("insert into likes (user_id, post_id) values (2, 12)").await.unwrap();
    app.run("update badges set name = 'renamed' where id = 7").await.unwrap();
    assert_eq!(lane.from.open_snapshot(&people(&["1"])).await.unwrap(), []);
    lane.from.close_snapshot().await.unwrap();
    assert_eq!(lane.decide().await, ["decided"]);
}

pub(crate) async fn notes_are_forgotten_by_exact_number<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    let mut lane = stage.copied(&["1"]).await;
    let mut app = stage.app(End::Source).await;
    for id in [11, 12] {
        app.run(&format!("update posts set body = 'x' where id = {id}")).await.unwrap();
    }
    let mut keys = Vec::new();
    let notes = lane.from.open_snapshot(&people(&["1"])).await.unwrap();
    for note in &notes {
        assert_eq!((note.subject.as_str(), note.table), ("1", 1));
        keys.extend(note.key.clone());
    }
    lane.from.close_snapshot().await.unwrap();
    keys.dedup();
    assert_eq!(keys, ["11", "12"]);

    // The later note goes; the earlier one must still stop the decision.
    let (last, rest) = notes.split_last().unwrap();
    lane.from.forget(&[last.seq]).await.unwrap();
    assert_eq!(lane.from.open_snapshot(&people(&["1"])).await.unwrap(), rest);
    lane.from.close_snapshot().await.unwrap();
    assert_eq!(lane.decide().await, ["touched"]);
}

pub(crate) async fn a_write_before_the_copy_is_in_the_copy<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    let mut lane = stage.lane(&["1"]).await;
    lane.announce().await;
    let mut app = stage.app(End::Source).await;
    app.run("insert into posts (id, user_id, body) values (13, 1, 'early')").await.unwrap();
    assert_eq!(lane.decide().await, ["touched"], "noted from the announcement on");
    lane.copy().await;
    assert_eq!(stage.rows_of(End::Target, "1").await, stage.rows_of(End::Source, "1").await);
    assert_eq!(lane.decide().await, ["decided"]);
}

pub(crate) async fn a_change_of_values_ships_the_row_alone<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    let mut lane = stage.copied(&["1"]).await;
    let mut app = stage.app(End::Source).await;
    app.run("update users set note = 'seen today' where id = 1").await.unwrap();
    let notes = lane.from.open_snapshot(&people(&["1"])).await.unwrap();
    assert_eq!(notes.iter().map(|note| note.below).collect::<Vec<_>>(), [false]);
    lane.from.select(&Extent::Touched(notes)).await.unwrap();
    let rows: u64 = lane.from.digests().await.unwrap().iter().map(|digest| digest.rows).sum();
    assert_eq!(rows, 1, "not everything that hangs from the person");
    lane.from.close_snapshot().await.unwrap();
    lane.catch_up_and_decide().await;
    lane.settle().await;
    let mut there = stage.app(End::Target).await;
    assert_eq!(there.rows("select note from users where id = 1").await, ["seen today"]);
    assert!(!there.rows("select id from posts where user_id = 1").await.is_empty());
}
