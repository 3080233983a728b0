//! What goes wrong at a site in the middle: an error, a hint, an exit code, and a run that finishes
//! once the cause is gone.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    dead_code,
    unreachable_pub,
    reason = "helpers of tests, shared with others; a failure should stop where it happens"
)]

#[path = "support/disk.rs"]
mod disk;
#[path = "support/postgres.rs"]
mod postgres;
#[path = "../../domicile-mover/tests/world/mod.rs"]
mod world;

use disk::SmallDisk;
use domicile_testkit::connect;
use domicile_testkit::tokio_postgres::Client;
use postgres::{configuration, domicile};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use world::World;

/// Six people of twelve are to move.
struct Trouble {
    world: World,
    directory: tempfile::TempDir,
    config: PathBuf,
}

impl Trouble {
    async fn with(people: i64, role: Option<&str>) -> Trouble {
        let world = World::with(people).await;
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("domicile.toml");
        let role = role.unwrap_or(domicile_testkit::MOVER_ROLE).to_owned();
        std::fs::write(&config, configuration(&world, &role)).unwrap();
        Trouble { world, directory, config }
    }

    async fn ok(&self, arguments: &[&str]) {
        let (code, said) = self.run(arguments).await;
        assert_eq!(code, Some(0), "{arguments:?}: {said}");
    }

    /// Runs to the end; the exit code, and everything that was said.
    async fn run(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let mut command = domicile(&self.config, arguments);
        let ended = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().await.unwrap();
        let said = [ended.stderr, ended.stdout].map(|text| String::from_utf8(text).unwrap());
        (ended.status.code(), said.concat())
    }

    async fn admin(&self, site: usize, statements: &str) {
        let admin = connect(&self.world.databases[site].superuser_url).await.unwrap();
        admin.batch_execute(statements).await.unwrap();
    }

    async fn finishes(&self, people: i64) {
        self.ok(&["migrate"]).await;
        self.ok(&["verify"]).await;
        assert_eq!(self.world.sum("select count(*) from users").await, people);
        let start = "select count(*) from posts where nonce = 'start' or length(nonce) > 100";
        assert_eq!(self.world.sum(start).await, 3 * people);
    }
}

/// Puts a site's database on a small disk of the server's account.
async fn tablespace(trouble: &Trouble, site: usize) -> (Client, SmallDisk) {
    let database = &trouble.world.databases[site];
    let name = &database.name;
    let server = database.superuser_url.replace(name.as_str(), "postgres");
    let server = connect(&server).await.unwrap();
    let data = server.query_one("show data_directory", &[]).await.unwrap();
    let owner = std::fs::metadata(data.get::<_, &str>(0)).unwrap();
    let disk = SmallDisk::of((owner.uid(), owner.gid()));
    let place = format!("create tablespace small_{name} location '{}'", disk.path().display());
    server.batch_execute(&place).await.unwrap();
    server
        .batch_execute(&format!("alter database {name} set tablespace small_{name}"))
        .await
        .unwrap();
    (server, disk)
}

