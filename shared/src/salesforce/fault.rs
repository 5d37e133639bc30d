//! Reads refusals of the REST API: bodies of every shape become one [`ApiFault`] with a closed kind.
//!
//! Only what a refusal says about itself is kept, on one line and cut; a body that is not a refusal is
//! described by its size and kind, never quoted.

use serde_json::Value;

/// A refusal of the REST API.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Salesforce answered {status} {code}: {message}")]
pub struct ApiFault {
    /// HTTP status; for a part of a composite answer, that part's.
    pub status: u16,
    /// What it means to us.
    pub kind: FaultKind,
    /// Salesforce's own code, or `HTTP` when the body had none.
    pub code: String,
    /// Salesforce's text on one line, cut to 300 characters.
    pub message: String,
    /// The object it is about, if known.
    pub object: Option<String>,
    /// The field it is about, if known.
    pub field: Option<String>,
}

/// What a refusal means to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// The access token is old; a new one helps.
    SessionExpired,
    /// The token is good, but not for the API: scope, app policy or address. A new one does not help.
    ApiAccessRefused,
    /// The org's edition or the user has no API.
    ApiDisabled,
    /// A feature that the call needs is off.
    FeatureDisabled,
    /// The user lacks a right.
    AccessDenied,
    /// A transaction security policy blocks the read.
    SecurityPolicy,
    /// The org is locked or its trial is over.
    OrgClosed,
    /// The org lives on another host now.
    Moved,
    /// The rolling day's calls are spent.
    DailyLimit,
    /// Too many calls at once.
    ConcurrencyLimit,
    /// Too many logins in an hour.
    LoginRate,
    /// No such resource, or not visible.
    NotFound,
    /// The record is deleted.
    Deleted,
    /// No such object, or not visible.
    UnknownObject,
    /// The object exists and cannot be queried, or not by time.
    NotQueryable,
    /// No such field, or not visible.
    UnknownField,
    /// The slice is too large or too slow.
    TooLarge,
    /// The query locator is gone.
    LocatorGone,
    /// Can be read, but not by a Bulk job.
    NotInBulk,
    /// The rolling day's Bulk jobs or their results are spent.
    BulkLimit,
    /// What was asked of a Bulk job does not fit the state that it is in.
    JobState,
    /// Our request is wrong.
    OurMistake,
    /// Our API version is no longer, or not yet, served.
    VersionRefused,
    /// A hiccup of the platform.
    Unavailable,
    /// Nothing that we know.
    Unknown,
}

/// Salesforce's texts are a few hundred characters; a query excerpt can make them long.
const MESSAGE_CHARACTERS: usize = 300;

impl ApiFault {
    /// Reads the body of an answer whose status is a refusal.
    #[must_use]
    pub fn read(status: u16, body: &[u8]) -> Self {
        let (code, message) = code_and_message(body);
        let kind = kind_of(status, &code, &message);
        // Most specific first: a field message names the object as well.
        let object = ["sObject type '", "on entity '", "on sobject of type ", "entity type "]
            .iter()
            .find_map(|lead| name_after(&message, lead));
        let field = ["No such column '", "field '"].iter().find_map(|lead| name_after(&message, lead));
        Self { status, kind, code, message: one_line(&message, MESSAGE_CHARACTERS), object, field }
    }

    /// Adds the object that the call was about, where the answer did not name one.
    #[must_use]
    pub fn about(mut self, object: &str) -> Self {
        self.object.get_or_insert_with(|| object.to_owned());
        self
    }
}

/// The text on one line, cut; runs of white space become one blank.
#[must_use]
pub(crate) fn one_line(text: &str, characters: usize) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let mut line = String::new();
    for word in words {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if line.len() > characters * 4 {
            break;
        }
    }
    line.chars().take(characters).collect()
}

/// The API name that follows `lead`.
fn name_after(message: &str, lead: &str) -> Option<String> {
    let rest = &message[message.find(lead)? + lead.len()..];
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
    (end > 0 && end <= 80).then(|| rest[..end].to_owned())
}

