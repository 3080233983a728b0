//! A third site opens for people whom two share, weights change, and it closes again: who moves is
//! whoever's computed home changed, and nobody else, while the application writes and movers die.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests; a failure should stop the test where it happens"
)]

mod either;

use domicile_model::{HomeRule, Homes, MoveId, Placement, SiteSpec, Subject, residence};
use domicile_mover::migrate::{Options, Surroundings, migrate};
use domicile_mover::people::{Directives, Platform, ResidenceColumns};
use domicile_mover::plan::{Wishes, plan};
use domicile_mover::prepare::prepare;
use domicile_mover::report::MigrateReport;
use domicile_mover::verify::verify;
use domicile_store::Kind;
use domicile_store::faulty::{FAULTS, Faults};
use either::{Connection, Databases, Engine};
use jiff::civil::{Date, date};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

const SITES: [&str; 3] = ["dub1", "dub2", "osl1"];
const PEOPLE: usize = 120;
const TODAY: Date = date(2026, 11, 26);
const SCHEMA: &str = "
create table users (id bigint primary key not null, country text);
create table posts (nonce text primary key not null, user_id bigint not null references users (id));
create index posts_user on posts (user_id);";

/// Where each person is, by number less one.
type Whereabouts = Vec<usize>;

/// The sites that share everybody, each with its weight.
fn homes(weights: &[u32]) -> Homes {
    let sites = SITES.iter().zip(weights).map(|(name, weight)| SiteSpec {
        name: name.parse().unwrap(),
        territory: "IE".parse().unwrap(),
        weight: (*weight).max(1),
        operator: None,
    });
    let sites: Vec<SiteSpec> = sites.collect();
    let used = sites.iter().zip(weights).filter(|(_, weight)| **weight > 0);
    let rule = HomeRule {
        regimes: vec!["*".to_owned()],
        sites: used.map(|(site, _)| site.name.clone()).collect(),
        refuse_control: Vec::new(),
    };
    Homes::new(vec![rule], sites).unwrap()
}

fn computed(homes: &Homes) -> Whereabouts {
    let residence = residence::from_code(Some("FR"), TODAY);
    let place = |id: usize| match homes.place(&Subject::new(id.to_string()), &residence) {
        Placement::At(site) => SITES.iter().position(|name| *name == site.as_str()).unwrap(),
        Placement::Nowhere => panic!("{id} has no home"),
    };
    (1..=PEOPLE).map(place).collect()
}

struct Service {
    databases: Databases,
    engine: Engine,
}

impl Service {
    /// Everybody at the first site.
    async fn open(engine: Engine) -> Service {
        let service = Service { databases: Databases::fresh(engine, SITES.len()), engine };
        let mut app = service.databases.app(0).await;
        app.run(SCHEMA).await.unwrap();
        for id in 1..=PEOPLE {
            let sql = format!(
                "insert into users values ({id}, 'FR'); insert into posts values ('first {id}', {id})"
            );
            app.run(&sql).await.unwrap();
        }
        service
    }

    /// The platform of so many sites, prepared.
    async fn platform(&self, weights: &[u32], faults: &Faults) -> Platform {
        let sites = self.databases.sites(&SITES[..weights.len()], faults).await;
        let wishes = Wishes {
            subjects: "users".to_owned(),
            residence: ResidenceColumns::Code("country".to_owned()),
            tables: BTreeMap::new(),
            reference_site: None,
        };
        let homes = homes(weights);
        let plan = plan(&sites, &homes, &wishes, TODAY).await.unwrap();
        assert_eq!(plan.refused, []);
        prepare(&sites, &plan).await.unwrap();
        let (closure, reference_site) = (plan.closure.clone().unwrap(), plan.reference_site);
        let (residence, directives) = (wishes.residence, Directives::default());
        Platform { sites, closure, homes, residence, reference_site, on: TODAY, directives }
    }

