//! Whether records that Salesforce does not answer with any more may be removed. Pure.
//!
//! "Zero rows" is the most dangerous answer there is: a record that was purged and one that is no longer shared look
//! alike. Few are believed when they are missed twice in a row, for what
//! comes back is live again. Of many, nothing is removed before a second proof:
//! a fresh describe, a count that agrees, and the same ids missing again some minutes later. Where the log of deletions
//! was followed without a gap it is the strongest witness: what it does not name was not deleted, so access was taken away.

use crate::error::UserMessage;
use crate::record::StateReason;

/// So many are few, unless they are half of all.
const FEW: u64 = 20;
/// And so is one of this many.
const ONE_OF: u64 = 100;
/// Looks at what is missing before a person is asked.
const MOST_LOOKS: u32 = 5;

/// What the log of deletions says of what is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Log {
    /// It was followed without a gap since before the last sweep and names none of them: they were not deleted.
    Denies,
    /// It was followed so far without a gap, but not yet to the moment at which they were missed.
    Pending,
    /// There is none, or it has a gap.
    Silent,
}

/// What the org says of the object as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proof {
    /// The object and its key fields are still in the describe.
    pub described: bool,
    /// `COUNT()`, deleted and archived ones included; none where it takes too long.
    pub count: Option<u64>,
}

/// What a sweep found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// Records that were live here and asked for.
    pub asked: u64,
    /// Records that were answered, in any state: of those here, or with a scan, all that Salesforce shows.
    pub answered: u64,
    /// Of those asked for, not answered.
    pub missing: u64,
    /// What the log of deletions says of them.
    pub log: Log,
    /// How often the missing ones were looked for.
    pub looks: u32,
    /// Records that left with their ticket and are not asked for; the org counts them.
    pub let_go: u64,
    /// All of the object's history is here, so that `COUNT()` cannot be much larger than what was answered.
    pub whole: bool,
    /// Taken when they are many.
    pub proof: Option<Proof>,
}

/// What is done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// Nothing is missing.
    Nothing,
    /// They become tombstones or stubs for this reason.
    Remove(StateReason),
    /// The proof is to be taken.
    Prove,
    /// They are looked for again at once: one answer alone is never believed.
    LookNow,
    /// They are looked for again, some minutes later.
    LookAgain,
    /// A person is asked; nothing is removed.
    Ask(Doubt),
}

/// Why nothing is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// The describe lacks the object or its key fields.
    NotDescribed,
    /// `COUNT()` gives nothing.
    NothingVisible,
    /// The log of deletions names none of them.
    NotDeleted,
    /// `COUNT()` never agreed.
    CountDiffers,
}

/// Decides.
#[must_use]
pub fn decide(found: &Found) -> Removal {
    if found.missing == 0 {
        return Removal::Nothing;
    }
    let log_may_tell = found.log == Log::Pending && found.looks < MOST_LOOKS;
    if are_few(found) {
        return match (log_may_tell, found.looks, found.log) {
            (true, ..) => Removal::LookAgain,
            (false, ..2, _) => Removal::LookNow,
            (false, _, Log::Denies) => Removal::Remove(StateReason::NotVisible),
            (false, _, Log::Pending | Log::Silent) => Removal::Remove(StateReason::Purged),
        };
    }
    let Some(proof) = found.proof else { return Removal::Prove };
    if !proof.described {
        return Removal::Ask(Doubt::NotDescribed);
    }
    if proof.count == Some(0) {
        return Removal::Ask(Doubt::NothingVisible);
    }
    if found.log == Log::Denies {
        return Removal::Ask(Doubt::NotDeleted);
    }
    match (agrees(found, proof.count), found.looks) {
        _ if log_may_tell => Removal::LookAgain,
        (true, 2..) => Removal::Remove(StateReason::Purged),
        (false, MOST_LOOKS..) => Removal::Ask(Doubt::CountDiffers),
        (true | false, _) => Removal::LookAgain,
    }
}

fn are_few(found: &Found) -> bool {
    let Found { missing, asked, .. } = *found;
    missing.saturating_mul(ONE_OF) <= asked || (missing <= FEW && missing.saturating_mul(2) <= asked)
}

/// Records come and go while a sweep walks, so a count is believed within a tenth; of a count that holds half of the
/// missing ones as well, the missing are not believed.
fn agrees(found: &Found, count: Option<u64>) -> bool {
    let Some(count) = count else { return false };
    let slack = found.answered / 10;
    count >= found.answered.saturating_sub(slack)
        && (!found.whole || count <= found.answered + found.let_go + slack.max(found.missing / 2))
}

