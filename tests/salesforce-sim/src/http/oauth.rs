//! `/services/oauth2`: tokens, revocation, user information.
//!
//! The consent page approves at once: a browser is no part of the simulator. JWT assertions are checked
//! against the real clock, the only one that a client has.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use aws_lc_rs::{digest, hmac};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;

use super::request::Request;
use super::{Answer, World, identity};
use crate::org::Org;
use crate::org::sessions::{Code, Grant, Refused, Tokens};

/// Real milliseconds that a token request takes at least, so that two at once do meet.
pub(super) const LATENCY_MS: u64 = 20;
/// Authorization codes die after this long.
const CODE_LIFE_MS: i64 = 15 * 60 * 1_000;
/// A JWT may expire at most this many seconds ahead (three minutes and as much clock skew).
const MOST_JWT_SECONDS: u64 = 360;

/// The org that an OAuth request speaks of.
pub(super) fn org_of(world: &World, request: &Request) -> Option<Arc<Org>> {
    if request.path.contains("/userinfo") {
        return world.by_token(request.bearer()?);
    }
    let form = request.form();
    if let Some(client) = client_of(request, &form) {
        return world.by_client(&client);
    }
    let token = form.get("token")?;
    world.by_token(token).or_else(|| world.by_id(token.get(7..22)?))
}

fn client_of(request: &Request, form: &HashMap<String, String>) -> Option<String> {
    let in_form = form.get("client_id").cloned();
    in_form.or_else(|| basic(request).map(|(id, _)| id)).or_else(|| Some(claims(form.get("assertion")?)?.iss))
}

/// Client id and secret of a Basic header.
fn basic(request: &Request) -> Option<(String, String)> {
    let (scheme, encoded) = request.header("authorization")?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    Some((id.to_owned(), secret.to_owned()))
}

/// The answer when no org knows the client.
pub(super) fn unknown_client(request: &Request) -> Answer {
    if request.path.contains("/userinfo") {
        let mut answer = Answer::empty(403);
        answer.content_type = Some("text/html;charset=UTF-8".to_owned());
        answer.body = b"Bad_OAuth_Token".to_vec();
        return answer;
    }
    if request.path.contains("/revoke") {
        return Answer::oauth_error(400, "unsupported_token_type", "this token type is not supported");
    }
    Answer::oauth_error(400, "invalid_client_id", "client identifier invalid")
}

/// Holds a refresh token for the length of one request.
pub(super) struct Claim {
    org: Arc<Org>,
    token: String,
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.org.sessions().release(&self.token);
    }
}

/// Claims the refresh token or code of a token request, before anything may make it wait.
pub(super) fn claim(org: &Arc<Org>, request: &Request) -> Result<Option<Claim>, Answer> {
    if request.steps() != ["services", "oauth2", "token"] {
        return Ok(None);
    }
    let form = request.form();
    let Some(token) = form.get("refresh_token").or_else(|| form.get("code")) else {
        return Ok(None);
    };
    match org.sessions().claim(token) {
        Ok(()) => Ok(Some(Claim { org: Arc::clone(org), token: token.clone() })),
        Err(_) => Err(Answer::oauth_error(400, "invalid_grant", "token request is already being processed")),
    }
}

/// Answers an OAuth request of a known org.
pub(super) fn handle(world: &World, org: &Org, request: &Request) -> Answer {
    match request.steps()[..] {
        ["services", "oauth2", "token"] if request.method == "POST" => token(world, org, request),
        ["services", "oauth2", "token"] => Answer::oauth_error(400, "invalid_request", "must use HTTP POST"),
        ["services", "oauth2", "revoke"] => revoke(org, request),
        ["services", "oauth2", "introspect"] => introspect(org, request),
        ["services", "oauth2", "userinfo"] => identity::user_info(org, request),
        ["services", "oauth2", "authorize"] => authorize(org, request),
        _ => Answer::html(404, "404 Not Found"),
    }
}