/// The database must leave before its disk does.
async fn leave(trouble: &Trouble, site: usize, server: &Client) {
    let name = &trouble.world.databases[site].name;
    server
        .batch_execute(&format!("alter database {name} set tablespace pg_default"))
        .await
        .unwrap();
    server.batch_execute(&format!("drop tablespace small_{name}")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_fills_at_the_target_stops_the_run_and_no_more() {
    const PEOPLE: i64 = 400;
    let trouble = Trouble::with(PEOPLE, None).await;
    trouble.admin(0, "update posts set nonce = (select string_agg(md5(posts.id::text || n), '') from generate_series(1, 600) n)").await;
    let (server, mut disk) = tablespace(&trouble, 1).await;
    trouble.ok(&["prepare"]).await;
    disk.leave(4 * 1024);
    let (code, said) = trouble.run(&["migrate", "--batch", "50"]).await;
    assert_eq!(code, Some(1), "{said}");
    for part in ["site dub1 refused (53100)", "No space left", "hint: make room"] {
        assert!(said.contains(part), "no {part:?} in {said}");
    }
    disk.make_room();
    trouble.finishes(PEOPLE).await;
    leave(&trouble, 1, &server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_full_at_the_source_keeps_the_journal_from_announcing_and_no_more() {
    const PEOPLE: i64 = 60;
    let trouble = Trouble::with(PEOPLE, None).await;
    let (server, mut disk) = tablespace(&trouble, 0).await;
    trouble.ok(&["prepare"]).await;
    // The first session after changes to the catalog writes a file, and is let in only if it can.
    // The server's own maintenance may change it at any time.
    let said = loop {
        trouble.world.sum("select 1::bigint").await;
        disk.leave(0);
        let (code, said) = trouble.run(&["migrate"]).await;
        assert_eq!(code, Some(1), "{said}");
        if !said.contains("could not write init file") {
            break said;
        }
        disk.make_room();
    };
    for part in ["site iad1 refused (53100)", "No space left", "hint: make room"] {
        assert!(said.contains(part), "no {part:?} in {said}");
    }
    assert_eq!(trouble.world.sum("select count(*) from domicile.subject").await, 0, "announced");
    disk.make_room();
    trouble.finishes(PEOPLE).await;
    leave(&trouble, 0, &server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_loses_a_right_stops_the_run_and_no_more() {
    let role = format!("loses_{}", std::process::id());
    let trouble = Trouble::with(12, Some(&role)).await;
    for (site, database) in trouble.world.databases.iter().enumerate() {
        let name = &database.name;
        let rights = format!(
            "CREATE ROLE {role} LOGIN BYPASSRLS; GRANT app TO {role};
             GRANT pg_read_all_stats TO {role};
             GRANT SET ON PARAMETER session_replication_role TO {role};
             GRANT CREATE ON DATABASE {name} TO {role}; GRANT CREATE ON SCHEMA public TO {role}"
        );
        trouble.admin(site, &rights).await;
    }
    trouble.ok(&["prepare"]).await;
    // At the targets the tables are the mover's own.
    for site in [1, 2] {
        trouble
            .admin(
                site,
                &format!("ALTER TABLE posts OWNER TO postgres; REVOKE ALL ON posts FROM {role}"),
            )
            .await;
    }
    let (code, said) = trouble.run(&["migrate"]).await;
    assert_eq!(code, Some(1), "{said}");
    for part in ["refused (42501)", "permission denied", "hint: the mover's role needs more rights"]
    {
        assert!(said.contains(part), "no {part:?} in {said}");
    }
    for site in [1, 2] {
        trouble.admin(site, &format!("ALTER TABLE posts OWNER TO {role}")).await;
    }
    trouble.finishes(12).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_that_changes_in_the_middle_decides_nobody_wrongly() {
    const PEOPLE: i64 = 400;
    let trouble = Trouble::with(PEOPLE, None).await;
    trouble.ok(&["prepare"]).await;
    let mut command = domicile(&trouble.config, &["migrate", "--max-rows-per-second", "200"]);
    let running = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let started = Instant::now();
    let arrived = "select count(*) from users where country <> 'US'";
    let there = connect(&trouble.world.databases[1].superuser_url).await.unwrap();
    while there.query_one(arrived, &[]).await.unwrap().get::<_, i64>(0) == 0 {
        assert!(started.elapsed() < Duration::from_secs(60), "nobody moves");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let change = "alter table posts add column mood text not null default 'calm'";
    trouble.admin(0, change).await;
    let ended = running.wait_with_output().await.unwrap();
    let said = String::from_utf8(ended.stdout).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{said}");
    let left = connect(&trouble.world.databases[0].superuser_url).await.unwrap();
    let left: i64 = left.query_one(arrived, &[]).await.unwrap().get(0);
    assert!(left > 0, "the change came in the middle");

    let (code, said) = trouble.run(&["migrate"]).await;
    assert_eq!(code, Some(1), "{said}");
    for part in
        ["posts: it differs at site dub1: column mood is missing", "hint: make the schemas equal"]
    {
        assert!(said.contains(part), "no {part:?} in {said}");
    }
    for site in [1, 2] {
        trouble.admin(site, change).await;
    }
    trouble.ok(&["prepare"]).await;
    trouble.finishes(PEOPLE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_transaction_is_named_while_it_holds_the_move_up_and_in_the_report() {
    let trouble = Trouble::with(12, None).await;
    trouble.ok(&["prepare"]).await;
    let app = trouble.world.app(0).await;
    // Of somebody who stays.
    app.batch_execute("begin; update users set writes = writes + 1 where id = 2").await.unwrap();
    let process: i32 = app.query_one("select pg_backend_pid()", &[]).await.unwrap().get(0);
    let mut command = domicile(&trouble.config, &["migrate"]);
    let mut running = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(running.stderr.take().unwrap()).lines();
    let named = loop {
        let line = said.next_line().await.unwrap().expect("it waits, and says for whom");
        if line.contains("still waiting for older transactions") {
            break line;
        }
    };
    assert!(named.contains("iad1") && named.contains(&format!("process {process}, ")), "{named}");
    app.batch_execute("commit").await.unwrap();
    let ended = running.wait_with_output().await.unwrap();
    assert_eq!(ended.status.code(), Some(0));
    let report: serde_json::Value = serde_json::from_slice(&ended.stdout).unwrap();
    let waited = &report["waited_for"][0];
    assert_eq!(
        (&waited["site"], &waited["process"]),
        (&"iad1".into(), &process.into()),
        "{report}"
    );
    assert!(waited["seconds"].as_f64().unwrap() > 2.0, "{waited}");
    // The last look may come while it commits.
    let who = waited["who"].as_str().unwrap();
    assert!(who.contains("select pg_backend_pid()") || who.contains("commit"), "{waited}");
}

/// What `status --watch --json` says next: how many people are to move.
async fn to_move(watching: &mut tokio::io::Lines<BufReader<tokio::process::ChildStdout>>) -> u64 {
    let line = watching.next_line().await.unwrap().unwrap();
    let status: serde_json::Value = serde_json::from_str(&line).unwrap();
    status["to_move"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_watches_sees_people_move_and_a_site_come_back() {
    let trouble = Trouble::with(12, None).await;
    trouble.ok(&["prepare"]).await;
    let mut watch = domicile(&trouble.config, &["status", "--watch"]);
    let mut watch = watch.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let mut errors = BufReader::new(watch.stderr.take().unwrap()).lines();
    assert_eq!(to_move(&mut lines).await, 6);
    trouble.ok(&["migrate"]).await;
    while to_move(&mut lines).await > 0 {}
    let name = &trouble.world.databases[1].name;
    let away = format!(
        "alter database {name} allow_connections false; \
         select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'"
    );
    let elsewhere = trouble.world.databases[1].superuser_url.replace(name, "postgres");
    let server = connect(&elsewhere).await.unwrap();
    server.batch_execute(&away).await.unwrap();
    let said = errors.next_line().await.unwrap().unwrap();
    assert!(said.contains("dub1"), "{said}");
    server.batch_execute(&format!("alter database {name} allow_connections true")).await.unwrap();
    assert_eq!(to_move(&mut lines).await, 0);
    let id = watch.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    assert_eq!(watch.wait().await.unwrap().code(), Some(0));
}
