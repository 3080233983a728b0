//! Reference tables are written at one site and carried to every other.

use super::support::{Bed, End, Stage, World, refused};
use domicile_store::{Applied, Reference, ReferenceChanges};
use std::sync::Arc;

/// The usual world, with a second unique key among the badges.
const BADGES: World = World {
    schema: "
        create table badges (id {id} primary key, name text not null unique, rank {id});
        create table users (id {id} primary key, badge_id {id} references badges (id));
        create index users_by_badge on users (badge_id);",
    owned: &[("users", None)],
    shared: &[],
    reference: &["badges"],
    rows: "
        insert into badges values (7, 'founder', 1), (8, 'guest', 2), (9, 'bot', null);
        insert into users values (1, 7), (2, null);",
};

async fn ends<B: Bed>(stage: &Stage<B>) -> (Box<dyn Reference>, Box<dyn Reference>) {
    (
        stage.source.reference(Arc::clone(&stage.closure)).await.unwrap(),
        stage.target.reference(Arc::clone(&stage.closure)).await.unwrap(),
    )
}

/// Carries everything noted; returns the keys of rows that stayed because people refer to them.
async fn carry<B: Bed>(stage: &Stage<B>) -> Vec<Vec<String>> {
    let (mut from, mut to) = ends(stage).await;
    let changes = from.changes(0, 1000).await.unwrap();
    let Applied { kept, refused } = to.apply(&changes).await.unwrap();
    assert_eq!(refused, []);
    let seqs: Vec<i64> = changes.notes.iter().map(|note| note.seq).collect();
    from.forget(&seqs).await.unwrap();
    assert_eq!(from.changes(0, 1000).await.unwrap(), ReferenceChanges::default());
    kept.into_iter().map(|note| note.key).collect()
}

async fn badges<B: Bed>(stage: &Stage<B>, end: End) -> Vec<String> {
    stage.app(end).await.rows("select * from badges order by id").await
}

async fn noted<B: Bed>(stage: &Stage<B>) -> Vec<String> {
    let (mut from, _) = ends(stage).await;
    let changes = from.changes(0, 1000).await.unwrap();
    assert!(changes.notes.iter().all(|note| note.table == Some(0)));
    changes.notes.into_iter().map(|note| note.key.join("/")).collect()
}

async fn stage<B: Bed>() -> Stage<B> {
    let stage = Stage::<B>::of(&BADGES).await;
    stage.carry_reference().await;
    stage
}

pub(crate) async fn changes_are_noted_where_they_are_written<B: Bed>() {
    let stage = stage::<B>().await;
    assert_eq!(noted(&stage).await, Vec::<String>::new(), "what was there is no change");
    let mut app = stage.app(End::Source).await;
    app.run("insert into badges values (10, 'new', 3)").await.unwrap();
    app.run("update badges set rank = 4 where id = 8").await.unwrap();
    app.run("update badges set id = 11 where id = 9").await.unwrap();
    app.run("delete from badges where id = 8").await.unwrap();
    assert_eq!(noted(&stage).await, ["10", "8", "9", "11", "8"]);

    let (mut from, _) = ends(&stage).await;
    let first = from.changes(0, 2).await.unwrap();
    assert_eq!(first.notes.len(), 2, "as many as asked for");
    let rest = from.changes(first.notes[1].seq, 1000).await.unwrap();
    assert_eq!(rest.notes.len(), 3);
    from.forget(&[first.notes[0].seq, rest.notes[2].seq]).await.unwrap();
    assert_eq!(noted(&stage).await, ["8", "9", "11"], "exactly those named");
}

pub(crate) async fn another_site_refuses_to_write_them<B: Bed>() {
    let stage = stage::<B>().await;
    let before = badges(&stage, End::Target).await;
    let mut app = stage.app(End::Target).await;
    for write in [
        "insert into badges values (10, 'late', null)",
        "update badges set name = 'other' where id = 8",
        "delete from badges where id = 9",
    ] {
        let refusal = refused(app.as_mut(), write, &["DM005"]).await;
        assert!(refusal.message.contains(End::Source.name()), "{refusal:?}");
    }
    assert_eq!(badges(&stage, End::Target).await, before);
}

