//! What is unsure, in the order in which it should be answered.

use super::kinds::Kinds;
use super::owners::{self, Owned};
use super::{Accepted, Look, Proposal, Question, TableProposal, uniques};
use domicile_model::category::column::percent;
use domicile_store::catalog::Table;

/// Candidates whose points are this near to the best are asked about.
const NEAR: f64 = 12.0;
/// Below this share of told residences, in hundredths, the columns are asked about.
const ANSWERED_PERCENT_MIN: usize = 80;

/// All questions but those that only a plan can ask.
pub(super) fn ask(
    look: &Look,
    root: &Table,
    owned: &[Owned],
    kinds: &Kinds,
    proposal: &Proposal,
) -> Vec<Question> {
    let mut asked = Vec::new();
    ask_residence(proposal, root, &mut asked);
    ask_subject(proposal, &mut asked);
    for found in owned {
        ask_owner(look, root, found, &mut asked);
    }
    for table in &look.catalog.tables {
        if let Some((text, blocking)) = kinds.question(&table.name) {
            asked.push(question(table.name.to_string(), text, blocking));
        }
    }
    for table in &proposal.tables {
        ask_edges(look, table, &mut asked);
        ask_uniques(table, &mut asked);
        ask_categories(table, &mut asked);
    }
    for note in &look.notes {
        asked.push(question("database", note, false));
    }
    asked
}

fn question(about: impl Into<String>, text: impl Into<String>, blocking: bool) -> Question {
    Question { about: about.into(), text: text.into(), blocking }
}

fn ask_residence(proposal: &Proposal, root: &Table, asked: &mut Vec<Question>) {
    let residence = &proposal.residence;
    let table = root.name.to_string();
    if residence.code.is_none() && residence.text.is_empty() {
        asked.push(question(
            "subjects",
            format!(
                "where do people live? No column of {table} says it{}. Fill in residence below; if \
                 another table knows, add a column to {table} and fill it from there",
                positions(proposal, &table)
            ),
            true,
        ));
    } else if residence.sampled == 0 {
        let text =
            "are these the columns that say where people live? There are no rows to judge by";
        asked.push(question("subjects", text, false));
    } else if residence.answered * 100 < residence.sampled * ANSWERED_PERCENT_MIN {
        let share = percent(residence.answered, residence.sampled);
        asked.push(question(
            "subjects",
            format!(
                "is there a better source of residence? Only {share} of the sampled people's could \
                 be told; the others are held at the home of the unknown"
            ),
            false,
        ));
    }
}

/// Columns that hold where somebody is, but not as text that names a country.
fn positions(proposal: &Proposal, root: &str) -> String {
    let categories = proposal.table(root).map(|table| table.categories.as_slice());
    let places: Vec<&str> = categories
        .unwrap_or_default()
        .iter()
        .filter(|column| column.category.as_str().starts_with("user.location"))
        .map(|column| column.column.as_str())
        .collect();
    if places.is_empty() {
        return String::new();
    }
    format!(" as text or code; {} may, once you turn it into a country's code", places.join(", "))
}

fn ask_subject(proposal: &Proposal, asked: &mut Vec<Question>) {
    let [first, second, ..] = proposal.candidates.as_slice() else { return };
    if first.score - second.score < NEAR {
        asked.push(question(
            "subjects",
            format!(
                "is {} the table with one row per person, and not {}? To try the other: domicile \
                 init … --subjects {}",
                first.table, second.table, second.table
            ),
            false,
        ));
    }
}

fn ask_owner(look: &Look, root: &Table, found: &Owned, asked: &mut Vec<Question>) {
    let Some(way) = &found.way else { return };
    let columns = way.columns.join(", ");
    let rivals: Vec<String> = found.others.iter().map(|way| way.columns.join(", ")).collect();
    let name = found.name.to_string();
    if found.is_weak() {
        asked.push(question(
            name,
            format!(
                "do these rows belong to the person that {columns} names? It may only say who \
                 handled them; if the rows are the same for all, the table is reference and the \
                 foreign key must go"
            ),
            false,
        ));
    } else if !rivals.is_empty() {
        let others = rivals.join(" or ");
        let text = format!("does {columns} own the row, and not {others}?");
        asked.push(question(name, text, false));
    } else if !way.declared && way.known.is_some_and(|(_, of)| of == 0) {
        let text =
            format!("does {columns} hold keys of {}? There are no values to judge by", way.to);
        asked.push(question(name, text, false));
    }
    let Some(table) = look.catalog.table(&found.name) else { return };
    for other in owners::guesses(look, root, table).iter().filter(|way| !owners::is_believed(way)) {
        let text =
            format!("what does {} name? Only {}", other.columns.join(", "), owners::why(other));
        asked.push(question(found.name.to_string(), text, false));
    }
}

fn ask_edges(look: &Look, table: &TableProposal, asked: &mut Vec<Question>) {
    let keys = look.catalog.find(&table.table).map(|found| found.foreign_keys.as_slice());
    let is_declared =
        |soft: &&Accepted| keys.unwrap_or_default().iter().any(|key| key.columns == soft.names);
    let (declared, named): (Vec<&Accepted>, Vec<&Accepted>) =
        table.soft.iter().partition(|soft| is_declared(soft));
    for (soft, is_declared) in [(declared, true), (named, false)] {
        if soft.is_empty() {
            continue;
        }
        let columns: Vec<String> = soft.iter().map(|soft| soft.names.join("+")).collect();
        let drop = "; prepare --drop-crossing-keys drops the foreign key at every site";
        asked.push(question(
            &table.table,
            format!(
                "may {} name rows that are at another site? The value stays, and the application \
                 must look for the row there{}",
                columns.join(" and "),
                if is_declared { drop } else { "" }
            ),
            is_declared,
        ));
    }
}

fn ask_uniques(table: &TableProposal, asked: &mut Vec<Question>) {
    let names: Vec<String> = table
        .unique_per_site
        .iter()
        .filter(|unique| !unique.reason.starts_with(uniques::SAFE))
        .map(|unique| {
            let on = unique.reason.split(':').next().unwrap_or_default();
            format!("{} ({on})", unique.names.join(", "))
        })
        .collect();
    if !names.is_empty() {
        asked.push(question(
            &table.table,
            format!(
                "may {} hold at each site only? Two people at two sites can then have the same \
                 value, and nobody can move to a site where their value is taken",
                names.join(" and ")
            ),
            false,
        ));
    }
}

fn ask_categories(table: &TableProposal, asked: &mut Vec<Question>) {
    for column in table.categories.iter().filter(|column| column.doubtful) {
        asked.push(question(
            &table.table,
            format!("does {} hold {}? {}", column.column, column.category, column.reason),
            false,
        ));
    }
}
