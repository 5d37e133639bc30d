//! `/services/oauth2`: authorization, tokens, revocation, introspection, user information.
//!
//! [`authorize`] is what a browser sees, `token` what a client sees. What is refused and in which words follows
//! from the org's [`crate::org::app::AppPolicy`]; a fault of kind `error` gives every other refusal.

mod authorize;
mod inspect;
mod jwt;
mod pages;
mod token;

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

pub(super) use authorize::error_page;
pub(super) use pages::{escaped, remote_access_error};

use super::request::Request;
use super::{Answer, World, identity};
use crate::org::Org;

/// Real milliseconds that a token request takes at least, so that two at once do meet.
pub(super) const LATENCY_MS: u64 = 20;

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
    in_form
        .or_else(|| basic(request).map(|(id, _)| id))
        .or_else(|| Some(jwt::claims(form.get("assertion")?)?.iss))
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

fn secret_is_good(org: &Org, request: &Request, form: &HashMap<String, String>) -> bool {
    let given = form.get("client_secret").cloned().or_else(|| basic(request).map(|(_, secret)| secret));
    given.as_ref() == Some(&org.identity.client_secret)
}

/// The answer when no org knows the client.
pub(super) fn unknown_client(request: &Request) -> Answer {
    match request.steps()[..] {
        [.., "userinfo"] => identity::refused_token(request),
        [.., "revoke"] => {
            Answer::oauth_error(400, "unsupported_token_type", "this token type is not supported")
        }
        [.., "authorize"] => error_page("invalid_client_id", "client identifier invalid"),
        _ => Answer::oauth_error(400, "invalid_client_id", "client identifier invalid"),
    }
}

/// Holds a refresh token or code for the length of one request.
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
        ["services", "oauth2", "token"] if request.method == "POST" => token::token(world, org, request),
        ["services", "oauth2", "token"] => Answer::oauth_error(400, "invalid_request", "must use HTTP POST"),
        ["services", "oauth2", "revoke"] => inspect::revoke(org, request),
        ["services", "oauth2", "introspect"] => inspect::introspect(org, request),
        ["services", "oauth2", "userinfo"] => identity::user_info(org, request),
        ["services", "oauth2", "authorize"] => authorize::authorize(org, request),
        _ => Answer::html(404, "404 Not Found"),
    }
}
