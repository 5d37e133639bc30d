//! The app that clients use, and the policies of the org's administrator: what may be granted, to whom, and how.

use serde::{Deserialize, Serialize};

/// Whether the org has the app.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Installation {
    /// Installed: users may approve it.
    #[default]
    Installed,
    /// Not installed: the browser stops on an error page.
    Uninstalled,
    /// Blocked by the administrator.
    Blocked,
    /// An external client app that was never brought into this org.
    Missing,
    /// The org has never heard of it.
    Unknown,
}

/// The app's settings and policies.
#[expect(clippy::struct_excessive_bools, reason = "each is a checkbox of the platform's own setup pages")]
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct AppPolicy {
    /// Whether the org has the app.
    pub installation: Installation,
    /// Scopes configured on the app, separated by blanks; what a request names must be among them.
    pub scopes: String,
    /// Callbacks configured on the app; any is good when there are none.
    pub callbacks: Vec<String>,
    /// Whether a code challenge is required.
    pub pkce_required: bool,
    /// Whether codes and refresh tokens are exchanged with the secret only.
    pub secret_required: bool,
    /// Authorization code flow.
    pub web_flow: bool,
    /// JWT bearer flow.
    pub jwt_flow: bool,
    /// Client credentials flow.
    pub client_credentials_flow: bool,
    /// User name and password flow.
    pub password_flow: bool,
    /// `login()` of the SOAP API.
    pub soap_login: bool,
    /// Whether a Run As user is set for client credentials.
    pub run_as: bool,
    /// Whether only users named in `preauthorized` may use the app.
    pub preauthorized_only: bool,
    /// Their names.
    pub preauthorized: Vec<String>,
    /// Whether users approve without being asked: for scripts without a browser.
    pub auto_approve: bool,
    /// Whether the client's address and the hour of the day allow a login.
    pub login_allowed: bool,
    /// Whether the org is neither locked nor closed.
    pub org_active: bool,
    /// Whether the org has the REST API.
    pub api_enabled: bool,
    /// Logins that a user may make in an hour.
    pub logins_per_hour: u64,
    /// How far the org's clock is off when it judges a JWT, in seconds.
    pub jwt_skew_seconds: i64,
    /// Whether the certificate that verifies JWTs has run out.
    pub jwt_certificate_expired: bool,
    /// Whether a JWT is good once only.
    pub jwt_once: bool,
}

impl Default for AppPolicy {
    fn default() -> Self {
        Self {
            installation: Installation::Installed,
            scopes: "api refresh_token id".to_owned(),
            callbacks: Vec::new(),
            pkce_required: false,
            secret_required: true,
            web_flow: true,
            jwt_flow: true,
            client_credentials_flow: true,
            password_flow: true,
            soap_login: true,
            run_as: true,
            preauthorized_only: false,
            preauthorized: Vec::new(),
            auto_approve: false,
            login_allowed: true,
            org_active: true,
            api_enabled: true,
            logins_per_hour: 3_600,
            jwt_skew_seconds: 0,
            jwt_certificate_expired: false,
            jwt_once: false,
        }
    }
}

impl AppPolicy {
    /// Whether the app has a scope.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes.split(' ').any(|configured| configured == scope)
    }

    /// Whether this user may use the app.
    pub fn admits(&self, username: &str) -> bool {
        !self.preauthorized_only || self.preauthorized.iter().any(|name| name.eq_ignore_ascii_case(username))
    }
}
