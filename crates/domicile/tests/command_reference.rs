//! docs/commands.md is what the program says of itself. To write it anew:
//! `DOMICILE_UPDATE_DOCS=1 cargo nextest run -p domicile --test command_reference`.

#[cfg(test)]
mod support;

use std::path::Path;
use support::{Ran, finish, program};
use tempfile::TempDir;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/commands.md");

const HEAD: &str = "\
# Command line

What `domicile help COMMAND` prints. This page is made from the program, and a test compares the two.
`domicile man` prints a manual page, `domicile completions SHELL` what a shell needs to complete the
command line.

";

fn run(arguments: &[&str]) -> Ran {
    let mut command = program();
    command.args(arguments);
    finish(command).ok()
}

/// The names in the list of commands, in its order, without clap's own.
fn commands(help: &str) -> Vec<&str> {
    let list = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names = list.take_while(|line| !line.is_empty()).filter(|line| !line.starts_with("   "));
    names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").collect()
}

fn section(name: &str, help: &str) -> String {
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    format!("## {name}\n\n```text\n{}\n```\n", lines.join("\n"))
}

#[test]
fn the_page_of_commands_is_what_the_program_says() {
    let help = run(&["--help"]).stdout;
    let mut sections = vec![section("domicile", &help)];
    for name in commands(&help) {
        sections.push(section(&format!("domicile {name}"), &run(&["help", name]).stdout));
    }
    assert!(sections.len() > 10, "no commands were found in {help}");
    let page = format!("{HEAD}{}", sections.join("\n"));
    if std::env::var_os("DOMICILE_UPDATE_DOCS").is_some() {
        std::fs::write(PAGE, &page).unwrap();
    }
    let written = std::fs::read_to_string(PAGE).unwrap();
    assert_eq!(written, page, "write it anew with DOMICILE_UPDATE_DOCS=1");
}

#[test]
fn every_command_has_a_manual_page() {
    let folder = TempDir::new().unwrap();
    let pages = folder.path().join("man");
    run(&["man", "--out", pages.to_str().unwrap()]);
    let help = run(&["--help"]).stdout;
    for name in commands(&help) {
        let page = pages.join(format!("domicile-{name}.1"));
        assert!(page.is_file(), "{} is missing", page.display());
    }
    let all = std::fs::read_to_string(pages.join("domicile.1")).unwrap();
    assert_eq!(all, run(&["man"]).stdout);
    assert!(all.contains("Exit codes"), "{all}");
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let mut command = program();
    command.args(["man", "--out"]).arg(Path::new(&file).join("man"));
    finish(command).failed_with(1, &["the pages cannot be written to"]);
}

#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = run(&["completions", shell]).stdout;
        assert!(script.contains("migrate") && script.contains("by-rule"), "{shell}: {script}");
    }
}