fn token(world: &World, org: &Org, request: &Request) -> Answer {
    let form = request.form();
    let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    let grant = field("grant_type");
    let is_jwt = grant == "urn:ietf:params:oauth:grant-type:jwt-bearer";
    if !is_jwt && !secret_is_good(org, request, &form) {
        return Answer::oauth_error(400, "invalid_client", "invalid client credentials");
    }
    if matches!(request.host().split('.').next(), Some("login" | "test")) && grant == "client_credentials" {
        return Answer::oauth_error(400, "invalid_grant", "request not supported on this domain");
    }
    let login = org.logins().named("default").cloned();
    let Some(login) = login.filter(|login| login.active) else {
        return Answer::oauth_error(400, "invalid_grant", "inactive user");
    };
    let grant_of = || Grant { user: login.user_id, scope: "api refresh_token id".to_owned() };
    let now = org.clock.now_ms();
    let invalid = |description: &str| Answer::oauth_error(400, "invalid_grant", description);
    match grant {
        "client_credentials" => granted(org, request, &org.sessions().open(grant_of(), now), None),
        "password" => {
            let good =
                field("username") == org.identity.username && field("password") == org.identity.password;
            if good {
                granted(org, request, &org.sessions().open(grant_of(), now), None)
            } else {
                invalid("authentication failure")
            }
        }
        "refresh_token" => match org.sessions().refresh(field("refresh_token"), now) {
            Ok(tokens) => granted(org, request, &tokens.access, tokens.refresh.as_deref()),
            Err(Refused::Expired | Refused::Busy) => invalid("expired access/refresh token"),
        },
        "authorization_code" => match exchange(org, &form, now) {
            Ok(tokens) => granted(org, request, &tokens.access, tokens.refresh.as_deref()),
            Err(description) => invalid(description),
        },
        _ if is_jwt => match verify(world, org, request, field("assertion")) {
            Ok(()) => granted_to_jwt(org, request, &org.sessions().open(grant_of(), now)),
            Err(description) => invalid(description),
        },
        _ => Answer::oauth_error(400, "unsupported_grant_type", "grant type not supported"),
    }
}

fn secret_is_good(org: &Org, request: &Request, form: &HashMap<String, String>) -> bool {
    let given = form.get("client_secret").cloned().or_else(|| basic(request).map(|(_, secret)| secret));
    given.as_ref() == Some(&org.identity.client_secret)
}

/// The body of a granted token. Its keys and their order are the recorded ones.
fn granted(org: &Org, request: &Request, access: &str, refresh: Option<&str>) -> Answer {
    let id = identity::url(org, &request.base_url);
    let issued_at = org.clock.now_ms().to_string();
    let mut body = json!({
        "access_token": access,
        "signature": signature(&org.identity.client_secret, &id, &issued_at),
        "scope": "api refresh_token id",
        "instance_url": request.base_url,
        "id": id,
        "token_type": "Bearer",
        "issued_at": issued_at,
    });
    if let (Some(refresh), Some(map)) = (refresh, body.as_object_mut()) {
        map.insert("refresh_token".to_owned(), json!(refresh));
    }
    Answer::json(200, &body)
}

/// By which an app knows that the answer came from Salesforce: its own secret over id and issued_at.
fn signature(client_secret: &str, id: &str, issued_at: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, client_secret.as_bytes());
    STANDARD.encode(hmac::sign(&key, format!("{id}{issued_at}").as_bytes()))
}

fn granted_to_jwt(org: &Org, request: &Request, access: &str) -> Answer {
    let id = identity::url(org, &request.base_url);
    let body = json!({"access_token": access, "scope": "api id", "instance_url": request.base_url, "id": id,
        "token_type": "Bearer"});
    Answer::json(200, &body)
}

