//! Moving to a site that is far away.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    unreachable_pub,
    dead_code,
    reason = "helpers of tests; a failure should stop the test where it happens"
)]

mod world;

use domicile_mover::migrate::migrate;
use domicile_mover::prepare::prepare;
use domicile_store::postgres::PostgresSite;
use domicile_testkit::tokio_postgres::Client;
use domicile_testkit::{Direction, Proxy, connect};
use std::sync::Arc;
use std::time::Duration;
use world::{SITES, World, options, surroundings};

const ONE_WAY: Duration = Duration::from_millis(40);
/// A person who leaves, and a post of theirs.
const PERSON: i64 = 1;
const POST: i64 = 3;

/// Writes without a pause until refused; returns the last text that was acknowledged.
async fn write_steadily(app: Client) -> String {
    let update = app.prepare("update posts set nonce = $1 where id = $2").await.unwrap();
    let mut last = String::new();
    for turn in 0_u64.. {
        let text = format!("steady-{turn}");
        match app.execute(&update, &[&text, &POST]).await {
            Ok(rows) => {
                assert_eq!(rows, 1, "they are not erased before the refusal");
                last = text;
            }
            Err(error) => {
                assert_eq!(error.code().unwrap().code(), "DM001", "{error:?}");
                break;
            }
        }
    }
    last
}

/// What changed last may take longer to arrive than a door may be closed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_who_is_written_about_all_the_time_moves_far_away() {
    let world = World::with(2).await;
    let plan = world.plan().await;
    prepare(&world.sites().await, &plan).await.unwrap();
    let mut platform = world.platform(&plan).await;
    let mut proxies = Vec::new();
    for (at, (name, _)) in SITES.iter().enumerate().skip(1) {
        let proxy = Proxy::before(&world.databases[at].mover_url).await.unwrap();
        let url = proxy.url(&world.databases[at].mover_url).unwrap();
        let site = PostgresSite::connect(name.parse().unwrap(), &url).await.unwrap();
        platform.sites[at] = Arc::new(site);
        proxy.delay(Direction::ToServer, ONE_WAY);
        proxy.delay(Direction::ToClient, ONE_WAY);
        proxies.push(proxy);
    }
    let writing = tokio::spawn(write_steadily(world.app(0).await));
    let (surroundings, _stop) = surroundings();
    // The far rows stay fenced at the source until the writer has been told.
    let patient = domicile_mover::migrate::Options { quiet: Duration::from_secs(1), ..options() };
    let report = migrate(&platform, &patient, &surroundings).await.unwrap();
    assert_eq!((report.moved, report.failed), (1, 0), "{:?}", report.failures);
    let last = writing.await.unwrap();
    let mut found = Vec::new();
    for database in &world.databases[1..] {
        let client = connect(&database.superuser_url).await.unwrap();
        let query = "select nonce from posts where id = $1 and user_id = $2";
        let rows = client.query(query, &[&POST, &PERSON]).await.unwrap();
        found.extend(rows.iter().map(|row| row.get::<_, String>(0)));
    }
    assert_eq!(found, [last]);
}
