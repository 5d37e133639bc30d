//! Describes: one object, many by one composite call, and the list of all objects.
//!
//! What the integration user may not see is simply not there, so "absent" is a value and not an error.

use std::collections::HashMap;

use chrono::DateTime;
use reqwest::header::IF_MODIFIED_SINCE;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::client::{Ask, Client};
use super::error::SalesforceError;
use super::fault::{ApiFault, FaultKind};
use super::http::{Answer, without_mark};
use super::soql::ObjectName;
use crate::catalog::ObjectDescribe;
use crate::clock::{Timestamp, parse_http_date};
use crate::ports::CallKind;

/// Sub-requests that one composite call may hold.
const COMPOSITE_PARTS: usize = 25;

/// What a describe found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Described {
    /// The object is not in the org, or the integration user may not read it; the two look alike.
    Absent,
    /// Nothing changed since the moment that was asked about, permissions included.
    Unchanged,
    /// The object as the integration user sees it.
    Found {
        /// The description.
        describe: Box<ObjectDescribe>,
        /// What to ask about next time: `Last-Modified`, or else the answer's own date.
        as_of: Timestamp,
    },
}

/// One object of the list of all objects.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListedObject {
    /// API name.
    pub name: String,
    /// Label, to show to people.
    #[serde(default)]
    pub label: String,
    /// First three characters of its ids.
    #[serde(default)]
    pub key_prefix: Option<String>,
    /// Whether SOQL may read it.
    #[serde(default)]
    pub queryable: bool,
    /// Made by an administrator of the org.
    #[serde(default)]
    pub custom: bool,
    /// `History`, `Feed`, `Share`, `ChangeEvent`, …: what it is to its parent.
    #[serde(default)]
    pub associate_entity_type: Option<String>,
    /// That parent.
    #[serde(default)]
    pub associate_parent_entity: Option<String>,
}

impl Client {
    /// Describes one object; `since` makes it conditional.
    pub async fn describe(
        &self,
        object: &ObjectName,
        since: Option<Timestamp>,
    ) -> Result<Described, SalesforceError> {
        let mut ask = Ask::get(self.describe_path(object));
        ask.headers.extend(since.map(|since| (IF_MODIFIED_SINCE, http_date(since))));
        match self.call(CallKind::Describe, ask).await {
            Ok(answer) if answer.status == 304 => Ok(Described::Unchanged),
            Ok(answer) => found(&answer, &answer.body, answer.last_modified),
            Err(SalesforceError::Api(fault)) if is_absent(&fault) => Ok(Described::Absent),
            Err(error) => Err(error.about(object.as_str())),
        }
    }

    /// Describes many objects, 25 to a call; results in the order asked. A refusal of one object leaves the
    /// others standing.
    pub async fn describe_many(
        &self,
        objects: &[(ObjectName, Option<Timestamp>)],
    ) -> Result<Vec<Result<Described, SalesforceError>>, SalesforceError> {
        let mut all = Vec::with_capacity(objects.len());
        for chunk in objects.chunks(COMPOSITE_PARTS) {
            let ask = Ask::post(self.data_path("/composite"), self.composite(chunk));
            let answer = self.call(CallKind::Describe, ask).await?;
            all.extend(read_composite(&answer, chunk)?);
        }
        Ok(all)
    }

    /// All objects that the integration user can see.
    pub async fn describe_global(&self) -> Result<Vec<ListedObject>, SalesforceError> {
        #[derive(Deserialize)]
        struct Global {
            sobjects: Vec<ListedObject>,
        }
        let answer = self.call(CallKind::Describe, Ask::get(self.data_path("/sobjects"))).await?;
        Ok(answer.json::<Global>("the list of objects")?.sobjects)
    }

    fn describe_path(&self, object: &ObjectName) -> String {
        self.data_path(&format!("/sobjects/{}/describe", object.as_str()))
    }

    fn composite(&self, objects: &[(ObjectName, Option<Timestamp>)]) -> String {
        let parts: Vec<serde_json::Value> = objects
            .iter()
            .enumerate()
            .map(|(place, (object, since))| {
                let mut part = json!({
                    "method": "GET",
                    "url": self.describe_path(object),
                    "referenceId": format!("describe{place}"),
                });
                if let Some(since) = since {
                    part["httpHeaders"] = json!({ "If-Modified-Since": http_date(*since) });
                }
                part
            })
            .collect();
        json!({ "allOrNone": false, "compositeRequest": parts }).to_string()
    }
}

/// One part of a composite answer; its body is read later, as what its status says it is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part<'a> {
    #[serde(borrow)]
    body: &'a RawValue,
    #[serde(default)]
    http_headers: HashMap<String, serde_json::Value>,
    http_status_code: u16,
    reference_id: String,
}

fn read_composite(
    answer: &Answer,
    objects: &[(ObjectName, Option<Timestamp>)],
) -> Result<Vec<Result<Described, SalesforceError>>, SalesforceError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Composite<'a> {
        #[serde(borrow)]
        composite_response: Vec<Part<'a>>,
    }
    let composite: Composite<'_> = serde_json::from_slice(without_mark(&answer.body))
        .map_err(|_| answer.unreadable("a composite answer"))?;
    let mut parts: HashMap<&str, &Part<'_>> =
        composite.composite_response.iter().map(|part| (part.reference_id.as_str(), part)).collect();
    objects
        .iter()
        .enumerate()
        .map(|(place, (object, _))| {
            let part = parts
                .remove(format!("describe{place}").as_str())
                .ok_or_else(|| answer.unreadable("all parts of a composite answer"))?;
            Ok(read_part(answer, part).map_err(|error| error.about(object.as_str())))
        })
        .collect()
}

fn read_part(answer: &Answer, part: &Part<'_>) -> Result<Described, SalesforceError> {
    match part.http_status_code {
        304 => Ok(Described::Unchanged),
        200..=299 => {
            let last_modified = part
                .http_headers
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case("last-modified"))
                .and_then(|(_, value)| parse_http_date(value.as_str()?));
            found(answer, part.body.get().as_bytes(), last_modified)
        }
        status => {
            let fault = ApiFault::read(status, part.body.get().as_bytes());
            if is_absent(&fault) { Ok(Described::Absent) } else { Err(fault.into()) }
        }
    }
}

fn found(answer: &Answer, body: &[u8], modified: Option<Timestamp>) -> Result<Described, SalesforceError> {
    let describe = serde_json::from_slice(without_mark(body)).map_err(|_| answer.unreadable("a describe"))?;
    let as_of = modified.map_or_else(|| answer.read_at(), Ok)?;
    Ok(Described::Found { describe, as_of })
}

fn is_absent(fault: &ApiFault) -> bool {
    matches!(fault.kind, FaultKind::NotFound | FaultKind::UnknownObject)
}

/// A moment as conditional requests want it.
fn http_date(at: DateTime<chrono::Utc>) -> String {
    at.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

#[cfg(test)]
#[path = "describe_test.rs"]
mod tests;
