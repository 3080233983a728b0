//! The account of an erasure against what is really there: planted values are looked for byte by
//! byte after every step, and no rung may be called done while they are found in its place.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    unreachable_pub,
    dead_code,
    reason = "helpers of tests; a failure should stop the test where it happens"
)]

mod world;

use domicile_mover::erasure::{Retention, account};
use domicile_mover::migrate::{Options as MoveOptions, migrate};
use domicile_mover::people::Platform;
use domicile_mover::plan::{Wishes, plan};
use domicile_mover::prepare::prepare;
use domicile_mover::report::MigrateReport;
use domicile_store::RungState::{self, Done, NotKnown, NotYet};
use domicile_store::Site as _;
use domicile_store::postgres::PostgresSite;
use domicile_testkit::tokio_postgres::Client;
use domicile_testkit::{Cluster, Options, Server, connect};
use jiff::civil::date;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use world::{World, options, surroundings};

/// In every value that is planted with somebody who leaves.
const CANARY: &str = "c4n4ry-7f3a91d0b2";

/// Everybody in `letters` leaves, so that the table is emptied. Long values stand uncompressed.
const SCHEMA: &str = "
create table users (id bigint primary key, country text, email text not null);
create index on users (email);
create table posts (id bigint primary key, user_id bigint not null references users (id),
    nonce text not null, body text not null);
alter table posts alter body set storage external;
create index on posts (user_id);
create index on posts (nonce);
create table letters (id bigint primary key, user_id bigint not null references users (id),
    nonce text not null);
create index on letters (user_id)";

fn rows() -> String {
    format!(
        "insert into users select n, case when n % 2 = 0 then 'US' else 'FR' end,
             case when n % 2 = 0 then 'mail-' else '{CANARY}-mail-' end || n from generate_series(1, 200) n;
         insert into posts select u.id * 3 + n, u.id, u.email || '-' || n,
             repeat(u.email || '-', case when n = 0 then 300 else 1 end)
             from users u, generate_series(0, 2) n;
         insert into letters select id, id, email from users where id % 2 = 1;
         vacuum; analyze"
    )
}

struct Source {
    cluster: Cluster,
    client: Client,
}

impl Source {
    async fn number(&self, query: &str) -> i64 {
        self.client.query_one(query, &[]).await.unwrap().get(0)
    }

    async fn run(&self, statements: &[&str]) {
        for statement in statements {
            self.client.batch_execute(statement).await.unwrap();
        }
    }

    /// In how many tuples and leaf entries of indexes, dead or alive, the value stands.
    async fn tuples(&self) -> i64 {
        let heap = format!(
            "select count(*) from pg_class c, generate_series(0, pg_relation_size(c.oid) / 8192 - 1) b,
                 heap_page_items(get_raw_page(c.oid::regclass::text, b::int)) i
             where (c.oid in (select to_regclass(n) from unnest(array['users', 'posts', 'letters',
                 'domicile.subject', 'domicile.touched']) n)
                 or c.oid in (select reltoastrelid from pg_class where relname = 'posts'))
                 and position(convert_to('{CANARY}', 'UTF8') in i.t_data) > 0"
        );
        let index = format!(
            "select count(*) from pg_index x, generate_series(1, pg_relation_size(x.indexrelid) / 8192 - 1) b,
                 bt_page_items(get_raw_page(x.indexrelid::regclass::text, b::int)) i
             where x.indrelid = any (array['users', 'posts', 'letters']::regclass[]) and i.htid is not null
                 and position(encode('{CANARY}', 'hex') in replace(i.data, ' ', '')) > 0"
        );
        self.number(&heap).await + self.number(&index).await
    }

    /// In how many samples of the tables of people.
    async fn samples(&self) -> i64 {
        let query = format!(
            "select count(*) from pg_stats where schemaname in ('public', 'domicile')
             and concat(most_common_vals::text, histogram_bounds::text) like '%{CANARY}%'"
        );
        self.number(&query).await
    }

