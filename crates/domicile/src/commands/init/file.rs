//! Lines of TOML with comments that stay comments, whatever tables are called.

/// Lines of comment are at most this wide.
const WIDTH: usize = 96;

/// A file's text as it grows.
#[derive(Debug, Default)]
pub(super) struct File(String);

impl File {
    /// The text.
    pub(super) fn text(self) -> String {
        self.0
    }

    /// A line as it is.
    pub(super) fn line(&mut self, text: &str) {
        self.0.push_str(text);
        self.0.push('\n');
    }

    /// An empty line.
    pub(super) fn gap(&mut self) {
        self.line("");
    }

    /// A comment, broken into lines; those after the first stand further in.
    pub(super) fn comment(&mut self, first: &str, text: &str) {
        let indent: String = " ".repeat(first.chars().count());
        let mut line = format!("# {first}");
        let mut is_empty = true;
        for word in plain(text).split_whitespace() {
            if !is_empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
                self.line(line.trim_end());
                line = format!("# {indent}");
                is_empty = true;
            }
            if !is_empty {
                line.push(' ');
            }
            line.push_str(word);
            is_empty = false;
        }
        self.line(line.trim_end());
    }

    /// Lines with their reasons beside them, all at one place.
    pub(super) fn block(&mut self, lines: &[(String, String)]) {
        let width = lines.iter().map(|(line, _)| line.chars().count()).max().unwrap_or(0);
        for (line, reason) in lines {
            let padded = format!("{line:width$}");
            let is_wide = width + reason.chars().count() + 4 > WIDTH;
            self.reasoned(if is_wide { line } else { &padded }, reason);
        }
    }

    /// A line with its reason beside it, or above it where both are too long.
    pub(super) fn reasoned(&mut self, line: &str, reason: &str) {
        let reason = plain(reason);
        if line.chars().count() + reason.chars().count() + 4 <= WIDTH {
            self.line(&format!("{line}  # {reason}"));
        } else {
            let indent: String = line.chars().take_while(|letter| *letter == ' ').collect();
            let start = self.0.len();
            self.comment("", &reason);
            let comment = self.0.split_off(start);
            for part in comment.lines() {
                self.line(&format!("{indent}{part}"));
            }
            self.line(line);
        }
    }
}

/// Names of tables may hold anything; a comment must stay one.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

/// A string as TOML writes it.
pub(super) fn quoted(text: &str) -> String {
    // JSON's strings are TOML's basic strings, but for DEL, and stay on one line.
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

/// A key, quoted where it must be.
pub(super) fn key(name: &str) -> String {
    let is_bare = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
    if !name.is_empty() && name.chars().all(is_bare) { name.to_owned() } else { quoted(name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_their_place() {
        assert_eq!(key("user_id"), "user_id");
        for odd in ["a b", "x\"y'", "new\nline", "", "app.users", "naïve", "\u{7f}\0\\"] {
            let text = format!("{} = {}", key(odd), quoted(odd));
            let read: toml::Table = toml::from_str(&text).unwrap();
            assert_eq!(read[odd].as_str(), Some(odd));
        }
        let mut file = File::default();
        file.comment("  1. ", &format!("a\nb = 1 {}", "word ".repeat(40)));
        assert!(file.0.lines().all(|line| line.starts_with('#') && line.chars().count() <= WIDTH));
        file.reasoned("x = 1", "bad\nreason = 2");
        assert_eq!(toml::from_str::<toml::Table>(&file.0).unwrap().len(), 1);
    }
}
