//! What would move, what belongs to whom, and everything that is refused, before anything moves.

mod closure;
mod constraints;
pub(crate) mod crossing;
mod edges;
mod head_count;
mod partitions;
mod reference;
mod sequences;
mod shared;
mod sizes;
mod soft_keys;
mod tables;

pub use constraints::{PlannedTrigger, PlannedUnique};
pub use sequences::{NUMBERED, PlannedSequence, SequenceAt, SequenceStatement};
pub use shared::SharedRows;
pub use sizes::{Estimate, MOVE_PER_READ, PlannedSite, measure};
pub use soft_keys::CrossingKey;

use crate::error::{Error, Result};
use crate::people::{Directives, Platform, ResidenceColumns};
use domicile_model::{Category, Homes, SiteName};
use domicile_store::{Catalog, Closure, Engine, Site, TableName};
use jiff::civil::Date;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) use tables::is_only_pointed_at;

/// What a table is to the mover.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TableKind {
    /// Its rows belong to people.
    Owned,
    /// Its rows belong to nobody and are copied to wherever somebody who refers to them lives.
    Shared,
    /// The same rows at every site.
    Reference,
    /// Stays where it is; no personal data.
    Internal,
}

/// What the user says of one table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableRule {
    /// Its kind, where the user says so.
    pub kind: Option<TableKind>,
    /// The columns that name the owner: a foreign key's, or the subject's key where none says so.
    pub owner: Vec<String>,
    /// Edges to other people's rows, kept as values.
    pub soft: Vec<Vec<String>>,
    /// Unique constraints that may hold per site only, by name.
    pub unique_per_site: Vec<String>,
    /// What columns hold, by column.
    pub categories: BTreeMap<String, Category>,
}

/// What the user asks for.
#[derive(Clone, Debug)]
pub struct Wishes {
    /// The root table.
    pub subjects: String,
    /// How residence is read from it.
    pub residence: ResidenceColumns,
    /// Rules by table, as the user wrote the names.
    pub tables: BTreeMap<String, TableRule>,
    /// The site where reference tables are written; the first one without it.
    pub reference_site: Option<SiteName>,
}

/// One table in a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlannedTable {
    /// The table.
    pub table: String,
    /// What it is.
    pub kind: TableKind,
    /// The columns that lead to the owner; empty for the root and for tables nobody owns.
    pub owner: Vec<String>,
    /// Rows at the site it was read from, estimated.
    pub rows: u64,
    /// Bytes there.
    pub bytes: u64,
}

/// An edge between two rows that may belong to two people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Edge {
    /// The referring table.
    pub table: String,
    /// Its columns.
    pub columns: Vec<String>,
    /// The table referred to.
    pub to: String,
    /// Whether a foreign key declares it.
    pub declared: bool,
    /// Rows whose two ends belong to two people now; where the other end is nobody's and stays,
    /// all rows that name one.
    pub crossing: u64,
    /// Which rule holds.
    pub rule: String,
    /// The rules that could hold instead.
    pub choices: Vec<Choice>,
}

/// A rule the user can set, and what it would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Choice {
    /// What to write into the configuration.
    pub set: String,
    /// What then happens, one sentence.
    pub does: String,
}

/// Something the mover refuses, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// The table, or `homes` or `sites`.
    pub what: String,
    /// Why, one sentence.
    pub why: String,
    /// What the reader can do.
    pub hint: String,
}

/// How many people, and where they will live.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SubjectCounts {
    /// Everybody at every site.
    pub total: u64,
    /// Those who are not at home.
    pub to_move: u64,
    /// People by the site that is their home, those who stay included.
    pub by_site: BTreeMap<String, u64>,
    /// People of unknown residence.
    pub unknown_residence: u64,
    /// People whom no rule gives a home; they stay.
    pub without_home: u64,
}

