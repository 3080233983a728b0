//! What a site says of itself, and whether another can be made from it.

use super::support::{Bed, End, Stage, WORLD, World, refused};
use domicile_store::catalog::differences;
use domicile_store::{Kind, Sharing, TableName};
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

pub(crate) async fn rows_that_several_people_refer_to_are_counted<B: Bed>() {
    let stage = Stage::<B>::bare(&WORLD).await;
    let mut app = stage.app(End::Source).await;
    let badges = ["badge_id".to_owned()];
    let found = stage.source.count_sharing(&stage.closure, 0, &badges).await.unwrap();
    assert_eq!(found, Sharing { referring: 2, of_one: 2, of_several: 0 });
    app.run("update users set badge_id = 7 where id = 2").await.unwrap();
    let found = stage.source.count_sharing(&stage.closure, 0, &badges).await.unwrap();
    assert_eq!(found, Sharing { referring: 3, of_one: 1, of_several: 1 });
    // Two levels down, one person twice under one row: post 11 is Ada's, and so are its comments.
    let posts = ["post_id".to_owned()];
    let found = stage.source.count_sharing(&stage.closure, 2, &posts).await.unwrap();
    assert_eq!(found, Sharing { referring: 4, of_one: 3, of_several: 0 });
}

/// Keys of every sort: of two columns, on themselves, with actions, deferrable, with comments in
/// the text, and beside others that stay; views, triggers and indexes around them.
const KEYS: World = World {
    schema: "
        create table users (id {id} primary key, city text, chief {id} references users (id));
        create table staff (
            id {id} not null, site {id} not null, name text, primary key (id, site));
        create table tickets (
            id {id} primary key, -- the number, as printed
            user_id {id} not null references users (id),
            helper {id}
                constraint helped references users (id) on delete set null on update cascade
                deferrable initially deferred,
            staff_id {id}, staff_site {id}, note text default '(' check (note <> 'references'),
            constraint \"by staff\" foreign key (staff_id, staff_site)
                references staff (id, site) on delete restrict,
            unique (user_id, note));
        create index tickets_by_helper on tickets (helper) where helper is not null;
        create view helped_by as select helper, count(*) as n from tickets group by helper;",
    owned: &[("users", None), ("tickets", Some((&["user_id"], "users", &["id"], true)))],
    shared: &[],
    reference: &[],
    rows: "
        insert into users values (1, 'Dublin', null), (2, 'Cork', 1);
        insert into staff values (5, 1, 'Sam');
        insert into tickets values (11, 1, 2, 5, 1, 'a'), (12, 2, null, null, null, 'b');",
};

fn soft() -> Vec<(TableName, Vec<String>)> {
    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    let lists = [
        ("tickets", names(&["helper"])),
        ("tickets", names(&["staff_id", "staff_site"])),
        ("users", names(&["chief"])),
        ("users", names(&["city"])),
        ("nowhere", names(&["id"])),
    ];
    let both = |(table, columns): (&str, Vec<String>)| {
        ["public", ""].map(|schema| {
            let schema = (!schema.is_empty()).then(|| schema.to_owned());
            (TableName { schema, name: table.to_owned() }, columns.clone())
        })
    };
    lists.into_iter().flat_map(both).collect()
}