    /// In how many files of the database, those of the samples' own table left aside.
    async fn files(&self) -> i64 {
        self.run(&["checkpoint"]).await;
        let row = self
            .client
            .query_one(
                "select (select oid::text from pg_database where datname = current_database()),
                 array(select pg_relation_filenode(c.oid)::text from pg_class c where 'pg_statistic'::regclass
                     = any (array[c.oid, (select o.oid from pg_class o where o.reltoastrelid = c.oid)]))",
                &[],
            )
            .await
            .unwrap();
        let folder = self.cluster.data_dir().join("base").join(row.get::<_, String>(0));
        let aside: Vec<String> = row.get(1);
        holding(&folder, |name| !aside.iter().any(|file| name == file))
    }

    fn log(&self) -> i64 {
        holding(&self.cluster.data_dir().join("pg_wal"), |_| true)
    }

    /// In rows of domicile's own tables, and in what the server has logged.
    async fn told(&self) -> i64 {
        let tables = self
            .client
            .query(
                "select c.oid::regclass::text from pg_class c
                 where c.relkind = 'r' and c.relnamespace = 'domicile'::regnamespace",
                &[],
            )
            .await
            .unwrap();
        let mut found = i64::from(self.cluster.log().unwrap().contains(CANARY));
        for table in tables {
            let table: String = table.get(0);
            let query = format!("select count(*) from {table} t where t::text like '%{CANARY}%'");
            found += self.number(&query).await;
        }
        found
    }
}

/// How many files of a folder hold the planted bytes.
fn holding(folder: &Path, looked_at: impl Fn(&str) -> bool) -> i64 {
    let mut found = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_file() && looked_at(name) {
            let bytes = std::fs::read(&path).unwrap();
            found += i64::from(bytes.windows(CANARY.len()).any(|part| part == CANARY.as_bytes()));
        }
    }
    found
}

type States = BTreeMap<&'static str, RungState>;

/// What the account says of every move at once: of two states the lower.
async fn states(platform: &Platform) -> States {
    let keep = Retention { tombstones: Duration::from_secs(3600), ..Retention::default() };
    let account = account(platform, &keep, jiff::Timestamp::now()).await.unwrap();
    let mut states = States::new();
    let erased = &account.sites[0].moves;
    assert_eq!(erased.iter().map(|erased| erased.people).sum::<u64>(), 100);
    assert_eq!(erased.iter().map(|erased| erased.rows).sum::<u64>(), 500);
    for rung in erased.iter().flat_map(|erased| &erased.rungs) {
        let state = states.entry(rung.rung).or_insert(rung.state);
        assert_eq!(*state, rung.state, "moves of one run differ: {rung:?}");
    }
    states
}

/// Looks in every place, and holds the account to it. Returns what it says.
async fn compare(step: &str, source: &Source, platform: &Platform) -> States {
    let states = states(platform).await;
    let live =
        source.number(&format!("select count(*) from users where email like '{CANARY}%'")).await;
    let found = [
        ("rows_deleted", live),
        ("dead_tuples_vacuumed", source.tuples().await),
        ("pages_rewritten", source.files().await),
        ("wal_recycled", source.log()),
        ("statistics_refreshed", source.samples().await),
    ];
    for (rung, count) in found {
        let is_honest = states[rung] != Done || count == 0;
        assert!(is_honest, "{step}: {rung} is called done, and {count} are found: {found:?}");
    }
    assert_eq!(source.told().await, 0, "{step}: domicile's tables or the log tell of values");
    eprintln!("{step}: {found:?}, {states:?}");
    states
}

