//! `domicile init`: reads a database and writes a first configuration. Changes nothing else.

mod file;
mod render;

use crate::ambient;
use crate::cli::{Global, InitArgs};
use crate::config::{Address, has_password, read_address};
use crate::exit::{Exit, Failure, Result};
use crate::screen;
use domicile_model::category::column::percent;
use domicile_mover::plan::TableKind;
use domicile_mover::propose::{Asked, Proposal, look};
use domicile_store::Site;
use domicile_store::postgres::PostgresSite;
use domicile_store::sqlite::SqliteSite;
use indicatif::HumanCount;
use render::Origin;
use serde::Serialize;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Written instead of a file: standard output.
const STDOUT: &str = "-";

#[derive(Serialize)]
struct Report {
    /// The file; none where the text went to stdout.
    file: Option<PathBuf>,
    /// The site the database is called.
    site: String,
    #[serde(flatten)]
    proposal: Proposal,
}

/// Reads, proposes, and writes. A file that is there is left alone unless told otherwise.
pub(crate) async fn run(global: &Global, args: InitArgs) -> Result<Exit> {
    let out = args.out.clone().unwrap_or_else(|| global.config.clone());
    let to_stdout = out.as_os_str() == STDOUT;
    if !args.force && !to_stdout && out.exists() {
        return Err(Failure::usage(format!("{} is there already", out.display()))
            .hint("write elsewhere with --out FILE, or over it with --force"));
    }
    let place = "the database to read:";
    let address = read_address(&args.url, place, Path::new(""))?;
    let waiting = screen::spinner(global.quiet, "reading the catalog");
    let site = open(&args, &address).await?;
    let asked = Asked { subjects: args.subjects.clone(), on: ambient::today() };
    let shown = waiting.clone();
    let proposal = look(site.as_ref(), &asked, |what| shown.set_message(what.to_owned())).await?;
    waiting.finish_and_clear();
    let origin = Origin {
        site: args.site.clone(),
        territory: args.territory,
        url: written_url(&args, &address, &out),
        hides_url: has_password(&args.url),
        on: asked.on,
    };
    let text = render::toml(&proposal, &origin);
    if to_stdout {
        write!(std::io::stdout().lock(), "{text}").map_err(screen::closed)?;
        return Ok(Exit::Ok);
    }
    write_file(&out, &text, args.force)?;
    let site = args.site.to_string();
    let report = Report { file: Some(out), site, proposal };
    screen::show(global.json, &report, summary)?;
    Ok(Exit::Ok)
}

/// Opens the database for reading.
async fn open(args: &InitArgs, address: &Address) -> Result<Arc<dyn Site>> {
    let name = args.site.clone();
    Ok(match address {
        Address::Sqlite(path) => Arc::new(SqliteSite::open(name, path)?),
        Address::Postgres(url) => {
            Arc::new(PostgresSite::connect_to_read(name, url.expose()).await?)
        }
    })
}

/// The URL as the file has it: without a password, and a path seen from the file's folder.
fn written_url(args: &InitArgs, address: &Address, out: &Path) -> String {
    if has_password(&args.url) {
        return format!("${{{}}}", variable(args.site.as_str()));
    }
    let folder = out.parent().unwrap_or(Path::new(""));
    match address {
        Address::Sqlite(path) if path.is_relative() && folder != Path::new("") => {
            let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            format!("sqlite:{}", path.display())
        }
        _ => args.url.clone(),
    }
}

/// The variable that stands for a URL with a password.
fn variable(site: &str) -> String {
    format!("DOMICILE_{}_URL", site.to_ascii_uppercase().replace('-', "_"))
}

fn write_file(path: &Path, text: &str, force: bool) -> Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).truncate(true).create(force).create_new(!force);
    let written = options.open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| {
        Failure::failed(format!("{} cannot be written", path.display()))
            .hint("write elsewhere with --out FILE")
            .because(&error)
    })
}

fn summary(report: &Report) -> String {
    let proposal = &report.proposal;
    let mut text = String::new();
    let mut line = |words: String| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{words}");
    };
    if let Some(first) = proposal.candidates.first() {
        line(format!("{} has one row per person: {}", first.table, first.reasons.join(", ")));
    }
    let residence = &proposal.residence;
    let columns: Vec<&str> =
        residence.code.iter().chain(&residence.text).map(String::as_str).collect();
    line(if columns.is_empty() {
        "residence is open: no column says where people live".to_owned()
    } else {
        format!(
            "residence is read from {}, and told for {} of {} sampled people",
            columns.join(", "),
            percent(residence.answered, residence.sampled),
            HumanCount(u64::try_from(residence.sampled).unwrap_or(u64::MAX)),
        )
    });
    let count = |kind: Option<TableKind>| proposal.tables.iter().filter(|t| t.kind == kind).count();
    line(format!(
        "{} tables: {} owned, {}{} reference, {} internal, {} open",
        proposal.tables.len(),
        count(Some(TableKind::Owned)),
        match count(Some(TableKind::Shared)) {
            0 => String::new(),
            shared => format!("{shared} shared, "),
        },
        count(Some(TableKind::Reference)),
        count(Some(TableKind::Internal)),
        count(None),
    ));
    let columns: usize = proposal.tables.iter().map(|table| table.categories.len()).sum();
    line(format!("{columns} columns say something of a person"));
    let blocking = proposal.questions.iter().filter(|question| question.blocking).count();
    line(match proposal.questions.len() {
        0 => "no questions".to_owned(),
        1 => "\none question".to_owned(),
        many => format!("\n{many} questions, {blocking} of which a plan waits for"),
    });
    for question in &proposal.questions {
        let mark = if question.blocking { "!" } else { " " };
        line(format!("{mark} {}: {}", question.about, question.text));
    }
    if let Some(file) = &report.file {
        let file = file.display();
        line(format!("\nwrote {file}; add your other sites there, and go on with domicile plan"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_noticed_wherever_it_stands() {
        for url in ["postgres://me:pw@h/d", "postgres://h/d?user=me&password=pw"] {
            assert!(has_password(url), "{url}");
        }
        for url in ["postgres://me@h/d", "sqlite:a:b.db", "postgres://h:5432/d"] {
            assert!(!has_password(url), "{url}");
        }
        assert_eq!(variable("eu-west_1"), "DOMICILE_EU_WEST_1_URL");
    }
}
