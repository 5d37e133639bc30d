//! What a filter of an object leads to beside its pages: under which one history was read, what may come back, and the items
//! of tickets that are outside of it.

use tokio_postgres::types::{Json, Type};

use super::error::StoreError;
use super::pool::{Database, TenantTx};
use super::related::most;
use crate::catalog::filter::{both, is_narrower};
use crate::catalog::{Filter, ObjectDescribe};
use crate::ids::ObjectId;
use crate::job::lease::{Class, Kind, Lease};
use crate::record::StateReason;
use crate::tenant::TenantScope;

/// What an object's records had to pass so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FilterSeen {
    /// The filter under which history is here, or is being read.
    pub filter: Option<Filter>,
    /// Others by which records were judged since then, and that nobody looked at yet.
    pub since: Option<Filter>,
}

impl FilterSeen {
    /// Whether history may lack something that this filter keeps.
    #[must_use]
    pub fn may_lack(&self, wanted: Option<&Filter>) -> bool {
        !is_narrower(both(self.filter.as_ref(), self.since.as_ref()).as_ref(), wanted)
    }

    /// Whether nothing but this filter was in force.
    #[must_use]
    pub fn is_only(&self, wanted: Option<&Filter>) -> bool {
        self.since.is_none() && self.filter.as_ref() == wanted
    }
}

/// Writes down that history is here, or is being read, under this filter.
pub async fn filter_store(
    tx: &TenantTx<'_>,
    object: ObjectId,
    filter: Option<&Filter>,
) -> Result<(), StoreError> {
    const SQL: &str = "-- filter_store
        UPDATE checkpoints SET filter = $2, filter_since = NULL, updated_at = now() WHERE object_id = $1";
    tx.sql().execute(SQL, &[&object.0, &filter.map(Json)]).await.map_err(StoreError::at("filter_store"))?;
    Ok(())
}

/// Writes down, before anything is judged by it, that records have to pass another filter than the one under which history
/// is here: what that leaves out is read once more when it is not wanted any more. Refused when somebody else did meanwhile.
pub async fn filter_note(
    db: &Database,
    object: ObjectId,
    seen: &FilterSeen,
    now: &Filter,
) -> Result<(), StoreError> {
    const SQL: &str = "-- filter_note
        UPDATE checkpoints SET filter_since = $2, updated_at = now()
         WHERE object_id = $1 AND filter IS NOT DISTINCT FROM $3::jsonb AND filter_since IS NOT DISTINCT FROM $4::jsonb";
    let FilterSeen { filter, since } = seen;
    let note = both(since.as_ref(), Some(now));
    if filter.as_ref() == Some(now) || note == *since {
        return Ok(());
    }
    let json = |filter: &Option<Filter>| filter.clone().map(Json);
    let client = db.control().await?;
    let changed = client
        .execute(SQL, &[&object.0, &json(&note), &json(filter), &json(since)])
        .await
        .map_err(StoreError::at("filter_note"))?;
    if changed == 1 { Ok(()) } else { Err(StoreError::GateMoved { what: "filter" }) }
}

/// Makes jobs that read again what was left out of an object because of its filter and is from before the begin of its
/// history: no slice brings it back.
pub async fn filtered_again(tx: &TenantTx<'_>, lease: &Lease) -> Result<(), StoreError> {
    const SQL: &str = "-- filtered_again
        INSERT INTO jobs (tenant_id, connection_id, object_id, org_id, kind, class, params)
        SELECT $1::uuid, $2::uuid, $3::int, $4::text, $5::text, $6::int2,
               jsonb_build_object('field', 'Id', 'ids', to_jsonb(array_agg(w.id ORDER BY w.id)))
          FROM (SELECT r.record_id AS id, (row_number() OVER (ORDER BY r.record_id) - 1) / $7::int8 AS part
                  FROM checkpoints c
                  JOIN records r ON r.tenant_id = $1::uuid AND r.connection_id = $2::uuid AND r.object_id = $3::int
                       AND r.state = 1 AND r.reason = $8::int2 AND r.modstamp < c.scope_from
                 WHERE c.object_id = $3::int AND c.scope_from > '-infinity') w
         GROUP BY w.part";
    tx.sql()
        .execute(
            SQL,
            &[
                &tx.scope().tenant().0,
                &lease.connection.0,
                &lease.object.0,
                &lease.org.as_str(),
                &Kind::Related.word(),
                &Class::Derived.number(),
                &most(),
                &(StateReason::Filtered as i16),
            ],
        )
        .await
        .map_err(StoreError::at("filtered_again"))?;
    Ok(())
}

/// Makes the job due that lets the items of an object's tickets go. Where somebody else has it in hand just now it is left
/// as it is: it comes by itself, and whoever waited for it might hold what it waits for.
pub(super) async fn items_go(tx: &TenantTx<'_>, object: ObjectId) -> Result<(), StoreError> {
    const SQL: &str = "-- filtered_items_go
        UPDATE jobs SET rerun_requested = rerun_requested OR state = 2, updated_at = now(),
               available_at = CASE WHEN state = 0 THEN least(available_at, now()) ELSE available_at END
         WHERE job_id = (SELECT job_id FROM jobs WHERE unique_key = $1 FOR UPDATE SKIP LOCKED)";
    tx.sql()
        .execute_typed(SQL, &[(&Kind::Expire.standing_key(object), Type::TEXT)])
        .await
        .map_err(StoreError::at("filtered_items_go"))?;
    Ok(())
}

/// Has the object's standing job look at its filter now: history may have to be read once more.
pub async fn filter_look(db: &Database, object: ObjectId) -> Result<(), StoreError> {
    const SQL: &str = "-- filter_look
        UPDATE jobs SET rerun_requested = rerun_requested OR state = 2, updated_at = now(),
               available_at = CASE WHEN state = 0 THEN least(available_at, now()) ELSE available_at END
         WHERE unique_key = $1";
    let client = db.control().await?;
    client
        .execute(SQL, &[&Kind::Incremental.standing_key(object)])
        .await
        .map_err(StoreError::at("filter_look"))?;
    Ok(())
}

/// What an object looked like to the integration user last; nothing before it was looked at.
pub async fn describe_get(
    db: &Database,
    scope: &TenantScope,
    object: ObjectId,
) -> Result<Option<ObjectDescribe>, StoreError> {
    const SQL: &str = "-- describe_get
        SELECT body FROM describes WHERE tenant_id = $1 AND object_id = $2";
    let client = db.control().await?;
    let row = client
        .query_opt(SQL, &[&scope.tenant().0, &object.0])
        .await
        .map_err(StoreError::at("describe_get"))?;
    row.map(|row| row.try_get::<_, Json<ObjectDescribe>>(0).map(|body| body.0))
        .transpose()
        .map_err(|_| StoreError::Unreadable("describes.body"))
}
