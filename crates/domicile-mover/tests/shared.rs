//! Addresses that several people live at, while people move and addresses change.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    unreachable_pub,
    dead_code,
    reason = "helpers of tests; a failure should stop the test where it happens"
)]

mod world;

use domicile_mover::migrate::migrate;
use domicile_mover::plan::TableKind;
use domicile_mover::prepare::prepare;
use domicile_mover::verify::verify;
use domicile_testkit::tokio_postgres::Client;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use world::{SITES, World, options, surroundings};

const PEOPLE: i64 = 80;
const WRITERS: i64 = 3;

/// What one writer was told is done: every street an address has had, oldest first, and who stayed
/// where.
#[derive(Default)]
struct Wrote {
    streets: BTreeMap<i64, Vec<String>>,
    stays: BTreeMap<i64, (i64, i64)>,
}

/// Renames addresses that somebody is at, and lets people stay at more of them, Europeans and
/// Americans apart; each writer has its own of both. Whoever has left is left alone.
async fn write(app: Client, writer: i64, stop: &AtomicU64) -> Wrote {
    let mut wrote = Wrote::default();
    let mut count = 0;
    while stop.load(Ordering::Relaxed) == 0 {
        count += 1;
        let address = (count * 31) % (PEOPLE / 4) / WRITERS * WRITERS + writer;
        let street = format!("{writer}-{count}");
        let rename = "update addresses a set street = $1 where id = $2 and (exists
            (select 1 from users u where u.address_id = a.id) or exists
            (select 1 from stays s where s.address_id = a.id))";
        if app.execute(rename, &[&street, &address]).await.is_ok_and(|rows| rows == 1) {
            wrote.streets.entry(address).or_default().push(street);
        }
        let person = (count * 17) % PEOPLE / WRITERS * WRITERS + writer;
        // Of Europeans odd ones, of Americans even ones.
        let to = (count * 7) % (PEOPLE / 8) * 2 + person % 2;
        let stay = "insert into stays values ($1, $2, $3)";
        let id = count * WRITERS + writer;
        if app.execute(stay, &[&id, &person, &to]).await.is_ok_and(|rows| rows == 1) {
            wrote.stays.insert(id, (person, to));
        }
    }
    wrote
}

/// Every street of an address at a site, the sites where people are at each address, and every stay
/// with how often it stands.
#[derive(Default)]
struct Standing {
    streets: BTreeMap<(usize, i64), String>,
    sites: BTreeMap<i64, BTreeSet<usize>>,
    stays: BTreeMap<(i64, (i64, i64)), u64>,
}

