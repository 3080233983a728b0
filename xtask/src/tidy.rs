//! `cargo xtask tidy`: the house's own rules, each one a function from what it looks at to the
//! problems that it found.

mod dependencies;
mod errors;
mod house;
mod mentions;
mod rust_text;
mod sizes;
mod traces;

use std::path::Path;

use anyhow::{Context, Result, bail};
use cargo_metadata::MetadataCommand;

use crate::run;

/// How many files `--sizes` prints.
const LONGEST_COUNT: usize = 10;

#[derive(Debug, Default, clap::Args)]
pub(crate) struct Arguments {
    /// Also print the ten longest files.
    #[arg(long)]
    sizes: bool,
}

/// A text file of the project: its path from the top, with `/`, and its text.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// Checks all rules and prints every problem found.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let top = run::top()?;
    let files = project_files(&top)?;
    let metadata = MetadataCommand::new().current_dir(&top).exec().context("cargo metadata")?;
    let graph = house::Graph::from_metadata(&metadata)?;
    let manifest = text_of(&files, "Cargo.toml")?;

    let problems = [
        house::check_edges(&graph, house::HOUSE),
        house::check_purity(&graph, house::HOUSE),
        sizes::check_files(&files, sizes::LONGER_FILES),
        sizes::check_functions(&files, sizes::LONGER_FUNCTIONS),
        mentions::check(&files),
        traces::check(&files),
        errors::check(&files),
        dependencies::check_locked(text_of(&files, "Cargo.lock")?, dependencies::LOCKED_MAX),
        dependencies::check_reasons(manifest, text_of(&files, "deny.toml")?)?,
        dependencies::check_origin(manifest, &graph)?,
    ]
    .concat();

    if arguments.sizes {
        for (lines, path) in sizes::longest(&files, LONGEST_COUNT) {
            println!("{lines:5}  {path}");
        }
    }
    for problem in &problems {
        eprintln!("tidy: {problem}");
    }
    match problems.len() {
        0 => Ok(()),
        1 => bail!("tidy found one problem"),
        count => bail!("tidy found {count} problems"),
    }
}

fn text_of<'a>(files: &'a [File], path: &str) -> Result<&'a str> {
    let file = files.iter().find(|file| file.path == path);
    Ok(&file.with_context(|| format!("{path} does not exist"))?.text)
}

/// The files that git tracks or would track; files that are no text are left out.
pub(crate) fn project_files(top: &Path) -> Result<Vec<File>> {
    let list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let paths = run::output(&mut run::command("git", list)?)?;
    let paths = paths.split('\0').filter(|path| !path.is_empty());
    let mut files = Vec::new();
    for path in paths {
        let file = top.join(path);
        // A file may be deleted and still be in the index.
        if !file.is_file() {
            continue;
        }
        let bytes = std::fs::read(&file).with_context(|| format!("reading {path}"))?;
        if let Ok(text) = String::from_utf8(bytes) {
            files.push(File { path: path.to_owned(), text });
        }
    }
    Ok(files)
}

#[cfg(test)]
fn file(path: &str, text: &str) -> File {
    File { path: path.to_owned(), text: text.to_owned() }
}
