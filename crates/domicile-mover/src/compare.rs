//! Comparing what two sites read by themselves.

use domicile_model::Subject;
use domicile_store::TableDigest;
use std::collections::{BTreeMap, BTreeSet};

/// What a comparison found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Rows that stand at the source and were compared.
    pub rows: u64,
    /// Tables, by place, in which the sites differ, with the person where one is known.
    pub mismatches: BTreeSet<(Option<Subject>, usize)>,
}

impl Comparison {
    /// Whether both sites have the same.
    pub fn is_equal(&self) -> bool {
        self.mismatches.is_empty()
    }
}

/// Compares the digests of two sites. A table that one side leaves out has no rows there.
pub fn compare(source: &[TableDigest], target: &[TableDigest]) -> Comparison {
    let by_place =
        |digests: &[TableDigest]| -> BTreeMap<(Option<Subject>, usize), (u64, [u8; 32])> {
            digests
                .iter()
                .filter(|digest| digest.rows > 0)
                .map(|digest| {
                    ((digest.subject.clone(), digest.table), (digest.rows, digest.sha256))
                })
                .collect()
        };
    let (source, target) = (by_place(source), by_place(target));
    let mut comparison =
        Comparison { rows: source.values().map(|(rows, _)| rows).sum(), ..Comparison::default() };
    for place in source.keys().chain(target.keys()) {
        if source.get(place) != target.get(place) {
            comparison.mismatches.insert(place.clone());
        }
    }
    comparison
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(subject: &str, table: usize, rows: u64, byte: u8) -> TableDigest {
        TableDigest { table, subject: Some(Subject::new(subject)), rows, sha256: [byte; 32] }
    }

    #[test]
    fn equal_sites_are_equal() {
        let digests = [digest("1", 0, 1, 7), digest("1", 1, 3, 8)];
        let comparison = compare(&digests, &digests);
        assert!(comparison.is_equal());
        assert_eq!(comparison.rows, 4);
    }

    #[test]
    fn a_changed_value_a_missing_and_an_extra_table_are_found() {
        let source = [digest("1", 0, 1, 7), digest("1", 1, 3, 8), digest("2", 0, 1, 9)];
        let target = [digest("1", 0, 1, 7), digest("1", 1, 3, 5), digest("3", 0, 1, 9)];
        let found = compare(&source, &target).mismatches;
        let place = |subject: &str, table| (Some(Subject::new(subject)), table);
        assert_eq!(found, [place("1", 1), place("2", 0), place("3", 0)].into());
    }

    #[test]
    fn no_rows_and_no_line_are_the_same() {
        assert!(compare(&[digest("1", 1, 0, 0)], &[]).is_equal());
    }
}
