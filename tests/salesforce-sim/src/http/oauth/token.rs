//! `/services/oauth2/token`: every grant, and every refusal.

use std::collections::HashMap;
use std::fmt::Write;

use aws_lc_rs::{digest, hmac};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};

use super::{Request, identity, jwt, secret_is_good};
use crate::http::{Answer, World};
use crate::org::Org;
use crate::org::app::AppPolicy;
use crate::org::home::is_login_host;
use crate::org::logins::Login;
use crate::org::sessions::{Grant, Tokens};

const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// Authorization codes die after this long.
const CODE_LIFE_MS: i64 = 15 * 60 * 1_000;

/// A refusal: error and description.
type Refusal = (&'static str, &'static str);

fn invalid_grant(description: &'static str) -> Refusal {
    ("invalid_grant", description)
}

/// `POST /services/oauth2/token`
pub(super) fn token(world: &World, org: &Org, request: &Request) -> Answer {
    let form = request.form();
    let asked = Asked { world, org, request, form: &form, app: &org.app(), now: org.clock.now_ms() };
    match asked.tokens() {
        Ok(tokens) => asked.granted(&tokens),
        Err((error, description)) => Answer::oauth_error(400, error, description),
    }
}

struct Asked<'a> {
    world: &'a World,
    org: &'a Org,
    request: &'a Request,
    form: &'a HashMap<String, String>,
    app: &'a AppPolicy,
    now: i64,
}

