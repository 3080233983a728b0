//! `domicile.toml`: read, checked as a whole, and turned into the words of the model.

mod address;
mod document;
mod erase;
mod keys;
mod secret;
mod serve;

#[cfg(test)]
mod tests;

pub(crate) use address::{Address, has_password, read_address};
pub(crate) use erase::Erase;
pub(crate) use secret::Secret;
pub(crate) use serve::{Serve, User};

use crate::exit::{Failure, Result};
use document::Document;
use domicile_model::territory::{Regime, Territory, UnknownTerritory};
use domicile_model::{Category, HomeRule, Operator, SiteName, SiteSpec};
use domicile_mover::migrate::Options;
use domicile_mover::people::ResidenceColumns;
use domicile_mover::plan::{TableKind, TableRule, Wishes};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::path::Path;
use toml::de::DeTable;

/// A configuration without a fault of its own; what the sites say of it is another matter.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// The sites, in the order in which they are written.
    pub(crate) sites: Vec<ConfiguredSite>,
    /// Where people must live.
    pub(crate) homes: Vec<HomeRule>,
    /// What is said of tables.
    pub(crate) wishes: Wishes,
    /// When rows are deleted behind people.
    pub(crate) erase: Erase,
    /// How the application's statements are served, where it says so.
    pub(crate) serve: Option<Serve>,
    /// SHA-256 of the file, in hex: what a signed plan was made with.
    pub(crate) digest: String,
}

/// One site and how to reach it.
#[derive(Clone, Debug)]
pub(crate) struct ConfiguredSite {
    /// What is known of it.
    pub(crate) spec: SiteSpec,
    /// How to reach it.
    pub(crate) address: Address,
}

/// A file's text, to say where in it something is wrong.
struct Source<'a> {
    name: &'a str,
    text: &'a str,
}

impl Source<'_> {
    fn wrong(&self, at: usize, what: impl std::fmt::Display) -> Failure {
        let line = self.text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1;
        Failure::usage(format!("{} line {line}: {what}", self.name))
    }

    fn refused(&self, error: &toml::de::Error) -> Failure {
        let message = error.message().trim().replace('\n', ", ");
        let Some(span) = error.span() else {
            return Failure::usage(format!("{}: {message}", self.name));
        };
        let line = self.text.get(..span.start).unwrap_or_default().lines().count().max(1) - 1;
        let shown = self.text.lines().nth(line).unwrap_or_default().trim();
        // A line with a URL may hold a password.
        let is_url = shown.contains("://");
        let hint = if is_url { "look at that line".to_owned() } else { format!("near: {shown}") };
        self.wrong(span.start, message).hint(hint)
    }
}

impl Config {
    /// Reads a file. `${NAME}` in URLs stands for the environment's.
    pub(crate) fn read(path: &Path) -> Result<Config> {
        let name = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|error| {
            Failure::usage(format!("the configuration {name} cannot be read"))
                .hint(
                    "name it with --config PATH; `domicile init URL` writes one for your database",
                )
                .because(&error)
        })?;
        let text = std::str::from_utf8(&bytes).map_err(|error| {
            let line = bytes[..error.valid_up_to()].iter().filter(|b| **b == b'\n').count() + 1;
            Failure::usage(format!("{name} line {line}: the text is not UTF-8"))
                .hint("save the file as UTF-8")
        })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Config::parse(&name, text, folder, &|name| std::env::var(name).ok())
    }

    fn parse(
        name: &str,
        text: &str,
        folder: &Path,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Config> {
        let digest = sha256(text);
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let source = Source { name, text };
        let table = DeTable::parse(text).map_err(|error| source.refused(&error))?;
        keys::check(&source, table.get_ref())?;
        let document: Document = toml::from_str(text).map_err(|error| source.refused(&error))?;
        let Document { subjects, sites, homes, tables, reference, erase, serve } = document;
        let sites = read_sites(sites, folder, environment)?;
        Ok(Config {
            homes: read_homes(homes, &sites)?,
            wishes: Wishes {
                reference_site: read_reference_site(reference.site, &sites)?,
                ..read_wishes(subjects, tables)?
            },
            erase: erase::read(&erase)?,
            serve: serve
                .map(|serve| serve::read(serve, &sites, folder, environment))
                .transpose()?,
            digest,
            sites,
        })
    }

    /// How a migration is run, where the command line does not say otherwise.
    pub(crate) fn options(&self) -> Options {
        Options {
            erase_after: self.erase.after,
            quiet: self.erase.quiet,
            keep_tombstones: self.erase.tombstones,
            vacuum: self.erase.vacuum,
            ..Options::default()
        }
    }

    /// What is known of the sites.
    pub(crate) fn specs(&self) -> Vec<SiteSpec> {
        self.sites.iter().map(|site| site.spec.clone()).collect()
    }
}