fn exchange(org: &Org, form: &HashMap<String, String>, now: i64) -> Result<Tokens, &'static str> {
    let code = form
        .get("code")
        .and_then(|code| org.sessions().take_code(code))
        .ok_or("invalid authorization code")?;
    if now - code.at > CODE_LIFE_MS {
        return Err("expired authorization code");
    }
    if form.get("redirect_uri") != Some(&code.redirect_uri) {
        return Err("redirect_uri must match configuration");
    }
    if let Some(challenge) = &code.challenge {
        let verifier = form.get("code_verifier").ok_or("missing required code verifier")?;
        let hash = digest::digest(&digest::SHA256, verifier.as_bytes());
        if URL_SAFE_NO_PAD.encode(hash) != challenge.trim_end_matches('=') {
            return Err("invalid code verifier");
        }
    }
    Ok(org.sessions().open_with_refresh(code.grant, now))
}

#[derive(serde::Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: String,
    exp: u64,
}

fn claims(assertion: &str) -> Option<Claims> {
    let payload = assertion.split('.').nth(1)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

fn verify(world: &World, org: &Org, request: &Request, assertion: &str) -> Result<(), &'static str> {
    let claims = claims(assertion).ok_or("invalid assertion")?;
    let (signed, signature) = assertion.rsplit_once('.').ok_or("invalid assertion")?;
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| "invalid assertion")?;
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &world.jwt_public_key);
    key.verify(signed.as_bytes(), &signature).map_err(|_| "invalid assertion")?;
    let audiences =
        ["https://login.salesforce.com", "https://test.salesforce.com", request.base_url.as_str()];
    if !audiences.contains(&claims.aud.trim_end_matches('/')) {
        return Err("audience is invalid");
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    if claims.exp <= now || claims.exp > now + MOST_JWT_SECONDS {
        return Err("invalid assertion");
    }
    if claims.iss != org.identity.client_id || claims.sub != org.identity.username {
        return Err("user hasn't approved this consumer");
    }
    Ok(())
}

fn revoke(org: &Org, request: &Request) -> Answer {
    let form = request.form();
    match form.get("token").map(|token| org.sessions().revoke(token)) {
        Some(true) => Answer::empty(200),
        _ => Answer::oauth_error(400, "invalid_token", "invalid token"),
    }
}

fn introspect(org: &Org, request: &Request) -> Answer {
    let form = request.form();
    if !secret_is_good(org, request, &form) {
        return Answer::oauth_error(401, "invalid_client", "invalid client credentials");
    }
    let now = org.clock.now_ms();
    let live = form.get("token").is_some_and(|token| org.sessions().authenticate(token, now).is_some());
    let body = if live {
        json!({"active": true, "scope": "api refresh_token id", "client_id": org.identity.client_id,
            "username": org.identity.username, "sub": identity::url(org, &request.base_url),
            "token_type": "access_token"})
    } else {
        json!({"active": false})
    };
    Answer::json(200, &body)
}

/// The consent page, which consents.
fn authorize(org: &Org, request: &Request) -> Answer {
    let form = request.form();
    let Some(redirect_uri) = form.get("redirect_uri") else {
        return Answer::html(400, "redirect_uri_missing");
    };
    let Ok(mut target) = url::Url::parse(redirect_uri) else {
        return Answer::html(400, "redirect_uri_mismatch");
    };
    let grant = Grant { user: org.identity.user_id, scope: "api refresh_token id".to_owned() };
    let code = Code {
        grant,
        redirect_uri: redirect_uri.clone(),
        challenge: form.get("code_challenge").cloned(),
        at: org.clock.now_ms(),
    };
    if form.get("response_type").map(String::as_str) == Some("code") {
        target.query_pairs_mut().append_pair("code", &org.sessions().add_code(code));
    } else {
        target.query_pairs_mut().append_pair("error", "unsupported_response_type");
    }
    if let Some(state) = form.get("state") {
        target.query_pairs_mut().append_pair("state", state);
    }
    Answer::empty(302).with("Location", String::from(target))
}

/// A page that says what went wrong and leads nowhere.
pub(super) fn error_page(error: &str, description: &str) -> Answer {
    Answer::html(400, &format!("{error}: {description}"))
}
