//! From a connection to a handler and back: size limits, routing to the org, faults, allowance, log.

use std::sync::Arc;
use std::time::Instant;

use axum::body::{Body, to_bytes};
use axum::http::{Response, header};

use super::harm::{self, Before, Harmed};
use super::request::{Request, decode};
use super::respond::{Manner, respond};
use super::wire::Hand;
use super::{Answer, World, data, identity, oauth, versions};
use crate::org::Org;
use crate::org::calls::Call;
use crate::org::faults::{Fault, Seen, Struck};
use crate::org::sessions::Session;
use crate::time;

/// The platform's bound on a URI, and on a URI with all headers.
const MOST_HEADER_BYTES: usize = 16_384;
/// Largest request body read.
const MOST_BODY_BYTES: usize = 50 << 20;

/// The connection is to be closed without an answer.
#[derive(Debug)]
pub(super) struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection is closed on purpose")
    }
}

impl std::error::Error for Broken {}

/// Answers one request. `Err` breaks the connection.
pub(super) async fn serve(
    world: Arc<World>,
    secure: bool,
    hand: Hand,
    raw: hyper::Request<hyper::body::Incoming>,
) -> Result<Response<Body>, Broken> {
    let started = Instant::now();
    let arrived = world.clock.now_ms();
    let sizes = sizes(&raw);
    let gzip = accepts_gzip(raw.headers());
    let request = read(raw, secure).await.ok_or(Broken)?;
    let manner = Manner { now: arrived, gzip, cut: None };
    let org = match unrouted(sizes).map_or_else(|| route(&world, &request), Err) {
        Ok(org) => org,
        Err(answer) => return Ok(respond(answer, manner, |_| ())),
    };
    let (user, outcome) = handle(&world, &org, &request).await;
    let entry = Call {
        at: time::rfc3339(arrived),
        method: request.method.clone(),
        path: request.path.clone(),
        soql: request.soql().map(str::to_owned),
        user,
        status: outcome.as_ref().map_or(0, |harmed| harmed.answer.status),
        bytes: 0,
        ms: 0,
    };
    let log = {
        let org = Arc::clone(&org);
        move |bytes: usize| {
            let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
            org.calls().add(Call { bytes, ms, ..entry });
        }
    };
    let Some(harmed) = outcome else {
        log(0);
        return Err(Broken);
    };
    if let Some(script) = harmed.script {
        hand.take_over(script);
    }
    let manner = Manner { now: org.clock.now_ms(), cut: harmed.cut, ..manner };
    Ok(respond(harmed.answer, manner, log))
}

/// Refusals by size, made before anybody looks at the request.
fn unrouted((uri, all): (usize, usize)) -> Option<Answer> {
    match (uri > MOST_HEADER_BYTES, all > MOST_HEADER_BYTES) {
        (true, _) => Some(Answer::html(414, "414 URI Too Long")),
        (false, true) => Some(Answer::html(431, "431 Request Header Fields Too Large")),
        (false, false) => None,
    }
}

/// The org that a request speaks to, or the answer of nobody in particular.
fn route(world: &World, request: &Request) -> Result<Arc<Org>, Answer> {
    let steps = request.steps();
    match steps[..] {
        ["services", "data"] => Err(versions::list(world.newest_version())),
        ["services", "oauth2", ..] => {
            oauth::org_of(world, request).ok_or_else(|| oauth::unknown_client(request))
        }
        ["services", "data", ..] | ["id", ..] => {
            let org = request.bearer().and_then(|token| world.by_token(token));
            org.ok_or_else(|| unauthorized(request))
        }
        _ => Err(Answer::html(404, "404 Not Found")),
    }
}

fn sizes<B>(raw: &hyper::Request<B>) -> (usize, usize) {
    let uri = raw.uri().path_and_query().map_or(0, |target| target.as_str().len());
    let headers: usize =
        raw.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    (uri, uri + headers)
}

fn accepts_gzip(headers: &axum::http::HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    accepted.is_some_and(|value| value.to_ascii_lowercase().contains("gzip"))
}

