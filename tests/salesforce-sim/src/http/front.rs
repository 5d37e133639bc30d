//! From a connection to a handler and back: size limits, routing to the org, faults, allowance, log.

use std::sync::Arc;
use std::time::Instant;

use axum::body::{Body, to_bytes};
use axum::http::{Response, header};

use super::harm::{self, Before, Harmed};
use super::request::{Request, decode};
use super::respond::{Manner, respond};
use super::wire::Hand;
use super::{Answer, World, data, identity, oauth, soap, status, versions};
use crate::org::Org;
use crate::org::allowance::Ticket;
use crate::org::calls::Call;
use crate::org::faults::{Fault, Seen, Struck};
use crate::org::home::OldAddress;
use crate::org::sessions::Session;
use crate::time;

/// The platform's bound on a URI, and on a URI with all headers.
const MOST_HEADER_BYTES: usize = 16_384;
/// Largest request body read.
const MOST_BODY_BYTES: usize = 50 << 20;

/// How a connection came in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entrance {
    /// Whether it is encrypted.
    pub secure: bool,
    /// Number of the address: 0, or that of an instance that orgs move to.
    pub door: usize,
}

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
    entrance: Entrance,
    hand: Hand,
    raw: hyper::Request<hyper::body::Incoming>,
) -> Result<Response<Body>, Broken> {
    let started = Instant::now();
    let arrived = world.clock.now_ms();
    let sizes = sizes(&raw);
    let gzip = accepts_gzip(raw.headers());
    let request = read(raw, entrance).await.ok_or(Broken)?;
    let manner = Manner { now: arrived, gzip, cut: None };
    let (org, area) = match unrouted(sizes).map_or_else(|| route(&world, &request), Err) {
        Ok(found) => found,
        Err(answer) => return Ok(respond(answer, manner, |_| ())),
    };
    let (user, outcome) = handle(&world, &org, &request, area).await;
    let entry = Call {
        at: time::rfc3339(arrived),
        method: request.method.clone(),
        path: request.path.clone(),
        soql: soql_of(&org, &request),
        user,
        status: outcome.as_ref().map_or(0, |harmed| harmed.answer.status),
        rows: outcome.as_ref().map_or(0, |harmed| harmed.answer.rows),
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
    let Some(mut harmed) = outcome else {
        log(0);
        return Err(Broken);
    };
    if let Some(script) = harmed.script {
        hand.take_over(script);
        // Nothing sensible can follow on this connection.
        harmed.answer.headers.push(("Connection".into(), "close".to_owned()));
    }
    let manner = Manner { now: harmed.made_at, cut: harmed.cut, ..manner };
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

/// The part of the platform that a path belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Area {
    OAuth,
    Soap,
    Identity,
    Data,
}

impl Area {
    fn of(steps: &[&str]) -> Option<Self> {
        match steps {
            ["services", "oauth2", ..] => Some(Self::OAuth),
            ["services", "Soap", "u" | "c", ..] => Some(Self::Soap),
            ["id", ..] => Some(Self::Identity),
            ["services", "data", _, ..] => Some(Self::Data),
            _ => None,
        }
    }
}

/// The org that a request speaks to, or the answer of nobody in particular.
fn route(world: &World, request: &Request) -> Result<(Arc<Org>, Area), Answer> {
    let steps = request.steps();
    let Some(area) = Area::of(&steps) else {
        return Err(match steps[..] {
            [] => status::page(world),
            ["services", "data"] => versions::list(world.newest_version()),
            ["setup", "secur", "RemoteAccessErrorPage.apexp"] => oauth::remote_access_error(request),
            [".well-known", "openid-configuration"] => identity::discovery(request),
            _ => Answer::html(404, "404 Not Found"),
        });
    };
    let by_token = || request.bearer().and_then(|token| world.by_token(token));
    let (org, nobody): (_, fn(&Request) -> Answer) = match area {
        Area::OAuth => (oauth::org_of(world, request), oauth::unknown_client),
        Area::Soap => (soap::org_of(world, request), soap::invalid_login),
        Area::Identity => (by_token(), identity::refused_token),
        Area::Data => (by_token(), unauthorized),
    };
    org.map(|org| (org, area)).ok_or_else(|| nobody(request))
}

/// What the old address says of an org that has moved. Logins stay where they were.
fn moved(org: &Org, request: &Request, area: Area) -> Option<Answer> {
    let home = org.home();
    let new = home.elsewhere(request.door).filter(|_| matches!(area, Area::Data | Area::Identity))?;
    Some(match new.old {
        OldAddress::Redirect => {
            let base = org.instance_url(&request.base_url);
            Answer::empty(new.status).with("Location", format!("{base}{}", request.target()))
        }
        OldAddress::NoRoute => Answer::html(420, "We are setting things up"),
        OldAddress::NotOwned => {
            let message = "The organization is not on this instance of the server";
            Answer::error(400, "ORG_NOT_OWNED_BY_INSTANCE", message)
        }
    })
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

async fn read(raw: hyper::Request<hyper::body::Incoming>, entrance: Entrance) -> Option<Request> {
    let (parts, body) = raw.into_parts();
    let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("127.0.0.1");
    let scheme = if entrance.secure { "https" } else { "http" };
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
        door: entrance.door,
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
async fn handle(
    world: &World,
    org: &Arc<Org>,
    request: &Request,
    area: Area,
) -> (Option<String>, Option<Harmed>) {
    let is_data = area == Area::Data;
    let user = request.bearer().and_then(|token| org.user_of(token));
    let entered = is_data.then(|| org.allowance().enter(Instant::now()));
    let within = entered.is_none_or(|(_, within)| within);
    let _leaving = entered.map(|(ticket, _)| Leaving(Arc::clone(org), ticket));
    let _claim = match oauth::claim(org, request) {
        Ok(claim) => claim,
        Err(answer) => return (user, Some(Harmed::not(answer, org.clock.now_ms()))),
    };
    let struck = strike(org, request, user.as_deref());
    let latency = org.latency_ms().max(if area == Area::OAuth { oauth::LATENCY_MS } else { 0 });
    if latency > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(latency)).await;
    }
    let before = harm::before(world, org, request, struck.as_ref()).await;
    let session = if is_data { data::session(org, request) } else { None };
    // A call that arrives with a good session counts, whatever becomes of it.
    let spent = session.is_some() && org.spend_call();
    let answer = match before {
        Before::Broken => return (user, None),
        Before::Answered(answer) => answer,
        Before::Unharmed => match (moved(org, request, area), area) {
            (Some(answer), _) => answer,
            (None, Area::OAuth) => oauth::handle(world, org, request),
            (None, Area::Soap) => soap::handle(org, request),
            (None, Area::Identity) => identity::identity(org, request),
            (None, Area::Data) => data_answer(org, request, session.as_ref(), spent, within),
        },
    };
    let mut harmed = harm::after(org, request, struck.as_ref(), answer);
    if session.is_some() {
        limit_info(org, struck.as_ref(), &mut harmed.answer);
    }
    if let Some(Struck { fault: Fault::HoldAnswer { gate }, .. }) = &struck {
        world.gates.pass(gate).await;
    }
    let outcome = (!harmed.lost).then_some(harmed);
    (user, outcome)
}

/// The statement that a call is about; a next page counts as its query.
fn soql_of(org: &Org, request: &Request) -> Option<String> {
    request.soql().map(str::to_owned).or_else(|| data::cursor_soql(org, request))
}

fn strike(org: &Org, request: &Request, user: Option<&str>) -> Option<Struck> {
    let soql = soql_of(org, request);
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
    if let Some(refused) = refused_by_admin(org, session) {
        return refused;
    }
    if !spent {
        return Answer::total_requests_exceeded();
    }
    if !within {
        let message = "ConcurrentRequests (Concurrent API Requests) Limit exceeded.";
        return Answer::error(403, "REQUEST_LIMIT_EXCEEDED", message);
    }
    data::handle(org, request, session)
}

struct Leaving(Arc<Org>, Ticket);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.allowance().leave(self.1);
    }
}

