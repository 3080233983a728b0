//! A proposal as a commented `domicile.toml`.

use domicile_model::SiteName;
use domicile_model::category::column::percent;
use domicile_model::territory::Territory;
use domicile_mover::plan::TableKind;
use domicile_mover::propose::{Accepted, Proposal, Question, TableProposal};
use jiff::civil::Date;

/// Lines of comment are at most this wide.
const WIDTH: usize = 96;

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
    let mut file = File(String::new());
    head(&mut file, proposal, origin);
    subjects(&mut file, proposal);
    sites(&mut file, origin);
    homes(&mut file, proposal, origin);
    tables(&mut file, proposal);
    file.0
}

struct File(String);

impl File {
    fn line(&mut self, text: &str) {
        self.0.push_str(text);
        self.0.push('\n');
    }

    fn gap(&mut self) {
        self.line("");
    }

    /// A comment, broken into lines; those after the first stand further in.
    fn comment(&mut self, first: &str, text: &str) {
        let indent: String = " ".repeat(first.chars().count());
        let mut line = format!("# {first}");
        let mut is_empty = true;
        for word in plain(text).split_whitespace() {
            if !is_empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
                self.line(line.trim_end());
                line = format!("# {indent}");
                is_empty = true;
            }
            if !is_empty {
                line.push(' ');
            }
            line.push_str(word);
            is_empty = false;
        }
        self.line(line.trim_end());
    }

    /// Lines with their reasons beside them, all at one place.
    fn block(&mut self, lines: &[(String, String)]) {
        let width = lines.iter().map(|(line, _)| line.chars().count()).max().unwrap_or(0);
        for (line, reason) in lines {
            let padded = format!("{line:width$}");
            let is_wide = width + reason.chars().count() + 4 > WIDTH;
            self.reasoned(if is_wide { line } else { &padded }, reason);
        }
    }

    /// A line with its reason beside it, or above it where both are too long.
    fn reasoned(&mut self, line: &str, reason: &str) {
        let reason = plain(reason);
        if line.chars().count() + reason.chars().count() + 4 <= WIDTH {
            self.line(&format!("{line}  # {reason}"));
        } else {
            let indent: String = line.chars().take_while(|letter| *letter == ' ').collect();
            let start = self.0.len();
            self.comment("", &reason);
            let comment = self.0.split_off(start);
            for part in comment.lines() {
                self.line(&format!("{indent}{part}"));
            }
            self.line(line);
        }
    }
}

/// Names of tables may hold anything; a comment must stay one.
fn plain(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn key(name: &str) -> String {
    let is_bare = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
    if !name.is_empty() && name.chars().all(is_bare) { name.to_owned() } else { quoted(name) }
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

/// What a table is, in the order in which people read it.
fn place(table: &TableProposal, root: &str) -> usize {
    match table.kind {
        None => 0,
        Some(TableKind::Owned) if table.table == root => 1,
        Some(TableKind::Owned) => 2,
        Some(TableKind::Internal) => 3,
        Some(TableKind::Reference) => 4,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_their_place() {
        assert_eq!(key("user_id"), "user_id");
        for odd in ["a b", "x\"y", "new\nline", "", "app.users", "naïve"] {
            let text = format!("{} = {}", key(odd), quoted(odd));
            let read: toml::Table = toml::from_str(&text).unwrap();
            assert_eq!(read[odd].as_str(), Some(odd));
        }
        let mut file = File(String::new());
        file.comment("  1. ", &format!("a\nb = 1 {}", "word ".repeat(40)));
        assert!(file.0.lines().all(|line| line.starts_with('#') && line.chars().count() <= WIDTH));
        file.reasoned("x = 1", "bad\nreason = 2");
        assert_eq!(toml::from_str::<toml::Table>(&file.0).unwrap().len(), 1);
    }
}
