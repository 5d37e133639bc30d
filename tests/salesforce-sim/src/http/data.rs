//! `/services/data`: which resource a path means.

use serde_json::{Map, Value, json};

use super::request::Request;
use super::{Answer, VERSIONS, composite, limits, query, sobjects};
use crate::org::Org;
use crate::org::sessions::SessionId;

/// A request of a known session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context<'a> {
    /// The org.
    pub org: &'a Org,
    /// The session.
    pub session: SessionId,
    /// `v66.0`
    pub version: &'a str,
    /// Scheme and host that the client used.
    pub base_url: &'a str,
    /// Simulated time.
    pub now: i64,
}

/// A call to a resource: a whole request, or a part of a composite one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call<'a> {
    /// HTTP method.
    pub method: &'a str,
    /// Steps after the version.
    pub steps: &'a [&'a str],
    /// Parameters.
    pub params: &'a std::collections::HashMap<String, String>,
    /// `If-Modified-Since`.
    pub modified_since: Option<&'a str>,
    /// `Sforce-Query-Options`.
    pub query_options: Option<&'a str>,
    /// Body.
    pub body: &'a [u8],
}

/// The list of versions: no session needed, not counted.
pub(super) fn versions() -> Answer {
    const SEASONS: [&str; 3] = ["Spring", "Summer", "Winter"];
    let entry = |version: u32| {
        let season = SEASONS[(version as usize) % 3];
        // Version 62 is Winter '25, and each winter release begins a year.
        let year = 24 + (version + 1 - 60) / 3;
        let url = format!("/services/data/v{version}.0");
        json!({"label": format!("{season} '{year}"), "url": url, "version": format!("{version}.0")})
    };
    Answer::json(200, &Value::Array(VERSIONS.map(entry).collect()))
}

/// The live session of a request.
pub(super) fn session(org: &Org, request: &Request) -> Option<SessionId> {
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
pub(super) fn handle(org: &Org, request: &Request, session: SessionId) -> Answer {
    let steps = request.steps();
    let version = steps[2];
    let number =
        version.strip_prefix('v').and_then(|rest| rest.strip_suffix(".0")).and_then(|n| n.parse().ok());
    if number.is_none_or(|number: u32| !VERSIONS.contains(&number)) {
        return Answer::not_found();
    }
    let now = org.clock.now_ms();
    let context = Context { org, session, version, base_url: &request.base_url, now };
    let call = Call {
        method: &request.method,
        steps: &steps[3..],
        params: &request.params,
        modified_since: request.header("if-modified-since"),
        query_options: request.header("sforce-query-options"),
        body: &request.body,
    };
    if call.steps == ["composite"] {
        return composite::composite(context, call);
    }
    dispatch(context, call)
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
        ["limits"] => get_only(&|| limits::limits(context)),
        ["limits", "recordCount"] => get_only(&|| limits::record_count(context, call)),
        ["sobjects"] => get_only(&|| sobjects::global(context, call)),
        ["sobjects", object] => get_only(&|| sobjects::basic(context, object)),
        ["sobjects", object, "describe"] => get_only(&|| sobjects::describe(context, call, object)),
        ["sobjects", object, id] => get_only(&|| sobjects::row(context, call, object, id)),
        _ => Answer::not_found(),
    }
}

fn resources(context: Context<'_>) -> Answer {
    const NAMES: [&str; 24] = [
        "tooling",
        "metadata",
        "folders",
        "chatter",
        "tabs",
        "appMenu",
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
    map.insert("identity".to_owned(), json!(super::identity::url(context.org, context.base_url)));
    Answer::json(200, &Value::Object(map))
}

#[cfg(test)]
mod tests {
    #[test]
    fn versions_carry_their_release() {
        let body: serde_json::Value = serde_json::from_slice(&super::versions().body).unwrap();
        let label = |version: &str| {
            let all = body.as_array().unwrap();
            all.iter().find(|entry| entry["version"] == version).unwrap()["label"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        assert_eq!(label("60.0"), "Spring '24");
        assert_eq!(label("62.0"), "Winter '25");
        assert_eq!(label("65.0"), "Winter '26");
        assert_eq!(label("66.0"), "Spring '26");
    }
}