fn code_and_message(body: &[u8]) -> (String, String) {
    let text = String::from_utf8_lossy(body);
    let text = text.trim_start_matches('\u{feff}').trim();
    if let Ok(value) = serde_json::from_str::<Value>(text)
        && let Some(found) = first_cause(&value)
    {
        return found;
    }
    if text.contains("<errorCode>") {
        let part = |tag: &str| between(text, &format!("<{tag}>"), &format!("</{tag}>"));
        return (part("errorCode"), part("message"));
    }
    // Identity endpoints answer with a bare word such as `Bad_OAuth_Token`.
    let bare_word = text.len() <= 40 && text.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    if bare_word && !text.is_empty() {
        return (text.to_owned(), String::new());
    }
    let form = if text.is_empty() {
        "an empty body".to_owned()
    } else if text.starts_with('<') {
        format!("a page of {} bytes instead of JSON", body.len())
    } else {
        format!("{} bytes without an error code", body.len())
    };
    ("HTTP".to_owned(), form)
}

/// The first error that is a cause; `PROCESSING_HALTED` only says that another part failed.
fn first_cause(value: &Value) -> Option<(String, String)> {
    let errors: Vec<&Value> = match value {
        Value::Array(list) => list.iter().collect(),
        Value::Object(map) => match map.get("errors").and_then(Value::as_array) {
            Some(list) if !list.is_empty() => list.iter().collect(),
            Some(_) | None => vec![value],
        },
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    };
    let mut found = errors.into_iter().filter_map(read_error).collect::<Vec<_>>();
    let cause = found.iter().position(|(code, _)| code != "PROCESSING_HALTED").unwrap_or(0);
    (!found.is_empty()).then(|| found.swap_remove(cause))
}

fn read_error(error: &Value) -> Option<(String, String)> {
    let text = |key: &str| error.get(key).and_then(Value::as_str);
    if let Some(code) = text("errorCode").or_else(|| text("statusCode")).or_else(|| text("exceptionCode")) {
        let message = text("message").or_else(|| text("exceptionMessage")).unwrap_or_default();
        return Some((one_line(code, 80), message.to_owned()));
    }
    if let Some(code) = text("error") {
        return Some((one_line(code, 80), text("error_description").unwrap_or_default().to_owned()));
    }
    error.get("errors").and_then(Value::as_array)?.iter().find_map(read_error)
}

fn between(text: &str, open: &str, close: &str) -> String {
    text.split_once(open)
        .and_then(|(_, rest)| rest.split_once(close))
        .map(|(inner, _)| inner.to_owned())
        .unwrap_or_default()
}

/// The code decides; the text only where one code has several meanings; the status where there is no code.
fn kind_of(status: u16, code: &str, message: &str) -> FaultKind {
    let says = |needle: &str| message.to_ascii_lowercase().contains(&needle.to_ascii_lowercase());
    match code {
        "INVALID_SESSION_ID" if says("not valid for use") || says("not attached") => {
            FaultKind::ApiAccessRefused
        }
        "INVALID_SESSION_ID" | "Bad_OAuth_Token" => FaultKind::SessionExpired,
        "REQUEST_LIMIT_EXCEEDED" | "UNKNOWN_EXCEPTION" if says("concurrent") => FaultKind::ConcurrencyLimit,
        "REQUEST_LIMIT_EXCEEDED" => FaultKind::DailyLimit,
        "API_CURRENTLY_DISABLED" if !says("for this user") => FaultKind::Unavailable,
        "MALFORMED_QUERY" if says("implementation restriction") || says("is required [") => {
            FaultKind::NotQueryable
        }
        "LIMIT_EXCEEDED" if says("bulk") => FaultKind::BulkLimit,
        "API_ERROR" if says("not terminated") => FaultKind::JobState,
        // The texts differ by what the query holds: compounds, blobs, a filter that the object insists on.
        "API_ERROR" if status == 400 => FaultKind::NotInBulk,
        "INVALID_FIELD" if says("duplicate field") || says("enclosed in quotes") => FaultKind::OurMistake,
        _ => kind_of_code(code).unwrap_or_else(|| kind_of_status(status)),
    }
}

