//! Bodies of files that were loaded too long ago: what the record says of its file stays with its ticket.

use deadpool_postgres::Object;

use super::super::chunks::FileAt;
use super::super::error::StoreError;
use super::super::files::{Loads, chunks_sweep};
use super::super::jobs::job_touch;
use super::super::keys::gate_share;
use super::super::pool::TenantTx;
use super::Expire;
use crate::catalog::LeftOut;
use crate::tenant::TenantScope;

/// Lets a chunk of the connection's bodies go; gives how many went. Another job of the connection may do the same.
pub async fn bodies_expire(client: &mut Object, expire: &Expire<'_>) -> Result<usize, StoreError> {
    const DUE: &str = "-- expiry_bodies_due
        SELECT file_id FROM files
         WHERE tenant_id = $1 AND connection_id = $2 AND state = 1 AND updated_at < $3
         ORDER BY updated_at LIMIT $4 FOR UPDATE SKIP LOCKED";
    const FILE: &str = "-- expiry_body
        UPDATE files SET state = 2, reason = $4, load = NULL, place = NULL, chunks = NULL, digest = NULL, updated_at = now()
         WHERE tenant_id = $1 AND connection_id = $2 AND file_id = $3";
    let scope = TenantScope::leased(expire.lease.tenant);
    let (tenant, connection) = (scope.tenant().0, expire.lease.connection);
    let tx = TenantTx::begin(client, &scope).await?;
    let before = gate_share(&tx).await?.retention.cut_offs(expire.now).body;
    let due = tx
        .sql()
        .query(DUE, &[&tenant, &connection.0, &before, &expire.each])
        .await
        .map_err(StoreError::at("expiry_bodies_due"))?;
    let files: Vec<&str> = due.iter().map(|row| row.get(0)).collect();
    if files.is_empty() {
        return Ok(0);
    }
    for file in &files {
        tx.sql()
            .execute(FILE, &[&tenant, &connection.0, file, &LeftOut::Expired.word()])
            .await
            .map_err(StoreError::at("expiry_body"))?;
        chunks_sweep(&tx, connection, file, Loads::All).await?;
    }
    job_touch(tx.sql(), expire.lease, Some(expire.progress)).await?;
    for file in &files {
        expire.chunks.sweep(FileAt { scope: &scope, connection, file }, Loads::All).await?;
    }
    (expire.before_commit)();
    tx.commit().await?;
    Ok(files.len())
}
