//! Settings that decide what a text means.

use super::batch::Batch;
use super::{SUBJECT, Session, statements_of};
use crate::classify::{Command, Statement};
use crate::error::{Error, Kind, Result};

/// Settings that decide where statements belong.
const DECIDING: [&str; 2] = [SUBJECT, "search_path"];

impl Session {
    /// Settings under which texts would mean something else than what is read here.
    pub(super) fn refuse_settings(&self, batch: &Batch) -> Result<()> {
        let is_single = statements_of(batch).count() == 1 && batch.ends();
        for statement in statements_of(batch) {
            let Command::Set(set) = &statement.command else { continue };
            let decides = set.name.as_deref().is_none_or(|name| DECIDING.contains(&name));
            if decides && !is_single && statements_of(batch).any(is_query) {
                return Err(Error::new(
                    Kind::Client,
                    "a setting that decides where statements belong is set beside other statements",
                )
                .with_code("0A000")
                .hint("set it by a message of its own"));
            }
            if let (Some(name), Some(value)) = (&set.name, &set.value) {
                check_setting(name, value)?;
            }
        }
        Ok(())
    }

    /// The schemas in which the session looks for tables by now.
    pub(super) fn search_path(&self) -> Vec<String> {
        let own = match &self.transaction.search_path {
            Some(path) => path.as_deref(),
            None => self.settings.get("search_path"),
        };
        let shared = &self.worker.shared;
        let mut names = own.map_or_else(|| shared.search_path.clone(), names_in);
        for name in names.iter_mut().filter(|name| *name == "$user") {
            name.clone_from(&shared.users[self.user].name);
        }
        names
    }
}

/// The names in a list, quoted or not.
fn names_in(list: &str) -> Vec<String> {
    let mut names = vec![String::new()];
    let mut letters = list.chars().peekable();
    let mut is_quoted = false;
    while let Some(letter) = letters.next() {
        let Some(name) = names.last_mut() else { break };
        match letter {
            '"' if is_quoted && letters.peek() == Some(&'"') => name.extend(letters.next()),
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => names.push(String::new()),
            ' ' if !is_quoted => {}
            letter if is_quoted => name.push(letter),
            letter => name.extend(letter.to_lowercase()),
        }
    }
    names
}

fn is_query(statement: &Statement) -> bool {
    matches!(statement.command, Command::Query(_))
}

/// Refuses a setting under which texts would be read otherwise at a site than here.
pub(crate) fn check_setting(name: &str, value: &str) -> Result<()> {
    let is_fine = match name {
        "client_encoding" => is_utf8(value),
        "standard_conforming_strings" => matches!(&*value.to_lowercase(), "on" | "true" | "1"),
        _ => true,
    };
    if is_fine {
        return Ok(());
    }
    Err(Error::new(
        Kind::Client,
        format!("{name} cannot be {value} here: the router reads what is said"),
    )
    .with_code("0A000"))
}

/// Whether an encoding's name means UTF-8.
fn is_utf8(name: &str) -> bool {
    matches!(&*name.to_lowercase().replace(['-', '_'], ""), "utf8" | "unicode")
}
