//! The schedules of `move-attacks.md` that a plan refuses, by name, before anything moves.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    unreachable_pub,
    reason = "helpers of tests; a failure should stop the test where it happens"
)]

#[expect(dead_code, reason = "this suite uses a part of the world")]
mod world;

use domicile_testkit::{Server, connect};
use world::World;

/// Why a plan refuses `table` once the application's schema has been changed.
async fn refused(world: &World, change: &str, table: &str) -> Vec<String> {
    let superuser = connect(&world.databases[0].superuser_url).await.unwrap();
    superuser.batch_execute(change).await.unwrap();
    let refused = world.plan().await.refused;
    assert!(refused.iter().any(|refusal| refusal.what.contains(table)), "{refused:?}");
    refused.into_iter().filter(|r| r.what.contains(table)).map(|r| r.why).collect()
}

fn told(reasons: &[String], part: &str) {
    assert!(reasons.iter().any(|why| why.contains(part)), "{reasons:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attack_11_an_inheritance_child_is_refused() {
    let world = World::with(2).await;
    let child = "create table old_posts () inherits (posts)";
    told(&refused(&world, child, "posts").await, "takes part in table inheritance");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attack_17_a_key_that_rounds_is_refused() {
    let world = World::with(2).await;
    let table = "create table scores (score float8 primary key,
        user_id bigint not null references users (id))";
    told(&refused(&world, table, "scores").await, "key column score has the type double precision");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attack_33_a_table_that_a_subscription_writes_is_refused() {
    let world = World::with(2).await;
    let publisher = Server::shared(1).unwrap().fresh_database("publisher").unwrap();
    let client = connect(&publisher.superuser_url).await.unwrap();
    let posts = "create table posts (id bigint primary key, user_id bigint, nonce text);
        create publication posts for table posts";
    client.batch_execute(posts).await.unwrap();
    let subscription = format!(
        "create subscription posts connection '{}' publication posts
            with (create_slot = false, slot_name = none, enabled = false, copy_data = false)",
        publisher.superuser_url
    );
    told(&refused(&world, &subscription, "posts").await, "a subscription writes it");
    // A database with a subscription cannot be dropped.
    let superuser = connect(&world.databases[0].superuser_url).await.unwrap();
    superuser.batch_execute("drop subscription posts").await.unwrap();
}
