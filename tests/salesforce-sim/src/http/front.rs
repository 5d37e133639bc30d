//! From a connection to a handler and back: size limits, routing to the org, faults, allowance, headers.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use axum::http::{HeaderValue, Response, header};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::StreamExt;

use super::request::{Request, decode};
use super::{Answer, World, data, identity, oauth};
use crate::org::Org;
use crate::org::calls::Call;
use crate::org::faults::Fault;
use crate::time;

/// The platform's bound on a URI, and on a URI with all headers.
const MOST_HEADER_BYTES: usize = 16_384;
/// Largest request body read.
const MOST_BODY_BYTES: usize = 50 << 20;
/// Smaller bodies are not worth compressing.
const LEAST_COMPRESSED: usize = 1_000;

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
    raw: hyper::Request<hyper::body::Incoming>,
) -> Result<Response<Body>, Broken> {
    let started = Instant::now();
    let arrived = world.clock.now_ms();
    let sizes = sizes(&raw);
    let gzip = accepts_gzip(raw.headers());
    let request = read(raw, secure).await.ok_or(Broken)?;
    let too_large = match sizes {
        (uri, _) if uri > MOST_HEADER_BYTES => Some(Answer::html(414, "414 URI Too Long")),
        (_, all) if all > MOST_HEADER_BYTES => Some(Answer::html(431, "431 Request Header Fields Too Large")),
        _ => None,
    };
    if let Some(answer) = too_large {
        return Ok(respond(answer, arrived, gzip, None).0);
    }
    let steps = request.steps();
    let org = match steps[..] {
        ["services", "data"] => return Ok(respond(data::versions(), arrived, gzip, None).0),
        ["services", "oauth2", ..] => oauth::org_of(&world, &request),
        ["services", "data", ..] | ["id", ..] => request.bearer().and_then(|token| world.by_token(token)),
        _ => return Ok(respond(Answer::html(404, "404 Not Found"), arrived, gzip, None).0),
    };
    let Some(org) = org else {
        let answer =
            if steps[1] == "oauth2" { oauth::unknown_client(&request) } else { unauthorized(&request) };
        return Ok(respond(answer, arrived, gzip, None).0);
    };
    let outcome = handle(&world, &org, &request).await;
    let (status, rows, bytes, result) = match outcome {
        Some((answer, made_at, cut)) => {
            let (status, rows) = (answer.status, answer.rows);
            let (response, bytes) = respond(answer, made_at, gzip, cut);
            (status, rows, bytes, Ok(response))
        }
        None => (0, 0, 0, Err(Broken)),
    };
    let call = Call {
        at: time::rfc3339(arrived),
        method: request.method.clone(),
        path: request.path.clone(),
        soql: soql_of(&org, &request),
        user: request.bearer().map(|_| org.identity.username.clone()),
        status,
        rows,
        bytes,
        ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
    };
    org.calls().add(call);
    result
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
    Some(Request {
        method: parts.method.as_str().to_owned(),
        path: parts.uri.path().to_owned(),
        params: decode(parts.uri.query().unwrap_or_default().as_bytes()),
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

/// Runs a request of an org: the answer, when it was made, and after how many bytes its body is cut. `None` breaks
/// the connection.
async fn handle(
    world: &Arc<World>,
    org: &Arc<Org>,
    request: &Request,
) -> Option<(Answer, i64, Option<usize>)> {
    let is_token = request.path.starts_with("/services/oauth2/");
    let is_data = request.path.starts_with("/services/data/");
    let within = !is_data || org.allowance().enter();
    let _leaving = is_data.then(|| Leaving(Arc::clone(org)));
    let _claim = match oauth::claim(org, request) {
        Ok(claim) => claim,
        Err(answer) => return Some((answer, world.clock.now_ms(), None)),
    };
    let soql = soql_of(org, request);
    let fault = org.faults().strike(&request.method, &request.path, soql.as_deref());
    let latency = org.latency_ms().max(if is_token { oauth::LATENCY_MS } else { 0 });
    if latency > 0 {
        tokio::time::sleep(Duration::from_millis(latency)).await;
    }
    match &fault {
        Some(Fault::Delay { ms }) => tokio::time::sleep(Duration::from_millis(*ms)).await,
        Some(Fault::Hold { gate }) => world.gates.pass(gate).await,
        _ => {}
    }
    let session = if is_data { data::session(org, request) } else { None };
    // A call that arrives with a good session counts, whatever becomes of it.
    let spent = session.is_some() && spend(org);
    let mut answer = match early(fault.as_ref(), is_token)? {
        Some(answer) => answer,
        None if is_token => oauth::handle(world, org, request),
        None if !is_data => identity::identity(org, request),
        None => match session {
            None => unauthorized(request),
            Some(_) if !spent => {
                Answer::error(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")
            }
            Some(_) if !within => {
                let message = "ConcurrentRequests (Concurrent API Requests) Limit exceeded.";
                Answer::error(403, "REQUEST_LIMIT_EXCEEDED", message)
            }
            Some(session) => data::handle(org, request, session),
        },
    };
    let cut = late(fault.as_ref(), &mut answer);
    if session.is_some() && !matches!(fault, Some(Fault::Status { .. } | Fault::Html)) {
        answer.headers.push(("Sforce-Limit-Info", usage(org)));
    }
    let made_at = world.clock.now_ms();
    if let Some(Fault::HoldAnswer { gate }) = &fault {
        world.gates.pass(gate).await;
    }
    Some((answer, made_at, cut))
}

/// The statement that a call is about; a next page counts as its query.
fn soql_of(org: &Org, request: &Request) -> Option<String> {
    request.soql().map(str::to_owned).or_else(|| data::cursor_soql(org, request))
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

fn usage(org: &Org) -> String {
    let mut allowance = org.allowance();
    let used = allowance.used(org.clock.now_ms());
    format!("api-usage={used}/{}", allowance.daily_max)
}

/// Faults that take the place of the handler. The outer `None` breaks the connection.
#[expect(clippy::option_option, reason = "broken, answered and unharmed are three outcomes of one question")]
fn early(fault: Option<&Fault>, is_token: bool) -> Option<Option<Answer>> {
    Some(match fault {
        Some(Fault::Close) => return None,
        Some(Fault::Status { status, body, content_type }) => {
            let content_type = content_type.clone().or_else(|| Some("text/plain".to_owned()));
            Some(Answer {
                status: *status,
                content_type,
                body: body.clone().into_bytes(),
                headers: Vec::new(),
                rows: 0,
            })
        }
        Some(Fault::Error { status, code, message }) if is_token => {
            Some(Answer::oauth_error(*status, code, message))
        }
        Some(Fault::Error { status, code, message }) => Some(Answer::error(*status, code, message)),
        Some(Fault::Html) => Some(Answer::html(200, "Salesforce is down for maintenance")),
        _ => None,
    })
}

/// Faults that spoil a true answer. Returns where its body is cut.
fn late(fault: Option<&Fault>, answer: &mut Answer) -> Option<usize> {
    match fault {
        Some(Fault::Truncate { after }) => return Some(*after),
        Some(Fault::Malformed) => {
            let half = answer.body.len() / 2;
            answer.body.truncate(half);
            answer.body.extend_from_slice(b",}");
            answer.status = 200;
        }
        Some(Fault::BadRecord { field }) => spoil_record(answer, field.as_deref()),
        _ => {}
    }
    None
}

fn spoil_record(answer: &mut Answer, field: Option<&str>) {
    let Ok(mut body) = serde_json::from_slice::<serde_json::Value>(&answer.body) else {
        return;
    };
    let records = body.get_mut("records").and_then(serde_json::Value::as_array_mut);
    let Some(records) = records.filter(|records| !records.is_empty()) else {
        return;
    };
    let middle = records.len() / 2;
    if let Some(record) = records[middle].as_object_mut() {
        match field {
            Some(field) => _ = record.insert(field.to_owned(), serde_json::json!({"unexpected": ["shape"]})),
            None => _ = record.remove("Id"),
        }
    }
    answer.body = body.to_string().into_bytes();
}

/// Makes the bytes of an answer and tells how many there are.
fn respond(answer: Answer, now: i64, gzip: bool, cut: Option<usize>) -> (Response<Body>, usize) {
    let compress = gzip && answer.body.len() > LEAST_COMPRESSED;
    let body = if compress { compressed(&answer.body) } else { Bytes::from(answer.body) };
    let length = body.len();
    let mut builder = Response::builder()
        .status(answer.status)
        .header(header::DATE, time::http_date(now))
        .header(header::VARY, "Accept-Encoding")
        .header(header::CACHE_CONTROL, "no-cache,must-revalidate,max-age=0,no-store,private");
    if let Some(content_type) = answer.content_type {
        builder = builder.header(header::CONTENT_TYPE, content_type);
    }
    if compress {
        builder = builder.header(header::CONTENT_ENCODING, "gzip");
    }
    for (name, value) in answer.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            builder = builder.header(name, value);
        }
    }
    let body = match cut {
        Some(after) if after < length => {
            builder = builder.header(header::CONTENT_LENGTH, length);
            broken_off(body.slice(..after))
        }
        _ => Body::from(body),
    };
    (builder.body(body).expect("status and headers were valid when they were made"), length)
}

fn compressed(body: &[u8]) -> Bytes {
    use std::io::Write;
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    let written = encoder.write_all(body).and_then(|()| encoder.finish());
    written.expect("compressing into memory does not fail").into()
}

/// A body that sends its bytes and then breaks the connection. The pause lets what was sent reach the socket:
/// a connection that breaks at once takes its buffers with it.
fn broken_off(start: Bytes) -> Body {
    let end = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Err(io::Error::from(io::ErrorKind::ConnectionReset))
    };
    let start = futures_util::stream::iter([Ok(start)]);
    Body::from_stream(start.chain(futures_util::stream::once(end)))
}
