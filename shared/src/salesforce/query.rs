//! Queries, page by page; one page in memory at a time.
//!
//! A query locator belongs to the session that made it, so the pages of one query are read with one
//! session. When that session ends, the reader is told [`SalesforceError::LocatorLost`] and issues the query
//! again from its last key; the locator's URL is never repeated.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use reqwest::header::HeaderName;
use serde::Deserialize;
use serde_json::value::RawValue;
use url::Url;

use super::client::{Ask, Client};
use super::error::SalesforceError;
use super::fault::FaultKind;
use super::http::{Answer, without_mark};
use super::soql::{FieldPath, ObjectName, Position, Soql};
use super::split::key_of;
use crate::clock::{Timestamp, parse_salesforce_datetime};
use crate::ports::{CallKind, Session};

/// Which records a query may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Live records.
    Live,
    /// Soft-deleted and archived records as well.
    All,
}

impl Scope {
    fn resource(self) -> &'static str {
        match self {
            Self::Live => "/query",
            Self::All => "/queryAll",
        }
    }
}

/// One page of a query's answer.
#[derive(Debug, Clone)]
pub struct Page {
    body: Bytes,
    last_record: Option<Range<usize>>,
    /// How many records it holds.
    pub rows: usize,
    /// Salesforce's clock at the answer, in whole seconds.
    pub read_at: Timestamp,
    /// Rows of the whole result as estimated at the first page; of `COUNT()` the result itself.
    pub total_size: u64,
    /// Whether this is the last page.
    pub done: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    total_size: u64,
    done: bool,
    #[serde(borrow, default)]
    next_records_url: Option<Cow<'a, str>>,
    #[serde(borrow)]
    records: Vec<&'a RawValue>,
}

impl Page {
    /// The records, borrowed from the body. Scans it, so call it once.
    #[must_use]
    pub fn records(&self) -> Vec<&RawValue> {
        let envelope: Envelope<'_> =
            serde_json::from_slice(&self.body).expect("the body was checked when the page was read");
        envelope.records
    }

    /// The JSON of the last record.
    fn last_record(&self) -> Option<&str> {
        let bytes = &self.body[self.last_record.clone()?];
        Some(std::str::from_utf8(bytes).expect("the body was checked when the page was read"))
    }

    /// The place of the last record in the order of `cursor`; `None` of an empty page.
    pub fn last_position(&self, cursor: &FieldPath) -> Result<Option<Position>, SalesforceError> {
        let Some(last) = self.last_record() else {
            return Ok(None);
        };
        let (id, stamp) = key_of(last, cursor.as_str())?;
        let at = parse_salesforce_datetime(stamp.trim_matches('"')).ok_or(SalesforceError::Unreadable {
            expected: "a moment as cursor",
            status: 200,
            received: "another value".to_owned(),
        })?;
        Ok(Some(Position { at, id }))
    }

    /// Size of the body in bytes.
    #[must_use]
    pub fn body_bytes(&self) -> usize {
        self.body.len()
    }

    fn read(answer: &Answer) -> Result<(Self, Option<String>), SalesforceError> {
        let read_at = answer.read_at()?;
        let body = answer.body.slice_ref(without_mark(&answer.body));
        let Envelope { total_size, done, next_records_url, records } =
            serde_json::from_slice(&body).map_err(|_| answer.unreadable("a page of records"))?;
        if !done && next_records_url.is_none() {
            return Err(answer.unreadable("the URL of the next page"));
        }
        // `done` is the truth: a last page that names a next one is still the last.
        let next = next_records_url.filter(|_| !done).map(Cow::into_owned);
        let base = body.as_ptr() as usize;
        let last_record = records.last().map(|record| {
            let start = record.get().as_ptr() as usize - base;
            start..start + record.get().len()
        });
        let rows = records.len();
        Ok((Self { body, last_record, rows, read_at, total_size, done }, next))
    }
}

/// Where a reader stands.
#[derive(Debug)]
enum Progress {
    First,
    Next { url: Url, session: Session },
    Lost,
    Done,
}