fn kind_of_code(code: &str) -> Option<FaultKind> {
    Some(match code {
        "API_DISABLED_FOR_ORG" | "API_CURRENTLY_DISABLED" => FaultKind::ApiDisabled,
        "FUNCTIONALITY_NOT_ENABLED" => FaultKind::FeatureDisabled,
        "INSUFFICIENT_ACCESS" | "INSUFFICIENT_ACCESS_OR_READONLY" => FaultKind::AccessDenied,
        "INVALID_CLIENT" | "CLIENT_NOT_ACCESSIBLE_FOR_USER" => FaultKind::ApiAccessRefused,
        "TXN_SECURITY_NO_ACCESS" => FaultKind::SecurityPolicy,
        "ORG_LOCKED" | "TRIAL_EXPIRED" | "INACTIVE_ORG" => FaultKind::OrgClosed,
        "ORG_NOT_OWNED_BY_INSTANCE" => FaultKind::Moved,
        "LOGIN_RATE_EXCEEDED" => FaultKind::LoginRate,
        "NOT_FOUND" => FaultKind::NotFound,
        "ENTITY_IS_DELETED" => FaultKind::Deleted,
        "INVALID_TYPE" => FaultKind::UnknownObject,
        "INVALID_TYPE_FOR_OPERATION" | "EXTERNAL_OBJECT_UNSUPPORTED_EXCEPTION" => FaultKind::NotQueryable,
        "INVALID_FIELD" => FaultKind::UnknownField,
        "QUERY_TIMEOUT"
        | "REQUEST_RUNNING_TOO_LONG"
        | "OPERATION_TOO_LARGE"
        | "EXCEEDED_ID_LIMIT"
        | "QUERY_TOO_COMPLICATED" => FaultKind::TooLarge,
        "INVALID_QUERY_LOCATOR" => FaultKind::LocatorGone,
        "INVALIDENTITY" => FaultKind::NotInBulk,
        "INVALIDJOBSTATE" => FaultKind::JobState,
        "MALFORMED_QUERY"
        | "MALFORMED_ID"
        | "INVALID_QUERY_FILTER_OPERATOR"
        | "NUMBER_OUTSIDE_VALID_RANGE"
        | "INVALID_BATCH_SIZE"
        | "INVALID_AUTH_HEADER"
        | "INVALID_HEADER_TYPE"
        | "EXCEEDED_MAX_TYPES_LIMIT"
        | "EXCEEDED_MAX_SIZE_REQUEST"
        | "JSON_PARSER_ERROR"
        | "INVALID_INPUT"
        | "BAD_REQUEST"
        | "METHOD_NOT_ALLOWED"
        | "UNSUPPORTED_MEDIA_TYPE"
        | "URI_TOO_LONG" => FaultKind::OurMistake,
        "GONE" | "UNSUPPORTED_API_VERSION" | "INVALID_VERSION" => FaultKind::VersionRefused,
        "SERVER_UNAVAILABLE"
        | "UNKNOWN_EXCEPTION"
        | "INTERNAL_ERROR"
        | "INTERNAL_SERVER_ERROR"
        | "UNABLE_TO_LOCK_ROW"
        | "TXN_SECURITY_METERING_ERROR"
        | "TXN_SECURITY_RUNTIME_ERROR"
        | "TXN_SECURITY_APEX_ERROR"
        | "CONFLICT" => FaultKind::Unavailable,
        _ => return None,
    })
}

