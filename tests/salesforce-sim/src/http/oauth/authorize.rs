//! `/services/oauth2/authorize`: what a browser goes through, from the login page to the callback.
//!
//! A refusal goes to the callback only once the callback is known to be the app's own and the trouble is the
//! app's or the user's; everything else ends on a page that leads nowhere.

use std::collections::HashMap;

use super::{Request, pages};
use crate::http::Answer;
use crate::org::Org;
use crate::org::app::{AppPolicy, Installation};
use crate::org::browsers::Browser;
use crate::org::logins::Login;
use crate::org::sessions::{Code, Grant};

/// Scopes that exist on the platform, whether or not the app has them.
const SCOPES: [&str; 16] = [
    "address",
    "api",
    "chatter_api",
    "content",
    "custom_permissions",
    "email",
    "full",
    "id",
    "offline_access",
    "openid",
    "phone",
    "profile",
    "refresh_token",
    "sfap_api",
    "visualforce",
    "web",
];

/// Sends the browser to a page that says what went wrong and leads nowhere.
pub(in crate::http) fn error_page(error: &str, description: &str) -> Answer {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("error", error)
        .append_pair("error_description", description)
        .finish();
    Answer::empty(302).with("Location", format!("/setup/secur/RemoteAccessErrorPage.apexp?{query}"))
}

/// Answers the browser.
pub(super) fn authorize(org: &Org, request: &Request) -> Answer {
    let form = request.form();
    let asked = Asked { org, request, form: &form, app: &org.app() };
    match asked.next() {
        Ok(answer) | Err(answer) => answer,
    }
}

struct Asked<'a> {
    org: &'a Org,
    request: &'a Request,
    form: &'a HashMap<String, String>,
    app: &'a AppPolicy,
}

