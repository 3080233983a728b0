//! Sites that stop answering while everything else goes on: the kernel behind a link acknowledges
//! what it swallows, so that no connection ends by itself.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    unreachable_pub,
    reason = "helpers of tests; a failure should stop the test where it happens"
)]

#[expect(dead_code, reason = "this suite uses a part of the world")]
mod world;

use domicile_mover::migrate::migrate;
use domicile_mover::people::Platform;
use domicile_mover::prepare::prepare;
use domicile_mover::verify::verify;
use domicile_store::postgres::PostgresSite;
use domicile_store::{Kind, Site};
use domicile_testkit::{Direction, LinkFault, Proxy, connect};
use std::sync::Arc;
use std::time::Duration;
use world::{SITES, World, options, surroundings};

/// Half a minute is the usual; a test has less patience.
const PATIENCE: Duration = Duration::from_secs(2);
/// Far more than silence may last, far less than a suite waits for one test.
const HANGS: Duration = Duration::from_secs(25);

async fn site(world: &World, at: usize, proxy: &Proxy) -> Arc<dyn Site> {
    let url = proxy.url(&world.databases[at].mover_url).unwrap();
    let site = PostgresSite::connect(SITES[at].0.parse().unwrap(), &url).await.unwrap();
    Arc::new(site.answering_within(PATIENCE))
}

async fn platform(world: &World, at: usize, proxy: &Proxy) -> Platform {
    let plan = world.plan().await;
    prepare(&world.sites().await, &plan).await.unwrap();
    let mut platform = world.platform(&plan).await;
    platform.sites[at] = site(world, at, proxy).await;
    platform
}

/// The link to one site falls silent after so many bytes; then it is whole again.
async fn falls_silent(at: usize, direction: Direction, bytes: usize, fault: LinkFault) {
    let context = format!("{} {direction:?} {bytes} {fault:?}", SITES[at].0);
    let world = World::with(60).await;
    let proxy = Proxy::before(&world.databases[at].mover_url).await.unwrap();
    let platform = platform(&world, at, &proxy).await;
    proxy.fail_after(direction, bytes, fault);
    let (around, _stop) = surroundings();
    let options = options();
    let ended = tokio::time::timeout(HANGS, migrate(&platform, &options, &around)).await;
    let ended = ended.unwrap_or_else(|_| panic!("{context}: the mover hangs"));
    assert_eq!(proxy.faults(), 1, "{context}");
    let error = ended.map(|report| format!("{report:?}")).unwrap_err();
    assert_eq!(error.kind(), Kind::RetryLater, "{context}: {error}");
    assert_eq!(error.to_string(), format!("site {} has stopped answering", SITES[at].0));
    assert!(error.hint_text().unwrap().contains("run the same command again"), "{context}");

    proxy.heal();
    drop(platform);
    let platform = world.platform(&world.plan().await).await;
    let report = migrate(&platform, &options, &around).await;
    let report = report.unwrap_or_else(|error| panic!("{context}: {error}"));
    assert_eq!((report.failed, report.pending_erasure), (0, 0), "{context}: {report:?}");
    let found = verify(&platform).await.unwrap();
    assert!(found.is_clean(), "{context}: {found:?}");
    assert_eq!(found.sites[0].subjects, 30, "{context}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_falls_silent_ends_the_run_and_the_next_one_goes_on() {
    for (direction, bytes) in [(Direction::ToServer, 30_000), (Direction::ToClient, 9_000)] {
        falls_silent(0, direction, bytes, LinkFault::HalfOpen).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_falls_silent_ends_the_run_and_the_next_one_goes_on() {
    for (direction, bytes) in [(Direction::ToServer, 30_000), (Direction::ToClient, 9_000)] {
        falls_silent(1, direction, bytes, LinkFault::HalfOpen).await;
    }
}

/// The server answers whoever asks it anew, and says that it does nothing for us.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_a_middlebox_has_forgotten_are_given_up() {
    for (at, direction) in [(0, Direction::ToServer), (1, Direction::ToClient)] {
        falls_silent(at, direction, 20_000, LinkFault::Forgotten).await;
    }
}

/// A call that waits for a lock, or works, is not cut off by any time limit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_the_server_works_on_may_take_as_long_as_it_likes() {
    const BRIEF: Duration = Duration::from_millis(200);
    let world = World::with(4).await;
    let plan = world.plan().await;
    prepare(&world.sites().await, &plan).await.unwrap();
    let url = &world.databases[0].mover_url;
    let site = PostgresSite::connect("iad1".parse().unwrap(), url).await.unwrap();
    let site = site.answering_within(BRIEF);
    let mut departure = site.departure(plan.closure.clone().unwrap()).await.unwrap();
    let admin = connect(&world.databases[0].superuser_url).await.unwrap();
    // The journal's lock is not the application's to take; this stands for any long wait.
    admin
        .batch_execute("BEGIN; LOCK TABLE domicile.touched IN ACCESS EXCLUSIVE MODE")
        .await
        .unwrap();
    let forgetting = tokio::spawn(async move { departure.forget(&[1]).await });
    let waited = "SELECT coalesce(max(extract(epoch FROM clock_timestamp() - l.waitstart)), 0)::float8 \
         FROM pg_locks l WHERE NOT l.granted AND l.relation = 'domicile.touched'::regclass";
    let looked = async {
        while admin.query_one(waited, &[]).await.unwrap().get::<_, f64>(0)
            < BRIEF.as_secs_f64() * 10.0
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(HANGS, looked).await.expect("nobody waits for the lock");
    assert!(!forgetting.is_finished());
    admin.batch_execute("COMMIT").await.unwrap();
    forgetting.await.unwrap().unwrap();
}
