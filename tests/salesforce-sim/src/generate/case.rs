//! Cases and their history.

use std::ops::Range;

use super::blueprint::Blueprint;
use super::born::{Column, Kind};
use super::life::Change;
use super::parts::Part;
use super::story::Story;
use super::{purpose, texts};
use crate::id::SfId;
use crate::store::Handle;
use crate::time::DAY_MS;
use crate::value::Value;

const TYPES: [&str; 4] = ["Question", "Problem", "Complaint", "Feature Request"];
const REASONS: [&str; 6] = ["Installation", "Billing", "Performance", "Breakdown", "Feedback", "Other"];
const AREAS: [&str; 5] = ["Checkout", "Accounts", "Shipping", "Mobile App", "Reporting"];
const TAGS: [&str; 5] = ["refund", "vip;refund", "bug", "gdpr", "bug;vip;upsell"];
/// Locales of [`texts::LANGUAGES`] as the case's own language, by language code.
const LOCALES: [(&str, &str); 11] = [
    ("en", "en_US"),
    ("de", "de"),
    ("fr", "fr"),
    ("es", "es"),
    ("it", "it"),
    ("ja", "ja"),
    ("pl", "pl"),
    ("pt", "pt_BR"),
    ("ru", "ru"),
    ("tr", "tr"),
    ("zh", "zh_CN"),
];

/// `Case`.
pub(super) struct Cases;

impl Kind for Cases {
    type Row<'b> = Story<'b>;
    const OBJECT: &'static str = "Case";

    fn count(plan: &Blueprint) -> Handle {
        plan.cases
    }

    fn row(plan: &Blueprint, handle: Handle) -> Story<'_> {
        Story::new(plan, handle)
    }

    fn stamp(story: &Story<'_>) -> i64 {
        story.life().modified
    }

    fn near(plan: &Blueprint, parent: SfId) -> Option<Vec<Range<Handle>>> {
        // Which cases have this one for a parent is not known.
        Some(plan.cases_around(parent)?.into_iter().map(|case| case..case + 1).collect())
    }

    const COLUMNS: &'static [(&'static str, Column<Self>)] = &[
        ("CaseNumber", |story| format!("{:08}", story.number + 1_000).into()),
        ("Status", |story| Value::Word(story.life().status)),
        ("Priority", |story| Value::Word(story.life().priority)),
        ("Origin", |story| Value::Word(story.origin)),
        ("Subject", |story| story.subject().into()),
        ("Description", |story| {
            let mut random = story.stream(purpose::CASE_DESCRIPTION);
            let text = texts::message(&mut random, story.language, false);
            if text.len() <= 32_000 {
                text.into()
            } else {
                text.chars().take(32_000).collect::<String>().into()
            }
        }),
        ("OwnerId", |story| story.life().owner.into()),
        ("IsClosed", |story| story.life().closed.is_some().into()),
        ("ClosedDate", |story| story.life().closed.map_or(Value::Null, Value::Instant)),
        ("ContactId", |story| story.known.then(|| story.contact_id()).into()),
        ("AccountId", |story| story.account().map(|account| story.plan.account_id(account)).into()),
        ("CreatedDate", |story| Value::Instant(story.created)),
        ("CreatedById", |story| story.life().owner.into()),
        ("LastModifiedDate", |story| Value::Instant(story.life().modified)),
        ("LastModifiedById", |story| story.life().owner.into()),
        ("RecordTypeId", |story| {
            let types = &story.plan.stored.record_types[..4];
            (*story.stream(purpose::CASE_RECORD_TYPE).pick_skewed(types)).into()
        }),
        ("Type", |story| story.mostly(purpose::CASE_TYPE, 0.8, &TYPES)),
        ("Reason", |story| story.mostly(purpose::CASE_REASON, 0.8, &REASONS)),
        ("Product_Area__c", |story| story.mostly(purpose::CASE_AREA, 0.8, &AREAS)),
        ("Order_Number__c", |story| {
            let mut random = story.stream(purpose::CASE_ORDER);
            random.chance(0.5).then(|| format!("{:08}", random.below(1_000_000))).into()
        }),
        ("Csat_Score__c", |story| {
            let mut random = story.stream(purpose::CASE_RATING);
            if story.is_rated() {
                Value::Double(super::ratio(i64::try_from(random.below(9) + 2).unwrap_or(2)) / 2.0)
            } else {
                Value::Null
            }
        }),
        ("Resolution_Notes__c", |story| {
            let mut random = story.stream(purpose::CASE_NOTES);
            story.is_rated().then(|| texts::note(&mut random, 0, true)).into()
        }),
        ("Is_Vip__c", |story| story.is_vip().into()),
        ("Due_Date__c", |story| {
            if story.is_vip() { Value::Date(story.created.div_euclid(DAY_MS) + 7) } else { Value::Null }
        }),
        ("Tags__c", |story| story.mostly(purpose::CASE_TAGS, 0.25, &TAGS)),
        ("Refund_Amount__c", |story| {
            let mut random = story.stream(purpose::CASE_REFUND);
            let cents = i64::try_from(random.below(50_000)).unwrap_or(0);
            if random.chance(0.05) { Value::Double(super::ratio(cents) / 100.0) } else { Value::Null }
        }),
        ("Handover_Html__c", |story| {
            let mut random = story.stream(purpose::CASE_HANDOVER);
            if !random.chance(0.05) {
                return Value::Null;
            }
            let text = texts::note(&mut random, 0, true);
            texts::html(&mut random, &text).into()
        }),
        ("First_Response__c", |story| {
            let mut random = story.stream(purpose::CASE_RESPONSE);
            if !random.chance(0.6) {
                return Value::Null;
            }
            let minutes = i64::try_from(random.below(600) + 5).unwrap_or(5);
            Value::Instant((story.created + minutes * 60_000).min(story.plan.now))
        }),
        ("SuppliedEmail", |story| story.is_written().then(|| story.customer().email.clone()).into()),
        ("SuppliedName", |story| story.is_written().then(|| story.customer().name()).into()),
        ("Language", |story| {
            let code = texts::LANGUAGES[story.language].code;
            LOCALES
                .iter()
                .find(|(own, _)| *own == code)
                .map_or(Value::Null, |(_, locale)| Value::Word(locale))
        }),
        ("EntitlementId", |story| {
            story.account().and_then(|account| story.plan.entitlement_id(account)).into()
        }),
        ("BusinessHoursId", |story| story.plan.stored.business_hours.into()),
        ("SourceId", |story| {
            let mailed = story.origin == "Email" && story.count(Part::Mail) > 0;
            let chatted = story.count(Part::Session) > 0;
            match (mailed, chatted) {
                (true, _) => story.part_id(Part::Mail, 0).into(),
                (_, true) => story.part_id(Part::Session, 0).into(),
                _ => Value::Null,
            }
        }),
        ("ParentId", |story| {
            // A few cases belong to an earlier one.
            let mut random = story.stream(purpose::CASE_PARENT);
            let child = story.number > 0 && random.chance(0.01);
            child
                .then(|| story.plan.case_id(random.below(story.number as usize).try_into().unwrap_or(0)))
                .into()
        }),
    ];
}

