//! Reads refusals of the token endpoint.
//!
//! One error word, `invalid_grant`, covers a dozen causes; the description tells them apart, by substring
//! and whatever its case. Whatever is not plainly a refusal is a hiccup: no connection is ever given up
//! because of a 5xx or an HTML page.

use serde::Deserialize;

use super::super::fault::one_line;

/// A refusal of the token endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the token endpoint answered {status} {error}: {description}")]
pub struct OAuthFault {
    /// HTTP status.
    pub status: u16,
    /// What it means to us.
    pub kind: OAuthKind,
    /// The `error` word, or `HTTP` when there was none.
    pub error: String,
    /// The `error_description` on one line, cut.
    pub description: String,
}

/// What a refusal of the token endpoint means to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OAuthKind {
    /// Another exchange of the same token is in flight.
    AlreadyProcessing,
    /// The refresh token was revoked, replaced or left idle.
    GrantExpired,
    /// Refused for a reason that we do not know.
    GrantRefused,
    /// The integration user is inactive or frozen.
    UserInactive,
    /// The org is locked, closed or suspended.
    OrgInactive,
    /// Login hours or address ranges of the profile or app.
    LoginRestricted,
    /// JWT: the user may not use the app without approving it.
    NotPreauthorized,
    /// Client credentials: the app has no run-as user.
    RunAsUserMissing,
    /// The flow needs the My Domain host.
    WrongHost,
    /// JWT: certificate, audience or clock.
    AssertionRefused,
    /// Consumer key or secret is wrong.
    CredentialsRefused,
    /// The app is blocked or not installed.
    AppBlocked,
    /// The app lacks a scope.
    ScopeMissing,
    /// The flow is switched off in the app or org.
    FlowDisabled,
    /// Too many logins.
    LoginRate,
    /// Our request is wrong.
    OurMistake,
    /// A hiccup of the platform.
    Unavailable,
    /// Nothing that we know.
    Unknown,
}

impl OAuthFault {
    /// Reads the body of a refused exchange.
    #[must_use]
    pub fn read(status: u16, body: &[u8]) -> Self {
        #[derive(Deserialize)]
        struct Body {
            error: String,
            #[serde(default)]
            error_description: Option<String>,
        }
        let Ok(body) = serde_json::from_slice::<Body>(body) else {
            // A page, an empty body, or nothing that we can read.
            let description = format!("{} bytes without an OAuth error", body.len());
            let kind = if (400..500).contains(&status) && !matches!(status, 408 | 420 | 429) {
                OAuthKind::Unknown
            } else {
                OAuthKind::Unavailable
            };
            return Self { status, kind, error: "HTTP".to_owned(), description };
        };
        let description = body.error_description.unwrap_or_default();
        let kind = if status >= 500 {
            OAuthKind::Unavailable
        } else {
            kind_of(&body.error.to_ascii_lowercase(), &description.to_ascii_lowercase())
        };
        Self { status, kind, error: one_line(&body.error, 80), description: one_line(&description, 200) }
    }
}

/// The words are lower-cased; descriptions are looked at before the error word, which is often too broad.
fn kind_of(error: &str, description: &str) -> OAuthKind {
    const BY_DESCRIPTION: [(&str, OAuthKind); 18] = [
        ("already being processed", OAuthKind::AlreadyProcessing),
        ("expired access/refresh token", OAuthKind::GrantExpired),
        ("token validity expired", OAuthKind::GrantExpired),
        ("ip restricted", OAuthKind::LoginRestricted),
        ("login hours", OAuthKind::LoginRestricted),
        ("inactive user", OAuthKind::UserInactive),
        ("user is inactive", OAuthKind::UserInactive),
        ("hasn't approved this consumer", OAuthKind::NotPreauthorized),
        ("preauthorized", OAuthKind::NotPreauthorized),
        ("no client credentials user", OAuthKind::RunAsUserMissing),
        ("not supported on this domain", OAuthKind::WrongHost),
        ("assertion", OAuthKind::AssertionRefused),
        ("audience", OAuthKind::AssertionRefused),
        ("app must be installed", OAuthKind::AppBlocked),
        ("blocked by admin", OAuthKind::AppBlocked),
        ("scope is required", OAuthKind::ScopeMissing),
        ("login rate exceeded", OAuthKind::LoginRate),
        ("retry your request", OAuthKind::Unavailable),
    ];
    if let Some((_, kind)) = BY_DESCRIPTION.iter().find(|(text, _)| description.contains(text)) {
        return *kind;
    }
    match error {
        "invalid_grant" | "access_denied" => OAuthKind::GrantRefused,
        "invalid_client" | "invalid_client_id" | "invalid_client_credentials" => {
            OAuthKind::CredentialsRefused
        }
        "invalid_assertion" => OAuthKind::AssertionRefused,
        "inactive_user" => OAuthKind::UserInactive,
        "inactive_org" => OAuthKind::OrgInactive,
        "oauth_app_blocked" | "invalid_app_access" | "app_not_found" | "oauth_ec_app_not_found" => {
            OAuthKind::AppBlocked
        }
        "invalid_scope" => OAuthKind::ScopeMissing,
        "unsupported_grant_type" | "unauthorized_client" => OAuthKind::FlowDisabled,
        "rate_limit_exceeded" => OAuthKind::LoginRate,
        "unknown_error" | "server_error" | "temporarily_unavailable" => OAuthKind::Unavailable,
        "invalid_request"
        | "unsupported_response_type"
        | "redirect_uri_mismatch"
        | "redirect_uri_missing" => OAuthKind::OurMistake,
        _ => OAuthKind::Unknown,
    }
}

