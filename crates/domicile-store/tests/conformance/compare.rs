//! Digests, and what stands in the way of a copy.

use super::support::{Bed, End, Lane, Stage, WORLD, broken, drain, people};
use domicile_store::{Error, Extent, Kind};

pub(crate) async fn digests_tell_what_looks_alike<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    let mut lane = stage.lane(&["1"]).await;
    lane.announce().await;
    let mut app = stage.app(End::Source).await;
    let mut seen = Vec::new();
    for values in [
        "city = null, note = null",
        "city = null, note = ''",
        "city = '', note = null",
        "city = '', note = ''",
        "city = 'a', note = ''",
        "city = '', note = 'a'",
        "city = 'a ', note = ''",
        "city = 'a', note = ' '",
        "city = 'A', note = ''",
        "city = 'ab', note = 'c'",
        "city = 'a', note = 'bc'",
        "city = 'null', note = 'NULL'",
        "city = '\\N', note = ''",
        "city = 'é', note = ''",
        "city = 'e\u{301}', note = ''",
        "city = 'a\t', note = ''",
        "city = 'a', note = '\t'",
    ] {
        app.run(&format!("update users set {values} where id = 1")).await.unwrap();
        let digest = lane.digest("1").await;
        assert_eq!(digest, lane.digest("1").await, "{values}: the same rows, another digest");
        let twin = seen.iter().find(|(_, other)| *other == digest);
        assert_eq!(twin.map(|(other, _)| *other), None, "{values}");
        seen.push((values, digest));
    }
}

pub(crate) async fn digests_do_not_depend_on_the_way_rows_came<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    let mut lane = stage.lane(&["1", "2"]).await;
    lane.announce().await;
    let before = lane.digest("1").await;
    let counts: Vec<_> = before.iter().map(|digest| (digest.table, digest.rows)).collect();
    assert_eq!(counts, [(0, 1), (1, 2), (2, 3), (3, 1)]);

    let mut app = stage.app(End::Source).await;
    app.run("delete from comments where id in (111, 112)").await.unwrap();
    assert_ne!(lane.digest("1").await, before);
    app.run("insert into comments values (112, 11, null), (111, 11, 'one')").await.unwrap();
    assert_eq!(lane.digest("1").await, before, "rows stored in another order");
    app.run("update comments set text = 'changed' where id = 211").await.unwrap();
    assert_eq!(lane.digest("1").await, before, "somebody else's rows");
}

/// The application writes between the tables of a copy: the copy is of one moment.
pub(crate) async fn rows_of_all_tables_are_read_in_one_snapshot<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    let mut lane = stage.lane(&["1"]).await;
    lane.announce().await;
    let before = stage.rows_of(End::Source, "1").await;
    let mut app = stage.app(End::Source).await;
    let extent = Extent::People(lane.leaving.subjects.clone());
    lane.from.open_snapshot(&lane.leaving.subjects).await.unwrap();
    lane.from.select(&extent).await.unwrap();
    lane.to.begin(&lane.coming, &extent).await.unwrap();
    for table in lane.tables.clone() {
        let rows = lane.from.export(table).await.unwrap();
        lane.to.import(table, rows).await.unwrap();
        app.run(&format!("insert into posts (id, user_id, body) values (7{table}, 1, 'late')"))
            .await
            .unwrap();
        app.run("update comments set text = text || 'r'").await.unwrap();
    }
    lane.to.commit().await.unwrap();
    lane.from.close_snapshot().await.unwrap();
    assert_eq!(stage.rows_of(End::Target, "1").await, before);
    lane.catch_up_and_decide().await;
    assert_eq!(stage.rows_of(End::Target, "1").await, stage.rows_of(End::Source, "1").await);
}

/// Copies tables one after the other until one is refused.
async fn import_until_refused(lane: &mut Lane) -> Option<Error> {
    let extent = Extent::People(lane.leaving.subjects.clone());
    lane.from.open_snapshot(&lane.leaving.subjects).await.unwrap();
    lane.from.select(&extent).await.unwrap();
    lane.to.begin(&lane.coming, &extent).await.unwrap();
    for table in lane.tables.clone() {
        let rows = lane.from.export(table).await.unwrap();
        if let Err(error) = lane.to.import(table, rows).await {
            return Some(error);
        }
    }
    None
}

