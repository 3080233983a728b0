//! The transaction that a client is in.

use crate::classify;

/// The transaction that the client is in, as the client sees it.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    pub(super) is_open: bool,
    pub(super) has_failed: bool,
    /// What was said before it was known where the transaction belongs; it runs before the first
    /// statement that tells.
    pub(super) prelude: Vec<String>,
    /// The people of the transaction who are kept where they are.
    pub(super) stays: Vec<String>,
    /// Whether the client has been told of something that a site did in it.
    pub(super) has_answered: bool,
    /// Settings that hold from its commit on.
    pub(super) settings: Vec<(Option<String>, Option<String>)>,
    /// Whom its statements concern, where it says so itself, or that they concern nobody.
    pub(super) subject: Option<Option<String>>,
    /// Where it looks for tables, where it says so itself, or that it looks where others do.
    pub(super) search_path: Option<Option<String>>,
    /// The savepoints to which it can go back.
    pub(super) savepoints: Vec<Savepoint>,
}

/// What a transaction had set when a savepoint was made.
#[derive(Debug)]
pub(super) struct Savepoint {
    pub(super) name: String,
    pub(super) settings: usize,
    pub(super) subject: Option<Option<String>>,
    pub(super) search_path: Option<Option<String>>,
}

impl Transaction {
    /// Notes a savepoint, the end of one, or that what was set since is set back.
    pub(super) fn note_savepoint(&mut self, what: &classify::Transaction) {
        use classify::Transaction::{Release, RollbackTo, Savepoint as Make};
        let (Make(name) | Release(name) | RollbackTo(name)) = what else { return };
        if matches!(what, Make(_)) {
            self.savepoints.push(Savepoint {
                name: name.clone(),
                settings: self.settings.len(),
                subject: self.subject.clone(),
                search_path: self.search_path.clone(),
            });
            return;
        }
        let Some(at) = self.savepoints.iter().rposition(|made| made.name == *name) else { return };
        if matches!(what, Release(_)) {
            self.savepoints.truncate(at);
            return;
        }
        self.savepoints.truncate(at + 1);
        // What kept people where they are may be undone too.
        self.stays.clear();
        let made = &self.savepoints[at];
        self.settings.truncate(made.settings);
        self.subject.clone_from(&made.subject);
        self.search_path.clone_from(&made.search_path);
    }

    pub(super) fn status(&self) -> u8 {
        match (self.is_open, self.has_failed) {
            (false, _) => b'I',
            (true, false) => b'T',
            (true, true) => b'E',
        }
    }
}
