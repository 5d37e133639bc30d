//! Status, owner and priority of a case over its life.

use super::purpose;
use super::story::Story;
use crate::id::SfId;
use crate::time::DAY_MS;
use crate::value::Value;

/// One change of a case.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) at: i64,
    pub(super) field: &'static str,
    pub(super) data_type: &'static str,
    pub(super) old: Value,
    pub(super) new: Value,
    pub(super) by: SfId,
}

/// How a case stands after its changes.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) status: &'static str,
    pub(super) priority: &'static str,
    pub(super) owner: SfId,
    pub(super) closed: Option<i64>,
    pub(super) modified: i64,
    pub(super) changes: Vec<Change>,
}

const PRIORITIES: [&str; 5] = ["Medium", "Medium", "Medium", "High", "Low"];

/// Lives a case through.
pub(super) fn live(story: &Story<'_>) -> Life {
    let plan = story.plan;
    let mut random = story.stream(purpose::LIFE);
    let queue = random.pick(&plan.stored.queues);
    let mut owner = queue;
    let mut life = Life {
        status: "New",
        priority: random.pick::<&str>(&PRIORITIES),
        owner: queue.id,
        closed: None,
        modified: story.created,
        changes: Vec::new(),
    };
    let mass_update = story.in_bulk.then(|| plan.mass_update());
    let end = mass_update.unwrap_or(plan.now - 60_000);
    let mut at = story.created;
    let rounds = 1 + random.around(0.7 * story.size);
    for round in 0..rounds {
        at += 1_000 * (60 + i64::try_from(random.below(150_000)).unwrap_or(0));
        if at >= end {
            break;
        }
        if round == 0 && random.chance(0.55) {
            life.hand_over(at, owner, story.agent(), plan.integration());
            owner = story.agent();
        }
        let next = match life.status {
            "New" => *random.pick(&["Working", "Working", "Closed"]),
            "Working" => *random.pick(&["Closed", "Closed", "Waiting on Customer", "Escalated"]),
            // Closed cases open again.
            "Closed" => "Working",
            _ => *random.pick(&["Working", "Closed"]),
        };
        life.advance(at, next);
    }
    at += 5 * DAY_MS;
    if life.closed.is_none() && at < end && random.chance(0.8) {
        life.advance(at, "Closed");
    }
    if let Some(at) = mass_update {
        life.hand_over(at, owner, random.pick(&plan.stored.agents), plan.integration());
        life.modified = at;
    }
    life
}

impl Life {
    fn advance(&mut self, at: i64, next: &'static str) {
        let (old, new) = (Value::Word(self.status), Value::Word(next));
        let by = self.owner;
        self.changes.push(Change { at, field: "Status", data_type: "DynamicEnum", old, new, by });
        self.status = next;
        self.closed = (next == "Closed").then_some(at);
        self.modified = at;
    }

    /// The platform writes two rows for a reference: one with names, one with ids.
    fn hand_over(&mut self, at: i64, from: &super::blueprint::Owner, to: &super::blueprint::Owner, by: SfId) {
        let (old, new) = (Value::text(&from.name), Value::text(&to.name));
        self.changes.push(Change { at, field: "Owner", data_type: "Text", old, new, by });
        let (old, new) = (Value::Id(from.id), Value::Id(to.id));
        self.changes.push(Change { at, field: "Owner", data_type: "EntityId", old, new, by });
        self.owner = to.id;
    }
}
