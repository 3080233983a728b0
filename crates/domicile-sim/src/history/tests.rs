use super::*;
use proptest::prelude::*;
use proptest::sample::Index;

use Outcome::{Acknowledged, Refused, Unknown};

fn append(key: &str, value: u64) -> Action {
    Action::Append { key: key.to_owned(), value }
}

fn read(key: &str, observed: &[u64]) -> Action {
    Action::Read { key: key.to_owned(), observed: observed.to_vec() }
}

fn operation(started: u64, ended: u64, outcome: Outcome, actions: &[Action]) -> Operation {
    Operation { process: 0, started, ended, actions: actions.to_vec(), outcome }
}

/// An acknowledged one.
fn done(started: u64, ended: u64, actions: &[Action]) -> Operation {
    operation(started, ended, Acknowledged, actions)
}

fn found_at(isolation: Isolation, operations: &[Operation]) -> Vec<Phenomenon> {
    check(operations, isolation).into_iter().map(|anomaly| anomaly.phenomenon).collect()
}

fn found(operations: &[Operation]) -> Vec<Phenomenon> {
    found_at(Isolation::ReadCommitted, operations)
}

#[test]
fn an_acknowledged_append_that_is_not_in_the_last_read_is_lost() {
    let history = |outcome, read_at| {
        let last = done(read_at, 9, &[read("x", &[])]);
        found(&[operation(1, 3, outcome, &[append("x", 1)]), last])
    };
    assert_eq!(history(Acknowledged, 4), [Phenomenon::LostAppend]);
    assert_eq!(history(Unknown, 4), []);
    assert_eq!(history(Refused, 4), []);
    assert_eq!(history(Acknowledged, 2), [], "it may have been done after the read");
}

#[test]
fn an_append_that_stands_twice_is_doubled() {
    let history = |observed: &[u64]| {
        found(&[done(1, 2, &[append("x", 1)]), done(3, 4, &[read("x", observed)])])
    };
    assert_eq!(history(&[1, 1]), [Phenomenon::DoubledAppend]);
    assert_eq!(history(&[1]), []);
}

#[test]
fn a_refused_append_must_not_be_seen_and_an_unknown_one_may() {
    let history = |outcome| {
        let write = operation(1, 2, outcome, &[append("x", 1)]);
        found(&[write, done(3, 4, &[read("x", &[1])])])
    };
    assert_eq!(history(Refused), [Phenomenon::AbortedRead]);
    assert_eq!(history(Unknown), []);
}

#[test]
fn a_value_of_another_list_is_invented() {
    let history = |key: &str| {
        found(&[operation(1, 2, Unknown, &[append(key, 1)]), done(3, 4, &[read("x", &[1])])])
    };
    assert_eq!(history("y"), [Phenomenon::InventedValue]);
    assert_eq!(history("x"), []);
}

#[test]
fn an_append_acknowledged_before_another_was_started_stands_before_it() {
    let history = |second_started| {
        let second = done(second_started, 5, &[append("x", 2)]);
        found(&[done(1, 3, &[append("x", 1)]), second, done(6, 7, &[read("x", &[2, 1])])])
    };
    assert_eq!(history(4), [Phenomenon::OutOfOrder]);
    assert_eq!(history(2), [], "they ran at the same time");
}

#[test]
fn the_appends_of_one_transaction_keep_their_order() {
    let history = |observed: &[u64]| {
        let write = done(1, 2, &[append("x", 1), append("x", 2)]);
        found(&[write, done(3, 4, &[read("x", observed)])])
    };
    assert_eq!(history(&[2, 1]), [Phenomenon::OutOfOrder]);
    assert_eq!(history(&[1, 2]), []);
}

#[test]
fn of_two_reads_one_is_a_prefix_of_the_other() {
    let history = |observed: &[u64]| {
        let writes = [done(1, 9, &[append("x", 1)]), done(2, 9, &[append("x", 2)])];
        let reads = [done(3, 8, &[read("x", observed)]), done(4, 9, &[read("x", &[1, 2])])];
        found(&[writes, reads].concat())
    };
    assert_eq!(history(&[2]), [Phenomenon::IncompatibleReads]);
    assert_eq!(history(&[1]), []);
}

#[test]
fn a_later_read_is_not_shorter() {
    let history = |second_started| {
        let write = operation(1, 2, Unknown, &[append("x", 1)]);
        let first = done(3, 5, &[read("x", &[1])]);
        found(&[write, first, done(second_started, 7, &[read("x", &[])])])
    };
    assert_eq!(history(6), [Phenomenon::StaleRead]);
    assert_eq!(history(4), [], "the reads ran at the same time");
}

#[test]
fn a_read_shows_what_was_acknowledged_before_it_was_started() {
    let history = |read_at| {
        let write = done(1, 3, &[append("x", 1)]);
        found(&[write, done(read_at, 5, &[read("x", &[])]), done(6, 7, &[read("x", &[1])])])
    };
    assert_eq!(history(4), [Phenomenon::StaleRead]);
    assert_eq!(history(2), []);
}

