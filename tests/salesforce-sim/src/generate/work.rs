//! Tasks and escalations that belong to a case.

use super::born::{Column, Kind};
use super::child::{Child, belongs_to_case};
use super::parts::Part;
use super::{purpose, texts};
use crate::time::DAY_MS;
use crate::value::Value;

/// Activities this old are archived once they are done.
const ARCHIVE_DAYS: i64 = 365;

/// A task.
pub(super) struct Task<'b> {
    child: Child<'b>,
    at: i64,
    closed: bool,
    /// A few were loaded with the dates of an older system, and are archived.
    is_old: bool,
}

impl<'b> From<Child<'b>> for Task<'b> {
    fn from(child: Child<'b>) -> Self {
        let mut random = child.stream(purpose::TASK);
        let at = child.story.after(&mut random);
        let is_old = random.chance(0.05);
        let closed = random.chance(0.6) || is_old;
        Self { child, at, closed, is_old }
    }
}

impl Task<'_> {
    fn due(&self) -> i64 {
        let day = self.at.div_euclid(DAY_MS);
        if self.is_old { day - ARCHIVE_DAYS - 40 } else { day + 2 }
    }
}

/// `Task`.
pub(super) struct Tasks;

impl Kind for Tasks {
    belongs_to_case!("Task", Part::Task, Task);

    fn stamp(row: &Task<'_>) -> i64 {
        row.at
    }

    const COLUMNS: &'static [(&'static str, Column<Self>)] = &[
        ("WhatId", |row| row.child.story.id().into()),
        ("WhoId", |row| row.child.story.contact_id().into()),
        ("WhatCount", |_| Value::Int(1)),
        ("WhoCount", |_| Value::Int(1)),
        ("Subject", |row| {
            Value::Word(row.child.stream(purpose::TASK_SUBJECT).pick::<&str>(&["Call", "Email"]))
        }),
        ("Status", |row| Value::Word(if row.closed { "Completed" } else { "Not Started" })),
        ("Priority", |_| Value::Word("Normal")),
        ("TaskSubtype", |_| Value::Word("Task")),
        ("IsClosed", |row| row.closed.into()),
        ("IsArchived", |row| row.is_old.into()),
        ("CompletedDateTime", |row| if row.closed { Value::Instant(row.at) } else { Value::Null }),
        ("ActivityDate", |row| Value::Date(row.due())),
        ("Description", |row| {
            texts::note(&mut row.child.stream(purpose::TASK_TEXT), row.child.story.language, true).into()
        }),
        ("OwnerId", |row| row.child.story.agent().id.into()),
        ("AccountId", |row| {
            let account = super::people::account(row.child.story.plan, row.child.story.contact);
            account.map(|account| row.child.story.plan.account_id(account)).into()
        }),
        ("CreatedDate", |row| Value::Instant(row.at)),
        ("CreatedById", |row| row.child.story.agent().id.into()),
        ("LastModifiedDate", |row| Value::Instant(row.at)),
        ("LastModifiedById", |row| row.child.story.agent().id.into()),
    ];
}

/// An escalation.
pub(super) struct Escalation<'b> {
    child: Child<'b>,
    at: i64,
}

impl<'b> From<Child<'b>> for Escalation<'b> {
    fn from(child: Child<'b>) -> Self {
        let at = child.story.after(&mut child.stream(purpose::ESCALATION));
        Self { child, at }
    }
}

/// `Escalation__c`.
pub(super) struct Escalations;

impl Kind for Escalations {
    belongs_to_case!("Escalation__c", Part::Escalation, Escalation);

    fn stamp(row: &Escalation<'_>) -> i64 {
        row.at
    }

    const COLUMNS: &'static [(&'static str, Column<Self>)] = &[
        ("Name", |row| {
            let number = row.child.story.part_id(Part::Escalation, row.child.place).number().unwrap_or(0);
            format!("ESC-{number:05}").into()
        }),
        ("Case__c", |row| row.child.story.id().into()),
        ("OwnerId", |row| row.child.story.agent().id.into()),
        ("Severity__c", |row| {
            Value::Word(row.child.stream(purpose::ESCALATION_SEVERITY).pick::<&str>(&["S1", "S2", "S3"]))
        }),
        ("Reason__c", |row| {
            let mut random = row.child.stream(purpose::ESCALATION_REASON);
            let hostile = texts::hostile(&mut random);
            let mut reason = texts::message(&mut random, 0, true);
            texts::quote(&mut reason, hostile);
            reason.chars().take(32_000).collect::<String>().into()
        }),
        ("Cost__c", |_| Value::Double(1_234.5)),
        ("Occurred_At__c", |row| Value::Instant(row.at)),
        ("Acknowledged__c", |_| Value::Bool(false)),
        ("Postmortem__c", |_| Value::Null),
        ("CreatedDate", |row| Value::Instant(row.at)),
        ("CreatedById", |row| row.child.story.agent().id.into()),
        ("LastModifiedDate", |row| Value::Instant(row.at)),
        ("LastModifiedById", |row| row.child.story.agent().id.into()),
    ];
}
