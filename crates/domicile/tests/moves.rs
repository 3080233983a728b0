//! The commands in the order in which they are used, on four people and on thousands.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

#[cfg(test)]
mod support;

use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command};
use std::time::{Duration, Instant};
use support::{Platform, ran};

fn assert_fields(value: &Value, fields: &str) {
    for field in fields.split_whitespace() {
        assert!(value.get(field).is_some(), "no {field} in {value}");
    }
}

#[test]
fn everybody_moves_home_and_is_found_there() {
    let platform = Platform::with_people(300);
    let plan = platform.run(&["plan", "--json"]).ok().json();
    assert_fields(&plan, "tables edges refused subjects");
    assert_fields(&plan["tables"][0], "table kind owner");
    assert_eq!(plan["subjects"]["total"], 300);
    assert_eq!(plan["subjects"]["to_move"], 200);
    assert_eq!(plan["subjects"]["by_site"], json!({"iad1": 100, "dub1": 100, "osl1": 100}));
    assert!(!platform.path("dub1.db").exists(), "a plan makes no database");

    platform.run(&["prepare", "--json"]).ok();
    let again = platform.run(&["prepare", "--json"]).ok().json();
    assert_eq!(again["sites"][1]["tables_created"], json!([]), "prepare is idempotent");
    assert_eq!(again["sites"][1]["reference_rows"], 0);
    let before = platform.run(&["status", "--json"]).ok().json();
    assert_eq!(before["to_move"], 200);

    let report = platform.run(&["migrate", "--json"]).ok().json();
    assert_fields(&report, "moved already_home held failed rows bytes seconds pause_ms");
    assert_fields(&report, "handover_ms compared_rows mismatches");
    assert_fields(&report["pause_ms"], "p50 p99 max");
    assert_fields(&report["handover_ms"], "p50 p99 max");
    assert_eq!(report["moved"], 200);
    assert_eq!(report["already_home"], 100);
    assert_eq!((&report["failed"], &report["mismatches"]), (&json!(0), &json!(0)));
    let everything = "SELECT (SELECT count(*) FROM users) + (SELECT count(*) FROM ratings)";
    let at_home = platform.count("dub1.db", everything) + platform.count("osl1.db", everything);
    assert_eq!(report["rows"], at_home);
    assert_eq!(platform.count("origin.db", everything), 300);

    let verified = platform.run(&["verify", "--json"]).ok().json();
    assert_fields(&verified, "sites strays strays_found doubles orphans reference_drift");
    assert_fields(&verified, "pending_erasure unknown_residence");
    assert_eq!(verified["sites"][1]["subjects"], 100);
    let located = platform.run(&["locate", "1", "--json"]).ok().json();
    assert_fields(&located, "subject home state residence");
    assert_fields(&located["residence"], "territory regimes confidence evidence conflicts");
    assert_eq!(located["home"], "dub1");
    assert_eq!(located["residence"]["territory"], "DE");
    let after = platform.run(&["status", "--json"]).ok().json();
    assert_eq!((&after["to_move"], &after["at_home"]), (&json!(0), &json!(300)));

    let nothing = platform.run(&["migrate", "--json"]).ok().json();
    assert_eq!((&nothing["moved"], &nothing["already_home"]), (&json!(0), &json!(300)));
}

#[test]
fn a_person_of_unknown_residence_is_held_and_counted() {
    let mut platform = Platform::with_people(3);
    platform.configure("regimes = [\"unknown\", \"*\"]", "regimes = [\"*\"]");
    platform.config.push_str("[[homes]]\nregimes = [\"unknown\"]\nsites = [\"dub1\"]\n");
    platform.sql("origin.db", "INSERT INTO users VALUES (9, 'x', 'everywhere and anywhere')");
    platform.run(&["prepare"]).ok();
    let report = platform.run(&["migrate", "--json"]).ok().json();
    assert_eq!((&report["moved"], &report["held"]), (&json!(3), &json!(1)));
    let verified = platform.run(&["verify", "--json"]).ok().json();
    assert_eq!(verified["unknown_residence"], 1);
}

#[test]
fn a_planted_stray_is_named() {
    let platform = Platform::with_people(30);
    platform.run(&["prepare"]).ok();
    platform.run(&["migrate"]).ok();
    // Person 1 lives at dub1.
    platform.sql(
        "osl1.db",
        "PRAGMA foreign_keys = OFF; INSERT INTO ratings VALUES (1, 'c', 3);
         INSERT INTO users VALUES (4, 'Köln', 'germany')",
    );
    let ran = platform.run(&["verify", "--json"]);
    assert_eq!(ran.code, Some(11), "{ran:?}");
    let report = ran.json();
    let strays = json!([
        {"subject": "1", "site": "osl1", "table": "ratings"},
        {"subject": "4", "site": "osl1", "table": "users"},
    ]);
    assert_eq!((&report["strays_found"], &report["strays"]), (&strays, &json!(2)));
    assert_eq!((&report["doubles"], &report["orphans"]), (&json!(1), &json!(0)));
    let text = platform.run(&["verify"]);
    assert_eq!(text.code, Some(11));
    assert!(text.stdout.contains("stray: 1 in ratings at osl1"), "{text:?}");
}

