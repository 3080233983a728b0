//! A checker of recorded histories of appends to lists.
//!
//! The method is that of Kingsbury and Alvaro, "Elle: inferring isolation anomalies from
//! experimental observations", VLDB 2020: values are only ever appended, so that a read of a list
//! shows the order of all writes before it. The phenomena G0, G1a, G1c and G2 are those of Adya,
//! "Weak consistency", 1999.
//!
//! | anomaly | ruled out at |
//! |---|---|
//! | lost append, doubled append, invented value | every level |
//! | aborted read (G1a), incompatible reads | every level |
//! | append out of order, stale read | every level: they concern one list and the order of time |
//! | write cycle (G0), cycle of writes and reads (G1c) | every level |
//! | cycle with an anti-dependency (G2) | SERIALIZABLE |
//!
//! REPEATABLE READ of PostgreSQL is snapshot isolation, which forbids some cycles with one
//! anti-dependency too; they are not told apart here, so such a cycle counts at SERIALIZABLE only.
//! The order of time between transactions that share no list is not judged.

mod cycles;
mod lists;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

/// What the transactions of a history were promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// SQL's READ COMMITTED.
    ReadCommitted,
    /// SQL's REPEATABLE READ.
    RepeatableRead,
    /// SQL's SERIALIZABLE.
    Serializable,
}

/// What the client was told of its transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is committed.
    Acknowledged,
    /// It is not done, and never will be.
    Refused,
    /// The connection was lost: it may be done, now or later.
    Unknown,
}

/// One thing that a transaction did with a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Put a value at the end. No value is put on a list by two operations; a retry takes another.
    Append {
        /// The list.
        key: String,
        /// What was put there.
        value: u64,
    },
    /// Read the whole list.
    Read {
        /// The list.
        key: String,
        /// All values, the reader's own earlier appends included.
        observed: Vec<u64>,
    },
}

/// One transaction as its client saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Who ran it.
    pub process: u64,
    /// Drawn before its first statement from a counter that all processes share.
    pub started: u64,
    /// Drawn from the same counter when the outcome was known.
    pub ended: u64,
    /// In the order in which they were done.
    pub actions: Vec<Action>,
    /// What the client was told.
    pub outcome: Outcome,
}

/// What must not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phenomenon {
    /// An acknowledged append is not in the list's last read, which was started later.
    LostAppend,
    /// A value stands more than once in one read.
    DoubledAppend,
    /// A value that nobody put on this list.
    InventedValue,
    /// A refused append can be read (G1a).
    AbortedRead,
    /// An append acknowledged before another was started stands after it; or the appends of one
    /// transaction stand in another order.
    OutOfOrder,
    /// Two reads of one list, neither of which is a prefix of the other.
    IncompatibleReads,
    /// A read lacks what was read or acknowledged before it was started, and is there later.
    StaleRead,
    /// A cycle of writes over writes (G0).
    WriteCycle,
    /// A cycle of writes over writes and reads of writes (G1c).
    InformationCycle,
    /// A cycle in which a read is overwritten (G2).
    AntiDependencyCycle,
}

/// One phenomenon, where it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anomaly {
    /// Its name.
    pub phenomenon: Phenomenon,
    /// The list; of a cycle, the list of one of its edges.
    pub key: String,
    /// The value at fault, or the last one of the read at fault; of a cycle, when the transaction
    /// was started that the edge leads to.
    pub value: u64,
}

/// All anomalies that the level rules out.
pub fn check(operations: &[Operation], isolation: Isolation) -> Vec<Anomaly> {
    let histories = lists::of(operations);
    let mut anomalies: Vec<Anomaly> =
        histories.iter().flat_map(|(key, history)| lists::check(key, history)).collect();
    anomalies.extend(cycles::check(&histories, operations, isolation));
    anomalies
}

/// All that concerns one list.
#[derive(Debug, Default)]
struct History<'a> {
    /// By value.
    appends: BTreeMap<u64, Append<'a>>,
    /// Of acknowledged transactions only; the others may have been shown what never was.
    reads: Vec<Read<'a>>,
}

#[derive(Clone, Copy, Debug)]
struct Append<'a> {
    /// The operation's place in the history.
    by: usize,
    /// The action's place in the operation.
    at: usize,
    operation: &'a Operation,
}

#[derive(Clone, Copy, Debug)]
struct Read<'a> {
    by: usize,
    operation: &'a Operation,
    observed: &'a [u64],
}

impl<'a> History<'a> {
    /// The order of all appends as far as anybody has read it: the longest read.
    fn order(&self) -> &'a [u64] {
        self.reads.iter().map(|read| read.observed).max_by_key(|read| read.len()).unwrap_or(&[])
    }
}