#[test]
fn two_transactions_do_not_each_write_over_the_other() {
    let history = |y: &[u64]| {
        found(&[
            done(1, 4, &[append("x", 1), append("y", 1)]),
            done(2, 5, &[append("x", 2), append("y", 2)]),
            done(6, 7, &[read("x", &[1, 2]), read("y", y)]),
        ])
    };
    assert_eq!(history(&[2, 1]), [Phenomenon::WriteCycle]);
    assert_eq!(history(&[1, 2]), []);
}

#[test]
fn two_transactions_do_not_each_read_the_other() {
    let history = |y: &[u64]| {
        found(&[
            done(1, 4, &[append("x", 1), read("y", y)]),
            done(2, 5, &[read("x", &[1]), append("y", 2)]),
            done(6, 7, &[read("x", &[1]), read("y", &[2])]),
        ])
    };
    assert_eq!(history(&[2]), [Phenomenon::InformationCycle]);
    assert_eq!(history(&[]), []);
}

#[test]
fn write_skew_is_ruled_out_at_serializable_only() {
    let history = |x: &[u64]| {
        [
            done(1, 4, &[append("x", 1), read("y", &[])]),
            done(2, 5, &[read("x", x), append("y", 2)]),
            done(6, 7, &[read("x", &[1]), read("y", &[2])]),
        ]
    };
    let skewed = history(&[]);
    assert_eq!(found_at(Isolation::Serializable, &skewed), [Phenomenon::AntiDependencyCycle]);
    assert_eq!(found_at(Isolation::RepeatableRead, &skewed), []);
    assert_eq!(found_at(Isolation::ReadCommitted, &skewed), []);
    assert_eq!(found_at(Isolation::Serializable, &history(&[1])), []);
}

/// One transaction of a generated history: its lists, whether it appends to each, and how it ends.
type Draft = (Vec<(usize, bool)>, u8);

fn drafts() -> impl Strategy<Value = Vec<Draft>> {
    let actions = prop::collection::vec((0..3_usize, any::<bool>()), 1..4);
    prop::collection::vec((actions, 0..8_u8), 1..40)
}

/// Executes one after the other, and reads everything at the end.
fn serially(drafts: &[Draft]) -> Vec<Operation> {
    const KEYS: [&str; 3] = ["x", "y", "z"];
    let mut lists = [const { Vec::new() }; 3];
    let mut clock = 0;
    let mut tick = || {
        clock += 1;
        clock
    };
    let mut operations = Vec::new();
    for (draft, end) in drafts {
        let started = tick();
        let mut changed = lists.clone();
        let mut actions = Vec::new();
        for (key, is_append) in draft {
            if *is_append {
                let value = tick();
                changed[*key].push(value);
                actions.push(append(KEYS[*key], value));
            } else {
                actions.push(read(KEYS[*key], &changed[*key]));
            }
        }
        let (outcome, is_done) = match end {
            0 => (Refused, false),
            1 => (Unknown, false),
            2 => (Unknown, true),
            _ => (Acknowledged, true),
        };
        if is_done {
            lists = changed;
        }
        operations.push(operation(started, tick(), outcome, &actions));
    }
    let reads: Vec<Action> = KEYS.iter().zip(&lists).map(|(key, list)| read(key, list)).collect();
    operations.push(done(tick(), tick(), &reads));
    operations
}

/// The last reads, in which a mutation is made.
fn last_reads(operations: &mut [Operation]) -> Vec<&mut Vec<u64>> {
    let last = operations.last_mut().unwrap();
    let lists = last.actions.iter_mut().filter_map(|action| match action {
        Action::Read { observed, .. } => Some(observed),
        Action::Append { .. } => None,
    });
    lists.collect()
}

/// Acknowledged appends, as list and place in its last read, with at least so many behind them.
fn acknowledged(operations: &mut [Operation], behind: usize) -> Vec<(usize, usize)> {
    let mut values = Vec::new();
    for operation in operations.iter().filter(|operation| operation.outcome == Acknowledged) {
        for action in &operation.actions {
            if let Action::Append { value, .. } = action {
                values.push(*value);
            }
        }
    }
    let mut places = Vec::new();
    for (list, observed) in last_reads(operations).into_iter().enumerate() {
        for (place, value) in observed.iter().enumerate() {
            if values.contains(value) && place + behind < observed.len() {
                places.push((list, place));
            }
        }
    }
    places
}

proptest! {
    #[test]
    fn a_serial_history_shows_no_anomaly(drafts in drafts()) {
        prop_assert_eq!(check(&serially(&drafts), Isolation::Serializable), []);
    }

    #[test]
    fn an_append_dropped_doubled_or_swapped_is_found(
        drafts in drafts(),
        mutation in 0..3_usize,
        which in any::<Index>(),
    ) {
        let mut operations = serially(&drafts);
        let places = acknowledged(&mut operations, usize::from(mutation == 2));
        prop_assume!(!places.is_empty());
        let (list, place) = places[which.index(places.len())];
        let mut lists = last_reads(&mut operations);
        let observed = &mut lists[list];
        match mutation {
            0 => drop(observed.remove(place)),
            1 => observed.push(observed[place]),
            _ => observed.swap(place, place + 1),
        }
        let found = found(&operations);
        let expected = [Phenomenon::LostAppend, Phenomenon::DoubledAppend, Phenomenon::OutOfOrder];
        prop_assert!(found.contains(&expected[mutation]), "{found:?}");
    }
}
