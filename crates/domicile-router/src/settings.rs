//! What a session has set, and what a server connection has set: a session must find its own
//! settings on whichever connection serves it, and nobody else's.

use std::collections::BTreeMap;

/// Settings that differ from those a connection began with, by name in small letters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settings(BTreeMap<String, String>);

impl Settings {
    /// Sets one, or sets it back.
    pub(crate) fn set(&mut self, name: &str, value: Option<&str>) {
        match value {
            Some(value) => {
                self.0.insert(name.to_owned(), value.to_owned());
            }
            None => {
                self.0.remove(name);
            }
        }
    }

    /// Sets everything back.
    pub(crate) fn reset(&mut self) {
        self.0.clear();
    }

    /// What one is set to.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The statements after which a connection with these settings has those of `wanted`; empty
    /// where it has them. `None` is a setting to be set back.
    pub(crate) fn changes<'a>(&'a self, wanted: &'a Settings) -> Vec<(&'a str, Option<&'a str>)> {
        let back = self.0.keys().filter(|name| !wanted.0.contains_key(*name));
        let back = back.map(|name| (name.as_str(), None));
        let set = wanted.0.iter().filter(|(name, value)| self.0.get(*name) != Some(value));
        back.chain(set.map(|(name, value)| (name.as_str(), Some(value.as_str())))).collect()
    }
}
