//! Two files with people who have lists.

use super::Journal;
use super::platform::{
    Database, HOUSE, LIST, ROWS, SITES, Told, Writer, add, append, numbers, start,
};
use super::writer::Part;
use domicile_store::Site;
use domicile_store::faulty::{Faults, Faulty};
use domicile_store::sqlite::SqliteSite;
use domicile_store::sqlite::application::Application;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use rand::rngs::StdRng;
use std::path::PathBuf;
use std::sync::Arc;

pub struct SqliteDatabases {
    _directory: tempfile::TempDir,
    paths: Vec<PathBuf>,
}

impl SqliteDatabases {
    pub fn new() -> SqliteDatabases {
        let directory = tempfile::tempdir().unwrap();
        let path = |(name, _): &(&str, &str)| directory.path().join(format!("{name}.db"));
        let paths: Vec<PathBuf> = SITES.iter().map(path).collect();
        for ((name, _), path) in SITES.iter().zip(&paths) {
            SqliteSite::create(name.parse().unwrap(), path).unwrap();
        }
        Application::open(&paths[0]).unwrap().run(&start()).unwrap();
        SqliteDatabases { _directory: directory, paths }
    }

    fn applications(&self) -> Vec<Application> {
        self.paths.iter().map(|path| Application::open(path).unwrap()).collect()
    }
}

impl Database for SqliteDatabases {
    fn sites<'a>(&'a self, faults: &'a Faults) -> BoxFuture<'a, Vec<Arc<dyn Site>>> {
        let open = |((name, _), path): (&(&str, &str), &PathBuf)| {
            let site = SqliteSite::open(name.parse().unwrap(), path).unwrap();
            Arc::new(Faulty::new(Arc::new(site), faults.clone())) as Arc<dyn Site>
        };
        let sites = SITES.iter().zip(&self.paths).map(open).collect();
        std::future::ready(sites).boxed()
    }

    fn client(&self, process: u64) -> BoxFuture<'_, Box<dyn Writer>> {
        let begin = if process.is_multiple_of(2) { "begin immediate" } else { "begin" };
        let clients = self.applications();
        let writer = Box::new(SqliteWriter { clients, begin }) as Box<dyn Writer>;
        std::future::ready(writer).boxed()
    }

    fn change_house(&self, person: u64) -> BoxFuture<'_, ()> {
        for app in self.applications() {
            match app.run(&format!("{HOUSE}{person}")).map_err(|error| error.to_string()) {
                Ok(()) => {}
                // Not here any more, or not yet.
                Err(text) if text.contains("DM001") || text.contains("DM002") => {}
                Err(text) => panic!("{text}"),
            }
        }
        std::future::ready(()).boxed()
    }

    fn lists(&self, person: u64) -> BoxFuture<'_, (Vec<u64>, Vec<u64>)> {
        let (mut list, mut rows) = (Vec::new(), Vec::new());
        for app in self.applications() {
            let take = |into: &mut Vec<u64>, sql: String| {
                let found = app.each_row(&sql, &[], |row| {
                    into.extend(numbers(row[0].as_ref().unwrap()));
                });
                found.unwrap();
            };
            take(&mut list, format!("{LIST}{person}"));
            take(&mut rows, format!("{ROWS}{person} order by seq"));
        }
        std::future::ready((list, rows)).boxed()
    }

    /// A file has no server and no link.
    fn breakage(&self, _draw: &mut StdRng) -> Option<BoxFuture<'_, Option<String>>> {
        None
    }
}

struct SqliteWriter {
    clients: Vec<Application>,
    begin: &'static str,
}

impl SqliteWriter {
    fn transaction(&self, at: usize, parts: &[Part], journal: &Journal) -> Told {
        let app = &self.clients[at];
        let mut read = Vec::new();
        let mut person = 0;
        let mut run = || {
            app.run(self.begin)?;
            for part in parts {
                person = part.person;
                let before = read.len();
                if part.list {
                    app.each_row(&append(part), &[], |row| {
                        read.push(numbers(row[0].as_ref().unwrap()));
                    })?;
                    if read.len() == before {
                        return Ok(false);
                    }
                }
                if part.row {
                    app.run(&add(part, journal.tick()))?;
                }
            }
            app.run("commit")?;
            Ok::<bool, domicile_store::Error>(true)
        };
        let error = match run() {
            Ok(true) => return Told::Done(read),
            Ok(false) => None,
            Err(error) => Some(error.to_string()),
        };
        // Nothing is open where the first statement already failed.
        let _ = app.run("rollback");
        match error.as_deref() {
            None => Told::NotHere(person),
            Some(text) if text.contains("DM001") || text.contains("FOREIGN KEY") => {
                Told::NotHere(person)
            }
            Some(text) if text.contains("DM002") || text.contains("locked") => Told::TryAgain,
            Some(text) => panic!("{text}"),
        }
    }
}

impl Writer for SqliteWriter {
    fn write<'a>(
        &'a mut self,
        at: usize,
        parts: &'a [Part],
        journal: &'a Journal,
        _is_lost: bool,
    ) -> BoxFuture<'a, Told> {
        std::future::ready(self.transaction(at, parts, journal)).boxed()
    }
}
