//! Trying again for rows at a target that somebody else holds.

use super::with_hint;
use crate::error::Result;
use crate::report::Failure;
use domicile_model::{MoveId, Subject};
use domicile_store::{Arrival, Error, Kind};
use std::time::Duration;

/// The first pause and the longest: somebody may be waiting until rows have been shipped.
const PAUSES: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(100));
/// How long it is tried to take arrived rows back.
const TAKE_BACK: Duration = Duration::from_secs(5);

/// Pauses between tries, each twice as long as the one before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    next: Duration,
    left: Duration,
}

impl Patience {
    /// Pauses for so long in all.
    pub(super) fn new(in_all: Duration) -> Patience {
        Patience { next: PAUSES.0, left: in_all }
    }

    /// The next pause, while there is patience left.
    fn next(&mut self) -> Option<Duration> {
        let pause = self.next.min(self.left);
        self.left -= pause;
        self.next = (self.next * 2).min(PAUSES.1);
        (!pause.is_zero()).then_some(pause)
    }

    /// Pauses; says whether there was patience left.
    pub(super) async fn pause(&mut self) -> bool {
        let Some(pause) = self.next() else { return false };
        tokio::time::sleep(pause).await;
        true
    }
}

/// Clears a target of people who are not to come. What cannot be cleared stays there, fenced, and
/// is named.
pub(crate) async fn take_back(
    target: &mut dyn Arrival,
    move_id: MoveId,
    subjects: &[Subject],
) -> Result<Option<Failure>> {
    let mut patience = Patience::new(TAKE_BACK);
    loop {
        let error = match target.abandon(move_id, subjects).await {
            Ok(()) => return Ok(None),
            Err(error) => error,
        };
        match error.kind() {
            Kind::RetryNow if patience.pause().await => {}
            Kind::RetryNow | Kind::Operator => return Ok(not_taken_back(subjects, &error)),
            Kind::RetryLater | Kind::Never => return Err(error.into()),
        }
    }
}

/// One failure for people whose arrival could not be cleared.
fn not_taken_back(subjects: &[Subject], error: &Error) -> Option<Failure> {
    let reason =
        format!("withdrawn, but what had arrived could not be taken back: {}", with_hint(error));
    subjects.first().map(|subject| Failure { subject: subject.clone(), reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_tenth_of_a_second_and_end() {
        let mut patience = Patience::new(Duration::from_millis(300));
        let pauses: Vec<u128> =
            std::iter::from_fn(|| patience.next()).map(|pause| pause.as_millis()).collect();
        assert_eq!(pauses, [2, 4, 8, 16, 32, 64, 100, 74]);
        assert_eq!(patience.next(), None);
    }
}