impl OAuthKind {
    /// The closed word of the attempts history and metrics.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::AlreadyProcessing => "oauth_already_processing",
            Self::GrantExpired => "oauth_grant_expired",
            Self::GrantRefused => "oauth_grant_refused",
            Self::UserInactive => "oauth_user_inactive",
            Self::OrgInactive => "oauth_org_inactive",
            Self::LoginRestricted => "oauth_login_restricted",
            Self::NotPreauthorized => "oauth_not_preauthorized",
            Self::RunAsUserMissing => "oauth_run_as_user_missing",
            Self::WrongHost => "oauth_wrong_host",
            Self::AssertionRefused => "oauth_assertion_refused",
            Self::CredentialsRefused => "oauth_credentials_refused",
            Self::AppBlocked => "oauth_app_blocked",
            Self::ScopeMissing => "oauth_scope_missing",
            Self::FlowDisabled => "oauth_flow_disabled",
            Self::LoginRate => "oauth_login_rate",
            Self::OurMistake => "oauth_our_mistake",
            Self::Unavailable => "oauth_unavailable",
            Self::Unknown => "oauth_unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_error_word_is_told_apart_by_its_description() {
        let cases = [
            ("invalid_grant", "expired access/refresh token", OAuthKind::GrantExpired),
            ("invalid_grant", "token request is already being processed", OAuthKind::AlreadyProcessing),
            ("invalid_grant", "inactive user", OAuthKind::UserInactive),
            ("invalid_grant", "IP restricted or invalid login hours", OAuthKind::LoginRestricted),
            ("invalid_grant", "user hasn't approved this consumer", OAuthKind::NotPreauthorized),
            ("invalid_grant", "no client credentials user enabled", OAuthKind::RunAsUserMissing),
            ("invalid_grant", "request not supported on this domain", OAuthKind::WrongHost),
            ("invalid_grant", "audience is invalid", OAuthKind::AssertionRefused),
            ("invalid_grant", "authentication failure", OAuthKind::GrantRefused),
            ("invalid_request", "refresh_token scope is required", OAuthKind::ScopeMissing),
            ("invalid_request", "should be installed and preauthorized", OAuthKind::NotPreauthorized),
            ("invalid_client", "app must be installed into org", OAuthKind::AppBlocked),
            ("invalid_client", "invalid client credentials", OAuthKind::CredentialsRefused),
            ("invalid_client_id", "client identifier invalid", OAuthKind::CredentialsRefused),
            ("inactive_org", "org is locked, closed, or suspended", OAuthKind::OrgInactive),
            ("rate_limit_exceeded", "login rate exceeded", OAuthKind::LoginRate),
            ("unsupported_grant_type", "grant type not supported", OAuthKind::FlowDisabled),
            ("unknown_error", "retry your request", OAuthKind::Unavailable),
            ("brand_new", "", OAuthKind::Unknown),
        ];
        for (error, description, expected) in cases {
            let body = serde_json::json!({"error": error, "error_description": description}).to_string();
            assert_eq!(OAuthFault::read(400, body.as_bytes()).kind, expected, "{error} {description}");
        }
    }

    #[test]
    fn a_page_or_a_server_error_never_gives_a_connection_up() {
        assert_eq!(OAuthFault::read(503, b"<html>down</html>").kind, OAuthKind::Unavailable);
        assert_eq!(OAuthFault::read(200, b"<html>login</html>").kind, OAuthKind::Unavailable);
        assert_eq!(OAuthFault::read(420, b"").kind, OAuthKind::Unavailable);
        assert_eq!(OAuthFault::read(400, b"").kind, OAuthKind::Unknown);
        assert_eq!(OAuthFault::read(500, br#"{"error":"invalid_grant"}"#).kind, OAuthKind::Unavailable);
    }
}
