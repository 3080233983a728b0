//! A small platform on PostgreSQL: three sites, readers, an application that writes all the time.

use domicile_model::{HomeRule, Homes, MoveId, SiteName, SiteSpec};
use domicile_mover::migrate::{Options, Surroundings};
use domicile_mover::people::{Directives, Platform, ResidenceColumns};
use domicile_mover::plan::{Plan, TableKind, TableRule, Wishes, plan};
use domicile_store::Site;
use domicile_store::postgres::PostgresSite;
use domicile_testkit::tokio_postgres::{self, Client};
use domicile_testkit::{Server, TestDatabase, connect};
use jiff::civil::date;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

pub const SITES: [(&str, &str); 3] = [("iad1", "US"), ("dub1", "IE"), ("osl1", "NO")];

const SCHEMA: &str = "
create table badges (id int primary key, name text not null);
insert into badges values (1, 'new'), (2, 'old');
create table addresses (id bigint primary key, street text not null);
create table users (id bigint primary key, country text, badge_id int references badges (id),
    writes bigint not null default 0, address_id bigint references addresses (id));
create index on users (address_id);
create table posts (id bigint primary key,
    user_id bigint not null references users (id), nonce text not null);
create index on posts (user_id);
create table comments (id bigint primary key,
    post_id bigint not null references posts (id), nonce text not null);
create index on comments (post_id);
create table likes (user_id bigint not null, post_id bigint not null, primary key (user_id, post_id));
";

/// The sites' databases.
pub struct World {
    pub databases: Vec<TestDatabase>,
}

impl World {
    /// `people` at iad1, every second of them in Europe, with three posts and a comment each. Four
    /// live at one address.
    pub async fn with(people: i64) -> World {
        World::on(Server::shared(0).unwrap().fresh_database("mover").unwrap(), people).await
    }

    /// The same, with iad1 in this empty database.
    pub async fn on(first: TestDatabase, people: i64) -> World {
        let others =
            (1..SITES.len()).map(|at| Server::shared(at).unwrap().fresh_database("mover").unwrap());
        let databases: Vec<TestDatabase> = std::iter::once(first).chain(others).collect();
        let app = connect(&databases[0].app_url).await.unwrap();
        app.batch_execute(SCHEMA).await.unwrap();
        app.execute(
            "insert into addresses select n, 'start' from generate_series(0, $1::bigint / 4) n",
            &[&people],
        )
        .await
        .unwrap();
        app.execute(
            "insert into users select n, case when n % 2 = 0 then 'US' when n % 3 = 0 then 'FR' else 'NO' end, \
             1 + n % 2, 0, n / 4 from generate_series(1, $1::bigint) n",
            &[&people],
        )
        .await
        .unwrap();
        app.batch_execute(
            "insert into posts select u.id * 3 + n, u.id, 'start' from users u, generate_series(0, 2) n;
             insert into comments select id, id, 'start' from posts where id % 3 = 0;
             insert into likes select u.id, p.id from users u join posts p on p.id = u.id % 7 + 3;
             analyze",
        )
        .await
        .unwrap();
        World { databases }
    }

    /// New connections to every site, as one process makes them.
    pub async fn sites(&self) -> Vec<Arc<dyn Site>> {
        self.sites_as(domicile_testkit::MOVER_ROLE).await
    }

    /// The same, with another role for the mover.
    pub async fn sites_as(&self, role: &str) -> Vec<Arc<dyn Site>> {
        let mut sites: Vec<Arc<dyn Site>> = Vec::new();
        for ((name, _), database) in SITES.iter().zip(&self.databases) {
            let url = database.mover_url.replace(domicile_testkit::MOVER_ROLE, role);
            let site = PostgresSite::connect(name.parse().unwrap(), &url).await;
            sites.push(Arc::new(site.unwrap()));
        }
        sites
    }

    pub async fn plan(&self) -> Plan {
        plan(&self.sites().await, &homes(), &wishes(), date(2026, 11, 21)).await.unwrap()
    }

    pub async fn platform(&self, plan: &Plan) -> Platform {
        Platform {
            sites: self.sites().await,
            closure: plan.closure.clone().unwrap(),
            homes: homes(),
            residence: ResidenceColumns::Code("country".to_owned()),
            reference_site: 0,
            on: date(2026, 11, 21),
            directives: Directives::default(),
        }
    }

    pub async fn app(&self, site: usize) -> Client {
        connect(&self.databases[site].app_url).await.unwrap()
    }

    /// One number from each site, summed.
    pub async fn sum(&self, query: &str) -> i64 {
        let mut sum = 0;
        for database in &self.databases {
            let client = connect(&database.superuser_url).await.unwrap();
            sum += client.query_one(query, &[]).await.unwrap().get::<_, i64>(0);
        }
        sum
    }

    /// How often each nonce stands in posts and comments, over all sites.
    pub async fn nonces(&self) -> BTreeMap<String, u64> {
        let mut found = BTreeMap::new();
        for database in &self.databases {
            let client = connect(&database.superuser_url).await.unwrap();
            let query = "select nonce from posts union all select nonce from comments";
            for row in client.query(query, &[]).await.unwrap() {
                *found.entry(row.get(0)).or_insert(0) += 1;
            }
        }
        found
    }
}

fn name(text: &str) -> SiteName {
    text.parse().unwrap()
}

