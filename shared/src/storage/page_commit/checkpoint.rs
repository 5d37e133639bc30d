//! The checkpoint's part of a page commit.

use super::super::error::StoreError;
use super::super::pool::TenantTx;
use super::PageCommit;
use crate::clock::Timestamp;
use crate::ids::{FieldSetId, ObjectId};
use crate::job::checkpoint::{Position, Slice};

/// What became of each record of the page; the sum is what was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PageCounts {
    /// Written; known after the commit.
    pub written: i64,
    /// Same content as stored.
    pub unchanged: i64,
    /// An equal or newer read was stored already; known after the commit.
    pub superseded: i64,
    /// Set aside.
    pub quarantined: i64,
    /// Names a person who must not come back; known after the commit.
    pub suppressed: i64,
    /// Belongs to a ticket whose time is over, and is kept as a stub; known after the commit.
    pub expired: i64,
    /// Outside of the object's filter, or belongs to a ticket that is, and is kept as a stub; known after the commit.
    pub filtered: i64,
    /// Of the written: stamped before the watermark, seen after it.
    pub late: i64,
    /// Calls made since the last commit.
    pub api_calls: i64,
}

impl PageCounts {
    /// Every record read ends in exactly one of the outcomes.
    #[must_use]
    pub fn read(&self) -> i64 {
        self.by_outcome().iter().map(|(_, records)| records).sum()
    }

    /// How many records ended in each outcome, with its closed word.
    #[must_use]
    pub fn by_outcome(&self) -> [(&'static str, i64); 7] {
        [
            ("written", self.written),
            ("unchanged", self.unchanged),
            ("superseded", self.superseded),
            ("quarantined", self.quarantined),
            ("suppressed", self.suppressed),
            ("expired", self.expired),
            ("filtered", self.filtered),
        ]
    }
}

/// Where the checkpoint goes with this page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckpointMove {
    /// Inside a window: the last row committed.
    Inside {
        /// End of the window.
        hi: Timestamp,
        /// The last row.
        position: Position,
    },
    /// The window is done: everything before this is here.
    WindowDone {
        /// The watermark, clamped to Salesforce's clock.
        watermark: Timestamp,
    },
    /// Its place stays: a slice of history keeps its own in its job, and a page without records has none.
    Stays,
    /// The slice is done; `generation` keeps a slice of before a reset from closing one of after it.
    SliceDone {
        /// The slice.
        slice: Slice,
        /// The checkpoint's generation when the slice was cut.
        generation: i32,
    },
}

/// How many rows the page added to what is stored; negative for fewer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stored {
    /// Live records.
    pub(super) live: i64,
    /// Live items of conversations.
    pub(super) items: i64,
}

pub(super) async fn advance(
    tx: &TenantTx<'_>,
    page: &PageCommit<'_>,
    stored: Stored,
) -> Result<(), StoreError> {
    let object = page.lease.object;
    count(tx, object, page.field_set, &page.counts, stored).await?;
    match &page.moves {
        CheckpointMove::Stays => Ok(()),
        CheckpointMove::Inside { hi, position } => inside(tx, object, *hi, position).await,
        CheckpointMove::WindowDone { watermark } => window_done(tx, object, *watermark).await,
        CheckpointMove::SliceDone { slice, generation } => slice_done(tx, object, slice, *generation).await,
    }
}

