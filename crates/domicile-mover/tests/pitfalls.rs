//! Pitfalls of moving rows between PostgreSQL servers, as far as no other test has them: the handling
//! of each, or what a plan says of it by name. `schemas.rs` has those that are refused.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    unreachable_pub,
    reason = "helpers of tests; a failure should stop the test where it happens"
)]

#[expect(dead_code, reason = "this suite uses a part of the world")]
mod world;

use domicile_mover::migrate::migrate;
use domicile_mover::plan::{Plan, TableKind, TableRule, Wishes, plan};
use domicile_mover::prepare::prepare;
use domicile_mover::verify::verify;
use domicile_testkit::connect;
use jiff::civil::date;
use world::{SITES, World, homes, options, surroundings, wishes};

async fn plan_with(world: &World, wishes: &Wishes) -> Plan {
    let plan = plan(&world.sites().await, &homes(), wishes, date(2026, 11, 21)).await.unwrap();
    assert_eq!(plan.refused, []);
    plan
}

/// The six of a world of twelve who live elsewhere go there, and everything is as it should be.
async fn six_move(world: &World, plan: &Plan) {
    let platform = world.platform(plan).await;
    let (surroundings, _stop) = surroundings();
    let report = migrate(&platform, &options(), &surroundings).await.unwrap();
    let done = (report.moved, report.failed, report.mismatches, report.pending_erasure);
    assert_eq!(done, (6, 0, 0, 0), "{report:?}");
    let found = verify(&platform).await.unwrap();
    assert!(found.is_clean(), "{found:?}");
}

