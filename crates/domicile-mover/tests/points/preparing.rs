//! Planning and preparing break at each point that they pass; then both are done again, and
//! everybody moves.

use super::trial::Trials;
use super::world::{PAIRS, Pair};
use super::{Broke, never_passed};
use domicile_store::Kind;
use domicile_store::faulty::{FAULTS, Faults, POINTS, REACHES};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// `unreached` are the points that only other commands pass.
pub(crate) async fn preparing(
    pair: Pair,
    unreached: Vec<&'static str>,
    seed: u64,
) -> (Vec<Broke>, u64) {
    let mut draw = StdRng::seed_from_u64(seed << 8 | pair as u64);
    let undisturbed = Faults::none();
    let (world, _) = Trials::people(pair).await;
    world.prepare(&undisturbed).await.unwrap();
    assert_eq!(never_passed(&undisturbed), unreached, "{pair:?}: points no preparing passes");
    let (mut all, mut acknowledged) = (Vec::new(), 0);
    // The pairs share the points, and each has others with the next seed.
    let passed = POINTS.iter().filter(|point| !unreached.contains(point)).zip(seed..);
    let mine = passed.filter(|(_, turn)| turn % PAIRS.len() as u64 == pair as u64);
    for (point, _) in mine {
        let nth = draw.random_range(1..=undisturbed.hits(point));
        let (fault, reach) = (FAULTS[draw.random_range(0..2)], REACHES[draw.random_range(0..2)]);
        let context = format!("{pair:?}, seed {seed}: {point}, {nth}, {fault:?}, {reach:?}");
        let ((world, writer), faults) = (Trials::people(pair).await, Faults::none());
        faults.arm_reaching(point, nth, fault, reach);
        // Nothing else happens meanwhile: what was passed before is passed again.
        let Err(error) = world.prepare(&faults).await else { panic!("{context}: nothing broke") };
        assert_eq!(error.kind(), Kind::RetryLater, "{context}: {error:?}");
        all.push(Broke { faults, is_ended: false });
        let plan = world.prepare_when_let_in(&context).await;
        let trials = Trials::begin(world, writer, plan);
        trials.recover(&context).await;
        acknowledged += trials.acknowledged().await;
    }
    (all, acknowledged)
}
