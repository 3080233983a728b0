//! Data on stdout, talk on stderr.

use crate::exit::{Failure, Result};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};
use tracing_subscriber::EnvFilter;

/// Tells of what happens, on stderr: warnings, and more when asked.
pub(crate) fn start_logging(verbose: u8) {
    let usual = match verbose {
        0 => "warn",
        1 => "warn,domicile=info,domicile_mover=info,domicile_store=info",
        _ => "info,domicile=debug,domicile_mover=debug,domicile_store=debug",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(usual));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
}

/// Prints a command's result: JSON on one line, or text.
pub(crate) fn show<T: Serialize>(
    json: bool,
    report: &T,
    text: impl FnOnce(&T) -> String,
) -> Result<()> {
    let mut printed = if json { to_json(report)? } else { text(report) };
    if !printed.ends_with('\n') {
        printed.push('\n');
    }
    print(printed.as_bytes())
}

/// Prints data as it is.
pub(crate) fn print(data: &[u8]) -> Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(data).and_then(|()| stdout.flush()).map_err(closed)
}

/// One line of JSON.
pub(crate) fn to_json<T: Serialize>(report: &T) -> Result<String> {
    serde_json::to_string(report)
        .map_err(|error| Failure::internal("a report cannot be written as JSON").because(&error))
}

/// What a failing stdout is called.
pub(crate) fn closed(error: io::Error) -> Failure {
    Failure::failed("the output cannot be written").because(&error)
}

/// An error, on stderr.
pub(crate) fn tell(failure: &Failure) {
    // Nobody is left to tell when stderr is closed.
    let _ = writeln!(io::stderr().lock(), "{failure}");
}

/// One line of talk, on stderr.
pub(crate) fn say(text: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// A bar on the terminal; none when stderr is not one, or when asked to be quiet.
pub(crate) fn bar(quiet: bool) -> ProgressBar {
    let target = if quiet || !io::stderr().is_terminal() {
        ProgressDrawTarget::hidden()
    } else {
        ProgressDrawTarget::stderr()
    };
    let template = "{bar:30} {human_pos}/{human_len} people  {per_sec}  {eta} left  {msg}";
    let style = ProgressStyle::with_template(template).unwrap_or(ProgressStyle::default_bar());
    ProgressBar::with_draw_target(None, target).with_style(style)
}

/// Something of unknown length; shown while it lasts.
pub(crate) fn spinner(quiet: bool, what: &'static str) -> ProgressBar {
    let bar = bar(quiet).with_style(ProgressStyle::default_spinner()).with_message(what);
    if !bar.is_hidden() {
        bar.enable_steady_tick(std::time::Duration::from_millis(120));
    }
    bar
}

/// Lines of cells, each column as wide as its widest cell. A column of numbers, its heading left
/// aside, stands to the right.
pub(crate) fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let shapes: Vec<(usize, bool)> = (0..columns).map(|column| shape(rows, column)).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::from(" ");
        for (cell, (width, is_number)) in row.iter().zip(&shapes) {
            line.push_str(&if *is_number {
                format!(" {cell:>width$}")
            } else {
                format!(" {cell:<width$}")
            });
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// A column's width, and whether it holds numbers.
fn shape(rows: &[Vec<String>], column: usize) -> (usize, bool) {
    let cells = || rows.iter().filter_map(|row| row.get(column));
    let is_number = |cell: &String| {
        cell.is_empty()
            || (cell.starts_with(|c: char| c.is_ascii_digit())
                && cell.split_whitespace().count() <= 2)
    };
    let width = cells().map(|cell| cell.chars().count()).max().unwrap_or(0);
    let has_numbers = cells().skip(usize::from(rows.len() > 1)).any(|cell| !cell.is_empty());
    let below_heading = cells().skip(1).all(is_number);
    let heading_fits = rows.len() > 2 || cells().all(is_number);
    (width, has_numbers && below_heading && heading_fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_to_the_right() {
        let rows = |rows: &[[&str; 3]]| -> Vec<Vec<String>> {
            rows.iter().map(|row| row.iter().map(ToString::to_string).collect()).collect()
        };
        let numbers = [["site", "rows", "x"], ["iad1", "7", "x"], ["b", "1,234", ""]];
        assert_eq!(aligned(&rows(&numbers)), "  site  rows x\n  iad1     7 x\n  b    1,234\n");
        let mixed = [["subject", "2", ""], ["home", "dub1", ""]];
        assert_eq!(aligned(&rows(&mixed)), "  subject 2\n  home    dub1\n");
    }
}
