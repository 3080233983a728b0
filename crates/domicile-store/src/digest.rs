//! Digests over rows, in whatever order a site reads them.

use crate::site::TableDigest;

/// The sum of rows' SHA-256 digests modulo 2²⁵⁶, and their number.
///
/// A sum needs neither order nor memory, counts a row that stands twice twice, and is read by both
/// engines alike. It finds what went wrong; both readings are the mover's own, so nobody has
/// to be kept from forging one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    rows: u64,
    /// From the least significant.
    limbs: [u64; 4],
}

impl Sum {
    /// Adds a row.
    pub(crate) fn add(&mut self, digest: [u8; 32]) {
        self.rows += 1;
        let mut carry = false;
        let (parts, _) = digest.as_chunks::<8>();
        for (limb, part) in self.limbs.iter_mut().zip(parts) {
            let (sum, over) = limb.overflowing_add(u64::from_le_bytes(*part));
            let (sum, over_again) = sum.overflowing_add(u64::from(carry));
            *limb = sum;
            carry = over || over_again;
        }
    }

    /// How many rows.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// The sum, little-endian.
    pub(crate) fn bytes(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        let (parts, _) = bytes.as_chunks_mut::<8>();
        for (part, limb) in parts.iter_mut().zip(self.limbs) {
            *part = limb.to_le_bytes();
        }
        bytes
    }

    /// The digest of a table.
    pub(crate) fn of_table(&self, table: usize) -> TableDigest {
        TableDigest { table, rows: self.rows, sum: self.bytes() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_carry_goes_through_every_limb() {
        let mut sum = Sum::default();
        sum.add([0xff; 32]);
        let mut one = [0; 32];
        one[0] = 1;
        sum.add(one);
        assert_eq!((sum.rows(), sum.bytes()), (2, [0; 32]));
    }

    proptest! {
        #[test]
        fn order_is_nothing_and_number_everything(
            digests in prop::collection::vec(any::<[u8; 32]>(), 1..20), at in any::<prop::sample::Index>()
        ) {
            let sum_of = |digests: &[[u8; 32]]| {
                let mut sum = Sum::default();
                digests.iter().for_each(|digest| sum.add(*digest));
                sum
            };
            let mut turned = digests.clone();
            turned.rotate_left(at.index(digests.len()));
            prop_assert_eq!(sum_of(&digests), sum_of(&turned));
            turned.push(digests[0]);
            prop_assert_ne!(sum_of(&digests), sum_of(&turned));
        }
    }
}
