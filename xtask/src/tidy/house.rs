//! Which crate may use which: ground, walls, rooms, doors, and the yard beside them.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, Metadata};

/// A crate of the house.
#[derive(Debug)]
pub(super) struct Crate {
    name: &'static str,
    layer: Layer,
    /// The crates of the house that it may use. For tests every crate may also use the yard's.
    may_use: &'static [&'static str],
    /// What must not be among its dependencies, nor among theirs.
    free_of: &'static [&'static str],
}

/// A crate may only use layers before its own; within the yard it may use the yard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Layer {
    Ground,
    Walls,
    Rooms,
    Doors,
    Yard,
}

/// Databases, sockets, the ambient clock and ambient randomness have no place in the ground.
const IMPURE: &[&str] = &["tokio", "rusqlite", "tokio-postgres", "rand", "rustls"];

/// A new crate gets one entry here.
pub(super) const HOUSE: &[Crate] = &[
    Crate { name: "domicile-model", layer: Layer::Ground, may_use: &[], free_of: IMPURE },
    Crate {
        name: "domicile-store",
        layer: Layer::Walls,
        may_use: &["domicile-model"],
        free_of: &[],
    },
    Crate {
        name: "domicile-mover",
        layer: Layer::Rooms,
        may_use: &["domicile-model", "domicile-store"],
        free_of: &[],
    },
    Crate {
        name: "domicile-router",
        layer: Layer::Rooms,
        may_use: &["domicile-model", "domicile-store"],
        free_of: &[],
    },
    Crate {
        name: "domicile",
        layer: Layer::Doors,
        may_use: &["domicile-model", "domicile-store", "domicile-mover", "domicile-router"],
        free_of: &[],
    },
    Crate { name: "domicile-sim", layer: Layer::Yard, may_use: &["domicile-model"], free_of: &[] },
    Crate { name: "domicile-testkit", layer: Layer::Yard, may_use: &[], free_of: &[] },
    Crate {
        name: "xtask",
        layer: Layer::Yard,
        may_use: &["domicile-model", "domicile-testkit"],
        free_of: &[],
    },
];

/// Who uses whom, of the whole dependency tree.
#[derive(Debug, Default)]
pub(super) struct Graph {
    /// The workspace's own crates.
    pub(super) members: BTreeSet<String>,
    /// By the name of the user; several versions of a package count as one.
    pub(super) edges: BTreeMap<String, Vec<Edge>>,
}

/// One dependency.
#[derive(Debug)]
pub(super) struct Edge {
    pub(super) to: String,
    /// Only for tests, examples and benchmarks.
    pub(super) dev: bool,
}

impl Graph {
    pub(super) fn from_metadata(metadata: &Metadata) -> Result<Self> {
        let mut graph = Self::default();
        let names: BTreeMap<_, _> = metadata
            .packages
            .iter()
            .map(|package| (&package.id, package.name.to_string()))
            .collect();
        let name = |id| names.get(id).cloned().with_context(|| format!("{id} has no package"));
        for id in &metadata.workspace_members {
            graph.members.insert(name(id)?);
        }
        let resolve = metadata.resolve.as_ref().context("cargo metadata resolved nothing")?;
        for node in &resolve.nodes {
            let edges = graph.edges.entry(name(&node.id)?).or_default();
            for used in &node.deps {
                let mut kinds = used.dep_kinds.iter();
                let dev = kinds.all(|info| info.kind == DependencyKind::Development);
                edges.push(Edge { to: name(&used.pkg)?, dev });
            }
        }
        Ok(graph)
    }

    fn edges_of(&self, name: &str) -> &[Edge] {
        self.edges.get(name).map_or(&[], Vec::as_slice)
    }

    /// Everything that the crate links, with the user through which it came.
    fn linked_by<'a>(&'a self, name: &'a str) -> BTreeMap<&'a str, &'a str> {
        let mut linked = BTreeMap::new();
        let mut waiting = vec![name];
        while let Some(user) = waiting.pop() {
            for edge in self.edges_of(user).iter().filter(|edge| !edge.dev) {
                if linked.insert(edge.to.as_str(), user).is_none() {
                    waiting.push(&edge.to);
                }
            }
        }
        linked
    }
}

