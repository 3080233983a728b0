//! A first plan for a schema nobody here has seen: whose rows are whose, and why.
//!
//! [`look()`] reads a catalog and bounded samples; [`propose()`] is pure and makes decisions that can
//! stand, each with its reason. What is doubtful is decided the safe way and asked as a question;
//! what cannot be decided is left open, so that a plan refuses until somebody answers.

mod columns;
mod kinds;
mod look;
mod names;
mod owners;
mod questions;
mod residence;
mod subjects;
#[cfg(test)]
mod tests;
mod uniques;

use crate::error::Result;
use crate::people::ResidenceColumns;
use crate::plan::{Refusal, TableKind, TableRule, Wishes, outline};
use domicile_model::Category;
use domicile_store::{Catalog, Sample, TableName};
use jiff::civil::Date;
use serde::Serialize;
use std::collections::BTreeMap;

pub use look::look;

/// What was read of a database.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// What it says of itself.
    pub catalog: Catalog,
    /// Some rows of each table.
    pub samples: BTreeMap<TableName, Sample>,
    /// For columns that may name people without a foreign key: how many sampled values are keys of
    /// the subject table, and how many were looked up.
    pub known: BTreeMap<(TableName, String), (usize, usize)>,
    /// For foreign keys between owned rows: how many rows cross people; `None` where counting took
    /// too long.
    pub crossing: BTreeMap<(TableName, Vec<String>), Option<u64>>,
    /// What could not be read, each one sentence.
    pub notes: Vec<String>,
}

/// What the user says beforehand.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The subject table, where the user knows better than the ranking.
    pub subjects: Option<String>,
    /// The day whose law is applied when residences are counted.
    pub on: Date,
}

/// A proposal. JSON fields are extended, never renamed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Proposal {
    /// The engine and its version.
    pub server: String,
    /// What is unsure, the most urgent first.
    pub questions: Vec<Question>,
    /// The best candidates for the subject table, the chosen one first.
    pub candidates: Vec<Candidate>,
    /// How residence is read.
    pub residence: Residence,
    /// Every table that stands for itself, by name.
    pub tables: Vec<TableProposal>,
}

/// Something to be answered before the plan is signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Question {
    /// The place in the configuration: `subjects`, or a table's name.
    pub about: String,
    /// The question, with what was decided meanwhile.
    pub text: String,
    /// Whether a plan refuses until it is answered.
    pub blocking: bool,
}

/// A table that may be the one with one row per person.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Candidate {
    /// The table.
    pub table: String,
    /// Points; more is likelier.
    pub score: f64,
    /// What speaks for and against it.
    pub reasons: Vec<String>,
    #[serde(skip)]
    pub(crate) name: TableName,
}

/// How residence is read from the subject table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Residence {
    /// The column of ISO codes, if that is how.
    pub code: Option<String>,
    /// The columns of text, narrowest first, if that is how.
    pub text: Vec<String>,
    /// Of how many sampled people the residence could be told.
    pub answered: usize,
    /// How many people were sampled.
    pub sampled: usize,
    /// Sampled people by the first regime that applies to them; `unknown` for the rest.
    pub regimes: BTreeMap<String, usize>,
}

/// What is proposed for one table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TableProposal {
    /// The table.
    pub table: String,
    /// Its kind; none where that is left open.
    pub kind: Option<TableKind>,
    /// Whether the kind must be written because a plan would not find it by itself.
    pub kind_is_written: bool,
    /// Why.
    pub reasons: Vec<String>,
    /// The owner's columns, where they must be written.
    pub owner: Vec<String>,
    /// Edges to other people's rows, or to rows that do not move.
    pub soft: Vec<Accepted>,
    /// Unique constraints that hold at each site only.
    pub unique_per_site: Vec<Accepted>,
    /// What columns hold.
    pub categories: Vec<ColumnCategory>,
    /// Rows, estimated.
    pub rows: u64,
}

/// Something accepted by name, with the reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Accepted {
    /// Columns, or the one name of a constraint.
    pub names: Vec<String>,
    /// Why.
    pub reason: String,
}

