//! What every test of the suite stands on: a bed, the stage in it, and a lane along which people
//! move.

mod bed;
mod lane;
mod stage;

pub(crate) use bed::{App, Bed, End, Refusal};
pub(crate) use lane::{Lane, broken, drain, look_again, pass_source, pass_target, seqs_of, ship};
pub(crate) use stage::{Stage, WORLD, World, closure_of};

use domicile_model::Subject;

/// People by their keys.
pub(crate) fn people(keys: &[&str]) -> Vec<Subject> {
    keys.iter().copied().map(Subject::new).collect()
}

/// Asserts that a statement of the application is refused with one of these codes.
pub(crate) async fn refused(app: &mut dyn App, sql: &str, codes: &[&str]) -> Refusal {
    match app.run(sql).await {
        Ok(rows) => panic!("{sql}: changed {rows} rows"),
        Err(refusal) => {
            assert!(codes.contains(&refusal.code.as_str()), "{sql}: {refusal:?}");
            refusal
        }
    }
}
