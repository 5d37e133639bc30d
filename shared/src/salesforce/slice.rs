//! Reading records: a window by keyset pages, or the records behind a list of references.
//!
//! The pages look the same whether the field list fits one URL or not. A lost locator is made good here:
//! the query is issued again after the last record that was given out, so nothing is skipped, and for a
//! window nothing is given twice. An end before all announced rows is not believed either.

use std::collections::VecDeque;

use serde_json::value::RawValue;

use super::client::Client;
use super::condition::Condition;
use super::error::SalesforceError;
use super::query::{Page, QueryPages, Scope};
use super::soql::{FieldPath, ObjectName, Position, Soql, Window};
use super::split::{self, Parts};
use crate::clock::Timestamp;
use crate::ids::SalesforceId;

/// What is read of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// The object.
    pub object: ObjectName,
    /// The fields; Id and the cursor come along by themselves.
    pub fields: Vec<FieldPath>,
    /// The field that orders changes.
    pub cursor: FieldPath,
    /// Whether deleted records are seen.
    pub scope: Scope,
    /// Of a window, only records of which this holds are read; what is asked for by references comes whatever it is.
    pub filter: Option<Condition>,
}

/// A page of whole records.
#[derive(Debug)]
pub struct RecordPage {
    content: Content,
    /// Salesforce's clock when the first part of the page was read.
    pub read_at: Timestamp,
    /// Rows of the whole query as Salesforce estimated them.
    pub total_size: u64,
    /// Whether the window, or the list of references, ends here.
    pub done: bool,
    /// Rows that Salesforce gave; of records read in parts, some may be gone since.
    pub rows: usize,
    /// Of a window, and of children: the last record, after which reading goes on.
    pub last: Option<Position>,
}

#[derive(Debug)]
enum Content {
    Whole(Page),
    Joined(Vec<Box<RawValue>>),
}

impl RecordPage {
    /// A page of records that came by another way than a query.
    #[must_use]
    pub fn made(records: Vec<Box<RawValue>>, read_at: Timestamp, done: bool) -> Self {
        let rows = records.len();
        let total_size = u64::try_from(rows).unwrap_or(u64::MAX);
        Self { content: Content::Joined(records), read_at, total_size, done, rows, last: None }
    }

    /// The records. May scan the page, so call it once.
    #[must_use]
    pub fn records(&self) -> Vec<&RawValue> {
        match &self.content {
            Content::Whole(page) => page.records(),
            Content::Joined(records) => records.iter().map(|record| &**record).collect(),
        }
    }

    /// Size of what it holds in bytes.
    #[must_use]
    pub fn body_bytes(&self) -> usize {
        match &self.content {
            Content::Whole(page) => page.body_bytes(),
            Content::Joined(records) => records.iter().map(|record| record.get().len()).sum(),
        }
    }
}

/// What is still to be asked.
#[derive(Debug)]
enum Work {
    Window(Window),
    References { field: FieldPath, chunks: VecDeque<Vec<SalesforceId>> },
    Children { field: FieldPath, ids: Vec<SalesforceId>, after: Option<SalesforceId> },
    Numbers { field: FieldPath, numbers: Vec<String> },
    Nothing,
}

/// Records being read, page by page.
pub struct RecordPages {
    client: Client,
    selection: Selection,
    parts: Parts,
    work: Work,
    pages: Option<QueryPages>,
    /// Rows that the query under way has given.
    given: u64,
    /// It was asked because the one before it ended too early.
    doubted: bool,
    reissued: bool,
}

impl Client {
    /// Reads a window in its order.
    #[must_use]
    pub fn read_window(&self, selection: Selection, window: Window) -> RecordPages {
        let most = self.settings().max_query_bytes;
        // The longest form: with a position and a limit. All ids are of one length.
        let id = SalesforceId::parse("000000000000000").expect("fifteen digits are an id");
        let after = Some(Position { at: window.from, id });
        let longest = Window { after, limit: Some(u32::MAX), ..window };
        let bare = Soql::window(&selection.object, &[], &selection.cursor, &longest)
            .under(selection.filter.as_ref())
            .encoded_len();
        let parts = Parts::cut(&selection.fields, most.saturating_sub(bare), most / 2);
        self.reader(selection, parts, Work::Window(window))
    }

    /// Reads the records whose `field` points to one of `ids`: with `Id` the records themselves, with a
    /// parent reference the children. In no order; ids are asked in as many queries as URLs need.
    #[must_use]
    pub fn read_references(
        &self,
        selection: Selection,
        field: FieldPath,
        ids: &[SalesforceId],
    ) -> RecordPages {
        let half = self.settings().max_query_bytes / 2;
        let parts = Parts::cut(&selection.fields, half, half);
        let most = split::ids_per_query(self, &selection, &parts.first, &field);
        let chunks = ids.chunks(most).map(<[SalesforceId]>::to_vec).collect();
        self.reader(selection, parts, Work::References { field, chunks })
    }

    /// Reads the records whose `field` points to one of `ids`, in the order of their own ids, on from `after`: many may name
    /// one parent. No more than [`references_at_once`](Self::references_at_once).
    #[must_use]
    pub fn read_children(
        &self,
        selection: Selection,
        field: FieldPath,
        ids: &[SalesforceId],
        after: Option<SalesforceId>,
    ) -> RecordPages {
        let half = self.settings().max_query_bytes / 2;
        let parts = Parts::cut(&selection.fields, half, half);
        self.reader(selection, parts, Work::Children { field, ids: ids.to_vec(), after })
    }