pub(crate) async fn a_key_is_dropped_and_made_again_exactly<B: Bed>() {
    let stage = Stage::<B>::bare(&KEYS).await;
    let mut app = stage.app(End::Source).await;
    let before = (stage.source.catalog().await.unwrap(), stage.bed.keys(End::Source).await);
    let planted = "insert into tickets (id, user_id, helper) values (13, 1, 99)";
    refused(app.as_mut(), planted, &["23503", "FOREIGN"]).await;

    let removal = stage.source.key_removal(&soft()).await.unwrap();
    assert_eq!(removal.keys.len(), 3, "{removal:?}");
    stage.source.remove_keys(&removal).await.unwrap();
    stage.source.remove_keys(&removal).await.unwrap();
    assert_eq!(stage.source.key_removal(&soft()).await.unwrap().keys, []);
    let after = stage.source.catalog().await.unwrap();
    let tickets = after.find("tickets").unwrap();
    let [kept] = tickets.foreign_keys.as_slice() else { panic!("{tickets:?}") };
    assert_eq!(kept.columns, ["user_id"]);
    assert_eq!(after.find("users").unwrap().foreign_keys, []);
    // The connection that was open all the while sees it, and what stood around still works.
    app.run(planted).await.unwrap();
    assert_eq!(app.rows("select helper, n from helped_by order by 1").await.len(), 3);
    refused(
        app.as_mut(),
        "insert into tickets (id, user_id) values (14, 99)",
        &["23503", "FOREIGN"],
    )
    .await;
    refused(
        app.as_mut(),
        "insert into tickets (id, user_id, note) values (15, 1, 'references')",
        &["23514", "CHECK"],
    )
    .await;
    app.run("delete from tickets where id = 13").await.unwrap();

    for statement in &removal.restore {
        app.run(statement).await.unwrap();
    }
    let again = (stage.source.catalog().await.unwrap(), stage.bed.keys(End::Source).await);
    assert_eq!(again, before);
    refused(app.as_mut(), planted, &["23503", "FOREIGN"]).await;
}

pub(crate) async fn keys_that_changed_since_they_were_listed_stay<B: Bed>() {
    let stage = Stage::<B>::bare(&KEYS).await;
    let removal = stage.source.key_removal(&soft()).await.unwrap();
    let mut only = soft();
    only.retain(|(_, columns)| columns[0] == "chief");
    let chief = stage.source.key_removal(&only).await.unwrap();
    stage.source.remove_keys(&chief).await.unwrap();
    let standing = stage.bed.keys(End::Source).await;
    let error = stage.source.remove_keys(&removal).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Operator, "{error}");
    assert_eq!(stage.bed.keys(End::Source).await, standing, "all or none");
}

pub(crate) async fn so_many_rows_are_read_and_nothing_is_written<B: Bed>() {
    let stage = Stage::<B>::bare(&WORLD).await;
    let before = stage.everything(End::Source).await;
    let posts = &stage.closure.owned[1];
    let [some, all] = [2, 100].map(|rows| stage.source.read_rows(posts, rows));
    let (some, all) = (some.await.unwrap(), all.await.unwrap());
    assert_eq!((some.rows, all.rows), (2, 4));
    assert!(0 < some.bytes && some.bytes < all.bytes, "{some:?} {all:?}");
    assert_eq!(stage.everything(End::Source).await, before);
    assert_eq!(stage.target.catalog().await.unwrap().tables, [], "nothing is needed there");
}

pub(crate) async fn a_numbered_key_tells_its_next_number<B: Bed>() {
    let stage = Stage::<B>::bare(&WORLD).await;
    let mut app = stage.app(End::Source).await;
    // As each engine numbers its keys by itself.
    let numbered = match B::ID {
        "bigint" => "bigserial",
        other => other,
    };
    let tables = format!(
        "create table notes (id {numbered} primary key, text text);
         create table tags (name text primary key, id {} )",
        B::ID
    );
    app.run(&tables).await.unwrap();
    let next = async || {
        let catalog = stage.source.catalog().await.unwrap();
        let of = |table: &str| {
            catalog.counters.iter().find(|counter| counter.table.name == table).cloned()
        };
        assert_eq!(of("tags"), None, "a column that nobody numbers");
        let counter = of("notes").unwrap();
        assert_eq!((counter.column.as_str(), counter.step), ("id", 1));
        counter.next
    };
    assert_eq!(next().await, 1);
    app.run("insert into notes (text) values ('a'), ('b'), ('c')").await.unwrap();
    assert_eq!(next().await, 4);
}