pub(crate) async fn changed_rows_become_equal<B: Bed>() {
    let stage = stage::<B>().await;
    let mut app = stage.app(End::Source).await;
    app.run("insert into badges values (10, 'x', 3), (12, 'y', null)").await.unwrap();
    app.run("update badges set name = 'visitor', rank = null where id = 8").await.unwrap();
    app.run("update badges set id = 13 where id = 9").await.unwrap();
    app.run("delete from badges where id = 12").await.unwrap();
    assert_eq!(carry(&stage).await, Vec::<Vec<String>>::new());
    assert_eq!(
        badges(&stage, End::Target).await,
        ["7|founder|1", "8|visitor|∅", "10|x|3", "13|bot|∅"]
    );
    let (mut from, mut to) = ends(&stage).await;
    let (here, there) = (from.digests(0).await.unwrap(), to.digests(0).await.unwrap());
    assert_eq!(here, there);
    assert_eq!(here.len(), 4);
    assert!(here.contains_key(&vec!["13".to_owned()]), "{here:?}");
}

pub(crate) async fn values_of_a_unique_key_change_places<B: Bed>() {
    let stage = stage::<B>().await;
    let mut app = stage.app(End::Source).await;
    app.run("update badges set name = 'between' where id = 7").await.unwrap();
    app.run("update badges set name = 'founder' where id = 8").await.unwrap();
    app.run("update badges set name = 'guest' where id = 7").await.unwrap();
    carry(&stage).await;
    assert_eq!(badges(&stage, End::Target).await, badges(&stage, End::Source).await);
}

pub(crate) async fn a_row_that_people_refer_to_stays<B: Bed>() {
    let stage = stage::<B>().await;
    stage.carry(End::Source, &["1"]).await;
    let mut app = stage.app(End::Source).await;
    app.run("delete from badges").await.unwrap();
    assert_eq!(carry(&stage).await, [["7"]], "user 1, who lives there, refers to it");
    assert_eq!(badges(&stage, End::Target).await, ["7|founder|1"]);
}

pub(crate) async fn an_undone_change_leaves_no_note<B: Bed>() {
    let stage = stage::<B>().await;
    let mut app = stage.app(End::Source).await;
    app.run("begin").await.unwrap();
    app.run("insert into badges values (10, 'x', 3)").await.unwrap();
    app.run("rollback").await.unwrap();
    assert_eq!(noted(&stage).await, Vec::<String>::new());
}

pub(crate) async fn the_same_changes_may_be_applied_twice<B: Bed>() {
    let stage = stage::<B>().await;
    let mut app = stage.app(End::Source).await;
    app.run("insert into badges values (10, 'x', 3)").await.unwrap();
    app.run("delete from badges where id = 9").await.unwrap();
    let (mut from, mut to) = ends(&stage).await;
    let changes = from.changes(0, 1000).await.unwrap();
    for _ in 0..2 {
        assert_eq!(to.apply(&changes).await.unwrap(), Applied::default());
        assert_eq!(badges(&stage, End::Target).await, badges(&stage, End::Source).await);
    }
}

pub(crate) async fn replaced_and_emptied_rows_are_noted<B: Bed>() {
    let stage =
        Stage::<B>::of(&World { rows: "insert into badges values (8, 'guest', 2)", ..BADGES })
            .await;
    stage.carry_reference().await;
    let mut app = stage.app(End::Source).await;
    for write in B::REPLACING {
        app.run(write).await.unwrap();
    }
    carry(&stage).await;
    assert_eq!(badges(&stage, End::Target).await, badges(&stage, End::Source).await);
    assert_ne!(badges(&stage, End::Target).await, ["8|guest|2"]);
}