    /// How many references one query asks for beside these fields.
    #[must_use]
    pub fn references_at_once(&self, selection: &Selection, field: &FieldPath) -> usize {
        let half = self.settings().max_query_bytes / 2;
        let parts = Parts::cut(&selection.fields, half, half);
        // The order, and the place to go on from, take about as much as a few ids.
        split::ids_per_query(self, selection, &parts.first, field).saturating_sub(3).max(1)
    }

    /// Reads the records whose `field` holds one of these numbers, a handful.
    #[must_use]
    pub fn read_numbers(&self, selection: Selection, field: FieldPath, numbers: &[String]) -> RecordPages {
        let half = self.settings().max_query_bytes / 2;
        let parts = Parts::cut(&selection.fields, half, half);
        self.reader(selection, parts, Work::Numbers { field, numbers: numbers.to_vec() })
    }

    fn reader(&self, selection: Selection, parts: Parts, work: Work) -> RecordPages {
        RecordPages {
            client: self.clone(),
            selection,
            parts,
            work,
            pages: None,
            given: 0,
            doubted: false,
            reissued: false,
        }
    }
}

impl RecordPages {
    /// The next page; `None` after the last.
    ///
    /// After an error, or when the future was dropped, asking again begins after the last page that was
    /// given out; of references, with the list of ids that was being read.
    pub async fn next_page(&mut self) -> Result<Option<RecordPage>, SalesforceError> {
        // The query is put back only with the page that it gave: a page that was read and never given out
        // must be read again.
        while let Some(mut pages) = self.query_under_way() {
            let next = match pages.next_page().await {
                Ok(Some(page)) => self.whole(page).await.map(Some),
                Ok(None) => Ok(None),
                Err(error) => Err(error),
            };
            match next {
                Ok(Some(mut page)) => {
                    self.reissued = false;
                    if self.ends_too_early(&page) {
                        page.done = false;
                    } else {
                        self.pages = Some(pages);
                    }
                    return Ok(Some(self.advance(page)));
                }
                // Its last page has advanced the work already.
                Ok(None) => {}
                Err(SalesforceError::LocatorLost) if !self.reissued => self.reissued = true,
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    fn query_under_way(&mut self) -> Option<QueryPages> {
        self.pages.take().or_else(|| {
            let soql = query_of(&self.work, &self.selection, &self.parts)?;
            self.given = 0;
            Some(self.client.query(soql, self.selection.scope))
        })
    }

    /// Whether a last page came before all rows that were announced. Then it is asked once more: a window from its last
    /// row on, a list of ids as a whole. Rows that do not come then either are none for us.
    fn ends_too_early(&mut self, page: &RecordPage) -> bool {
        self.given += page.rows as u64;
        if !page.done {
            return false;
        }
        let was_doubted = std::mem::take(&mut self.doubted);
        let may_have_more = match self.work {
            Work::Window(_) | Work::Children { .. } => self.given > 0 || !was_doubted,
            Work::References { .. } | Work::Numbers { .. } => !was_doubted,
            Work::Nothing => false,
        };
        self.doubted = may_have_more && self.given < page.total_size;
        self.doubted
    }

    /// The page with all parts of its records.
    async fn whole(&self, page: Page) -> Result<RecordPage, SalesforceError> {
        let Page { read_at, total_size, done, rows, .. } = page;
        // Taken from the first part: a record that is read again may have moved past the window.
        let last = match self.work {
            Work::Window(_) | Work::Children { .. } => page.last_position(&self.selection.cursor)?,
            Work::References { .. } | Work::Numbers { .. } | Work::Nothing => None,
        };
        let content = if self.parts.rest.is_empty() {
            Content::Whole(page)
        } else {
            Content::Joined(split::join(&self.client, &self.selection, &self.parts, &page).await?)
        };
        Ok(RecordPage { content, read_at, total_size, done, rows, last })
    }

    /// Notes how far reading came, and whether this was the end.
    fn advance(&mut self, mut page: RecordPage) -> RecordPage {
        match &mut self.work {
            Work::Window(window) => {
                window.after = page.last.or(window.after);
                let rows = u32::try_from(page.rows).unwrap_or(u32::MAX);
                window.limit = window.limit.map(|limit| limit.saturating_sub(rows));
                if page.done {
                    self.work = Work::Nothing;
                }
            }
            Work::References { chunks, .. } => {
                if page.done {
                    chunks.pop_front();
                }
                page.done = page.done && chunks.is_empty();
            }
            Work::Children { after, .. } => {
                *after = page.last.map(|last| last.id).or(*after);
                if page.done {
                    self.work = Work::Nothing;
                }
            }
            Work::Numbers { .. } => {
                if page.done {
                    self.work = Work::Nothing;
                }
            }
            Work::Nothing => {}
        }
        page
    }
}

fn query_of(work: &Work, selection: &Selection, parts: &Parts) -> Option<Soql> {
    let Selection { object, cursor, .. } = selection;
    match work {
        Work::Window(window) => {
            Some(Soql::window(object, &parts.first, cursor, window).under(selection.filter.as_ref()))
        }
        Work::References { field, chunks } => {
            chunks.front().map(|ids| Soql::by_references(object, &parts.first, cursor, field, ids))
        }
        Work::Children { field, ids, after } => {
            Some(Soql::children(object, &parts.first, cursor, (field, ids), *after))
        }
        Work::Numbers { field, numbers } => {
            Some(Soql::by_numbers(object, &parts.first, cursor, field, numbers))
        }
        Work::Nothing => None,
    }
}

#[cfg(test)]
#[path = "slice_test.rs"]
mod tests;
