//! Partitions, whose table stands for them: what must hold of each.

use super::Draft;
use domicile_store::catalog::{Shape, Table};
use domicile_store::{Catalog, TableName};

/// The partitions of a table at every level.
fn partitions<'c>(catalog: &'c Catalog, table: &TableName) -> Vec<(&'c Table, &'c str)> {
    let mut found: Vec<(&Table, &str)> = Vec::new();
    for partition in &catalog.tables {
        if let Shape::PartitionOf { parent, bound } = &partition.shape
            && parent == table
        {
            found.push((partition, bound));
            found.extend(partitions(catalog, &partition.name));
        }
    }
    found
}

/// A table is moved through its root; what is said of one partition alone holds for its rows.
pub(super) fn check(catalog: &Catalog, table: &Table, draft: &mut Draft) {
    for (partition, _) in partitions(catalog, &table.name) {
        let own = partition.foreign_keys.iter().map(|key| {
            format!(
                "its foreign key {} is not the whole table's, and is checked for no row that moves",
                key.name
            )
        });
        for why in partition.obstacles.iter().cloned().chain(own) {
            draft.refuse(
                table.name.to_string(),
                format!("partition {}: {why}", partition.name),
                "change it before the move",
            );
        }
    }
}

/// Rows of a partition need one at every site they can come to.
pub(super) fn missing(
    here: &Catalog,
    there: &Catalog,
    table: &Table,
    other: &Table,
) -> Vec<String> {
    if table.shape != other.shape {
        return Vec::new();
    }
    let known = partitions(there, &other.name);
    let of = |partition: &Table| match &partition.shape {
        Shape::PartitionOf { parent, .. } => parent.clone(),
        _ => partition.name.clone(),
    };
    partitions(here, &table.name)
        .into_iter()
        .filter(|(partition, bound)| {
            let takes = |(known, other): &(&Table, &str)| {
                of(known) == of(partition) && (other == bound || *other == "DEFAULT")
            };
            !known.iter().any(takes)
        })
        .map(|(partition, bound)| format!("it has no partition {bound}, as {}", partition.name))
        .collect()
}
