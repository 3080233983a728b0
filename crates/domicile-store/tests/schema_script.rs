//! What a schema written again must bring along.

use domicile_store::Site;
use domicile_store::postgres::PostgresSite;
use domicile_testkit::{Server, connect};

/// Schemas that hold none of the tables themselves.
const SCHEMA: &str = r#"
create schema "My Types"; create schema parts; create schema counters;
create type "My Types"."Mood" as enum ('fine');
create sequence counters.posts;
create table posts (id bigint primary key default nextval('counters.posts'),
    mood "My Types"."Mood") partition by hash (id);
create table parts.posts_0 partition of posts for values with (modulus 1, remainder 0);
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn types_partitions_and_sequences_may_lie_in_schemas_of_their_own() {
    let databases = ["source", "target"]
        .map(|prefix| Server::shared(0).unwrap().fresh_database(prefix).unwrap());
    let app = connect(&databases[0].app_url).await.unwrap();
    app.batch_execute(SCHEMA).await.unwrap();
    let mut sites = Vec::new();
    for (name, database) in ["iad1", "dub1"].into_iter().zip(&databases) {
        let site = PostgresSite::connect(name.parse().unwrap(), &database.mover_url).await;
        sites.push(site.unwrap());
    }
    let catalog = sites[0].catalog().await.unwrap();
    let posts = catalog.find("posts").unwrap().name.clone();
    let script = sites[0].schema_script(&[posts]).await.unwrap();
    sites[1].apply_schema(&script).await.unwrap();
    let there = connect(&databases[1].superuser_url).await.unwrap();
    let insert = "insert into posts (mood) values ('fine') returning tableoid::regclass::text";
    let part: String = there.query_one(insert, &[]).await.unwrap().get(0);
    assert_eq!(part, "parts.posts_0");
}
