//! What the application is told while somebody moves, has moved, or is about to arrive.

use super::support::{Bed, End, Stage, refused};

/// One write of each kind about person 1, on each table, in the usual world.
const WRITES: [&str; 12] = [
    "update users set city = 'late' where id = 1",
    "update users set id = 1001 where id = 1",
    "insert into posts (id, user_id, body) values (13, 1, 'late')",
    "update posts set body = 'late' where id = 11",
    "update posts set user_id = 2 where id = 12",
    "update posts set user_id = 1 where id = 21",
    "insert into comments (id, post_id, text) values (113, 11, 'late')",
    "update comments set text = 'late' where id = 111",
    "update comments set post_id = 21 where id = 111",
    "delete from comments where id = 111",
    "insert into likes (user_id, post_id) values (1, 101)",
    "delete from likes where user_id = 1",
];

pub(crate) async fn after_the_decision_every_write_is_refused<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    stage.decided(&["1"]).await;
    let before = stage.everything(End::Source).await;
    let mut app = stage.app(End::Source).await;
    for sql in WRITES.into_iter().chain(["delete from posts where id = 12"]) {
        let refusal = refused(app.as_mut(), sql, &["DM001"]).await;
        assert!(refusal.names(End::Target), "{sql}: {}", refusal.message);
    }
    assert_eq!(stage.everything(End::Source).await, before);
}

pub(crate) async fn the_others_write_on_after_a_decision<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    stage.decided(&["1"]).await;
    let mut app = stage.app(End::Source).await;
    for sql in [
        "update users set city = 'Galway' where id = 2",
        "insert into posts (id, user_id, body) values (22, 2, 'mine')",
        "insert into comments (id, post_id, text) values (221, 22, 'mine')",
        "update posts set user_id = 10 where id = 22",
        "insert into likes (user_id, post_id) values (2, 12)",
        "delete from likes where user_id = 2 and post_id = 12",
        "delete from posts where id = 22",
        "insert into users (id, handle) values (3, 'new')",
    ] {
        assert_eq!(app.run(sql).await, Ok(1), "{sql}");
    }
}

pub(crate) async fn while_arriving_the_target_refuses<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    let mut there = stage.app(End::Target).await;
    there.run("insert into users (id, handle) values (50, 'Res')").await.unwrap();
    let mut lane = stage.lane(&["1"]).await;
    lane.announce().await;
    for sql in [
        "insert into users (id, handle) values (1, 'squatter')",
        "insert into likes (user_id, post_id) values (1, 50)",
    ] {
        refused(there.as_mut(), sql, &["DM002"]).await;
    }
    lane.copy().await;
    let mut app = stage.app(End::Source).await;
    app.run("update users set city = 'goes on' where id = 1").await.unwrap();
    for sql in [
        "update users set city = 'early' where id = 1",
        "insert into posts (id, user_id) values (13, 1)",
        "update comments set text = 'early' where id = 111",
        "delete from comments where id = 111",
        "delete from posts where id = 12",
        "delete from likes where user_id = 1",
    ] {
        refused(there.as_mut(), sql, &["DM002"]).await;
    }
    for sql in [
        "update users set city = 'Berlin' where id = 50",
        "insert into posts (id, user_id) values (501, 50)",
        "insert into comments (id, post_id) values (5011, 501)",
        "insert into likes (user_id, post_id) values (50, 11)",
    ] {
        assert_eq!(there.run(sql).await, Ok(1), "{sql}");
    }
    let resident = stage.rows_of(End::Target, "50").await;
    lane.catch_up_and_decide().await;
    refused(there.as_mut(), "update users set city = 'early' where id = 1", &["DM002"]).await;
    assert_eq!(stage.rows_of(End::Target, "50").await, resident);
}

pub(crate) async fn after_settling_the_target_is_home<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    let mut lane = stage.decided(&["1"]).await;
    lane.settle().await;
    let mut there = stage.app(End::Target).await;
    for sql in [
        "update users set city = 'Berlin' where id = 1",
        "insert into posts (id, user_id) values (13, 1)",
        "delete from posts where id = 11",
        "insert into likes (user_id, post_id) values (1, 12)",
    ] {
        assert_eq!(there.run(sql).await, Ok(1), "{sql}");
    }
    let home = stage.rows_of(End::Target, "1").await;
    lane.settle().await;
    lane.erase().await;
    assert_eq!(stage.rows_of(End::Target, "1").await, home, "erasing is the source's affair");
}

pub(crate) async fn after_erasing_nobody_comes_back_by_accident<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    stage.carry(End::Source, &["1"]).await;
    let mut app = stage.app(End::Source).await;
    for sql in [
        "insert into users (id, handle) values (1, 'again')",
        "insert into likes (user_id, post_id) values (1, 21)",
        "update likes set user_id = 1 where user_id = 2",
    ] {
        let refusal = refused(app.as_mut(), sql, &["DM001"]).await;
        assert!(refusal.names(End::Target), "{sql}: {}", refusal.message);
    }
    for sql in [
        "insert into posts (id, user_id) values (13, 1)",
        "update posts set user_id = 1 where id = 21",
        "insert into comments (id, post_id) values (113, 11)",
    ] {
        refused(app.as_mut(), sql, &["DM001", "23503", "FOREIGN"]).await;
    }
    for sql in [
        "update users set city = 'nowhere' where id = 1",
        "update posts set body = 'nowhere' where user_id = 1",
        "delete from likes where user_id = 1",
    ] {
        assert_eq!(app.run(sql).await, Ok(0), "{sql}");
    }
    assert_eq!(stage.rows_of(End::Source, "1").await, Vec::<String>::new());
}

pub(crate) async fn a_statement_about_many_people_fails_whole<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    let mut lane = stage.decided(&["1"]).await;
    let mut app = stage.app(End::Source).await;
    let before = stage.everything(End::Source).await;
    refused(app.as_mut(), "update users set city = 'everywhere'", &["DM001"]).await;
    assert_eq!(stage.everything(End::Source).await, before, "not even the others");
    lane.settle().await;
    lane.erase().await;
    assert_eq!(app.run("update users set city = 'everywhere'").await, Ok(2));
}
