//! Bad input: each a clear error with a hint, the right exit code, nothing half-done.

#[cfg(test)]
mod support;

use serde_json::{Value, json};
use std::io::Write as _;
use std::process::Stdio;
use std::time::{Duration, Instant};
use support::{Platform, finish, program, ran};

const NOBODY_FENCED: &str = "SELECT count(*) FROM domicile_subject WHERE state <> 'resident'";

#[test]
fn an_unknown_key_is_refused_with_the_nearest() {
    let mut platform = Platform::with_people(3);
    platform.configure("territory = \"NO\"", "teritory = \"NO\"");
    for command in ["plan", "prepare", "migrate", "status", "verify"] {
        let parts = ["unknown key `teritory` in [sites.osl1]", "did you mean `territory`?"];
        platform.run(&[command]).failed_with(2, &parts);
    }
}

#[test]
fn a_configuration_that_is_not_there_or_no_text() {
    let platform = Platform::with_people(0);
    let missing = platform.run(&["plan", "--config", "nowhere.toml"]);
    missing.failed_with(2, &["nowhere.toml cannot be read", "--config"]);
    std::fs::write(platform.path("latin1.toml"), b"[subjects]\n# K\xf8benhavn\n").unwrap();
    let latin1 = platform.run(&["plan", "--config", "latin1.toml"]);
    latin1.failed_with(2, &["latin1.toml line 2: the text is not UTF-8"]);
    std::fs::write(platform.path("bad.toml"), "[subjects]\ntable = users\n").unwrap();
    let bad = platform.run(&["plan", "--config", "bad.toml"]);
    bad.failed_with(2, &["bad.toml line 2", "near: table = users"]);
}

#[test]
fn two_sites_with_one_url() {
    let mut platform = Platform::with_people(3);
    std::fs::create_dir(platform.path("sub")).unwrap();
    platform.configure("sqlite:osl1.db", "sqlite:sub/../dub1.db");
    platform.run(&["plan"]).failed_with(2, &["sites dub1 and osl1 have one URL"]);
}

#[test]
fn two_sites_with_one_file_under_two_names() {
    let mut platform = Platform::with_people(3);
    std::os::unix::fs::symlink(platform.path("origin.db"), platform.path("link.db")).unwrap();
    platform.configure("sqlite:osl1.db", "sqlite:link.db");
    platform.run(&["plan"]).failed_with(2, &["sites iad1 and osl1 have one URL"]);
}

#[test]
fn a_home_nobody_serves() {
    let mut platform = Platform::with_people(3);
    platform.configure("sites = [\"osl1\"]", "sites = []");
    platform.run(&["migrate"]).failed_with(2, &["the home for EEA is served by nobody"]);
    platform.configure("sites = []", "sites = [\"osl2\"]");
    platform.run(&["migrate"]).failed_with(2, &["names the site osl2", "the nearest is osl1"]);
}

#[test]
fn an_operator_that_a_refused_law_can_compel() {
    let mut platform = Platform::with_people(3);
    platform.configure(
        "url = \"sqlite:dub1.db\"",
        "url = \"sqlite:dub1.db\"\noperator = { name = \"X\", control = \"CN\" }",
    );
    platform.configure("sites = [\"dub1\"]", "sites = [\"dub1\"]\nrefuse_control = [\"CN\"]");
    let plan = platform.run(&["plan", "--json"]);
    assert_eq!(plan.code, Some(1), "{plan:?}");
    let plan = plan.json();
    assert_eq!(plan["refused"][0]["what"], "homes");
    assert_eq!(plan["subjects"]["to_move"], 2, "people are counted all the same");
    platform.run(&["prepare"]).failed_with(1, &["CN can compel, and dub1 is one"]);
    assert!(!platform.path("dub1.db").exists(), "a refused prepare makes nothing");
}

#[test]
fn a_missing_subject_table() {
    let mut platform = Platform::with_people(3);
    platform.configure("table = \"users\"", "table = \"usrs\"");
    for command in ["plan", "prepare"] {
        let told = platform.run(&[command]);
        told.failed_with(1, &["no site has a table usrs", "the nearest name is users"]);
    }
}

