//! Each kind of failure ends where it should, and whoever must act is told three things.

use super::*;
use crate::clock::parse_salesforce_datetime;

fn now() -> Timestamp {
    parse_salesforce_datetime("2026-11-23T22:17:04.000Z").unwrap()
}

fn api(status: u16, code: &str, message: &str) -> SalesforceError {
    let body = serde_json::json!([{"message": message, "errorCode": code}]).to_string();
    ApiFault::read(status, body.as_bytes()).into()
}

fn oauth(error: &str, description: &str) -> SalesforceError {
    let body = serde_json::json!({"error": error, "error_description": description}).to_string();
    OAuthFault::read(400, body.as_bytes()).into()
}

#[test]
fn refusals_end_where_the_platform_reference_puts_them() {
    let cases = [
        (
            api(401, "INVALID_SESSION_ID", "This session is not valid for use with the REST API"),
            "park_connection",
        ),
        (
            api(403, "API_DISABLED_FOR_ORG", "The REST API is not enabled for this Organization."),
            "park_connection",
        ),
        (api(403, "TXN_SECURITY_NO_ACCESS", "We can't complete the action"), "park_connection"),
        (api(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded."), "defer"),
        (api(403, "REQUEST_LIMIT_EXCEEDED", "ConcurrentRequests Limit exceeded."), "retry"),
        (api(403, "INSUFFICIENT_ACCESS", "insufficient access rights on object id"), "park_connection"),
        (api(403, "INSUFFICIENT_ACCESS", "insufficient access rights").about("Task"), "park_object"),
        (api(400, "INVALID_TYPE", "sObject type 'Task' is not supported."), "park_object"),
        (api(400, "INVALID_FIELD", "No such column 'X' on entity 'Case'."), "replan"),
        (api(400, "QUERY_TIMEOUT", "Your query request was running for too long."), "replan"),
        (api(400, "OPERATION_TOO_LARGE", "exceeded 100000 distinct who/what's"), "replan"),
        (api(400, "INVALID_QUERY_LOCATOR", "invalid query locator"), "retry"),
        (api(400, "MALFORMED_QUERY", "unexpected token: 'FORM'"), "bug"),
        (api(503, "SERVER_UNAVAILABLE", "Server temporarily unavailable"), "retry"),
        (api(410, "GONE", "retired"), "bug"),
        (api(400, "SOMETHING_NEW", "?"), "retry"),
        (oauth("invalid_grant", "expired access/refresh token"), "park_connection"),
        (oauth("invalid_grant", "token request is already being processed"), "retry"),
        (oauth("invalid_grant", "ip restricted or invalid login hours"), "defer"),
        (oauth("inactive_org", "org is locked, closed, or suspended"), "park_connection"),
        (SalesforceError::BodyTooLarge { limit_bytes: 1 }, "replan"),
        (SalesforceError::LocatorLost, "retry"),
        (SalesforceError::KeyUnreadable, "park_connection"),
    ];
    for (error, expected) in cases {
        assert_eq!(error.disposition(now()).word(), expected, "{error}");
    }
}

#[test]
fn an_unknown_refusal_is_retried_a_set_number_of_times_only() {
    let unknown = Disposition::Retry { backoff: Backoff::Unknown };
    assert_eq!(api(400, "SOMETHING_NEW", "?").disposition(now()), unknown);
    assert_eq!(oauth("brand_new", "").disposition(now()), unknown);
}

#[test]
fn limits_are_looked_at_again_when_they_may_have_moved() {
    let quota = api(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.").disposition(now());
    let until = parse_salesforce_datetime("2026-11-23T22:32:04.000Z").unwrap();
    assert_eq!(quota, Disposition::Defer { until, why: DeferReason::OrgQuota });
    let until = parse_salesforce_datetime("2026-11-23T23:00:00.000Z").unwrap();
    let logins = oauth("rate_limit_exceeded", "login rate exceeded").disposition(now());
    assert_eq!(logins, Disposition::Defer { until, why: DeferReason::OrgQuota });
}

#[test]
fn whoever_must_act_is_told_what_why_and_how() {
    let asked = api(400, "INVALID_TYPE", "sObject type 'Task' is not supported.").ask().unwrap();
    assert_eq!(asked.what, "Salesforce refused access to Task.");
    assert!(asked.why.contains("lacks Read on Task") && asked.fix.contains("Grant Read on Task"));
    for error in
        [oauth("invalid_grant", "inactive user"), oauth("invalid_client", "x"), SalesforceError::Forged]
    {
        let asked = error.ask().unwrap();
        assert_eq!(asked.code, error.code());
        assert!([&asked.what, &asked.why, &asked.fix].iter().all(|text| text.ends_with('.')), "{asked}");
    }
}