impl Doubt {
    /// What a person is told.
    #[must_use]
    pub fn ask(self, object: &str, found: &Found) -> UserMessage {
        let what = format!(
            "Salesforce no longer shows {} of {} records of {object}. Refrain has removed none of them.",
            found.missing, found.asked
        );
        let fix = format!(
            "If the integration user should still see them, restore its access: Read and View All Records on {object}, or \
             the sharing rules that covered it. Then press Sync now, and they are looked for again. If they were deleted on \
             purpose, tell the operator."
        );
        let (code, why) = match self {
            Self::NotDescribed => (
                "SWEEP_NOT_DESCRIBED",
                format!("The integration user may no longer read {object} or the fields that identify its records."),
            ),
            Self::NothingVisible => (
                "SWEEP_NOTHING_VISIBLE",
                format!("The integration user sees no record of {object} at all, which is how lost access looks."),
            ),
            Self::NotDeleted => (
                "SWEEP_NOT_DELETED",
                "Salesforce's log of deletions names none of them, so the integration user's access to them was taken away."
                    .to_owned(),
            ),
            Self::CountDiffers => (
                "SWEEP_COUNT_DIFFERS",
                "Salesforce counts other numbers than it answers with, so neither is believed.".to_owned(),
            ),
        };
        UserMessage::new(code, what, why, fix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(asked: u64, missing: u64) -> Found {
        let answered = asked - missing;
        Found { asked, answered, missing, log: Log::Silent, looks: 1, let_go: 0, whole: true, proof: None }
    }

    fn proved(asked: u64, missing: u64, looks: u32, count: Option<u64>) -> Removal {
        let proof = Some(Proof { described: true, count });
        decide(&Found { looks, proof, ..found(asked, missing) })
    }

    #[test]
    fn few_are_believed_when_seen_twice_and_for_the_reason_that_the_log_gives() {
        assert_eq!(decide(&found(10_000, 0)), Removal::Nothing);
        for (asked, missing) in [(10_000, 100), (200, 20)] {
            let few = |looks, log| decide(&Found { log, looks, ..found(asked, missing) });
            assert_eq!(few(1, Log::Silent), Removal::LookNow, "one answer may lie");
            assert_eq!(few(2, Log::Silent), Removal::Remove(StateReason::Purged));
            assert_eq!(few(2, Log::Denies), Removal::Remove(StateReason::NotVisible));
            assert_eq!(few(2, Log::Pending), Removal::LookAgain, "the log may still name them");
            assert_eq!(few(5, Log::Pending), Removal::Remove(StateReason::Purged));
        }
    }

    #[test]
    fn all_of_a_small_object_are_many() {
        for (asked, missing) in [(1, 1), (15, 15), (30, 20), (10_000, 101), (1_000, 21)] {
            assert_eq!(decide(&found(asked, missing)), Removal::Prove, "{missing} of {asked}");
        }
    }

    #[test]
    fn many_are_removed_after_a_second_look_with_a_count_that_agrees() {
        assert_eq!(proved(6_000, 5_000, 1, Some(1_000)), Removal::LookAgain);
        assert_eq!(proved(6_000, 5_000, 2, Some(1_000)), Removal::Remove(StateReason::Purged));
        assert_eq!(proved(6_000, 5_000, 2, Some(1_090)), Removal::Remove(StateReason::Purged));
        assert_eq!(proved(6_000, 5_000, 2, Some(6_000)), Removal::LookAgain, "the count still holds them");
        assert_eq!(proved(6_000, 5_000, 2, Some(500)), Removal::LookAgain);
        assert_eq!(proved(6_000, 5_000, 2, None), Removal::LookAgain);
        assert_eq!(proved(6_000, 5_000, 5, Some(6_000)), Removal::Ask(Doubt::CountDiffers));
    }

    #[test]
    fn lost_access_removes_nothing_whatever_else_is_said() {
        let proof = |described, count| Some(Proof { described, count: Some(count) });
        let lost = |log, proof| decide(&Found { looks: 2, log, proof, ..found(6_000, 5_000) });
        assert_eq!(lost(Log::Silent, proof(false, 1_000)), Removal::Ask(Doubt::NotDescribed));
        assert_eq!(lost(Log::Silent, proof(true, 0)), Removal::Ask(Doubt::NothingVisible));
        assert_eq!(lost(Log::Denies, proof(true, 1_000)), Removal::Ask(Doubt::NotDeleted));
        assert_eq!(lost(Log::Pending, proof(true, 1_000)), Removal::LookAgain);
    }

    #[test]
    fn history_that_is_not_all_here_may_be_counted_too() {
        let proof = Some(Proof { described: true, count: Some(90_000) });
        let part = Found { looks: 2, whole: false, proof, ..found(6_000, 5_000) };
        assert_eq!(decide(&part), Removal::Remove(StateReason::Purged));
    }

    #[test]
    fn what_left_with_its_ticket_may_be_counted_too() {
        let proof = Some(Proof { described: true, count: Some(9_000) });
        let rest = Found { looks: 2, let_go: 8_000, proof, ..found(6_000, 5_000) };
        assert_eq!(decide(&rest), Removal::Remove(StateReason::Purged));
        assert_eq!(decide(&Found { let_go: 0, ..rest }), Removal::LookAgain);
    }

    #[test]
    fn a_person_is_told_how_many_why_and_what_to_do() {
        for doubt in [Doubt::NotDescribed, Doubt::NothingVisible, Doubt::NotDeleted, Doubt::CountDiffers] {
            let ask = doubt.ask("Case", &found(40, 38));
            assert!(ask.what.contains("38 of 40") && ask.what.contains("removed none"), "{ask}");
            assert!(!ask.why.is_empty() && ask.fix.contains("Sync now"), "{ask}");
        }
    }
}
