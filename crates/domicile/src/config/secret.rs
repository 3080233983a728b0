//! Text that is never printed.

use std::fmt;

/// A text with a secret in it, such as a URL with a password.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    /// Keeps a text from being printed.
    pub(crate) fn new(text: String) -> Self {
        Secret(text)
    }

    /// The text, for whoever must use it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_printed() {
        let secret = Secret::new("postgres://me:secret@h/d".to_owned());
        assert_eq!(format!("{secret:?}"), "Secret(…)");
    }
}
