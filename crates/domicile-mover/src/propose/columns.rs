//! What the columns of each table hold.

use super::kinds::{Kinds, is_personal};
use super::{ColumnCategory, Look, names};
use crate::plan::TableKind;
use domicile_model::Category;
use domicile_model::category::column::{ColumnFacts, Context, judge};
use domicile_store::catalog::Table;

/// The categories of a table's columns; none of a table that says nothing of anybody.
pub(super) fn categories(
    look: &Look,
    root: &Table,
    kinds: &Kinds,
    table: &Table,
) -> Vec<ColumnCategory> {
    let context = match kinds.of(&table.name) {
        Some(TableKind::Reference) => return Vec::new(),
        _ if table.name == root.name => Context::Person,
        Some(TableKind::Owned) if is_about_one(table) => Context::Person,
        Some(TableKind::Owned | TableKind::Shared) => Context::Owned,
        Some(TableKind::Internal) | None if is_personal(look, table) => {
            if names::is_staff(&table.name.name) { Context::Person } else { Context::Owned }
        }
        Some(TableKind::Internal) | None => return Vec::new(),
    };
    let sample = look.samples.get(&table.name);
    let mut found: Vec<ColumnCategory> = Vec::new();
    for column in &table.columns {
        let values = sample.map(|sample| sample.values(&column.name)).unwrap_or_default();
        let (name, type_name) = (column.name.as_str(), column.type_name.as_str());
        let judged = judge(ColumnFacts { name, type_name, context, values: &values });
        let is_key = table.name == root.name && root.primary_key.contains(&column.name);
        let key: Option<Category> = "user.unique_id".parse().ok();
        let written = |category: Category, reason: String, doubtful: bool| ColumnCategory {
            column: column.name.clone(),
            category,
            reason,
            doubtful,
        };
        match (judged, key) {
            (Some(judged), _) => {
                found.push(written(judged.category, judged.reason, judged.doubtful));
            }
            (None, Some(key)) if is_key => {
                found.push(written(key, "names the person".into(), false))
            }
            _ => {}
        }
    }
    found
}

/// Whether a table has one row per person beside the root's: its key is what leads to them.
fn is_about_one(table: &Table) -> bool {
    let is_key = |key: &domicile_store::ForeignKey| key.columns == table.primary_key;
    names::people(&table.name.name).is_some() || table.foreign_keys.iter().any(is_key)
}