#[test]
fn an_interrupt_stops_cleanly_and_the_next_run_finishes() {
    for signal in ["-INT", "-TERM"] {
        let platform = Platform::with_people(6000);
        platform.run(&["prepare"]).ok();
        let first = platform.start(&["migrate", "--json", "--batch", "10"]);
        await_moves(&platform);
        send(&first, signal);
        let first = ran(first.wait_with_output().unwrap());
        assert_eq!(first.code, Some(12), "{first:?}");
        assert!(first.stderr.contains("hint: run domicile migrate again"), "{first:?}");
        let stopped = first.json();
        assert_eq!(stopped["stopped"], true);
        let second = platform.run(&["migrate", "--json"]).ok().json();
        let moved = |report: &Value| report["moved"].as_u64().unwrap();
        assert_eq!(moved(&stopped) + moved(&second), 4000, "{stopped} {second}");
        assert!(moved(&second) > 0, "the first run was not stopped in time");
        platform.run(&["verify"]).ok();
    }
}

#[test]
fn a_second_interrupt_ends_at_once() {
    let platform = Platform::with_people(6000);
    platform.run(&["prepare"]).ok();
    // A lane that waits for this writer cannot come to a safe point.
    let mut first = platform.start(&["migrate", "--batch", "10"]);
    await_moves(&platform);
    let writer = platform.open("origin.db");
    writer.run("BEGIN IMMEDIATE; UPDATE users SET city = 'x' WHERE id = 3").unwrap();
    send(&first, "-INT");
    let mut said = BufReader::new(first.stderr.take().unwrap()).lines();
    let heard = said.find(|line| line.as_ref().unwrap().contains("once more to end at once"));
    assert!(heard.is_some(), "the first signal is answered");
    send(&first, "-INT");
    let asked = Instant::now();
    let first = ran(first.wait_with_output().unwrap());
    assert_eq!(first.code, Some(12), "{first:?}");
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
    writer.run("COMMIT").unwrap();
    platform.run(&["migrate"]).ok();
    platform.run(&["verify"]).ok();
}

/// Waits until people have arrived somewhere.
fn await_moves(platform: &Platform) {
    let started = Instant::now();
    while platform.count("dub1.db", "SELECT count(*) FROM users") == 0 {
        assert!(started.elapsed() < Duration::from_secs(30), "nobody moved");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn send(child: &Child, signal: &str) {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
}

#[test]
fn watching_takes_people_as_they_come_and_ends_well() {
    let platform = Platform::with_people(30);
    platform.run(&["prepare"]).ok();
    let watching = platform.start(&["migrate", "--watch", "--every", "50ms", "--json"]);
    let app = platform.open("origin.db");
    let started = Instant::now();
    for id in 1000..1010 {
        app.run(&format!("INSERT INTO users (id, country) VALUES ({id}, 'DE')")).unwrap();
        // Rows stand at the new home before the move is decided; they leave the old one after it.
        let here = format!("SELECT count(*) FROM users WHERE id = {id}");
        while platform.count("origin.db", &here) > 0 {
            assert!(started.elapsed() < Duration::from_secs(30), "{id} does not move");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    send(&watching, "-INT");
    let report = ran(watching.wait_with_output().unwrap()).ok().json();
    assert_eq!((&report["moved"], &report["failed"]), (&json!(30), &json!(0)));
    platform.run(&["verify"]).ok();
}

#[test]
fn an_interrupted_run_is_taken_back() {
    let platform = Platform::with_people(6000);
    platform.run(&["prepare"]).ok();
    let mut first = platform.start(&["migrate", "--batch", "200"]);
    await_moves(&platform);
    first.kill().unwrap();
    first.wait().unwrap();
    let taken_back = platform.run(&["migrate", "--withdraw", "--json"]).ok().json();
    assert_fields(&taken_back, "withdrawn settled failures");
    assert_eq!(platform.run(&["status", "--json"]).ok().json()["under_way"], 0);
    let nothing = platform.run(&["migrate", "--withdraw", "--json"]).ok().json();
    assert_eq!((&nothing["withdrawn"], &nothing["settled"]), (&json!(0), &json!(0)));
    platform.run(&["migrate", "--max-rows-per-second", "100000"]).ok();
    platform.run(&["verify"]).ok();
    platform.run(&["migrate", "--withdraw", "--watch"]).failed_with(2, &["cannot be used with"]);
}
