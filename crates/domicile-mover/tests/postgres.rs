//! The whole move between real PostgreSQL servers, while an application writes.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    unreachable_pub,
    reason = "helpers of tests; a failure should stop the test where it happens"
)]

mod world;

use domicile_model::Subject;
use domicile_mover::locate::{locate, status};
use domicile_mover::migrate::migrate;
use domicile_mover::prepare::prepare;
use domicile_mover::verify::verify;
use domicile_testkit::connect;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use world::{World, options, surroundings, write_until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_moves_home_and_nothing_else_changes() {
    let world = World::with(60).await;
    let plan = world.plan().await;
    assert_eq!(plan.refused, []);
    assert_eq!((plan.subjects.total, plan.subjects.to_move), (60, 30));
    let done = prepare(&world.sites().await, &plan).await.unwrap();
    assert_eq!(done[1].reference_rows, 2);
    let again = prepare(&world.sites().await, &plan).await.unwrap();
    assert!(again.iter().all(|site| !site.fences_installed && site.tables_created.is_empty()));
    let everything = "select (select count(*) from users) + (select count(*) from posts)
        + (select count(*) from comments) + (select count(*) from likes)";
    let before = world.sum(everything).await;
    let europeans = "select (select count(*) from users where id % 2 = 1)
        + (select count(*) from posts p where p.user_id % 2 = 1)
        + (select count(*) from comments c join posts p on p.id = c.post_id where p.user_id % 2 = 1)
        + (select count(*) from likes where user_id % 2 = 1)";
    let expected = world.sum(europeans).await;

    let platform = world.platform(&plan).await;
    let (surroundings, _stop) = surroundings();
    let report = migrate(&platform, &options(), &surroundings).await.unwrap();
    assert_eq!((report.moved, report.already_home, report.failed), (30, 30, 0));
    assert_eq!(i64::try_from(report.rows).unwrap(), expected);
    assert_eq!((report.mismatches, report.pending_erasure), (0, 0));
    assert!(report.compared_rows >= report.rows);
    assert_eq!(world.sum(everything).await, before);

    let found = verify(&platform).await.unwrap();
    assert!(found.is_clean(), "{found:?}");
    assert_eq!(found.sites[0].subjects, 30);
    let here = locate(&platform, &Subject::new("3")).await.unwrap();
    assert_ne!(here.home.as_deref(), Some("iad1"));
    assert_eq!(here.state, "resident");
    assert_eq!(status(&platform).await.unwrap().to_move, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn planted_rows_are_found_by_name() {
    let world = World::with(12).await;
    let plan = world.plan().await;
    prepare(&world.sites().await, &plan).await.unwrap();
    let platform = world.platform(&plan).await;
    let (surroundings, _stop) = surroundings();
    migrate(&platform, &options(), &surroundings).await.unwrap();
    let plant = connect(&world.databases[0].superuser_url).await.unwrap();
    plant
        .batch_execute(
            "set session_replication_role = replica;
             alter table posts disable trigger all; alter table likes disable trigger all;
             insert into posts (id, user_id, nonce) values (1000, 3, 'stray');
             insert into likes values (99, 1);
             insert into badges values (3, 'written here, to be carried')",
        )
        .await
        .unwrap();
    let there = connect(&world.databases[1].superuser_url).await.unwrap();
    there
        .batch_execute(
            "set session_replication_role = replica; insert into badges values (4, 'drifted')",
        )
        .await
        .unwrap();
    let found = verify(&platform).await.unwrap();
    let stray = &found.strays_found[0];
    assert_eq!(
        (found.strays, stray.subject.as_str(), stray.site.as_str(), stray.table.as_str()),
        (1, "3", "iad1", "posts")
    );
    assert_eq!((found.orphans, found.reference_drift, found.doubles), (1, 1, 0));
    assert_eq!(
        (found.drift_found[0].table.as_str(), found.drift_found[0].site.as_str()),
        ("badges", "dub1")
    );
    assert!(!found.is_clean());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_acknowledged_write_is_lost_at_any_isolation_level() {
    const PEOPLE: i64 = 60;
    let world = Arc::new(World::with(PEOPLE).await);
    let plan = world.plan().await;
    prepare(&world.sites().await, &plan).await.unwrap();
    let start = world.sum("select count(*) from posts where nonce = 'start'").await;
    let stop = Arc::new(AtomicU64::new(0));
    let writers: Vec<_> = ["read committed", "repeatable read", "serializable"]
        .into_iter()
        .zip(0..)
        .map(|(isolation, writer)| {
            let (world, stop) = (world.clone(), stop.clone());
            tokio::spawn(async move { write_until(&world, writer, PEOPLE, isolation, &stop).await })
        })
        .collect();
    let platform = world.platform(&plan).await;
    let (surroundings, _stop) = surroundings();
    let report = migrate(&platform, &options(), &surroundings).await.unwrap();
    stop.store(1, Ordering::Relaxed);
    assert_eq!((report.moved, report.failed, report.mismatches), (30, 0, 0), "{report:?}");

    let mut finished = Vec::new();
    for writer in writers {
        finished.push(writer.await.unwrap());
    }
    let found = world.nonces().await;
    let (mut nonces, mut updates) = (0, 0);
    for done in &finished {
        updates += i64::try_from(done.updates).unwrap();
        for nonce in &done.nonces {
            assert_eq!(found.get(nonce), Some(&1), "{nonce}");
            nonces += 1;
        }
    }
    assert!(nonces > 20 && updates > 10, "the application wrote: {nonces} rows, {updates} updates");
    assert_eq!(world.sum("select coalesce(sum(writes), 0)::bigint from users").await, updates);
    assert_eq!(world.sum("select count(*) from posts where nonce = 'start'").await, start);
    let found = verify(&platform).await.unwrap();
    assert!(found.is_clean(), "{found:?}");
}

/// Somebody at the target keeps a row that has arrived, for longer than anybody waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_whose_arrived_row_is_kept_stays_at_home_and_moves_with_the_next_run() {
    let world = Arc::new(World::with(4).await);
    let plan = world.plan().await;
    prepare(&world.sites().await, &plan).await.unwrap();
    let platform = world.platform(&plan).await;
    // Whoever is at a target from before is waited for once everybody is announced.
    let before = [world.app(1).await, world.app(2).await];
    for client in &before {
        client.batch_execute("begin; select pg_current_xact_id()").await.unwrap();
    }
    let meanwhile = async {
        let writer = world.app(0).await;
        let announced =
            "select count(*) from domicile.subject where subject = '1' and state = 'moving'";
        while world.sum(announced).await == 0 {}
        writer.batch_execute("begin; update users set writes = 1 where id = 1").await.unwrap();
        for client in &before {
            client.batch_execute("rollback").await.unwrap();
        }
        let hold = "select 1 from users where id = 1 for update";
        let holders = [world.app(1).await, world.app(2).await];
        let mut is_held = false;
        while !is_held {
            for holder in &holders {
                holder.batch_execute("begin").await.unwrap();
                is_held = !holder.query(hold, &[]).await.unwrap().is_empty();
                if is_held {
                    break;
                }
                holder.batch_execute("rollback").await.unwrap();
            }
        }
        writer.batch_execute("commit").await.unwrap();
        holders
    };
    let (running, _stop) = surroundings();
    let options = options();
    let (report, holders) = tokio::join!(migrate(&platform, &options, &running), meanwhile);
    let report = report.unwrap();
    assert!(report.failed > 0 && report.failures.iter().any(|f| f.subject == Subject::new("1")));
    let home = "select writes from users where id = 1";
    assert_eq!(world.app(0).await.query_one(home, &[]).await.unwrap().get::<_, i64>(0), 1);
    drop(holders);
    let (running, _stop) = surroundings();
    let report = migrate(&platform, &options, &running).await.unwrap();
    assert_eq!((report.failed, report.mismatches), (0, 0), "{report:?}");
    assert_eq!(world.sum("select coalesce(sum(writes), 0)::bigint from users").await, 1);
    assert_eq!(status(&platform).await.unwrap().to_move, 0);
    let found = verify(&platform).await.unwrap();
    assert!(found.is_clean(), "{found:?}");
}

/// `docs/trust.md` lists these rights; nothing else must be needed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mover_without_superuser_moves_with_the_rights_that_the_documentation_lists() {
    let world = World::with(30).await;
    let role = format!("plain_{}", world.databases[0].name);
    for database in &world.databases {
        let admin = connect(&database.superuser_url).await.unwrap();
        let name = &database.name;
        admin
            .batch_execute(&format!(
                "DO $d$ BEGIN CREATE ROLE {role} LOGIN BYPASSRLS; EXCEPTION WHEN duplicate_object THEN NULL; END $d$;
                 GRANT app TO {role};
                 GRANT pg_read_all_stats TO {role};
                 GRANT SET ON PARAMETER session_replication_role TO {role};
                 GRANT CREATE ON DATABASE {name} TO {role};
                 GRANT CREATE ON SCHEMA public TO {role}"
            ))
            .await
            .unwrap();
    }
    let sites = world.sites_as(&role).await;
    let on = jiff::civil::date(2026, 11, 21);
    let planned = domicile_mover::plan::plan(&sites, &world::homes(), &world::wishes(), on).await;
    let plan = planned.unwrap();
    assert_eq!(plan.refused, []);
    prepare(&sites, &plan).await.unwrap();
    let mut platform = world.platform(&plan).await;
    platform.sites = sites;
    let (surroundings, _stop) = surroundings();
    let report = migrate(&platform, &options(), &surroundings).await.unwrap();
    assert_eq!((report.moved, report.failed, report.pending_erasure), (15, 0, 0), "{report:?}");
    assert!(verify(&platform).await.unwrap().is_clean());
    // The application can write at the new home, and only there.
    let mut codes = Vec::new();
    for site in 0..world::SITES.len() {
        let late = "insert into posts values (900, 3, 'late')";
        let outcome = world.app(site).await.execute(late, &[]).await;
        codes.push(outcome.err().map(|error| error.code().unwrap().code().to_owned()));
    }
    assert_eq!(codes.iter().filter(|code| code.is_none()).count(), 1, "{codes:?}");
    assert_eq!(codes[0].as_deref(), Some("23503"), "no parent is left at the old home");
}

/// People who sign up with a badge that did not exist when the sites were prepared, all the while
/// everybody moves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_refers_to_a_new_reference_row_finds_it_at_its_new_home() {
    let world = Arc::new(World::with(60).await);
    let plan = world.plan().await;
    prepare(&world.sites().await, &plan).await.unwrap();
    let stop = Arc::new(AtomicU64::new(0));
    let signing_up = {
        let (world, stop) = (world.clone(), stop.clone());
        tokio::spawn(async move {
            let app = world.app(0).await;
            let mut count = 0;
            // At full speed people would sign up faster than batches of twenty can move.
            let mut tick = tokio::time::interval(std::time::Duration::from_millis(5));
            while stop.load(Ordering::Relaxed) == 0 {
                tick.tick().await;
                count += 1;
                let (badge, person) = (100 + count, 1000 + i64::from(count));
                app.execute("insert into badges values ($1, 'new')", &[&badge]).await.unwrap();
                let sign_up = "insert into users values ($1, 'NO', $2)";
                app.execute(sign_up, &[&person, &badge]).await.unwrap();
                // A change that nobody has to look at, and one of somebody who may be moving.
                app.execute("update badges set name = 'old' where id = $1", &[&badge])
                    .await
                    .unwrap();
                let change = "update users set badge_id = $1 where id = $2";
                let change = app.execute(change, &[&badge, &(i64::from(count) % 60 + 1)]).await;
                if let Err(error) = change {
                    assert_eq!(error.code().unwrap().code(), "DM001", "{error:?}");
                }
            }
            i64::from(count)
        })
    };
    let platform = world.platform(&plan).await;
    let mut moved = 0;
    for _ in 0..4 {
        let (surroundings, _stop) = surroundings();
        let report = migrate(&platform, &options(), &surroundings).await.unwrap();
        assert_eq!((report.failed, report.mismatches), (0, 0), "{:?}", report.failures);
        moved += report.moved;
    }
    stop.store(1, Ordering::Relaxed);
    let signed_up = signing_up.await.unwrap();
    let (surroundings, _stop) = surroundings();
    let last = migrate(&platform, &options(), &surroundings).await.unwrap();
    assert_eq!(i64::try_from(moved + last.moved).unwrap(), 30 + signed_up);
    let found = verify(&platform).await.unwrap();
    assert!(found.is_clean(), "{found:?}");
    assert_eq!(
        world.sum("select count(*) from badges where name = 'old' and id > 100").await,
        3 * signed_up
    );
    assert_eq!(world.sum("select count(*) from users").await, 60 + signed_up);
}