pub fn homes() -> Homes {
    let rule = |regimes: &[&str], sites: &[&str]| HomeRule {
        regimes: regimes.iter().map(|r| (*r).to_owned()).collect(),
        sites: sites.iter().map(|s| name(s)).collect(),
        refuse_control: Vec::new(),
    };
    let sites = SITES
        .iter()
        .map(|(site, territory)| SiteSpec {
            name: name(site),
            territory: territory.parse().unwrap(),
            weight: 1,
            operator: None,
        })
        .collect();
    let rules = vec![rule(&["EU", "EEA"], &["dub1", "osl1"]), rule(&["*"], &["iad1"])];
    Homes::new(rules, sites).unwrap()
}

pub fn wishes() -> Wishes {
    let mut tables = BTreeMap::new();
    let likes = TableRule {
        owner: vec!["user_id".to_owned()],
        soft: vec![vec!["post_id".to_owned()]],
        ..TableRule::default()
    };
    tables.insert("likes".to_owned(), likes);
    let shared = TableRule { kind: Some(TableKind::Shared), ..TableRule::default() };
    tables.insert("addresses".to_owned(), shared);
    Wishes {
        subjects: "users".to_owned(),
        residence: ResidenceColumns::Code("country".to_owned()),
        tables,
        reference_site: None,
    }
}

/// Options for tests: small batches, no waiting before erasure.
pub fn options() -> Options {
    Options { batch: Some(20), quiet: Duration::ZERO, ..Options::default() }
}

/// Surroundings with a real clock; the sender stops the run.
pub fn surroundings() -> (Surroundings, tokio::sync::watch::Sender<bool>) {
    static NEXT: AtomicI64 = AtomicI64::new(1);
    let (sender, stop) = tokio::sync::watch::channel(false);
    let started = Instant::now();
    let base = i64::from(std::process::id()) << 32;
    let surroundings = Surroundings {
        clock: Arc::new(move || started.elapsed()),
        now: Arc::new(jiff::Timestamp::now),
        move_id: Arc::new(move || MoveId(base + NEXT.fetch_add(1, Ordering::Relaxed))),
        progress: Arc::new(|_| {}),
        stop,
    };
    (surroundings, sender)
}

/// What an application was told is done.
#[derive(Debug, Default)]
pub struct Acknowledged {
    pub nonces: Vec<String>,
    pub updates: u64,
    pub refused: u64,
}

/// A writer that goes where the refusals send it, at one isolation level, until told to stop.
pub async fn write_until(
    world: &World,
    writer: u64,
    people: i64,
    isolation: &str,
    stop: &AtomicU64,
) -> Acknowledged {
    let mut clients = Vec::new();
    for at in 0..SITES.len() {
        let client = world.app(at).await;
        client
            .batch_execute(&format!("set default_transaction_isolation = '{isolation}'"))
            .await
            .unwrap();
        clients.push(client);
    }
    let mut home: BTreeMap<i64, usize> = BTreeMap::new();
    let mut done = Acknowledged::default();
    let mut draw = writer * 7919 + 1;
    let mut count = 0_u64;
    while stop.load(Ordering::Relaxed) == 0 {
        draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let person = i64::try_from(draw >> 33).unwrap() % people + 1;
        count += 1;
        let nonce = format!("{writer}-{count}");
        loop {
            let at = *home.get(&person).unwrap_or(&0);
            // A row's key is the writer's own: sequences would collide between sites.
            let key = i64::try_from((writer + 1) << 40 | count).unwrap();
            match write_once(&clients[at], person, key, &nonce, count % 3).await {
                Ok(written) => {
                    done.updates += u64::from(written.1);
                    if written.0 {
                        done.nonces.push(nonce);
                    }
                    break;
                }
                Err(error) => {
                    done.refused += 1;
                    let database = error.as_db_error().unwrap_or_else(|| panic!("{error:?}"));
                    match database.code().code() {
                        "DM001" => {
                            let new = database.detail().unwrap();
                            let new = SITES.iter().position(|(site, _)| *site == new).unwrap();
                            home.insert(person, new);
                        }
                        // Gone from here, or never here: ask where they are, as a router would.
                        "23503" => {
                            let old = home.remove(&person).unwrap_or(0);
                            home.insert(person, (old + 1) % SITES.len());
                        }
                        "DM002" | "40001" | "40P01" => {}
                        other => panic!("{other}: {database}"),
                    }
                    tokio::task::yield_now().await;
                }
            }
        }
    }
    done
}

/// One transaction; returns whether the insert and the update were acknowledged.
async fn write_once(
    client: &Client,
    person: i64,
    key: i64,
    nonce: &str,
    kind: u64,
) -> Result<(bool, bool), tokio_postgres::Error> {
    match kind {
        0 => {
            let sql = "insert into posts values ($3, $1, $2)";
            client.execute(sql, &[&person, &nonce.to_owned(), &key]).await?;
            Ok((true, false))
        }
        1 => {
            // A comment on a post of theirs, in a table that finds its owner through another.
            let sql = "insert into comments
                select $3, min(id), $2 from posts where user_id = $1 having min(id) is not null";
            let rows = client.execute(sql, &[&person, &nonce.to_owned(), &key]).await?;
            Ok((rows == 1, false))
        }
        _ => {
            // Zero rows mean that the person is not here: nothing was acknowledged.
            let sql = "update users set writes = writes + 1 where id = $1";
            let rows = client.execute(sql, &[&person]).await?;
            Ok((false, rows == 1))
        }
    }
}
