//! `cargo xtask docs`: the book and the workspace's documentation, with warnings as errors.

mod links;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::{run, tidy};

/// Checks the links of all Markdown files, then builds the book and the workspace's documentation.
pub(crate) fn run() -> Result<()> {
    let problems = links::check(&tidy::project_files(&run::top()?)?);
    for problem in &problems {
        eprintln!("docs: {problem}");
    }
    if !problems.is_empty() {
        bail!("the documentation has broken links");
    }
    // docs/book.toml puts it into target/book.
    let mdbook = mdbook().context("mdbook is missing\nhint: run `cargo xtask setup`")?;
    run::run(&mut run::command(mdbook, ["build", "docs"])?)?;
    let mut command = run::cargo(["doc", "--workspace", "--no-deps", "--document-private-items"])?;
    run::run(command.env("RUSTDOCFLAGS", "-D warnings"))
}

/// mdbook, also where cargo's programs are not among those that the shell finds.
pub(crate) fn mdbook() -> Option<PathBuf> {
    let home = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let cargo = home("CARGO_HOME").or_else(|| home("HOME").map(|home| home.join(".cargo")));
    let places = [Some(PathBuf::from("mdbook")), cargo.map(|cargo| cargo.join("bin/mdbook"))];
    let runs = |program: &Path| run::succeeds(program, &["--version"]);
    places.into_iter().flatten().find(|program| runs(program))
}
