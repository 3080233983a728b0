//! Prepared statements: what clients prepared, and what each server connection has of it.
//!
//! A client's statement is known by what was prepared, its text and its parameters' types, and has
//! one name of ours at every server. A connection that lacks it gets it before it is used; the
//! least used go when a connection has too many.

use crate::classify::{Statement, Unreadable};
use std::collections::HashMap;

/// So many statements a server connection keeps.
const KEPT_MAX: usize = 500;

/// A prepared statement. Equal texts with equal types are one.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// Its number; the name at servers is made of it.
    pub(crate) number: u64,
    /// The name that it has at every server.
    pub(crate) name: String,
    /// The text.
    pub(crate) text: String,
    /// The parameters' types, as they were sent.
    pub(crate) types: Vec<u8>,
    /// What it is about.
    pub(crate) read: Result<Vec<Statement>, Unreadable>,
}

impl Prepared {
    pub(crate) fn new(
        number: u64,
        text: &str,
        types: &[u8],
        read: Result<Vec<Statement>, Unreadable>,
    ) -> Prepared {
        Prepared { number, name: name(number), text: text.to_owned(), types: types.to_vec(), read }
    }
}

/// The name at servers of the statement of a number.
pub(crate) fn name(number: u64) -> String {
    format!("domicile_{number}")
}

/// What one server connection has prepared, and when each was last used.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    last_used: HashMap<u64, u64>,
    uses: u64,
}

impl Remembered {
    /// Notes that a statement is used. Says whether it is there already, and which one must go.
    pub(crate) fn make_use_of(&mut self, number: u64) -> (bool, Option<u64>) {
        self.uses += 1;
        let was_there = self.last_used.insert(number, self.uses).is_some();
        if was_there || self.last_used.len() <= KEPT_MAX {
            return (was_there, None);
        }
        let oldest =
            self.last_used.iter().min_by_key(|(_, used)| **used).map(|(number, _)| *number);
        if let Some(oldest) = oldest {
            self.last_used.remove(&oldest);
        }
        (false, oldest)
    }

    /// Notes that a statement is not there, whatever was said.
    pub(crate) fn forget(&mut self, number: u64) {
        self.last_used.remove(&number);
    }
}
