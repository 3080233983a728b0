//! `domicile plan`: what would move where, and everything refused. Changes nothing.

use crate::ambient;
use crate::cli::{Global, PlanArgs};
use crate::config::Config;
use crate::document::{Document, Head, document};
use crate::exit::{Exit, Failure, Result};
use crate::platform;
use crate::screen::{self, aligned};
use crate::sites;
use domicile_mover::plan::{Edge, Plan, PlannedTable, TableKind, measure, plan};
use indicatif::{HumanBytes, HumanCount};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

/// Prints the plan; fails when something is refused.
pub(crate) async fn run(global: &Global, args: &PlanArgs) -> Result<Exit> {
    let config = Config::read(&global.config)?;
    let (homes, refusals) = platform::homes(&config)?;
    let waiting = screen::spinner(global.quiet, "reading catalogs and people");
    let glance = sites::glance(&config).await?;
    let mut plan = plan(&glance.sites, &homes, &config.wishes, ambient::today()).await?;
    measure(&glance.sites, &mut plan, &ambient::clock()).await?;
    waiting.finish_and_clear();
    plan.refused.splice(0..0, refusals);
    glance.correct(&mut plan.warnings);
    if args.markdown.is_some() || args.html.is_some() {
        let head = Head {
            read_at: ambient::now(),
            law_of: ambient::today(),
            config: global.config.display().to_string(),
            digest: config.digest.clone(),
        };
        let document = document(&head, &plan);
        write_as(args.markdown.as_deref(), &document, Document::markdown)?;
        write_as(args.html.as_deref(), &document, Document::html)?;
    }
    screen::show(global.json, &plan, text)?;
    Ok(if plan.refused.is_empty() { Exit::Ok } else { Exit::Failed })
}

/// Writes the whole document or none of it.
fn write_as(
    path: Option<&Path>,
    document: &Document,
    form: impl FnOnce(&Document) -> String,
) -> Result<()> {
    let Some(path) = path else { return Ok(()) };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let text = form(document);
    let write = || {
        let mut file = tempfile::Builder::new()
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
            .tempfile_in(folder.unwrap_or(Path::new(".")))?;
        file.write_all(text.as_bytes())?;
        file.persist(path).map_err(|error| error.error)
    };
    let written = write().map_err(|error: std::io::Error| {
        Failure::failed(format!("the plan cannot be written to {}", path.display()))
            .hint("name a file in a folder that exists and is writable")
            .because(&error)
    });
    written.map(|_| screen::say(format!("wrote {}", path.display())))
}

fn text(plan: &Plan) -> String {
    let people = &plan.subjects;
    let mut text = format!(
        "{} of {} people would move, with about {} rows ({})\n",
        HumanCount(people.to_move),
        HumanCount(people.total),
        HumanCount(plan.rows_to_move),
        HumanBytes(plan.bytes_to_move),
    );
    if people.unknown_residence > 0 {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{} are of unknown residence", HumanCount(people.unknown_residence));
    }
    text.push_str("\nhome of\n");
    let homes = people.by_site.iter();
    text.push_str(&aligned(
        &homes
            .map(|(site, count)| vec![site.clone(), HumanCount(*count).to_string()])
            .collect::<Vec<_>>(),
    ));
    text.push_str("\ntables\n");
    text.push_str(&aligned(&plan.tables.iter().map(table_row).collect::<Vec<_>>()));
    if !plan.edges.is_empty() {
        text.push_str("\nedges that may cross people\n");
        text.push_str(&aligned(&plan.edges.iter().map(edge_row).collect::<Vec<_>>()));
    }
    if !plan.warnings.is_empty() {
        text.push_str("\nto know\n");
        for warning in &plan.warnings {
            let _ = writeln!(text, "  {warning}");
        }
    }
    if plan.refused.is_empty() {
        text.push_str("\nnothing is refused; go on with domicile prepare\n");
    } else {
        let _ = writeln!(text, "\nrefused: {}; nothing moves before", plan.refused.len());
        for refusal in &plan.refused {
            let _ = writeln!(text, "  {}: {}", refusal.what, refusal.why);
            let _ = writeln!(text, "    hint: {}", refusal.hint);
        }
    }
    text
}

fn table_row(table: &PlannedTable) -> Vec<String> {
    let kind = match table.kind {
        TableKind::Owned if table.owner.is_empty() => "one row per person".to_owned(),
        TableKind::Owned => format!("owned through {}", table.owner.join(", ")),
        TableKind::Shared => "shared".to_owned(),
        TableKind::Reference => "reference".to_owned(),
        TableKind::Internal => "internal".to_owned(),
    };
    let size = if table.bytes > 0 { HumanBytes(table.bytes).to_string() } else { String::new() };
    vec![table.table.clone(), kind, format!("{} rows", HumanCount(table.rows)), size]
}

fn edge_row(edge: &Edge) -> Vec<String> {
    let to = if edge.to.is_empty() { String::new() } else { format!("→ {}", edge.to) };
    let rule = match edge.crossing {
        0 => edge.rule.clone(),
        rows => format!("{} ({} rows cross now)", edge.rule, HumanCount(rows)),
    };
    vec![format!("{}.{}", edge.table, edge.columns.join("+")), to, rule]
}
