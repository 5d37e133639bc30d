//! `/v1/tenants/{tenant}/connections`

use std::sync::Arc;

use axum::Json;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use refrain_shared::error::UserMessage;
use refrain_shared::ids::{ConnectionId, TenantId};
use refrain_shared::ports::Credentials;
use refrain_shared::secret::Secret;
use refrain_shared::storage::connection_secrets::{SecretStore, org_changed, secrets_delete, secrets_put};
use refrain_shared::storage::control::connections as store;
use refrain_shared::tenant::TenantScope;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::auth::Tenant;
use crate::api::extract::{ApiJson, ApiPath};
use crate::api::problem::{ApiError, Problem};
use crate::api::v1::checked_name;
use crate::api::{Api, Shared};
use crate::probe::{Proof, Unproved};

/// A connection; its secrets are never shown.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Connection {
    /// Its id.
    #[schema(value_type = String)]
    pub id: ConnectionId,
    /// Its name.
    pub name: String,
    /// Where tokens are asked for.
    pub login_url: String,
    /// `client_credentials`, `jwt_bearer` or `refresh_token`.
    pub auth_method: String,
    /// The app's client id.
    pub client_id: String,
    /// JWT bearer's subject.
    pub username: Option<String>,
    /// The org.
    pub org_id: Option<String>,
    /// The integration user.
    pub user_id: Option<String>,
    /// `pending`, `active`, `parked` or `revoked`.
    pub state: String,
    /// Since when.
    pub state_since: DateTime<Utc>,
    /// What a person must do, when parked.
    pub ask: Option<UserMessage>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

impl From<store::Connection> for Connection {
    fn from(connection: store::Connection) -> Self {
        Self {
            id: connection.id,
            name: connection.name,
            login_url: connection.login_url,
            auth_method: connection.auth_method,
            client_id: connection.client_id,
            username: connection.username,
            org_id: connection.org_id.map(|id| id.to_string()),
            user_id: connection.user_id.map(|id| id.to_string()),
            state: connection.state,
            state_since: connection.state_since,
            ask: connection.ask,
            created_at: connection.created_at,
        }
    }
}

/// All connections of a tenant.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Connections {
    /// Oldest first.
    pub connections: Vec<Connection>,
}

/// What a new connection needs.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewConnection {
    /// Its name.
    pub name: String,
    /// The org's My Domain URL, or where a person signs in.
    pub login_url: String,
    /// How it signs in.
    pub auth: Auth,
}

/// Other credentials for a connection.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCredentials {
    /// The org's My Domain URL, or where a person signs in; as it is without one.
    pub login_url: Option<String>,
    /// How it signs in from now on.
    pub auth: Auth,
}

/// How a connection signs in. Service accounts are recommended: their flows have nothing that can be lost.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(tag = "method", rename_all = "snake_case", deny_unknown_fields)]
pub enum Auth {
    /// The app's own run-as user.
    ClientCredentials {
        /// Consumer key.
        client_id: String,
        /// Consumer secret.
        #[schema(value_type = String)]
        client_secret: Secret,
    },
    /// A key instead of a secret.
    JwtBearer {
        /// Consumer key.
        client_id: String,
        /// The integration user's username.
        username: String,
        /// RSA key in PEM.
        #[schema(value_type = String)]
        private_key: Secret,
    },
    /// A grant that a person gave in the browser.
    RefreshToken {
        /// Consumer key.
        client_id: String,
        /// Consumer secret, where the app asks for one.
        #[schema(value_type = Option<String>)]
        client_secret: Option<Secret>,
        /// The refresh token.
        #[schema(value_type = String)]
        refresh_token: Secret,
    },
}

/// The tenant's connections.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/connections", params(("tenant" = String, Path)),
    responses((status = 200, body = Connections), (status = 404, body = Problem)))]
pub(in crate::api) async fn list(api: Shared, Tenant(scope): Tenant) -> Result<Json<Connections>, ApiError> {
    let connections = store::connections_list(&api.control, &scope).await?;
    Ok(Json(Connections { connections: connections.into_iter().map(Connection::from).collect() }))
}

