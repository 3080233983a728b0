//! The clock, the date and randomness: read here and passed down, nowhere else.

use domicile_model::MoveId;
use domicile_mover::drive::Clock;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::sync::Arc;
use std::time::Instant;

/// Time since this call.
pub(crate) fn clock() -> Clock {
    let start = Instant::now();
    Arc::new(move || start.elapsed())
}

/// The date and time.
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

/// The day whose law applies: today, by UTC, so that it is the same on every machine.
pub(crate) fn today() -> Date {
    now().to_zoned(TimeZone::UTC).date()
}

/// A new id for each announcement.
pub(crate) fn move_ids() -> Arc<dyn Fn() -> MoveId + Send + Sync> {
    Arc::new(|| MoveId(rand::random_range(1..=i64::MAX)))
}

/// Bytes that nobody can guess.
pub(crate) fn random_bytes<const COUNT: usize>() -> [u8; COUNT] {
    rand::random()
}
