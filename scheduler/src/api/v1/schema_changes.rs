//! `/v1/tenants/{tenant}/schema-changes`: what changed in the objects that are read, as the integration user sees them.

use axum::Json;
use chrono::{DateTime, Utc};
use refrain_shared::catalog::schema_change::Shape;
use refrain_shared::ids::{ConnectionId, ObjectId};
use refrain_shared::storage::schema_changes::{NotedChange, schema_changes_list};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::api::auth::Tenant;
use crate::api::extract::{ApiQuery, page_size};
use crate::api::problem::{ApiError, Problem};
use crate::api::{Shared, cursor};

const LIST: &str = "schema_changes.1";

/// A change of an object, or of what the integration user may see of it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct SchemaChange {
    /// The connection.
    #[schema(value_type = String)]
    pub connection_id: ConnectionId,
    /// The object sync.
    #[schema(value_type = String)]
    pub object_id: ObjectId,
    /// The object's API name.
    pub object: String,
    /// When it was noticed: at the daily look, or as Salesforce refused a query.
    pub seen_at: DateTime<Utc>,
    /// `new` (it can be seen: made, or permitted), `lost` (deleted, or no longer permitted), or `changed` (of another shape).
    pub kind: String,
    /// The field, or the path over lookups; null: the whole object.
    pub path: Option<String>,
    /// The field as it was.
    pub before: Option<FieldShape>,
    /// The field as it is.
    pub after: Option<FieldShape>,
    /// A field that came as this one went and looks the same: perhaps it was renamed to that.
    pub perhaps: Option<String>,
    /// What the object's settings of today use it for: `ticket`, `message`, `linked`, or `facet` and its name. Where the
    /// field is lost, those stay empty.
    pub used_by: Vec<String>,
}

/// What of a field people are told when it changes.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct FieldShape {
    /// Salesforce's word for its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Longest value in characters; 0 where it does not apply.
    pub length: u32,
    /// Whether Salesforce can filter by it; encryption takes that away.
    pub filterable: bool,
    /// Whether it is a formula.
    pub formula: bool,
    /// The objects a reference may point to.
    pub refers_to: Vec<String>,
}

impl From<Shape> for FieldShape {
    fn from(shape: Shape) -> Self {
        let Shape { kind, length, filterable, formula, refers_to } = shape;
        Self { kind, length, filterable, formula, refers_to }
    }
}

/// A page of them.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct SchemaChanges {
    /// The newest first.
    pub schema_changes: Vec<SchemaChange>,
    /// The next page's cursor, if there may be more.
    pub next: Option<String>,
}

/// Which ones.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct SchemaChangesQuery {
    /// Of this object sync alone.
    #[param(value_type = Option<String>)]
    pub object: Option<ObjectId>,
    /// `next` of the page before.
    pub cursor: Option<String>,
    /// 1 to 200; 50 unless given.
    pub limit: Option<u16>,
}

/// Fields, paths and objects that came, went or changed their shape, of the last two years.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/schema-changes", params(("tenant" = String, Path), SchemaChangesQuery),
    responses((status = 200, body = SchemaChanges), (status = 404, body = Problem)))]
pub(in crate::api) async fn list(
    api: Shared,
    Tenant(scope): Tenant,
    ApiQuery(query): ApiQuery<SchemaChangesQuery>,
) -> Result<Json<SchemaChanges>, ApiError> {
    let limit = page_size(query.limit);
    let before = cursor::decode::<i64>(LIST, query.cursor.as_deref())?;
    let found = schema_changes_list(&api.db, &scope, query.object, before, limit).await?;
    let full = found.len() == usize::from(limit);
    let next = found.last().filter(|_| full).map(|last| cursor::encode(LIST, &last.id));
    Ok(Json(SchemaChanges { schema_changes: found.into_iter().map(shown).collect(), next }))
}

fn shown(found: NotedChange) -> SchemaChange {
    SchemaChange {
        connection_id: found.connection,
        object_id: found.object,
        object: found.api_name,
        seen_at: found.seen_at,
        kind: found.kind,
        path: found.path,
        before: found.before.map(FieldShape::from),
        after: found.after.map(FieldShape::from),
        perhaps: found.perhaps,
        used_by: found.used_by,
    }
}