/// Applies everything noted; returns the keys that stayed and those that were refused.
async fn applied<B: Bed>(stage: &Stage<B>) -> (Vec<String>, Vec<String>) {
    let (mut from, mut to) = ends(stage).await;
    let changes = from.changes(0, 1000).await.unwrap();
    let Applied { kept, refused } = to.apply(&changes).await.unwrap();
    assert!(refused.iter().all(|note| note.refused.is_some()), "{refused:?}");
    let keys = |notes: Vec<domicile_store::ReferenceNote>| {
        let mut keys: Vec<String> = notes.into_iter().map(|note| note.key.join("/")).collect();
        keys.sort();
        keys.dedup();
        keys
    };
    (keys(kept), keys(refused))
}

pub(crate) async fn a_name_used_again_while_its_row_is_kept<B: Bed>() {
    let stage = stage::<B>().await;
    stage.carry(End::Source, &["1"]).await;
    let mut app = stage.app(End::Source).await;
    app.run("delete from badges where id = 7").await.unwrap();
    app.run("insert into badges values (70, 'founder', 5), (71, 'other', 6)").await.unwrap();
    app.run("update badges set name = 'bot' where id = 8").await.unwrap_err();
    app.run("update badges set name = 'between' where id = 9").await.unwrap();
    app.run("update badges set name = 'bot' where id = 8").await.unwrap();
    app.run("update badges set name = 'guest' where id = 9").await.unwrap();
    assert_eq!(applied(&stage).await, (vec!["7".into()], vec!["70".into()]));
    assert_eq!(
        badges(&stage, End::Target).await,
        ["7|founder|1", "8|bot|2", "9|guest|∅", "71|other|6"],
        "everything else was applied"
    );
    let mut here = stage.app(End::Target).await;
    here.run("update users set badge_id = null where id = 1").await.unwrap();
    assert_eq!(applied(&stage).await, (vec![], vec![]), "the name is free");
    assert_eq!(badges(&stage, End::Target).await, badges(&stage, End::Source).await);
}

pub(crate) async fn whoever_waits_for_a_refused_row_is_refused_as_well<B: Bed>() {
    let stage = stage::<B>().await;
    stage.carry(End::Source, &["1"]).await;
    let mut app = stage.app(End::Source).await;
    app.run("delete from badges where id = 7").await.unwrap();
    // The name that 8 gives up at the source is taken by 9, which has to wait for 8.
    app.run("update badges set name = 'founder' where id = 8").await.unwrap();
    app.run("update badges set name = 'guest' where id = 9").await.unwrap();
    assert_eq!(applied(&stage).await, (vec!["7".into()], vec!["8".into(), "9".into()]));
    assert_eq!(badges(&stage, End::Target).await, ["7|founder|1", "8|guest|2", "9|bot|∅"]);
}

pub(crate) async fn refusals_are_kept_with_their_notes<B: Bed>() {
    let stage = stage::<B>().await;
    let mut app = stage.app(End::Source).await;
    app.run("update badges set rank = 9").await.unwrap();
    let (mut from, _) = ends(&stage).await;
    let mut notes = from.changes(0, 1000).await.unwrap().notes;
    notes[1].refused = Some("dub1: no room".to_owned());
    from.mark_refused(&notes[..2]).await.unwrap();
    let standing = from.standing().await.unwrap();
    assert_eq!((standing.notes, &standing.refused[..]), (3, &notes[1..2]));
    assert_eq!(from.changes(0, 1000).await.unwrap().notes, notes);
    notes[1].refused = None;
    from.mark_refused(&notes[1..2]).await.unwrap();
    assert_eq!(from.standing().await.unwrap().refused, []);
}