/// 420 is Salesforce Edge: no route for this host. 406 comes and goes during discovery.
fn kind_of_status(status: u16) -> FaultKind {
    match status {
        300..=399 | 420 => FaultKind::Moved,
        401 => FaultKind::SessionExpired,
        404 => FaultKind::NotFound,
        410 => FaultKind::VersionRefused,
        405 | 413 | 414 | 415 | 431 => FaultKind::OurMistake,
        406 | 408 | 409 | 429 | 500..=599 => FaultKind::Unavailable,
        _ => FaultKind::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(status: u16, body: &str) -> FaultKind {
        ApiFault::read(status, body.as_bytes()).kind
    }

    fn coded(code: &str, message: &str) -> String {
        serde_json::json!([{"message": message, "errorCode": code}]).to_string()
    }

    #[test]
    fn one_code_with_two_meanings_is_told_apart_by_its_text() {
        let cases = [
            (401, "INVALID_SESSION_ID", "Session expired or invalid", FaultKind::SessionExpired),
            (
                401,
                "INVALID_SESSION_ID",
                "This session is not valid for use with the REST API",
                FaultKind::ApiAccessRefused,
            ),
            (
                401,
                "INVALID_SESSION_ID",
                "Connected app is not attached to Agent",
                FaultKind::ApiAccessRefused,
            ),
            (403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.", FaultKind::DailyLimit),
            (
                403,
                "REQUEST_LIMIT_EXCEEDED",
                "ConcurrentRequests (Concurrent API Requests) Limit exceeded.",
                FaultKind::ConcurrencyLimit,
            ),
            (
                500,
                "UNKNOWN_EXCEPTION",
                "ConcurrentPerOrgLongTxn Limit exceeded.",
                FaultKind::ConcurrencyLimit,
            ),
            (403, "API_CURRENTLY_DISABLED", "API is disabled for this User", FaultKind::ApiDisabled),
            (403, "API_CURRENTLY_DISABLED", "API is currently disabled", FaultKind::Unavailable),
            (400, "MALFORMED_QUERY", "unexpected token: 'FORM'", FaultKind::OurMistake),
            (
                400,
                "MALFORMED_QUERY",
                "Implementation restriction: X requires a filter",
                FaultKind::NotQueryable,
            ),
            (400, "INVALID_FIELD", "duplicate field selected: Id", FaultKind::OurMistake),
            (400, "INVALIDENTITY", "Entity 'X' is not supported by the Bulk API.", FaultKind::NotInBulk),
            (400, "API_ERROR", "Selecting compound data not supported in Bulk Query", FaultKind::NotInBulk),
            (400, "API_ERROR", "Error when deleting: the job is not terminated", FaultKind::JobState),
            (
                400,
                "LIMIT_EXCEEDED",
                "Max bulk v2 query jobs (10000) per 24 hrs has been reached (10000)",
                FaultKind::BulkLimit,
            ),
        ];
        for (status, code, message, expected) in cases {
            assert_eq!(kind(status, &coded(code, message)), expected, "{code} {message}");
        }
    }

    #[test]
    fn bodies_of_every_shape_are_read() {
        assert_eq!(
            kind(
                404,
                "<?xml?><Errors><Error><errorCode>NOT_FOUND</errorCode><message>x</message></Error></Errors>"
            ),
            FaultKind::NotFound
        );
        assert_eq!(kind(403, r#"{"errorCode":"ORG_LOCKED","message":"locked"}"#), FaultKind::OrgClosed);
        assert_eq!(kind(403, "Bad_OAuth_Token"), FaultKind::SessionExpired);
        assert_eq!(kind(420, "<html>We are setting things up</html>"), FaultKind::Moved);
        assert_eq!(kind(503, "<html>down for maintenance</html>"), FaultKind::Unavailable);
        assert_eq!(kind(502, ""), FaultKind::Unavailable);
        assert_eq!(kind(300, r#"["/services/a","/services/b"]"#), FaultKind::Moved);
        assert_eq!(kind(400, "\u{feff}[]"), FaultKind::Unknown);
        assert_eq!(kind(418, "[{}]"), FaultKind::Unknown);
        let halted =
            r#"[{"errorCode":"PROCESSING_HALTED","message":"x"},{"errorCode":"INVALID_TYPE","message":"y"}]"#;
        assert_eq!(kind(400, halted), FaultKind::UnknownObject);
        let html = ApiFault::read(503, b"<html>SECRET customer text</html>");
        assert!(!html.to_string().contains("SECRET"), "{html}");
    }

    #[test]
    fn a_query_message_is_one_line_and_names_field_and_object() {
        let message = "\nSELECT Id, Foo__c FROM Case\n           ^\nERROR at Row:1:Column:12\nNo such column 'Foo__c' on entity 'Case'. If you are";
        let fault = ApiFault::read(400, coded("INVALID_FIELD", message).as_bytes());
        assert_eq!(fault.field.as_deref(), Some("Foo__c"));
        assert_eq!(fault.object.as_deref(), Some("Case"));
        assert!(
            !fault.message.contains('\n') && fault.message.starts_with("SELECT Id, Foo__c FROM Case ^ ERROR")
        );
        let long = ApiFault::read(400, coded("INVALID_TYPE", &"x".repeat(9000)).as_bytes()).about("Task");
        assert_eq!(long.message.len(), 300);
        assert_eq!(long.object.as_deref(), Some("Task"));
    }
}
