//! The made-up platform: its sites, its configuration, its tables, and everybody's first rows.

use super::people::{self, Dice, Region};
use crate::exit::Result;
use domicile_store::sqlite::application::Application;
use std::path::{Path, PathBuf};

/// A site of the demo.
pub(super) struct DemoSite {
    /// Its name; the database is `<name>.db`.
    pub(super) name: &'static str,
    /// Where it stands.
    pub(super) territory: &'static str,
    /// Where it stands, for people.
    pub(super) city: &'static str,
    /// Who runs it.
    pub(super) operator: &'static str,
    /// Whether that is somebody other than the platform.
    pub(super) third_party: bool,
}

/// Everybody starts at the first.
pub(super) const SITES: [DemoSite; 4] = [
    DemoSite {
        name: "iad1",
        territory: "US",
        city: "Ashburn",
        operator: "Example Platform Inc",
        third_party: false,
    },
    DemoSite {
        name: "dub1",
        territory: "IE",
        city: "Dublin",
        operator: "Example Platform Inc",
        third_party: false,
    },
    DemoSite {
        name: "dub2",
        territory: "IE",
        city: "Dublin",
        operator: "Example Hosting Ltd",
        third_party: true,
    },
    DemoSite {
        name: "osl1",
        territory: "NO",
        city: "Oslo",
        operator: "Example Platform Inc",
        third_party: false,
    },
];

/// A site's database.
pub(super) fn database(dir: &Path, site: &DemoSite) -> PathBuf {
    dir.join(format!("{}.db", site.name))
}

/// The first line of a configuration that the demo wrote, by which it knows its own.
pub(super) const MARKER: &str = "# Made by `domicile demo`, which replaces this file and the \
                                 databases beside it when it runs here again.";

/// Where people must live, as a user would write it.
const CONFIG: &str = r#"
[subjects]
table = "users"                          # one row per person
residence = { text = ["city", "country"] }   # what people typed, however they spelled it

[sites.iad1]
territory = "US"
url = "sqlite:iad1.db"                   # relative to this file

[sites.dub1]
territory = "IE"
url = "sqlite:dub1.db"

[sites.dub2]
territory = "IE"
url = "sqlite:dub2.db"
# Run by somebody else. `control` is the territory whose law can compel them.
operator = { name = "Example Hosting Ltd", third_party = true, control = "IE" }

[sites.osl1]
territory = "NO"
url = "sqlite:osl1.db"

# The first that matches wins; the people of a home are spread over its sites.
[[homes]]
regimes = ["EU", "EEA", "CH", "GB"]
sites = ["dub1", "dub2", "osl1"]
refuse_control = ["CN"]                  # no operator that this law can compel

# Nobody can tell where these people live: held at the most protective home.
[[homes]]
regimes = ["unknown"]
sites = ["dub1"]

[[homes]]
regimes = ["*"]
sites = ["iad1"]

# posts, videos_watched and settings have foreign keys to users: nothing to say.

[tables.users]
unique_per_site = ["users_handle"]       # no database can see that it holds between sites

[tables.likes]
owner = "user_id"                        # no foreign key says so
soft = ["post_id"]                       # often another person's post: kept as a value

[tables.badges]
kind = "reference"                       # the same rows at every site

[erase]
after = "0s"                             # rows of people who left are deleted as soon as possible
"#;

/// The configuration's text.
pub(super) fn config() -> String {
    format!("{MARKER}\n{CONFIG}")
}

