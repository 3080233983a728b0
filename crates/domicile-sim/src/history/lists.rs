//! What can be said of one list alone.

use super::{Action, Anomaly, Append, History, Operation, Outcome, Phenomenon, Read};
use std::collections::{BTreeMap, BTreeSet};

/// Sorts actions by list.
pub(super) fn of(operations: &[Operation]) -> BTreeMap<&str, History<'_>> {
    let mut histories: BTreeMap<&str, History<'_>> = BTreeMap::new();
    for (by, operation) in operations.iter().enumerate() {
        for (at, action) in operation.actions.iter().enumerate() {
            match action {
                Action::Append { key, value } => {
                    let history = histories.entry(key).or_default();
                    history.appends.insert(*value, Append { by, at, operation });
                }
                Action::Read { key, observed } => {
                    if operation.outcome == Outcome::Acknowledged {
                        let history = histories.entry(key).or_default();
                        history.reads.push(Read { by, operation, observed });
                    }
                }
            }
        }
    }
    histories
}

pub(super) fn check(key: &str, history: &History<'_>) -> Vec<Anomaly> {
    let mut found: BTreeSet<(Phenomenon, u64)> = BTreeSet::new();
    find_lost(history, &mut found);
    find_values(history, &mut found);
    find_out_of_order(history, &mut found);
    find_incompatible(history, &mut found);
    find_stale(history, &mut found);
    let anomaly = |(phenomenon, value)| Anomaly { phenomenon, key: key.to_owned(), value };
    found.into_iter().map(anomaly).collect()
}

fn find_lost(history: &History<'_>, found: &mut BTreeSet<(Phenomenon, u64)>) {
    let Some(last) = history.reads.iter().max_by_key(|read| read.operation.started) else { return };
    let observed: BTreeSet<u64> = last.observed.iter().copied().collect();
    for (value, append) in &history.appends {
        let is_before = acknowledged_at(append).is_some_and(|end| end < last.operation.started);
        if is_before && !observed.contains(value) {
            found.insert((Phenomenon::LostAppend, *value));
        }
    }
}

/// Values that stand twice, were refused, or that nobody appended.
fn find_values(history: &History<'_>, found: &mut BTreeSet<(Phenomenon, u64)>) {
    for read in &history.reads {
        let mut seen = BTreeSet::new();
        for value in read.observed {
            if !seen.insert(value) {
                found.insert((Phenomenon::DoubledAppend, *value));
            }
            match history.appends.get(value) {
                None => drop(found.insert((Phenomenon::InventedValue, *value))),
                Some(append) if append.operation.outcome == Outcome::Refused => {
                    found.insert((Phenomenon::AbortedRead, *value));
                }
                Some(_) => {}
            }
        }
    }
}

fn find_out_of_order(history: &History<'_>, found: &mut BTreeSet<(Phenomenon, u64)>) {
    // From the back: the earliest acknowledgement of all that stands behind.
    let mut earliest = u64::MAX;
    let mut later_actions: BTreeMap<usize, usize> = BTreeMap::new();
    for value in history.order().iter().rev() {
        let Some(append) = history.appends.get(value) else { continue };
        let is_overtaken = earliest < append.operation.started;
        let later = later_actions.insert(append.by, append.at);
        if is_overtaken || later.is_some_and(|later| later < append.at) {
            found.insert((Phenomenon::OutOfOrder, *value));
        }
        earliest = earliest.min(acknowledged_at(append).unwrap_or(u64::MAX));
    }
}

fn find_incompatible(history: &History<'_>, found: &mut BTreeSet<(Phenomenon, u64)>) {
    let order = history.order();
    for read in history.reads.iter().filter(|read| !order.starts_with(read.observed)) {
        found.insert((Phenomenon::IncompatibleReads, last_of(read.observed)));
    }
}

fn find_stale(history: &History<'_>, found: &mut BTreeSet<(Phenomenon, u64)>) {
    // How long the list was known to be, and from when on.
    let mut known: Vec<(u64, usize)> = Vec::new();
    for read in &history.reads {
        known.push((read.operation.ended, read.observed.len()));
    }
    for (place, value) in history.order().iter().enumerate() {
        let append = history.appends.get(value);
        known.extend(append.and_then(acknowledged_at).map(|end| (end, place + 1)));
    }
    known.sort_unstable();
    let mut reads: Vec<&Read<'_>> = history.reads.iter().collect();
    reads.sort_unstable_by_key(|read| read.operation.started);
    let mut known = known.into_iter().peekable();
    let mut longest = 0;
    for read in reads {
        while let Some((_, length)) = known.next_if(|(end, _)| *end < read.operation.started) {
            longest = longest.max(length);
        }
        if read.observed.len() < longest {
            found.insert((Phenomenon::StaleRead, last_of(read.observed)));
        }
    }
}

fn acknowledged_at(append: &Append<'_>) -> Option<u64> {
    let operation = append.operation;
    (operation.outcome == Outcome::Acknowledged).then_some(operation.ended)
}

fn last_of(observed: &[u64]) -> u64 {
    observed.last().copied().unwrap_or(0)
}
