//! Records that belong to a case, in general.

use std::ops::Range;

use super::blueprint::Blueprint;
use super::parts::Part;
use super::random::Random;
use super::story::Story;
use crate::id::SfId;
use crate::store::Handle;

/// A record of a case, by its place among those of its part.
pub(super) struct Child<'b> {
    pub(super) story: Story<'b>,
    pub(super) place: usize,
}

impl<'b> Child<'b> {
    pub(super) fn new(plan: &'b Blueprint, part: Part, handle: Handle) -> Self {
        let (case, place) = plan.spreads[part as usize].locate(handle);
        Self { story: Story::new(plan, case), place }
    }

    /// A stream of this record for one purpose.
    pub(super) fn stream(&self, purpose: u64) -> Random {
        self.story.stream_at(purpose, self.place)
    }
}

impl Blueprint {
    /// The records of a part that belong to a case.
    fn range(&self, part: Part, case: u32) -> Range<Handle> {
        let spread = &self.spreads[part as usize];
        spread.start(case)..spread.start(case + 1)
    }

    /// Where the records of a part lie that point to this one: with its case, its customer or its account.
    pub(super) fn near(&self, part: Part, parent: SfId) -> Option<Vec<Range<Handle>>> {
        if let Some(case) = self.case_of(parent) {
            return Some(vec![self.range(part, case)]);
        }
        let cases = self.cases_around(parent)?;
        Some(cases.into_iter().map(|case| self.range(part, case)).collect())
    }
}

/// The parts of [`super::born::Kind`] that every child of a case answers alike.
macro_rules! belongs_to_case {
    ($object:literal, $part:expr, $row:ident) => {
        type Row<'b> = $row<'b>;
        const OBJECT: &'static str = $object;

        fn count(plan: &$crate::generate::blueprint::Blueprint) -> $crate::store::Handle {
            plan.spreads[$part as usize].total()
        }

        fn row(plan: &$crate::generate::blueprint::Blueprint, handle: $crate::store::Handle) -> $row<'_> {
            $row::from($crate::generate::child::Child::new(plan, $part, handle))
        }

        fn near(
            plan: &$crate::generate::blueprint::Blueprint,
            parent: $crate::id::SfId,
        ) -> Option<Vec<std::ops::Range<$crate::store::Handle>>> {
            plan.near($part, parent)
        }
    };
}

pub(super) use belongs_to_case;
