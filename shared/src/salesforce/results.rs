//! The results of a Bulk query job, a set at a time: delimited text, in no order, read any number of times.
//!
//! A set is whole or it is an error: it ends with a line's end, no quote stays open, and it has as many rows as its
//! header announced. So a body that broke off is never taken for a short one.

use std::ops::Range;

use bytes::Bytes;
use csv::ByteRecord;
use reqwest::header::ACCEPT;

use super::bulk::{BulkAddress, is_gone, job_path};
use super::client::{Ask, Client};
use super::error::SalesforceError;
use super::http::{Answer, without_mark};
use crate::ports::CallKind;

/// A set of a job's results.
#[derive(Debug, Clone)]
pub struct ResultSet {
    body: Bytes,
    /// The names of the columns.
    pub header: ByteRecord,
    rows_at: usize,
    /// How many rows it has.
    pub rows: usize,
    /// Where the next set begins; `None` after the last.
    pub next: Option<String>,
}

/// What asking for a set came to.
#[derive(Debug)]
pub enum Results {
    /// A set.
    Set(ResultSet),
    /// There are no results, or none any more: the job is gone, was given up, or its place is not known.
    Gone,
}

impl Client {
    /// The set that begins at `locator`, with at most so many rows.
    pub async fn bulk_results(
        &self,
        job: BulkAddress,
        locator: Option<&str>,
        most: u32,
    ) -> Result<Results, SalesforceError> {
        let mut params = vec![("maxRecords", most.to_string())];
        params.extend(locator.map(|locator| ("locator", locator.to_owned())));
        let ask = Ask {
            params,
            headers: vec![(ACCEPT, "text/csv".to_owned())],
            ..Ask::get(format!("{}/results", job_path(job)))
        };
        match self.call(CallKind::BulkResults, ask).await {
            Ok(answer) if answer.status == 204 => Ok(Results::Gone),
            Ok(answer) => ResultSet::read(&answer).map(Results::Set),
            Err(error) if is_gone(&error) || matches!(error, SalesforceError::LocatorLost) => {
                Ok(Results::Gone)
            }
            // Made by another version of the API, which cannot be so of an address that is ours.
            Err(error) if error.fault().is_some_and(|fault| fault.status == 409) => Ok(Results::Gone),
            Err(error) => Err(error),
        }
    }
}

impl ResultSet {
    fn read(answer: &Answer) -> Result<Self, SalesforceError> {
        let body = answer.body.slice_ref(without_mark(&answer.body));
        let next = answer.locator.clone().filter(|locator| locator != "null" && !locator.is_empty());
        let Some(mut ends) = line_ends(&body) else {
            return Err(answer.unreadable("a whole set of results"));
        };
        let (rows_at, rows) = (ends.next().unwrap_or(body.len()), ends.count());
        if answer.rows.is_some_and(|announced| announced != rows) {
            return Err(answer.unreadable("as many rows as were announced"));
        }
        let mut header = ByteRecord::new();
        reader(&body[..rows_at])
            .read_byte_record(&mut header)
            .map_err(|_| answer.unreadable("the names of columns"))?;
        Ok(Self { body, header, rows_at, rows, next })
    }

    /// The rows in parts of at most so many; one empty part where there are none.
    #[must_use]
    pub fn parts(&self, rows: usize) -> Vec<Bytes> {
        let mut parts: Vec<Range<usize>> = Vec::new();
        let mut from = self.rows_at;
        let ends = line_ends(&self.body).into_iter().flatten().skip(1);
        for (row, end) in ends.enumerate() {
            if (row + 1).is_multiple_of(rows.max(1)) || row + 1 == self.rows {
                parts.push(from..end);
                from = end;
            }
        }
        if parts.is_empty() {
            parts.push(from..from);
        }
        parts.into_iter().map(|part| self.body.slice(part)).collect()
    }

    /// Size of the body in bytes.
    #[must_use]
    pub fn body_bytes(&self) -> usize {
        self.body.len()
    }
}

/// The rows of a part.
pub fn rows(part: &[u8]) -> impl Iterator<Item = ByteRecord> + '_ {
    // A damaged row shows by its width; the reader itself refuses nothing.
    reader(part).into_byte_records().filter_map(Result::ok)
}

fn reader(text: &[u8]) -> csv::Reader<&[u8]> {
    csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text)
}

/// Where each line ends; `None` of a text that breaks off inside one. Quotes inside of a value are doubled, so that
/// counting them tells what is inside.
fn line_ends(text: &[u8]) -> Option<impl Iterator<Item = usize> + '_> {
    let is_whole = text.is_empty() || text.ends_with(b"\n");
    let is_open = text.iter().fold(false, |open, byte| open ^ (*byte == b'"'));
    if !is_whole || is_open {
        return None;
    }
    let mut inside = false;
    Some(text.iter().enumerate().filter_map(move |(at, byte)| {
        inside ^= *byte == b'"';
        (*byte == b'\n' && !inside).then_some(at + 1)
    }))
}
