//! What a session has set, and what a server connection has set: a session must find its own
//! settings on whichever connection serves it, and nobody else's.

use crate::error::{Error, Kind, Result};
use crate::session::check_setting;
use crate::wire::Startup;
use std::collections::BTreeMap;

/// Settings that differ from those a connection began with, by name in small letters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settings(BTreeMap<String, String>);

impl Settings {
    /// The settings that a client begins with.
    pub(crate) fn of_startup(startup: &Startup) -> Result<Settings> {
        let mut settings = Settings::default();
        for (name, value) in &startup.parameters {
            match name.to_ascii_lowercase().as_str() {
                "user" | "database" => {}
                "replication" if matches!(value.as_str(), "" | "false" | "off" | "no" | "0") => {}
                "replication" => {
                    return Err(Error::new(
                        Kind::Client,
                        "replication does not go through the router",
                    )
                    .with_code("0A000"));
                }
                "options" => options(value, &mut settings)?,
                name if name.starts_with("_pq_.") => {}
                name => settings.set(name, Some(value)),
            }
        }
        for name in ["client_encoding", "standard_conforming_strings"] {
            if let Some(value) = settings.get(name) {
                check_setting(name, value)?;
            }
        }
        Ok(settings)
    }

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

/// `-c name=value -c …`, spaces escaped by a backslash.
fn options(text: &str, settings: &mut Settings) -> Result<()> {
    let mut words = vec![String::new()];
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (letter, words.last_mut()) {
            ('\\', Some(word)) => word.extend(letters.next()),
            (' ', _) => words.push(String::new()),
            (letter, Some(word)) => word.push(letter),
            (_, None) => {}
        }
    }
    let mut words = words.into_iter().filter(|word| !word.is_empty());
    while let Some(word) = words.next() {
        let pair = match word.strip_prefix("--").or_else(|| word.strip_prefix("-c")) {
            Some("") => words.next(),
            Some(rest) => Some(rest.to_owned()),
            None => None,
        };
        let pair = pair.as_deref().and_then(|pair| pair.split_once('='));
        let Some((name, value)) = pair else {
            return Err(Error::new(Kind::Client, "the connection's options cannot be read")
                .with_code("42601")
                .hint("write them as -c name=value"));
        };
        settings.set(&name.to_ascii_lowercase().replace('-', "_"), Some(value));
    }
    Ok(())
}