    async fn whereabouts(&self, sites: usize) -> Whereabouts {
        let mut found = vec![usize::MAX; PEOPLE];
        for site in 0..sites {
            let lines = self.databases.superuser(site).await.lines("select id from users").await;
            for line in lines {
                let id: usize = line[0].as_ref().unwrap().parse().unwrap();
                assert_eq!(found[id - 1], usize::MAX, "{id} is at two sites");
                found[id - 1] = site;
            }
        }
        found
    }

    /// Every post of every site, with its site.
    async fn posts(&self) -> BTreeMap<String, Vec<usize>> {
        let mut found: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for site in 0..SITES.len() {
            let posts = "select p.nonce from posts p join users u on u.id = p.user_id";
            for line in self.databases.superuser(site).await.lines(posts).await {
                found.entry(line[0].clone().unwrap()).or_default().push(site);
            }
        }
        found
    }

    /// Moves everybody who should be elsewhere, while writers write; the mover dies at these points
    /// first. Returns how many the last run moved and what was acknowledged.
    async fn rehome(&self, weights: &[u32], deaths: &[&str]) -> (u64, Vec<String>) {
        static WRITER: AtomicI64 = AtomicI64::new(1);
        let is_over = Arc::new(AtomicBool::new(false));
        let mut writers = Vec::new();
        for _ in 0..2 {
            let mut apps = Vec::new();
            for site in 0..weights.len() {
                apps.push(self.databases.app(site).await);
            }
            let writer = WRITER.fetch_add(1, Ordering::Relaxed);
            writers.push(tokio::spawn(write_until(writer, apps, is_over.clone())));
        }
        for (point, fault) in deaths.iter().zip(FAULTS.iter().cycle()) {
            let faults = Faults::none();
            let platform = self.platform(weights, &faults).await;
            faults.arm(point, 2, *fault);
            let error = run(&platform).await.unwrap_err();
            assert_eq!(error.kind(), Kind::RetryLater, "{point}: {error:?}");
            assert!(faults.crashed_at().is_some(), "{point}: {error:?}");
        }
        let platform = self.platform(weights, &Faults::none()).await;
        let report = run(&platform).await.unwrap();
        assert_eq!(
            (report.failed, report.mismatches, report.pending_erasure),
            (0, 0, 0),
            "{report:?}"
        );
        is_over.store(true, Ordering::Relaxed);
        let mut acknowledged = Vec::new();
        for writer in writers {
            acknowledged.extend(writer.await.unwrap());
        }
        let found = verify(&platform).await.unwrap();
        assert!(found.is_clean(), "{:?}: {found:?}", self.engine);
        (report.moved, acknowledged)
    }
}

async fn run(platform: &Platform) -> Result<MigrateReport, domicile_mover::Error> {
    static NEXT: AtomicI64 = AtomicI64::new(1);
    let (_sender, stop) = tokio::sync::watch::channel(false);
    let started = Instant::now();
    let surroundings = Surroundings {
        clock: Arc::new(move || started.elapsed()),
        now: Arc::new(jiff::Timestamp::now),
        move_id: Arc::new(|| MoveId(NEXT.fetch_add(1, Ordering::Relaxed))),
        progress: Arc::new(|_| {}),
        stop,
    };
    let options = Options { batch: Some(5), quiet: Duration::ZERO, ..Options::default() };
    migrate(platform, &options, &surroundings).await
}

