//! Which territories have a city of a name.
//!
//! The table is GeoNames' (licence CC BY 4.0), reduced to what the question needs by
//! `cargo xtask cities`; its first lines say more. It is sorted and searched as it stands.

use std::cmp::Ordering;

use crate::territory::Territory;

use super::EvidenceKind;
use super::fold::spell_out;

/// How many times as many people must live in one territory's cities of a name as in the next
/// one's, for the name alone to mean the first. Measured: see docs/configuration.md.
const GAP_MIN: u32 = 10;

/// In hundreds: below it a place is so small that its name may as well be a word or a surname.
const SMALL_MAX: u32 = 150;

/// In hundreds: a city so big that a region elsewhere does not overrule it.
const BIG_MIN: u32 = 2_000;

static TABLE: &str = include_str!("cities.tsv");

/// The territories with a city of one name: "FR21385 US743 CA123", most people first, in hundreds,
/// or "DE" where only small towns of one territory bear it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cities(&'static str);

impl Cities {
    /// Looks a folded name up, as it is and without its article.
    pub(super) fn named(folded: &str) -> Option<Cities> {
        let name = spell_out(folded);
        find(&name).or_else(|| find(name.strip_prefix("the ")?)).map(Cities)
    }

    /// The territories with the people in cities of the name, in hundreds, most first; 0 where
    /// they are few and nobody else's.
    pub(super) fn iter(self) -> impl Iterator<Item = (Territory, u32)> {
        self.0.split(' ').filter_map(|entry| {
            let (code, people) = entry.split_at_checked(2)?;
            Some((Territory::from_alpha2(code)?, people.parse().unwrap_or(0)))
        })
    }

    /// Whether only small towns bear the name.
    pub(super) fn is_small(self) -> bool {
        self.iter().next().is_none_or(|(_, people)| people < SMALL_MAX)
    }

    /// Whether the name is that of a big city somewhere.
    pub(super) fn is_big(self) -> bool {
        self.iter().next().is_some_and(|(_, people)| people >= BIG_MIN)
    }

    /// Whether a territory has a city of the name.
    pub(super) fn has(self, territory: Territory) -> bool {
        self.0.split(' ').any(|entry| entry.starts_with(territory.as_str()))
    }
}

/// The territory that a name means when it can be told: the only one of the list, or the one with
/// nearly all the people. The list is sorted as in [`Cities::iter`].
pub(super) fn choose(
    mut territories: impl Iterator<Item = (Territory, u32)>,
) -> Option<(EvidenceKind, Territory)> {
    let (first, most) = territories.next()?;
    match territories.next() {
        None => Some((EvidenceKind::City, first)),
        Some((_, next)) if most / GAP_MIN >= next => Some((EvidenceKind::LargestCity, first)),
        Some(_) => None,
    }
}

/// Halves the table between ends of lines until the name's line is found.
fn find(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        return None;
    }
    let mut rest = TABLE;
    while !rest.is_empty() {
        let bytes = rest.as_bytes();
        let middle = bytes.len() / 2;
        let from =
            bytes.iter().take(middle).rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        let length = bytes.iter().skip(from).position(|&byte| byte == b'\n');
        let to = length.map_or(bytes.len(), |length| from + length);
        let line = rest.get(from..to)?;
        let (known, territories) = line.split_once('\t').unwrap_or((line, ""));
        match known.cmp(name) {
            Ordering::Equal => return Some(territories),
            Ordering::Less => rest = rest.get(to + 1..).unwrap_or_default(),
            Ordering::Greater => rest = rest.get(..from)?,
        }
    }
    None
}