fn sha256(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn read_sites(
    written: impl IntoIterator<Item = (String, document::Site)>,
    folder: &Path,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<ConfiguredSite>> {
    let mut sites: Vec<ConfiguredSite> = Vec::new();
    for (name, site) in written {
        let site = read_site(&name, site, folder, environment)?;
        let twin = sites.iter().find(|other| other.address.is_same(&site.address));
        if let Some(twin) = twin {
            return Err(Failure::usage(format!(
                "sites {} and {name} have one URL: both are {}",
                twin.spec.name, site.address
            ))
            .hint("every site is a database of its own; correct one of the two"));
        }
        sites.push(site);
    }
    if sites.is_empty() {
        return Err(Failure::usage("no site is configured")
            .hint("write [sites.NAME] with a territory and a url for each database"));
    }
    Ok(sites)
}

fn read_site(
    name: &str,
    site: document::Site,
    folder: &Path,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<ConfiguredSite> {
    let place = format!("[sites.{name}]");
    let site_name: SiteName =
        name.parse().map_err(|error: domicile_model::site::BadSiteName| {
            Failure::usage(error.to_string()).hint(format!("rename {place}"))
        })?;
    let missing = |key: &str, example: &str| {
        Failure::usage(format!("{place} has no {key}")).hint(format!("add {key} = \"{example}\""))
    };
    let territory = site.territory.ok_or_else(|| missing("territory", "IE"))?;
    let territory = read_territory(&territory, &format!("{place} territory"))?;
    let url = site.url.ok_or_else(|| missing("url", &format!("sqlite:{name}.db")))?;
    let url = address::with_environment(&url, &place, environment)?;
    let weight = site.weight.unwrap_or(1);
    if weight == 0 {
        return Err(Failure::usage(format!("{place} has the weight 0"))
            .hint("leave the site out of [[homes]] when nobody is to live there"));
    }
    let operator = match site.operator {
        None => None,
        Some(operator) => Some(Operator {
            name: operator.name.ok_or_else(|| missing("operator.name", "Example Hosting Ltd"))?,
            third_party: operator.third_party,
            control: match operator.control {
                Some(control) => read_territory(&control, &format!("{place} operator.control"))?,
                None => territory,
            },
        }),
    };
    Ok(ConfiguredSite {
        spec: SiteSpec { name: site_name, territory, weight, operator },
        address: Address::read(&url, &place, folder)?,
    })
}

fn read_territory(text: &str, place: &str) -> Result<Territory> {
    text.parse().map_err(|UnknownTerritory { given, nearest }| {
        let failure = Failure::usage(format!("{place}: `{given}` is no territory"));
        failure.hint(nearest.map_or_else(
            || "use an ISO 3166-1 code of two letters, such as IE".to_owned(),
            |near| format!("did you mean `{near}` ({})?", near.name()),
        ))
    })
}

fn read_homes(written: Vec<document::Home>, sites: &[ConfiguredSite]) -> Result<Vec<HomeRule>> {
    if written.is_empty() {
        return Err(Failure::usage("no home is configured")
            .hint("write [[homes]] with regimes and sites; the first that matches a person wins"));
    }
    written.into_iter().enumerate().map(|(at, home)| read_home(at + 1, home, sites)).collect()
}

fn read_home(number: usize, home: document::Home, sites: &[ConfiguredSite]) -> Result<HomeRule> {
    if home.regimes.is_empty() {
        return Err(Failure::usage(format!("[[homes]] number {number} has no regimes"))
            .hint("add regimes = [\"EU\", \"EEA\"], or [\"unknown\"], or [\"*\"]"));
    }
    let regimes: Vec<String> =
        home.regimes.iter().map(|text| read_regime(text)).collect::<Result<_>>()?;
    let place = format!("the home for {}", regimes.join(", "));
    if home.sites.is_empty() {
        return Err(Failure::usage(format!("{place} is served by nobody: it has no sites"))
            .hint("add sites = [\"…\"] with at least one of the configured sites"));
    }
    let names = home.sites.iter().map(|name| {
        let known = sites.iter().map(|site| &site.spec.name);
        let found = known.clone().find(|known| known.as_str() == name);
        found.cloned().ok_or_else(|| {
            let near = known.min_by_key(|known| domicile_model::nearness(known.as_str(), name));
            let near = near.map_or_else(String::new, |near| format!("; the nearest is {near}"));
            Failure::usage(format!("{place} names the site {name}, which is not configured"))
                .hint(format!("write [sites.{name}], or correct the name{near}"))
        })
    });
    Ok(HomeRule {
        sites: names.collect::<Result<_>>()?,
        refuse_control: home
            .refuse_control
            .iter()
            .map(|text| read_territory(text, &format!("{place}, refuse_control")))
            .collect::<Result<_>>()?,
        regimes,
    })
}

/// `unknown` and `*` stay as they are; a regime gets its proper spelling.
fn read_regime(text: &str) -> Result<String> {
    if text == "unknown" || text == "*" {
        return Ok(text.to_owned());
    }
    let regime: Result<Regime, _> = text.parse();
    regime.map(|regime| regime.as_str().to_owned()).map_err(|unknown| {
        let failure = Failure::usage(format!("`{}` is no regime", unknown.given));
        let slip = ["unknown", "*"].iter().find(|w| domicile_model::nearness(w, text) <= 2);
        match (slip.filter(|word| word.len() > 1), unknown.nearest) {
            (Some(word), _) => failure.hint(format!("did you mean `{word}`?")),
            (None, Some(near)) => failure.hint(format!("did you mean `{near}`?")),
            (None, None) => failure.hint("use EU, EEA, a territory's code, unknown or *"),
        }
    })
}

fn read_wishes(
    subjects: Option<document::Subjects>,
    tables: impl IntoIterator<Item = (String, document::Table)>,
) -> Result<Wishes> {
    let Some(subjects) = subjects else {
        return Err(Failure::usage("[subjects] is missing").hint(
            "write [subjects] with table = \"users\" and residence = { code = \"country\" }",
        ));
    };
    let Some(table) = subjects.table.filter(|table| !table.is_empty()) else {
        return Err(Failure::usage("[subjects] names no table")
            .hint("add table = \"…\": the table with one row per person"));
    };
    let columns = subjects.residence.map_or((None, None), |written| (written.code, written.text));
    let residence = match columns {
        (Some(code), None) => ResidenceColumns::Code(code),
        (None, Some(text)) if !text.is_empty() => ResidenceColumns::Text(text),
        _ => {
            let what = "[subjects] residence must be either a code column or text columns";
            return Err(Failure::usage(what).hint(
                "add residence = { code = \"country\" }, \
                 or residence = { text = [\"city\", \"state\", \"country\"] }",
            ));
        }
    };
    let tables: Result<BTreeMap<String, TableRule>> = tables
        .into_iter()
        .map(|(name, rule)| Ok((name.clone(), read_rule(&name, rule)?)))
        .collect();
    Ok(Wishes { subjects: table, residence, tables: tables?, reference_site: None })
}

fn read_reference_site(
    written: Option<String>,
    sites: &[ConfiguredSite],
) -> Result<Option<SiteName>> {
    let Some(written) = written else { return Ok(None) };
    let names = sites.iter().map(|site| &site.spec.name);
    if let Some(name) = names.clone().find(|name| name.as_str() == written) {
        return Ok(Some(name.clone()));
    }
    let failure = Failure::usage(format!("[reference] site = \"{written}\" is no site"));
    let near = names.min_by_key(|name| domicile_model::nearness(name.as_str(), &written));
    Err(match near {
        Some(name) => failure.hint(format!("the nearest name is {name}")),
        None => failure,
    })
}

fn read_rule(table: &str, rule: document::Table) -> Result<TableRule> {
    let kind = rule.kind.as_deref().map(|kind| match kind {
        "owned" => Ok(TableKind::Owned),
        "shared" => Ok(TableKind::Shared),
        "reference" => Ok(TableKind::Reference),
        "internal" => Ok(TableKind::Internal),
        other => {
            let kinds = ["owned", "shared", "reference", "internal"];
            let near = kinds.iter().min_by_key(|kind| domicile_model::nearness(kind, other));
            Err(Failure::usage(format!("[tables.{table}] has the kind `{other}`")).hint(format!(
                "the kinds are owned, shared, reference and internal; the nearest is {}",
                near.unwrap_or(&"owned")
            )))
        }
    });
    let categories = rule.categories.into_iter().map(|(column, category)| {
        let category: Result<Category, _> = category.parse();
        let category = category.map_err(|error| {
            Failure::usage(format!("[tables.{table}.categories] {column}: {error}"))
                .hint(format!("did you mean `{}`?", error.nearest))
        })?;
        Ok((column, category))
    });
    Ok(TableRule {
        categories: categories.collect::<Result<_>>()?,
        kind: kind.transpose()?,
        owner: rule.owner.into(),
        soft: rule.soft.into_iter().map(Vec::from).collect(),
        unique_per_site: rule.unique_per_site,
    })
}
