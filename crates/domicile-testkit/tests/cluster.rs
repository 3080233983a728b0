//! A cluster of one's own: it survives its crash, and nothing of it survives its owner.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use domicile_testkit::{Cluster, Options, StopMode, connect};

/// Set for the process that a test starts and kills.
const VICTIM_ENV: &str = "DOMICILE_TESTKIT_VICTIM";

#[tokio::test]
async fn a_committed_row_survives_an_immediate_restart() {
    let began = Instant::now();
    let cluster = Cluster::start(Options::for_tests()).unwrap();
    eprintln!("start: {:?}", began.elapsed());
    let client = connect(&cluster.url("postgres")).await.unwrap();
    client.batch_execute("create table kept (id int); insert into kept values (7)").await.unwrap();

    let began = Instant::now();
    cluster.restart_immediate().unwrap();
    eprintln!("restart: {:?}", began.elapsed());

    assert!(client.query("select 1", &[]).await.is_err(), "the old session ended");
    let client = connect(&cluster.url("postgres")).await.unwrap();
    let id: i32 = client.query_one("select id from kept", &[]).await.unwrap().get(0);
    assert_eq!(id, 7);
    assert!(cluster.log().unwrap().contains("was interrupted"), "it was a crash");
}

#[tokio::test]
async fn a_stopped_server_answers_again_at_the_same_url() {
    let cluster = Cluster::start(Options::for_tests().with("work_mem", "5MB")).unwrap();
    cluster.stop(StopMode::Fast).unwrap();
    assert!(connect(&cluster.url("postgres")).await.is_err());
    cluster.start_again().unwrap();
    let client = connect(&cluster.app_url("postgres")).await.unwrap();
    for (setting, expected) in [
        ("work_mem", "5MB"),
        ("wal_level", "logical"),
        ("max_prepared_transactions", "20"),
        ("fsync", "off"),
        ("server_encoding", "UTF8"),
        ("is_superuser", "off"),
    ] {
        let row = client.query_one(&format!("show {setting}"), &[]).await.unwrap();
        assert_eq!(row.get::<_, String>(0), expected, "{setting}");
    }
}

#[test]
fn a_panic_leaves_no_server_and_no_directory() {
    let (data_dir, port) = std::thread::spawn(|| {
        let cluster = Cluster::start(Options::for_tests()).unwrap();
        let seen = (cluster.data_dir().to_path_buf(), cluster.port());
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _owned = cluster;
            panic!("on purpose");
        }));
        assert!(panicked.is_err());
        seen
    })
    .join()
    .unwrap();
    assert_gone(data_dir.parent().unwrap(), port);
}

#[test]
fn a_killed_process_leaves_no_server_and_no_directory() {
    if std::env::var_os(VICTIM_ENV).is_some() {
        let cluster = Cluster::start(Options::for_tests()).unwrap();
        println!("victim {} {}", cluster.port(), cluster.data_dir().display());
        std::thread::sleep(Duration::from_secs(60));
        return;
    }
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_killed_process_leaves_no_server_and_no_directory", "--nocapture"])
        .env(VICTIM_ENV, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(victim.stdout.take().unwrap()).lines();
    let line = lines.map(Result::unwrap).find(|line| line.contains("victim ")).unwrap();
    let mut words = line.rsplit("victim ").next().unwrap().split(' ');
    let port: u16 = words.next().unwrap().parse().unwrap();
    let data_dir = PathBuf::from(words.next().unwrap());
    assert!(data_dir.exists() && TcpStream::connect(("127.0.0.1", port)).is_ok());

    victim.kill().unwrap();
    victim.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while data_dir.exists() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_gone(data_dir.parent().unwrap(), port);
}

fn assert_gone(home: &Path, port: u16) {
    assert!(!home.exists(), "{} is left", home.display());
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "a server listens on {port}");
}

#[tokio::test]
async fn a_standby_follows_until_its_replay_is_paused() {
    let primary = Cluster::start(Options::for_tests()).unwrap();
    let standby = primary.standby().unwrap();
    let (here, there) = (primary.superuser_url("postgres"), standby.superuser_url("postgres"));
    let (here, there) = (connect(&here).await.unwrap(), connect(&there).await.unwrap());
    here.batch_execute("create table followed (id int)").await.unwrap();
    let has_it = "select to_regclass('followed') is not null";
    let began = Instant::now();
    while !there.query_one(has_it, &[]).await.unwrap().get::<_, bool>(0) {
        assert!(began.elapsed() < Duration::from_secs(60), "the standby does not follow");
    }
    there.batch_execute("select pg_wal_replay_pause()").await.unwrap();
    let name = "select application_name from pg_stat_replication";
    assert_eq!(here.query_one(name, &[]).await.unwrap().get::<_, String>(0), "standby");
    assert!(there.batch_execute("create table written_there (id int)").await.is_err());
}