impl Story<'_> {
    pub(super) fn subject(&self) -> String {
        texts::subject(&mut self.stream(purpose::CASE_SUBJECT), self.language)
    }

    /// Whether the case came in writing.
    fn is_written(&self) -> bool {
        self.origin == "Email" || self.origin == "Web"
    }

    fn is_vip(&self) -> bool {
        self.stream(purpose::CASE_VIP).chance(0.1)
    }

    /// Whether the customer gave marks at the end.
    fn is_rated(&self) -> bool {
        self.life().closed.is_some() && self.stream(purpose::CASE_RATED).chance(0.4)
    }

    /// One of the words, with this probability.
    fn mostly(&self, purpose: u64, probability: f64, words: &[&'static str]) -> Value {
        let mut random = self.stream(purpose);
        if random.chance(probability) { Value::Word(random.pick::<&str>(words)) } else { Value::Null }
    }
}

/// `CaseHistory`.
pub(super) struct Histories;

/// A row of history: the creation, or a change.
pub(super) struct Past<'b> {
    story: Story<'b>,
    place: usize,
}

impl Past<'_> {
    fn change(&self) -> Option<&Change> {
        self.story.life().changes.get(self.place.checked_sub(1)?)
    }

    fn at(&self) -> i64 {
        self.change().map_or(self.story.created, |change| change.at)
    }
}

impl Kind for Histories {
    type Row<'b> = Past<'b>;
    const OBJECT: &'static str = "CaseHistory";

    fn count(plan: &Blueprint) -> Handle {
        plan.spreads[Part::History as usize].total()
    }

    fn row(plan: &Blueprint, handle: Handle) -> Past<'_> {
        let (case, place) = plan.spreads[Part::History as usize].locate(handle);
        Past { story: Story::new(plan, case), place }
    }

    fn stamp(row: &Past<'_>) -> i64 {
        row.at()
    }

    fn near(plan: &Blueprint, parent: SfId) -> Option<Vec<Range<Handle>>> {
        plan.near(Part::History, parent)
    }

    const COLUMNS: &'static [(&'static str, Column<Self>)] = &[
        ("CaseId", |row| row.story.id().into()),
        ("CreatedById", |row| row.change().map_or(row.story.agent().id, |change| change.by).into()),
        ("CreatedDate", |row| Value::Instant(row.at())),
        ("Field", |row| Value::Word(row.change().map_or("created", |change| change.field))),
        ("DataType", |row| Value::Word(row.change().map_or("Text", |change| change.data_type))),
        ("OldValue", |row| row.change().map_or(Value::Null, |change| change.old.clone())),
        ("NewValue", |row| row.change().map_or(Value::Null, |change| change.new.clone())),
    ];
}
