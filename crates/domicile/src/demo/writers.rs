//! The application while people move: threads that write straight to the databases, follow
//! refusals to the new home, and remember every write that was acknowledged.

use super::people::Dice;
use super::world::{LIVE_POSTS, Population, SITES, database, favourite};
use crate::exit::{Failure, Result};
use domicile_store::sqlite::application::Application;
use domicile_store::{Error, Kind};
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

const WRITERS: u64 = 3;
/// Between two requests of a writer: an application is busy, but it is not a denial of service.
const PACE: Duration = Duration::from_micros(100);
/// Requests that a writer keeps for later before it takes on no others.
const WAITING_MAX: usize = 64;
/// How long a refused write is followed after everybody has moved.
const PATIENCE: Duration = Duration::from_secs(10);
/// The numbers that one writer gives to its posts.
const POSTS_PER_WRITER: u64 = 1_000_000_000;

/// The counters that writers raise: one in the root table, one in a table below it. Each with the
/// statement that raises it, and the query that reads it.
pub(super) const COUNTERS: [(&str, &str); 2] = [
    ("UPDATE users SET visits = visits + 1 WHERE id = ?1", "SELECT id, visits FROM users"),
    (
        "UPDATE videos_watched SET times = times + 1 WHERE user_id = ?1 AND video_id = ?2",
        "SELECT user_id, times - 1 FROM videos_watched WHERE video_id = user_id % 500 + 1",
    ),
];

/// What the writers remember.
#[derive(Default)]
pub(super) struct Memory {
    /// Acknowledged posts: number and author.
    pub(super) posts: Vec<(u64, u64)>,
    /// Acknowledged updates by counter and person.
    pub(super) updates: BTreeMap<(usize, u64), u64>,
    /// Writes acknowledged while people were moving.
    pub(super) during_move: u64,
    /// Writes that a fence refused at least once and that were then taken where it sent them.
    pub(super) refused: u64,
    handovers: BTreeMap<u64, Handover>,
}

/// One person's change of home as the application saw it.
#[derive(Clone, Copy)]
struct Handover {
    refused: Instant,
    accepted: Option<Instant>,
}

impl Memory {
    /// From the first refusal at the old home to the first success at the new one, per person who
    /// was written about around that moment.
    pub(super) fn handovers(&self) -> Vec<Duration> {
        let took = |seen: &Handover| Some(seen.accepted?.duration_since(seen.refused));
        self.handovers.values().filter_map(took).collect()
    }

    fn add(&mut self, other: Memory) {
        self.posts.extend(other.posts);
        self.during_move += other.during_move;
        self.refused += other.refused;
        for (counter, count) in other.updates {
            *self.updates.entry(counter).or_default() += count;
        }
        for (person, seen) in other.handovers {
            let first = self.handovers.entry(person).or_insert(seen);
            first.refused = first.refused.min(seen.refused);
            first.accepted = [first.accepted, seen.accepted].into_iter().flatten().min();
        }
    }
}

/// What the demo tells its writers.
#[derive(Default)]
struct Signals {
    is_moving: AtomicBool,
    stop: AtomicBool,
}

/// The writers at work.
pub(super) struct Writers {
    signals: Arc<Signals>,
    threads: Vec<JoinHandle<Result<Memory>>>,
}

impl Writers {
    /// Starts the writers and waits until each has written.
    pub(super) fn start(dir: &Path, population: &Population) -> Result<Writers> {
        let signals = Arc::new(Signals::default());
        let mut threads = Vec::new();
        let (first, begun) = channel();
        for number in 0..WRITERS {
            let writer = Writer::open(dir, population.count(), number, signals.clone())?;
            let first = first.clone();
            threads.push(thread::spawn(move || writer.work(first)));
        }
        drop(first);
        wait_for_all(&begun);
        Ok(Writers { signals, threads })
    }

    /// Says whether people are moving.
    pub(super) fn people_are_moving(&self, is_moving: bool) {
        self.signals.is_moving.store(is_moving, Ordering::SeqCst);
    }

