//! Looking at a site without believing what the mover wrote down.

use super::support::{Bed, End, Stage, WORLD, broken, drain, refused};
use domicile_model::Subject;
use domicile_store::{Engine, Stray};
use futures_util::{StreamExt, stream};

fn stray(subject: Option<&str>, table: &str, rows: u64) -> Stray {
    Stray { subject: subject.map(Subject::new), table: table.to_owned(), rows }
}

pub(crate) async fn a_clean_site_has_no_strays<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    let (before, there) = (
        stage.source.scan(&stage.closure).await.unwrap(),
        stage.target.scan(&stage.closure).await.unwrap(),
    );
    assert_eq!((before.rows, there.rows), (3 + 4 + 4 + 3, 0));
    assert_eq!(before.reference, there.reference);
    assert_eq!((before.reference.len(), before.reference[0].1), (1, 2));
    stage.carry(End::Source, &["1", "10"]).await;
    for (end, rows) in [(End::Source, 4), (End::Target, 10)] {
        let found = stage.site(end).scan(&stage.closure).await.unwrap();
        assert_eq!((found.ownerless.as_slice(), found.rows), (&[][..], rows));
    }
}

pub(crate) async fn a_row_without_owner_is_found<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    let mut app = stage.app(End::Source).await;
    app.run("insert into likes (user_id, post_id) values (999, 11), (999, 12), (998, 11)")
        .await
        .unwrap();
    let mut found = stage.source.scan(&stage.closure).await.unwrap().ownerless;
    found.sort();
    assert_eq!(found, [stray(Some("998"), "likes", 1), stray(Some("999"), "likes", 2)]);
}

pub(crate) async fn a_row_with_a_broken_way_to_its_owner_is_found<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    stage.bed.plant(End::Source, "insert into comments (id, post_id) values (888, 887)").await;
    stage.bed.plant(End::Source, "insert into posts (id, user_id) values (77, 777)").await;
    stage.bed.plant(End::Source, "insert into comments (id, post_id) values (771, 77)").await;
    let mut found = stage.source.scan(&stage.closure).await.unwrap().ownerless;
    found.sort();
    let orphans = [
        stray(None, "comments", 1),
        stray(Some("777"), "comments", 1),
        stray(Some("777"), "posts", 1),
    ];
    assert_eq!(found, orphans);
}

pub(crate) async fn drift_of_reference_tables_is_found<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    let source = stage.source.scan(&stage.closure).await.unwrap().reference;
    stage.bed.plant(End::Target, "update badges set name = 'founder ' where id = 7").await;
    let target = stage.target.scan(&stage.closure).await.unwrap().reference;
    assert_eq!((&source[0].0, source[0].1), (&target[0].0, target[0].1));
    assert_ne!(source[0].2, target[0].2, "one space is drift");
    stage.bed.plant(End::Target, "update badges set name = 'founder' where id = 7").await;
    assert_eq!(stage.target.scan(&stage.closure).await.unwrap().reference, source);
}

pub(crate) async fn reference_rows_are_loaded_whole_or_not_at_all<B: Bed>() {
    let stage = Stage::<B>::of(&WORLD).await;
    let table = &stage.closure.reference[0];
    let rows = drain(stage.source.export_reference(table).await.unwrap()).await.unwrap();
    let mut there = stage.app(End::Target).await;

    assert!(stage.target.import_reference(table, broken(&rows)).await.is_err());
    assert_eq!(there.rows("select * from badges").await, Vec::<String>::new());

    let whole = stream::iter(rows.clone().into_iter().map(Ok)).boxed();
    assert_eq!(stage.target.import_reference(table, whole).await.unwrap(), 2);
    let again = stream::iter(rows.into_iter().map(Ok)).boxed();
    assert!(stage.target.import_reference(table, again).await.is_err(), "the table is not empty");
    assert_eq!(there.rows("select * from badges order by id").await, ["7|founder", "8|guest"]);
}

pub(crate) async fn refusals_are_counted_where_they_can_be<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    stage.decided(&["1"]).await;
    let before = stage.source.refusals().await.unwrap();
    assert!(before.is_some() || stage.source.engine() == Engine::Sqlite);
    let mut app = stage.app(End::Source).await;
    for _ in 0..3 {
        refused(app.as_mut(), "update users set city = 'late' where id = 1", &["DM001"]).await;
    }
    app.run("update users set city = 'fine' where id = 2").await.unwrap();
    assert_eq!(stage.source.refusals().await.unwrap(), before.map(|count| count + 3));
}
