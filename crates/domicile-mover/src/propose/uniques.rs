//! Unique constraints once people live at several sites.

use super::owners::Owned;
use super::{Accepted, TableProposal};
use domicile_model::category::column::Family;
use domicile_store::catalog::{Table, Unique};

/// Begins the reason of a constraint that goes on holding everywhere.
pub(super) const SAFE: &str = "still holds everywhere";

/// Accepts each unique constraint of an owned table by name, with what that means.
pub(super) fn accept(table: &Table, root: &Table, owned: &[Owned], proposal: &mut TableProposal) {
    let Some(found) = owned.iter().find(|found| found.name == table.name) else { return };
    let edge = found.way.as_ref().map(|way| way.columns.as_slice()).unwrap_or_default();
    let mut accepted = Vec::new();
    for unique in &table.uniques {
        let columns: Vec<String> =
            columns(unique).into_iter().filter(|name| table.column(name).is_some()).collect();
        let has_all =
            |names: &[String]| !names.is_empty() && names.iter().all(|name| columns.contains(name));
        let is_uuid = |name: &String| {
            table.column(name).is_some_and(|column| Family::of(&column.type_name) == Family::Uuid)
        };
        let is_secret = |name: &String| {
            let mut found = proposal.categories.iter().filter(|found| &found.column == name);
            found.any(|found| found.category.as_str() == "user.authorization.credentials")
        };
        let reason = if has_all(edge) {
            format!("{SAFE}: it holds for each {} by itself", edge.join(", "))
        } else if table.name == root.name && has_all(&root.primary_key) {
            format!("{SAFE}: it holds the key")
        } else if columns.iter().any(is_uuid) {
            format!("{SAFE}: a uuid does not come twice")
        } else if columns.iter().any(is_secret) {
            format!("{SAFE}: secrets are drawn at random")
        } else {
            let shown =
                if columns.is_empty() { "its expression".to_owned() } else { columns.join(", ") };
            format!("{shown}: unique at each site only")
        };
        accepted.push(Accepted { names: vec![unique.name.clone()], reason });
    }
    proposal.unique_per_site = accepted;
}

/// The columns of a constraint, as far as its definition is a plain list.
fn columns(unique: &Unique) -> Vec<String> {
    let Some((_, list)) = unique.definition.split_once('(') else { return Vec::new() };
    let list = list.split(')').next().unwrap_or_default();
    list.split(',')
        .map(|term| term.trim().split(' ').next().unwrap_or_default())
        .map(|name| name.trim_matches(['"', '[', ']', '`']).to_owned())
        .filter(|name| !name.is_empty())
        .collect()
}
