//! `domicile plan`: what would move where, and everything refused. Changes nothing.

use crate::ambient;
use crate::cli::Global;
use crate::config::Config;
use crate::exit::{Exit, Result};
use crate::platform;
use crate::screen::{self, aligned};
use crate::sites;
use domicile_mover::plan::{Edge, Plan, PlannedTable, TableKind, plan};
use indicatif::{HumanBytes, HumanCount};
use std::fmt::Write as _;

/// Prints the plan; fails when something is refused.
pub(crate) async fn run(global: &Global) -> Result<Exit> {
    let config = Config::read(&global.config)?;
    let (homes, refusals) = platform::homes(&config)?;
    let waiting = screen::spinner(global.quiet, "reading catalogs and people");
    let glance = sites::glance(&config).await?;
    let mut plan = plan(&glance.sites, &homes, &config.wishes, ambient::today()).await?;
    waiting.finish_and_clear();
    plan.refused.splice(0..0, refusals);
    glance.correct(&mut plan.warnings);
    screen::show(global.json, &plan, text)?;
    Ok(if plan.refused.is_empty() { Exit::Ok } else { Exit::Failed })
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
        TableKind::Reference => "reference".to_owned(),
        TableKind::Internal => "internal".to_owned(),
    };
    let size = if table.bytes > 0 { HumanBytes(table.bytes).to_string() } else { String::new() };
    vec![table.table.clone(), kind, format!("{} rows", HumanCount(table.rows)), size]
}

fn edge_row(edge: &Edge) -> Vec<String> {
    let to = if edge.to.is_empty() { String::new() } else { format!("→ {}", edge.to) };
    vec![format!("{}.{}", edge.table, edge.columns.join("+")), to, edge.rule.clone()]
}
