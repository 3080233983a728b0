//! Links between the project's Markdown files lead somewhere, on a code host and in the book.

use std::collections::BTreeSet;

use crate::tidy::File;

/// The book's pages, and their list.
const BOOK: &str = "docs/";
const SUMMARY: &str = "docs/SUMMARY.md";

/// Every relative link leads to a file of the project, and to a heading of it where it names one.
/// What the book links is in the book, and every page is in its list.
pub(super) fn check(files: &[File]) -> Vec<String> {
    let pages = || files.iter().filter(|file| file.path.ends_with(".md"));
    let mut problems = Vec::new();
    for page in pages() {
        for (line, target) in links(&page.text) {
            if let Some(problem) = problem_of(files, &page.path, target) {
                problems.push(format!("{}:{line}: {target}: {problem}", page.path));
            }
        }
    }
    let listed: BTreeSet<String> = pages()
        .filter(|page| page.path == SUMMARY)
        .flat_map(|page| links(&page.text))
        .filter_map(|(_, target)| resolve(SUMMARY, target))
        .collect();
    for page in pages().filter(|page| page.path.starts_with(BOOK) && page.path != SUMMARY) {
        if !listed.contains(&page.path) {
            problems.push(format!("{}: not in {SUMMARY}", page.path));
        }
    }
    problems
}

fn problem_of(files: &[File], from: &str, target: &str) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let path = if path.is_empty() { Some(from.to_owned()) } else { resolve(from, path) };
    let Some(path) = path else { return Some("outside the project".to_owned()) };
    if from.starts_with(BOOK) && !path.starts_with(BOOK) {
        return Some("outside the book, where the link would break; name the file".to_owned());
    }
    let folder = format!("{path}/");
    let Some(file) = files.iter().find(|file| file.path == path) else {
        let is_folder = files.iter().any(|file| file.path.starts_with(&folder));
        return (!is_folder || !anchor.is_empty()).then(|| "no such file".to_owned());
    };
    let is_there = anchor.is_empty() || anchors(&file.text).contains(anchor);
    (!is_there).then(|| format!("{path} has no such heading"))
}

/// The path from the top that a link means.
fn resolve(from: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The lines outside blocks of code, from 1.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut is_code = false;
    text.lines().enumerate().filter_map(move |(at, line)| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        (!is_code && !is_fence).then_some((at + 1, line))
    })
}

/// The targets of all links, with their lines. What stands in backticks is no link.
fn links(text: &str) -> impl Iterator<Item = (usize, &str)> {
    prose(text).flat_map(|(number, line)| {
        line.match_indices("](").filter_map(move |(at, mark)| {
            let is_quoted = line[..at].matches('`').count() % 2 == 1;
            let (target, _) = line[at + mark.len()..].split_once(')')?;
            (!is_quoted).then_some((number, target))
        })
    })
}

/// What headings are called in links, by code hosts and by the book alike.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (_, line) in prose(text) {
        let title = line.trim_start_matches('#');
        if title.len() == line.len() || !title.starts_with(' ') {
            continue;
        }
        let name: String = title.trim().chars().filter_map(in_anchor).collect();
        let mut unique = name.clone();
        let mut count = 0;
        while !found.insert(unique) {
            count += 1;
            unique = format!("{name}-{count}");
        }
    }
    found
}

fn in_anchor(c: char) -> Option<char> {
    match c {
        ' ' => Some('-'),
        '-' | '_' => Some(c),
        c if c.is_alphanumeric() => c.to_lowercase().next(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File { path: path.to_owned(), text: text.to_owned() }
    }

    fn problems(page: &str) -> Vec<String> {
        check(&[
            file("README.md", "see [a](docs/a.md#one-thing) and [the folder](docs)"),
            file("docs/SUMMARY.md", "- [A](a.md)\n- [B](b.md)\n"),
            file("docs/a.md", page),
            file("docs/b.md", "# The mover's `role`\n```\n# no heading\n```\n# Twice\n# Twice\n"),
        ])
    }

    #[test]
    fn links_that_lead_somewhere_pass() {
        let page = "# One thing\n[b](b.md) [c](b.md#the-movers-role) [d](#one-thing) \
                    [e](b.md#twice-1) [f](https://example.org/#x) `[g](gone.md)`\n\
                    ```\n[h](gone.md)\n```\n";
        assert_eq!(problems(page), [""; 0]);
    }

    #[test]
    fn broken_links_are_found_with_their_line() {
        let page =
            "# One thing\n\n[b](gone.md) [c](b.md#no-heading)\n[d](../README.md) [e](../../x)";
        assert_eq!(
            problems(page),
            [
                "docs/a.md:3: gone.md: no such file",
                "docs/a.md:3: b.md#no-heading: docs/b.md has no such heading",
                "docs/a.md:4: ../README.md: outside the book, where the link would break; name the file",
                "docs/a.md:4: ../../x: outside the project"
            ]
        );
    }

    #[test]
    fn a_page_that_the_list_lacks_is_found() {
        let files = [file("docs/SUMMARY.md", ""), file("docs/a.md", "")];
        assert_eq!(check(&files), ["docs/a.md: not in docs/SUMMARY.md"]);
    }
}
