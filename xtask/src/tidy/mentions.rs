//! ARCHITECTURE.md tells the way through the code by file names; a name that no longer exists
//! would send the reader astray.

use super::File;

/// A mention that begins so is a path even without a file's ending.
const TOP_DIRECTORIES: &[&str] = &["crates/", "xtask/", "docs/", "examples/", ".ci/", ".config/"];

const FILE_ENDINGS: &[&str] = &[".rs", ".toml", ".md", ".sql", ".sh"];

const DOCUMENT: &str = "ARCHITECTURE.md";

/// Every path in backticks exists: from the top, or as the end of a file's path.
pub(super) fn check(files: &[File]) -> Vec<String> {
    let Some(document) = files.iter().find(|file| file.path == DOCUMENT) else {
        return vec![format!("{DOCUMENT} does not exist")];
    };
    mentions(&document.text)
        .filter(|(_, path)| !exists(path, files))
        .map(|(line, path)| format!("{DOCUMENT}:{line}: `{path}` does not exist"))
        .collect()
}

/// The paths in backticks with their lines.
fn mentions(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().flat_map(|(at, line)| {
        // Every second piece between backticks is inside.
        let inside = line.split('`').skip(1).step_by(2);
        inside.map(without_line_number).filter(|word| is_path(word)).map(move |word| (at + 1, word))
    })
}

/// `file.rs:12` and `file.rs::name` speak of the file.
fn without_line_number(word: &str) -> &str {
    word.split_once(':').map_or(word, |(path, _)| path)
}

fn is_path(word: &str) -> bool {
    let plain = word.chars().all(|c| c.is_alphanumeric() || "._-/".contains(c));
    plain
        && (TOP_DIRECTORIES.iter().any(|top| word.starts_with(top))
            || FILE_ENDINGS
                .iter()
                .any(|ending| word.len() > ending.len() && word.ends_with(ending)))
}

fn exists(path: &str, files: &[File]) -> bool {
    let path = path.trim_end_matches('/');
    files.iter().any(|file| match file.path.strip_prefix(path) {
        // The file itself, or a directory above it.
        Some(rest) if rest.is_empty() || rest.starts_with('/') => true,
        _ => file.path.strip_suffix(path).is_some_and(|rest| rest.ends_with('/')),
    })
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        check(&[
            file("crates/store/src/postgres/copy.rs", ""),
            file("Cargo.toml", ""),
            file("ARCHITECTURE.md", text),
        ])
    }

    #[test]
    fn the_document_must_be_there() {
        assert_eq!(check(&[]), ["ARCHITECTURE.md does not exist"]);
    }

    #[test]
    fn names_that_exist_pass() {
        let text = "`crates/store/src/postgres/copy.rs`, `postgres/copy.rs:12`, `copy.rs`,\n\
                    `crates/store/`, `Cargo.toml`; `mover::plan`, `and/or`, `*.rs`, `fn a() {}`";
        assert_eq!(problems(text), [""; 0]);
    }

    #[test]
    fn names_that_do_not_exist_are_found_with_their_line() {
        assert_eq!(
            problems("first\n`crates/gone/` and `gres/copy.rs`, not gone.rs"),
            [
                "ARCHITECTURE.md:2: `crates/gone/` does not exist",
                "ARCHITECTURE.md:2: `gres/copy.rs` does not exist"
            ]
        );
    }
}
