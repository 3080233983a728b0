use super::*;
use std::time::Duration;

const WHOLE: &str = r#"
[subjects]
table = "users"
residence = { text = ["city", "country"] }

[sites.iad1]
territory = "us"
url = "sqlite:origin.db"
[sites.dub2]
territory = "IE"
url = "postgres://me:${PASSWORD}@db/x"
weight = 2
operator = { name = "Example Hosting Ltd", third_party = true, control = "GB" }
[sites.dub1]
territory = "IE"
url = "sqlite:/data/dub1.db"

[[homes]]
regimes = ["eu", "EEA"]
sites = ["dub1", "dub2"]
refuse_control = ["CN"]
[[homes]]
regimes = ["unknown", "*"]
sites = ["iad1"]

[tables.books]
kind = "reference"
[tables."app.likes"]
owner = "user_id"
soft = ["post_id", ["album_id", "at"]]
unique_per_site = ["likes_key"]
[tables."app.likes".categories]
note = "user.content.private"

[erase]
after = "90m"
quiet = "1s"
tombstone_days = 2
"#;

fn read(text: &str) -> Result<Config> {
    let environment = |name: &str| (name == "PASSWORD").then(|| "se:cret".to_owned());
    Config::parse("domicile.toml", text, Path::new("/here"), &environment)
}

fn told(text: &str) -> String {
    let failure = read(text).unwrap_err();
    assert_eq!(failure.exit(), crate::exit::Exit::Usage);
    failure.to_string()
}

fn changed(from: &str, to: &str) -> String {
    assert!(WHOLE.contains(from), "{from}");
    told(&WHOLE.replace(from, to))
}

#[test]
fn everything_is_read_and_sites_keep_their_order() {
    let config = read(WHOLE).unwrap();
    let names: Vec<&str> = config.sites.iter().map(|site| site.spec.name.as_str()).collect();
    assert_eq!(names, ["iad1", "dub2", "dub1"]);
    assert_eq!(config.sites[0].spec.territory.as_str(), "US");
    assert_eq!(config.sites[1].spec.control().as_str(), "GB");
    assert!(
        matches!(&config.sites[0].address, Address::Sqlite(p) if p.ends_with("here/origin.db"))
    );
    assert!(matches!(&config.sites[2].address, Address::Sqlite(p) if p.ends_with("data/dub1.db")));
    assert!(
        matches!(&config.sites[1].address, Address::Postgres(url) if url.expose() == "postgres://me:se:cret@db/x")
    );
    assert_eq!(config.homes[0].regimes, ["EU", "EEA"]);
    let likes = &config.wishes.tables["app.likes"];
    assert_eq!(likes.owner, ["user_id"]);
    assert_eq!(likes.soft, [vec!["post_id".to_owned()], vec!["album_id".into(), "at".into()]]);
    assert_eq!(likes.categories["note"].as_str(), "user.content.private");
    assert_eq!(config.erase.after, Duration::from_secs(5400));
    assert_eq!(config.erase.tombstones, Duration::from_secs(2 * 24 * 3600));
}

#[test]
fn unknown_keys_are_refused_at_every_level_with_the_nearest() {
    for (from, to, near) in [
        ("[erase]", "[erse]", "did you mean `erase`?"),
        ("[sites.iad1]", "[site.iad1]", "did you mean `sites`?"),
        ("table = ", "tabel = ", "did you mean `table`?"),
        ("{ text", "{ txt", "did you mean `text`?"),
        ("weight", "wieght", "did you mean `weight`?"),
        ("third_party", "thirdparty", "did you mean `third_party`?"),
        ("refuse_control", "refuse-control", "did you mean `refuse_control`?"),
        ("unique_per_site", "unique_per_sites", "did you mean `unique_per_site`?"),
        (".categories]", ".categoris]", "did you mean `categories`?"),
        ("tombstone_days", "tombstones_day", "did you mean `tombstone_days`?"),
        (
            "quiet",
            "colour",
            "the known keys are after, quiet, tombstone_days, vacuum, archive_days, backup_days",
        ),
    ] {
        let told = changed(from, to);
        assert!(told.contains(near), "{told}");
        assert!(told.contains("unknown key"), "{told}");
    }
    assert!(
        changed("weight", "wieght")
            .contains("domicile.toml line 12: unknown key `wieght` in [sites.dub2]")
    );
}

#[test]
fn wrong_values_are_named_with_what_was_meant() {
    for (from, to, parts) in [
        ("\"us\"", "\"USX\"", "[sites.iad1] territory: `USX` is no territory"),
        ("[\"eu\"", "[\"GDPR\"", "did you mean `EU`?"),
        ("\"unknown\"", "\"unkown\"", "did you mean `unknown`?"),
        ("\"reference\"", "\"referense\"", "the nearest is reference"),
        ("\"90m\"", "\"soon\"", "[erase] after: `soon` is no duration"),
        ("[sites.dub2]", "[sites.Dub2]", "is not a site name"),
        ("weight = 2", "weight = 0", "the weight 0"),
        ("weight = 2", "weight = \"2\"", "line 12"),
        ("[\"dub1\", \"dub2\"]", "[\"dub1\", \"dub3\"]", "names the site dub3"),
        ("[\"dub1\", \"dub2\"]", "[]", "served by nobody"),
        ("${PASSWORD}", "${NOWHERE}", "needs the variable NOWHERE"),
        ("sqlite:origin.db", "mysql://me:secret@h/d", "begins with `mysql`"),
        ("sqlite:origin.db", "sqlite:/here/../data/./dub1.db", "have one URL"),
        ("user.content.private", "user.content.privat", "did you mean `user.content.private`?"),
        ("user.content.private", "private", "[tables.app.likes.categories] note: `private` is not"),
        ("note = \"user.content.private\"", "note = 3", "near: note = 3"),
        ("[subjects]", "[subjects", "line 2"),
    ] {
        let told = changed(from, to);
        assert!(told.contains(parts), "{told}");
        assert!(!told.contains("secret") && !told.contains("se:cret"), "{told}");
        assert!(told.contains("\nhint: "), "{told}");
    }
}

#[test]
fn a_server_is_recognised_by_host_port_and_database() {
    let same = "postgresql://other:pw@DB:5432/x?sslmode=require";
    let told = changed("sqlite:origin.db", same);
    assert!(told.contains("both are postgres://db:5432/x"), "{told}");
    let other = WHOLE.replace("sqlite:origin.db", "postgres://me@db/y");
    assert!(read(&other).is_ok());
}

#[test]
fn what_is_missing_is_said() {
    for (text, part) in [
        ("", "no site is configured"),
        ("[sites.a]\nterritory='US'\nurl='sqlite:a'", "no home is configured"),
        (
            "[sites.a]\nterritory='US'\nurl='sqlite:a'\n[[homes]]\nregimes=['*']\nsites=['a']",
            "[subjects] is missing",
        ),
    ] {
        assert!(told(text).contains(part), "{}", told(text));
    }
}