/// What an administrator can forbid a session.
fn refused_by_admin(org: &Org, session: &Session) -> Option<Answer> {
    let scope = &session.grant.scope;
    if !scope.split(' ').any(|scope| matches!(scope, "api" | "full" | "web")) {
        let message = "This session is not valid for use with the REST API";
        return Some(Answer::error(401, "INVALID_SESSION_ID", message));
    }
    if !org.app().api_enabled {
        let message = "The REST API is not enabled for this Organization.";
        return Some(Answer::error(403, "API_DISABLED_FOR_ORG", message));
    }
    let may = org.logins().of(session.grant.user).is_none_or(|login| login.api_enabled);
    (!may).then(|| Answer::error(403, "API_CURRENTLY_DISABLED", "API is disabled for this User"))
}

/// Adds what is used of the allowance, unless the answer comes from in front of the platform.
fn limit_info(org: &Org, struck: Option<&Struck>, answer: &mut Answer) {
    let text = match struck.map(|struck| &struck.fault) {
        Some(fault) if harm::is_foreign(fault) => return,
        Some(Fault::Usage { text: None }) => return,
        Some(Fault::Usage { text: Some(text) }) => text.clone(),
        _ => {
            let mut allowance = org.allowance();
            allowance.written(org.clock.now_ms())
        }
    };
    answer.headers.push(("Sforce-Limit-Info".into(), text));
}