/// Connects an org: the credentials are proved first, and nothing is kept of those that do not work.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/connections", params(("tenant" = String, Path)),
    request_body = NewConnection,
    responses((status = 201, body = Connection), (status = 422, body = Problem), (status = 503, body = Problem)))]
pub(in crate::api) async fn create(
    api: Shared,
    Tenant(scope): Tenant,
    ApiJson(new): ApiJson<NewConnection>,
) -> Result<(StatusCode, Json<Connection>), ApiError> {
    let name = checked_name(&new.name)?;
    let credentials = credentials(&new.login_url, new.auth);
    let proof = api.probe.prove(credentials.clone()).await.map_err(not_proved)?;
    let api = api.0;
    let connection = to_its_end(async move { keep(&api, &scope, name, credentials, proof).await }).await?;
    tracing::info!(tenant.id = %scope.tenant(), connection.id = %connection.id, "connected an org");
    Ok((StatusCode::CREATED, Json(connection.into())))
}

/// Runs what stores secrets on to its end, even when the client goes away: half of it would be a connection without its
/// secrets, or the other way round.
async fn to_its_end(
    stores: impl Future<Output = Result<store::Connection, ApiError>> + Send + 'static,
) -> Result<store::Connection, ApiError> {
    tokio::spawn(stores).await.map_err(|_| {
        ApiError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "panic",
            "The connection was not stored.",
            "Refrain failed while storing it; that is a bug.",
            "Tell the operator the time of this request.",
        )
    })?
}

/// Secrets first, the row that makes them count last.
async fn keep(
    api: &Api,
    scope: &TenantScope,
    name: String,
    credentials: Credentials,
    proof: Proof,
) -> Result<store::Connection, ApiError> {
    let id = ConnectionId::generate();
    let new = described(id, name, &credentials, &proof);
    let keys = api.keys(scope).await?;
    secrets_put(&api.db, scope, &keys, id, &credentials, &proof.answer).await?;
    match store::connection_create(&api.control, scope, &new).await {
        Ok(connection) => Ok(connection),
        Err(error) => {
            secrets_delete(&api.db, scope, id).await?;
            Err(error.into())
        }
    }
}

fn described(
    id: ConnectionId,
    name: String,
    credentials: &Credentials,
    proof: &Proof,
) -> store::NewConnection {
    let (auth_method, login_url, client_id, username) = match credentials {
        Credentials::ClientCredentials { login_url, client_id, .. } => {
            ("client_credentials", login_url, client_id, None)
        }
        Credentials::JwtBearer { login_url, client_id, username, .. } => {
            ("jwt_bearer", login_url, client_id, Some(username.clone()))
        }
        Credentials::Refresh { login_url, client_id, .. } => ("refresh_token", login_url, client_id, None),
    };
    store::NewConnection {
        id,
        name,
        login_url: login_url.clone(),
        auth_method,
        client_id: client_id.clone(),
        username,
        org_id: proof.org_id,
        user_id: proof.user_id,
    }
}

fn credentials(login_url: &str, auth: Auth) -> Credentials {
    let login_url = login_url.trim().trim_end_matches('/').to_owned();
    match auth {
        Auth::ClientCredentials { client_id, client_secret } => {
            Credentials::ClientCredentials { login_url, client_id, client_secret }
        }
        Auth::JwtBearer { client_id, username, private_key } => Credentials::JwtBearer {
            login_url,
            audience: None,
            client_id,
            username,
            private_key_pem: private_key,
        },
        Auth::RefreshToken { client_id, client_secret, refresh_token } => Credentials::Refresh {
            login_url,
            client_id,
            client_secret,
            refresh_token,
            previous_refresh_token: None,
        },
    }
}

fn not_proved(why: Unproved) -> ApiError {
    match why {
        Unproved::Ask(message) => ApiError::ask(message),
        Unproved::Later(text) => ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "salesforce_unavailable",
            "Salesforce could not be asked just now. Nothing was stored.",
            text,
            "Check the login URL, and try again in a minute.",
        ),
    }
}

/// One connection.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/connections/{connection}",
    params(("tenant" = String, Path), ("connection" = String, Path)),
    responses((status = 200, body = Connection), (status = 404, body = Problem)))]