impl Asked<'_> {
    fn field(&self, name: &str) -> &str {
        self.form.get(name).map(String::as_str).unwrap_or_default()
    }

    fn prompts(&self, word: &str) -> bool {
        self.field("prompt").split(' ').any(|prompt| prompt == word)
    }

    fn next(&self) -> Result<Answer, Answer> {
        self.check_request()?;
        if self.app.auto_approve {
            let user = self.org.logins().named("default").cloned();
            let user = user.ok_or_else(|| error_page("access_denied", "no user"))?;
            self.check_user(&user)?;
            return Ok(self.approved(&user));
        }
        if self.request.method == "POST" && self.form.contains_key("pw") {
            return self.log_in();
        }
        let Some((browser, user)) = self.logged_in() else {
            if self.prompts("none") {
                return Err(self.back(&[("error", "immediate_unsuccessful")]));
            }
            return Ok(pages::login(&self.action(), self.field("login_hint"), None));
        };
        if self.request.method == "POST" {
            return self.decide(&browser, &user);
        }
        if self.prompts("login") {
            return Ok(pages::login(&self.action(), self.field("login_hint"), None));
        }
        self.check_user(&user)?;
        if self.org.browsers().has_approved(user.user_id) && !self.prompts("consent") {
            return Ok(self.approved(&user));
        }
        Ok(self.consent_page(&browser, &user))
    }

    /// Faults of the request itself, and of an app that this org does not have.
    fn check_request(&self) -> Result<(), Answer> {
        match self.app.installation {
            Installation::Missing => {
                let description = "External client app is not installed in this org";
                return Err(error_page("OAUTH_EC_APP_NOT_FOUND", description));
            }
            Installation::Unknown => {
                return Err(error_page("app_not_found", "the app is not known in this org"));
            }
            Installation::Installed | Installation::Uninstalled | Installation::Blocked => {}
        }
        let callback = self.field("redirect_uri");
        if callback.is_empty() {
            return Err(error_page("redirect_uri_missing", "redirect_uri is missing"));
        }
        let parsed = url::Url::parse(callback).ok();
        let configured =
            self.app.callbacks.is_empty() || self.app.callbacks.iter().any(|one| one == callback);
        let Some(parsed) = parsed.filter(|_| configured) else {
            return Err(error_page("redirect_uri_mismatch", "redirect_uri must match configuration"));
        };
        let local = matches!(parsed.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        if parsed.scheme() == "http" && !local {
            return Err(error_page("invalid_request", "HTTPS required"));
        }
        if self.field("response_type") != "code" || !self.app.web_flow {
            return Err(error_page("unsupported_response_type", "response type not supported"));
        }
        let challenge = self.form.get("code_challenge");
        let method = self.form.get("code_challenge_method").map_or("S256", String::as_str);
        if (challenge.is_none() && self.app.pkce_required) || (challenge.is_some() && method != "S256") {
            return Err(error_page("invalid_request", "missing required code challenge"));
        }
        Ok(())
    }

    /// What shows only once the user, and so the org, is known.
    fn check_user(&self, user: &Login) -> Result<(), Answer> {
        match self.app.installation {
            Installation::Uninstalled => {
                return Err(error_page("invalid_client", "app must be installed into org"));
            }
            Installation::Blocked => return Err(self.blocked()),
            Installation::Installed | Installation::Missing | Installation::Unknown => {}
        }
        if !self.app.admits(&user.username) {
            return Err(self.blocked());
        }
        let generic = "An unexpected error has occurred during authentication. Please try again.";
        if user.api_only {
            return Err(error_page("OAUTH_APPROVAL_ERROR_GENERIC", generic));
        }
        for scope in self.field("scope").split_whitespace() {
            if !SCOPES.contains(&scope) {
                let description = "requested scope is invalid, unknown, or malformed";
                return Err(self.back(&[("error", "invalid_scope"), ("error_description", description)]));
            }
            if !self.app.has_scope(scope) {
                let error = [("error", "OAUTH_APPROVAL_ERROR_GENERIC"), ("error_description", generic)];
                return Err(self.back(&error));
            }
        }
        Ok(())
    }

    fn blocked(&self) -> Answer {
        let description = "this app is blocked by admin";
        self.back(&[("error", "OAUTH_APP_BLOCKED"), ("error_description", description)])
    }

    /// Sends the browser to the callback with these parameters and the client's state.
    fn back(&self, parameters: &[(&str, &str)]) -> Answer {
        let Ok(mut target) = url::Url::parse(self.field("redirect_uri")) else {
            return error_page("redirect_uri_mismatch", "redirect_uri must match configuration");
        };
        target.query_pairs_mut().extend_pairs(parameters);
        if let Some(state) = self.form.get("state") {
            target.query_pairs_mut().append_pair("state", state);
        }
        Answer::empty(302).with("Location", String::from(target))
    }

    fn log_in(&self) -> Result<Answer, Answer> {
        let user = self.org.logins().named(self.field("username")).cloned();
        let good = user.filter(|user| user.active && user.password == self.field("pw"));
        let Some(user) = good.filter(|user| user.username.eq_ignore_ascii_case(self.field("username")))
        else {
            let trouble = "Please check your username and password. If you still can't log in, contact your \
                           Salesforce administrator.";
            return Ok(pages::login(&self.action(), self.field("username"), Some(trouble)));
        };
        self.check_user(&user)?;
        let cookie = self.org.browsers().log_in(user.user_id);
        let browser = self.org.browsers().find(&cookie);
        let answer = match browser {
            Some(_) if self.org.browsers().has_approved(user.user_id) && !self.prompts("consent") => {
                self.approved(&user)
            }
            Some(browser) => self.consent_page(&browser, &user),
            None => error_page("access_denied", "the login was lost"),
        };
        let secure = if self.request.base_url.starts_with("https") { "; Secure" } else { "" };
        let cookie = format!("{}={cookie}; Path=/; HttpOnly; SameSite=Lax{secure}", self.cookie_name());
        Ok(answer.with("Set-Cookie", cookie))
    }

    /// Orgs share a host here, so each has a cookie of its own.
    fn cookie_name(&self) -> String {
        format!("sid_{}", self.org.identity.org_id.short())
    }

    fn logged_in(&self) -> Option<(Browser, Login)> {
        let name = self.cookie_name();
        let cookies = self.request.header("cookie")?.split(';');
        let cookie = cookies.filter_map(|pair| pair.trim().split_once('=')).find(|(key, _)| *key == name)?.1;
        let browser = self.org.browsers().find(cookie)?;
        let user = self.org.logins().of(browser.user).filter(|user| user.active).cloned()?;
        Some((browser, user))
    }

    fn consent_page(&self, browser: &Browser, user: &Login) -> Answer {
        pages::consent(&self.action(), &user.username, &self.scope(), &browser.confirmation)
    }

    fn decide(&self, browser: &Browser, user: &Login) -> Result<Answer, Answer> {
        if self.field("confirmation") != browser.confirmation {
            return Err(error_page("invalid_request", "the form was not sent from the approval page"));
        }
        self.check_user(user)?;
        if !self.form.contains_key("save") {
            let description = "end-user denied authorization";
            return Ok(self.back(&[("error", "access_denied"), ("error_description", description)]));
        }
        self.org.browsers().note_approval(user.user_id);
        Ok(self.approved(user))
    }

    /// What is asked for, or everything the app has.
    fn scope(&self) -> String {
        let asked = self.field("scope").split_whitespace().collect::<Vec<_>>().join(" ");
        if asked.is_empty() { self.app.scopes.clone() } else { asked }
    }

    fn approved(&self, user: &Login) -> Answer {
        let code = Code {
            grant: Grant { user: user.user_id, scope: self.scope() },
            redirect_uri: self.field("redirect_uri").to_owned(),
            challenge: self.form.get("code_challenge").cloned(),
            at: self.org.clock.now_ms(),
        };
        let code = self.org.sessions().add_code(code);
        self.back(&[("code", &code)])
    }

    /// Where the pages' forms are sent: here, with the same request.
    fn action(&self) -> String {
        self.request.target()
    }
}
