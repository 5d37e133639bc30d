//! Cases and their history, and what happened to some of them later: deleted, merged, touched in bulk.

use super::draft::Draft;
use super::people::Person;
use super::{DAYS, Generator, texts};
use crate::id::SfId;
use crate::store::write::{When, whole_second};
use crate::store::{Handle, State};
use crate::time::DAY_MS;
use crate::value::Value;

/// A case being told.
#[derive(Debug)]
pub(super) struct Story {
    pub(super) id: SfId,
    pub(super) customer: Person,
    pub(super) agent: SfId,
    pub(super) created: i64,
    pub(super) subject: String,
    /// How big this case is; 1 is usual.
    pub(super) size: f64,
}

/// One change of a case.
struct Change {
    at: i64,
    field: &'static str,
    data_type: &'static str,
    old: Value,
    new: Value,
    by: SfId,
}

/// How a case stands after its changes.
struct Standing {
    status: &'static str,
    priority: &'static str,
    owner: SfId,
    closed: Option<i64>,
    modified: i64,
    changes: Vec<Change>,
}

const PRIORITIES: [&str; 5] = ["Medium", "Medium", "Medium", "High", "Low"];
const ORIGINS: [&str; 4] = ["Email", "Web", "Phone", "Chat"];
const TYPES: [&str; 4] = ["Question", "Problem", "Complaint", "Feature Request"];
const REASONS: [&str; 6] = ["Installation", "Billing", "Performance", "Breakdown", "Feedback", "Other"];
const AREAS: [&str; 5] = ["Checkout", "Accounts", "Shipping", "Mobile App", "Reporting"];
const TAGS: [&str; 5] = ["refund", "vip;refund", "bug", "gdpr", "bug;vip;upsell"];

