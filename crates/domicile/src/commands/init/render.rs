//! A proposal as a commented `domicile.toml`.

use super::file::{File, key, plain, quoted};
use domicile_model::SiteName;
use domicile_model::category::column::percent;
use domicile_model::territory::Territory;
use domicile_mover::plan::TableKind;
use domicile_mover::propose::{Accepted, Proposal, Question, TableProposal};
use jiff::civil::Date;

/// The rest of Europe: no European regime, but nearer to a European site than to most others. The
/// states and territories of Europe of UN M49 outside EU, EEA, CH and GB, with TR.
const REST_OF_EUROPE: &str =
    "\"AD\", \"AL\", \"BA\", \"BY\", \"FO\", \"GG\", \"GI\", \"IM\", \"JE\", \"MC\",
    \"MD\", \"ME\", \"MK\", \"RS\", \"RU\", \"SM\", \"TR\", \"UA\", \"VA\", \"XK\",";

/// The site that was read.
pub(super) struct Origin {
    /// Its name.
    pub(super) site: SiteName,
    /// Where it stands, if the user said so.
    pub(super) territory: Option<Territory>,
    /// Its URL, without a password.
    pub(super) url: String,
    /// Whether the URL is a variable because it holds a password.
    pub(super) hides_url: bool,
    /// The day.
    pub(super) on: Date,
}

/// The file's text.
pub(super) fn toml(proposal: &Proposal, origin: &Origin) -> String {
    let mut file = File::default();
    head(&mut file, proposal, origin);
    subjects(&mut file, proposal);
    sites(&mut file, origin);
    homes(&mut file, proposal, origin);
    reference(&mut file, proposal, origin);
    tables(&mut file, proposal);
    file.text()
}

fn list(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| quoted(name)).collect();
    format!("[{}]", names.join(", "))
}

/// One column, or several in a list of their own.
fn columns(names: &[String]) -> String {
    match names {
        [one] => quoted(one),
        several => list(several),
    }
}

fn head(file: &mut File, proposal: &Proposal, origin: &Origin) {
    let read = format!("Proposed by domicile init on {} from {}.", origin.on, proposal.server);
    file.comment("", &read);
    file.comment(
        "",
        "Every line is a decision you can change, with the reason beside it; docs/configuration.md \
         says what each key means. Answer the questions, add your other sites and name them in \
         [[homes]], then run domicile plan.",
    );
    file.line("#");
    let mut questions: Vec<Question> = Vec::new();
    if origin.territory.is_none() {
        questions.push(Question {
            about: format!("sites.{}", origin.site),
            text: "where does this database stand? Fill in territory below".to_owned(),
            blocking: true,
        });
    }
    questions.extend(proposal.questions.iter().cloned());
    let (waited, others): (Vec<Question>, Vec<Question>) =
        questions.into_iter().partition(|question| question.blocking);
    let mut number = 0;
    for (title, questions) in [
        ("Questions that plan waits for:", waited),
        ("Questions that were answered the careful way; look whether you agree:", others),
    ] {
        if questions.is_empty() {
            continue;
        }
        file.comment("", title);
        for question in questions {
            number += 1;
            let text = format!("{}: {}", question.about, question.text);
            file.comment(&format!("{number:>3}. "), &text);
        }
        file.line("#");
    }
    if number == 0 {
        file.comment("", "There are no questions.");
        file.line("#");
    }
    file.gap();
}

fn subjects(file: &mut File, proposal: &Proposal) {
    file.line("[subjects]");
    file.comment("", "The table with one row per person. The likeliest were:");
    for candidate in &proposal.candidates {
        let first = format!("  {} ({:.0} points): ", plain(&candidate.table), candidate.score);
        file.comment("", &format!("{first}{}", candidate.reasons.join(", ")));
    }
    let table = proposal.candidates.first().map_or("", |first| &first.table);
    file.line(&format!("table = {}", quoted(table)));
    let residence = &proposal.residence;
    let written = match (&residence.code, residence.text.as_slice()) {
        (Some(code), _) => format!("residence = {{ code = {} }}", quoted(code)),
        (None, []) => {
            file.comment("", "Where do people live? Fill in one of these and take the # away:");
            file.line("# residence = { code = \"…\" }    # a column of ISO 3166-1 codes");
            file.line("# residence = { text = [\"…\"] }  # columns of text, narrowest first");
            return file.gap();
        }
        (None, text) => format!("residence = {{ text = {} }}", list(text)),
    };
    if residence.sampled > 0 {
        let by: Vec<String> =
            residence.regimes.iter().map(|(regime, count)| format!("{count} {regime}")).collect();
        let told = percent(residence.answered, residence.sampled);
        file.comment(
            "",
            &format!(
                "Told for {told} of {} sampled people; by regime: {}.",
                residence.sampled,
                shortened(by, &residence.regimes)
            ),
        );
    }
    file.line(&written);
    file.gap();
}

