//! `kill -9` at random moments under live writes, and one more run.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

#[path = "support/kills.rs"]
mod kills;
mod support;

use domicile_store::Kind;
use domicile_store::sqlite::application::Application;
use domicile_testkit::Rounds;
use kills::Totals;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use support::Platform;

const PEOPLE: u64 = 3000;
const KILLS: u64 = 20;
const SITES: [&str; 3] = ["iad1", "dub1", "osl1"];

/// Writes ratings one after another, each at the home the databases name, and remembers what was
/// acknowledged.
struct Writer {
    sites: BTreeMap<&'static str, Application>,
    home: BTreeMap<u64, &'static str>,
    told: BTreeMap<u64, u64>,
}

impl Writer {
    fn new(platform: &Platform) -> Writer {
        let file =
            |site: &str| if site == "iad1" { "origin.db".into() } else { format!("{site}.db") };
        let sites = SITES.map(|site| (site, platform.open(&file(site))));
        Writer { sites: sites.into(), home: BTreeMap::new(), told: BTreeMap::new() }
    }

    /// Inserts a person's third rating, or changes it.
    fn write(&mut self, id: u64, rating: u64) {
        let upsert = "INSERT INTO ratings VALUES (?1, 'c', ?2)
                      ON CONFLICT (user_id, isbn) DO UPDATE SET rating = ?2";
        let parameters = [id.to_string(), rating.to_string()];
        loop {
            let home = self.home.get(&id).copied().unwrap_or("iad1");
            match self.sites[home].execute(upsert, &[&parameters[0], &parameters[1]]) {
                Ok(changed) => {
                    assert_eq!(changed, 1);
                    self.told.insert(id, rating);
                    return;
                }
                Err(error) if error.kind() == Kind::RetryNow => {}
                Err(error) => self.follow(id, &error.to_string()),
            }
        }
    }

    fn follow(&mut self, id: u64, refusal: &str) {
        let named = SITES.into_iter().find(|site| refusal.contains(&format!("moved to {site}")));
        match named {
            Some(home) => drop(self.home.insert(id, home)),
            // Arriving: the process that would open the door may be dead for the moment.
            None if refusal.contains("DM00") => std::thread::sleep(Duration::from_millis(5)),
            None => panic!("{id}: {refusal}"),
        }
    }

    /// Every acknowledged rating stands at one site, as it was acknowledged last.
    fn check(&self) {
        let mut found: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        for site in self.sites.values() {
            let sql = "SELECT user_id, rating FROM ratings WHERE isbn = 'c'";
            let number = |text: &Option<String>| text.as_ref().unwrap().parse::<u64>().unwrap();
            site.each_row(sql, &[], |row| {
                found.entry(number(&row[0])).or_default().push(number(&row[1]));
            })
            .unwrap();
        }
        for (id, rating) in &self.told {
            assert_eq!(found.get(id), Some(&vec![*rating]), "person {id}");
        }
    }
}

#[test]
fn soak_killed_and_nothing_is_lost() {
    let mut totals = Totals::default();
    for seed in Rounds::new(1).unwrap() {
        totals.add(seed, KILLS, round(seed));
    }
    totals.tell("soak_killed_and_nothing_is_lost");
}

/// Kills one run after the other, and finishes; how many people were written about.
fn round(seed: u64) -> u64 {
    let platform = Platform::with_people(PEOPLE);
    platform.run(&["prepare"]).ok();
    let mut draw = StdRng::seed_from_u64(seed);
    let done = AtomicBool::new(false);
    let writer = std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            let mut writer = Writer::new(&platform);
            // A stride that shares no factor with their number reaches everybody in no order.
            for turn in (0..).take_while(|_| !done.load(Ordering::Relaxed)) {
                writer.write(turn * 1009 % PEOPLE + 1, turn);
                std::thread::sleep(Duration::from_micros(300));
            }
            writer
        });
        for _ in 0..KILLS {
            let mut run = platform.start(&["migrate", "--batch", "25"]);
            std::thread::sleep(Duration::from_millis(draw.random_range(20..420)));
            run.kill().unwrap();
            run.wait().unwrap();
        }
        let last = platform.run(&["migrate", "--json"]);
        done.store(true, Ordering::Relaxed);
        last.ok();
        writing.join().unwrap()
    });
    platform.run(&["verify"]).ok();
    writer.check();
    assert!(writer.told.len() > 500, "only {} people were written about", writer.told.len());
    assert!(!writer.home.is_empty(), "no writer met a move");
    writer.told.len() as u64
}
