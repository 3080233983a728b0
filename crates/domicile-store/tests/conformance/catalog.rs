//! What a site says of itself, and whether another can be made from it.

use super::support::{Bed, End, Stage, WORLD, refused};
use domicile_store::catalog::differences;
use futures_util::TryStreamExt;

pub(crate) async fn tells_columns_and_keys<B: Bed>() {
    let stage = Stage::<B>::bare(&WORLD).await;
    let catalog = stage.source.catalog().await.unwrap();
    let names: Vec<_> = catalog.tables.iter().map(|table| table.name.to_string()).collect();
    assert_eq!(names, ["badges", "comments", "likes", "posts", "users"]);

    let users = catalog.find("users").unwrap();
    let columns: Vec<_> = users.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(columns, ["id", "handle", "city", "note", "badge_id", "tag"]);
    assert_eq!(users.primary_key, ["id"]);
    assert_eq!(users.uniques.len(), 1, "{:?}", users.uniques);
    assert!(users.column("handle").unwrap().not_null);
    assert!(!users.column("city").unwrap().not_null);
    assert!(users.column("tag").unwrap().generated);
    assert_eq!(users.copied_columns(), ["id", "handle", "city", "note", "badge_id"]);
    assert_eq!(catalog.find("likes").unwrap().primary_key, ["user_id", "post_id"]);
    assert!(catalog.find("likes").unwrap().foreign_keys.is_empty());

    let [key] = catalog.find("comments").unwrap().foreign_keys.as_slice() else {
        panic!("comments refers to posts alone");
    };
    assert_eq!(
        (&key.columns[..], &key.parent_columns[..]),
        (&["post_id".into()][..], &["id".into()][..])
    );
    assert_eq!((key.parent.to_string(), key.on_delete.as_str()), ("posts".into(), "CASCADE"));
}

pub(crate) async fn a_script_makes_an_equal_catalog<B: Bed>() {
    let stage = Stage::<B>::bare(&WORLD).await;
    let script = stage.source.schema_script(&stage.all_tables().await).await.unwrap();
    stage.target.apply_schema(&script).await.unwrap();
    let [left, right] = [stage.source.catalog().await, stage.target.catalog().await];
    let (left, right) = (left.unwrap(), right.unwrap());
    assert_eq!(left.tables.len(), right.tables.len());
    for table in &left.tables {
        let twin = right.table(&table.name).unwrap();
        assert_eq!(differences(table, twin), Vec::<String>::new(), "{}", table.name);
        assert_eq!(table.indexes.len(), twin.indexes.len(), "{}", table.name);
    }
}

pub(crate) async fn a_script_applies_whole_or_not_at_all<B: Bed>() {
    let stage = Stage::<B>::bare(&WORLD).await;
    let script = stage.source.schema_script(&stage.all_tables().await).await.unwrap();
    let mut app = stage.app(End::Target).await;
    app.run("create table posts (mine text); insert into posts values ('kept')").await.unwrap();
    assert!(stage.target.apply_schema(&script).await.is_err());
    let catalog = stage.target.catalog().await.unwrap();
    assert_eq!(catalog.tables.len(), 1, "only the table that stood there");
    assert_eq!(app.rows("select mine from posts").await, ["kept"]);
}

pub(crate) async fn people_come_in_the_order_of_bytes<B: Bed>() {
    let stage = Stage::<B>::bare(&WORLD).await;
    let people: Vec<_> =
        stage.source.people(&stage.closure).await.unwrap().try_collect().await.unwrap();
    let found: Vec<_> = people
        .iter()
        .map(|person| (person.subject.as_str(), person.residence[0].as_deref()))
        .collect();
    assert_eq!(found, [("1", Some("Dublin")), ("10", None), ("2", Some("Cork"))]);
}

pub(crate) async fn rows_under_other_peoples_rows_are_counted<B: Bed>() {
    let stage = Stage::<B>::bare(&WORLD).await;
    let mut app = stage.app(End::Source).await;
    app.run("insert into likes (user_id, post_id) values (1, 11), (2, 21)").await.unwrap();
    let (columns, parent_columns) = (["post_id".to_owned()], ["id".to_owned()]);
    let crossing = stage.source.count_crossing(&stage.closure, 3, &columns, 1, &parent_columns);
    assert_eq!(crossing.await.unwrap(), 3, "likes of one's own posts do not cross");
    refused(
        app.as_mut(),
        "insert into likes (user_id, post_id) values (1, 11)",
        &["23505", "UNIQUE"],
    )
    .await;
}
