//! What the document says, section by section.

mod places;

use super::graph::{Found, Graph};
use super::{Block, Document};
use domicile_mover::plan::{Edge, NUMBERED, Plan, TableKind};
use indicatif::{HumanBytes, HumanCount};
use jiff::Timestamp;
use jiff::civil::Date;

/// What the document is about, and of when.
pub(crate) struct Head {
    /// When the sites were read.
    pub(crate) read_at: Timestamp,
    /// The day whose law applies.
    pub(crate) law_of: Date,
    /// The configuration's file, as it was named.
    pub(crate) config: String,
    /// SHA-256 of that file.
    pub(crate) digest: String,
}

/// The whole document.
pub(crate) fn document(head: &Head, plan: &Plan) -> Document {
    let sites: Vec<&str> = plan.sites.iter().map(|site| site.site.as_str()).collect();
    let pair = |name: &str, value: String| (name.to_owned(), value);
    let mut blocks = Vec::new();
    summary(plan, &mut blocks);
    refused(plan, &mut blocks);
    places::people(plan, &mut blocks);
    places::operators(plan, &mut blocks);
    places::sizes(plan, &mut blocks);
    ownership(plan, &mut blocks);
    edges(plan, &mut blocks);
    shared(plan, &mut blocks);
    uniques(plan, &mut blocks);
    sequences(plan, &mut blocks);
    triggers(plan, &mut blocks);
    warnings(plan, &mut blocks);
    signatures(&mut blocks);
    Document {
        title: format!("Plan for {}", sites.join(", ")),
        head: vec![
            pair("Sites read", head.read_at.strftime("%Y-%m-%d %H:%M UTC").to_string()),
            pair("Law of", head.law_of.to_string()),
            pair("Configuration", head.config.clone()),
            pair("SHA-256 of the configuration", head.digest.clone()),
            pair("Made by", format!("domicile {}", env!("CARGO_PKG_VERSION"))),
        ],
        blocks,
    }
}

fn heading(blocks: &mut Vec<Block>, title: &str) {
    blocks.push(Block::Heading(title.to_owned()));
}

fn text(blocks: &mut Vec<Block>, text: impl Into<String>) {
    blocks.push(Block::Text(text.into()));
}

fn table(blocks: &mut Vec<Block>, heading: &[&str], rows: Vec<Vec<String>>) {
    blocks.push(Block::Table(heading.iter().map(ToString::to_string).collect(), rows));
}

fn count(number: u64) -> String {
    HumanCount(number).to_string()
}

fn bytes(number: u64) -> String {
    if number == 0 { "not known".to_owned() } else { HumanBytes(number).to_string() }
}

fn summary(plan: &Plan, blocks: &mut Vec<Block>) {
    let people = &plan.subjects;
    let moving = match people.to_move {
        0 => {
            format!("None of {} people would move.", count(people.total))
        }
        some => format!(
            "{} of {} people would move, with about {} rows ({}).",
            count(some),
            count(people.total),
            count(plan.rows_to_move),
            bytes(plan.bytes_to_move)
        ),
    };
    text(blocks, moving);
    let verdict = match plan.refused.len() {
        0 => "Nothing is refused.".to_owned(),
        1 => "One thing is refused. Nothing moves before it is answered.".to_owned(),
        many => format!("{many} things are refused. Nothing moves before they are answered."),
    };
    text(blocks, verdict);
}

fn refused(plan: &Plan, blocks: &mut Vec<Block>) {
    if plan.refused.is_empty() {
        return;
    }
    heading(blocks, "What is refused, and what to do");
    let rows = plan.refused.iter();
    let rows = rows.map(|r| vec![r.what.clone(), r.why.clone(), r.hint.clone()]).collect();
    table(blocks, &["What", "Why", "What to do"], rows);
}

