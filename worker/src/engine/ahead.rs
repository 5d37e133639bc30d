//! Pages that are fetched while others are turned into rows and committed, within what one commit may hold.
//!
//! What is in hand and not committed is read again after a kill, so it is bounded: in records by one full page
//! (`worker.commit_rows`), however small the pages are that Salesforce cuts it into, and in bytes for memory's sake.
//! A full page is therefore committed before the next is asked for; of small ones, as many go into one commit as
//! came while the commit before was under way.

use std::sync::Arc;

use refrain_shared::clock::Clock;
use refrain_shared::salesforce::slice::RecordPage;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::reader::Reader;
use crate::error::{JobError, Step};

/// Bytes of bodies beyond which nothing more is asked for. One page may be larger; then it is alone.
const MOST_BYTES: usize = 4 * 1024 * 1024;
/// Pages waiting to be taken, at most; the records bound them long before, save where pages are nearly empty.
const MOST_PAGES: usize = 32;

/// What was fetched and is not committed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct InHand {
    rows: usize,
    bytes: usize,
    /// The largest page so far: what the next one is taken to be like.
    largest: Size,
}

/// How much a page, or a batch of them, holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Size {
    rows: usize,
    bytes: usize,
}

impl Size {
    fn of(page: &RecordPage) -> Self {
        Self { rows: page.rows, bytes: page.body_bytes() }
    }
}

impl InHand {
    /// Whether one more page may be asked for.
    fn has_room(&self, most_rows: usize) -> bool {
        let is_empty = self.rows == 0 && self.bytes == 0;
        is_empty
            || (self.rows + self.largest.rows <= most_rows && self.bytes + self.largest.bytes <= MOST_BYTES)
    }

    fn fetched(&mut self, page: Size) {
        self.rows += page.rows;
        self.bytes += page.bytes;
        self.largest.rows = self.largest.rows.max(page.rows);
        self.largest.bytes = self.largest.bytes.max(page.bytes);
    }

    fn committed(&mut self, batch: Size) {
        self.rows -= batch.rows;
        self.bytes -= batch.bytes;
    }
}

/// The pages of a window, fetched ahead.
pub struct Ahead {
    pages: mpsc::Receiver<Result<RecordPage, JobError>>,
    in_hand: Arc<watch::Sender<InHand>>,
    /// The batch that was taken last.
    taken: Size,
    /// Nothing more is to be asked for.
    enough: CancellationToken,
    /// Met after the pages that were taken; told when the next are asked for.
    failed: Option<JobError>,
    /// `None` once it has ended.
    task: Option<JoinHandle<()>>,
}

impl Drop for Ahead {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl Ahead {
    /// Sends the first query.
    pub fn begin(reader: Reader, clock: Clock, most_rows: usize) -> Self {
        let (sender, pages) = mpsc::channel(MOST_PAGES);
        let in_hand = Arc::new(watch::Sender::new(InHand::default()));
        let enough = CancellationToken::new();
        let task =
            tokio::spawn(fetch(reader, clock, most_rows, Arc::clone(&in_hand), enough.clone(), sender));
        Self { pages, in_hand, taken: Size::default(), enough, failed: None, task: Some(task) }
    }

    /// The pages that have come since the last asking, at least one; none after the last page, or after
    /// [`stop`](Self::stop). Whoever asks has committed what was taken before.
    pub async fn next(&mut self) -> Result<Vec<RecordPage>, JobError> {
        let committed = std::mem::take(&mut self.taken);
        self.in_hand.send_modify(|in_hand| in_hand.committed(committed));
        let mut pages = Vec::new();
        self.take(&mut pages).await?;
        Ok(pages)
    }

    /// Asks for nothing more and adds to the batch what is on its way.
    pub async fn stop(&mut self, pages: &mut Vec<RecordPage>) {
        self.enough.cancel();
        let mut before = 0;
        while pages.len() > before && self.failed.is_none() {
            before = pages.len();
            if let Err(error) = self.take(pages).await {
                self.failed = Some(error);
            }
        }
    }

    /// Whether an error follows the pages that were taken.
    pub fn has_failed(&self) -> bool {
        self.failed.is_some()
    }

    async fn take(&mut self, pages: &mut Vec<RecordPage>) -> Result<(), JobError> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let mut come = Vec::new();
        if self.pages.recv_many(&mut come, MOST_PAGES).await == 0
            && let Some(task) = self.task.take()
        {
            task.await.map_err(panicked)?;
        }
        let none = pages.is_empty();
        for page in come {
            match page {
                Ok(page) => {
                    let size = Size::of(&page);
                    self.taken.rows += size.rows;
                    self.taken.bytes += size.bytes;
                    pages.push(page);
                }
                Err(error) if none && pages.is_empty() => return Err(error),
                Err(error) => self.failed = Some(error),
            }
        }
        Ok(())
    }
}

async fn fetch(
    mut reader: Reader,
    clock: Clock,
    most_rows: usize,
    in_hand: Arc<watch::Sender<InHand>>,
    enough: CancellationToken,
    pages: mpsc::Sender<Result<RecordPage, JobError>>,
) {
    let mut room = in_hand.subscribe();
    loop {
        tokio::select! {
            biased;
            () = enough.cancelled() => return,
            _ = room.wait_for(|in_hand| in_hand.has_room(most_rows)) => {}
        }
        let page = reader.next(&clock).await;
        let is_last = page.as_ref().map_or(true, |page| page.done);
        if let Ok(page) = &page {
            in_hand.send_modify(|in_hand| in_hand.fetched(Size::of(page)));
        }
        if pages.send(page).await.is_err() || is_last {
            return;
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "`map_err` hands it over")]
fn panicked(error: tokio::task::JoinError) -> JobError {
    JobError {
        step: Step::Extract,
        disposition: refrain_shared::error::Disposition::Bug,
        code: "panic",
        detail: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(rows: usize, bytes: usize) -> Size {
        Size { rows, bytes }
    }

    #[test]
    fn a_full_page_is_committed_before_the_next_is_asked_for() {
        let mut in_hand = InHand::default();
        assert!(in_hand.has_room(2000));
        in_hand.fetched(page(2000, 3_000_000));
        assert!(!in_hand.has_room(2000));
        in_hand.committed(page(2000, 3_000_000));
        assert!(in_hand.has_room(2000));
    }

    #[test]
    fn small_pages_are_fetched_as_long_as_one_more_fits() {
        let mut in_hand = InHand::default();
        for _ in 0..9 {
            in_hand.fetched(page(200, 10_000));
            assert!(in_hand.has_room(2000));
        }
        in_hand.fetched(page(200, 10_000));
        assert!(!in_hand.has_room(2000));
        // What is being committed counts until it is.
        in_hand.committed(page(400, 20_000));
        assert!(in_hand.has_room(2000));
    }

    #[test]
    fn bytes_bound_what_is_in_hand_and_a_page_beyond_them_is_alone() {
        let mut in_hand = InHand::default();
        in_hand.fetched(page(50, MOST_BYTES / 2));
        assert!(in_hand.has_room(2000));
        in_hand.fetched(page(50, MOST_BYTES / 2));
        assert!(!in_hand.has_room(2000));
        in_hand.committed(page(100, MOST_BYTES));
        in_hand.fetched(page(50, 2 * MOST_BYTES));
        assert!(!in_hand.has_room(2000));
        in_hand.committed(page(50, 2 * MOST_BYTES));
        assert!(in_hand.has_room(2000));
    }
}