/// Counts the outcomes; refuses a page that was read with another field set than the object's own. Such rows
/// would lose against rows of the newer set, and the checkpoint must not pass over them.
async fn count(
    tx: &TenantTx<'_>,
    object: ObjectId,
    field_set: FieldSetId,
    counts: &PageCounts,
    stored: Stored,
) -> Result<(), StoreError> {
    const SQL: &str = "-- checkpoint_count
        UPDATE checkpoints SET records_read = records_read + $2, written = written + $3, unchanged = unchanged + $4,
               superseded = superseded + $5, quarantined = quarantined + $6, suppressed = suppressed + $7,
               late = late + $8, api_calls = api_calls + $9, live = live + $11, items = items + $12,
               expired = expired + $13, filtered = filtered + $14, updated_at = now()
         WHERE object_id = $1 AND field_set_id = $10";
    let statement = tx.sql().prepare_cached(SQL).await.map_err(StoreError::at("checkpoint_count"))?;
    let changed = tx
        .sql()
        .execute(
            &statement,
            &[
                &object.0,
                &counts.read(),
                &counts.written,
                &counts.unchanged,
                &counts.superseded,
                &counts.quarantined,
                &counts.suppressed,
                &counts.late,
                &counts.api_calls,
                &field_set.0,
                &stored.live,
                &stored.items,
                &counts.expired,
                &counts.filtered,
            ],
        )
        .await
        .map_err(StoreError::at("checkpoint_count"))?;
    if changed == 1 { Ok(()) } else { Err(StoreError::GateMoved { what: "field set" }) }
}

async fn inside(tx: &TenantTx<'_>, object: ObjectId, hi: Timestamp, at: &Position) -> Result<(), StoreError> {
    const SQL: &str = "-- checkpoint_inside
        UPDATE checkpoints SET window_hi = $2, position_stamp = $3, position_id = $4 WHERE object_id = $1";
    let statement = tx.sql().prepare_cached(SQL).await.map_err(StoreError::at("checkpoint_inside"))?;
    tx.sql()
        .execute(&statement, &[&object.0, &hi, &at.stamp, &at.id])
        .await
        .map_err(StoreError::at("checkpoint_inside"))?;
    Ok(())
}

/// The watermark never steps back: a window that was clamped below it leaves it where it is.
async fn window_done(tx: &TenantTx<'_>, object: ObjectId, watermark: Timestamp) -> Result<(), StoreError> {
    const SQL: &str = "-- checkpoint_window_done
        UPDATE checkpoints SET watermark_at = greatest(watermark_at, $2), window_hi = NULL, position_stamp = NULL,
               position_id = NULL, passed_at = now()
         WHERE object_id = $1";
    let statement = tx.sql().prepare_cached(SQL).await.map_err(StoreError::at("checkpoint_window_done"))?;
    tx.sql()
        .execute(&statement, &[&object.0, &watermark])
        .await
        .map_err(StoreError::at("checkpoint_window_done"))?;
    Ok(())
}

/// History is covered from the end of the newest slice still open; with none open, from the wanted start. What is read once
/// more is here already: it never takes away from what is covered.
async fn slice_done(
    tx: &TenantTx<'_>,
    object: ObjectId,
    slice: &Slice,
    generation: i32,
) -> Result<(), StoreError> {
    const SQL: &str = "-- checkpoint_slice_done
        WITH left_open AS (
            SELECT coalesce(jsonb_agg(s ORDER BY (s->>'hi')::timestamptz DESC)
                            FILTER (WHERE (s->>'hi')::timestamptz <> $3), '[]') AS slices,
                   max((s->>'hi')::timestamptz) FILTER (WHERE (s->>'hi')::timestamptz <> $3) AS newest
              FROM checkpoints c LEFT JOIN jsonb_array_elements(c.open_slices) s ON true
             WHERE c.object_id = $1)
        UPDATE checkpoints c
           SET open_slices = l.slices, covered_from = CASE WHEN l.newest IS NULL THEN c.scope_from
                                                    ELSE least(c.covered_from, l.newest) END,
               state = CASE WHEN l.newest IS NULL AND c.state = 'loading' THEN 'current' ELSE c.state END,
               loaded_at = CASE WHEN l.newest IS NULL THEN coalesce(c.loaded_at, now()) ELSE c.loaded_at END
          FROM left_open l
         WHERE c.object_id = $1 AND c.generation = $2";
    let statement = tx.sql().prepare_cached(SQL).await.map_err(StoreError::at("checkpoint_slice_done"))?;
    tx.sql()
        .execute(&statement, &[&object.0, &generation, &slice.hi])
        .await
        .map_err(StoreError::at("checkpoint_slice_done"))?;
    Ok(())
}
