//! Rows that belong to nobody and travel with whoever refers to them.

use super::support::{App, Bed, End, Stage, World, refused};
use domicile_store::Kind;

/// Ada and Bob live at one address; Ada has an order to a second one, whose line goes to a third;
/// Eve lives alone.
pub(crate) const SHARED: World = World {
    schema: "
        create table addresses (id {id} primary key, street text, zip text);
        create table users (
            id {id} primary key, name text not null, home_id {id} references addresses (id));
        create table orders (
            id {id} primary key, user_id {id} not null references users (id),
            ship_id {id} references addresses (id) deferrable);
        create table lines (
            id {id} primary key, order_id {id} not null references orders (id) deferrable,
            gift_id {id} references addresses (id));
        create index users_by_home on users (home_id);
        create index orders_by_user on orders (user_id);
        create index lines_by_order on lines (order_id);",
    owned: &[
        ("users", None),
        ("orders", Some((&["user_id"], "users", &["id"], true))),
        ("lines", Some((&["order_id"], "orders", &["id"], true))),
    ],
    shared: &["addresses"],
    reference: &[],
    rows: "
        insert into addresses (id, street, zip) values
            (1, 'Main', '1'), (2, 'Work', null), (3, 'Gift', ''), (4, 'Alone', '4'), (9, 'Empty', null);
        insert into users (id, name, home_id) values (1, 'Ada', 1), (2, 'Bob', 1), (10, 'Eve', 4);
        insert into orders (id, user_id, ship_id) values (11, 1, 2), (12, 1, 1), (21, 2, null);
        insert into lines (id, order_id, gift_id) values (111, 11, 3), (112, 12, null);",
};

async fn ready<B: Bed>() -> Stage<B> {
    Stage::<B>::of(&SHARED).await
}

async fn addresses<B: Bed>(stage: &Stage<B>, end: End) -> Vec<String> {
    stage.app(end).await.rows("select id, street from addresses order by id").await
}

async fn run(app: &mut dyn App, sql: &str) {
    app.run(sql).await.unwrap_or_else(|refusal| panic!("{sql}: {refusal:?}"));
}

pub(crate) async fn an_address_goes_along_and_stays_for_who_stays<B: Bed>() {
    let stage = ready::<B>().await;
    let mut lane = stage.decided(&["1"]).await;
    assert_eq!(addresses(&stage, End::Target).await, ["1|Main", "2|Work", "3|Gift"]);
    lane.settle().await;
    assert_eq!(lane.erase().await, 1 + 2 + 2 + 2, "hers, and two addresses nobody else has");
    // Bob still lives at the first, and nobody ever referred to the last.
    assert_eq!(addresses(&stage, End::Source).await, ["1|Main", "4|Alone", "9|Empty"]);
}

pub(crate) async fn there_and_back_with_shared_rows_equals_the_start<B: Bed>() {
    let stage = ready::<B>().await;
    let before = addresses(&stage, End::Source).await;
    for (end, who) in [
        (End::Source, &["1", "2"][..]),
        (End::Source, &["10"]),
        (End::Target, &["10", "2"]),
        (End::Target, &["1"]),
    ] {
        stage.carry(end, who).await;
    }
    assert_eq!(addresses(&stage, End::Source).await, before);
    assert_eq!(addresses(&stage, End::Target).await, Vec::<String>::new());
    let mut app = stage.app(End::Source).await;
    assert_eq!(app.rows("select * from lines order by id").await, ["111|11|3", "112|12|∅"]);
}

pub(crate) async fn a_changed_address_is_shipped_for_who_refers_to_it<B: Bed>() {
    let stage = ready::<B>().await;
    let mut lane = stage.copied(&["1"]).await;
    let mut app = stage.app(End::Source).await;
    run(app.as_mut(), "update addresses set street = 'Nowhere' where id in (4, 9)").await;
    assert_eq!(lane.catch_up().await, 0, "they are nobody's who moves");
    for (sql, notes) in [
        ("update addresses set street = 'Main 2' where id = 1", 1),
        (
            "update addresses set zip = 'x' where id = 2; update addresses set zip = 'y' where id = 2",
            2,
        ),
        ("update addresses set street = 'By order' where id = 3", 1),
        (
            "insert into addresses (id, street) values (5, 'New'); update users set home_id = 5 where id = 1",
            1,
        ),
        ("update orders set ship_id = 4 where id = 11", 1),
    ] {
        run(app.as_mut(), sql).await;
        assert_eq!(lane.decide().await, ["touched"], "{sql}");
        assert_eq!(lane.catch_up().await, notes, "{sql}");
    }
    assert_eq!(lane.decide().await, ["decided"]);
    let there = addresses(&stage, End::Target).await;
    assert_eq!(there, ["1|Main 2", "3|By order", "4|Nowhere", "5|New"]);
}

pub(crate) async fn an_address_changed_again_for_who_moves_later<B: Bed>() {
    let stage = ready::<B>().await;
    stage.carry(End::Source, &["1"]).await;
    let mut app = stage.app(End::Source).await;
    run(app.as_mut(), "update addresses set street = 'Renamed' where id = 1").await;
    stage.carry(End::Source, &["2"]).await;
    assert_eq!(addresses(&stage, End::Target).await[0], "1|Renamed");
    assert_eq!(addresses(&stage, End::Source).await, ["4|Alone", "9|Empty"]);
}