/// Only the edges of the table exist, and the table itself only points downwards.
pub(super) fn check_edges(graph: &Graph, house: &[Crate]) -> Vec<String> {
    let mut problems = Vec::new();
    for entry in house {
        for used in entry.may_use {
            match house.iter().find(|other| other.name == *used) {
                Some(other) if points_down(entry.layer, other.layer) => {}
                Some(_) => problems.push(format!(
                    "the table lets {} use {used}, which is not below it",
                    entry.name
                )),
                None => {
                    problems.push(format!("the table lacks {used}, which {} may use", entry.name))
                }
            }
        }
        if !graph.members.contains(entry.name) {
            problems.push(format!("the table has {}, which does not exist", entry.name));
        }
    }
    for member in &graph.members {
        let Some(entry) = house.iter().find(|entry| entry.name == member) else {
            problems.push(format!("{member} has no place in the table of the house"));
            continue;
        };
        for edge in graph.edges_of(member).iter().filter(|edge| graph.members.contains(&edge.to)) {
            let yard = house.iter().any(|e| e.name == edge.to && e.layer == Layer::Yard);
            if !(entry.may_use.contains(&edge.to.as_str()) || edge.dev && yard) {
                problems.push(format!("{member} must not depend on {}", edge.to));
            }
        }
    }
    problems
}

fn points_down(user: Layer, used: Layer) -> bool {
    used < user || used == Layer::Yard && user == Layer::Yard
}

/// No crate links what it must be free of.
pub(super) fn check_purity(graph: &Graph, house: &[Crate]) -> Vec<String> {
    let mut problems = Vec::new();
    for entry in house {
        let linked = graph.linked_by(entry.name);
        for unwanted in entry.free_of {
            if let Some(user) = linked.get(unwanted) {
                problems.push(format!("{} must not link {unwanted}; {user} does", entry.name));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &[Crate] = &[
        Crate { name: "model", layer: Layer::Ground, may_use: &[], free_of: &["tokio"] },
        Crate { name: "mover", layer: Layer::Rooms, may_use: &["model"], free_of: &[] },
        Crate { name: "router", layer: Layer::Rooms, may_use: &["model"], free_of: &[] },
        Crate { name: "testkit", layer: Layer::Yard, may_use: &[], free_of: &[] },
    ];

    fn graph(edges: &[(&str, &str, bool)]) -> Graph {
        let members = SMALL.iter().map(|entry| entry.name.to_owned()).collect();
        let mut graph = Graph { members, edges: BTreeMap::new() };
        for (user, used, dev) in edges {
            let edge = Edge { to: (*used).to_owned(), dev: *dev };
            graph.edges.entry((*user).to_owned()).or_default().push(edge);
        }
        graph
    }

    #[test]
    fn allowed_edges_pass() {
        let graph = graph(&[
            ("mover", "model", false),
            ("router", "model", true),
            ("model", "testkit", true),
            ("model", "serde", false),
        ]);
        assert_eq!(check_edges(&graph, SMALL), [""; 0]);
    }

    #[test]
    fn a_room_must_not_import_a_room_even_for_tests() {
        for dev in [false, true] {
            let problems = check_edges(&graph(&[("mover", "router", dev)]), SMALL);
            assert_eq!(problems, ["mover must not depend on router"]);
        }
    }

    #[test]
    fn the_yard_is_for_tests_only() {
        let problems = check_edges(&graph(&[("mover", "testkit", false)]), SMALL);
        assert_eq!(problems, ["mover must not depend on testkit"]);
    }

    #[test]
    fn a_crate_without_an_entry_and_an_entry_without_a_crate_are_found() {
        let mut graph = graph(&[]);
        graph.members.remove("router");
        graph.members.insert("guard".to_owned());
        assert_eq!(
            check_edges(&graph, SMALL),
            [
                "the table has router, which does not exist",
                "guard has no place in the table of the house"
            ]
        );
    }

    #[test]
    fn the_table_itself_points_downwards() {
        let house = [
            Crate { name: "mover", layer: Layer::Rooms, may_use: &["router"], free_of: &[] },
            Crate { name: "router", layer: Layer::Rooms, may_use: &["gone"], free_of: &[] },
        ];
        let members = house.iter().map(|entry| entry.name.to_owned()).collect();
        let graph = Graph { members, edges: BTreeMap::new() };
        assert_eq!(
            check_edges(&graph, &house),
            [
                "the table lets mover use router, which is not below it",
                "the table lacks gone, which router may use"
            ]
        );
    }

    #[test]
    fn purity_is_lost_through_a_dependency_but_not_through_a_test() {
        let pure = graph(&[("model", "proptest", true), ("proptest", "tokio", false)]);
        assert_eq!(check_purity(&pure, SMALL), [""; 0]);
        let impure = graph(&[("model", "helper", false), ("helper", "tokio", false)]);
        assert_eq!(check_purity(&impure, SMALL), ["model must not link tokio; helper does"]);
    }
}
