//! Blocks as Markdown.

use super::graph::Graph;
use super::{Block, Document};

pub(super) fn text(document: &Document) -> String {
    let mut out = format!("# {}\n\n", escaped(&document.title));
    let head: Vec<Vec<String>> =
        document.head.iter().map(|(name, value)| vec![name.clone(), value.clone()]).collect();
    table(&mut out, &["About".to_owned(), String::new()], &head);
    for block in &document.blocks {
        match block {
            Block::Heading(title) => out.push_str(&format!("## {}\n\n", escaped(title))),
            Block::Text(text) => out.push_str(&format!("{}\n\n", escaped(text))),
            Block::List(items) => {
                for item in items {
                    out.push_str(&format!("- {}\n", escaped(item)));
                }
                out.push('\n');
            }
            Block::Table(heading, rows) => table(&mut out, heading, rows),
            Block::Code(lines) => code(&mut out, lines),
            Block::Graph(graph) => tree(&mut out, graph),
            Block::Signatures(names) => {
                let rows: Vec<Vec<String>> = names
                    .iter()
                    .map(|name| vec![name.clone(), String::new(), String::new()])
                    .collect();
                table(&mut out, &["Role", "Name and date", "Signature"].map(str::to_owned), &rows);
            }
        }
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

fn table(out: &mut String, heading: &[String], rows: &[Vec<String>]) {
    let line = |cells: &[String]| {
        let cells: Vec<String> = cells.iter().map(|cell| escaped(cell)).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    out.push_str(&line(heading));
    out.push_str(&format!("|{}\n", "---|".repeat(heading.len())));
    for row in rows {
        out.push_str(&line(row));
    }
    out.push('\n');
}

/// A fence is longer than any run of its sign inside.
fn code(out: &mut String, lines: &[String]) {
    let text = lines.join("\n");
    let mut longest = 0;
    let mut run = 0;
    for sign in text.chars() {
        run = if sign == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence = "`".repeat(3.max(longest + 1));
    out.push_str(&format!("{fence}sql\n{text}\n{fence}\n\n"));
}

fn tree(out: &mut String, graph: &Graph) {
    for node in &graph.nodes {
        let indent = "  ".repeat(node.depth);
        let by = if node.edge.is_empty() { String::new() } else { format!(" by {}", node.edge) };
        out.push_str(&format!(
            "{indent}- {}\n",
            escaped(&format!("{}{by} ({})", node.name, node.note))
        ));
    }
    for link in &graph.links {
        let (from, to) = (&graph.nodes[link.from].name, &graph.nodes[link.to].name);
        out.push_str(&format!("- {}\n", escaped(&format!("{from} ⇢ {to}: {}", link.label))));
    }
    out.push('\n');
}

/// Plain text that Markdown and the HTML in it leave as it is: every sign of ASCII punctuation
/// that can begin markup is escaped, and a line stays a line.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for sign in text.chars() {
        match sign {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '#' | '|' | '~' | '!' | '$' => {
                safe.push('\\');
                safe.push(sign);
            }
            '@' => safe.push_str("&#64;"),
            sign if sign.is_control() => safe.push(' '),
            sign => safe.push(sign),
        }
    }
    // Bare addresses become links by themselves.
    let mut safe = safe.replace("://", "&#58;//").replace("www.", "www&#46;");
    // What would begin a list or a rule at the start of a line.
    if safe.starts_with(['-', '+', '=']) {
        safe.insert(0, '\\');
    }
    let digits = safe.chars().take_while(char::is_ascii_digit).count();
    let mark = safe[digits..].starts_with(['.', ')']);
    if digits > 0 && mark && safe[digits + 1..].chars().next().is_none_or(|c| c == ' ') {
        safe.insert(digits, '\\');
    }
    safe
}
