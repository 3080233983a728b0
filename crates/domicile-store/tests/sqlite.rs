//! The suite, on SQLite, and what only SQLite's columns can hold.

#[cfg(test)]
#[macro_use]
mod conformance;
#[cfg(test)]
#[path = "conformance/sqlite_bed.rs"]
mod sqlite_bed;
#[cfg(test)]
#[path = "conformance/sqlite_values.rs"]
mod values;

use sqlite_bed::SqliteBed;

conformance!(SqliteBed);
