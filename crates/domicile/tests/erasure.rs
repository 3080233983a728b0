//! `domicile erasure` at SQLite: what it says, against the bytes of the files.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

#[cfg(test)]
mod support;

use serde_json::Value;
use support::Platform;

/// In every value that is planted with somebody who leaves.
const CANARY: &str = "c4n4ry-7f3a91d0b2";

/// Whether the planted bytes are in a file; a file that is not there holds nothing.
fn holds(platform: &Platform, file: &str) -> bool {
    let bytes = std::fs::read(platform.path(file)).unwrap_or_default();
    bytes.windows(CANARY.len()).any(|part| part == CANARY.as_bytes())
}

/// The state that every move from the origin has on a rung.
fn state(account: &Value, rung: &str) -> String {
    let moves = account["sites"][0]["moves"].as_array().unwrap();
    let rungs = moves.iter().flat_map(|erased| erased["rungs"].as_array().unwrap());
    let mut states: Vec<&str> = rungs
        .filter(|found| found["rung"] == rung)
        .map(|found| found["state"].as_str().unwrap())
        .collect();
    states.dedup();
    assert_eq!(states.len(), 1, "{rung}: {account}");
    states[0].to_owned()
}

#[test]
fn the_account_says_done_only_where_planted_bytes_are_not_found() {
    let mut platform = Platform::with_people(60);
    platform.config.push_str("\n[erase]\nbackup_days = 0\n");
    platform.run(&["prepare"]).ok();
    assert_eq!(platform.run(&["erasure"]).ok().stdout, "nothing has been erased\n");
    let reader = platform.open("origin.db");
    platform.sql("origin.db", "CREATE INDEX users_city ON users (city)");
    platform
        .sql("origin.db", &format!("UPDATE users SET city = '{CANARY}' || id WHERE id % 3 > 0"));
    platform.sql("origin.db", "ANALYZE");
    platform.run(&["prepare"]).ok();
    reader.run("BEGIN").unwrap();
    reader.each_row("SELECT count(*) FROM users", &[], |_| {}).unwrap();
    let report = platform.run(&["migrate", "--json"]).ok().json();
    assert_eq!((&report["moved"], &report["pending_erasure"]), (&40.into(), &0.into()));

    // Somebody still reads what was there before, so that the log must keep it.
    let account = platform.run(&["erasure", "--json"]).ok().json();
    assert!(holds(&platform, "origin.db-wal"));
    assert_eq!(state(&account, "wal_recycled"), "not_yet");
    assert_eq!(state(&account, "rows_deleted"), "done");
    assert_eq!(state(&account, "pages_rewritten"), "not_known");
    assert_eq!(state(&account, "backups_past_retention"), "declared");
    assert_eq!(state(&account, "archives_past_retention"), "not_known");
    let moves = account["sites"][0]["moves"].as_array().unwrap();
    let sum = |field: &str| moves.iter().map(|erased| erased[field].as_u64().unwrap()).sum::<u64>();
    assert_eq!((sum("people"), sum("rows"), sum("tombstones")), (40, 120, 40));

    reader.run("COMMIT").unwrap();
    platform.run(&["migrate"]).ok();
    let account = platform.run(&["erasure", "--json"]).ok().json();
    assert!(!holds(&platform, "origin.db-wal"));
    assert_eq!(state(&account, "wal_recycled"), "done");

    // Samples carry no date: while there are any, nothing is known.
    assert_eq!(state(&account, "statistics_refreshed"), "not_known");
    assert!(holds(&platform, "origin.db"), "the samples hold what was planted");
    platform.sql("origin.db", "DROP TABLE sqlite_stat4");
    let account = platform.run(&["erasure", "--json"]).ok().json();
    assert_eq!(state(&account, "statistics_refreshed"), "done");
    let text = platform.run(&["erasure"]).ok().stdout;
    assert!(text.contains("  rows deleted") && text.contains("not known"), "{text}");
}
