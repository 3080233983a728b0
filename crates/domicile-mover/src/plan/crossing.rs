//! Sites on SQLite among sites on PostgreSQL: one schema for both, and what cannot cross.

use super::Draft;
use domicile_model::SiteName;
use domicile_store::crossing::{agree, obstacles};
use domicile_store::{Catalog, Closure, Site, Table, TableName};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What about each table does not agree or cannot cross, with what to do about it.
pub(super) type Doubts = BTreeMap<TableName, Vec<(String, String)>>;

/// Whether people can only leave a site: it speaks another engine's form than its own.
pub(crate) fn is_only_left(site: &dyn Site) -> bool {
    site.form() != site.engine()
}

/// Gives the catalogs of sites that people only leave the definitions of PostgreSQL, where a site
/// there has the table already and both agree.
pub(super) fn align(sites: &[Arc<dyn Site>], catalogs: &mut [Catalog]) -> Doubts {
    let mut doubts = Doubts::new();
    let (left, stay): (Vec<usize>, Vec<usize>) =
        (0..sites.len()).partition(|at| is_only_left(sites[*at].as_ref()));
    for at in left {
        for place in 0..catalogs[at].tables.len() {
            let table = catalogs[at].tables[place].clone();
            let found = doubts.entry(table.name.clone()).or_default();
            let mut shared: Option<Table> = None;
            for other in &stay {
                let (site, there) = (sites[*other].name(), &mut catalogs[*other]);
                if let Some(known) = there.table(&table.name) {
                    let (agreed, differing) = agree(&table, known);
                    share_exactness(&agreed, there);
                    if !differing.is_empty() {
                        found.push(differs(site, &differing.join("; ")));
                    }
                    found.extend(obstacles(&agreed, true));
                    let taken = if differing.is_empty() { agreed } else { table.clone() };
                    shared.get_or_insert(taken);
                } else if let Some(name) = namesake(there, &table.name) {
                    found.push(differs(site, &format!("it is called {name} there")));
                }
            }
            if shared.is_none() {
                found.extend(obstacles(&table, false));
            }
            found.sort();
            found.dedup();
            catalogs[at].tables[place] = shared.unwrap_or(table);
        }
    }
    doubts
}

fn differs(site: &SiteName, why: &str) -> (String, String) {
    let hint = "make the tables agree; docs/sqlite-to-postgres.md says what becomes what";
    (format!("it differs at site {site}: {why}"), hint.to_owned())
}

/// A table whose name differs in case only: at SQLite both names mean the same table.
fn namesake<'a>(catalog: &'a Catalog, name: &TableName) -> Option<&'a TableName> {
    let names = catalog.tables.iter().map(|table| &table.name);
    names
        .filter(|other| other.schema == name.schema)
        .find(|other| other.name.eq_ignore_ascii_case(&name.name))
}

/// A key names somebody exactly only where it does so at both ends.
fn share_exactness(agreed: &Table, catalog: &mut Catalog) {
    let Some(table) = catalog.tables.iter_mut().find(|table| table.name == agreed.name) else {
        return;
    };
    for column in &mut table.columns {
        let shared = agreed.column(&column.name);
        column.exact_text &= shared.is_none_or(|shared| shared.exact_text);
    }
}

/// Nothing arrives at a site that people only leave, so that reference tables can be written there
/// and nowhere else.
pub(super) fn check_reference(
    sites: &[Arc<dyn Site>],
    reference_site: usize,
    closure: &Closure,
    draft: &mut Draft,
) {
    let others = sites.iter().enumerate().filter(|(at, _)| *at != reference_site);
    for (_, site) in others.filter(|(_, site)| is_only_left(site.as_ref())) {
        if let Some(table) = closure.reference.first() {
            draft.refuse(
                "sites",
                format!(
                    "reference tables, as {}, are written at {}, and site {} on SQLite takes nothing \
                     from there",
                    table.name,
                    sites[reference_site].name(),
                    site.name()
                ),
                format!("set [reference] site = \"{}\"", site.name()),
            );
        }
    }
}

/// Refuses what cannot cross, and says what is lost where tables are made anew.
pub(super) fn check(
    sites: &[Arc<dyn Site>],
    catalogs: &[Catalog],
    template: usize,
    closure: &Closure,
    doubts: &Doubts,
    draft: &mut Draft,
) {
    if !sites.iter().any(|site| is_only_left(site.as_ref())) {
        return;
    }
    let mut made: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let owned = closure.tables().map(|table| &table.name);
    for name in owned.chain(closure.reference.iter().map(|table| &table.name)) {
        let found = doubts.get(name).map(Vec::as_slice).unwrap_or_default();
        if !found.is_empty() {
            // Compared as if both were of one engine, they differ in every word.
            let what = name.to_string();
            let is_plain = |why: &str| why.starts_with("it differs at site");
            draft.refused.retain(|refusal| refusal.what != what || !is_plain(&refusal.why));
        }
        for (why, hint) in found {
            draft.refuse(name.to_string(), why, hint);
        }
        let Some(table) = catalogs[template].table(name) else { continue };
        if let Some(site) = check_table(sites, catalogs, table, draft) {
            made.entry(site).or_default().push(name.to_string());
        }
    }
    for (site, tables) in made {
        draft.warnings.push(format!(
            "prepare makes {} at {site}; they will belong to the mover's role: grant the \
             application its rights there",
            tables.join(", ")
        ));
    }
}

/// What is said of one table; returns the sites where it is made from SQLite's words.
fn check_table(
    sites: &[Arc<dyn Site>],
    catalogs: &[Catalog],
    table: &Table,
    draft: &mut Draft,
) -> Option<String> {
    let (mut stands, mut made_at) = (false, Vec::new());
    for (site, catalog) in sites.iter().zip(catalogs) {
        let has_it = catalog.table(&table.name).is_some();
        match (is_only_left(site.as_ref()), has_it) {
            (true, false) => draft.refuse(
                table.name.to_string(),
                format!("site {} on SQLite has no such table", site.name()),
                "people only leave that site; make the table there, or leave the site out",
            ),
            (false, true) => stands = true,
            (false, false) => made_at.push(site.name().to_string()),
            (true, true) => {}
        }
    }
    if made_at.is_empty() || stands {
        return None;
    }
    let made_at = made_at.join(", ");
    let name = &table.name;
    for text in &table.left_out {
        draft.warnings.push(format!("{name}, which prepare makes at {made_at}: {text}"));
    }
    Some(made_at)
}
