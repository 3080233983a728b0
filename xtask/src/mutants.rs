//! `cargo xtask mutants`: takes each rule of the move out of the code and looks whether the test
//! that is named for it notices. It works on a copy of the checkout.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};
use domicile_testkit::TEST_SERVERS_ENV;
use serde::Deserialize;

use crate::{run, setup, test};

/// The list, seen from the top.
const LIST: &str = "xtask/mutants.toml";
/// What nextest answers when tests were run and one failed; anything else is no answer.
const TESTS_FAILED: i32 = 100;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only rules whose words contain this.
    filter: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    mutant: Vec<Mutant>,
}

/// One rule, and the change that takes it out.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mutant {
    rule: String,
    /// The rule's name in the model, and the property that fails there without it.
    model: Option<String>,
    property: Option<String>,
    file: PathBuf,
    find: String,
    replace: String,
    package: String,
    /// The program with the tests.
    binary: String,
    /// A part of the names of the tests that are run.
    test: String,
}

impl Mutant {
    /// The file's text without the rule.
    fn applied_to(&self, text: &str) -> Result<String> {
        let count = text.matches(&self.find).count();
        ensure!(
            count == 1,
            "{}: what `{}` replaces is there {count} times",
            self.file.display(),
            self.rule
        );
        Ok(text.replacen(&self.find, &self.replace, 1))
    }
}

/// Applies every mutant in its turn; an error when one is not noticed.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    setup::run()?;
    let top = run::top()?;
    let mut mutants = read(&top)?;
    if let Some(part) = &arguments.filter {
        mutants.retain(|mutant| mutant.rule.contains(part.as_str()));
    }
    ensure!(!mutants.is_empty(), "no rule is called so");
    let tree = top.join("target/mutants/tree");
    copy(&top, &tree)?;
    let clusters = test::start_clusters()?;
    let servers = test::server_list(&clusters);
    // Without this a test that always fails would notice everything.
    for mutant in &mutants {
        ensure!(
            try_test(&tree, mutant, &servers)?,
            "{} fails with every rule in place",
            mutant.test
        );
    }
    let mut survivors = 0;
    println!("| rule | in the model | property | test | outcome |\n|---|---|---|---|---|");
    for mutant in &mutants {
        let path = tree.join(&mutant.file);
        let whole = fs::read_to_string(&path)?;
        fs::write(&path, mutant.applied_to(&whole)?)?;
        let survived = try_test(&tree, mutant, &servers);
        fs::write(&path, &whole)?;
        let survived = survived?;
        survivors += u32::from(survived);
        println!(
            "| {} | {} | {} | `{}` | {} |",
            mutant.rule,
            mutant.model.as_deref().unwrap_or("not modelled"),
            mutant.property.as_deref().unwrap_or(""),
            mutant.test,
            if survived { "SURVIVED" } else { "caught" }
        );
    }
    if survivors > 0 {
        bail!("{survivors} of {} mutants are not noticed", mutants.len());
    }
    Ok(())
}

fn read(top: &Path) -> Result<Vec<Mutant>> {
    let text = fs::read_to_string(top.join(LIST)).context(LIST)?;
    let list: List = toml::from_str(&text).context(LIST)?;
    Ok(list.mutant)
}

/// Whether the mutant's tests pass in the copy as it is now.
fn try_test(tree: &Path, mutant: &Mutant, servers: &str) -> Result<bool> {
    let mut command = run::cargo(["nextest", "run", "--profile", "mutants"])?;
    command.args(["-p", &mutant.package, "--test", &mutant.binary, &mutant.test]);
    command
        .current_dir(tree)
        .env("CARGO_TARGET_DIR", tree.with_file_name("build"))
        .env("RUST_BACKTRACE", "0")
        .env(TEST_SERVERS_ENV, servers)
        .stdout(Stdio::null());
    let output = command.output()?;
    match output.status.code() {
        Some(0) => Ok(true),
        Some(TESTS_FAILED) => Ok(false),
        _ => bail!("`{}`: {}", mutant.rule, String::from_utf8_lossy(&output.stderr)),
    }
}

/// Copies what git knows of the checkout. Files that are the same already keep their times, so
/// that little is built again.
fn copy(top: &Path, tree: &Path) -> Result<()> {
    let names = run::output(&mut run::command("git", ["ls-files"])?)?;
    for name in names.lines() {
        let (from, to) = (top.join(name), tree.join(name));
        let Ok(text) = fs::read(&from) else { continue };
        if fs::read(&to).is_ok_and(|there| there == text) {
            continue;
        }
        if let Some(directory) = to.parent() {
            fs::create_dir_all(directory)?;
        }
        fs::write(&to, text)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mutant_still_fits_the_code() {
        let top = run::top().unwrap();
        for mutant in read(&top).unwrap() {
            let text = fs::read_to_string(top.join(&mutant.file)).unwrap();
            assert_ne!(mutant.applied_to(&text).unwrap(), text, "{}", mutant.rule);
        }
    }
}