/// The application's own schema; it knows nothing of sites.
pub(super) const SCHEMA: &str = "
CREATE TABLE badges (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE users (
    id INTEGER PRIMARY KEY,
    handle TEXT NOT NULL,
    city TEXT NOT NULL,
    country TEXT NOT NULL,
    badge_id INTEGER NOT NULL REFERENCES badges (id),
    visits INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX users_handle ON users (handle);
CREATE TABLE settings (
    user_id INTEGER PRIMARY KEY REFERENCES users (id),
    language TEXT NOT NULL,
    autoplay INTEGER NOT NULL
);
CREATE TABLE posts (
    id INTEGER PRIMARY KEY,
    user_id INTEGER NOT NULL REFERENCES users (id),
    body TEXT NOT NULL
);
CREATE INDEX posts_user ON posts (user_id);
CREATE TABLE likes (
    user_id INTEGER NOT NULL,
    post_id INTEGER NOT NULL,
    PRIMARY KEY (user_id, post_id)
);
CREATE TABLE videos_watched (
    user_id INTEGER NOT NULL REFERENCES users (id),
    video_id INTEGER NOT NULL,
    times INTEGER NOT NULL,
    PRIMARY KEY (user_id, video_id)
);";

const BADGES: [&str; 4] = ["newcomer", "regular", "maker", "moderator"];
const LANGUAGES: [&str; 6] = ["en", "de", "fr", "es", "pt", "hi"];
const SEED: u64 = 20_260_401;
/// People per transaction while the platform fills.
const BULK: u64 = 2_000;

/// Posts that live writers add are numbered from here on, by the application: two databases that
/// each counted for themselves would give one number twice.
pub(super) const LIVE_POSTS: u64 = 1_000_000_000;

/// Everybody, as they were made.
pub(super) struct Population {
    /// Where person `at + 1` truly lives.
    pub(super) regions: Vec<Region>,
    /// The first rows of each owned table.
    pub(super) rows: [(&'static str, u64); 5],
}

impl Population {
    pub(super) fn count(&self) -> u64 {
        self.regions.len() as u64
    }
}

/// The video that everybody has watched: each person their own.
pub(super) fn favourite(person: u64) -> u64 {
    person % 500 + 1
}

/// Makes empty databases at every site, and everybody at the first.
pub(super) fn fill(dir: &Path, people: u64, tell: impl Fn(u64)) -> Result<Population> {
    for site in &SITES[1..] {
        Application::open(&database(dir, site))?;
    }
    let origin = Application::open(&database(dir, &SITES[0]))?;
    origin.run(SCHEMA)?;
    for (at, name) in BADGES.iter().enumerate() {
        origin.execute("INSERT INTO badges VALUES (?1, ?2)", &[&(at + 1).to_string(), name])?;
    }
    let mut filler = Filler {
        origin,
        dice: Dice::new(SEED),
        people,
        posts: 0,
        population: Population {
            regions: Vec::new(),
            rows: ["users", "settings", "posts", "likes", "videos_watched"].map(|table| (table, 0)),
        },
    };
    for first in (1..=people).step_by(usize::try_from(BULK).unwrap_or(1)) {
        let last = people.min(first + BULK - 1);
        filler.origin.run("BEGIN")?;
        for person in first..=last {
            filler.add(person)?;
        }
        filler.origin.run("COMMIT")?;
        tell(last);
    }
    Ok(filler.population)
}

struct Filler {
    origin: Application,
    dice: Dice,
    people: u64,
    posts: u64,
    population: Population,
}

impl Filler {
    /// One person with their rows, about eight of them.
    fn add(&mut self, person: u64) -> Result<()> {
        let written = people::draw(&mut self.dice);
        self.population.regions.push(written.region);
        let id = person.to_string();
        let badge = (1 + self.dice.below(BADGES.len() as u64)).to_string();
        let handle = format!("{}{person}", written.city.chars().next().unwrap_or('x'));
        let sql = "INSERT INTO users (id, handle, city, country, badge_id) VALUES (?1,?2,?3,?4,?5)";
        self.insert(0, sql, &[&id, &handle, written.city, written.country, &badge])?;
        let (language, autoplay) = (*self.dice.pick(&LANGUAGES), *self.dice.pick(&["0", "1"]));
        self.insert(1, "INSERT INTO settings VALUES (?1, ?2, ?3)", &[&id, language, autoplay])?;
        for _ in 0..1 + self.dice.below(3) {
            self.posts += 1;
            let (post, body) = (self.posts.to_string(), format!("hello from {}", written.city));
            self.insert(2, "INSERT INTO posts VALUES (?1, ?2, ?3)", &[&post, &id, &body])?;
        }
        for _ in 0..self.dice.below(4) {
            let post = (1 + self.dice.below(self.people)).to_string();
            self.insert(3, "INSERT OR IGNORE INTO likes VALUES (?1, ?2)", &[&id, &post])?;
        }
        for nth in 0..1 + self.dice.below(3) {
            let video = (favourite(person) + nth * 500).to_string();
            self.insert(4, "INSERT INTO videos_watched VALUES (?1, ?2, 1)", &[&id, &video])?;
        }
        Ok(())
    }

    fn insert(&mut self, table: usize, sql: &str, values: &[&str]) -> Result<()> {
        self.population.rows[table].1 += self.origin.execute(sql, values)?;
        Ok(())
    }
}
