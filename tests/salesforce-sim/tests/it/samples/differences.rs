//! What differs from the recorded answers on purpose.

use std::collections::BTreeSet;

/// A comparison, what it finds, and the heading of DIFFERENCES.md that explains it.
const DELIBERATE: &[(&str, &str, &str)] = &[
    ("ended jobs", ".apexProcessingTime is missing", JOBS),
    ("ended jobs", ".apiActiveProcessingTime is missing", JOBS),
    ("ended jobs", ".externalIdFieldName is missing", JOBS),
    ("ended jobs", ".numberRecordsFailed is missing", JOBS),
    ("contact_record.MailingAddress", ".countryCode is missing", ADDRESSES),
    ("contact_record.MailingAddress", ".stateCode is missing", ADDRESSES),
];

const JOBS: &str = "Bulk jobs that write";
const ADDRESSES: &str = "Addresses";

/// What a comparison is meant to find.
pub(super) fn of(label: &str) -> BTreeSet<String> {
    let own = DELIBERATE.iter().filter(|(of, ..)| *of == label);
    own.map(|(_, difference, _)| (*difference).to_owned()).collect()
}

#[test]
fn every_difference_is_explained_to_people() {
    let page = include_str!("../../../DIFFERENCES.md");
    for (label, difference, heading) in DELIBERATE {
        assert!(page.contains(&format!("\n## {heading}\n")), "{label}: {difference}: no heading '{heading}'");
    }
}