async fn planted() -> (Source, World) {
    let cluster = Cluster::start(Options::for_tests().with("autovacuum", "off")).unwrap();
    let mut databases = vec![cluster.fresh_database("erasure").unwrap()];
    databases
        .extend((0..2).map(|at| Server::shared(at).unwrap().fresh_database("erasure").unwrap()));
    let app = connect(&databases[0].app_url).await.unwrap();
    app.batch_execute(SCHEMA).await.unwrap();
    for statement in rows().split(';') {
        app.batch_execute(statement).await.unwrap();
    }
    let client = connect(&databases[0].superuser_url).await.unwrap();
    let source = Source { cluster, client };
    source.run(&["create extension pageinspect"]).await;
    (source, World { databases })
}

/// The platform as a role sees it that may move people, and read neither samples nor the log.
async fn without_grants(source: &Source, world: &World) -> Platform {
    source
        .run(&[
            "create role limited login bypassrls",
            "grant app, pg_read_all_stats to limited",
            "grant set on parameter session_replication_role to limited",
            "grant all on all tables in schema domicile to limited",
        ])
        .await;
    let url = world.databases[0].mover_url.replace(domicile_testkit::MOVER_ROLE, "limited");
    let site = PostgresSite::connect("iad1".parse().unwrap(), &url).await.unwrap();
    let wishes = Wishes { tables: BTreeMap::new(), ..world::wishes() };
    let mut sites = world.sites().await;
    sites[0] = Arc::new(site);
    let date = date(2026, 11, 21);
    let plan = plan(&sites, &world::homes(), &wishes, date).await.unwrap();
    Platform { sites, ..world.platform(&plan).await }
}

async fn moved(world: &World) -> Platform {
    moved_with(world, &options()).await.0
}