/// Appends posts to everybody in turn, where refusals say they are, until told to stop. Returns what
/// was acknowledged.
async fn write_until(
    writer: i64,
    mut apps: Vec<Connection>,
    is_over: Arc<AtomicBool>,
) -> Vec<String> {
    let mut home = vec![0; PEOPLE];
    let mut acknowledged = Vec::new();
    for count in 0.. {
        let person = count * 7 % PEOPLE;
        let nonce = format!("{writer} {count}");
        let sql = format!("insert into posts values ('{nonce}', {})", person + 1);
        while let Err(told) = apps[home[person]].run(&sql).await {
            let new = SITES.iter().position(|site| told.contains(&format!("moved to {site}")));
            if told.contains("DM001") {
                home[person] = new.unwrap();
            } else if told.contains("23503") || told.contains("FOREIGN KEY") {
                home[person] = (home[person] + 1) % apps.len();
            } else {
                let again = ["DM002", "40001", "40P01", "locked"];
                assert!(again.iter().any(|word| told.contains(word)), "{told}");
            }
            tokio::task::yield_now().await;
        }
        acknowledged.push(nonce);
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        tokio::task::yield_now().await;
    }
    acknowledged
}

/// Those whose place differs, by number less one.
fn movers(before: &Whereabouts, after: &Whereabouts) -> Vec<usize> {
    (0..PEOPLE).filter(|at| before[*at] != after[*at]).collect()
}

async fn a_third_site_comes_and_goes(engine: Engine) {
    const STAGES: &[(&[u32], &[&str])] = &[
        (&[1, 1], &[]),
        // The third site opens, and the mover dies here and there.
        (&[1, 1, 1], &["target.import", "source.decide", "target.settle", "source.erase"]),
        (&[1, 1, 3], &[]),
        (&[2, 1, 3], &["source.announce", "source.decide"]),
        (&[1, 1, 1], &[]),
        // Nobody's home any more; those who are there go back to where they were.
        (&[1, 1, 0], &["target.commit", "source.decide", "source.erase"]),
        (&[1, 1], &[]),
    ];
    let service = Service::open(engine).await;
    let mut acknowledged: Vec<String> = (1..=PEOPLE).map(|id| format!("first {id}")).collect();
    let mut before = vec![0; PEOPLE];
    let mut shares = Vec::new();
    for (weights, deaths) in STAGES {
        let expected = computed(&homes(weights));
        let (moved, written) = service.rehome(weights, deaths).await;
        let after = service.whereabouts(weights.len()).await;
        assert_eq!(after, expected, "{engine:?} {weights:?}");
        let changed = movers(&before, &expected);
        if deaths.is_empty() {
            assert_eq!(
                moved,
                changed.len() as u64,
                "{engine:?} {weights:?}: who moved, and no others"
            );
        }
        assert!(written.len() > 20, "{engine:?} {weights:?}: writers wrote {}", written.len());
        shares.push((changed, expected.clone()));
        acknowledged.extend(written);
        before = expected;
    }
    let [two, three, more, _, less, closed, again] = shares.try_into().unwrap();
    // Opening a site and adding to its weight take people there, and from there alone.
    for (stage, (changed, after)) in [("three", &three), ("more", &more)] {
        assert!(changed.len() > PEOPLE / 6 && changed.iter().all(|at| after[*at] == 2), "{stage}");
    }
    assert_eq!(less.1, three.1, "the weights of before, and everybody is where they were");
    assert_eq!((&closed.1, &closed.0), (&two.1, &three.0), "those go back who came, and no others");
    assert_eq!(again.0, Vec::<usize>::new());
    let posts = service.posts().await;
    assert_eq!(posts.len(), acknowledged.len(), "{engine:?}");
    for nonce in &acknowledged {
        assert_eq!(posts[nonce].len(), 1, "{engine:?}: {nonce} is at {:?}", posts[nonce]);
    }
    eprintln!(
        "a third site, {engine:?}: of {PEOPLE} people {} moved when it opened, {} when its weight \
         grew, {} back when it closed; {} writes acknowledged and kept",
        three.0.len(),
        more.0.len(),
        three.0.len(),
        acknowledged.len()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_third_site_on_postgresql_takes_its_share_and_gives_it_back() {
    a_third_site_comes_and_goes(Engine::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_third_site_on_sqlite_takes_its_share_and_gives_it_back() {
    a_third_site_comes_and_goes(Engine::Sqlite).await;
}
