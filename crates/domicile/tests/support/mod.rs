//! A platform in a directory, and the real program run on it.

#![allow(dead_code, reason = "each test program uses a part")]

use domicile_store::sqlite::application::Application;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

const SCHEMA: &str = "
    CREATE TABLE users (id INTEGER PRIMARY KEY, city TEXT, country TEXT);
    CREATE TABLE books (isbn TEXT PRIMARY KEY, title TEXT NOT NULL);
    CREATE TABLE ratings (
        user_id INTEGER NOT NULL REFERENCES users (id),
        isbn TEXT NOT NULL REFERENCES books (isbn),
        rating INTEGER NOT NULL,
        PRIMARY KEY (user_id, isbn)
    );
    INSERT INTO books VALUES ('a', 'A'), ('b', 'B'), ('c', 'C');";

/// What is configured unless a test changes it.
const CONFIG: &str = r#"
[subjects]
table = "users"
residence = { text = ["city", "country"] }

[sites.iad1]
territory = "US"
url = "sqlite:origin.db"

[sites.dub1]
territory = "IE"
url = "sqlite:dub1.db"

[sites.osl1]
territory = "NO"
url = "sqlite:osl1.db"

[[homes]]
regimes = ["EU"]
sites = ["dub1"]

[[homes]]
regimes = ["EEA"]
sites = ["osl1"]

[[homes]]
regimes = ["unknown", "*"]
sites = ["iad1"]
"#;

/// Countries in turn: a third each to the United States, the Union, and Norway.
const COUNTRIES: [&str; 3] = ["usa", "germany", "norway"];

pub(crate) struct Platform {
    folder: TempDir,
    /// The configuration's text, written before each run.
    pub(crate) config: String,
}

/// What a run of the program left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// The one JSON value on stdout.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// The same, of a run that must have gone well.
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }

    /// Asserts the code, a hint, and these parts of stderr.
    pub(crate) fn failed_with(&self, code: i32, parts: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        for part in parts.iter().chain(&["error: ", "\nhint: "]) {
            assert!(self.stderr.contains(part), "no {part:?} in {self:?}");
        }
    }
}

impl Platform {
    /// A folder with nothing in it.
    pub(crate) fn empty() -> Platform {
        Platform { folder: TempDir::new().unwrap(), config: String::new() }
    }

    /// So many people at the origin, each with two ratings.
    pub(crate) fn with_people(people: u64) -> Platform {
        let platform = Platform { folder: TempDir::new().unwrap(), config: CONFIG.to_owned() };
        let origin = platform.open("origin.db");
        origin.run(SCHEMA).unwrap();
        origin.run("BEGIN").unwrap();
        for id in 1..=people {
            let country = COUNTRIES[usize::try_from(id % 3).unwrap()];
            let id = id.to_string();
            let user = "INSERT INTO users VALUES (?1, 'somewhere', ?2)";
            origin.execute(user, &[&id, country]).unwrap();
            let ratings = "INSERT INTO ratings VALUES (?1, 'a', 1), (?1, 'b', 2)";
            origin.execute(ratings, &[&id]).unwrap();
        }
        origin.run("COMMIT").unwrap();
        platform
    }

    /// Rewrites a file.
    pub(crate) fn edit(&self, name: &str, change: impl Fn(String) -> String) {
        let text = std::fs::read_to_string(self.path(name)).unwrap();
        std::fs::write(self.path(name), change(text)).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A connection as an application has it.
    pub(crate) fn open(&self, file: &str) -> Application {
        Application::open(&self.path(file)).unwrap()
    }

    /// Runs SQL at a site.
    pub(crate) fn sql(&self, file: &str, sql: &str) {
        self.open(file).run(sql).unwrap();
    }

    /// A number that SQL counts at a site.
    pub(crate) fn count(&self, file: &str, sql: &str) -> u64 {
        let mut found = None;
        let take = |row: Vec<Option<String>>| found = row.first().cloned().flatten();
        self.open(file).each_row(sql, &[], take).unwrap();
        found.unwrap().parse().unwrap()
    }

    /// Changes the configuration.
    pub(crate) fn configure(&mut self, from: &str, to: &str) -> &mut Self {
        assert!(self.config.contains(from), "{from}");
        self.config = self.config.replace(from, to);
        self
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        std::fs::write(self.path("domicile.toml"), &self.config).unwrap();
        let mut command = program();
        command.args(arguments).current_dir(self.folder());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        finish(self.command(arguments))
    }

    /// Starts a run and leaves it running.
    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }
}

/// The program, with nothing of the surroundings that would change its words.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_domicile"));
    command.env_remove("RUST_LOG").env_remove("COLUMNS").stdin(Stdio::null());
    command
}

pub(crate) fn finish(mut command: Command) -> Ran {
    ran(command.output().unwrap())
}

pub(crate) fn ran(output: std::process::Output) -> Ran {
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}
