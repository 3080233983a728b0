//! A mover that dies at every named point, before the call and after it, and is started again.

#[cfg(test)]
mod conformance {
    pub(crate) mod mover;
    pub(crate) mod sqlite_bed;
    #[expect(dead_code, unused_imports, reason = "the suite uses the rest")]
    pub(crate) mod support;
}

use conformance::mover::{survives, undisturbed};
use domicile_store::faulty::{Fault, POINTS};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_undisturbed_move_passes_every_point() {
    let ([source, target], faults) = undisturbed().await;
    for point in POINTS {
        assert!(faults.hits(point) > 0, "{point} is never passed");
    }
    assert_eq!(source.len(), 4, "Bob, his post, its comment, his like: {source:?}");
    assert_eq!(target.len(), 6 + 3, "all of Ada's but one comment, all of Eve's: {target:?}");
    assert!(target.contains(&"posts: 11|1|written while moving".to_owned()));
}

/// At the first passing of each point, and at the last.
async fn crash_everywhere(fault: Fault) {
    let (expected, faults) = undisturbed().await;
    for point in POINTS {
        survives(point, 1, fault, &expected).await;
        if faults.hits(point) > 1 {
            survives(point, faults.hits(point), fault, &expected).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_before_any_call_loses_and_doubles_nothing() {
    crash_everywhere(Fault::NotDone).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_after_any_call_loses_and_doubles_nothing() {
    crash_everywhere(Fault::Done).await;
}
