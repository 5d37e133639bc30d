//! `/services/data`: which resource a path means.

use serde_json::{Map, Value, json};

use std::sync::Arc;

use super::replication::{self, Change};
use super::request::Request;
use super::versions::{self, Judgement};
use super::{Answer, bulk, composite, conversations, limits, query, rows, sobjects};
use crate::org::Org;
use crate::org::permissions::Permissions;
use crate::org::sessions::Session;

/// A request of a known session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context<'a> {
    /// The org.
    pub org: &'a Arc<Org>,
    /// The session.
    pub session: &'a Session,
    /// `v66.0`
    pub version: &'a str,
    /// `66`
    pub version_number: u32,
    /// Scheme and host that the client used.
    pub base_url: &'a str,
    /// Simulated time.
    pub now: i64,
}

impl Context<'_> {
    /// What the session's user may see.
    pub(super) fn permissions(&self) -> Arc<Permissions> {
        self.org.permissions_of(self.session.grant.user)
    }
}

/// A call to a resource: a whole request, or a part of a composite one.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    /// HTTP method.
    pub method: &'a str,
    /// Steps after the version.
    pub steps: &'a [&'a str],
    /// Parameters.
    pub params: &'a std::collections::HashMap<String, String>,
    /// A header by its name in small letters.
    pub headers: &'a dyn Fn(&str) -> Option<&'a str>,
    /// Body.
    pub body: &'a [u8],
    /// Whether it is a part of a composite request.
    pub is_part: bool,
}

/// The live session of a request.
pub(super) fn session(org: &Org, request: &Request) -> Option<Session> {
    let token = request.bearer()?;
    org.sessions().authenticate(token, org.clock.now_ms())
}

/// The statement behind a next-page request, so that faults can match it.
pub(super) fn cursor_soql(org: &Org, request: &Request) -> Option<String> {
    let steps = request.steps();
    let ["services", "data", _, "query" | "queryAll", locator] = steps[..] else {
        return None;
    };
    let (cursor, _) = org.cursors().find(locator, org.clock.now_ms())?;
    Some(cursor.soql.to_string())
}

/// Answers a counted request.
pub(super) fn handle(org: &Arc<Org>, request: &Request, session: &Session) -> Answer {
    let steps = request.steps();
    let version = steps[2];
    let (version_number, warning) = match versions::judge(version, org.newest_version()) {
        Judgement::Served(number) => (number, None),
        Judgement::Deprecated(number) => (number, Some(versions::WARNING)),
        Judgement::Retired => {
            return Answer::error(410, "GONE", "The requested resource is no longer available");
        }
        Judgement::Unknown => return Answer::not_found(),
    };
    let now = org.clock.now_ms();
    let context = Context { org, session, version, version_number, base_url: &request.base_url, now };
    let header = |name: &str| request.header(name);
    let call = Call {
        method: &request.method,
        steps: &steps[3..],
        params: &request.params,
        headers: &header,
        body: &request.body,
        is_part: false,
    };
    let answer = match call.steps {
        ["composite", "sobjects", _] => dispatch(context, call),
        ["composite", rest @ ..] => composite::resource(context, call, rest),
        ["jobs", "query", rest @ ..] => bulk::dispatch(context, call, rest),
        ["jobs", "ingest"] if call.method == "GET" => bulk::dispatch(context, call, &[]),
        _ => dispatch(context, call),
    };
    warning.into_iter().fold(answer, |answer, warning| answer.with("Warning", warning))
}

/// Finds the resource. Whatever can be a composite sub-request is here.
pub(super) fn dispatch(context: Context<'_>, call: Call<'_>) -> Answer {
    let get_only = |answer: &dyn Fn() -> Answer| match call.method {
        "GET" | "HEAD" => answer(),
        other => Answer::method_not_allowed(other, "GET,HEAD"),
    };
    match call.steps {
        [] => get_only(&|| resources(context)),
        ["query"] => get_only(&|| query::first_page(context, call, false)),
        ["queryAll"] => get_only(&|| query::first_page(context, call, true)),
        ["query" | "queryAll", locator] => get_only(&|| query::next_page(context, call, locator)),
        ["connect", "conversation", identifier, "entries"] => {
            conversations::entries(context, call, identifier)
        }
        ["limits"] => get_only(&|| limits::limits(context)),
        ["limits", "recordCount"] => get_only(&|| limits::record_count(context, call)),
        ["sobjects"] => get_only(&|| sobjects::global(context, call)),
        ["sobjects", object] => get_only(&|| sobjects::basic(context, object)),
        ["sobjects", object, "describe"] => get_only(&|| sobjects::describe(context, call, object)),
        ["sobjects", object, "updated"] => {
            get_only(&|| replication::changes(context, call, object, Change::Updated))
        }
        ["sobjects", object, "deleted"] => {
            get_only(&|| replication::changes(context, call, object, Change::Deleted))
        }
        ["sobjects", object, id] => get_only(&|| rows::by_id(context, call, object, id)),
        ["sobjects", object, second, third] => {
            get_only(&|| rows::below(context, call, object, second, third))
        }
        ["composite", "sobjects", object] => composite::resource(context, call, &["sobjects", object]),
        _ => Answer::not_found(),
    }
}

fn resources(context: Context<'_>) -> Answer {
    const NAMES: [&str; 25] = [
        "tooling",
        "metadata",
        "folders",
        "chatter",
        "tabs",
        "appMenu",
        "flexiPage",
        "quickActions",
        "queryAll",
        "commerce",
        "wave",
        "analytics",
        "search",
        "composite",
        "parameterizedSearch",
        "theme",
        "recent",
        "connect",
        "licensing",
        "limits",
        "process",
        "query",
        "jobs",
        "sobjects",
        "support",
    ];
    let path = |name: &str| (name.to_owned(), json!(format!("/services/data/{}/{name}", context.version)));
    let mut map: Map<String, Value> = NAMES.iter().map(|name| path(name)).collect();
    let identity = super::identity::url(context.org, context.base_url, context.session.grant.user);
    map.insert("identity".to_owned(), json!(identity));
    Answer::json(200, &Value::Object(map))
}
