//! `[erase]`: when rows are deleted behind people, and what is done afterwards.

use super::document;
use crate::exit::{Failure, Result};
use jiff::{Span, SpanRelativeTo};
use std::time::Duration;

/// How long tombstones stand when nobody says so.
const TOMBSTONE_DAYS: u32 = 30;
/// How long no refusal must have been given before rows are deleted, when nobody says so.
const QUIET: Duration = Duration::from_millis(200);

/// When rows are deleted behind people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Erase {
    /// How long decided rows stay, fenced.
    pub(crate) after: Duration,
    /// How long no refusal must have been given.
    pub(crate) quiet: Duration,
    /// How long tombstones stand.
    pub(crate) tombstones: Duration,
    /// Whether tables of which much was erased are vacuumed and analyzed.
    pub(crate) vacuum: bool,
    /// How long archives of the log are kept, as the operator says.
    pub(crate) archives: Option<Duration>,
    /// How long backups are kept, as the operator says.
    pub(crate) backups: Option<Duration>,
}

/// What is written, or what is usual.
pub(super) fn read(erase: &document::Erase) -> Result<Erase> {
    let days = |days: u32| Duration::from_secs(u64::from(days) * 24 * 3600);
    Ok(Erase {
        after: read_duration("after", erase.after.as_deref(), Duration::ZERO)?,
        quiet: read_duration("quiet", erase.quiet.as_deref(), QUIET)?,
        tombstones: days(erase.tombstone_days.unwrap_or(TOMBSTONE_DAYS)),
        vacuum: erase.vacuum.unwrap_or(true),
        archives: erase.archive_days.map(days),
        backups: erase.backup_days.map(days),
    })
}

fn read_duration(key: &str, text: Option<&str>, usual: Duration) -> Result<Duration> {
    let Some(text) = text else { return Ok(usual) };
    let span: Result<Span, _> = text.parse();
    let duration = span
        .and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()))
        .and_then(Duration::try_from);
    duration.map_err(|error| {
        Failure::usage(format!("[erase] {key}: `{text}` is no duration"))
            .hint("write it as 0s, 90m, 24h or 7d")
            .because(&error)
    })
}
