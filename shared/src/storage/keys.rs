//! A tenant's gate row and keys, as a job needs them to plan.

use std::sync::Arc;

use aws_lc_rs::rand;
use tokio_postgres::Row;
use zeroize::Zeroizing;

use super::error::StoreError;
use super::pool::{Database, TenantTx};
use crate::crypto::tenant_keys::WrappedKey;
use crate::crypto::{CryptoError, KeyPurpose, KeyRing, TenantKeys};
use crate::ids::{KeyId, TenantId};
use crate::retention::Policy;
use crate::tenant::TenantScope;

/// The values of the tenant's gate that a plan rests on; a page commit under other values is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GateEpochs {
    /// Raised with each suppression.
    pub suppression: i64,
    /// Raised with each published change of fields or roles.
    pub mapping: i64,
    /// The data key that seals now.
    pub data_key: KeyId,
    /// How long tickets are kept.
    pub retention: Policy,
}

/// Reads the gate and takes it `FOR SHARE` for the rest of the transaction.
pub async fn gate_share(tx: &TenantTx<'_>) -> Result<GateEpochs, StoreError> {
    const SQL: &str = "-- tenant_gate_share
        SELECT state, suppression_epoch, mapping_epoch, data_key_id, ticket_days, held_days, attachment_days
          FROM tenant_gates WHERE tenant_id = $1 FOR SHARE";
    let statement = tx.sql().prepare_cached(SQL).await.map_err(StoreError::at("tenant_gate_share"))?;
    let row = tx
        .sql()
        .query_opt(&statement, &[&tx.scope().tenant().0])
        .await
        .map_err(StoreError::at("tenant_gate_share"))?
        .ok_or(StoreError::Missing("the tenant's gate"))?;
    if row.get::<_, &str>(0) != "open" {
        return Err(StoreError::TenantClosed);
    }
    Ok(GateEpochs {
        suppression: row.get(1),
        mapping: row.get(2),
        data_key: KeyId(row.get(3)),
        retention: policy_of(&row, 4)?,
    })
}

/// Reads `ticket_days, held_days, attachment_days` from three columns in a row.
pub(in crate::storage) fn policy_of(row: &Row, first: usize) -> Result<Policy, StoreError> {
    let days = |column: usize| {
        u16::try_from(row.get::<_, i32>(first + column)).map_err(|_| StoreError::Unreadable("tenant_gates"))
    };
    Ok(Policy { ticket_days: days(0)?, held_days: days(1)?, attachment_days: days(2)? })
}

/// Reads the gate and unwraps the tenant's keys.
pub async fn keys_load(
    db: &Database,
    ring: &KeyRing,
    scope: &TenantScope,
) -> Result<(GateEpochs, Arc<TenantKeys>), StoreError> {
    let mut client = db.tenant().await?;
    let tx = TenantTx::begin(&mut client, scope).await?;
    let gate = gate_share(&tx).await?;
    let rows = tx
        .sql()
        .query(
            "-- tenant_keys_load
             SELECT key_id, purpose, kek_id, wrapped FROM tenant_keys WHERE tenant_id = $1 AND state <> 'destroyed'",
            &[&scope.tenant().0],
        )
        .await
        .map_err(StoreError::at("tenant_keys_load"))?;
    tx.commit().await?;
    let keys: Vec<WrappedKey> = rows
        .iter()
        .map(|row| WrappedKey {
            key_id: KeyId(row.get(0)),
            purpose: purpose_of(row.get(1)),
            kek_id: row.get(2),
            wrapped: row.get(3),
        })
        .collect();
    let keys = TenantKeys::unwrap(ring, scope.tenant(), gate.data_key, &keys)?;
    Ok((gate, Arc::new(keys)))
}

/// Opens the newest key under each key-encryption key that is in use; fails as the first of them does.
pub async fn keys_probe(db: &Database, ring: &KeyRing) -> Result<(), StoreError> {
    const SQL: &str = "-- keys_probe
        SELECT DISTINCT ON (kek_id) kek_id, tenant_id, purpose, wrapped FROM tenant_keys
         WHERE state <> 'destroyed' ORDER BY kek_id, key_id DESC";
    let client = db.control().await?;
    let rows = client.query(SQL, &[]).await.map_err(StoreError::at("keys_probe"))?;
    for row in rows {
        ring.unwrap(row.get(0), TenantId(row.get(1)), purpose_of(row.get(2)), row.get(3))?;
    }
    Ok(())
}

/// Whether any tenant has keys, so that a fresh key ring could not open them.
pub async fn keys_exist(db: &Database) -> Result<bool, StoreError> {
    const SQL: &str = "-- keys_exist\nSELECT EXISTS (SELECT FROM tenant_keys WHERE state <> 'destroyed')";
    let client = db.control().await?;
    Ok(client.query_one(SQL, &[]).await.map_err(StoreError::at("keys_exist"))?.get(0))
}

fn purpose_of(word: &str) -> KeyPurpose {
    if word == "index" { KeyPurpose::Index } else { KeyPurpose::Data }
}

/// Fresh key material, wrapped: what a new tenant's row of `tenant_keys` holds.
pub fn new_wrapped_key(
    ring: &KeyRing,
    tenant: TenantId,
    purpose: KeyPurpose,
) -> Result<(String, Vec<u8>), CryptoError> {
    let mut material = Zeroizing::new([0u8; 32]);
    rand::fill(material.as_mut_slice()).map_err(|_| CryptoError::NoRandom)?;
    ring.wrap(tenant, purpose, &material)
}

/// Keeps these tokens out from now on: raises the suppression epoch, so that pages in flight are planned again.
pub async fn suppressions_add(
    db: &Database,
    scope: &TenantScope,
    tokens: &[crate::crypto::IdentityToken],
) -> Result<(), StoreError> {
    let mut client = db.tenant().await?;
    let tx = TenantTx::begin(&mut client, scope).await?;
    let tokens: Vec<&[u8]> = tokens.iter().map(<[u8; 16]>::as_slice).collect();
    tx.sql()
        .execute(
            "-- tenant_gate_raise_suppression
             UPDATE tenant_gates SET suppression_epoch = suppression_epoch + 1 WHERE tenant_id = $1",
            &[&scope.tenant().0],
        )
        .await
        .map_err(StoreError::at("tenant_gate_raise_suppression"))?;
    tx.sql()
        .execute(
            "-- suppressions_add
             INSERT INTO suppressions (tenant_id, token) SELECT $1, unnest($2::bytea[]) ON CONFLICT DO NOTHING",
            &[&scope.tenant().0, &tokens],
        )
        .await
        .map_err(StoreError::at("suppressions_add"))?;
    tx.commit().await
}

/// The tokens that must stay out.
pub async fn suppressions_load(
    db: &Database,
    scope: &TenantScope,
) -> Result<std::collections::HashSet<crate::crypto::IdentityToken>, StoreError> {
    let mut client = db.tenant().await?;
    let tx = TenantTx::begin(&mut client, scope).await?;
    let rows = tx
        .sql()
        .query(
            "-- suppressions_load\nSELECT token FROM suppressions WHERE tenant_id = $1",
            &[&scope.tenant().0],
        )
        .await
        .map_err(StoreError::at("suppressions_load"))?;
    tx.commit().await?;
    Ok(rows.iter().filter_map(|row| row.get::<_, &[u8]>(0).try_into().ok()).collect())
}
