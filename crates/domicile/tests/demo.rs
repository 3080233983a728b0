//! `domicile demo` as a user runs it, on a small platform.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use domicile_store::sqlite::application::Application;
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

fn demo(dir: &Path, people: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_domicile"));
    command.args(["demo", "--json", "--subjects", people, "--dir"]).arg(dir).output().unwrap()
}

fn report(output: &Output) -> Value {
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{told}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn numbers(site: &Path, sql: &str) -> Vec<Vec<Option<String>>> {
    let mut found = Vec::new();
    Application::open(site).unwrap().each_row(sql, &[], |row| found.push(row)).unwrap();
    found
}

#[test]
fn everybody_comes_home_while_writers_write() {
    let dir = tempfile::tempdir().unwrap();
    let report = report(&demo(dir.path(), "300"));
    let number = |field: &str| report[field].as_u64().unwrap_or_else(|| panic!("{field}"));
    for field in ["writes_lost", "strays", "mismatches", "failed", "misplaced", "pending_erasure"] {
        assert_eq!(number(field), 0, "{field}");
    }
    for field in ["moved", "held", "rows", "bytes", "compared_rows", "writes_during_move"] {
        assert!(number(field) > 0, "{field}");
    }
    assert_eq!(number("subjects"), 300);
    assert_eq!(number("moved") + number("already_home"), 300);
    assert!(report["writes_refused"].is_u64() && report["seconds"].is_f64());
    for field in ["pause_ms", "handover_ms"] {
        for point in ["p50", "p99", "max"] {
            assert!(report[field][point].is_f64(), "{field} {point}");
        }
    }

    let sites = report["sites"].as_array().unwrap();
    let of = |field: &str| -> Vec<&Value> { sites.iter().map(|site| &site[field]).collect() };
    assert_eq!(of("site"), ["iad1", "dub1", "dub2", "osl1"]);
    assert_eq!(of("territory"), ["US", "IE", "IE", "NO"]);
    let sum = |field: &str| of(field).iter().filter_map(|count| count.as_u64()).sum::<u64>();
    assert_eq!(of("subjects_before"), [300, 0, 0, 0]);
    assert_eq!(sum("subjects_after"), 300);

    // Nobody can tell where these people live, so they are held at the most protective home.
    let unknown = "SELECT id FROM users WHERE country = 'n/a'";
    assert!(!numbers(&dir.path().join("dub1.db"), unknown).is_empty());
    for site in ["iad1.db", "dub2.db", "osl1.db"] {
        assert!(numbers(&dir.path().join(site), unknown).is_empty(), "{site}");
    }
}

#[test]
fn it_plays_twice_in_one_directory_and_leaves_what_is_not_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("new").join("demo");
    assert_eq!(report(&demo(&place, "120"))["subjects"], 120);
    std::fs::write(place.join("notes.txt"), "mine").unwrap();
    assert_eq!(report(&demo(&place, "40"))["subjects"], 40);
    assert_eq!(std::fs::read_to_string(place.join("notes.txt")).unwrap(), "mine");
}

#[test]
fn the_configuration_serves_the_other_commands() {
    let dir = tempfile::tempdir().unwrap();
    report(&demo(dir.path(), "60"));
    let mut verify = Command::new(env!("CARGO_BIN_EXE_domicile"));
    verify.args(["verify", "--config"]).arg(dir.path().join("domicile.toml"));
    let output = verify.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_directory_with_other_files_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("iad1.db"), "somebody's").unwrap();
    for foreign in [None, Some("[subjects]\ntable = \"people\"\n")] {
        if let Some(text) = foreign {
            std::fs::write(dir.path().join("domicile.toml"), text).unwrap();
        }
        let output = demo(dir.path(), "10");
        assert_eq!(output.status.code(), Some(2));
        assert!(output.stdout.is_empty());
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(told.contains("is not empty") && told.contains("\nhint: choose"), "{told}");
        assert_eq!(std::fs::read_to_string(dir.path().join("iad1.db")).unwrap(), "somebody's");
        let files = std::fs::read_dir(dir.path()).unwrap().count();
        assert_eq!(files, 1 + usize::from(foreign.is_some()));
    }
    let config = std::fs::read_to_string(dir.path().join("domicile.toml")).unwrap();
    assert!(config.starts_with("[subjects]"));
}

#[test]
fn a_platform_without_people_is_a_mistake() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("d");
    assert_eq!(demo(&place, "0").status.code(), Some(2));
    assert!(!place.exists());
}

#[test]
fn it_leaves_no_room_for_doubt_about_a_lost_write() {
    // What the demo counts must be countable by anybody: every live post stands once.
    let dir = tempfile::tempdir().unwrap();
    let report = report(&demo(dir.path(), "80"));
    let sites = ["iad1.db", "dub1.db", "dub2.db", "osl1.db"].map(|site| dir.path().join(site));
    let sql = "SELECT id FROM posts WHERE id >= 1000000000";
    let mut posts: Vec<_> = sites.iter().flat_map(|site| numbers(site, sql)).collect();
    let found = posts.len();
    posts.sort();
    posts.dedup();
    assert_eq!(posts.len(), found);
    let visits: u64 = sites
        .iter()
        .flat_map(|site| numbers(site, "SELECT visits FROM users"))
        .filter_map(|row| row.into_iter().next().flatten()?.parse::<u64>().ok())
        .sum();
    let times: u64 = sites
        .iter()
        .flat_map(|site| numbers(site, "SELECT times - 1 FROM videos_watched"))
        .filter_map(|row| row.into_iter().next().flatten()?.parse::<u64>().ok())
        .sum();
    assert_eq!(found as u64 + visits + times, report["writes"].as_u64().unwrap());
}
