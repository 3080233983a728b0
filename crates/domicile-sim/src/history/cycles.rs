//! Cycles of dependencies between transactions, over all their lists.

use super::{Anomaly, History, Isolation, Operation, Outcome, Phenomenon};
use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Dependency {
    /// Appended behind the other's append (ww).
    Write,
    /// Read what the other appended (wr).
    Read,
    /// Appended what the other had not read (rw).
    Anti,
}

#[derive(Clone, Copy, Debug)]
struct Edge<'a> {
    from: usize,
    to: usize,
    dependency: Dependency,
    key: &'a str,
}

pub(super) fn check(
    histories: &BTreeMap<&str, History<'_>>,
    operations: &[Operation],
    isolation: Isolation,
) -> Vec<Anomaly> {
    let mut edges = Vec::new();
    for (key, history) in histories {
        collect(key, history, &mut edges);
    }
    let mut levels = vec![
        (Dependency::Write, Phenomenon::WriteCycle),
        (Dependency::Read, Phenomenon::InformationCycle),
    ];
    if isolation == Isolation::Serializable {
        levels.push((Dependency::Anti, Phenomenon::AntiDependencyCycle));
    }
    let mut anomalies = Vec::new();
    for (highest, phenomenon) in levels {
        let within: Vec<Edge<'_>> =
            edges.iter().filter(|edge| edge.dependency <= highest).copied().collect();
        let component = components(operations.len(), &within);
        let mut told = Vec::new();
        // Only cycles that need this kind of edge; the others have been told of before.
        for edge in within.iter().filter(|edge| edge.dependency == highest) {
            let its = component[edge.from];
            if its == component[edge.to] && !told.contains(&its) {
                told.push(its);
                let value = operations[edge.to].started;
                anomalies.push(Anomaly { phenomenon, key: edge.key.to_owned(), value });
            }
        }
    }
    anomalies
}

fn collect<'a>(key: &'a str, history: &History<'_>, edges: &mut Vec<Edge<'a>>) {
    let writer = |value: &u64| {
        let append = history.appends.get(value)?;
        (append.operation.outcome != Outcome::Refused).then_some(append.by)
    };
    let mut add = |from: Option<usize>, to: Option<usize>, dependency| {
        if let (Some(from), Some(to)) = (from, to)
            && from != to
        {
            edges.push(Edge { from, to, dependency, key });
        }
    };
    let order = history.order();
    for pair in order.windows(2) {
        add(writer(&pair[0]), writer(&pair[1]), Dependency::Write);
    }
    for read in &history.reads {
        // What others had written: the reader's own appends stand at the end of what it saw.
        let own = read.observed.iter().rev().take_while(|value| writer(value) == Some(read.by));
        let length = read.observed.len() - own.count();
        add(
            length.checked_sub(1).and_then(|at| writer(&read.observed[at])),
            Some(read.by),
            Dependency::Read,
        );
        add(Some(read.by), order.get(read.observed.len()).and_then(writer), Dependency::Anti);
    }
}

/// The strongly connected component of each node, after Kosaraju: two nodes have the same one when
/// each leads to the other.
fn components(nodes: usize, edges: &[Edge<'_>]) -> Vec<usize> {
    let (mut forward, mut back) = (vec![Vec::new(); nodes], vec![Vec::new(); nodes]);
    for edge in edges {
        forward[edge.from].push(edge.to);
        back[edge.to].push(edge.from);
    }
    let mut finished = Vec::with_capacity(nodes);
    let mut is_seen = vec![false; nodes];
    for root in 0..nodes {
        walk(root, &forward, &mut is_seen, &mut finished);
    }
    let mut component = vec![0; nodes];
    let mut is_seen = vec![false; nodes];
    for root in finished.into_iter().rev() {
        let mut members = Vec::new();
        walk(root, &back, &mut is_seen, &mut members);
        for member in members {
            component[member] = root;
        }
    }
    component
}

/// Visits what can be reached and was not seen yet; nodes are told when all behind them is done.
/// Without recursion, since a history is a chain of thousands.
fn walk(root: usize, edges: &[Vec<usize>], is_seen: &mut [bool], finished: &mut Vec<usize>) {
    if std::mem::replace(&mut is_seen[root], true) {
        return;
    }
    let mut stack = vec![(root, 0)];
    while let Some((node, next)) = stack.pop() {
        let Some(&to) = edges[node].get(next) else {
            finished.push(node);
            continue;
        };
        stack.push((node, next + 1));
        if !std::mem::replace(&mut is_seen[to], true) {
            stack.push((to, 0));
        }
    }
}
