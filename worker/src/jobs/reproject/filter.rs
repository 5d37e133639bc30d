//! A filter that keeps less than before: what it does not hold of leaves a stub, from the sealed records. What it may keep
//! beside that is read by the object's standing job, for it is not here.

use std::collections::HashMap;
use std::sync::Arc;

use refrain_shared::catalog::filter::keep::Keep;
use refrain_shared::catalog::{FieldSet, Projection};
use refrain_shared::ids::FieldSetId;
use refrain_shared::record::{RecordState, StateReason};
use refrain_shared::storage::StoreError;
use refrain_shared::storage::checkpoints::plan_inputs;
use refrain_shared::storage::filters::filter_note;
use refrain_shared::storage::page_commit::{CheckpointMove, JobStep, PageRow};
use refrain_shared::storage::records::RecordRow;
use refrain_shared::storage::reproject::MappedObject;
use refrain_shared::storage::reproject::next::{Next, records_next};
use refrain_shared::storage::reproject::stored::records_stored;
use refrain_shared::tenant::TenantScope;
use refrain_shared::ticket::Projected;

use super::{OPEN, Progress, Work, as_json};
use crate::engine::load::{Prepared, blocking, commit};
use crate::engine::{ReadPlan, Tally};
use crate::error::{JobError, Step};

impl Work<'_> {
    /// Lets the next of the object's records go that its filter does not hold of; gives whether there may be more.
    pub(super) async fn let_go(
        &self,
        own: &MappedObject,
        progress: &mut Progress,
        tally: &mut Tally,
    ) -> Result<bool, Box<JobError>> {
        let (db, key) = (&self.context.db, self.key(self.lease.object));
        let scope = TenantScope::leased(self.lease.tenant);
        let inputs = plan_inputs(db, &scope, key.object).await.map_err(|e| self.failed(&e))?;
        let view =
            self.context.tenants.view(db, &self.context.ring, &scope).await.map_err(|e| self.failed(&e))?;
        if view.gate.mapping != self.mapped.version {
            // What is judged by one filter may not be committed under another.
            return Err(self.failed(&StoreError::GateMoved { what: "mapping" }));
        }
        if let Some(filter) = &own.filter {
            let noted = filter_note(db, key.object, &inputs.filters, filter).await;
            noted.map_err(|e| self.failed(&e))?;
        }
        let Some(plan) = ReadPlan::without_calls(self.lease, view, &inputs) else { return Ok(false) };
        let from = (progress.after.as_str(), i64::try_from(OPEN).unwrap_or(i64::MAX));
        let Next { ids, upto } =
            records_next(db, self.lease.tenant, key, (&[], 0), from).await.map_err(|e| self.failed(&e))?;
        let rows = self.outside(own, &ids).await?;
        progress.done += i64::try_from(ids.len()).unwrap_or(i64::MAX);
        let goes_on = upto.is_some();
        progress.after = upto.unwrap_or_default();
        if rows.is_empty() {
            self.note(progress).await?;
        } else {
            let stored = as_json(progress);
            let prepared = Prepared::gone(rows, self.context.clock.now());
            let step = |_: &Tally| JobStep::Continue(stored);
            commit(self.context, &plan, prepared, CheckpointMove::Stays, step, tally)
                .await
                .map_err(Box::new)?;
        }
        Ok(goes_on)
    }

    /// Of these records, stubs of those that the filter does not hold of. One that was read without a field of the filter
    /// stays: it is being read again with it.
    async fn outside(&self, own: &MappedObject, ids: &[String]) -> Result<Vec<PageRow>, Box<JobError>> {
        let key = self.key(self.lease.object);
        let stored = records_stored(&self.context.db, self.lease.tenant, key, ids).await;
        let stored = stored.map_err(|e| self.failed(&e))?;
        let (mapped, keys) = (Arc::clone(&self.mapped), Arc::clone(&self.keys));
        let (filter, now) = (own.filter.clone(), self.context.clock.now());
        let is_item = matches!(own.plan.projection, Projection::Message(_));
        let judge = move || {
            let of = |(id, set): (&FieldSetId, &FieldSet)| Some((*id, Keep::of(filter.as_ref()?, set)?));
            let filters: HashMap<FieldSetId, Keep> = mapped.sets.iter().filter_map(of).collect();
            let mut rows = Vec::new();
            for record in &stored {
                let Some(filter) = filters.get(&record.order.field_set) else { continue };
                let holds = record.open(&keys, &mapped.sets, key, |values| filter.holds(values));
                if holds.map_err(|error| JobError::of(Step::Transform, &error, now))? {
                    continue;
                }
                let state = RecordState::Stub(StateReason::Filtered);
                rows.push(PageRow {
                    record: RecordRow {
                        id: record.id,
                        order: record.order,
                        state,
                        sealed: None,
                        identities: Vec::new(),
                    },
                    projected: if is_item { Projected::Unlinked } else { Projected::Gone },
                    email_token: None,
                    merged_into: None,
                    same_version: false,
                });
            }
            Ok(rows)
        };
        blocking(judge).await.map_err(Box::new)
    }
}