#[test]
fn a_table_without_a_primary_key_is_refused_everywhere() {
    let platform = Platform::with_people(3);
    platform.sql("origin.db", "CREATE TABLE notes (user_id INTEGER REFERENCES users (id))");
    let plan = platform.run(&["plan", "--json"]);
    assert_eq!(plan.code, Some(1), "{plan:?}");
    let plan = plan.json();
    assert_eq!(plan["refused"][0]["what"], "notes");
    let why = plan["refused"][0]["why"].as_str().unwrap();
    assert!(why.contains("no primary key"), "{why}");
    platform.run(&["prepare"]).failed_with(1, &["notes", "no primary key"]);
    assert!(!platform.path("dub1.db").exists());
}

#[test]
fn a_plan_that_cannot_be_written() {
    let platform = Platform::with_people(3);
    std::fs::create_dir(platform.path("folder")).unwrap();
    for (option, file) in [("--html", "nowhere/plan.html"), ("--markdown", "folder")] {
        let told = platform.run(&["plan", option, file]);
        told.failed_with(1, &["the plan cannot be written to", file, "a folder that exists"]);
        assert_eq!(told.stdout, "", "nothing is printed as if all were well");
    }
    let written = platform.run(&["plan", "--html", "a.html", "--markdown", "folder/a.md"]).ok();
    assert_eq!(written.stderr, "wrote folder/a.md\nwrote a.html\n");
    let page = std::fs::read_to_string(platform.path("a.html")).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"), "{page}");
}

#[test]
fn migrate_refuses_what_plan_refuses() {
    let platform = Platform::with_people(3);
    platform.run(&["prepare"]).ok();
    platform.sql("origin.db", "CREATE TABLE stray (id INTEGER PRIMARY KEY, what TEXT)");
    platform.run(&["migrate"]).failed_with(1, &["stray", "nothing says whose rows these are"]);
    assert_eq!(platform.count("origin.db", "SELECT count(*) FROM users"), 3);
}

#[test]
fn migrate_before_prepare() {
    let platform = Platform::with_people(3);
    platform.run(&["migrate"]).failed_with(1, &["dub1.db", "run domicile prepare"]);
    assert!(!platform.path("dub1.db").exists());
}

#[test]
fn a_site_that_does_not_answer() {
    let mut platform = Platform::with_people(3);
    platform.run(&["prepare"]).ok();
    // Port 1 is reserved and nobody's.
    platform.configure("sqlite:osl1.db", "postgres://me:secret@127.0.0.1:1/d");
    for command in ["plan", "prepare", "status", "verify"] {
        let told = platform.run(&[command]);
        told.failed_with(1, &["osl1"]);
        assert!(!told.stderr.contains("secret"), "{told:?}");
    }
}

#[test]
fn a_variable_that_is_not_set() {
    let mut platform = Platform::with_people(3);
    platform.configure("sqlite:osl1.db", "postgres://me:${DOMICILE_NOT_SET}@127.0.0.1:1/d");
    platform.run(&["plan"]).failed_with(2, &["needs the variable DOMICILE_NOT_SET"]);
}

