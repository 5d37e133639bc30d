//! What a sweep asks of Salesforce: records by their ids with nothing but their stamps, and the proof of a mass removal.

use std::collections::HashMap;

use refrain_shared::clock::{Timestamp, parse_salesforce_datetime};
use refrain_shared::error::{Disposition, ReplanHint};
use refrain_shared::ids::SalesforceId;
use refrain_shared::job::removal::Proof;
use refrain_shared::job::sweep::Answered;
use refrain_shared::salesforce::SalesforceError;
use refrain_shared::salesforce::describe::Described;
use refrain_shared::salesforce::query::Scope;
use refrain_shared::salesforce::slice::Selection;
use refrain_shared::salesforce::soql::{FieldPath, ObjectName, Soql};
use serde_json::Value;
use serde_json::value::RawValue;

use super::super::Job;
use crate::engine::ReadPlan;
use crate::error::{JobError, Step};

/// What was answered for some ids.
pub(super) struct Looked {
    /// Those that were answered.
    pub(super) answered: HashMap<SalesforceId, Answered>,
    /// Salesforce's clock at the last answer.
    pub(super) read_at: Timestamp,
}

/// Asks for these ids; none when that was too much, and fewer are to be asked for at once.
pub(super) async fn look(
    job: &Job<'_>,
    plan: &ReadPlan,
    ids: &[SalesforceId],
    each: &mut usize,
) -> Result<Option<Looked>, JobError> {
    let selection = selection(plan).map_err(|error| failed(job, &error))?;
    let mut looked = Looked { answered: HashMap::with_capacity(ids.len()), read_at: Timestamp::UNIX_EPOCH };
    let mut pages = job.client.read_references(selection, FieldPath::id(), ids);
    loop {
        match pages.next_page().await {
            Ok(Some(page)) => {
                for record in page.records() {
                    let (id, answer) =
                        read(record, &plan.transform.cursor).ok_or_else(|| failed(job, &unreadable()))?;
                    looked.answered.insert(id, answer);
                }
                looked.read_at = page.read_at;
                if page.done {
                    return Ok(Some(looked));
                }
            }
            Ok(None) => return Ok(Some(looked)),
            Err(error) => {
                let error = failed(job, &error);
                let is_too_much = matches!(
                    error.disposition,
                    Disposition::Replan { hint: ReplanHint::HalveSlice | ReplanHint::FewerRows }
                );
                if !is_too_much || *each <= 1 {
                    return Err(error);
                }
                *each /= 2;
                return Ok(None);
            }
        }
    }
}

/// A fresh describe, and how many records the org counts.
pub(super) async fn prove(job: &Job<'_>, plan: &ReadPlan) -> Result<Proof, JobError> {
    let object = ObjectName::parse(&plan.api_name).map_err(|error| failed(job, &error.into()))?;
    let described = match job.client.describe(&object, None).await.map_err(|error| failed(job, &error))? {
        Described::Absent | Described::Unchanged => false,
        Described::Found { describe, .. } => {
            describe.queryable
                && ["Id", &plan.transform.cursor].iter().all(|name| describe.field(name).is_some())
        }
    };
    if !described {
        return Ok(Proof { described, count: None });
    }
    let count = count(job, Soql::count_all(&object).under(plan.condition.as_ref())).await?;
    Ok(Proof { described, count })
}

/// How many records Salesforce counts; none where they are too many to be counted in its time.
pub(super) async fn count(job: &Job<'_>, soql: Soql) -> Result<Option<u64>, JobError> {
    let error = match job.client.count(soql, Scope::All).await {
        Ok(count) => return Ok(Some(count)),
        Err(error) => failed(job, &error),
    };
    match error.disposition {
        Disposition::Replan { hint: ReplanHint::HalveSlice } => Ok(None),
        Disposition::Replan { .. }
        | Disposition::Retry { .. }
        | Disposition::Defer { .. }
        | Disposition::ParkObject { .. }
        | Disposition::ParkConnection { .. }
        | Disposition::Discard
        | Disposition::Bug => Err(error),
    }
}

pub(super) fn selection(plan: &ReadPlan) -> Result<Selection, SalesforceError> {
    let fields = plan.transform.fields.fields().iter().filter(|field| field.path == "IsDeleted");
    Ok(Selection {
        object: ObjectName::parse(&plan.api_name)?,
        fields: fields.map(|field| FieldPath::parse(&field.path)).collect::<Result<_, _>>()?,
        cursor: FieldPath::parse(&plan.transform.cursor)?,
        scope: Scope::All,
        filter: plan.condition.clone(),
    })
}

pub(super) fn read(record: &RawValue, cursor: &str) -> Option<(SalesforceId, Answered)> {
    let values: HashMap<String, Value> = serde_json::from_str(record.get()).ok()?;
    let id = SalesforceId::parse(values.get("Id")?.as_str()?).ok()?;
    let stamp = parse_salesforce_datetime(values.get(cursor)?.as_str()?)?;
    Some((id, Answered { stamp, deleted: values.get("IsDeleted").and_then(Value::as_bool) == Some(true) }))
}

pub(super) fn unreadable() -> SalesforceError {
    SalesforceError::Unreadable {
        expected: "a record with its id and stamp",
        status: 200,
        received: "something else".to_owned(),
    }
}

/// Steps of a sweep are not narrowed by the runner: it halves what it asks for by itself.
pub(super) fn failed(job: &Job<'_>, error: &SalesforceError) -> JobError {
    JobError::of(Step::Plan, error, job.context.clock.now())
}