async fn read(raw: hyper::Request<hyper::body::Incoming>, secure: bool) -> Option<Request> {
    let (parts, body) = raw.into_parts();
    let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("127.0.0.1");
    let scheme = if secure { "https" } else { "http" };
    let base_url = format!("{scheme}://{host}");
    let body = to_bytes(Body::new(body), MOST_BODY_BYTES).await.ok()?;
    let query = parts.uri.query().unwrap_or_default();
    Some(Request {
        method: parts.method.as_str().to_owned(),
        path: parts.uri.path().to_owned(),
        params: decode(query.as_bytes()),
        query: query.to_owned(),
        headers: parts.headers,
        body,
        base_url,
    })
}

fn unauthorized(request: &Request) -> Answer {
    match request.header("authorization") {
        Some(_) if request.bearer().is_none() => {
            Answer::error(401, "INVALID_AUTH_HEADER", "INVALID_HEADER_TYPE")
        }
        _ => Answer::session_invalid(),
    }
}

/// Runs a request of an org: the user's name, and the answer. `None` breaks the connection.
async fn handle(world: &World, org: &Arc<Org>, request: &Request) -> (Option<String>, Option<Harmed>) {
    let is_token = request.path.starts_with("/services/oauth2/");
    let is_data = request.path.starts_with("/services/data/");
    let user = request.bearer().and_then(|token| org.user_of(token));
    let within = !is_data || org.allowance().enter();
    let _leaving = is_data.then(|| Leaving(Arc::clone(org)));
    let _claim = match oauth::claim(org, request) {
        Ok(claim) => claim,
        Err(answer) => return (user, Some(Harmed { answer, cut: None, script: None, lost: false })),
    };
    let struck = strike(org, request, user.as_deref());
    let latency = org.latency_ms().max(if is_token { oauth::LATENCY_MS } else { 0 });
    if latency > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(latency)).await;
    }
    let before = harm::before(world, org, request, struck.as_ref()).await;
    let session = if is_data { data::session(org, request) } else { None };
    // A call that arrives with a good session counts, whatever becomes of it.
    let spent = session.is_some() && spend(org);
    let answer = match before {
        Before::Broken => return (user, None),
        Before::Answered(answer) => answer,
        Before::Unharmed if is_token => oauth::handle(world, org, request),
        Before::Unharmed if !is_data => identity::identity(org, request),
        Before::Unharmed => data_answer(org, request, session.as_ref(), spent, within),
    };
    let mut harmed = harm::after(org, request, struck.as_ref(), answer);
    if session.is_some() {
        limit_info(org, struck.as_ref(), &mut harmed.answer);
    }
    let outcome = (!harmed.lost).then_some(harmed);
    (user, outcome)
}

fn strike(org: &Org, request: &Request, user: Option<&str>) -> Option<Struck> {
    let soql = request.soql().map(str::to_owned).or_else(|| data::cursor_soql(org, request));
    let seen = Seen {
        method: &request.method,
        path: &request.path,
        soql: soql.as_deref(),
        user,
        now: org.clock.now_ms(),
    };
    org.faults().strike(seen)
}

fn data_answer(
    org: &Arc<Org>,
    request: &Request,
    session: Option<&Session>,
    spent: bool,
    within: bool,
) -> Answer {
    let Some(session) = session else {
        return unauthorized(request);
    };
    if !spent {
        return Answer::error(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.");
    }
    if !within {
        let message = "ConcurrentRequests (Concurrent API Requests) Limit exceeded.";
        return Answer::error(403, "REQUEST_LIMIT_EXCEEDED", message);
    }
    data::handle(org, request, session)
}

struct Leaving(Arc<Org>);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.allowance().leave();
    }
}

fn spend(org: &Org) -> bool {
    let spent = org.allowance().spend(org.clock.now_ms());
    if spent {
        org.calls().count_api();
    }
    spent
}

/// Adds what is used of the allowance, unless the answer comes from in front of the platform.
fn limit_info(org: &Org, struck: Option<&Struck>, answer: &mut Answer) {
    let text = match struck.map(|struck| &struck.fault) {
        Some(fault) if harm::is_foreign(fault) => return,
        Some(Fault::Usage { text: None }) => return,
        Some(Fault::Usage { text: Some(text) }) => text.clone(),
        _ => {
            let mut allowance = org.allowance();
            format!("api-usage={}/{}", allowance.used(org.clock.now_ms()), allowance.daily_max)
        }
    };
    answer.headers.push(("Sforce-Limit-Info".into(), text));
}