pub(crate) async fn two_peoples_changes_stand_against_each_other<B: Bed>() {
    let stage = ready::<B>().await;
    stage.carry(End::Source, &["1"]).await;
    let mut there = stage.app(End::Target).await;
    run(there.as_mut(), "update addresses set street = 'Adas' where id = 1").await;
    let mut app = stage.app(End::Source).await;
    run(app.as_mut(), "update addresses set street = 'Bobs' where id = 1").await;
    let mut lane = stage.lane(&["2"]).await;
    lane.announce().await;
    let error = lane.try_to_copy().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Operator);
    assert!(error.to_string().contains("shared row"), "{error}");
    assert!(error.to_string().contains("addresses"), "{error}");
    assert_eq!(addresses(&stage, End::Target).await[0], "1|Adas");
    // Once both say the same, he moves.
    run(there.as_mut(), "update addresses set street = 'Bobs' where id = 1").await;
    lane.copy().await;
    lane.catch_up_and_decide().await;
    assert_eq!(addresses(&stage, End::Target).await[0], "1|Bobs");
}

pub(crate) async fn an_address_no_longer_used_does_not_stay_at_the_target<B: Bed>() {
    let stage = ready::<B>().await;
    let mut there = stage.app(End::Target).await;
    run(there.as_mut(), "insert into addresses values (3, 'Gift', '')").await;
    let mut lane = stage.copied(&["1"]).await;
    let mut app = stage.app(End::Source).await;
    run(app.as_mut(), "update orders set ship_id = null where user_id = 1").await;
    run(
        app.as_mut(),
        "update lines set gift_id = null where id = 111; delete from addresses where id = 2",
    )
    .await;
    lane.catch_up_and_decide().await;
    // The second was brought for her; the third stood there before.
    assert_eq!(addresses(&stage, End::Target).await, ["1|Main", "3|Gift"]);
}

pub(crate) async fn an_abandoned_arrival_takes_its_address_along<B: Bed>() {
    let stage = ready::<B>().await;
    stage.carry(End::Source, &["2"]).await;
    let mut lane = stage.copied(&["1"]).await;
    let (move_id, who) = (lane.leaving.move_id, lane.leaving.subjects.clone());
    lane.from.withdraw(move_id, &who).await.unwrap();
    lane.to.abandon(move_id, &who).await.unwrap();
    assert_eq!(addresses(&stage, End::Target).await, ["1|Main"], "where Bob lives now");
    stage.carry(End::Source, &["1"]).await;
    assert_eq!(addresses(&stage, End::Target).await, ["1|Main", "2|Work", "3|Gift"]);
}

pub(crate) async fn an_address_of_people_who_left_is_refused<B: Bed>() {
    let stage = ready::<B>().await;
    let mut there = stage.app(End::Target).await;
    let mut lane = stage.copied(&["1"]).await;
    refused(there.as_mut(), "update addresses set zip = 'x' where id = 2", &["DM002"]).await;
    assert_eq!(lane.decide().await, ["decided"]);
    let mut app = stage.app(End::Source).await;
    refused(app.as_mut(), "update addresses set zip = 'x' where id = 2", &["DM001"]).await;
    run(app.as_mut(), "update addresses set zip = 'his' where id = 1").await;
    lane.settle().await;
    run(there.as_mut(), "update addresses set zip = 'hers' where id = 1").await;
    lane.erase().await;
    assert_eq!(app.run("update addresses set zip = 'x' where id = 2").await, Ok(0));
}

pub(crate) async fn an_address_everybody_left_is_erased_and_no_other<B: Bed>() {
    let stage = ready::<B>().await;
    let mut lane = stage.decided(&["1", "2"]).await;
    lane.settle().await;
    let mut rows = 0;
    loop {
        let subjects = lane.leaving.subjects.clone();
        let erased = lane.from.erase(lane.leaving.move_id, &subjects, 1).await.unwrap();
        rows += erased.rows;
        if erased.finished {
            break;
        }
    }
    assert_eq!(rows, 2 + 3 + 2 + 3);
    assert_eq!(addresses(&stage, End::Source).await, ["4|Alone", "9|Empty"]);
}

pub(crate) async fn a_child_before_its_address_is_shipped_with_it<B: Bed>() {
    let stage = ready::<B>().await;
    let mut lane = stage.copied(&["1"]).await;
    let mut app = stage.app(End::Source).await;
    let deferred = if B::ID == "bigint" {
        "set constraints all deferred"
    } else {
        "pragma defer_foreign_keys = on"
    };
    run(
        app.as_mut(),
        &format!(
            "begin; {deferred};
             insert into orders (id, user_id, ship_id) values (13, 1, 7);
             insert into addresses (id, street) values (7, 'Late'); commit"
        ),
    )
    .await;
    lane.catch_up_and_decide().await;
    assert!(addresses(&stage, End::Target).await.contains(&"7|Late".to_owned()));
}

pub(crate) async fn copies_are_counted<B: Bed>() {
    let stage = ready::<B>().await;
    stage.carry(End::Source, &["1"]).await;
    let counts = |found: domicile_store::Finding| (found.shared[0].1, found.shared[0].2);
    assert_eq!(counts(stage.source.scan(&stage.closure).await.unwrap()), (3, 1));
    assert_eq!(counts(stage.target.scan(&stage.closure).await.unwrap()), (3, 0));
}
