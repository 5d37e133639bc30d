//! From a read plan to the client's pages.

use refrain_shared::clock::Clock;
use refrain_shared::job::checkpoint::Window;
use refrain_shared::salesforce::query::Scope;
use refrain_shared::salesforce::slice::{RecordPage, RecordPages, Selection};
use refrain_shared::salesforce::soql::{self, FieldPath, ObjectName};
use refrain_shared::salesforce::{Client, SalesforceError};

use super::{ReadPlan, soql_position};
use crate::error::{JobError, Step};

/// A window being read. Lost locators and long field lists are the client's business.
pub struct Reader {
    client: Client,
    selection: Selection,
    window: soql::Window,
    pages: RecordPages,
    /// Rows that the query under way has given.
    given: u32,
}

impl Reader {
    /// Prepares the query; nothing is sent yet.
    pub fn open(plan: &ReadPlan, client: &Client, window: &Window, clock: &Clock) -> Result<Self, JobError> {
        let selection = selection(plan).map_err(|error| JobError::of(Step::Plan, &error, clock.now()))?;
        let window = soql::Window {
            from: window.lo,
            to: window.hi,
            after: window.resume.as_ref().and_then(soql_position),
            direction: if plan.by_id { soql::Direction::ById } else { soql::Direction::Ascending },
            limit: window.rows,
        };
        let pages = client.read_window(selection.clone(), window);
        Ok(Self { client: client.clone(), selection, window, pages, given: 0 })
    }

    /// The next page; the window's last one is marked, and may be empty.
    pub async fn next(&mut self, clock: &Clock) -> Result<RecordPage, JobError> {
        let page = self.pages.next_page().await;
        // A page is asked for only when the one before was not the last.
        let mut page = page
            .and_then(|page| page.ok_or(SalesforceError::LocatorLost))
            .map_err(|error| JobError::of(Step::Extract, &error, clock.now()))?;
        self.given = self.given.saturating_add(u32::try_from(page.rows).unwrap_or(u32::MAX));
        self.window.after = page.last.or(self.window.after);
        if page.done && self.window.limit.is_some_and(|limit| self.given >= limit) {
            // The query ended because of its limit; the window may hold more.
            page.done = false;
            self.given = 0;
            self.pages = self.client.read_window(self.selection.clone(), self.window);
        }
        Ok(page)
    }
}

/// What is read of the plan's object.
pub fn selection(plan: &ReadPlan) -> Result<Selection, SalesforceError> {
    let fields = plan.transform.fields.fields().iter().map(|field| FieldPath::parse(&field.path));
    Ok(Selection {
        object: ObjectName::parse(&plan.api_name)?,
        fields: fields.collect::<Result<Vec<_>, _>>()?,
        cursor: FieldPath::parse(&plan.transform.cursor)?,
        // Deleted records are changes too.
        scope: Scope::All,
        filter: plan.condition.clone(),
    })
}
