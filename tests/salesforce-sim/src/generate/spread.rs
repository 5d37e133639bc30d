//! How many records each case has, and which of them is which: a byte a case, and a running sum every few.

use crate::store::Handle;

/// Cases whose counts are added up together.
const BLOCK: usize = 64;

/// Records of one part over all cases.
#[derive(Debug, Default)]
pub(super) struct Spread {
    counts: Box<[u8]>,
    /// Records before each block, and at the end all of them.
    sums: Box<[Handle]>,
}

impl Spread {
    pub(super) fn new(counts: Vec<u8>) -> Self {
        let mut sums = Vec::with_capacity(counts.len() / BLOCK + 2);
        let mut total = 0;
        for block in counts.chunks(BLOCK) {
            sums.push(total);
            total += block.iter().map(|count| Handle::from(*count)).sum::<Handle>();
        }
        sums.push(total);
        Self { counts: counts.into(), sums: sums.into() }
    }

    /// All records.
    pub(super) fn total(&self) -> Handle {
        self.sums.last().copied().unwrap_or(0)
    }

    /// The first record of a case; for the number after the last case, the number of all records.
    pub(super) fn start(&self, case: u32) -> Handle {
        let case = case as usize;
        let block = case / BLOCK;
        let Some(before) = self.sums.get(block) else { return self.total() };
        let from = (block * BLOCK).min(self.counts.len());
        before
            + self.counts[from..case.min(self.counts.len())]
                .iter()
                .map(|count| Handle::from(*count))
                .sum::<Handle>()
    }

    /// The case of a record, and its place among that case's. The record must exist.
    pub(super) fn locate(&self, handle: Handle) -> (u32, usize) {
        let block = self.sums.partition_point(|before| *before <= handle) - 1;
        let mut left = handle - self.sums[block];
        let mut case = block * BLOCK;
        while left >= Handle::from(self.counts[case]) {
            left -= Handle::from(self.counts[case]);
            case += 1;
        }
        (u32::try_from(case).unwrap_or(u32::MAX), left as usize)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_record_is_where_its_case_begins(counts in prop::collection::vec(0_u8..5, 0..400)) {
            let spread = Spread::new(counts.clone());
            let mut handle = 0;
            for (case, count) in (0..).zip(&counts) {
                prop_assert_eq!(spread.start(case), handle);
                for place in 0..usize::from(*count) {
                    prop_assert_eq!(spread.locate(handle), (case, place));
                    handle += 1;
                }
            }
            prop_assert_eq!(spread.total(), handle);
            prop_assert_eq!(spread.start(u32::try_from(counts.len()).unwrap()), handle);
        }
    }
}