/// A column of a query's lines from all sites, sorted.
async fn everywhere(world: &World, sql: &str) -> Vec<String> {
    let mut found = Vec::new();
    for database in &world.databases {
        let client = connect(&database.superuser_url).await.unwrap();
        let exists = "select to_regclass('public.posts') is not null";
        if client.query_one(exists, &[]).await.unwrap().get(0) {
            let rows = client.query(sql, &[]).await.unwrap();
            found.extend(rows.iter().map(|row| row.get::<_, String>(0)));
        }
    }
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pitfall_columns_that_stand_in_another_order_keep_their_values() {
    let world = World::with(12).await;
    for site in 1..SITES.len() {
        let app = world.app(site).await;
        app.batch_execute(
            "create table badges (name text not null, id int primary key);
             create table addresses (street text not null, id bigint primary key);
             create table users (address_id bigint references addresses (id),
                 writes bigint not null default 0, hole int, badge_id int references badges (id),
                 country text, id bigint primary key);
             alter table users drop hole;
             create index on users (address_id);
             create table posts (nonce text not null, hole bigint,
                 user_id bigint not null references users (id), id bigint primary key);
             alter table posts drop hole;
             create index on posts (user_id);",
        )
        .await
        .unwrap();
    }
    world.app(0).await.execute("update users set writes = id * 1000", &[]).await.unwrap();
    let rows =
        "select format('%s %s %s %s %s', id, country, writes, badge_id, address_id) from users
        union all select format('%s %s %s', id, user_id, nonce) from posts";
    let before = everywhere(&world, rows).await;
    let plan = plan_with(&world, &wishes()).await;
    prepare(&world.sites().await, &plan).await.unwrap();
    six_move(&world, &plan).await;
    assert_eq!(everywhere(&world, rows).await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pitfall_triggers_fire_neither_where_rows_come_nor_where_they_go() {
    const AUDIT: &str = "
        create or replace function note() returns trigger language plpgsql as $f$ begin
            insert into audit (what) values (tg_op || ' ' || coalesce(new.nonce, old.nonce));
            return null; end $f$;
        create trigger audit_posts after insert or update or delete on posts
            for each row execute function note();";
    let world = World::with(12).await;
    let table =
        "create table audit (id bigint generated always as identity primary key, what text)";
    for site in 0..SITES.len() {
        world.app(site).await.batch_execute(table).await.unwrap();
    }
    world.app(0).await.batch_execute(AUDIT).await.unwrap();
    let mut wishes = wishes();
    let internal = TableRule { kind: Some(TableKind::Internal), ..TableRule::default() };
    wishes.tables.insert("audit".to_owned(), internal);
    let plan = plan_with(&world, &wishes).await;
    let said = "trigger audit_posts of posts: it does not fire for rows that move";
    assert!(plan.warnings.iter().any(|text| text.starts_with(said)), "{:?}", plan.warnings);
    prepare(&world.sites().await, &plan).await.unwrap();
    for site in 1..SITES.len() {
        world.app(site).await.batch_execute(AUDIT).await.unwrap();
    }
    six_move(&world, &plan).await;
    assert_eq!(world.sum("select count(*) from audit").await, 0);
    world.app(0).await.execute("delete from comments", &[]).await.unwrap();
    let deleted = world.app(0).await.execute("delete from posts", &[]).await.unwrap();
    let noted = world.sum("select count(*) from audit").await;
    assert_eq!((deleted, noted), (18, 18), "the application's own statements fire them");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pitfall_a_publication_of_all_tables_keeps_nobody_from_moving() {
    let world = World::with(12).await;
    world.app(0).await.batch_execute("alter table posts replica identity full").await.unwrap();
    for site in 0..SITES.len() {
        world.databases[site]
            .run_as_superuser("create publication everything for all tables")
            .await
            .unwrap();
    }
    let plan = plan_with(&world, &wishes()).await;
    for said in [
        "site iad1: publication everything sends rows to subscribers",
        "site iad1: table public.posts has REPLICA IDENTITY FULL: the log keeps each row whole",
    ] {
        assert!(plan.warnings.iter().any(|text| text.starts_with(said)), "{:?}", plan.warnings);
    }
    prepare(&world.sites().await, &plan).await.unwrap();
    six_move(&world, &plan).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pitfall_types_whose_numbers_differ_between_sites_keep_their_values() {
    const EXTENSIONS: &str = "create schema tools; create extension citext schema tools;
        create extension hstore schema tools; grant usage on schema tools to public;";
    let world = World::with(12).await;
    world.databases[0].run_as_superuser(EXTENSIONS).await.unwrap();
    let app = world.app(0).await;
    app.batch_execute(
        r#"create type feeling as enum ('fine', 'so so');
           create domain tag as tools.citext check (value <> 'x');
           alter table posts add tag tag, add map tools.hstore, add feelings feeling[],
               add place regclass, add kinds regtype[];
           update posts set tag = 'TaG', map = '"a"=>NULL, "b"=>""', feelings = '{"so so",fine}',
               place = 'badges', kinds = '{feeling,tag,text}'"#,
    )
    .await
    .unwrap();
    let rows =
        "select format('%s %s %s %s %s %s', id, tag, map, feelings, place, kinds) from posts";
    let before = everywhere(&world, rows).await;
    let plan = plan_with(&world, &wishes()).await;
    let error = prepare(&world.sites().await, &plan).await.unwrap_err();
    assert!(error.to_string().contains("does not take the schema"), "{error}");
    for site in 1..SITES.len() {
        let stands = "select to_regclass('public.users') is not null";
        let client = connect(&world.databases[site].superuser_url).await.unwrap();
        assert!(!client.query_one(stands, &[]).await.unwrap().get::<_, bool>(0));
        // Of other numbers than at iad1.
        world.databases[site]
            .run_as_superuser(&format!("create type first as (a int); {EXTENSIONS}"))
            .await
            .unwrap();
    }
    prepare(&world.sites().await, &plan).await.unwrap();
    six_move(&world, &plan).await;
    assert_eq!(everywhere(&world, rows).await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pitfall_a_key_to_the_owner_without_an_index_is_named_with_its_sites() {
    let unindexed = |plan: &Plan| -> Vec<String> {
        let found = plan.warnings.iter().filter(|text| text.contains("the whole table"));
        found.cloned().collect()
    };
    let world = World::with(12).await;
    let plan = plan_with(&world, &wishes()).await;
    assert_eq!(unindexed(&plan), Vec::<String>::new());
    prepare(&world.sites().await, &plan).await.unwrap();
    // None of these finds the posts of a person.
    let decoys = "drop index posts_user_id_idx;
        alter table posts add user_id_old bigint;
        create index on posts (user_id_old);
        create index on posts (user_id) where id > 5;
        create index on posts (id, user_id);
        create index on posts ((user_id + 0));
        create index on posts using brin (user_id)";
    for site in [0, 2] {
        world.app(site).await.batch_execute(decoys).await.unwrap();
    }
    let app = world.app(1).await;
    app.batch_execute("alter table posts add user_id_old bigint").await.unwrap();
    app.batch_execute("drop index comments_post_id_idx, users_address_id_idx").await.unwrap();
    let plan = plan_with(&world, &wishes()).await;
    assert_eq!(
        unindexed(&plan),
        [
            "no index of posts begins with user_id at iad1, osl1: every batch reads the whole table",
            "no index of comments begins with post_id at dub1: every batch reads the whole table",
            "no index of users begins with address_id at dub1: while people move, every change of a \
             row of addresses reads the whole table",
        ]
    );
    for site in [0, 2] {
        let index = "create index on posts using hash (user_id)";
        world.app(site).await.batch_execute(index).await.unwrap();
    }
    let plan = plan_with(&world, &wishes()).await;
    assert!(!unindexed(&plan).iter().any(|text| text.contains("posts begins")), "{plan:?}");
}