/// A query being read.
pub struct QueryPages {
    client: Client,
    soql: Soql,
    scope: Scope,
    progress: Progress,
}

impl Client {
    /// A query to read page by page; nothing is sent before the first page is asked for.
    #[must_use]
    pub fn query(&self, soql: Soql, scope: Scope) -> QueryPages {
        QueryPages { client: self.clone(), soql, scope, progress: Progress::First }
    }

    /// The number that a `COUNT()` query gives.
    pub async fn count(&self, soql: Soql, scope: Scope) -> Result<u64, SalesforceError> {
        let page = self.query(soql, scope).next_page().await?;
        Ok(page.map_or(0, |page| page.total_size))
    }

    /// The oldest record's value of the cursor field, `None` where there are no records; and Salesforce's clock at
    /// the answer.
    pub async fn oldest(
        &self,
        object: &ObjectName,
        cursor: &FieldPath,
        scope: Scope,
    ) -> Result<(Option<Timestamp>, Timestamp), SalesforceError> {
        let mut pages = self.query(Soql::oldest(object, cursor), scope);
        let page = pages.next_page().await?.ok_or(SalesforceError::LocatorLost)?;
        Ok((page.last_position(cursor)?.map(|position| position.at), page.read_at))
    }
}

impl QueryPages {
    /// The next page; `None` after the last.
    ///
    /// After an error the same page may be asked for again, save after `LocatorLost`: then every further
    /// page is refused, so that an unread rest is never taken for the end.
    pub async fn next_page(&mut self) -> Result<Option<Page>, SalesforceError> {
        let (answer, session) = match &self.progress {
            Progress::Done => return Ok(None),
            Progress::Lost => return Err(SalesforceError::LocatorLost),
            Progress::First => self.first().await?,
            Progress::Next { url, session } => {
                let (url, session) = (url.clone(), session.clone());
                let answer = self.next(url, &session).await;
                if matches!(answer, Err(SalesforceError::LocatorLost)) {
                    self.progress = Progress::Lost;
                }
                (answer?, session)
            }
        };
        let (page, next) = Page::read(&answer)?;
        self.progress = match next {
            None => Progress::Done,
            Some(path) => {
                let origin = self.client.origin(&session)?;
                let url = origin.next_page(&path).map_err(SalesforceError::NextPageRefused)?;
                Progress::Next { url, session }
            }
        };
        Ok(Some(page))
    }

    fn ask(&self) -> Ask {
        let rows = self.client.settings().page_rows.clamp(200, 2000);
        let header = HeaderName::from_static("sforce-query-options");
        Ask {
            query: Some(self.soql.as_str().to_owned()),
            headers: vec![(header, format!("batchSize={rows}"))],
            ..Ask::get(self.client.data_path(self.scope.resource()))
        }
    }

    async fn first(&self) -> Result<(Answer, Session), SalesforceError> {
        let answer = self.client.call_with_session(CallKind::Query, self.ask()).await;
        answer.map_err(|error| error.about(self.soql.object().as_str()))
    }

    /// A session that ended, or a host that moved, takes the locator with it. The session is renewed here,
    /// so that the query issued next does not meet the same refusal.
    async fn next(&self, url: Url, session: &Session) -> Result<Answer, SalesforceError> {
        match self.client.attempt_at(CallKind::Query, session, url, &self.ask()).await {
            Err(SalesforceError::Api(fault))
                if matches!(fault.kind, FaultKind::SessionExpired | FaultKind::Moved) =>
            {
                self.client.renew(session.generation).await?;
                Err(SalesforceError::LocatorLost)
            }
            // Whatever is behind a locator, a page that is not found is a locator that is gone.
            Err(SalesforceError::Api(fault)) if fault.kind == FaultKind::NotFound => {
                Err(SalesforceError::LocatorLost)
            }
            answer => answer.map_err(|error| error.about(self.soql.object().as_str())),
        }
    }
}

#[cfg(test)]
#[path = "query_test.rs"]
mod tests;