/// A plan. JSON fields are extended, never renamed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// Every table with its kind and owner.
    pub tables: Vec<PlannedTable>,
    /// Every edge that may cross people, with its rule.
    pub edges: Vec<Edge>,
    /// Everything refused; nothing moves while this is not empty.
    pub refused: Vec<Refusal>,
    /// Declared foreign keys that are soft and wait for `prepare --drop-crossing-keys`; each is in
    /// `refused` too, until it is dropped.
    pub crossing_keys: Vec<CrossingKey>,
    /// How many people share the rows that nobody owns; counted by a whole plan only.
    pub shared: Vec<SharedRows>,
    /// Unique constraints that stop being global once people live at several sites.
    pub uniques: Vec<PlannedUnique>,
    /// Columns that every site numbers for itself.
    pub sequences: Vec<PlannedSequence>,
    /// The user's triggers at owned tables.
    pub triggers: Vec<PlannedTrigger>,
    /// Every site, in the user's order; people are counted by a whole plan only.
    pub sites: Vec<PlannedSite>,
    /// How many people, and where.
    pub subjects: SubjectCounts,
    /// Rows of owned tables that would move, estimated from each table's share of people.
    pub rows_to_move: u64,
    /// Bytes that would move, estimated likewise.
    pub bytes_to_move: u64,
    /// What is not refused but should be known.
    pub warnings: Vec<String>,
    /// What belongs to a person.
    #[serde(skip)]
    pub closure: Option<Arc<Closure>>,
    /// The site whose schema was read, by place.
    #[serde(skip)]
    pub template: usize,
    /// The site where reference tables are written, by place.
    #[serde(skip)]
    pub reference_site: usize,
}

impl Plan {
    /// What is refused for other reasons than a key that `prepare` can drop.
    pub fn refused_otherwise(&self) -> Vec<Refusal> {
        let waiting: Vec<Refusal> = self.crossing_keys.iter().map(CrossingKey::refusal).collect();
        self.refused.iter().filter(|refusal| !waiting.contains(refusal)).cloned().collect()
    }
}

/// What a plan collects while catalogs are read.
#[derive(Default)]
struct Draft {
    refused: Vec<Refusal>,
    warnings: Vec<String>,
    edges: Vec<Edge>,
}

impl Draft {
    fn refuse(&mut self, what: impl Into<String>, why: impl Into<String>, hint: impl Into<String>) {
        self.refused.push(Refusal { what: what.into(), why: why.into(), hint: hint.into() });
    }
}

/// Reads every site's catalog and people, and plans. Errors are for what makes a plan impossible
/// (a site that does not answer, a missing subject table); everything else is in `refused`.
pub async fn plan(
    sites: &[Arc<dyn Site>],
    homes: &Homes,
    wishes: &Wishes,
    on: Date,
) -> Result<Plan> {
    let mut plan = plan_schema(sites, wishes).await?;
    if let Some(closure) = &plan.closure {
        let platform = Platform {
            sites: sites.to_vec(),
            closure: closure.clone(),
            homes: homes.clone(),
            residence: wishes.residence.clone(),
            reference_site: plan.reference_site,
            on,
            directives: Directives::default(),
        };
        platform.read_directives().await?;
        plan.shared = shared::count(sites[plan.template].as_ref(), closure, |_| true).await?;
        head_count::count_people(&platform, &mut plan).await?;
    }
    Ok(plan)
}

/// The part of a plan that needs no look at people: tables, edges, refusals.
pub async fn plan_schema(sites: &[Arc<dyn Site>], wishes: &Wishes) -> Result<Plan> {
    let mut catalogs = Vec::new();
    for site in sites {
        catalogs.push(site.catalog().await?);
    }
    let crossing_keys = soft_keys::take(sites, &mut catalogs, wishes);
    let doubts = crossing::align(sites, &mut catalogs);
    let template = template(sites, &catalogs, wishes)?;
    let catalog = &catalogs[template];
    let mut draft = Draft::default();
    check_engines(sites, &mut draft);
    let reference_site = reference_site(sites, wishes, &mut draft);
    for (site, catalog) in sites.iter().zip(&catalogs) {
        let named = catalog.warnings.iter().map(|text| format!("site {}: {text}", site.name()));
        draft.warnings.extend(named);
    }
    let Sketch { closure, kinds, uniques } = sketch(catalog, wishes, sites.len(), &mut draft)?;
    if reference_site != template {
        // The template may declare otherwise, and it is here that rows go.
        reference::check_actions(&catalogs[reference_site], &kinds, &mut draft);
    }
    let triggers = constraints::triggers(catalog, &closure, &mut draft);
    let sequences = sequences::list(sites, &catalogs, template, &closure);
    sequences::warn(&sequences, &mut draft);
    let site = sites[template].as_ref();
    edges::check(site, catalog, wishes, &closure, &crossing_keys, &mut draft).await?;
    if site.engine() == Engine::Postgres {
        shared::check_early_references(catalog, &closure, &mut draft);
    }
    shared::check_own_rows(site, &closure, &kinds, wishes, &mut draft).await?;
    soft_keys::note_needless(&crossing_keys, &kinds, &mut draft);
    tables::check_indexes(sites, &catalogs, &closure, &mut draft);
    tables::check_equal(sites, &catalogs, template, &closure, &mut draft);
    crossing::check_reference(sites, reference_site, &closure, &mut draft);
    crossing::check(sites, &catalogs, template, &closure, &doubts, &mut draft);
    draft.refused.extend(crossing_keys.iter().map(CrossingKey::refusal));
    let tables = tables::list(catalog, &kinds, &closure);
    Ok(Plan {
        tables,
        edges: draft.edges,
        refused: draft.refused,
        crossing_keys,
        shared: Vec::new(),
        uniques,
        sequences,
        triggers,
        sites: sites
            .iter()
            .zip(&catalogs)
            .map(|(site, catalog)| sizes::of_site(site.as_ref(), catalog, &closure))
            .collect(),
        subjects: SubjectCounts::default(),
        rows_to_move: 0,
        bytes_to_move: 0,
        warnings: draft.warnings,
        closure: Some(Arc::new(closure)),
        template,
        reference_site,
    })
}