#[test]
fn a_different_row_under_the_same_key_at_the_target() {
    let platform = Platform::with_people(30);
    platform.run(&["prepare"]).ok();
    // Person 1 is German; somebody else has their key at dub1.
    platform.sql("dub1.db", "INSERT INTO users VALUES (1, 'Köln', 'somebody else')");
    let ran = platform.run(&["migrate", "--json"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let report = ran.json();
    assert_eq!(report["failed"], 1, "{report}");
    assert_eq!(report["failures"][0]["subject"], "1");
    assert_eq!(report["moved"], 19, "all others moved");
    assert_eq!(platform.count("origin.db", "SELECT count(*) FROM ratings WHERE user_id = 1"), 2);
    assert_eq!(platform.count("dub1.db", "SELECT count(*) FROM users WHERE city = 'Köln'"), 1);
    assert_eq!(platform.count("dub1.db", "SELECT count(*) FROM ratings WHERE user_id = 1"), 0);
    // The person can still be written to: nothing is half-done.
    platform.sql("origin.db", "UPDATE ratings SET rating = 9 WHERE user_id = 1");
    platform.sql("dub1.db", "DELETE FROM users WHERE id = 1");
    let again = platform.run(&["migrate", "--json"]).ok().json();
    assert_eq!(again["moved"], 1);
    platform.run(&["verify"]).ok();
}

#[test]
fn a_different_row_of_a_deeper_table_at_the_target() {
    let platform = Platform::with_people(30);
    platform.run(&["prepare"]).ok();
    platform.sql("dub1.db", "PRAGMA foreign_keys = OFF; INSERT INTO ratings VALUES (1, 'a', 9)");
    let ran = platform.run(&["migrate", "--json"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let report = ran.json();
    assert_eq!((&report["failed"], &report["moved"]), (&json!(1), &json!(19)));
    assert_eq!(platform.count("dub1.db", "SELECT rating FROM ratings WHERE user_id = 1"), 9);
    assert_eq!(platform.count("origin.db", "SELECT count(*) FROM ratings WHERE user_id = 1"), 2);
}

#[test]
fn text_in_the_database_that_is_not_utf8() {
    let platform = Platform::with_people(3);
    platform.sql("origin.db", "UPDATE users SET country = CAST(x'4bf862' AS TEXT) WHERE id = 2");
    for command in ["plan", "prepare", "migrate"] {
        let ran = platform.run(&[command]);
        // Preparing looks at nobody.
        if command != "prepare" {
            ran.failed_with(1, &["column country of 2 in users is not UTF-8"]);
        }
    }
    assert_eq!(platform.count("origin.db", "SELECT count(*) FROM users"), 3);
}

#[test]
fn a_second_migrate_is_refused_and_the_first_unharmed() {
    let mut platform = Platform::with_people(3000);
    platform.config.push_str("[erase]\nquiet = \"3s\"\n");
    platform.run(&["prepare"]).ok();
    let first = platform.start(&["migrate", "--json", "--batch", "20"]);
    let started = Instant::now();
    while platform.count("origin.db", "SELECT count(*) FROM domicile_subject") == 0 {
        assert!(started.elapsed() < Duration::from_secs(30), "the first never began");
        std::thread::sleep(Duration::from_millis(5));
    }
    platform.run(&["migrate"]).failed_with(1, &["migrating"]);
    let first = ran(first.wait_with_output().unwrap()).ok();
    assert_eq!(first.json()["moved"], 2000);
    assert_eq!(platform.count("origin.db", NOBODY_FENCED), 0);
    platform.run(&["verify"]).ok();
}

#[test]
fn lines_that_are_no_text_are_answered() {
    let mut command = program();
    command.args(["residence", "--on", "2026-01-01"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"GP\nK\xf8benhavn\nx, y, usa\"\r\n\nlast").unwrap();
    let ran = ran(child.wait_with_output().unwrap()).ok();
    let lines: Vec<Value> =
        ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let territories: Vec<&Value> = lines.iter().map(|line| &line["territory"]).collect();
    assert_eq!(json!(territories), json!(["GP", null, "US", null, null]));
    assert_eq!(lines[0]["regimes"], json!(["EU", "EEA"]));
    assert_eq!(lines[1]["conflicts"][0]["kind"], "not_utf8");
    let fields = ["input", "territory", "regimes", "confidence", "evidence", "conflicts"];
    for line in &lines {
        assert!(fields.iter().all(|field| line.get(field).is_some()), "{line}");
    }
}

#[test]
fn the_law_of_the_day_is_applied() {
    for (on, regimes) in [("2020-01-30", json!(["EU", "EEA"])), ("2021-02-01", json!(["GB"]))] {
        let mut command = program();
        command.args(["residence", "--on", on]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(b"GB\n").unwrap();
        let ran = ran(child.wait_with_output().unwrap()).ok();
        assert_eq!(ran.json()["regimes"], regimes);
    }
    let mut command = program();
    command.args(["residence", "--on", "yesterday"]);
    assert_eq!(finish(command).code, Some(2));
}

#[test]
fn a_person_nobody_knows() {
    let platform = Platform::with_people(3);
    platform.run(&["prepare"]).ok();
    platform.run(&["locate", "77"]).failed_with(1, &["no site has a row for 77"]);
}
