//! The graph of ownership, and drawing it.
//!
//! Every owned table hangs from exactly one other, so what is drawn is a tree: one line for each
//! table, set in by a little for each step away from the subject table, which keeps sixty tables
//! readable and the page no wider than a phone. Edges that cross people run to the right of it.

use super::html::escaped;

/// Tables in the order in which they are drawn, each below what it hangs from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Graph {
    /// The tables.
    pub(super) nodes: Vec<Node>,
    /// Edges that may cross people, between tables drawn here.
    pub(super) links: Vec<Link>,
}

/// A table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) name: String,
    /// The place of the table it hangs from.
    pub(super) parent: Option<usize>,
    /// Steps from the subject table.
    pub(super) depth: usize,
    /// The columns by which it hangs.
    pub(super) edge: String,
    /// What stands below its name.
    pub(super) note: String,
}

/// An edge that may cross people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) label: String,
}

/// A table as it is found, before it has its place.
pub(super) struct Found {
    pub(super) name: String,
    /// The table it hangs from, by its place in the list.
    pub(super) parent: Option<usize>,
    pub(super) edge: String,
    pub(super) note: String,
}

impl Graph {
    /// Puts tables, parents before children, in the order of a tree.
    pub(super) fn new(found: Vec<Found>) -> Graph {
        let mut graph = Graph::default();
        let roots: Vec<usize> = (0..found.len()).filter(|at| found[*at].parent.is_none()).collect();
        let mut waiting: Vec<(usize, Option<usize>, usize)> =
            roots.into_iter().rev().map(|at| (at, None, 0)).collect();
        while let Some((at, parent, depth)) = waiting.pop() {
            let place = graph.nodes.len();
            graph.nodes.push(Node {
                name: found[at].name.clone(),
                parent,
                depth,
                edge: found[at].edge.clone(),
                note: found[at].note.clone(),
            });
            let children = (0..found.len()).rev().filter(|child| found[*child].parent == Some(at));
            waiting.extend(children.map(|child| (child, Some(place), depth + 1)));
        }
        graph
    }

    /// Adds an edge between two tables by name, if both are here.
    pub(super) fn link(&mut self, from: &str, to: &str, label: String) {
        let place = |name: &str| self.nodes.iter().position(|node| node.name == name);
        if let (Some(from), Some(to)) = (place(from), place(to)) {
            self.links.push(Link { from, to, label });
        }
    }
}

/// One line's height and one step's indentation, in pixels.
const LINE: usize = 46;
const STEP: usize = 34;
const BOX_WIDTH: usize = 204;
const BOX_HEIGHT: usize = 38;
/// How many edges that cross people run beside each other before they share a lane.
const LANES: usize = 12;
/// How many signs of a name fit into a box, and of the note below it.
const NAME_MAX: usize = 26;
const NOTE_MAX: usize = 34;

/// The drawing. Colours and fonts are the page's.
pub(super) fn svg(graph: &Graph) -> String {
    let depth = graph.nodes.iter().map(|node| node.depth).max().unwrap_or(0);
    // To the right of all boxes; no box stands between its own line and there.
    let right = 8 + depth * STEP + BOX_WIDTH;
    let lanes = 12 * graph.links.len().min(LANES);
    let (width, height) = (right + lanes + 16, graph.nodes.len() * LINE + 12);
    let mut out = format!(
        "<svg role=\"img\" aria-label=\"Which table hangs from which\" width=\"{width}\" \
         height=\"{height}\" viewBox=\"0 0 {width} {height}\">\n\
         <defs><marker id=\"tip\" markerWidth=\"7\" markerHeight=\"7\" refX=\"6\" refY=\"3.5\" \
         orient=\"auto\"><path class=\"cross\" d=\"M1 1 6 3.5 1 6\"/></marker></defs>\n"
    );
    let corner = |at: usize| (8 + graph.nodes[at].depth * STEP, 6 + at * LINE);
    for (at, node) in graph.nodes.iter().enumerate() {
        let Some(parent) = node.parent else { continue };
        let ((x, y), (px, py)) = (corner(at), corner(parent));
        let (down, middle) = (px + 14, y + BOX_HEIGHT / 2);
        out.push_str(&format!(
            "<path class=\"own\" d=\"M{down} {} V{middle} H{x}\"/>\n",
            py + BOX_HEIGHT
        ));
    }
    for (at, link) in graph.links.iter().enumerate() {
        let ((x, y), (tx, ty)) = (corner(link.from), corner(link.to));
        let (x, tx) = (x + BOX_WIDTH, tx + BOX_WIDTH);
        let (y, ty) = (y + BOX_HEIGHT / 2 + 5, ty + BOX_HEIGHT / 2 - 5);
        let lane = right + 10 + 12 * (at % LANES);
        out.push_str(&format!(
            "<path class=\"cross\" marker-end=\"url(#tip)\" d=\"M{x} {y} H{lane} V{ty} H{tx}\">\
             <title>{}</title></path>\n",
            escaped(&link.label)
        ));
    }
    for (at, node) in graph.nodes.iter().enumerate() {
        let (x, y) = corner(at);
        let class = if node.parent.is_none() { "box root" } else { "box" };
        let note = match node.edge.as_str() {
            "" => node.note.clone(),
            edge => format!("{edge} · {}", node.note),
        };
        out.push_str(&format!(
            "<g><title>{}</title><rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{BOX_WIDTH}\" \
             height=\"{BOX_HEIGHT}\" rx=\"4\"/><text x=\"{tx}\" y=\"{ny}\">{}</text>\
             <text class=\"note\" x=\"{tx}\" y=\"{by}\">{}</text></g>\n",
            escaped(&format!("{}: {note}", node.name)),
            escaped(&shortened(&node.name, NAME_MAX)),
            escaped(&shortened(&note, NOTE_MAX)),
            tx = x + 10,
            ny = y + 17,
            by = y + 32,
        ));
    }
    out.push_str("</svg>\n");
    out
}

fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most - 1).collect();
    format!("{kept}…")
}
