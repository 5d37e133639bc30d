//! Revocation and introspection.

use serde_json::json;

use super::{Request, identity, secret_is_good};
use crate::http::Answer;
use crate::org::Org;

/// `/services/oauth2/revoke`, by POST or GET; GET may ask for a script that calls back.
pub(super) fn revoke(org: &Org, request: &Request) -> Answer {
    let form = request.form();
    let revoked = form.get("token").is_some_and(|token| org.sessions().revoke(token));
    match (form.get("callback"), revoked) {
        (Some(callback), revoked) => {
            let name: String =
                callback.chars().filter(|c| c.is_ascii_alphanumeric() || "_.$".contains(*c)).collect();
            let told = if revoked { "{}" } else { "{\"error\":\"invalid_token\"}" };
            Answer::new(200, "application/javascript;charset=UTF-8", format!("{name}({told});"))
        }
        (None, true) => Answer::empty(200),
        (None, false) => Answer::oauth_error(400, "invalid_token", "invalid token"),
    }
}

/// `/services/oauth2/introspect`
pub(super) fn introspect(org: &Org, request: &Request) -> Answer {
    let form = request.form();
    if !secret_is_good(org, request, &form) {
        return Answer::oauth_error(401, "invalid_client", "invalid client credentials");
    }
    let now = org.clock.now_ms();
    let token = form.get("token").map(String::as_str).unwrap_or_default();
    let sessions = org.sessions();
    let access = sessions.peek(token, now).map(|(session, until)| (session.grant, Some(until)));
    let kind = if access.is_some() { "access_token" } else { "refresh_token" };
    let found = access.or_else(|| sessions.peek_refresh(token).map(|grant| (grant, None)));
    drop(sessions);
    let Some((grant, until)) = found else {
        return Answer::json(200, &json!({"active": false}));
    };
    let username = org.logins().of(grant.user).map(|login| login.username.clone());
    let mut body = json!({
        "active": true,
        "scope": grant.scope,
        "client_id": org.identity.client_id,
        "username": username,
        "sub": identity::url(org, &request.base_url, grant.user),
        "token_type": kind,
    });
    if let Some(until) = until {
        body["exp"] = json!(until / 1_000);
        body["iat"] = json!(now / 1_000);
        body["nbf"] = json!(now / 1_000);
    }
    Answer::json(200, &body)
}
