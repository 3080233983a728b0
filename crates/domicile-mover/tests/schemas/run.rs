//! One round: prepare, move some people there, compare, move them back, compare.

use super::dice::Dice;
use super::generate::Schema;
use super::oracle::{RowName, closure};
use super::place::{Dump, Place, SITES, is_row};
use super::spoil::Way;
use crate::either::Connection;
use domicile_model::{HomeRule, Homes, MoveId, SiteName, SiteSpec};
use domicile_mover::Error;
use domicile_mover::migrate::{Options, Surroundings, migrate};
use domicile_mover::people::{Directives, Platform};
use domicile_mover::plan::{Plan, Wishes, plan};
use domicile_mover::prepare::prepare;
use domicile_mover::verify::verify;
use domicile_store::sql::ident;
use jiff::civil::date;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) tables: usize,
    pub(crate) rows: usize,
    pub(crate) moved: usize,
}

pub(crate) async fn round(seed: u64, schema: &Schema, counts: &mut Counts) {
    let place = Place::load(seed, schema).await;
    let plan = planned(&place, &schema.wishes()).await;
    let plan = plan.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    assert_eq!(plan.refused, [], "seed {seed}");
    let prepared = prepare(&place.sites().await, &plan).await;
    assert!(prepared.is_ok(), "seed {seed}: {prepared:?}");
    let (start, empty) = (place.dump(schema, 0).await, place.dump(schema, 1).await);

    let mut dice = Dice::of(seed ^ 0xff);
    let movers: Vec<usize> = (0..schema.people).filter(|_| dice.percent(60)).collect();
    place.set_residence(schema, 0, &movers, "FR").await;
    let before = place.dump(schema, 0).await;
    moved(seed, &place, schema, &plan, 0, movers.len()).await;
    let (here, there) = (place.dump(schema, 0).await, place.dump(schema, 1).await);
    let expected: BTreeSet<RowName> =
        movers.iter().flat_map(|person| closure(schema, *person)).collect();
    let (leaves, stays): (Dump, Dump) =
        before.into_iter().partition(|(name, _)| expected.contains(name));
    let unknown = expected.iter().find(|name| !leaves.contains_key(*name));
    assert_eq!(unknown, None, "seed {seed}: the oracle names rows that are there");
    assert_equal(seed, "what stays", &here, &stays);
    let arrived = leaves.into_iter().chain(empty.clone()).collect();
    assert_equal(seed, "what arrives", &there, &arrived);

    place.set_residence(schema, 1, &movers, "US").await;
    moved(seed, &place, schema, &plan, 1, movers.len()).await;
    assert_equal(seed, "what comes back", &place.dump(schema, 0).await, &start);
    assert_equal(seed, "what is left", &place.dump(schema, 1).await, &empty);
    counts.tables += schema.tables.len();
    counts.rows += start.len();
    counts.moved += expected.len();
}

/// Spoils the schema, and expects to be told so, and that nothing has happened.
pub(crate) async fn refused(seed: u64, schema: &mut Schema, way: &Way) {
    schema.loaded |= way.is_apart();
    let place = Place::load(seed, schema).await;
    for site in 0..if schema.loaded { 2 } else { 1 } {
        let sql = way.sql(schema, site);
        let ran = place.databases.superuser(site).await.run(&sql).await;
        assert!(ran.is_ok(), "seed {seed}: {ran:?}: {sql}");
    }
    let start = place.dump(schema, 0).await;
    let wishes = way.wishes(schema);
    match planned(&place, &wishes).await {
        Err(error) => {
            let is_it = way.what.is_empty() && error.to_string().contains(way.why);
            assert!(is_it, "seed {seed}: {}: {error}", way.why);
        }
        Ok(plan) => {
            let all_about = plan.refused.iter().all(|refusal| refusal.what.starts_with(way.what));
            let says = plan.refused.iter().any(|refusal| refusal.why.contains(way.why));
            assert!(all_about && says, "seed {seed}: {}: {:#?}", way.why, plan.refused);
            let prepared = prepare(&place.sites().await, &plan).await.unwrap_err();
            assert!(prepared.to_string().contains("the plan refuses"), "seed {seed}: {prepared}");
            let platform = platform(&place, schema, &plan).await;
            let (surroundings, _stop) = surroundings();
            let moved = migrate(&platform, &Options::default(), &surroundings).await;
            assert!(moved.is_err(), "seed {seed}: {}: {moved:?}", way.why);
        }
    }
    assert_equal(seed, "what is there", &place.dump(schema, 0).await, &start);
    for site in 0..SITES.len() {
        let ours = match schema.dialect.at_sqlite {
            true => "select count(*) from sqlite_schema where name like 'domicile%'",
            false => "select count(*) from pg_namespace where nspname = 'domicile'",
        };
        let found = place.databases.superuser(site).await.lines(ours).await;
        assert_eq!(found[0][0].as_deref(), Some("0"), "seed {seed}: nothing was installed");
    }
}

