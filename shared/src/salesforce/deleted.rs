//! The log of deletions (`getDeleted`): ids with the moment at which each was deleted, hard deletions included.
//!
//! Salesforce ignores seconds. For any history object it lists the deletions of all of them, so a caller takes only what
//! it knows.

use serde::Deserialize;

use super::client::{Ask, Client};
use super::error::SalesforceError;
use super::fault::{ApiFault, FaultKind};
use super::soql::ObjectName;
use crate::clock::{Timestamp, parse_salesforce_datetime};
use crate::ids::SalesforceId;
use crate::ports::CallKind;

/// What was deleted in a span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletedLog {
    /// Each record and when it was deleted.
    pub records: Vec<(SalesforceId, Timestamp)>,
    /// What was deleted before this may be forgotten.
    pub earliest: Timestamp,
    /// The list is whole up to here.
    pub covered: Timestamp,
    /// Salesforce's clock at the answer.
    pub read_at: Timestamp,
}

/// What the log says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeletedAnswer {
    /// What was deleted.
    Log(DeletedLog),
    /// The span begins before what the log still knows.
    OutOfReach,
    /// More than one answer holds; a shorter span is to be asked for.
    TooMuch,
    /// No log is kept of this object, or the user may not see it.
    NotKept,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    deleted_records: Vec<Deleted>,
    earliest_date_available: String,
    latest_date_covered: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Deleted {
    id: String,
    deleted_date: String,
}

impl Client {
    /// Asks for the deletions between two moments, both cut to minutes.
    pub async fn deleted(
        &self,
        object: &ObjectName,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<DeletedAnswer, SalesforceError> {
        let path = self.data_path(&format!("/sobjects/{}/deleted/", object.as_str()));
        let minute = |at: Timestamp| at.format("%Y-%m-%dT%H:%M:00+00:00").to_string();
        let ask = Ask { params: vec![("start", minute(from)), ("end", minute(to))], ..Ask::get(path) };
        let answer = match self.call(CallKind::Deleted, ask).await {
            Ok(answer) => answer,
            Err(SalesforceError::Api(fault)) => {
                return what_it_says(&fault)
                    .ok_or_else(|| SalesforceError::Api(fault).about(object.as_str()));
            }
            Err(error) => return Err(error.about(object.as_str())),
        };
        let read_at = answer.read_at()?;
        let body: Body = answer.json("a list of deletions")?;
        let moment = |text: &str| {
            parse_salesforce_datetime(text).ok_or_else(|| answer.unreadable("the moment of a deletion"))
        };
        let record = |gone: &Deleted| {
            let id = SalesforceId::parse(&gone.id).map_err(|_| answer.unreadable("the id of a deletion"))?;
            Ok((id, moment(&gone.deleted_date)?))
        };
        Ok(DeletedAnswer::Log(DeletedLog {
            records: body.deleted_records.iter().map(record).collect::<Result<_, SalesforceError>>()?,
            earliest: moment(&body.earliest_date_available)?,
            covered: moment(&body.latest_date_covered)?,
            read_at,
        }))
    }
}

/// Refusals that say something of the log.
fn what_it_says(fault: &ApiFault) -> Option<DeletedAnswer> {
    if fault.code == "INVALID_REPLICATION_DATE" {
        Some(DeletedAnswer::OutOfReach)
    } else if fault.kind == FaultKind::TooLarge {
        Some(DeletedAnswer::TooMuch)
    } else if matches!(fault.kind, FaultKind::NotFound | FaultKind::UnknownObject | FaultKind::NotQueryable) {
        Some(DeletedAnswer::NotKept)
    } else {
        None
    }
}

#[cfg(test)]
#[path = "deleted_test.rs"]
mod tests;
