//! `cargo xtask docs`: the documentation, with warnings as errors.

use anyhow::Result;

use crate::run;

/// Builds the workspace's documentation.
pub(crate) fn run() -> Result<()> {
    let mut command = run::cargo(["doc", "--workspace", "--no-deps", "--document-private-items"])?;
    run::run(command.env("RUSTDOCFLAGS", "-D warnings"))
}