/// Names the first difference; whole dumps hold values of a megabyte.
fn assert_equal(seed: u64, what: &str, found: &Dump, expected: &Dump) {
    let names: BTreeSet<&RowName> = found.keys().chain(expected.keys()).collect();
    for name in names {
        let (found, expected) = (found.get(name), expected.get(name));
        if found != expected {
            let short = |text: Option<&String>| {
                text.map(|text| text.chars().take(2000).collect::<String>())
            };
            panic!(
                "seed {seed}: {what} differs in {name:?}:\n found {:?}\nwanted {:?}",
                short(found),
                short(expected)
            );
        }
    }
}

async fn planned(place: &Place, wishes: &Wishes) -> Result<Plan, Error> {
    plan(&place.sites().await, &homes(), wishes, date(2026, 11, 25)).await
}

async fn platform(place: &Place, schema: &Schema, plan: &Plan) -> Platform {
    Platform {
        sites: place.sites().await,
        closure: plan.closure.clone().unwrap(),
        homes: homes(),
        residence: schema.wishes().residence,
        reference_site: 0,
        on: date(2026, 11, 25),
        directives: Directives::default(),
    }
}

/// Moves so many people; the application changes rows at `source` meanwhile, each to what it was.
async fn moved(
    seed: u64,
    place: &Place,
    schema: &Schema,
    plan: &Plan,
    source: usize,
    people: usize,
) {
    let platform = platform(place, schema, plan).await;
    let (surroundings, _stop) = surroundings();
    let options = Options { batch: Some(3), quiet: Duration::ZERO, ..Options::default() };
    let is_over = Arc::new(AtomicBool::new(false));
    let writer = place.databases.app(source).await;
    let writing = tokio::spawn(write_until(seed, writer, writes(seed, schema), is_over.clone()));
    let report = migrate(&platform, &options, &surroundings).await;
    is_over.store(true, Ordering::Relaxed);
    writing.await.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    let report = report.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    let expected = u64::try_from(people).unwrap();
    let done = (report.moved, report.failed, report.mismatches, report.pending_erasure);
    assert_eq!(done, (expected, 0, 0, 0), "seed {seed}: {report:?}");
    let found = verify(&platform).await.unwrap();
    assert!(found.is_clean(), "seed {seed}: {found:?}");
}

/// Some statements that write a column of a row again.
fn writes(seed: u64, schema: &Schema) -> Vec<String> {
    let mut dice = Dice::of(seed);
    let mut statements = Vec::new();
    for _ in 0..200 {
        let table = &schema.tables[dice.below(schema.tables.len())];
        if table.rows.is_empty() {
            continue;
        }
        let row = &table.rows[dice.below(table.rows.len())];
        let column = ident(table.written(&mut dice));
        let is_this = is_row(schema, table, &row.key(table));
        statements
            .push(format!("update {} as t set {column} = {column} where {is_this}", table.sql()));
    }
    statements
}

/// A thread of its own, as SQLite keeps it waiting.
async fn write_until(
    seed: u64,
    mut app: Connection,
    statements: Vec<String>,
    is_over: Arc<AtomicBool>,
) {
    for sql in statements.iter().cycle() {
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        if let Err(told) = app.run(sql).await {
            // SQLite looks for the row referred to before a fence is asked.
            let known = ["DM001", "DM002", "40001", "40P01", "locked", "FOREIGN KEY"];
            assert!(known.iter().any(|word| told.contains(word)), "seed {seed}: {told}: {sql}");
        }
        tokio::task::yield_now().await;
    }
}

fn homes() -> Homes {
    let site = |text: &str| text.parse::<SiteName>().unwrap();
    let rule = |regime: &str, at: &str| HomeRule {
        regimes: vec![regime.to_owned()],
        sites: vec![site(at)],
        refuse_control: Vec::new(),
    };
    let sites = SITES.map(|(name, territory)| SiteSpec {
        name: site(name),
        territory: territory.parse().unwrap(),
        weight: 1,
        operator: None,
    });
    Homes::new(vec![rule("EU", "dub1"), rule("*", "iad1")], sites.to_vec()).unwrap()
}

fn surroundings() -> (Surroundings, tokio::sync::watch::Sender<bool>) {
    static NEXT: AtomicI64 = AtomicI64::new(1);
    let (sender, stop) = tokio::sync::watch::channel(false);
    let started = Instant::now();
    let surroundings = Surroundings {
        clock: Arc::new(move || started.elapsed()),
        now: Arc::new(jiff::Timestamp::now),
        move_id: Arc::new(|| MoveId(NEXT.fetch_add(1, Ordering::Relaxed))),
        progress: Arc::new(|_| {}),
        stop,
    };
    (surroundings, sender)
}
