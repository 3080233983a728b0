//! Comparing what two sites read by themselves.

use domicile_store::TableDigest;
use std::collections::{BTreeMap, BTreeSet};

/// What a comparison found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Rows that stand at the source and were compared.
    pub rows: u64,
    /// Tables, by place, in which the sites differ.
    pub mismatches: BTreeSet<usize>,
}

impl Comparison {
    /// Whether both sites have the same.
    pub fn is_equal(&self) -> bool {
        self.mismatches.is_empty()
    }
}

/// Compares the digests of two sites. A table that one side leaves out has no rows there.
pub fn compare(source: &[TableDigest], target: &[TableDigest]) -> Comparison {
    let by_place = |digests: &[TableDigest]| -> BTreeMap<usize, (u64, [u8; 32])> {
        let digests = digests.iter().filter(|digest| digest.rows > 0);
        digests.map(|digest| (digest.table, (digest.rows, digest.sum))).collect()
    };
    let (source, target) = (by_place(source), by_place(target));
    let mut comparison =
        Comparison { rows: source.values().map(|(rows, _)| rows).sum(), ..Comparison::default() };
    for place in source.keys().chain(target.keys()) {
        if source.get(place) != target.get(place) {
            comparison.mismatches.insert(*place);
        }
    }
    comparison
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(table: usize, rows: u64, byte: u8) -> TableDigest {
        TableDigest { table, rows, sum: [byte; 32] }
    }

    #[test]
    fn equal_sites_are_equal() {
        let digests = [digest(0, 1, 7), digest(1, 3, 8)];
        let comparison = compare(&digests, &digests);
        assert!(comparison.is_equal());
        assert_eq!(comparison.rows, 4);
    }

    #[test]
    fn a_changed_value_a_missing_and_an_extra_table_are_found() {
        let source = [digest(0, 1, 7), digest(1, 3, 8), digest(2, 1, 9)];
        let target = [digest(0, 1, 7), digest(1, 3, 5), digest(3, 1, 9)];
        assert_eq!(compare(&source, &target).mismatches, [1, 2, 3].into());
    }

    #[test]
    fn no_rows_and_no_line_are_the_same() {
        assert!(compare(&[digest(1, 0, 0)], &[]).is_equal());
    }
}