impl Asked<'_> {
    fn field(&self, name: &str) -> &str {
        self.form.get(name).map(String::as_str).unwrap_or_default()
    }

    fn tokens(&self) -> Result<Tokens, Refusal> {
        let grant_type = self.field("grant_type");
        let flow = match grant_type {
            "client_credentials" => self.app.client_credentials_flow,
            "password" => self.app.password_flow,
            "refresh_token" => true,
            "authorization_code" => self.app.web_flow,
            JWT_BEARER => self.app.jwt_flow,
            _ => false,
        };
        if !flow {
            return Err(("unsupported_grant_type", "grant type not supported"));
        }
        if !self.app.org_active {
            return Err(("inactive_org", "org is locked, closed, or suspended"));
        }
        self.check_secret(grant_type)?;
        if !self.app.login_allowed {
            return Err(invalid_grant("ip restricted or invalid login hours"));
        }
        match grant_type {
            "client_credentials" => self.client_credentials(),
            "password" => self.password(),
            "refresh_token" => self.refresh(),
            "authorization_code" => self.code(),
            _ => self.jwt(),
        }
    }

    fn check_secret(&self, grant_type: &str) -> Result<(), Refusal> {
        let public = !self.app.secret_required
            && matches!(grant_type, "refresh_token" | "authorization_code")
            && !self.form.contains_key("client_secret");
        let good = grant_type == JWT_BEARER || public || secret_is_good(self.org, self.request, self.form);
        if good { Ok(()) } else { Err(("invalid_client", "invalid client credentials")) }
    }

    /// A user who may log in now.
    fn admitted(&self, login: &Login) -> Result<(), Refusal> {
        if !login.active {
            return Err(invalid_grant("inactive user"));
        }
        let within = self.org.logins().count(login.user_id, self.app.logins_per_hour, self.now);
        if within { Ok(()) } else { Err(("rate_limit_exceeded", "login rate exceeded")) }
    }

    fn opened(&self, login: &Login) -> Result<Tokens, Refusal> {
        self.admitted(login)?;
        let grant = Grant { user: login.user_id, scope: self.app.scopes.clone() };
        let access = self.org.sessions().open(grant.clone(), self.now);
        Ok(Tokens { access, refresh: None, grant })
    }

    fn client_credentials(&self) -> Result<Tokens, Refusal> {
        if is_login_host(self.request.host()) {
            return Err(invalid_grant("request not supported on this domain"));
        }
        let user = self.org.logins().named("default").filter(|_| self.app.run_as).cloned();
        self.opened(&user.ok_or_else(|| invalid_grant("no client credentials user enabled"))?)
    }

    fn password(&self) -> Result<Tokens, Refusal> {
        let login = self.org.logins().named(self.field("username")).cloned();
        let good = login.filter(|login| login.password == self.field("password"));
        self.opened(&good.ok_or_else(|| invalid_grant("authentication failure"))?)
    }

    fn jwt(&self) -> Result<Tokens, Refusal> {
        if !self.app.has_scope("refresh_token") {
            return Err(("invalid_request", "refresh_token scope is required"));
        }
        let login = jwt::verify(self.world, self.org, self.request, self.field("assertion"));
        self.opened(&login.map_err(invalid_grant)?)
    }

    fn refresh(&self) -> Result<Tokens, Refusal> {
        let token = self.field("refresh_token");
        let grant = self.org.sessions().peek_refresh(token);
        if let Some(login) = grant.and_then(|grant| self.org.logins().of(grant.user).cloned()) {
            self.admitted(&login)?;
        }
        let refreshed = self.org.sessions().refresh(token, self.now);
        refreshed.map_err(|_| invalid_grant("expired access/refresh token"))
    }

    fn code(&self) -> Result<Tokens, Refusal> {
        let text = self.field("code");
        let mut sessions = self.org.sessions();
        let code = sessions.take_code(text).ok_or_else(|| invalid_grant("invalid authorization code"))?;
        if self.now - code.at > CODE_LIFE_MS {
            return Err(invalid_grant("expired authorization code"));
        }
        if self.field("redirect_uri") != code.redirect_uri {
            return Err(("redirect_uri_mismatch", "redirect_uri must match configuration"));
        }
        if let Some(challenge) = &code.challenge {
            let verifier = self.form.get("code_verifier");
            let verifier = verifier.ok_or_else(|| invalid_grant("missing required code verifier"))?;
            let hash = digest::digest(&digest::SHA256, verifier.as_bytes());
            if URL_SAFE_NO_PAD.encode(hash) != challenge.trim_end_matches('=') {
                return Err(invalid_grant("invalid code verifier"));
            }
        }
        let tokens = sessions.open_with_refresh(code.grant, self.now);
        sessions.note_spent(text, tokens.refresh.as_deref());
        Ok(tokens)
    }

    /// The body of a granted token. Its keys are the recorded ones; those of a JWT are fewer.
    fn granted(&self, tokens: &Tokens) -> Answer {
        let base_url = self.org.instance_url(&self.request.base_url);
        let id = identity::url(self.org, &self.request.base_url, tokens.grant.user);
        let issued_at = self.now.to_string();
        let signature = signature(&self.org.identity.client_secret, &id, &issued_at);
        let mut body = Map::new();
        let mut put = |key: &str, value: &str| _ = body.insert(key.to_owned(), json!(value));
        put("access_token", &tokens.access);
        put("instance_url", &base_url);
        put("id", &id);
        put("token_type", "Bearer");
        if self.field("grant_type") == JWT_BEARER {
            // Nothing can be refreshed with it, so that scope is not named.
            let scope: Vec<&str> =
                tokens.grant.scope.split(' ').filter(|scope| *scope != "refresh_token").collect();
            put("scope", &scope.join(" "));
        } else {
            put("scope", &tokens.grant.scope);
            put("issued_at", &issued_at);
            put("signature", &signature);
        }
        if let Some(refresh) = &tokens.refresh {
            put("refresh_token", refresh);
        }
        self.formatted(body)
    }

    /// JSON, unless the client asks for another form.
    fn formatted(&self, body: Map<String, Value>) -> Answer {
        let accepted = self.request.header("accept").unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        match self.field("format") {
            "urlencoded" => {
                let pairs = body.iter().map(|(key, value)| (key, text(value)));
                let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
                Answer::new(200, "application/x-www-form-urlencoded;charset=UTF-8", form)
            }
            format if format == "xml" || (format.is_empty() && accepted.starts_with("application/xml")) => {
                let mut xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><OAuth>".to_owned();
                for (key, value) in &body {
                    let value = text(value).replace('&', "&amp;").replace('<', "&lt;");
                    _ = write!(xml, "<{key}>{value}</{key}>");
                }
                xml.push_str("</OAuth>");
                Answer::new(200, "application/xml;charset=UTF-8", xml)
            }
            _ => Answer::json(200, &Value::Object(body)),
        }
    }
}

/// By which an app knows that the answer came from Salesforce: its own secret over id and issued_at.
fn signature(client_secret: &str, id: &str, issued_at: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, client_secret.as_bytes());
    STANDARD.encode(hmac::sign(&key, format!("{id}{issued_at}").as_bytes()))
}
