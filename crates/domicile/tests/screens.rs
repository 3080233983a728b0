//! What people read, by snapshot.

#[cfg(test)]
mod support;

use support::{Platform, finish, program};

#[test]
fn help() {
    let mut command = program();
    command.arg("--help");
    insta::assert_snapshot!(finish(command).ok().stdout);
}

#[test]
fn a_plan() {
    let platform = Platform::with_people(300);
    platform.sql(
        "origin.db",
        "CREATE TABLE audit (id INTEGER PRIMARY KEY, what TEXT);
         CREATE TABLE posts (id INTEGER PRIMARY KEY, author INTEGER NOT NULL REFERENCES users (id),
                             handle TEXT CONSTRAINT handles UNIQUE)",
    );
    let ran = platform.run(&["plan"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert_eq!(ran.stderr, "", "nothing is talked when stderr is no terminal");
    // Page sizes and orders of files are SQLite's affair.
    insta::with_settings!({filters => vec![(r"[0-9.]+ (KiB|MiB|B)\b", "[size]"), (r" +\[size\]", " [size]")]}, {
        insta::assert_snapshot!(ran.stdout);
    });
}

#[test]
fn a_migration() {
    let platform = Platform::with_people(300);
    platform.run(&["prepare"]).ok();
    let ran = platform.run(&["migrate"]).ok();
    assert_eq!(ran.stderr, "");
    insta::with_settings!({filters => vec![
        (r"[0-9.]+ ms p50, [0-9.]+ p99, [0-9.]+ max", "[time] ms p50, [time] p99, [time] max"),
        (r" +[0-9.]+ s, [0-9.]+ (KiB|MiB|B)\b", " [time], [size]"),
        (r" +[0-9.]+ s\b", " [time]"),
    ]}, {
        insta::assert_snapshot!(ran.stdout);
    });
}

#[test]
fn an_error() {
    let mut platform = Platform::with_people(3);
    platform.configure("[[homes]]\nregimes = [\"EEA\"]", "[[homes]]\nregime = [\"EEA\"]");
    insta::assert_snapshot!(platform.run(&["plan"]).stderr);
}

#[test]
fn where_somebody_is() {
    let platform = Platform::with_people(3);
    platform.run(&["prepare"]).ok();
    platform.run(&["migrate"]).ok();
    insta::assert_snapshot!(platform.run(&["locate", "1"]).ok().stdout);
}