fn ownership(plan: &Plan, blocks: &mut Vec<Block>) {
    heading(blocks, "What belongs to a person");
    if let Some(closure) = &plan.closure {
        let found = closure.owned.iter().map(|owned| {
            let name = owned.name.to_string();
            let rows = plan.tables.iter().find(|table| table.table == name).map_or(0, |t| t.rows);
            Found {
                parent: owned.parent.as_ref().map(|edge| edge.table),
                edge: owned.parent.as_ref().map_or_else(String::new, |e| e.columns.join(", ")),
                note: format!("{} rows", count(rows)),
                name,
            }
        });
        let mut graph = Graph::new(found.collect());
        for edge in plan.edges.iter().filter(|edge| !edge.rule.starts_with("owner:")) {
            graph.link(&edge.table, &edge.to, format!("{}: {}", name_of(edge), edge.rule));
        }
        blocks.push(Block::Graph(graph));
        text(
            blocks,
            "Each table hangs from the one it is drawn below, by the columns named in it. Dashed: an \
             edge that may cross people.",
        );
    }
    let rows = plan.tables.iter().map(|table| {
        let kind = match table.kind {
            TableKind::Owned if table.owner.is_empty() => "one row per person".to_owned(),
            TableKind::Owned => format!("owned through {}", table.owner.join(", ")),
            TableKind::Shared => {
                "shared: copied to wherever somebody who refers to them lives".to_owned()
            }
            TableKind::Reference => "reference: the same rows at every site".to_owned(),
            TableKind::Internal => "internal: stays, no personal data".to_owned(),
        };
        vec![table.table.clone(), kind, count(table.rows), bytes(table.bytes)]
    });
    let at = plan.sites.get(plan.template).map_or("", |site| site.site.as_str());
    table(blocks, &["Table", "Kind", &format!("Rows at {at}"), "Size"], rows.collect());
}

fn name_of(edge: &Edge) -> String {
    format!("{}.{}", edge.table, edge.columns.join(" + "))
}

fn edges(plan: &Plan, blocks: &mut Vec<Block>) {
    heading(blocks, "Edges that cross people");
    if plan.edges.is_empty() {
        text(blocks, "None: every row refers to rows of the same person, or of nobody.");
        return;
    }
    let rows = plan.edges.iter().map(|edge| {
        let to = if edge.to.is_empty() { "not declared".to_owned() } else { edge.to.clone() };
        let crossing =
            if edge.to.is_empty() { "not known".to_owned() } else { count(edge.crossing) };
        vec![name_of(edge), to, crossing, edge.rule.clone()]
    });
    table(blocks, &["Edge", "To", "Rows that cross now", "Rule"], rows.collect());
    let choices = plan.edges.iter().flat_map(|edge| {
        edge.choices
            .iter()
            .map(|choice| vec![name_of(edge), choice.set.clone(), choice.does.clone()])
    });
    let choices: Vec<Vec<String>> = choices.collect();
    if !choices.is_empty() {
        text(blocks, "What each rule would do:");
        table(blocks, &["Edge", "Set", "What then happens"], choices);
    }
    if !plan.crossing_keys.is_empty() {
        text(
            blocks,
            "These foreign keys are soft and still stand. domicile prepare --drop-crossing-keys lists \
             and drops them, and leaves a script that makes them again:",
        );
        let keys = plan.crossing_keys.iter();
        let keys = keys.map(|key| {
            let columns = key.columns.join(", ");
            format!("{}.{columns} → {}, at {}", key.table, key.to, key.sites.join(", "))
        });
        blocks.push(Block::List(keys.collect()));
    }
}

fn shared(plan: &Plan, blocks: &mut Vec<Block>) {
    if plan.shared.is_empty() {
        return;
    }
    heading(blocks, "Rows that several people share");
    text(
        blocks,
        "Rows of these tables belong to nobody. Those of a reference table are copied to every site; \
         one that is named by one person only may be that person's own.",
    );
    let rows = plan.shared.iter().map(|shared| {
        vec![
            format!("{}.{}", shared.table, shared.columns.join(" + ")),
            shared.to.clone(),
            count(shared.referring),
            count(shared.of_one),
            count(shared.of_several),
        ]
    });
    table(
        blocks,
        &["Named by", "Table", "Rows that name one", "Rows named by one person", "By several"],
        rows.collect(),
    );
}

