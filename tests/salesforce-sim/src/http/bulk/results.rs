//! Result sets of a job: CSV, a set at a time, or several at once.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use crate::http::Answer;
use crate::http::answer::Blocks;
use crate::http::data::{Call, Context};
use crate::org::Org;
use crate::org::jobs::{Job, JobState};
use crate::query::csv::{Columns, Layout, Scratch, Selection};
use crate::soql;
use crate::soql::plan::{Output, Shape};
use crate::store::Reader;

/// Rows made at a time while a set is sent.
const BLOCK_ROWS: usize = 1_000;
/// Addresses that one call for parallel pages lists.
const PAGES_LISTED: usize = 5;
/// The oldest version whose columns come as selected; before, they are sorted by name.
const FIRST_IN_ORDER: u32 = 50;

/// Rows of one set: from, up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span(usize, Option<usize>);

impl Span {
    /// An opaque text; the platform's samples are base64 of a row number too.
    fn locator(self) -> String {
        let text = match self.1 {
            None => self.0.to_string(),
            Some(end) => format!("{}-{end}", self.0),
        };
        URL_SAFE_NO_PAD.encode(text)
    }

    fn parse(locator: &str) -> Option<Self> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(locator.trim_end_matches('=')).ok()?).ok()?;
        match text.split_once('-') {
            None => Some(Self(text.parse().ok()?, None)),
            Some((from, to)) => Some(Self(from.parse().ok()?, Some(to.parse().ok()?))),
        }
    }
}

/// Refuses what cannot have results.
fn ready(context: Context<'_>, job: &Job) -> Result<(), Answer> {
    if job.request.api_version != context.version_number {
        let made = job.request.api_version;
        let message =
            format!("The job was created with API version {made}.0, its results must be read with it");
        return Err(Answer::error(409, "API_ERROR", &message));
    }
    // The guide says so: a request that fails answers 204.
    if job.state(context.now) == JobState::JobComplete { Ok(()) } else { Err(Answer::empty(204)) }
}

fn span_of(call: Call<'_>, rows: usize) -> Result<Span, Answer> {
    let Some(locator) = call.params.get("locator") else {
        return Ok(Span(0, None));
    };
    Span::parse(locator)
        .filter(|span| span.0 < rows && span.1.is_none_or(|end| end <= rows))
        .ok_or_else(|| Answer::error(400, "INVALID_QUERY_LOCATOR", "invalid query locator"))
}

/// `/jobs/query/{id}/results?locator=&maxRecords=`
pub(super) fn set(context: Context<'_>, call: Call<'_>, job: Job) -> Answer {
    match made(context, call, job) {
        Ok(answer) | Err(answer) => answer,
    }
}

fn made(context: Context<'_>, call: Call<'_>, job: Job) -> Result<Answer, Answer> {
    ready(context, &job)?;
    let rows = job.request.rows.len();
    let Span(from, end) = span_of(call, rows)?;
    let wanted =
        call.params.get("maxRecords").map(|text| text.parse::<usize>().ok().filter(|most| *most > 0));
    let wanted = match wanted {
        Some(None) => {
            return Err(Answer::error(400, "INVALID_INPUT", "maxRecords must be a positive number"));
        }
        Some(Some(most)) => most,
        None => end.map_or(context.org.jobs().settings.set_rows, |end| end - from),
    };
    let to = from.saturating_add(wanted).min(end.unwrap_or(rows));
    let next = if to < rows { Span(to, None).locator() } else { "null".to_owned() };
    let blocks = blocks(Arc::clone(context.org), job, from, to);
    let mut answer = Answer::new(200, "text/csv; charset=UTF-8", Vec::new())
        .with("Sforce-NumberOfRecords", (to - from).to_string())
        .with("Sforce-Locator", next);
    answer.blocks = Some(blocks);
    answer.rows = to - from;
    Ok(answer)
}

/// The text of a set, made while it is sent. The records are read as they were when the job was created, so
/// what others change meanwhile does not show.
fn blocks(org: Arc<Org>, job: Job, from: usize, to: usize) -> Blocks {
    let format = job.request.format;
    let line_ending = if format.line_ending == "CRLF" { "\r\n" } else { "\n" };
    let layout = Layout { delimiter: format.delimiter.1, line_ending };
    let columns = columns(&org, &job, layout);
    let mut scratch = Scratch::default();
    let mut at = from;
    let mut begun = false;
    let next = move || {
        let mut out = Vec::new();
        if !begun {
            columns.header(&mut out);
        }
        if begun && at >= to {
            return None;
        }
        begun = true;
        let end = to.min(at + BLOCK_ROWS);
        let store = org.records();
        let permissions = org.permissions_of(job.request.by);
        let reader = Reader::as_of(&store, job.created_at).gated(permissions.gate());
        for row in at..end {
            let place = (job.request.plan.object, job.request.rows.get(row));
            columns.row(reader, outputs(&job), place, &mut scratch, &mut out);
        }
        drop(store);
        at = end;
        org.jobs().deliver(out.len(), org.clock.now_ms());
        Some(out)
    };
    Box::new(std::iter::from_fn(next))
}

fn outputs(job: &Job) -> &[Output] {
    match &job.request.plan.shape {
        Shape::Rows(outputs) => outputs,
        _ => &[],
    }
}

fn columns(org: &Org, job: &Job, layout: Layout) -> Columns {
    let query = soql::parse(&job.request.soql).expect("the job was made from this statement");
    let (object, catalog) = (job.request.plan.object, org.catalog());
    let selection = Selection { query: &query, outputs: outputs(job), object, catalog: &catalog };
    Columns::new(selection, job.request.api_version < FIRST_IN_ORDER, layout)
}

/// `/jobs/query/{id}/resultPages`: addresses of sets that may be fetched at once.
pub(super) fn pages(context: Context<'_>, call: Call<'_>, job: &Job) -> Answer {
    let base = format!("/services/data/{}/jobs/query/{}", context.version, job.id);
    let found = ready(context, job).and_then(|()| span_of(call, job.request.rows.len().max(1)));
    let Span(from, _) = match found {
        Ok(span) => span,
        Err(answer) => return answer,
    };
    let rows = job.request.rows.len();
    let size = context.org.jobs().settings.set_rows.max(1);
    let starts = (from..rows.max(1)).step_by(size).take(PAGES_LISTED);
    let pages: Vec<_> = starts
        .map(|start| {
            let locator = Span(start, Some(rows.min(start + size))).locator();
            json!({"resultUrl": format!("{base}/results?locator={locator}")})
        })
        .collect();
    let next = from + size * PAGES_LISTED;
    let more = (next < rows).then(|| format!("{base}/resultPages?locator={}", Span(next, None).locator()));
    Answer::json(200, &json!({"resultPages": pages, "nextRecordsUrl": more, "done": more.is_none()}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locators_survive_a_round_trip_and_look_like_the_platforms() {
        assert_eq!(Span(10_000, None).locator(), "MTAwMDA");
        for span in [Span(0, None), Span(7, Some(9))] {
            assert_eq!(Span::parse(&span.locator()), Some(span));
        }
        assert_eq!(Span::parse("null"), None);
        assert_eq!(Span::parse("%%%"), None);
    }
}
