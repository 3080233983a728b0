//! Functions of PostgreSQL's own that read no table and leave the session as it was.

/// One name a line, sorted.
const NAMES: &str = include_str!("functions.txt");

/// Whether every function of PostgreSQL's own of this name is one.
pub(super) fn reads_nothing(name: &str) -> bool {
    static SORTED: std::sync::LazyLock<Vec<&str>> =
        std::sync::LazyLock::new(|| NAMES.lines().collect());
    SORTED.binary_search(&name).is_ok()
}
