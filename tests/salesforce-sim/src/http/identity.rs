//! Who a session belongs to: the identity URL and userinfo.

use serde_json::{Value, json};

use super::Answer;
use super::request::Request;
use crate::id::SfId;
use crate::org::Org;
use crate::org::logins::Login;
use crate::time;

/// The identity URL of a user.
pub(super) fn url(org: &Org, base_url: &str, user: SfId) -> String {
    format!("{base_url}/id/{}/{user}", org.identity.org_id)
}

fn refused(status: u16, word: &str) -> Answer {
    Answer::new(status, "text/html;charset=UTF-8", word)
}

/// No token, or one that opens nothing.
pub(super) fn refused_token(request: &Request) -> Answer {
    refused(403, if request.bearer().is_some() { "Bad_OAuth_Token" } else { "Missing_OAuth_Token" })
}

/// The user of a request's session.
fn user(org: &Org, request: &Request) -> Result<Login, Answer> {
    let token = request.bearer().unwrap_or_default();
    let session = org.sessions().authenticate(token, org.clock.now_ms());
    let session = session.ok_or_else(|| refused_token(request))?;
    let login = org.logins().of(session.grant.user).cloned();
    login.filter(|login| login.active).ok_or_else(|| refused(403, "Inactive_User"))
}

/// Addresses with `{version}` for the client to fill in.
fn addresses(org: &Org, base: &str) -> Value {
    let rest = format!("{base}/services/data/v{{version}}/");
    let soap =
        |kind: &str| format!("{base}/services/Soap/{kind}/{{version}}/{}", org.identity.org_id.short());
    json!({
        "enterprise": soap("c"), "metadata": soap("m"), "partner": soap("u"), "rest": rest,
        "sobjects": format!("{rest}sobjects/"), "search": format!("{rest}search/"),
        "query": format!("{rest}query/"), "recent": format!("{rest}recent/"), "custom_domain": base,
    })
}

/// `/services/oauth2/userinfo`
pub(super) fn user_info(org: &Org, request: &Request) -> Answer {
    let login = match user(org, request) {
        Ok(login) => login,
        Err(answer) => return answer,
    };
    let text = |field: &str| org.text_of(login.user_id, field);
    let base = &request.base_url;
    Answer::json(
        200,
        &json!({
            "sub": url(org, base, login.user_id),
            "user_id": login.user_id.as_str(),
            "organization_id": org.identity.org_id.as_str(),
            "preferred_username": login.username,
            "nickname": text("CommunityNickname"),
            "name": text("Name"),
            "email": text("Email"),
            "email_verified": true,
            "given_name": text("FirstName"),
            "family_name": text("LastName"),
            "zoneinfo": "UTC",
            "photos": {},
            "profile": format!("{base}/{}", login.user_id),
            "picture": null,
            "address": {"country": "DE"},
            "is_salesforce_integration_user": login.api_only,
            "urls": addresses(org, base),
            "active": login.active,
            "user_type": "STANDARD",
            "language": "en_US",
            "locale": "en_US",
            "utcOffset": 0,
            "updated_at": time::rfc3339_seconds(org.permissions().changed_at),
            "is_app_installed": true,
        }),
    )
}

/// `/.well-known/openid-configuration`
pub(super) fn discovery(request: &Request) -> Answer {
    let base = &request.base_url;
    let at = |path: &str| format!("{base}/services/oauth2/{path}");
    Answer::json(
        200,
        &json!({
            "issuer": base, "authorization_endpoint": at("authorize"), "token_endpoint": at("token"),
            "revocation_endpoint": at("revoke"), "userinfo_endpoint": at("userinfo"),
            "introspection_endpoint": at("introspect"), "scopes_supported": ["api", "id", "refresh_token"],
            "response_types_supported": ["code"], "subject_types_supported": ["public"],
            "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
        }),
    )
}

/// `/id/{org}/{user}`
pub(super) fn identity(org: &Org, request: &Request) -> Answer {
    let asking = match user(org, request) {
        Ok(login) => login,
        Err(answer) => return answer,
    };
    let steps = request.steps();
    let ["id", org_id, user_id] = steps[..] else {
        return refused(404, "Bad_Id");
    };
    if SfId::parse(org_id) != Some(org.identity.org_id) {
        return refused(403, "Wrong_Org");
    }
    let Some(login) = SfId::parse(user_id).and_then(|id| org.logins().of(id).cloned()) else {
        return refused(404, "Bad_Id");
    };
    let text = |field: &str| org.text_of(login.user_id, field);
    let base = &request.base_url;
    Answer::json(
        200,
        &json!({
            "id": url(org, base, login.user_id), "asserted_user": login.user_id == asking.user_id,
            "user_id": login.user_id.as_str(), "organization_id": org.identity.org_id.as_str(),
            "username": login.username, "nick_name": text("CommunityNickname"),
            "display_name": text("Name"), "email": text("Email"), "email_verified": true,
            "first_name": text("FirstName"), "last_name": text("LastName"),
            "timezone": "UTC", "photos": {}, "addr_street": null, "addr_city": null, "addr_state": null,
            "addr_country": "DE", "addr_zip": null, "mobile_phone": null, "mobile_phone_verified": false,
            "is_lightning_login_user": false, "status": {"created_date": null, "body": null},
            "urls": addresses(org, base), "active": login.active, "user_type": "STANDARD",
            "language": "en_US", "locale": "en_US", "utcOffset": 0,
            "last_modified_date": time::rfc3339_seconds(org.permissions().changed_at), "is_app_installed": true,
        }),
    )
}
