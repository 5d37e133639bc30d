//! Tickets that left and are inside of the cut-off again, because tickets are kept for longer now, or they are held: their
//! records are asked for once, and each comes back with all that belongs to it.

use deadpool_postgres::Object;

use super::super::error::StoreError;
use super::super::jobs::job_touch;
use super::super::keys::gate_share;
use super::super::pool::TenantTx;
use super::super::related::{Owner, feed_lock, parents_wanted};
use super::Expire;
use crate::ids::ObjectId;
use crate::record::StateReason;
use crate::tenant::TenantScope;

/// Asks for a chunk of them; gives how many. What Salesforce does not answer stays gone and is not asked for again.
pub async fn tickets_again(client: &mut Object, expire: &Expire<'_>) -> Result<usize, StoreError> {
    // All of them are here: an upsert finds each by its key alone.
    const SQL: &str = "-- expiry_again
        INSERT INTO tickets AS t (tenant_id, connection_id, object_id, record_id, state, last_activity_at, mapping_epoch, feed_seq)
        SELECT $1, $2, $3, k.record_id, 1, 'epoch', 0, 0
          FROM (SELECT record_id FROM tickets
                 WHERE tenant_id = $1 AND expired AND NOT held AND last_activity_at >= $4
                   AND connection_id = $2 AND object_id = $3 AND reason = $6
                UNION ALL
                SELECT record_id FROM tickets
                 WHERE tenant_id = $1 AND expired AND held AND last_activity_at >= $5
                   AND connection_id = $2 AND object_id = $3 AND reason = $6
                LIMIT $7) k
        ON CONFLICT (tenant_id, connection_id, object_id, record_id) DO UPDATE SET expired = false
        RETURNING t.record_id";
    let scope = TenantScope::leased(expire.lease.tenant);
    let tx = TenantTx::begin(client, &scope).await?;
    let cut_offs = gate_share(&tx).await?.retention.cut_offs(expire.now);
    job_touch(tx.sql(), expire.lease, Some(expire.progress)).await?;
    // Tickets are written under the feed's lock only. Nothing that a reader could see changes before the records come.
    feed_lock(&tx).await?;
    let rows = tx
        .sql()
        .query(
            SQL,
            &[
                &scope.tenant().0,
                &expire.lease.connection.0,
                &expire.lease.object.0,
                &cut_offs.ticket,
                &cut_offs.held,
                &(StateReason::Expired as i16),
                &expire.each,
            ],
        )
        .await
        .map_err(StoreError::at("expiry_again"))?;
    let wanted: Vec<(ObjectId, String)> = rows.iter().map(|row| (expire.lease.object, row.get(0))).collect();
    parents_wanted(&tx, Owner::from(expire.lease), &wanted).await?;
    (expire.before_commit)();
    tx.commit().await?;
    Ok(wanted.len())
}
