//! The sections about sites: who lives there, who can compel whom, and how long it may take.

use super::{Block, bytes, count, heading, table, text};
use domicile_mover::plan::{MOVE_PER_READ, Plan, PlannedSite};
use indicatif::HumanBytes;

pub(super) fn people(plan: &Plan, blocks: &mut Vec<Block>) {
    heading(blocks, "People and their homes");
    let rows = plan.sites.iter().map(|site| {
        let home = plan.subjects.by_site.get(&site.site).copied().unwrap_or(0);
        vec![site.site.clone(), count(site.people), count(site.leaving), count(home)]
    });
    table(
        blocks,
        &["Site", "People there now", "Of these would leave", "People at home there"],
        rows.collect(),
    );
    if plan.subjects.unknown_residence > 0 {
        text(
            blocks,
            format!("{} are of unknown residence.", count(plan.subjects.unknown_residence)),
        );
    }
    if plan.subjects.without_home > 0 {
        text(
            blocks,
            format!(
                "No rule gives {} of them a home; they stay where they are.",
                count(plan.subjects.without_home)
            ),
        );
    }
}

pub(super) fn operators(plan: &Plan, blocks: &mut Vec<Block>) {
    heading(blocks, "Who can compel each site's operator");
    let rows = plan.sites.iter().map(|site| {
        let operator = match &site.operator {
            Some(operator) if operator.third_party => format!("{} (third party)", operator.name),
            Some(operator) => operator.name.clone(),
            None => "not said".to_owned(),
        };
        let territory = |t: Option<domicile_model::territory::Territory>| {
            t.map_or_else(|| "not known".to_owned(), |t| format!("{} ({t})", t.name()))
        };
        vec![site.site.clone(), territory(site.territory), operator, territory(site.control)]
    });
    table(
        blocks,
        &["Site", "Stands in", "Run by", "Can be compelled by the law of"],
        rows.collect(),
    );
    text(blocks, "This is what the configuration says; nothing here measures it.");
}

pub(super) fn sizes(plan: &Plan, blocks: &mut Vec<Block>) {
    heading(blocks, "Sizes and expected duration");
    let rows = plan.sites.iter().map(|site| {
        let (reading, moving) = match &site.estimate {
            Some(found) => (duration(found.reading_seconds), duration(found.move_seconds)),
            None if site.leaving == 0 => ("nobody leaves".to_owned(), "nobody leaves".to_owned()),
            None => ("not measured".to_owned(), "not measured".to_owned()),
        };
        vec![
            site.site.clone(),
            site.server.clone(),
            count(site.rows),
            bytes(site.bytes),
            reading,
            moving,
        ]
    });
    table(
        blocks,
        &[
            "Site",
            "Database",
            "Rows of people",
            "Size",
            "Reading what leaves",
            "The whole move, one lane",
        ],
        rows.collect(),
    );
    let measured = plan.sites.iter().filter_map(how_measured);
    text(
        blocks,
        "The durations are estimates, not promises. A sample of rows was read at each site that \
         people leave, the way rows are read for a move, and forgotten; what leaves is taken by the \
         share of people who do. How long a move takes also depends on the target, the distance, \
         and what the application does meanwhile.",
    );
    blocks.push(Block::List(measured.collect()));
}

fn how_measured(site: &PlannedSite) -> Option<String> {
    let found = site.estimate.as_ref()?;
    let rate = |of: u64| {
        #[expect(clippy::cast_precision_loss, reason = "a rate for people to read")]
        let rate = of as f64 / found.sample_seconds;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "cut at 0 first"
        )]
        let rate = rate.max(0.0) as u64;
        rate
    };
    Some(format!(
        "{}: {} rows ({}) read in {:.3} s, which is {} rows and {} a second; {} rows leave, and \
         their whole move is taken as {} times their reading",
        site.site,
        count(found.sample_rows),
        HumanBytes(found.sample_bytes),
        found.sample_seconds,
        count(rate(found.sample_rows)),
        HumanBytes(rate(found.sample_bytes)),
        count(found.rows),
        MOVE_PER_READ,
    ))
}

fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 1.0 => "under a second".to_owned(),
        s if s < 120.0 => format!("about {s:.0} s"),
        s if s < 7200.0 => format!("about {:.0} min", s / 60.0),
        s => format!("about {:.1} h", s / 3600.0),
    }
}
