//! Tables and rows of unusual shapes.

use super::support::{Bed, End, Stage, World};
use futures_util::TryStreamExt;

const ODD: World = World {
    schema: r#"
        create table "Weird "" People" (
            "Region Code" text not null, "No" {id} not null, "full name" text, "select" text,
            primary key ("Region Code", "No"));
        create table "Their Things" (
            "Id" {id} primary key, "Of Region" text not null, "Of No" {id} not null, "thing;--" text,
            foreign key ("Of Region", "Of No") references "Weird "" People" ("Region Code", "No"));
        create table "deeper Things" (
            "a'b" {id} primary key, "thing" {id} not null references "Their Things" ("Id"));"#,
    owned: &[
        ("Weird \" People", None),
        (
            "Their Things",
            Some((&["Of Region", "Of No"], "Weird \" People", &["Region Code", "No"], true)),
        ),
        ("deeper Things", Some((&["thing"], "Their Things", &["Id"], true))),
    ],
    shared: &[],
    reference: &[],
    rows: r#"
        insert into "Weird "" People" values
            ('e"u\é', 1, 'Ana', '"'), ('e"u\é', 2, 'Bo', ''), ('us', 1, 'Cy', null);
        insert into "Their Things" values
            (1, 'e"u\é', 1, 'a;--'), (2, 'us', 1, 'b'), (3, 'e"u\é', 2, null);
        insert into "deeper Things" values (10, 1), (30, 3);"#,
};

pub(crate) async fn odd_names_and_a_key_of_two_columns<B: Bed>() {
    let stage = Stage::<B>::of(&ODD).await;
    let who = r#"["e\"u\\é","1"]"#;
    let found: Vec<_> =
        stage.source.people(&stage.closure).await.unwrap().try_collect().await.unwrap();
    let found: Vec<_> = found.iter().map(|person| person.subject.as_str()).collect();
    assert_eq!(found, [who, r#"["e\"u\\é","2"]"#, r#"["us","1"]"#]);

    let mut lane = stage.copied(&[who]).await;
    let mut app = stage.app(End::Source).await;
    app.run(r#"update "Their Things" set "thing;--" = 'it''s' where "Id" = 1"#).await.unwrap();
    app.run(r#"insert into "deeper Things" values (11, 1)"#).await.unwrap();
    app.run(r#"update "deeper Things" set "thing" = 1 where "a'b" = 30"#).await.unwrap();
    lane.catch_up_and_decide().await;
    let late = app.run(r#"update "Weird "" People" set "select" = 'x' where "No" = 1"#).await;
    assert!(late.unwrap_err().names(End::Target));
    lane.settle().await;
    lane.erase().await;

    let mut there = stage.app(End::Target).await;
    let everybody = r#"select * from "Weird "" People" order by 1, 2"#;
    let things = r#"select * from "Their Things" order by 1"#;
    let below = r#"select * from "deeper Things" order by 1"#;
    assert_eq!(there.rows(everybody).await, [r#"e"u\é|1|Ana|""#]);
    assert_eq!(there.rows(things).await, [r#"1|e"u\é|1|it's"#]);
    assert_eq!(there.rows(below).await, ["10|1", "11|1", "30|1"]);
    assert_eq!(app.rows(everybody).await, [r#"e"u\é|2|Bo|"#, "us|1|Cy|∅"]);
    assert_eq!(app.rows(things).await, ["2|us|1|b", r#"3|e"u\é|2|∅"#]);
    assert_eq!(app.rows(below).await, Vec::<String>::new());
}

pub(crate) async fn a_person_without_rows_below<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    let mut app = stage.app(End::Source).await;
    app.run("insert into users (id, handle) values (3, 'Nil')").await.unwrap();
    stage.carry(End::Source, &["3"]).await;
    assert_eq!(stage.rows_of(End::Target, "3").await, ["users: 3|Nil|∅|∅|∅|nil"]);
}

pub(crate) async fn a_person_who_is_not_there_at_all<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    let before = stage.everything(End::Source).await;
    stage.carry(End::Source, &["404"]).await;
    assert_eq!(stage.everything(End::Source).await, before);
    assert_eq!(stage.everything(End::Target).await, Vec::<String>::new());
}

pub(crate) async fn a_text_of_a_megabyte<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    let mut app = stage.app(End::Source).await;
    let long = "é\t\n\\N ".repeat(150_000);
    app.run(&format!("update posts set body = '{long}' where id = 11")).await.unwrap();
    stage.carry(End::Source, &["1"]).await;
    let mut app = stage.app(End::Target).await;
    let found = app.rows("select body from posts where id = 11").await;
    assert!(found == [long], "the text differs; it has {} bytes", found[0].len());
}

pub(crate) async fn ten_thousand_rows<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    let mut app = stage.app(End::Source).await;
    let many = "with recursive n (i) as (select 1000 union all select i + 1 from n where i < 10999)
        insert into comments (id, post_id, text) select i, 11, 'comment ' || i from n";
    assert_eq!(app.run(many).await.unwrap(), 10_000);
    let before = stage.rows_of(End::Source, "1").await;
    let mut lane = stage.copied(&["1"]).await;
    app.run("update posts set body = 'and all its comments' where id = 11").await.unwrap();
    lane.catch_up_and_decide().await;
    lane.settle().await;
    assert_eq!(lane.erase().await, 10_007);
    let after = stage.rows_of(End::Target, "1").await;
    assert_eq!(after.len(), before.len());
    let changed: Vec<_> = after.iter().filter(|row| !before.contains(row)).collect();
    assert_eq!(changed, ["posts: 11|1|and all its comments"]);
}

const THREADS: World = World {
    schema: "
        create table users (id {id} primary key, city text);
        create table posts (
            id {id} primary key, user_id {id} not null references users (id),
            reply_to {id} references posts (id));",
    owned: &[("users", None), ("posts", Some((&["user_id"], "users", &["id"], true)))],
    shared: &[],
    reference: &[],
    rows: "
        insert into users values (1, 'Dublin'), (2, 'Cork');
        insert into posts values (1, 1, null), (2, 1, 1), (3, 1, 3), (4, 2, null);
        update posts set reply_to = 2 where id = 1;",
};

pub(crate) async fn rows_that_refer_to_each_other<B: Bed>() {
    let stage = Stage::<B>::of(&THREADS).await;
    let mut lane = stage.copied(&["1"]).await;
    let mut app = stage.app(End::Source).await;
    app.run("update posts set reply_to = 3 where id = 2").await.unwrap();
    lane.catch_up_and_decide().await;
    lane.settle().await;
    assert_eq!(lane.erase().await, 4);
    let mut there = stage.app(End::Target).await;
    let posts = "select * from posts order by id";
    assert_eq!(there.rows(posts).await, ["1|1|2", "2|1|3", "3|1|3"]);
    assert_eq!(app.rows(posts).await, ["4|2|∅"]);
}