/// The largest regimes; the others together.
fn shortened(mut by: Vec<String>, regimes: &std::collections::BTreeMap<String, usize>) -> String {
    const SHOWN: usize = 8;
    if by.len() > SHOWN {
        let mut sorted: Vec<(&String, &usize)> = regimes.iter().collect();
        sorted.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let rest: usize = sorted.iter().skip(SHOWN).map(|(_, count)| **count).sum();
        by = sorted.iter().take(SHOWN).map(|(regime, count)| format!("{count} {regime}")).collect();
        by.push(format!("{rest} elsewhere"));
    }
    by.join(", ")
}

fn sites(file: &mut File, origin: &Origin) {
    file.comment("", "One [sites.NAME] for each database. This one was read:");
    file.line(&format!("[sites.{}]", origin.site));
    match origin.territory {
        Some(territory) => file.line(&format!("territory = {}", quoted(territory.as_str()))),
        None => file.line("# territory = \"…\"  # ISO 3166-1: where the database stands"),
    }
    if origin.hides_url {
        let reason = "holds a password: set the variable to the URL, for the mover's role";
        file.reasoned(&format!("url = {}", quoted(&origin.url)), reason);
    } else if origin.url.starts_with("sqlite:") {
        file.line(&format!("url = {}", quoted(&origin.url)));
    } else {
        let reason = "for the mover a role of its own: docs/trust.md";
        file.reasoned(&format!("url = {}", quoted(&origin.url)), reason);
    }
    file.gap();
    file.comment("", "Further sites, for example:");
    let example = if origin.url.starts_with("sqlite:") {
        "# url = \"sqlite:dub1.db\""
    } else {
        "# url = \"${DOMICILE_DUB1_URL}\"  # postgres://mover:…@dub1.example/platform"
    };
    for line in [
        "# [sites.dub1]",
        "# territory = \"IE\"",
        example,
        "# operator = { name = \"Example Hosting Ltd\", third_party = true, control = \"IE\" }",
    ] {
        file.line(line);
    }
    file.gap();
}

fn homes(file: &mut File, proposal: &Proposal, origin: &Origin) {
    let site = list(&[origin.site.to_string()]);
    file.comment(
        "",
        "Where people must live; the first that matches a person's residence wins. Everybody stays \
         until you put other sites in place of this one.",
    );
    file.line("[[homes]]");
    file.line("regimes = [\"EU\", \"EEA\", \"CH\", \"GB\"]");
    file.line(&format!("sites = {site}  # your sites in Europe"));
    file.line("# refuse_control = [\"CN\"]  # whose law must not reach an operator of these sites");
    file.gap();
    file.comment("", "The rest of Europe: no European law asks for it; complete or drop the list.");
    file.line("[[homes]]");
    file.line("regimes = [");
    file.line(&format!("    {REST_OF_EUROPE}"));
    file.line("]");
    file.line(&format!("sites = {site}  # your sites in Europe"));
    file.gap();
    file.line("[[homes]]");
    file.line("regimes = [\"unknown\"]  # nobody knows: hold them where protection is strongest");
    let residence = &proposal.residence;
    let unknown = residence.sampled - residence.answered;
    file.line(&match residence.sampled {
        0 => format!("sites = {site}"),
        sampled => format!("sites = {site}  # {unknown} of {sampled} sampled people"),
    });
    file.gap();
    file.line("[[homes]]");
    file.line("regimes = [\"*\"]  # everybody else whose residence is known");
    file.line(&format!("sites = {site}"));
}

