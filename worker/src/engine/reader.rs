//! Reading a window: keyset queries whose pages follow by locator, issued again from the last key when the
//! locator dies with its session.

use refrain_shared::clock::{Clock, Timestamp};
use refrain_shared::job::checkpoint::{Position, Window};
use refrain_shared::salesforce::soql::{self, FieldPath, ObjectName, Soql};
use refrain_shared::salesforce::{Client, Page, RecordPages, SalesforceError, Scope};

use super::{ReadPlan, soql_position};
use crate::error::{JobError, Step};

/// A page, and whether the window ends with it.
pub struct ReadPage {
    /// What Salesforce answered.
    pub page: Page,
    /// Nothing follows.
    pub last: bool,
}

/// How often a query is issued again within one job because its locator died.
const REISSUES: u32 = 5;

/// A window being read.
pub struct Reader {
    client: Client,
    object: ObjectName,
    fields: Vec<FieldPath>,
    cursor: FieldPath,
    window: Window,
    pages: RecordPages,
    position: Option<Position>,
    reissued: u32,
}

impl Reader {
    /// Prepares the query; nothing is sent yet.
    pub fn open(plan: &ReadPlan, client: &Client, window: &Window, clock: &Clock) -> Result<Self, JobError> {
        let named = |error: &SalesforceError| JobError::of(Step::Plan, error, clock.now());
        let object = ObjectName::parse(&plan.api_name).map_err(|e| named(&e.into()))?;
        let cursor = FieldPath::parse(&plan.cursor).map_err(|e| named(&e.into()))?;
        let fields = plan
            .fields
            .fields()
            .iter()
            .map(|field| FieldPath::parse(&field.path))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| named(&e.into()))?;
        let pages = pages(client, &object, &fields, &cursor, window, window.resume.as_ref());
        let position = window.resume.clone();
        Ok(Self { client: client.clone(), object, fields, cursor, window: window.clone(), pages, position, reissued: 0 })
    }

    /// The next page; at the end of the window a page with `last` set, possibly empty.
    pub async fn next(&mut self, clock: &Clock) -> Result<ReadPage, JobError> {
        loop {
            match self.pages.next_page().await {
                Ok(Some(page)) => {
                    let last = page.done;
                    return Ok(ReadPage { page, last });
                }
                Ok(None) => {
                    return Err(JobError::of(Step::Extract, &SalesforceError::LocatorLost, clock.now()));
                }
                Err(SalesforceError::LocatorLost) if self.reissued < REISSUES => {
                    self.reissued += 1;
                    self.pages = pages(
                        &self.client,
                        &self.object,
                        &self.fields,
                        &self.cursor,
                        &self.window,
                        self.position.as_ref(),
                    );
                }
                Err(error) => return Err(JobError::of(Step::Extract, &error, clock.now())),
            }
        }
    }

    /// Notes the last record of a page that was fetched; a query issued again goes on after it.
    pub fn passed(&mut self, position: Option<&Position>) {
        if let Some(position) = position {
            self.position = Some(position.clone());
        }
    }

    /// Where a query issued now would go on.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        self.position.clone()
    }
}

fn pages(
    client: &Client,
    object: &ObjectName,
    fields: &[FieldPath],
    cursor: &FieldPath,
    window: &Window,
    after: Option<&Position>,
) -> RecordPages {
    let window = soql::Window {
        from: window.lo.max(oldest()),
        to: window.hi,
        after: after.and_then(soql_position),
        direction: soql::Direction::Ascending,
        limit: None,
    };
    client.records(object, fields, cursor, &window, Scope::All)
}

/// SOQL takes no earlier moment for audit fields (SOQL reference, date formats).
fn oldest() -> Timestamp {
    Timestamp::UNIX_EPOCH
}