/// What a column holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ColumnCategory {
    /// The column.
    pub column: String,
    /// Its category.
    pub category: Category,
    /// Why; holds no value.
    pub reason: String,
    /// Whether somebody should look.
    pub doubtful: bool,
}

impl Proposal {
    /// The proposal as what a user asks of a plan; none while residence is open.
    pub fn wishes(&self) -> Option<Wishes> {
        let wishes = self.wishes_so_far()?;
        Some(wishes).filter(|wishes| !wishes.residence.names().is_empty())
    }

    /// The same, with no residence columns where they are open.
    fn wishes_so_far(&self) -> Option<Wishes> {
        let residence = match &self.residence.code {
            Some(code) => ResidenceColumns::Code(code.clone()),
            None => ResidenceColumns::Text(self.residence.text.clone()),
        };
        let rules = self.tables.iter().map(|table| (table.table.clone(), table.rule()));
        let subjects = self.candidates.first()?.table.clone();
        Some(Wishes { subjects, residence, tables: rules.collect(), reference_site: None })
    }

    /// What is proposed for a table.
    pub fn table(&self, name: &str) -> Option<&TableProposal> {
        self.tables.iter().find(|table| table.table == name)
    }
}

impl TableProposal {
    fn rule(&self) -> TableRule {
        let names = |list: &[Accepted]| -> Vec<Vec<String>> {
            list.iter().map(|accepted| accepted.names.clone()).collect()
        };
        TableRule {
            kind: self.kind.filter(|_| self.kind_is_written),
            owner: self.owner.clone(),
            soft: names(&self.soft),
            unique_per_site: names(&self.unique_per_site).concat(),
            categories: self.categories.iter().map(|c| (c.column.clone(), c.category)).collect(),
        }
    }
}

/// What a plan would still refuse, apart from what is asked already: open tables, and foreign keys
/// that are listed as soft.
fn still_refused(look: &Look, proposal: &Proposal) -> Vec<Question> {
    let Some(wishes) = proposal.wishes_so_far() else { return Vec::new() };
    let refused = match outline(&look.catalog, &wishes) {
        Ok((_, refused)) => refused,
        Err(error) => {
            let hint = error.hint_text().unwrap_or_default();
            let text = format!("{error}; {hint}");
            return vec![Question { about: "subjects".to_owned(), text, blocking: true }];
        }
    };
    let is_new = |refusal: &&Refusal| {
        let Some(table) = proposal.table(&refusal.what) else { return true };
        let is_soft =
            |soft: &Accepted| refusal.why.starts_with(&format!("{} → ", soft.names.join(", ")));
        let is_open = |question: &Question| {
            question.blocking && refusal.why.contains(&format!(" → {}: ", question.about))
        };
        table.kind.is_some()
            && !table.soft.iter().any(is_soft)
            && !proposal.questions.iter().any(is_open)
    };
    let question = |refusal: &Refusal| Question {
        about: refusal.what.clone(),
        text: format!("a plan refuses it: {}. {}", refusal.why, refusal.hint),
        blocking: true,
    };
    refused.iter().filter(is_new).map(question).collect()
}

/// Proposes a plan. Errors are for what leaves nothing to propose: no tables, an unknown subject
/// table.
pub fn propose(look: &Look, asked: &Asked) -> Result<Proposal> {
    let candidates = subjects::rank(look, asked)?;
    let root = subjects::chosen(look, &candidates)?;
    let residence = residence::judge(look, root, asked.on);
    let owned = owners::find(look, root);
    let kinds = kinds::decide(look, root, &owned);
    let mut tables = Vec::new();
    for table in subjects::standing(&look.catalog) {
        let mut proposal = kinds.proposal(table);
        owners::write(look, root, &owned, &kinds, table, &mut proposal);
        proposal.categories = columns::categories(look, root, &kinds, table);
        uniques::accept(table, root, &owned, &mut proposal);
        tables.push(proposal);
    }
    let mut proposal = Proposal {
        server: look.catalog.server.clone(),
        questions: Vec::new(),
        candidates,
        residence,
        tables,
    };
    proposal.questions = questions::ask(look, root, &owned, &kinds, &proposal);
    proposal.questions.extend(still_refused(look, &proposal));
    proposal.questions.sort_by_key(|question| !question.blocking);
    Ok(proposal)
}
