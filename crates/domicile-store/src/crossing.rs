//! From SQLite to PostgreSQL: which type a column becomes, which bytes a value becomes, and how a
//! table is written again.
//!
//! Pure: nothing here opens a database. `sqlite/crossing.rs` reads with it, and the written form
//! for people is `docs/sqlite-to-postgres.md`.
//!
//! A value arrives with the same meaning, or it is refused. It is never rounded, cut, or guessed
//! at: text becomes a number, a date or a UUID only where PostgreSQL reads all of it.

mod agree;
mod decimal;
mod declared;
mod moments;
mod script;
mod types;
mod values;

pub use agree::{agree, obstacles};
pub(crate) use script::{Foreign, Index, Source, constraint_name};
pub(crate) use script::{catalog_table, statements};
pub use types::PgType;
pub(crate) use values::ROW_BYTES_MAX;
pub use values::{Misfit, encode, key_text};

/// The schema in which SQLite's tables stand at PostgreSQL.
pub const SCHEMA: &str = "public";
