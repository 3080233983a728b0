//! Running other programs at the top of the workspace.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The top directory of the workspace.
pub(crate) fn top() -> Result<PathBuf> {
    // `cargo run` tells where the package is; without it the command was started at the top.
    match std::env::var_os("CARGO_MANIFEST_DIR") {
        Some(package) => Path::new(&package)
            .parent()
            .map(Path::to_path_buf)
            .context("the package xtask has no parent directory"),
        None => Ok(std::env::current_dir()?),
    }
}

/// A command at the top of the workspace, without standard input.
pub(crate) fn command(
    program: impl AsRef<OsStr>,
    arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
) -> Result<Command> {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(top()?).stdin(Stdio::null());
    // `cargo run` sets these for xtask itself. Build scripts that watch them would run again in
    // a cargo that inherits them.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    Ok(command)
}

/// A cargo command.
pub(crate) fn cargo(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<Command> {
    command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()), arguments)
}

/// Runs the command, its output going where ours goes; an error when it fails.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let line = line(command);
    eprintln!("$ {line}");
    let status = command.status().with_context(|| format!("cannot run `{line}`"))?;
    if !status.success() {
        bail!("`{line}` failed ({status})");
    }
    Ok(())
}

/// What the command prints; an error when it fails.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let line = line(command);
    let output = command.output().with_context(|| format!("cannot run `{line}`"))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        bail!("`{line}` failed ({}): {}", output.status, text.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether the command can be run and succeeds.
pub(crate) fn succeeds(program: impl AsRef<OsStr>, arguments: &[&str]) -> bool {
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// The command as a person would type it at the top.
fn line(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let top = command.get_current_dir().unwrap_or(Path::new(""));
    let program = match (program.strip_prefix(top), program.file_name()) {
        (Ok(inside), _) => inside.as_os_str(),
        (Err(_), Some(name)) => name,
        (Err(_), None) => program.as_os_str(),
    };
    let words = std::iter::once(program).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}
