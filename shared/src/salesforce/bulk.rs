//! Bulk API 2.0 query jobs: made, asked after, and put away. Their results are read by [`super::results`].
//!
//! A job belongs to the org and not to a session: whoever knows its id and its API version goes on with it, for
//! seven days after it is complete. Every call passes the gate like any other.

use reqwest::Method;
use serde::Deserialize;

use super::client::{Ask, Client};
use super::error::SalesforceError;
use super::fault::FaultKind;
use super::identity::ApiVersion;
use super::soql::Soql;
use crate::clock::{Timestamp, parse_salesforce_datetime};
use crate::ids::SalesforceId;
use crate::ports::CallKind;

/// Pages of the list of jobs that are looked through, a thousand jobs each.
const MOST_LISTS: usize = 10;

/// Where a job is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BulkAddress {
    /// Its id.
    pub id: SalesforceId,
    /// The API version that made it; another one may not read its results.
    pub version: ApiVersion,
}

/// A job that was just made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BulkMade {
    /// Where it is.
    pub address: BulkAddress,
    /// Salesforce's clock at the answer: nothing in the results is older.
    pub read_at: Timestamp,
}

/// How far a job is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BulkState {
    /// It waits or runs.
    Running,
    /// Its results can be read; so many rows, where Salesforce says it.
    Complete(Option<u64>),
    /// Salesforce gave it up, for this reason.
    Failed(String),
    /// Somebody gave it up.
    Aborted,
}

/// A job of the org's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BulkListed {
    /// Its id.
    pub id: SalesforceId,
    /// Who made it.
    pub by: SalesforceId,
    /// When it was made, by Salesforce's clock.
    pub made_at: Timestamp,
    /// The object that it reads.
    pub object: String,
    /// Whether it sees deleted records too, as all of ours do.
    pub sees_deleted: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    id: String,
    state: String,
    number_records_processed: Option<u64>,
    error_message: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListedJob {
    id: String,
    operation: Option<String>,
    object: Option<String>,
    created_by_id: Option<String>,
    created_date: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct List {
    records: Vec<ListedJob>,
    next_records_url: Option<String>,
}

impl Client {
    /// Makes a job that reads what the statement asks for, deleted records included.
    ///
    /// After an error of the wire, or of the platform, it may exist all the same.
    pub async fn bulk_create(&self, soql: &Soql) -> Result<BulkMade, SalesforceError> {
        let body = serde_json::json!({
            "operation": "queryAll", "query": soql.as_str(), "contentType": "CSV",
            "columnDelimiter": "COMMA", "lineEnding": "LF",
        });
        let ask = Ask::post(self.data_path("/jobs/query"), body.to_string());
        let answer = self.call(CallKind::BulkJob, ask).await;
        let answer = answer.map_err(|error| error.about(soql.object().as_str()))?;
        let told: Told = answer.json("a Bulk job")?;
        let id = SalesforceId::parse(&told.id).map_err(|_| answer.unreadable("a Bulk job's id"))?;
        let version = self.settings().api_version;
        Ok(BulkMade { address: BulkAddress { id, version }, read_at: answer.read_at()? })
    }

    /// How far a job is; `None` of one that is gone.
    pub async fn bulk_state(&self, job: BulkAddress) -> Result<Option<BulkState>, SalesforceError> {
        let answer = match self.call(CallKind::BulkJob, Ask::get(job_path(job))).await {
            Err(error) if is_gone(&error) => return Ok(None),
            other => other?,
        };
        let told: Told = answer.json("a Bulk job")?;
        Ok(Some(match told.state.as_str() {
            "UploadComplete" | "InProgress" => BulkState::Running,
            "JobComplete" => BulkState::Complete(told.number_records_processed),
            "Failed" => {
                let reason = told.error_message.unwrap_or_else(|| "no reason given".to_owned());
                BulkState::Failed(super::fault::one_line(&reason, 300))
            }
            "Aborted" => BulkState::Aborted,
            _ => return Err(answer.unreadable("the state of a Bulk job")),
        }))
    }

    /// Takes a job away, whatever its state, with its results. One that is gone already is no error.
    pub async fn bulk_remove(&self, job: BulkAddress) -> Result<(), SalesforceError> {
        let remove = || self.call(CallKind::BulkJob, Ask::of(Method::DELETE, job_path(job)));
        match remove().await {
            Ok(_) => return Ok(()),
            Err(error) if is_gone(&error) => return Ok(()),
            Err(error) if error.fault().is_some_and(|fault| fault.kind == FaultKind::JobState) => {}
            Err(error) => return Err(error),
        }
        let body = r#"{"state":"Aborted"}"#.to_owned();
        let abort = Ask { json: Some(body), ..Ask::of(Method::PATCH, job_path(job)) };
        match self.call(CallKind::BulkJob, abort).await {
            Err(error) if is_gone(&error) => return Ok(()),
            // It ended in between.
            Err(error) if error.fault().is_some_and(|fault| fault.kind == FaultKind::JobState) => {}
            other => drop(other?),
        }
        match remove().await {
            Err(error) if is_gone(&error) => Ok(()),
            other => other.map(drop),
        }
    }

    /// The org's query jobs, everybody's; and Salesforce's clock at the answer.
    pub async fn bulk_list(&self) -> Result<(Vec<BulkListed>, Timestamp), SalesforceError> {
        let (mut jobs, mut locator) = (Vec::new(), None);
        for page in 1.. {
            let mut params = vec![("jobType", "V2Query".to_owned())];
            params.extend(locator.map(|locator| ("queryLocator", locator)));
            let ask = Ask { params, ..Ask::get(self.data_path("/jobs/query")) };
            let answer = self.call(CallKind::BulkJob, ask).await?;
            let list: List = answer.json("a list of Bulk jobs")?;
            jobs.extend(list.records.iter().filter_map(listed));
            locator = list.next_records_url.as_deref().and_then(locator_of);
            if locator.is_none() || page == MOST_LISTS {
                return Ok((jobs, answer.read_at()?));
            }
        }
        unreachable!("the loop ends with its last page")
    }
}

/// `/services/data/vXX.0/jobs/query/…` of the version that made the job.
pub(super) fn job_path(job: BulkAddress) -> String {
    format!("/services/data/v{}/jobs/query/{}", job.version, job.id)
}

pub(super) fn is_gone(error: &SalesforceError) -> bool {
    error.fault().is_some_and(|fault| fault.kind == FaultKind::NotFound)
}

/// What is listed without an owner or a time is not one of ours.
fn listed(job: &ListedJob) -> Option<BulkListed> {
    Some(BulkListed {
        id: SalesforceId::parse(&job.id).ok()?,
        by: SalesforceId::parse(job.created_by_id.as_deref()?).ok()?,
        made_at: parse_salesforce_datetime(job.created_date.as_deref()?)?,
        object: job.object.clone()?,
        sees_deleted: job.operation.as_deref() == Some("queryAll"),
    })
}

/// The address of the next page names another resource; only its locator is of use, and no host is followed.
fn locator_of(next: &str) -> Option<String> {
    let (_, query) = next.split_once('?')?;
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    pairs.find(|(key, _)| key == "queryLocator").map(|(_, value)| value.into_owned())
}

#[cfg(test)]
#[path = "bulk_test.rs"]
mod tests;