fn uniques(plan: &Plan, blocks: &mut Vec<Block>) {
    if plan.uniques.is_empty() {
        return;
    }
    heading(blocks, "Unique constraints that stop being global");
    text(
        blocks,
        "Once people live at several sites, each of these holds at each site only: two people at two \
         sites can have the same value, and neither could then move to the other's site.",
    );
    let rows = plan.uniques.iter().map(|unique| {
        let said = if unique.accepted { "accepted by name" } else { "refused" };
        vec![unique.table.clone(), unique.name.clone(), unique.definition.clone(), said.to_owned()]
    });
    table(blocks, &["Table", "Name", "Definition", "Said of it"], rows.collect());
}

fn sequences(plan: &Plan, blocks: &mut Vec<Block>) {
    if plan.sequences.is_empty() {
        return;
    }
    heading(blocks, "Numbers that each site gives for itself");
    let rows = plan.sequences.iter().map(|found| {
        let at = found.at.iter();
        let at: Vec<String> = at
            .map(|at| match at.step {
                1 => format!("{} {}", at.site, at.next),
                step => format!("{} {} by {step}", at.site, at.next),
            })
            .collect();
        let verdict = if found.collides { "would collide" } else { "kept apart" };
        let column = format!("{}.{}", found.table, found.column);
        vec![column, at.join("; "), verdict.to_owned()]
    });
    table(blocks, &["Column", "Next number", "Between sites"], rows.collect());
    let mut advice: Vec<&str> = plan.sequences.iter().map(|s| s.advice.as_str()).collect();
    advice.sort_unstable();
    advice.dedup();
    for advice in advice.iter().filter(|advice| !advice.is_empty()) {
        text(blocks, format!("{advice}."));
    }
    let mut by_site: Vec<(&str, Vec<String>)> = Vec::new();
    for said in plan.sequences.iter().flat_map(|found| &found.statements) {
        let line = format!("{};", said.statement);
        match by_site.iter_mut().find(|(site, _)| *site == said.site) {
            Some((_, lines)) => lines.push(line),
            None => by_site.push((&said.site, vec![line])),
        }
    }
    if by_site.is_empty() {
        return;
    }
    text(
        blocks,
        "These statements keep the sites apart: each gives every N-th number, from well above all that \
         were given. Run them after prepare and before the application inserts at a second site. If \
         many numbers have been given since this plan was made, make it again first: no statement may \
         take a site back to numbers it has given.",
    );
    for (site, lines) in by_site {
        let mut code = vec![format!("-- at {site}")];
        code.extend(lines);
        blocks.push(Block::Code(code));
    }
}

fn triggers(plan: &Plan, blocks: &mut Vec<Block>) {
    if plan.triggers.is_empty() {
        return;
    }
    heading(blocks, "Triggers at tables of people");
    let rows = plan
        .triggers
        .iter()
        .map(|trigger| vec![trigger.table.clone(), trigger.name.clone(), trigger.does.clone()]);
    table(blocks, &["Table", "Trigger", "What the move does about it"], rows.collect());
    text(blocks, "Rules at such tables are refused by name.");
}

/// What has no section of its own: standbys, settings, publications, indexes.
fn warnings(plan: &Plan, blocks: &mut Vec<Block>) {
    let has_section = |warning: &String| {
        let trigger = |t: &domicile_mover::plan::PlannedTrigger| {
            warning.starts_with(&format!("trigger {} of {}: ", t.name, t.table))
        };
        plan.triggers.iter().any(trigger) || warning.contains(NUMBERED)
    };
    let left: Vec<String> =
        plan.warnings.iter().filter(|warning| !has_section(warning)).cloned().collect();
    if !left.is_empty() {
        heading(blocks, "To know before the move");
        blocks.push(Block::List(left));
    }
}

fn signatures(blocks: &mut Vec<Block>) {
    heading(blocks, "Accepted by");
    text(
        blocks,
        "Whoever signs accepts this plan for the configuration with the digest above, as the sites \
         were at the time above. A later plan may say otherwise.",
    );
    let roles = ["Platform", "Data protection", "Operations"];
    blocks.push(Block::Signatures(roles.map(str::to_owned).to_vec()));
}