impl Generator<'_> {
    pub(super) fn cases(&mut self) {
        let count = self.recipe.cases;
        // So many cases were touched by one mass update that their stamps, and the history rows that it wrote,
        // fill more than a page with a single second.
        let touched = if count >= 2_000 { (count * 9 / 20).max(1_150) } else { count / 5 };
        let mass_update = self.now() - 10 * DAY_MS;
        let mut left = touched;
        for _ in 0..count {
            let created = self.moment(DAYS);
            let in_bulk = left > 0 && created < mass_update;
            left -= usize::from(in_bulk);
            self.case(created, in_bulk.then_some(mass_update));
        }
    }

    fn case(&mut self, created: i64, mass_update: Option<i64>) {
        let mut customer = self.random.pick_skewed(&self.contacts).clone();
        if self.random.chance(0.04) {
            customer.language = texts::language(&mut self.random);
        }
        let size = self.random.skew();
        let agent = *self.random.pick_skewed(&self.agents);
        let standing = self.changes(created, size, agent, mass_update);
        let subject = texts::subject(&mut self.random, customer.language);
        let mut draft = self.draft("Case");
        self.set_word(&mut draft, "Status", standing.status);
        self.set_word(&mut draft, "Priority", standing.priority);
        let origin = *self.random.pick_skewed(&ORIGINS);
        self.set_word(&mut draft, "Origin", origin);
        self.set(&mut draft, "Subject", subject.as_str());
        let description = texts::message(&mut self.random, customer.language, false, None);
        let short: String = description.chars().take(32_000).collect();
        self.set(&mut draft, "Description", short.as_str());
        self.set(&mut draft, "OwnerId", standing.owner);
        self.set(&mut draft, "IsClosed", standing.closed.is_some());
        if let Some(at) = standing.closed {
            self.set(&mut draft, "ClosedDate", Value::Instant(at));
        }
        self.requester(&mut draft, &customer, origin);
        self.particulars(&mut draft, created, standing.closed);
        self.audit(&mut draft, created, standing.modified, standing.owner);
        let number = self.store.table("Case").len() + 1_000;
        self.set(&mut draft, "CaseNumber", format!("{number:08}").as_str());
        let id = self.keep(draft, standing.modified);
        self.history_row(id, created, ["created", "Text"], [Value::Null, Value::Null], agent);
        for change in standing.changes {
            let kind = [change.field, change.data_type];
            self.history_row(id, change.at, kind, [change.old, change.new], change.by);
        }
        let story = Story { id, customer, agent, created, subject, size };
        self.conversation(&story);
        self.around_it(&story);
    }

    fn requester(&mut self, draft: &mut Draft, customer: &Person, origin: &str) {
        // Some mails come from people who are no contact yet.
        if self.random.chance(0.93) {
            self.set(draft, "ContactId", customer.id);
            if let Some(account) = customer.account {
                self.set(draft, "AccountId", account);
            }
        }
        if origin == "Email" || origin == "Web" {
            self.set(draft, "SuppliedEmail", customer.email.as_str());
            self.set(draft, "SuppliedName", customer.name.as_str());
        }
    }

    /// Record type, custom fields and the like.
    fn particulars(&mut self, draft: &mut Draft, created: i64, closed: Option<i64>) {
        let record_type = *self.random.pick_skewed(&self.record_types[..4]);
        self.set(draft, "RecordTypeId", record_type);
        for (field, words) in [("Type", &TYPES[..]), ("Reason", &REASONS), ("Product_Area__c", &AREAS)] {
            if self.random.chance(0.8) {
                let word = *self.random.pick(words);
                self.set_word(draft, field, word);
            }
        }
        if self.random.chance(0.5) {
            let number = format!("{:08}", self.random.below(1_000_000));
            self.set(draft, "Order_Number__c", number.as_str());
        }
        if closed.is_some() && self.random.chance(0.4) {
            let score = super::ratio(i64::try_from(self.random.below(9) + 2).unwrap_or(2)) / 2.0;
            self.set(draft, "Csat_Score__c", Value::Double(score));
            let notes = texts::note(&mut self.random, 0, true);
            self.set(draft, "Resolution_Notes__c", notes.as_str());
        }
        if self.random.chance(0.1) {
            self.set(draft, "Is_Vip__c", true);
            self.set(draft, "Due_Date__c", Value::Date(created.div_euclid(DAY_MS) + 7));
        }
        if self.random.chance(0.25) {
            let tags = *self.random.pick(&TAGS);
            self.set_word(draft, "Tags__c", tags);
        }
        if self.random.chance(0.05) {
            let amount = super::ratio(i64::try_from(self.random.below(50_000)).unwrap_or(0)) / 100.0;
            self.set(draft, "Refund_Amount__c", Value::Double(amount));
            let text = texts::note(&mut self.random, 0, true);
            let html = texts::html(&mut self.random, &text);
            self.set(draft, "Handover_Html__c", html.as_str());
        }
        if self.random.chance(0.6) {
            let minutes = i64::try_from(self.random.below(600) + 5).unwrap_or(5);
            self.set(
                draft,
                "First_Response__c",
                Value::Instant((created + minutes * 60_000).min(self.now())),
            );
        }
    }

    /// Status, owner and priority over the life of a case.
    fn changes(&mut self, created: i64, size: f64, agent: SfId, mass_update: Option<i64>) -> Standing {
        let mut standing = Standing {
            status: "New",
            priority: self.random.pick::<&str>(&PRIORITIES),
            owner: *self.random.pick(&self.queues),
            closed: None,
            modified: created,
            changes: Vec::new(),
        };
        let end = mass_update.unwrap_or(self.now() - 60_000);
        let mut at = created;
        let rounds = 1 + self.random.around(0.7 * size);
        for round in 0..rounds {
            at += 1_000 * (60 + i64::try_from(self.random.below(150_000)).unwrap_or(0));
            if at >= end {
                break;
            }
            if round == 0 && self.random.chance(0.55) {
                self.hand_over(&mut standing, at, agent);
            }
            let next = match standing.status {
                "New" => *self.random.pick(&["Working", "Working", "Closed"]),
                "Working" => *self.random.pick(&["Closed", "Closed", "Waiting on Customer", "Escalated"]),
                // Closed cases open again.
                "Closed" => "Working",
                _ => *self.random.pick(&["Working", "Closed"]),
            };
            self.advance(&mut standing, at, next);
        }
        at += 5 * DAY_MS;
        if standing.closed.is_none() && at < end && self.random.chance(0.8) {
            self.advance(&mut standing, at, "Closed");
        }
        if let Some(at) = mass_update {
            let new_owner = *self.random.pick(&self.agents);
            self.hand_over(&mut standing, at, new_owner);
            standing.modified = at;
        }
        standing
    }

    fn advance(&mut self, standing: &mut Standing, at: i64, next: &'static str) {
        let (old, new) = (self.words.get(standing.status), self.words.get(next));
        let by = standing.owner;
        standing.changes.push(Change { at, field: "Status", data_type: "DynamicEnum", old, new, by });
        standing.status = next;
        standing.closed = (next == "Closed").then_some(at);
        standing.modified = at;
    }

    fn hand_over(&mut self, standing: &mut Standing, at: i64, to: SfId) {
        let from = standing.owner;
        let names = [self.store.name_of(from), self.store.name_of(to)];
        let by = self.integration;
        let [old, new] = names;
        standing.changes.push(Change { at, field: "Owner", data_type: "Text", old, new, by });
        let (old, new) = (Value::Id(from), Value::Id(to));
        standing.changes.push(Change { at, field: "Owner", data_type: "EntityId", old, new, by });
        standing.owner = to;
    }

    fn history_row(&mut self, case: SfId, at: i64, kind: [&str; 2], change: [Value; 2], by: SfId) {
        let [field, data_type] = kind;
        let [old, new] = change;
        let mut row = self.draft("CaseHistory");
        self.set(&mut row, "CaseId", case);
        self.set(&mut row, "CreatedById", by);
        self.set(&mut row, "CreatedDate", Value::Instant(at));
        self.set_word(&mut row, "Field", field);
        self.set_word(&mut row, "DataType", data_type);
        self.set(&mut row, "OldValue", old);
        self.set(&mut row, "NewValue", new);
        self.keep(row, at);
    }

    /// Deletions and merges, done by the same machinery that a running org uses.
    pub(super) fn aftermath(&mut self) {
        let cases = self.store.object("Case");
        let contacts = self.store.object("Contact");
        for _ in 0..self.recipe.cases * 3 / 200 {
            let (Some(handle), when) = (self.old_row(cases), self.lately()) else {
                continue;
            };
            self.store.set_state(cases, handle, State::Deleted, when);
        }
        for (object, count) in [(cases, self.recipe.cases / 200), (contacts, self.recipe.cases / 150)] {
            for _ in 0..count {
                let (winner, loser, when) = (self.old_row(object), self.old_row(object), self.lately());
                if let (Some(winner), Some(loser)) = (winner, loser)
                    && winner != loser
                {
                    self.store.merge(object, winner, &[loser], when);
                }
            }
        }
    }

    /// A live row last changed more than a day ago.
    fn old_row(&mut self, object: usize) -> Option<Handle> {
        let table = &self.store.tables[object];
        let handle = Handle::try_from(self.random.below(table.len())).ok()?;
        let version = table.row(handle).current.as_ref()?;
        (version.state == State::Live && version.stamp < self.recipe.now - DAY_MS).then_some(handle)
    }

    fn lately(&mut self) -> When {
        let back = i64::try_from(self.random.below(80_000)).unwrap_or(0) * 1_000;
        let at = whole_second(self.now() - 60_000 - back);
        When { now: self.now(), stamp: at, commit_at: at, by: self.integration }
    }
}
