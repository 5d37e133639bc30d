//! `/v1/tenants/{tenant}/verifications`: what came of each comparison with everything that Salesforce shows.

use axum::Json;
use chrono::{DateTime, Utc};
use refrain_shared::ids::{ConnectionId, ObjectId};
use refrain_shared::storage::verify::{self as store, verifications_list};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};

use crate::api::auth::Tenant;
use crate::api::extract::{ApiQuery, page_size};
use crate::api::problem::{ApiError, Problem};
use crate::api::{Shared, cursor};

const LIST: &str = "verifications.1";

/// What came of one scan of an object's ids and stamps. `there` = `same` + `newer` + `lost` + `stale` + `undead` +
/// `ahead` + `loading` + `out_of_scope` + `quarantined` + the sum of `kept`.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Verification {
    /// The connection.
    #[schema(value_type = String)]
    pub connection_id: ConnectionId,
    /// The object sync.
    #[schema(value_type = String)]
    pub object_id: ObjectId,
    /// Salesforce's clock at the scan's first answer.
    pub began_at: DateTime<Utc>,
    /// When everything was compared, and what was amiss was read whole.
    pub ended_at: DateTime<Utc>,
    /// How it was read: `rest` or `bulk`.
    pub way: String,
    /// Calls of the scan, and of looking for what it did not find.
    pub calls: i64,
    /// Records that Salesforce showed, those in its recycle bin included.
    pub there: u64,
    /// Live records here.
    pub here: u64,
    /// The same on both sides.
    pub same: u64,
    /// Here in a newer state than the scan saw.
    pub newer: u64,
    /// Were not here, and were read whole.
    pub lost: u64,
    /// Had changed unseen, and were read whole.
    pub stale: u64,
    /// Were taken for gone, and were read whole.
    pub undead: u64,
    /// Live here and not in the scan; they were looked for by their ids.
    pub missing: u64,
    /// Of those, the ones that were taken away.
    pub extra: u64,
    /// The next window brings them.
    pub ahead: u64,
    /// History that was still being read brings them.
    pub loading: u64,
    /// From before what is wanted of history.
    pub out_of_scope: u64,
    /// Set aside.
    pub quarantined: u64,
    /// Beside those of the scan: records that Salesforce has outside of the object's filter. Null without a filter, and
    /// where they are too many to be counted.
    pub filtered: Option<u64>,
    /// Kept without their content, by reason.
    pub kept: BTreeMap<String, u64>,
    /// To be read whole, and gone from Salesforce by then.
    pub vanished: u64,
    /// What nothing explains, with what stayed amiss: zero, or somebody must look.
    pub unexplained: i64,
}

/// A page of them.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Verifications {
    /// The newest first.
    pub verifications: Vec<Verification>,
    /// The next page's cursor, if there may be more.
    pub next: Option<String>,
}

/// Which ones.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct VerificationsQuery {
    /// Of this object sync alone.
    #[param(value_type = Option<String>)]
    pub object: Option<ObjectId>,
    /// `next` of the page before.
    pub cursor: Option<String>,
    /// 1 to 200; 50 unless given.
    pub limit: Option<u16>,
}

/// Comparisons with everything that Salesforce shows, of the last 90 days.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/verifications", params(("tenant" = String, Path), VerificationsQuery),
    responses((status = 200, body = Verifications), (status = 404, body = Problem)))]
pub(in crate::api) async fn list(
    api: Shared,
    Tenant(scope): Tenant,
    ApiQuery(query): ApiQuery<VerificationsQuery>,
) -> Result<Json<Verifications>, ApiError> {
    let limit = page_size(query.limit);
    let before = cursor::decode::<i64>(LIST, query.cursor.as_deref())?;
    let found = verifications_list(&api.db, &scope, query.object, before, limit).await?;
    let full = found.len() == usize::from(limit);
    let next = found.last().filter(|_| full).map(|last| cursor::encode(LIST, &last.id));
    Ok(Json(Verifications { verifications: found.into_iter().map(shown).collect(), next }))
}

fn shown(found: store::Verification) -> Verification {
    let balance = found.balance;
    Verification {
        connection_id: found.connection,
        object_id: found.object,
        began_at: found.began_at,
        ended_at: found.ended_at,
        way: found.way,
        calls: found.calls,
        there: balance.there,
        here: balance.here,
        same: balance.same,
        newer: balance.newer,
        lost: balance.lost,
        stale: balance.stale,
        undead: balance.undead,
        missing: balance.missing,
        extra: balance.extra,
        ahead: balance.ahead,
        loading: balance.loading,
        out_of_scope: balance.out_of_scope,
        quarantined: balance.quarantined,
        filtered: balance.filtered,
        kept: balance.kept,
        vanished: balance.vanished,
        unexplained: found.unexplained,
    }
}