pub(in crate::api) async fn get(
    api: Shared,
    Tenant(scope): Tenant,
    ApiPath((_, id)): ApiPath<(TenantId, ConnectionId)>,
) -> Result<Json<Connection>, ApiError> {
    let connection = store::connection_get(&api.control, &scope, id).await?;
    connection.map(|found| Json(found.into())).ok_or_else(|| ApiError::not_found("connection"))
}

/// Replaces a connection's credentials. They are proved first: those that do not work, or that lead to another org,
/// change nothing. A parked connection goes on with them at once.
#[utoipa::path(put, path = "/v1/tenants/{tenant}/connections/{connection}/credentials",
    params(("tenant" = String, Path), ("connection" = String, Path)), request_body = NewCredentials,
    responses((status = 200, body = Connection), (status = 404, body = Problem), (status = 409, body = Problem),
              (status = 422, body = Problem), (status = 503, body = Problem)))]
pub(in crate::api) async fn replace_credentials(
    api: Shared,
    Tenant(scope): Tenant,
    ApiPath((_, id)): ApiPath<(TenantId, ConnectionId)>,
    ApiJson(new): ApiJson<NewCredentials>,
) -> Result<Json<Connection>, ApiError> {
    let missing = || ApiError::not_found("connection");
    let known = store::connection_get(&api.control, &scope, id).await?.ok_or_else(missing)?;
    if known.state == "revoked" {
        return Err(revoked());
    }
    let login_url = new.login_url.unwrap_or_else(|| known.login_url.clone());
    let credentials = credentials(&login_url, new.auth);
    let proof = api.probe.prove(credentials.clone()).await.map_err(not_proved)?;
    if let Some(org) = known.org_id.filter(|org| *org != proof.org_id) {
        return Err(ApiError::ask(org_changed(org, proof.org_id)));
    }
    let api = api.0;
    let changed = to_its_end(async move {
        let keys = api.keys(&scope).await?;
        // The secrets are complete in themselves, so whoever reads them before the row changes signs in all the same.
        secrets_put(&api.db, &scope, &keys, id, &credentials, &proof.answer).await?;
        let facts = described(id, known.name, &credentials, &proof);
        store::connection_credentials(&api.control, &scope, &facts).await?.ok_or_else(revoked)
    });
    let changed = changed.await?;
    tracing::info!(tenant.id = %changed.tenant, connection.id = %id, "replaced a connection's credentials");
    Ok(Json(changed.into()))
}

fn revoked() -> ApiError {
    ApiError::new(
        StatusCode::CONFLICT,
        "connection_revoked",
        "This connection was revoked.",
        "A revoked connection signs in no more, with whatever credentials.",
        "Make a new connection for the org.",
    )
}

/// Proves the stored credentials again. Works: the connection is active. Needs a person: it is parked with what
/// to do. Salesforce away: nothing changes.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/connections/{connection}/check",
    params(("tenant" = String, Path), ("connection" = String, Path)),
    responses((status = 200, body = Connection), (status = 404, body = Problem), (status = 503, body = Problem)))]
pub(in crate::api) async fn check(
    api: Shared,
    Tenant(scope): Tenant,
    ApiPath((_, id)): ApiPath<(TenantId, ConnectionId)>,
) -> Result<Json<Connection>, ApiError> {
    let missing = || ApiError::not_found("connection");
    let connection = store::connection_get(&api.control, &scope, id).await?.ok_or_else(missing)?;
    let keys = api.keys(&scope).await?;
    let tokens = Arc::new(SecretStore::of(api.db.clone(), scope, id, keys, connection.org_id));
    let verdict = match api.probe.check(tokens, connection.org_id).await {
        Ok(identity) => match connection.org_id.filter(|known| *known != identity.org_id) {
            None => store::Verdict::Works { user_id: identity.user_id },
            Some(known) => store::Verdict::Parked { ask: org_changed(known, identity.org_id) },
        },
        Err(Unproved::Ask(ask)) => store::Verdict::Parked { ask },
        Err(later @ Unproved::Later(_)) => return Err(not_proved(later)),
    };
    let judged = store::connection_judge(&api.control, &scope, id, &verdict).await?;
    judged.map(|found| Json(found.into())).ok_or_else(missing)
}
