//! Single people: moved by choice, or on hold.

#[cfg(test)]
mod support;

use serde_json::json;
use support::Platform;

/// Person 1 lives in Germany, whose people dub1 and osl1 share here.
fn moved() -> Platform {
    let mut platform = Platform::with_people(30);
    platform.configure("sites = [\"dub1\"]", "sites = [\"dub1\", \"osl1\"]");
    platform.run(&["prepare"]).ok();
    platform.run(&["migrate"]).ok();
    platform
}

#[test]
fn a_home_is_chosen_among_those_the_rule_has() {
    let platform = moved();
    let by_rule = platform.run(&["locate", "1", "--json"]).ok().json();
    let rules = by_rule["home"].as_str().unwrap();
    let other = if rules == "dub1" { "osl1" } else { "dub1" };
    let denied = platform.run(&["move", "1", "--to", "iad1"]);
    denied.failed_with(10, &["lives in DE, and no rule lets iad1 be their home", "dub1, osl1"]);
    platform.run(&["move", "1", "--to", "dub9"]).failed_with(2, &["no site dub9", "dub1"]);
    platform.run(&["move", "404", "--to", "dub1"]).failed_with(1, &["no site has a row for 404"]);
    platform.run(&["move", "1"]).failed_with(2, &["--to"]);
    assert_eq!(platform.run(&["locate", "1", "--json"]).ok().json(), by_rule);

    let chosen = platform.run(&["move", "1", "--to", other, "--json"]).ok().json();
    assert_eq!((&chosen["home"], &chosen["directed_home"]), (&json!(other), &json!(other)));
    assert_eq!(platform.run(&["migrate", "--json"]).ok().json()["moved"], 0, "the choice stays");
    platform.run(&["verify"]).ok();
    let free = platform.run(&["move", "1", "--by-rule", "--json"]).ok().json();
    assert_eq!((&free["home"], &free["directed_home"]), (&json!(rules), &json!(null)));
    platform.run(&["verify"]).ok();
}

#[test]
fn a_choice_that_the_rule_no_longer_has_is_void() {
    let platform = moved();
    let rules = platform.run(&["locate", "1", "--json"]).ok().json();
    let other = if rules["home"] == "dub1" { "osl1" } else { "dub1" };
    platform.run(&["move", "1", "--to", other]).ok();
    platform.sql(&format!("{other}.db"), "UPDATE users SET country = 'US' WHERE id = 1");
    platform.run(&["migrate"]).ok();
    assert_eq!(platform.run(&["locate", "1", "--json"]).ok().json()["home"], "iad1");
}

#[test]
fn whoever_is_on_hold_stays_until_the_hold_ends() {
    let platform = Platform::with_people(30);
    platform.run(&["prepare"]).ok();
    platform.run(&["hold", "404"]).failed_with(1, &["no site has a row for 404"]);
    let held = platform.run(&["hold", "1", "--reason", "case 7", "--json"]).ok().json();
    assert_eq!((&held["home"], &held["hold"]), (&json!("iad1"), &json!("case 7")));
    let report = platform.run(&["migrate", "--json"]).ok().json();
    assert_eq!((&report["moved"], &report["on_hold"]), (&json!(19), &json!(1)));
    let status = platform.run(&["status", "--json"]).ok().json();
    assert_eq!((&status["to_move"], &status["on_hold"]), (&json!(0), &json!(1)));
    let verified = platform.run(&["verify", "--json"]).ok().json();
    assert_eq!((&verified["strays"], &verified["on_hold"]), (&json!(0), &json!(1)));
    let free = platform.run(&["hold", "1", "--end", "--json"]).ok().json();
    assert_eq!(free["hold"], json!(null));
    assert_eq!(platform.run(&["migrate", "--json"]).ok().json()["moved"], 1);
    assert_eq!(platform.run(&["locate", "1", "--json"]).ok().json()["home"], "dub1");
}
