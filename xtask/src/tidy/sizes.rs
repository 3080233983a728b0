//! Files and functions stay short enough to be read; what is longer is listed with its reason.

use super::File;
use super::rust_text::{body_line_count, code_only, functions};

/// Lines before the unit tests.
const FILE_LINES_MAX: usize = 400;

const FUNCTION_LINES_MAX: usize = 70;

/// A file that may be longer, up to `lines_max`.
#[derive(Debug)]
pub(super) struct LongerFile {
    path: &'static str,
    lines_max: usize,
    reason: &'static str,
}

/// A function that may be longer, up to `lines_max`.
#[derive(Debug)]
pub(super) struct LongerFunction {
    path: &'static str,
    name: &'static str,
    lines_max: usize,
    reason: &'static str,
}

/// A ratchet: entries may shrink or go, and an entry that is no longer needed is a problem.
pub(super) const LONGER_FILES: &[LongerFile] = &[LongerFile {
    path: "crates/domicile-model/src/residence/names.rs",
    lines_max: 510,
    reason: "a data table: the names of territories",
}];

/// A ratchet, as above.
pub(super) const LONGER_FUNCTIONS: &[LongerFunction] = &[];

/// No file's body is longer than the limit or its entry.
pub(super) fn check_files(files: &[File], longer: &[LongerFile]) -> Vec<String> {
    let mut problems = Vec::new();
    for (lines, path) in bodies(files) {
        let entry = longer.iter().find(|entry| entry.path == path);
        let lines_max = entry.map_or(FILE_LINES_MAX, |entry| entry.lines_max);
        if lines > lines_max {
            problems.push(format!("{path}: {lines} lines before the tests, at most {lines_max}"));
        }
    }
    for entry in longer {
        let lines =
            bodies(files).find(|(_, path)| *path == entry.path).map_or(0, |(lines, _)| lines);
        if lines <= FILE_LINES_MAX {
            problems.push(format!("{}: no longer needs its entry: {}", entry.path, entry.reason));
        }
    }
    problems
}

/// No function is longer than the limit or its entry.
pub(super) fn check_functions(files: &[File], longer: &[LongerFunction]) -> Vec<String> {
    let mut problems = Vec::new();
    let mut needed = vec![false; longer.len()];
    for file in files.iter().filter(|file| is_product_code(&file.path)) {
        let code = code_only(&file.text);
        let body_lines = body_line_count(&code);
        for function in functions(&code).iter().filter(|function| function.line <= body_lines) {
            if function.line_count <= FUNCTION_LINES_MAX {
                continue;
            }
            let entry = longer.iter().position(|e| e.path == file.path && e.name == function.name);
            let lines_max = entry.map_or(FUNCTION_LINES_MAX, |at| longer[at].lines_max);
            if let Some(at) = entry {
                needed[at] = true;
            }
            if function.line_count > lines_max {
                problems.push(format!(
                    "{}:{}: `{}` has {} lines, at most {lines_max}",
                    file.path, function.line, function.name, function.line_count
                ));
            }
        }
    }
    for (entry, _) in longer.iter().zip(needed).filter(|(_, needed)| !needed) {
        problems.push(format!(
            "{}: `{}` no longer needs its entry: {}",
            entry.path, entry.name, entry.reason
        ));
    }
    problems
}

/// The longest bodies, the longest first.
pub(super) fn longest(files: &[File], count: usize) -> Vec<(usize, &str)> {
    let mut bodies: Vec<_> = bodies(files).collect();
    bodies.sort_unstable_by(|a, b| b.cmp(a));
    bodies.truncate(count);
    bodies
}

fn bodies(files: &[File]) -> impl Iterator<Item = (usize, &str)> {
    files
        .iter()
        .filter(|file| is_product_code(&file.path))
        .map(|file| (body_line_count(&code_only(&file.text)), file.path.as_str()))
}

/// Tests in files of their own may be long.
fn is_product_code(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let is_test = name == "tests.rs" || name.ends_with("_tests.rs") || path.contains("/tests/");
    path.ends_with(".rs") && !is_test
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    fn long_file(lines: usize) -> File {
        file("crates/a/src/b.rs", &"// a line\n".repeat(lines))
    }

    fn long_function(lines: usize) -> File {
        let body = "    call();\n".repeat(lines - 2);
        file("crates/a/src/b.rs", &format!("fn long() {{\n{body}}}\n"))
    }

    #[test]
    fn a_long_file_is_found() {
        assert_eq!(check_files(&[long_file(400)], &[]), [""; 0]);
        assert_eq!(
            check_files(&[long_file(401)], &[]),
            ["crates/a/src/b.rs: 401 lines before the tests, at most 400"]
        );
    }

    #[test]
    fn tests_do_not_count() {
        let text = format!("fn a() {{}}\n#[cfg(test)]\nmod tests {{\n{}}}\n", "\n".repeat(500));
        let sibling = file("crates/a/src/b/tests.rs", &"\n".repeat(500));
        assert_eq!(check_files(&[file("crates/a/src/b.rs", &text), sibling], &[]), [""; 0]);
    }

    #[test]
    fn an_entry_allows_so_many_lines_and_goes_when_it_is_not_needed() {
        let longer = [LongerFile { path: "crates/a/src/b.rs", lines_max: 500, reason: "a table" }];
        assert_eq!(check_files(&[long_file(500)], &longer), [""; 0]);
        assert_eq!(check_files(&[long_file(501)], &longer).len(), 1);
        assert_eq!(
            check_files(&[long_file(400)], &longer),
            ["crates/a/src/b.rs: no longer needs its entry: a table"]
        );
    }

    #[test]
    fn a_long_function_is_found_unless_listed() {
        assert_eq!(check_functions(&[long_function(70)], &[]), [""; 0]);
        assert_eq!(
            check_functions(&[long_function(71)], &[]),
            ["crates/a/src/b.rs:1: `long` has 71 lines, at most 70"]
        );
        let longer = [LongerFunction {
            path: "crates/a/src/b.rs",
            name: "long",
            lines_max: 80,
            reason: "one match",
        }];
        assert_eq!(check_functions(&[long_function(80)], &longer), [""; 0]);
        assert_eq!(check_functions(&[long_function(81)], &longer).len(), 1);
        assert_eq!(
            check_functions(&[long_function(70)], &longer),
            ["crates/a/src/b.rs: `long` no longer needs its entry: one match"]
        );
    }

    #[test]
    fn the_longest_come_first() {
        let files = [file("a.rs", "\n\n"), file("b.rs", "\n\n\n"), file("c.rs", "\n")];
        assert_eq!(longest(&files, 2), [(3, "b.rs"), (2, "a.rs")]);
    }
}
