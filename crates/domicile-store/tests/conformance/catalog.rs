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

pub(crate) async fn samples_are_bounded_texts_and_never_shown<B: Bed>() {
    let stage = Stage::<B>::bare(&WORLD).await;
    let mut app = stage.app(End::Source).await;
    let long = "x".repeat(300);
    app.run(&format!("update users set note = '{long}', city = null")).await.unwrap();
    let catalog = stage.source.catalog().await.unwrap();
    let users = &catalog.find("users").unwrap().name;
    let columns = ["id", "city", "note"].map(str::to_owned);
    let sample = stage.source.sample(users, &columns, 2).await.unwrap();
    assert_eq!((sample.rows.len(), sample.values("id").len()), (2, 2));
    assert_eq!(sample.values("city"), Vec::<&str>::new(), "NULL is no value");
    assert_eq!(sample.values("nothing"), Vec::<&str>::new());
    assert!(sample.values("note").iter().all(|note| note.len() == 200));
    assert!(!format!("{sample:?}").contains("xx"), "{sample:?}");
    assert!(stage.source.sample(users, &[], 5).await.unwrap().rows.is_empty());
}

pub(crate) async fn samples_come_from_all_over_a_table<B: Bed>() {
    let stage = Stage::<B>::bare(&WORLD).await;
    let mut app = stage.app(End::Source).await;
    app.run("create table numbers (n integer primary key, filler text)").await.unwrap();
    let many = "insert into numbers with recursive t (n) as \
                (select 1 union all select n + 1 from t where n < 100000) select n, 'abcdefghijklmnopqrst\
                abcdefghijklmnopqrstabcdefghijklmnopqrstabcdefghijklmnopqrstabcdefghijklmnopqrst' from t";
    app.run(many).await.unwrap();
    app.run("analyze numbers").await.unwrap();
    let catalog = stage.source.catalog().await.unwrap();
    let numbers = &catalog.find("numbers").unwrap().name;
    let sample = stage.source.sample(numbers, &["n".to_owned()], 500).await.unwrap();
    let mut found: Vec<u32> =
        sample.values("n").iter().map(|value| value.parse().unwrap()).collect();
    assert!((200..=500).contains(&found.len()), "{}", found.len());
    found.sort_unstable();
    found.dedup();
    assert_eq!(found.len(), sample.rows.len(), "no row comes twice");
    assert!(found[0] < 40_000 && found[found.len() - 1] > 60_000, "{found:?}");
}

pub(crate) async fn values_are_looked_up_by_their_text<B: Bed>() {
    let stage = Stage::<B>::bare(&WORLD).await;
    let catalog = stage.source.catalog().await.unwrap();
    let users = catalog.find("users").unwrap();
    let key = users.column("id").unwrap();
    let sample = stage.source.sample(&users.name, &["id".to_owned()], 3).await.unwrap();
    let mut values: Vec<String> = sample.values("id").iter().map(|&id| id.to_owned()).collect();
    let known = values.len();
    assert!(known > 0);
    values.push("987654".to_owned());
    let count = stage.source.count_known(&users.name, key, &values).await.unwrap();
    assert_eq!(count, u64::try_from(known).unwrap());
}
