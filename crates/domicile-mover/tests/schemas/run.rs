//! One round: prepare, move some people there, compare, move them back, compare.

use super::dice::Dice;
use super::generate::{RESIDENCE, Schema};
use super::oracle::{RowName, closure};
use super::rows::inserts;
use domicile_model::{HomeRule, Homes, MoveId, SiteName, SiteSpec};
use domicile_mover::migrate::{Options, Surroundings, migrate};
use domicile_mover::people::{Directives, Platform};
use domicile_mover::plan::{Plan, plan};
use domicile_mover::prepare::prepare;
use domicile_mover::verify::verify;
use domicile_store::Site;
use domicile_store::postgres::PostgresSite;
use domicile_store::sql::{ident, literal};
use domicile_testkit::{Server, TestDatabase, connect};
use jiff::civil::date;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

const SITES: [(&str, &str); 2] = [("iad1", "US"), ("dub1", "IE")];

#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) tables: usize,
    pub(crate) rows: usize,
    pub(crate) moved: usize,
}

/// Every row as text, by name.
type Dump = BTreeMap<RowName, String>;

struct Place {
    seed: u64,
    databases: Vec<TestDatabase>,
}

pub(crate) async fn round(seed: u64, schema: &Schema, counts: &mut Counts) {
    let place = Place::load(seed, schema).await;
    let plan = place.plan(schema).await;
    assert_eq!(plan.refused, [], "seed {seed}");
    let prepared = prepare(&place.sites().await, &plan).await;
    assert!(prepared.is_ok(), "seed {seed}: {prepared:?}");
    let start = place.dump(schema, 0).await;

    let mut dice = Dice::of(seed ^ 0xff);
    let movers: Vec<usize> = (0..schema.people).filter(|_| dice.percent(60)).collect();
    place.set_residence(schema, 0, &movers, "FR").await;
    let before = place.dump(schema, 0).await;
    place.migrate(schema, movers.len()).await;
    let (here, there) = (place.dump(schema, 0).await, place.dump(schema, 1).await);
    let expected: BTreeSet<RowName> =
        movers.iter().flat_map(|person| closure(schema, *person)).collect();
    let (leaves, stays): (Dump, Dump) =
        before.into_iter().partition(|(name, _)| expected.contains(name));
    assert_eq!(leaves.len(), expected.len(), "seed {seed}: the oracle names rows that are there");
    assert_equal(seed, "what stays", &here, &stays);
    assert_equal(seed, "what arrives", &there, &leaves);

    place.set_residence(schema, 1, &movers, "US").await;
    place.migrate(schema, movers.len()).await;
    assert_equal(seed, "what comes back", &place.dump(schema, 0).await, &start);
    assert_equal(seed, "what is left", &place.dump(schema, 1).await, &Dump::new());
    counts.tables += schema.tables.len();
    counts.rows += start.len();
    counts.moved += expected.len();
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

impl Place {
    async fn load(seed: u64, schema: &Schema) -> Place {
        let fresh = |_| Server::shared(0).unwrap().fresh_database("schemas").unwrap();
        let databases: Vec<TestDatabase> = SITES.iter().map(fresh).collect();
        for (at, database) in databases.iter().enumerate() {
            let rows = if at == 0 { inserts(schema) } else { String::new() };
            let script = schema.tables_sql() + &rows + &schema.keys_sql() + "analyze;";
            if at > 0 && !schema.loaded {
                continue;
            }
            let app = connect(&database.app_url).await.unwrap();
            let loaded = app.batch_execute(&script).await;
            assert!(loaded.is_ok(), "seed {seed}: {loaded:?}\n{script}");
        }
        Place { seed, databases }
    }

    async fn sites(&self) -> Vec<Arc<dyn Site>> {
        let mut sites: Vec<Arc<dyn Site>> = Vec::new();
        for ((name, _), database) in SITES.iter().zip(&self.databases) {
            let site = PostgresSite::connect(name.parse().unwrap(), &database.mover_url).await;
            sites.push(Arc::new(site.unwrap()));
        }
        sites
    }

    async fn plan(&self, schema: &Schema) -> Plan {
        let planned =
            plan(&self.sites().await, &homes(), &schema.wishes(), date(2026, 11, 25)).await;
        planned.unwrap_or_else(|error| panic!("seed {}: {error}", self.seed))
    }

    async fn migrate(&self, schema: &Schema, people: usize) {
        let seed = self.seed;
        let plan = self.plan(schema).await;
        assert_eq!(plan.refused, [], "seed {seed}");
        let platform = Platform {
            sites: self.sites().await,
            closure: plan.closure.clone().unwrap(),
            homes: homes(),
            residence: schema.wishes().residence,
            reference_site: 0,
            on: date(2026, 11, 25),
            directives: Directives::default(),
        };
        let (surroundings, _stop) = surroundings();
        let options = Options { batch: Some(3), quiet: Duration::ZERO, ..Options::default() };
        let report = migrate(&platform, &options, &surroundings).await;
        let report = report.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let expected = u64::try_from(people).unwrap();
        let done = (report.moved, report.failed, report.mismatches, report.pending_erasure);
        assert_eq!(done, (expected, 0, 0, 0), "seed {seed}: {report:?}");
        let found = verify(&platform).await.unwrap();
        assert!(found.is_clean(), "seed {seed}: {found:?}");
    }

    /// As the application does where they live.
    async fn set_residence(&self, schema: &Schema, site: usize, people: &[usize], land: &str) {
        let app = connect(&self.databases[site].app_url).await.unwrap();
        let root = &schema.tables[0];
        for person in people {
            let key = root.rows[*person].key(root);
            let is_theirs: Vec<String> = root
                .key
                .iter()
                .zip(&key)
                .map(|(column, value)| format!("{} = {}", ident(column), literal(value)))
                .collect();
            let sql = format!(
                "update {} set {} = '{land}' where {}",
                root.sql(),
                ident(RESIDENCE),
                is_theirs.join(" and ")
            );
            let changed = app.execute(&sql, &[]).await;
            assert_eq!(changed.unwrap(), 1, "seed {}: {sql}", self.seed);
        }
    }

    async fn dump(&self, schema: &Schema, site: usize) -> Dump {
        let client = connect(&self.databases[site].superuser_url).await.unwrap();
        client.batch_execute("set extra_float_digits = 3; set timezone = 'UTC'").await.unwrap();
        let mut dump = Dump::new();
        for (at, table) in schema.tables.iter().enumerate() {
            let key: Vec<String> =
                table.key.iter().map(|column| format!("t.{}::text", ident(column))).collect();
            let sql = format!("select array[{}], t::text from {} t", key.join(", "), table.sql());
            let rows = client.query(&sql, &[]).await;
            for row in rows.unwrap_or_else(|error| panic!("seed {}: {error:?}", self.seed)) {
                let doubled = dump.insert((at, row.get(0)), row.get(1));
                assert_eq!(doubled, None, "seed {}: a key twice", self.seed);
            }
        }
        dump
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