async fn standing(world: &World) -> Standing {
    let mut found = Standing::default();
    for site in 0..SITES.len() {
        let app = world.app(site).await;
        for row in app.query("select id, street from addresses", &[]).await.unwrap() {
            found.streets.insert((site, row.get(0)), row.get(1));
        }
        let referred = "select address_id from users union select address_id from stays";
        for row in app.query(referred, &[]).await.unwrap() {
            found.sites.entry(row.get(0)).or_default().insert(site);
        }
        for row in app.query("select id, user_id, address_id from stays", &[]).await.unwrap() {
            *found.stays.entry((row.get(0), (row.get(1), row.get(2)))).or_default() += 1;
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_acknowledged_change_of_a_shared_row_is_lost() {
    let world = Arc::new(World::with(PEOPLE).await);
    let app = world.app(0).await;
    // Nobody of Europe lives with an American, so that each address has one last word.
    app.batch_execute(
        "update users set address_id = id / 8 * 2 + id % 2;
         create table stays (id bigint primary key, user_id bigint not null references users (id),
             address_id bigint not null references addresses (id));
         create index on stays (user_id); create index on stays (address_id)",
    )
    .await
    .unwrap();
    let plan = world.plan().await;
    assert_eq!(plan.refused, []);
    prepare(&world.sites().await, &plan).await.unwrap();
    let stop = Arc::new(AtomicU64::new(0));
    let levels = ["read committed", "repeatable read", "serializable"];
    let mut writers = Vec::new();
    for (level, writer) in levels.into_iter().zip(0..) {
        let app = world.app(0).await;
        app.batch_execute(&format!("set default_transaction_isolation = '{level}'")).await.unwrap();
        let stop = stop.clone();
        writers.push(tokio::spawn(async move { write(app, writer, &stop).await }));
    }
    let platform = world.platform(&plan).await;
    let (surroundings, _stop) = surroundings();
    let report = migrate(&platform, &options(), &surroundings).await.unwrap();
    stop.store(1, Ordering::Relaxed);
    let mut wrote = Wrote::default();
    for writer in writers {
        let one = writer.await.unwrap();
        wrote.streets.extend(one.streets);
        wrote.stays.extend(one.stays);
    }
    assert_eq!((report.moved, report.failed, report.mismatches), (40, 0, 0), "{report:?}");
    assert!(report.shared_rows > 0);
    assert!(verify(&platform).await.unwrap().is_clean());

    let found = standing(&world).await;
    let stays: BTreeMap<_, u64> = wrote.stays.iter().map(|(id, stay)| ((*id, *stay), 1)).collect();
    assert_eq!(found.stays, stays);
    for (address, known) in &wrote.streets {
        let sites = &found.sites[address];
        let here: Vec<&String> =
            sites.iter().map(|site| &found.streets[&(*site, *address)]).collect();
        assert!(here.contains(&known.last().unwrap()), "{address}: {here:?}, not {known:?}");
        // A site that people went to earlier may have an earlier word, but no other.
        assert!(here.iter().all(|street| *street == "start" || known.contains(street)), "{here:?}");
    }
    // No address of a European is left at the source, and every other is where people are.
    for (site, address) in found.streets.keys() {
        let is_lived_at = found.sites.get(address).is_some_and(|sites| sites.contains(site));
        assert!(is_lived_at || (*site == 0 && address % 2 == 0), "{address} stays at {site}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shared_tables_are_planned_with_what_is_wrong_with_them() {
    let world = World::with(12).await;
    let app = world.app(0).await;
    app.batch_execute(
        "create table rooms (id int primary key, address_id bigint references addresses (id));
         create table lonely (id int primary key, street text)",
    )
    .await
    .unwrap();
    let mut wishes = world::wishes();
    let lonely = wishes.tables["addresses"].clone();
    wishes.tables.insert("lonely".to_owned(), lonely);
    let mut internal = wishes.tables["addresses"].clone();
    internal.kind = Some(TableKind::Internal);
    wishes.tables.insert("rooms".to_owned(), internal);
    let date = jiff::civil::date(2026, 11, 21);
    let sites = world.sites().await;
    let plan = domicile_mover::plan::plan(&sites, &world::homes(), &wishes, date).await.unwrap();
    let said: Vec<(&str, &str)> =
        plan.refused.iter().map(|r| (r.what.as_str(), r.why.as_str())).collect();
    assert_eq!(
        said,
        [
            (
                "rooms",
                "address_id → addresses: refers to shared rows, which are only where people refer \
                 to them"
            ),
            ("lonely", "it is declared shared, but no foreign key of people's rows refers to it"),
        ]
    );
    let shared: Vec<_> = plan.shared.iter().filter(|shared| shared.to == "addresses").collect();
    assert_eq!((shared[0].referring, shared[0].of_one, shared[0].of_several), (12, 1, 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shared_key_of_a_type_of_ones_own_is_refused() {
    let world = World::with(12).await;
    let app = world.app(0).await;
    app.batch_execute(
        "create domain code as text;
         create table depots (id code primary key, street text unique deferrable);
         create table stops (id int primary key, user_id bigint not null references users (id),
             depot text references depots (id));
         create index on stops (user_id); create index on stops (depot)",
    )
    .await
    .unwrap();
    let mut wishes = world::wishes();
    wishes.tables.insert("depots".to_owned(), wishes.tables["addresses"].clone());
    let date = jiff::civil::date(2026, 11, 21);
    let sites = world.sites().await;
    let plan = domicile_mover::plan::plan(&sites, &world::homes(), &wishes, date).await.unwrap();
    let said: Vec<&str> = plan.refused.iter().map(|refusal| refusal.why.as_str()).collect();
    assert_eq!(
        said[..2],
        [
            "its constraint depots_street_key is deferrable: the server checks it by a trigger, which \
             does not fire for rows that arrive",
            "depots.id has the type public.code, whose own idea of equal values is not known here",
        ]
    );
}