fn reference(file: &mut File, proposal: &Proposal, origin: &Origin) {
    if proposal.tables.iter().any(|table| table.kind == Some(TableKind::Reference)) {
        file.gap();
        file.comment("", "Reference tables are written here and carried to the other sites.");
        file.line("[reference]");
        file.line(&format!("site = {}", quoted(origin.site.as_str())));
    }
}

/// What a table is, in the order in which people read it.
fn place(table: &TableProposal, root: &str) -> usize {
    match table.kind {
        None => 0,
        Some(TableKind::Owned) if table.table == root => 1,
        Some(TableKind::Owned) => 2,
        Some(TableKind::Shared) => 3,
        Some(TableKind::Internal) => 4,
        Some(TableKind::Reference) => 5,
    }
}

fn tables(file: &mut File, proposal: &Proposal) {
    let root = proposal.candidates.first().map_or("", |first| &first.table);
    let mut sorted: Vec<&TableProposal> = proposal.tables.iter().collect();
    sorted.sort_by_key(|table| (place(table, root), &table.table));
    let (silent, spoken): (Vec<&TableProposal>, Vec<&TableProposal>) =
        sorted.into_iter().partition(|table| is_silent(table));
    for table in spoken {
        file.gap();
        one_table(file, table);
    }
    if !silent.is_empty() {
        file.gap();
        file.comment("", "Tables that need no word; foreign keys say what they are:");
        for table in silent {
            let text = format!("{}, {}", kind_of(table), table.reasons.join("; "));
            file.comment(&format!("  {}: ", plain(&table.table)), &text);
        }
    }
}

fn is_silent(table: &TableProposal) -> bool {
    table.kind.is_some()
        && !table.kind_is_written
        && table.owner.is_empty()
        && table.soft.is_empty()
        && table.unique_per_site.is_empty()
        && table.categories.is_empty()
}

fn kind_of(table: &TableProposal) -> &'static str {
    match table.kind {
        Some(TableKind::Owned) => "owned",
        Some(TableKind::Shared) => "shared",
        Some(TableKind::Reference) => "reference",
        Some(TableKind::Internal) => "internal",
        None => "open",
    }
}

fn one_table(file: &mut File, table: &TableProposal) {
    let name = key(&table.table);
    let reasons = table.reasons.join("; ");
    if table.kind.is_none() {
        file.comment("", &format!("Open, so that plan refuses it: {reasons}."));
        file.line(&format!("# [tables.{name}]"));
        file.line("# kind = \"internal\"  # or \"reference\", or owner = \"…\"");
    } else if has_rules(table) {
        file.line(&format!("[tables.{name}]"));
        if table.kind_is_written {
            file.reasoned(&format!("kind = {}", quoted(kind_of(table))), &reasons);
        } else {
            file.comment("", &format!("{}: {reasons}.", kind_of(table)));
        }
        if !table.owner.is_empty() {
            file.line(&format!("owner = {}", columns(&table.owner)));
        }
        accepted(file, "soft", &table.soft, columns);
        accepted(file, "unique_per_site", &table.unique_per_site, columns);
    }
    if !table.categories.is_empty() {
        if has_rules(table) || table.kind.is_none() {
            file.line(&format!("[tables.{name}.categories]"));
        } else {
            file.reasoned(
                &format!("[tables.{name}.categories]"),
                &format!("{}: {reasons}", kind_of(table)),
            );
        }
        let lines = table.categories.iter().map(|column| {
            let doubt = if column.doubtful { "look at this: " } else { "" };
            let line = format!("{} = {}", key(&column.column), quoted(column.category.as_str()));
            (line, format!("{doubt}{}", column.reason))
        });
        file.block(&lines.collect::<Vec<_>>());
    }
}

/// Whether something stands in the table's own section.
fn has_rules(table: &TableProposal) -> bool {
    table.kind_is_written
        || !table.owner.is_empty()
        || !table.soft.is_empty()
        || !table.unique_per_site.is_empty()
}

fn accepted(file: &mut File, name: &str, list: &[Accepted], write: impl Fn(&[String]) -> String) {
    if list.is_empty() {
        return;
    }
    file.line(&format!("{name} = ["));
    let lines = list.iter().map(|it| (format!("    {},", write(&it.names)), it.reason.clone()));
    file.block(&lines.collect::<Vec<_>>());
    file.line("]");
}
