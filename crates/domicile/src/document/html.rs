//! Blocks as one HTML page: no scripts, nothing loaded, light and dark, readable on a phone and in
//! print.

use super::{Block, Document, graph};

const STYLE: &str = include_str!("document.css");

pub(super) fn page(document: &Document) -> String {
    let title = escaped(&document.title);
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n\
         <dl>\n"
    );
    for (name, value) in &document.head {
        let class = if value.len() > 40 { " class=\"long\"" } else { "" };
        out.push_str(&format!(
            "<div{class}><dt>{}</dt><dd>{}</dd></div>\n",
            escaped(name),
            escaped(value)
        ));
    }
    out.push_str("</dl>\n");
    for block in &document.blocks {
        out.push_str(&html(block));
    }
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

fn html(block: &Block) -> String {
    match block {
        Block::Heading(title) => format!("<h2>{}</h2>\n", escaped(title)),
        Block::Text(text) => format!("<p>{}</p>\n", escaped(text)),
        Block::List(items) => {
            let items: String =
                items.iter().map(|item| format!("<li>{}</li>\n", escaped(item))).collect();
            format!("<ul>\n{items}</ul>\n")
        }
        Block::Table(heading, rows) => table(heading, rows),
        Block::Code(lines) => format!("<pre>{}</pre>\n", escaped(&lines.join("\n"))),
        Block::Graph(graph) => {
            format!("<figure>\n{}</figure>\n", graph::svg(graph))
        }
        Block::Signatures(names) => {
            let rows: Vec<Vec<String>> =
                names.iter().map(|name| vec![name.clone(), String::new(), String::new()]).collect();
            let heading = ["Role", "Name and date", "Signature"].map(str::to_owned);
            format!("<section class=\"sign\">\n{}</section>\n", table(&heading, &rows))
        }
    }
}

fn table(heading: &[String], rows: &[Vec<String>]) -> String {
    let is_number = |cell: &String| {
        cell.starts_with(|c: char| c.is_ascii_digit())
            && cell.chars().all(|c| c.is_ascii_digit() || c == ',')
    };
    let columns = (0..heading.len())
        .map(|at| rows.iter().filter_map(|row| row.get(at)).all(is_number) && !rows.is_empty());
    let numbers: Vec<bool> = columns.collect();
    let line = |tag: &str, row: &[String]| -> String {
        let cells = row.iter().zip(&numbers).zip(heading).map(|((cell, is_number), title)| {
            let class = if *is_number { " class=\"n\"" } else { "" };
            // On a phone the cells stand below each other, each with its own heading.
            let title = match tag {
                "td" => format!(" data-h=\"{}\"", escaped(title)),
                _ => String::new(),
            };
            format!("<{tag}{class}{title}>{}</{tag}>", escaped(cell))
        });
        cells.collect()
    };
    let body: String = rows.iter().map(|row| format!("<tr>{}</tr>\n", line("td", row))).collect();
    format!(
        "<div class=\"wide\"><table>\n<thead><tr>{}</tr></thead>\n<tbody>\n{body}</tbody>\n</table></div>\n",
        line("th", heading)
    )
}

/// Plain text, in an element or an attribute.
pub(super) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for sign in text.chars() {
        match sign {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\n' => safe.push('\n'),
            sign if sign.is_control() => safe.push(' '),
            sign => safe.push(sign),
        }
    }
    safe
}