async fn give_up(lane: &mut Lane) {
    lane.to.roll_back().await.unwrap();
    lane.from.close_snapshot().await.unwrap();
}

pub(crate) async fn a_row_in_the_way_is_left_alone<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    let mut there = stage.app(End::Target).await;
    there.run("insert into users (id, handle) values (50, 'Res')").await.unwrap();
    there.run("insert into posts (id, user_id, body) values (11, 50, 'mine')").await.unwrap();
    let before = stage.everything(End::Target).await;
    let mut lane = stage.lane(&["1"]).await;
    lane.announce().await;
    for _ in 0..2 {
        let error = import_until_refused(&mut lane).await.expect("post 11 is taken");
        assert_eq!(error.kind(), Kind::Operator, "{error}");
        give_up(&mut lane).await;
        assert_eq!(stage.everything(End::Target).await, before, "nothing half-done");
    }
    assert!(!stage.entry(End::Target, "1").await.unwrap().copied);

    there.run("delete from posts where id = 11").await.unwrap();
    lane.copy().await;
    assert_eq!(stage.rows_of(End::Target, "1").await, stage.rows_of(End::Source, "1").await);
}

pub(crate) async fn a_late_copy_spares_who_settled<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    let mut lane = stage.decided(&["1"]).await;
    lane.settle().await;
    let mut there = stage.app(End::Target).await;
    there.run("update posts set body = 'written at home' where id = 11").await.unwrap();
    let home = stage.rows_of(End::Target, "1").await;
    let error = import_until_refused(&mut lane).await.expect("Ada's rows are her own now");
    assert_eq!(error.kind(), Kind::Operator, "{error}");
    give_up(&mut lane).await;
    let extent = Extent::People(lane.leaving.subjects.clone());
    lane.to.begin(&lane.coming, &extent).await.unwrap();
    lane.to.commit().await.unwrap();
    assert_eq!(stage.rows_of(End::Target, "1").await, home);
}

pub(crate) async fn a_handle_taken_at_the_target_stops_the_copy<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    let mut there = stage.app(End::Target).await;
    there.run("insert into users (id, handle) values (50, 'Ada')").await.unwrap();
    let before = stage.everything(End::Target).await;
    let mut lane = stage.lane(&["1"]).await;
    lane.announce().await;
    let error = import_until_refused(&mut lane).await.expect("the handle is taken");
    assert_eq!(error.kind(), Kind::Operator, "{error}");
    give_up(&mut lane).await;
    assert_eq!(stage.everything(End::Target).await, before);
}

pub(crate) async fn a_dangling_reference_is_named<B: Bed>() {
    let stage = Stage::<B>::of(&WORLD).await;
    let mut lane = stage.lane(&["1"]).await;
    lane.announce().await;
    let found = match import_until_refused(&mut lane).await {
        Some(error) => vec![error.to_string()],
        None => lane.to.check().await.unwrap(),
    };
    assert_eq!(found.len(), 1, "Ada's badge is not at the target: {found:?}");
    assert!(found[0].contains("users") && found[0].contains("badge"), "{found:?}");
    give_up(&mut lane).await;
    assert_eq!(stage.everything(End::Target).await, Vec::<String>::new());
    stage.carry_reference().await;
    lane.copy().await;
}

pub(crate) async fn a_broken_stream_leaves_nothing<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    let mut lane = stage.lane(&["1"]).await;
    lane.announce().await;
    let extent = Extent::People(people(&["1"]));
    lane.from.open_snapshot(&people(&["1"])).await.unwrap();
    lane.from.select(&extent).await.unwrap();
    let rows = drain(lane.from.export(0).await.unwrap()).await.unwrap();
    lane.to.begin(&lane.coming, &extent).await.unwrap();
    let answer = lane.to.import(0, broken(&rows)).await;
    assert_eq!(answer.unwrap_err().kind(), Kind::RetryLater, "the stream's own error");
    give_up(&mut lane).await;
    assert_eq!(stage.everything(End::Target).await, Vec::<String>::new());
    lane.copy().await;
    assert_eq!(lane.decide().await, ["decided"]);
}
