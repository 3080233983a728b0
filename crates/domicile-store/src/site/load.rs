//! What a database bears while people move.

use crate::error::Result;
use async_trait::async_trait;
use std::time::Duration;

/// Reads the load of one site, again and again, over a connection of its own.
#[async_trait]
pub trait Gauge: Send {
    /// Looks once. Cheap, and waits for nobody.
    async fn read(&mut self) -> Result<Load>;
}

/// What a move may add to at a site.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Where the log has been written to, in bytes.
    pub written: u64,
    /// Who follows the log: standbys and subscribers that are attached.
    pub replicas: Vec<Replica>,
    /// The tables of people.
    pub tables: Vec<TableLoad>,
    /// Sessions of others that have waited for a lock which the mover holds, for 100 ms or more.
    pub waiting: u64,
}

/// One that follows the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replica {
    /// What it calls itself.
    pub name: String,
    /// What it has replayed of the log, in bytes.
    pub replayed: u64,
    /// How long what it last replayed had taken, as far as the server has measured. It does not
    /// grow while a replica stands still.
    pub lag: Option<Duration>,
}

/// Rows of one table, as the statistics have them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableLoad {
    /// The table.
    pub table: String,
    /// Rows that are there.
    pub live: u64,
    /// Rows that were deleted or replaced, and not yet vacuumed.
    pub dead: u64,
    /// Whether somebody is vacuuming the table now.
    pub is_vacuumed: bool,
}