/// Badges of kinds of classes, and a kind under another.
const KINDS: World = World {
    schema: "
        create table kinds (id {id} primary key, up {id} references kinds (id));
        create table badges (id {id} primary key, kind_id {id} references kinds (id));
        create table users (id {id} primary key, badge_id {id} references badges (id));",
    owned: &[("users", None)],
    shared: &[],
    reference: &["kinds", "badges"],
    rows: "
        insert into kinds values (1, null), (2, 1), (3, null), (4, 3);
        insert into badges values (7, 2), (8, 4);
        insert into users values (1, 7), (2, null);",
};

async fn kinds<B: Bed>(stage: &Stage<B>, end: End) -> Vec<String> {
    let mut app = stage.app(end).await;
    let mut rows = app.rows("select * from badges order by id").await;
    rows.extend(app.rows("select * from kinds order by id").await);
    rows
}

pub(crate) async fn what_a_kept_row_refers_to_is_kept_as_well<B: Bed>() {
    let stage = Stage::<B>::of(&KINDS).await;
    stage.carry_reference().await;
    stage.carry(End::Source, &["1"]).await;
    let mut app = stage.app(End::Source).await;
    app.run("delete from badges").await.unwrap();
    app.run("delete from kinds where id in (2, 4)").await.unwrap();
    app.run("delete from kinds").await.unwrap();
    let kept = vec!["1".to_owned(), "2".to_owned(), "7".to_owned()];
    assert_eq!(applied(&stage).await, (kept, vec![]));
    assert_eq!(kinds(&stage, End::Target).await, ["7|2", "1|∅", "2|1"]);
    let (mut from, mut to) = ends(&stage).await;
    let notes = from.changes(0, 1000).await.unwrap().notes;
    assert_eq!(to.held(&notes).await.unwrap().len(), 3);
    let mut here = stage.app(End::Target).await;
    here.run("update users set badge_id = null").await.unwrap();
    assert_eq!(applied(&stage).await, (vec![], vec![]));
    assert_eq!(kinds(&stage, End::Target).await, Vec::<String>::new());
}

pub(crate) async fn a_kept_row_comes_along_with_who_refers_to_it<B: Bed>() {
    let stage = Stage::<B>::of(&KINDS).await;
    stage.carry_reference().await;
    stage.carry(End::Source, &["1"]).await;
    let mut app = stage.app(End::Source).await;
    app.run("delete from badges").await.unwrap();
    app.run("delete from kinds where id in (2, 4)").await.unwrap();
    app.run("delete from kinds").await.unwrap();
    let (mut from, mut to) = ends(&stage).await;
    let changes = from.changes(0, 1000).await.unwrap();
    let kept = to.apply(&changes).await.unwrap().kept;
    let rows = to.stand(&kept).await.unwrap();

    let mut lane = stage.lane_from(End::Target, &["1"]).await;
    lane.announce().await;
    let who = lane.leaving.subjects.clone();
    lane.to.mark().await.unwrap();
    lane.from.open_snapshot(&who).await.unwrap();
    let extent = domicile_store::Extent::People(who);
    lane.from.select(&extent).await.unwrap();
    lane.to.begin(&lane.coming, &extent).await.unwrap();
    let users = lane.from.export(0).await.unwrap();
    lane.to.import(0, users).await.unwrap();
    assert_ne!(lane.to.check().await.unwrap(), Vec::<String>::new());
    assert_eq!(lane.to.bring(&rows).await.unwrap(), 3, "the badge, its kind, and the one above");
    assert_eq!(lane.to.check().await.unwrap(), Vec::<String>::new());
    lane.to.commit().await.unwrap();
    lane.from.close_snapshot().await.unwrap();
    assert_eq!(kinds(&stage, End::Source).await, ["7|2", "1|∅", "2|1"]);

    // The writing site has them again, and says so.
    let changes = from.changes(0, 1000).await.unwrap();
    assert_eq!(to.apply(&changes).await.unwrap(), Applied::default());
    assert_eq!(kinds(&stage, End::Target).await, ["7|2", "1|∅", "2|1"]);
}
