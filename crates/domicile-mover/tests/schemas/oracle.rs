//! What belongs to whom, found by brute force: whoever names a row of somebody's is theirs too, until
//! nothing is added. Knows no levels, no owner's edge and no catalog.

use super::generate::Schema;
use std::collections::BTreeSet;

/// A row, by its table's place and its key as the server prints it.
pub(crate) type RowName = (usize, Vec<String>);

/// Every row of one person, who is a row of the first table.
pub(crate) fn closure(schema: &Schema, person: usize) -> BTreeSet<RowName> {
    let mut found = BTreeSet::from([(0, person)]);
    loop {
        let before = found.len();
        for (at, table) in schema.tables.iter().enumerate() {
            for (place, row) in table.rows.iter().enumerate() {
                let names_one = table.references.iter().zip(&row.targets).any(|(to, target)| {
                    target.is_some_and(|target| found.contains(&(to.to, target)))
                });
                if names_one && (at > 0 || place == person) {
                    found.insert((at, place));
                }
            }
        }
        if found.len() == before {
            break;
        }
    }
    found
        .into_iter()
        .map(|(at, place)| (at, schema.tables[at].rows[place].key(&schema.tables[at])))
        .collect()
}