/// The place of the site where reference tables are written.
fn reference_site(sites: &[Arc<dyn Site>], wishes: &Wishes, draft: &mut Draft) -> usize {
    let Some(wished) = &wishes.reference_site else { return 0 };
    let found = sites.iter().position(|site| site.name() == wished);
    if found.is_none() {
        let names: Vec<&str> = sites.iter().map(|site| site.name().as_str()).collect();
        draft.refuse(
            "sites",
            format!("reference tables are to be written at {wished}, which is no site"),
            format!("set [reference] site to one of {}", names.join(", ")),
        );
    }
    found.unwrap_or(0)
}

/// What one catalog decides.
struct Sketch {
    closure: Closure,
    kinds: BTreeMap<TableName, TableKind>,
    uniques: Vec<PlannedUnique>,
}

/// The part of a plan that one catalog decides.
fn sketch(catalog: &Catalog, wishes: &Wishes, sites: usize, draft: &mut Draft) -> Result<Sketch> {
    tables::check_rules(catalog, wishes, draft);
    let found = closure::find(catalog, wishes, draft)?;
    let kinds = tables::kinds(catalog, wishes, &found, draft);
    let closure = closure::complete(catalog, &found, &kinds, wishes, draft);
    tables::check_reference(catalog, &closure, draft);
    shared::check(catalog, &closure, draft);
    if sites > 1 {
        reference::check_keys(catalog, &closure, draft);
        reference::check_actions(catalog, &kinds, draft);
    }
    tables::check_owned(catalog, &closure, draft);
    let uniques = constraints::uniques(catalog, &closure, wishes, sites, draft);
    Ok(Sketch { closure, kinds, uniques })
}

/// What one catalog says of a plan for several sites: who owns what, and what is refused, edges
/// between people left aside.
pub(crate) fn outline(catalog: &Catalog, wishes: &Wishes) -> Result<(Closure, Vec<Refusal>)> {
    let mut draft = Draft::default();
    let catalog = soft_keys::without(catalog, wishes);
    let sketch = sketch(&catalog, wishes, 2, &mut draft)?;
    Ok((sketch.closure, draft.refused))
}

/// The site whose schema stands for all: the first, in the user's order, that has the root table
/// and the most rows in it.
fn template(sites: &[Arc<dyn Site>], catalogs: &[Catalog], wishes: &Wishes) -> Result<usize> {
    let rows = |at: usize| catalogs[at].find(&wishes.subjects).map(|table| table.rows);
    let best = (0..catalogs.len())
        .filter(|at| rows(*at).is_some())
        .max_by_key(|at| (rows(*at), std::cmp::Reverse(*at)));
    best.ok_or_else(|| {
        let names: Vec<String> =
            catalogs.iter().flat_map(|c| c.tables.iter().map(|t| t.name.to_string())).collect();
        let near = names
            .iter()
            .min_by_key(|name| domicile_model::nearness(name, &wishes.subjects))
            .map_or_else(
                || {
                    format!(
                        "no site has a table at all; is {} the right database?",
                        sites[0].name()
                    )
                },
                |name| format!("the nearest name is {name}; set [subjects] table"),
            );
        Error::refused(format!("no site has a table {}", wishes.subjects), near)
    })
}

fn check_engines(sites: &[Arc<dyn Site>], draft: &mut Draft) {
    for site in &sites[1..] {
        if site.form() != sites[0].form() {
            draft.refuse(
                "sites",
                format!("{} and {} run different databases", sites[0].name(), site.name()),
                "among sites on PostgreSQL, a site on SQLite must be opened as one that people leave",
            );
        }
    }
}