    /// Stops the writers, once what was refused has been taken elsewhere.
    pub(super) fn stop(self) -> Result<Memory> {
        self.signals.stop.store(true, Ordering::SeqCst);
        let mut memory = Memory::default();
        for thread in self.threads {
            let ended = thread.join().map_err(|_| Failure::internal("a writer died"))?;
            memory.add(ended?);
        }
        Ok(memory)
    }
}

/// Each writer speaks once, or ends, which its result tells later.
fn wait_for_all(begun: &Receiver<()>) {
    for _ in 0..WRITERS {
        let _ = begun.recv();
    }
}

/// What a request asks for.
#[derive(Clone, Copy)]
enum Deed {
    Post(u64),
    Raise(usize),
}

/// A request on its way.
struct Errand {
    person: u64,
    deed: Deed,
    is_refused: bool,
}

/// What came of a try.
enum Outcome {
    Acknowledged,
    /// A fence named the new home.
    MovedTo(usize),
    /// The person is still arriving there.
    NotYet,
    /// Another writer holds the database.
    Busy,
    /// An update found nobody: their rows are erased already.
    NobodyThere,
}

struct Writer {
    sites: Vec<Application>,
    /// Where the application believes each person to be, by person.
    homes: Vec<usize>,
    dice: Dice,
    next_post: u64,
    /// Refused requests that are tried again, as an application with many users would: while one
    /// waits, others are served.
    waiting: VecDeque<Errand>,
    memory: Memory,
    signals: Arc<Signals>,
}

impl Writer {
    fn open(dir: &Path, people: u64, number: u64, signals: Arc<Signals>) -> Result<Writer> {
        let mut sites = Vec::new();
        for site in &SITES {
            let application = Application::open(&database(dir, site))?;
            // A writer with other people to serve does not stand in line at one database.
            application.run("PRAGMA busy_timeout = 0")?;
            sites.push(application);
        }
        Ok(Writer {
            sites,
            homes: vec![0; usize::try_from(people).unwrap_or(usize::MAX)],
            dice: Dice::new(number),
            next_post: LIVE_POSTS + number * POSTS_PER_WRITER,
            waiting: VecDeque::new(),
            memory: Memory::default(),
            signals,
        })
    }

    fn work(mut self, first: Sender<()>) -> Result<Memory> {
        let mut first = Some(first);
        while !self.signals.stop.load(Ordering::SeqCst) {
            if self.waiting.len() < WAITING_MAX {
                let errand = self.think_of_something();
                self.waiting.push_back(errand);
            }
            self.try_all()?;
            if self.waiting.is_empty()
                && let Some(first) = first.take()
            {
                // Nobody listens any more when the demo has failed elsewhere.
                let _ = first.send(());
            }
            thread::sleep(PACE);
        }
        let until = Instant::now() + PATIENCE;
        while !self.waiting.is_empty() && Instant::now() < until {
            self.try_all()?;
            thread::sleep(PACE);
        }
        Ok(self.memory)
    }

    /// Some people write far more than others: the cube puts a fifth of all writes on one person
    /// in a hundred, whom a prime spreads over the whole list.
    fn think_of_something(&mut self) -> Errand {
        let people = self.homes.len() as u64;
        let scale = 1_u64 << 20;
        let at = self.dice.below(scale);
        let cube = u128::from(at).pow(3) * u128::from(people) / u128::from(scale).pow(3);
        let spread = cube * 7_919 % u128::from(people);
        let person = 1 + u64::try_from(spread).unwrap_or(0);
        let deed = match self.dice.below(10) {
            0..5 => {
                self.next_post += 1;
                Deed::Post(self.next_post)
            }
            5..8 => Deed::Raise(1),
            _ => Deed::Raise(0),
        };
        Errand { person, deed, is_refused: false }
    }

