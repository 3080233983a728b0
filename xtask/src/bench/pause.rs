//! `cargo xtask bench pause`: what a move does to those who write about the person who moves,
//! measured by the writers.
//!
//! - **pause**: the latency of the write that met the decision, from its sending to its refusal.
//!   A steady writer always has one write under way, so that whatever it waited for is in there:
//!   the lock, the commit, the queue while a person closes.
//! - **longest write**: the longest of all the person's writes at the old home while they moved.
//! - **handover**: from the arrival of the first refusal at the old home (`DM001`) to that of the
//!   first acknowledgement at the new one. A writer that is refused there (`DM002`) tries again at
//!   once.
//!
//! The writers stand beside the source, as `migrate` does: what they send to the new home travels
//! the distance as well. Only people count whose write was acknowledged at the old home before.

mod report;
mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use domicile_testkit::{Direction, Proxy};
use tokio::sync::Barrier;

use super::pair::{DATABASE, Pair};
use super::program::{Migration, Program};
use super::world::{HEAVY, Size, Template};
use writer::{Felt, Writer};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// People to move; as many again stay.
    #[arg(long, default_value_t = 2000)]
    pub(super) people: u32,
    /// Events of one person, in the cases where somebody has many.
    #[arg(long, default_value_t = 1_000_000)]
    pub(super) heavy: u32,
    /// How far the target is in the cases with distance: a round trip, in milliseconds.
    #[arg(long, default_value_t = 80)]
    pub(super) distance: u64,
    /// Writers that never pause.
    #[arg(long, default_value_t = 8)]
    pub(super) steady: u32,
    /// Writers that write now and then.
    #[arg(long, default_value_t = 64)]
    pub(super) seldom: u32,
    /// How long those wait between two writes, in milliseconds.
    #[arg(long, default_value_t = 300)]
    pub(super) every: u64,
    /// Only cases whose names contain one of these.
    #[arg(long, value_delimiter = ',')]
    pub(super) only: Vec<String>,
    /// How often each case runs.
    #[arg(long, default_value_t = 3)]
    pub(super) rounds: usize,
}

/// What is measured: where the target is, whether somebody has many rows, how clients write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Case {
    distance: Duration,
    is_heavy: bool,
    writers: u32,
    every: Duration,
}

/// One run of a case.
struct Ran {
    case: Case,
    felt: Vec<Felt>,
    migration: Migration,
}

impl Arguments {
    fn cases(&self) -> Vec<Case> {
        let steady = (self.steady, Duration::ZERO);
        let seldom = (self.seldom, Duration::from_millis(self.every));
        let far = Duration::from_millis(self.distance);
        let mut cases = Vec::new();
        let mut kinds = vec![(0, Duration::ZERO)];
        kinds.extend([seldom, steady].into_iter().filter(|(writers, _)| *writers > 0));
        for (writers, every) in kinds {
            for (distance, is_heavy) in
                [(Duration::ZERO, false), (far, false), (Duration::ZERO, true)]
            {
                cases.push(Case { distance, is_heavy, writers, every });
            }
        }
        if !self.only.is_empty() {
            cases.retain(|case| self.only.iter().any(|part| case.name().contains(part.as_str())));
        }
        cases
    }
}

pub(super) async fn measure(arguments: &Arguments, program: &Program) -> Result<String> {
    let cases = arguments.cases();
    ensure!(arguments.rounds > 0 && !cases.is_empty(), "no round or no case: no figure");
    let pair = Pair::start(&[])?;
    let size = Size::of(arguments.people);
    let usual = Template::make(&pair.source, &pair.target, size).await?;
    let mut heavy = None;
    if cases.iter().any(|case| case.is_heavy) {
        let size = Size { extra: arguments.heavy, ..size };
        heavy = Some(Template::make(&pair.source, &pair.target, size).await?);
    }
    let mut runs = Vec::new();
    for round in 0..arguments.rounds {
        for &case in &cases {
            let template = heavy.as_ref().filter(|_| case.is_heavy).unwrap_or(&usual);
            let ran = run(&pair, template, case, program).await?;
            eprintln!("round {}: {}: {:.2} s", round + 1, case.name(), ran.migration.seconds);
            for reason in ran.migration.failures() {
                eprintln!("somebody could not be moved: {reason}");
            }
            runs.push(ran);
        }
    }
    Ok(report::tables(arguments, &cases, &runs))
}

impl Case {
    fn name(self) -> String {
        let target = match self.distance.as_millis() {
            0 => "near".to_owned(),
            millis => format!("{millis} ms away"),
        };
        let heavy = if self.is_heavy { ", somebody heavy" } else { "" };
        let write = match (self.writers, self.every.as_millis()) {
            (0, _) => "nobody writes".to_owned(),
            (writers, 0) => format!("{writers} write steadily"),
            (writers, millis) => format!("{writers} write every {millis} ms"),
        };
        format!("{target}{heavy}; {write}")
    }

    /// Who each writer writes about, in the order in which `migrate` takes people.
    fn shares(self, size: Size) -> Vec<Vec<i64>> {
        let mut leaving: Vec<i64> = (1..=i64::from(size.leaving)).map(|at| at * 2).collect();
        leaving.sort_by_key(i64::to_string);
        let mut shares = vec![Vec::new(); self.writers as usize];
        if shares.is_empty() {
            return shares;
        }
        if self.is_heavy {
            // Somebody is with the heavy person all the time.
            leaving.retain(|person| *person != HEAVY);
            shares[0].push(HEAVY);
        }
        let from = usize::from(self.is_heavy).min(shares.len() - 1);
        let count = shares.len() - from;
        for (at, person) in leaving.into_iter().enumerate() {
            shares[from + at % count].push(person);
        }
        shares
    }
}

async fn run(pair: &Pair, template: &Template, case: Case, program: &Program) -> Result<Ran> {
    pair.renew(template, false).await?;
    let proxy = Proxy::start(pair.target.port()).await?;
    proxy.delay(Direction::ToServer, case.distance / 2);
    proxy.delay(Direction::ToClient, case.distance / 2);
    // Without distance there is no proxy either.
    let away = |url: String| if case.distance.is_zero() { Ok(url) } else { proxy.url(&url) };
    let target = away(pair.target.url(DATABASE))?;
    let prepared = program.prepare(&pair.source.url(DATABASE), &target, true).await?;
    let shares = case.shares(template.size);
    let begun = Arc::new(Barrier::new(shares.len() + 1));
    let is_over = Arc::new(AtomicBool::new(false));
    let [old, new] = [pair.source.app_url(DATABASE), away(pair.target.app_url(DATABASE))?];
    let mut writers = Vec::new();
    for (at, share) in (0..).zip(shares) {
        let (every, offset) = (case.every, case.every * at / case.writers);
        let over = is_over.clone();
        let writer = Writer::open(&old, &new, template.size, every, offset, over).await?;
        let begun = begun.clone();
        writers.push(tokio::spawn(async move { writer.follow(&share, &begun).await }));
    }
    begun.wait().await;
    let migration = prepared.migrate(&[]).await?;
    is_over.store(true, Ordering::Relaxed);
    let mut felt = Vec::new();
    for writer in writers {
        felt.push(writer.await??);
    }
    let leaving = template.size.leaving_rows();
    let all = leaving * 2 - i64::from(template.size.extra);
    ensure!(pair.counts().await?.iter().sum::<i64>() == all, "rows are missing or double");
    Ok(Ran { case, felt, migration })
}
