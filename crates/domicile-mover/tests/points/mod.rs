//! Rounds of trials: each point breaks once, at a passing and in a way that the seed chooses.

#[expect(dead_code, reason = "statements with parameters are for another suite")]
#[path = "../mixed/model.rs"]
mod model;
mod preparing;
mod trial;
pub(crate) mod world;
mod writer;

use domicile_store::faulty::{FAULTS, Faults, POINTS, REACHES};
use preparing::preparing;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use trial::{Break, Broke, Trials};
use world::{PAIRS, Pair};

/// How often a point is tried that a run of other timing may pass by.
const TRIES: u32 = 3;
const WORLDS: usize = 2;

/// What was done in rounds.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    seeds: Option<(u64, u64)>,
    rounds: u64,
    points: u64,
    crashes: u64,
    lost: u64,
    /// Runs that lost a connection and came to their end all the same.
    went_on: u64,
    acknowledged: u64,
    took: Duration,
}

impl Totals {
    fn begin_round(&mut self, seed: u64) {
        let (first, _) = self.seeds.unwrap_or((seed, seed));
        self.seeds = Some((first, seed));
        self.rounds += 1;
    }

    fn add(&mut self, came: &Broke) {
        self.points += 1;
        self.crashes += u64::from(came.faults.crashed_at().is_some());
        let is_lost = came.faults.lost_at().is_some();
        self.lost += u64::from(is_lost);
        self.went_on += u64::from(is_lost && came.is_ended);
    }

    /// What tasks come to: the runs that were to break, and how many writes were acknowledged.
    async fn add_all(&mut self, tasks: impl IntoIterator<Item = JoinHandle<(Vec<Broke>, u64)>>) {
        for task in tasks {
            let (all, acknowledged) = task.await.unwrap();
            all.iter().for_each(|broke| self.add(broke));
            self.acknowledged += acknowledged;
        }
    }

    /// Says what was done.
    pub(crate) fn tell(&self, test: &str) {
        let Totals { rounds, points, crashes, lost, went_on, acknowledged, .. } = self;
        let (first, last) = self.seeds.unwrap_or((0, 0));
        eprintln!(
            "{test}: {rounds} rounds of seeds {first} to {last}, {points} crash points tried, \
             {crashes} crashes, {lost} connections lost ({went_on} runs ended all the same); \
             {acknowledged} writes acknowledged meanwhile, 0 lost, doubled or invented; {:.1} s",
            self.took.as_secs_f64()
        );
    }
}

/// Breaks a run at each point that it passes; `unreached` are those that no run passes. Two worlds
/// share the points, so that one works while the other waits.
pub(crate) async fn round_of_moves(
    pair: Pair,
    unreached: &[&'static str],
    seed: u64,
    totals: &mut Totals,
) {
    let began = Instant::now();
    totals.begin_round(seed);
    let mut points = POINTS.to_vec();
    points.shuffle(&mut StdRng::seed_from_u64(seed));
    let halves: Vec<_> = points
        .chunks(points.len().div_ceil(WORLDS))
        .zip(0..)
        .map(|(half, world)| {
            let (half, unreached) = (half.to_vec(), unreached.to_vec());
            let draw = StdRng::seed_from_u64(seed << 8 | world);
            tokio::spawn(moves_of_one_world(pair, unreached, half, seed, draw))
        })
        .collect();
    totals.add_all(halves).await;
    totals.took += began.elapsed();
}

/// Breaks planning and preparing on every pair at each point that they pass.
pub(crate) async fn round_of_preparing(unreached: &[&'static str], seed: u64, totals: &mut Totals) {
    let began = Instant::now();
    totals.begin_round(seed);
    let pairs = PAIRS.map(|pair| tokio::spawn(preparing(pair, unreached.to_vec(), seed)));
    totals.add_all(pairs).await;
    totals.took += began.elapsed();
}

/// What became of each run, and how many writes were acknowledged.
async fn moves_of_one_world(
    pair: Pair,
    unreached: Vec<&'static str>,
    mut points: Vec<&'static str>,
    seed: u64,
    mut draw: StdRng,
) -> (Vec<Broke>, u64) {
    let mut trials = Trials::prepared(pair).await;
    let undisturbed = trials.run(None, seed).await;
    assert_eq!(never_passed(&undisturbed.faults), unreached, "{pair:?}: points no run passes");
    points.retain(|point| !unreached.contains(point));
    let mut all = Vec::new();
    for point in points {
        let mut nth = draw.random_range(1..=undisturbed.faults.hits(point));
        let (fault, reach) = (FAULTS[draw.random_range(0..2)], REACHES[draw.random_range(0..2)]);
        for tries in 1.. {
            let came = trials.run(Some(Break { point, nth, fault, reach }), seed).await;
            let is_broken = came.is_broken();
            all.push(came);
            if is_broken {
                break;
            }
            // The first passing is the surest.
            nth = 1;
            assert!(tries < TRIES, "{pair:?}, seed {seed}: nothing broke at {point}");
        }
    }
    (all, trials.acknowledged().await)
}

/// The points that were not passed, in their order.
fn never_passed(faults: &Faults) -> Vec<&'static str> {
    POINTS.iter().copied().filter(|point| faults.hits(point) == 0).collect()
}
