//! `domicile residence`: text lines in, JSON lines out. Needs no configuration.

use crate::ambient;
use crate::cli::ResidenceArgs;
use crate::exit::{Exit, Failure, Result};
use crate::screen;
use domicile_model::residence::{self, Residence};
use jiff::civil::Date;
use serde::Serialize;
use serde_json::{Value, json};
use std::io::{self, BufRead as _, BufWriter, Write as _};

#[derive(Serialize)]
struct Line<'a> {
    input: &'a str,
    #[serde(flatten)]
    residence: Residence,
}

/// Answers each line of stdin with one line, in order; a line that is no text is answered too.
pub(crate) fn run(args: &ResidenceArgs) -> Result<Exit> {
    let on = args.on.unwrap_or_else(ambient::today);
    let mut input = io::stdin().lock();
    let mut output = BufWriter::new(io::stdout().lock());
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = input
            .read_until(b'\n', &mut line)
            .map_err(|error| Failure::failed("the input cannot be read").because(&error))?;
        if read == 0 {
            break;
        }
        let bare = line.strip_suffix(b"\n").unwrap_or(&line);
        let bare = bare.strip_suffix(b"\r").unwrap_or(bare);
        writeln!(output, "{}", answer(bare, on)?).map_err(screen::closed)?;
    }
    output.flush().map_err(screen::closed)?;
    Ok(Exit::Ok)
}

fn answer(line: &[u8], on: Date) -> Result<String> {
    match std::str::from_utf8(line) {
        Ok(text) => screen::to_json(&Line { input: text, residence: read(text, on) }),
        Err(_) => screen::to_json(&not_text(line)),
    }
}

/// Segments are separated by commas, the widest last, as columns are in a database. A formal name
/// with a comma of its own ("Korea, Republic of") stays whole.
fn read(text: &str, on: Date) -> Residence {
    let whole = residence::from_text([Some(text)], on);
    let is_one_name = whole.evidence.first().is_some_and(|found| found.segment.contains(','));
    if is_one_name { whole } else { residence::from_text(text.split(',').map(Some), on) }
}

fn not_text(line: &[u8]) -> Value {
    let readable = String::from_utf8_lossy(line);
    json!({
        "input": readable,
        "territory": null,
        "regimes": [],
        "confidence": 0.0,
        "evidence": [],
        "conflicts": [{ "kind": "not_utf8", "segment": readable, "names": null }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn territory(line: &[u8]) -> Value {
        let line = answer(line, jiff::civil::date(2026, 1, 1)).unwrap();
        serde_json::from_str::<Value>(&line).unwrap()["territory"].clone()
    }

    #[test]
    fn the_last_segment_decides() {
        assert_eq!(territory(b"timmins, ontario, canada\""), "CA");
        assert_eq!(territory(b"AX"), "AX");
        assert_eq!(territory(b"Korea, Republic of"), "KR");
        assert_eq!(territory(b""), Value::Null);
    }

    #[test]
    fn what_is_no_text_is_answered() {
        let line = answer(b"K\xf8benhavn, danmark", jiff::civil::date(2026, 1, 1)).unwrap();
        let answer: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(answer["territory"], Value::Null);
        assert_eq!(answer["conflicts"][0]["kind"], "not_utf8");
        assert_eq!(answer["input"], "K\u{fffd}benhavn, danmark");
    }
}