    /// Tries every waiting request once, and at once again where a fence named the way. A database
    /// that another writer holds is left alone until the next round.
    fn try_all(&mut self) -> Result<()> {
        let mut is_busy = [false; SITES.len()];
        for _ in 0..self.waiting.len() {
            let Some(mut errand) = self.waiting.pop_front() else { break };
            loop {
                let site = self.homes[place(errand.person)];
                if is_busy[site] {
                    self.waiting.push_back(errand);
                    break;
                }
                match self.attempt(&errand)? {
                    Outcome::Acknowledged => self.remember(&errand),
                    Outcome::MovedTo(home) => {
                        errand.is_refused = true;
                        self.note_refusal(errand.person);
                        self.homes[place(errand.person)] = home;
                        continue;
                    }
                    Outcome::NotYet => {
                        errand.is_refused = true;
                        self.waiting.push_back(errand);
                    }
                    Outcome::Busy => {
                        is_busy[site] = true;
                        self.waiting.push_back(errand);
                    }
                    Outcome::NobodyThere => {
                        self.look_for(errand.person)?;
                        self.waiting.push_back(errand);
                    }
                }
                break;
            }
        }
        Ok(())
    }

    fn attempt(&self, errand: &Errand) -> Result<Outcome> {
        let site = &self.sites[self.homes[place(errand.person)]];
        let person = errand.person.to_string();
        let done = match errand.deed {
            Deed::Post(number) => {
                let sql = "INSERT INTO posts (id, user_id, body) VALUES (?1, ?2, 'live')";
                site.execute(sql, &[&number.to_string(), &person])
            }
            Deed::Raise(0) => site.execute(COUNTERS[0].0, &[&person]),
            Deed::Raise(counter) => {
                site.execute(COUNTERS[counter].0, &[&person, &favourite(errand.person).to_string()])
            }
        };
        match done {
            Ok(0) => Ok(Outcome::NobodyThere),
            Ok(_) => Ok(Outcome::Acknowledged),
            Err(error) => understand(error),
        }
    }

    fn remember(&mut self, errand: &Errand) {
        let memory = &mut self.memory;
        match errand.deed {
            Deed::Post(number) => memory.posts.push((number, errand.person)),
            Deed::Raise(counter) => {
                *memory.updates.entry((counter, errand.person)).or_default() += 1;
            }
        }
        if let Some(seen) = memory.handovers.get_mut(&errand.person) {
            seen.accepted.get_or_insert_with(Instant::now);
        }
        memory.refused += u64::from(errand.is_refused);
        memory.during_move += u64::from(self.signals.is_moving.load(Ordering::SeqCst));
    }

    fn note_refusal(&mut self, person: u64) {
        let seen = Handover { refused: Instant::now(), accepted: None };
        self.memory.handovers.entry(person).or_insert(seen);
    }

    /// An update of somebody who is not there is no error in any database, so the application
    /// that did not hear of the move has to look.
    fn look_for(&mut self, person: u64) -> Result<()> {
        for (at, site) in self.sites.iter().enumerate() {
            let mut is_here = false;
            let sql = "SELECT 1 FROM users WHERE id = ?1";
            site.each_row(sql, &[&person.to_string()], |_| is_here = true)?;
            if is_here {
                self.homes[place(person)] = at;
            }
        }
        Ok(())
    }
}

fn place(person: u64) -> usize {
    usize::try_from(person - 1).unwrap_or(usize::MAX)
}

/// What a database says when it does not take a write.
fn understand(error: Error) -> Result<Outcome> {
    let text = error.to_string();
    if let Some(rest) = text.strip_prefix("DM001 moved to ") {
        let name = rest.split(':').next().unwrap_or_default();
        let home = SITES.iter().position(|site| site.name == name);
        return home.map(Outcome::MovedTo).ok_or_else(|| error.into());
    }
    if text.starts_with("DM002") {
        return Ok(Outcome::NotYet);
    }
    match error.kind() {
        Kind::RetryNow => Ok(Outcome::Busy),
        _ => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_name_the_way() {
        let said = |kind, text: &str| understand(Error::new(kind, text));
        let text = "DM001 moved to osl1: this person's rows live there now";
        assert!(matches!(said(Kind::Never, text), Ok(Outcome::MovedTo(3))));
        let text = "DM002 not yet here: this person's rows are arriving";
        let refused = said(Kind::Never, text);
        assert!(matches!(refused, Ok(Outcome::NotYet)));
        let busy = said(Kind::RetryNow, "database is locked");
        assert!(matches!(busy, Ok(Outcome::Busy)));
        assert!(said(Kind::Never, "disk I/O error").is_err());
        assert!(said(Kind::Never, "DM001 moved to mars1: so").is_err());
    }
}