async fn moved_with(world: &World, options: &MoveOptions) -> (Platform, MigrateReport) {
    let wishes = Wishes { tables: BTreeMap::new(), ..world::wishes() };
    let date = date(2026, 11, 21);
    let plan = plan(&world.sites().await, &world::homes(), &wishes, date).await.unwrap();
    assert_eq!(plan.refused, []);
    prepare(&world.sites().await, &plan).await.unwrap();
    let platform = world.platform(&plan).await;
    let (surroundings, _stop) = surroundings();
    let report = migrate(&platform, options, &surroundings).await.unwrap();
    assert_eq!((report.moved, report.pending_erasure), (100, 0));
    (platform, report)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_rung_is_done_while_what_was_planted_is_found_there() {
    let (source, world) = planted().await;
    source.run(&["select pg_create_physical_replication_slot('behind', true)"]).await;
    assert!(source.tuples().await > 500 && source.files().await > 3);
    assert!(source.samples().await > 1 && source.log() > 0);
    let platform = moved(&world).await;
    let account_says = |step| compare(step, &source, &platform);

    let said = account_says("erased").await;
    assert_eq!(said["rows_deleted"], Done);
    let others = said.iter().filter(|(rung, _)| **rung != "rows_deleted");
    assert!(others.clone().all(|(_, state)| matches!(state, NotYet | NotKnown)), "{said:?}");
    assert_eq!(said["standbys_caught_up"], NotYet);
    assert!(source.tuples().await > 0 && source.samples().await > 1);

    source.run(&["analyze"]).await;
    assert_eq!(account_says("analyzed").await["statistics_refreshed"], NotYet);
    assert!(source.samples().await > 0, "of an emptied table ANALYZE keeps the samples");
    source.run(&["delete from pg_statistic where starelid = 'letters'::regclass"]).await;
    assert_eq!(account_says("samples removed").await["statistics_refreshed"], Done);

    source.run(&["vacuum (index_cleanup off)"]).await;
    assert_ne!(account_says("pruned").await["dead_tuples_vacuumed"], Done);
    assert!(source.tuples().await > 0, "entries of indexes stand");
    source.run(&["vacuum (index_cleanup on)"]).await;
    let said = account_says("vacuumed").await;
    assert_eq!((said["dead_tuples_vacuumed"], said["pages_rewritten"]), (Done, NotYet));
    assert!(source.files().await > 0, "VACUUM overwrites nothing");

    source.run(&["vacuum full users, posts, letters", "reindex table users"]).await;
    assert_eq!(account_says("some rewritten").await["pages_rewritten"], NotYet);
    source.run(&["vacuum full domicile.subject, domicile.touched"]).await;
    let said = account_says("rewritten").await;
    assert_eq!((said["dead_tuples_vacuumed"], said["pages_rewritten"]), (Done, Done));

    let limited = without_grants(&source, &world).await;
    let said = states(&limited).await;
    assert_eq!((said["statistics_refreshed"], said["wal_recycled"]), (NotKnown, NotKnown));
    assert_eq!(said["pages_rewritten"], Done);

    source.run(&["select pg_drop_replication_slot('behind')"]).await;
    assert_eq!(account_says("slot dropped").await["standbys_caught_up"], NotKnown);
    source.run(&["checkpoint", "select pg_switch_wal()", "checkpoint"]).await;
    assert_ne!(account_says("log recycled").await["wal_recycled"], Done);
}

const EMPTIED: [&str; 3] = ["public.letters", "public.posts", "public.users"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_of_which_much_was_erased_are_vacuumed_once_nobody_sees_the_rows() {
    let (source, world) = planted().await;
    // In another database it holds no move up, and VACUUM must keep what it might see.
    let elsewhere = connect(&source.cluster.superuser_url("postgres")).await.unwrap();
    elsewhere.batch_execute("begin isolation level repeatable read; select").await.unwrap();
    let platform = moved(&world).await;
    let site = platform.sites[0].clone();
    let found = site.vacuum().await.unwrap();
    let is_among =
        |tables: &[String]| EMPTIED.iter().all(|table| tables.iter().any(|t| t == table));
    assert!(found.tables.is_empty() && is_among(&found.too_early), "{found:?}");
    elsewhere.batch_execute("rollback").await.unwrap();

    let guest = [
        "create role guest login bypassrls",
        "grant pg_read_all_stats to guest",
        "grant set on parameter session_replication_role to guest",
        "grant usage on schema domicile to guest",
        "grant all on all tables in schema domicile to guest",
    ];
    source.run(&guest).await;
    let url = world.databases[0].mover_url.replace(domicile_testkit::MOVER_ROLE, "guest");
    let guest = PostgresSite::connect("iad1".parse().unwrap(), &url).await.unwrap();
    let found = guest.vacuum().await.unwrap();
    assert!(found.tables.is_empty() && is_among(&found.skipped), "{found:?}");
    assert_ne!(compare("passed over", &source, &platform).await["dead_tuples_vacuumed"], Done);

    let found = site.vacuum().await.unwrap();
    assert!(is_among(&found.tables) && found.skipped.is_empty(), "{found:?}");
    let said = compare("vacuumed by the mover", &source, &platform).await;
    assert_eq!(said["dead_tuples_vacuumed"], Done);
    assert!(source.number("select pg_relation_size('letters')").await > 0, "no table is cut short");
    let analyzed = "select count(*) from pg_stat_user_tables where last_analyze > last_vacuum - '1min'::interval
        and relname in ('posts', 'users', 'letters')";
    assert_eq!(source.number(analyzed).await, 3);
    let again = site.vacuum().await.unwrap();
    assert_eq!(again, domicile_store::Vacuumed::default(), "once is enough");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_vacuums_behind_itself_and_says_so() {
    let (source, world) = planted().await;
    let vacuum = MoveOptions { vacuum: true, ..options() };
    let (platform, report) = moved_with(&world, &vacuum).await;
    let [site] = report.vacuumed.as_slice() else { panic!("{:?}", report.vacuumed) };
    assert_eq!((site.site.as_str(), site.skipped.len()), ("iad1", 0));
    assert!(EMPTIED.iter().all(|table| site.tables.iter().any(|t| t == table)), "{site:?}");
    let said = compare("a run that vacuums", &source, &platform).await;
    assert_eq!(said["dead_tuples_vacuumed"], Done);
}
