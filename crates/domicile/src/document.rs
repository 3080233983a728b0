//! The plan as a document that people read, print and sign.
//!
//! [`sections`] says everything once, as blocks; [`html`] and [`markdown`] write blocks down, and
//! each escapes every text in one place.

mod graph;
mod html;
mod markdown;
mod sections;

#[cfg(test)]
mod tests;

pub(crate) use sections::{Head, document};

use graph::Graph;

/// A piece of a document.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Block {
    /// A section's title.
    Heading(String),
    /// Sentences.
    Text(String),
    /// Lines, each an item.
    List(Vec<String>),
    /// A heading row and rows of cells.
    Table(Vec<String>, Vec<Vec<String>>),
    /// Statements to run or lines to copy.
    Code(Vec<String>),
    /// Which table hangs from which.
    Graph(Graph),
    /// Lines for names, dates and signatures.
    Signatures(Vec<String>),
}

/// A whole document.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Document {
    /// Its title.
    pub(crate) title: String,
    /// What it is about and of when, as pairs.
    pub(crate) head: Vec<(String, String)>,
    /// The rest.
    pub(crate) blocks: Vec<Block>,
}

impl Document {
    /// One self-contained page, without scripts.
    pub(crate) fn html(&self) -> String {
        html::page(self)
    }

    /// GitHub-flavoured Markdown.
    pub(crate) fn markdown(&self) -> String {
        markdown::text(self)
    }
}
