//! The pages of the web flow. The names and ids of their fields are the platform's, so that scripts which drive a
//! browser through the real pages drive it through these.

use std::fmt::Write;

use super::Request;
use crate::http::Answer;

/// Text that is safe between tags and inside quoted attributes.
pub(in crate::http) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

fn page(status: u16, title: &str, content: &str) -> Answer {
    const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;background:#f4f6f9;color:#16325c;margin:0}\
        main{max-width:26rem;margin:8vh auto;padding:2rem;background:#fff;border:1px solid #d8dde6;\
        border-radius:.5rem}h1{font-size:1.25rem;margin-top:0}label{display:block;margin-top:1rem}\
        input[type=text],input[type=password]{width:100%;box-sizing:border-box;padding:.6rem;font:inherit;\
        border:1px solid #8a94a6;border-radius:.25rem}input[type=submit]{margin:1.5rem .5rem 0 0;\
        padding:.6rem 1.5rem;font:inherit;border:1px solid #0b5cab;border-radius:.25rem;background:#0b5cab;\
        color:#fff;cursor:pointer}input.other{background:#fff;color:#0b5cab}.error{color:#a3120a}\
        .sim{color:#5a6577;font-size:.85rem;margin-top:2rem}";
    let body = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><style>{STYLE}</style></head><body><main>\
         <h1>{title}</h1>{content}<p class=\"sim\">This is a simulator, not Salesforce.</p></main></body></html>\n"
    );
    // No other page may show this one in a frame, and nothing in it may run.
    Answer::new(status, "text/html;charset=UTF-8", body).with("X-Frame-Options", "DENY").with(
        "Content-Security-Policy",
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    )
}

/// The login page.
pub(super) fn login(action: &str, username: &str, trouble: Option<&str>) -> Answer {
    let trouble = trouble.map_or_else(String::new, |text| {
        format!("<p class=\"error\" id=\"error\" role=\"alert\">{}</p>", escaped(text))
    });
    let content = format!(
        "{trouble}<form method=\"post\" action=\"{}\" name=\"login\"><label for=\"username\">Username</label>\
         <input type=\"text\" id=\"username\" name=\"username\" value=\"{}\" autocomplete=\"username\" required>\
         <label for=\"password\">Password</label><input type=\"password\" id=\"password\" name=\"pw\" \
         autocomplete=\"current-password\" required><input type=\"submit\" id=\"Login\" name=\"Login\" \
         value=\"Log In\"></form>",
        escaped(action),
        escaped(username)
    );
    page(200, "Log In", &content)
}

/// What a scope allows, in words.
fn meaning(scope: &str) -> &str {
    match scope {
        "api" => "Manage user data via APIs",
        "refresh_token" | "offline_access" => "Perform requests at any time",
        "id" => "Access the identity URL service",
        "openid" => "Access unique user identifiers",
        "full" => "Full access",
        "web" => "Manage user data via Web browsers",
        other => other,
    }
}

/// The approval page.
pub(super) fn consent(action: &str, username: &str, scope: &str, confirmation: &str) -> Answer {
    let mut scopes = String::new();
    for scope in scope.split(' ') {
        _ = write!(scopes, "<li>{}</li>", escaped(meaning(scope)));
    }
    let content = format!(
        "<p>The app is asking to:</p><ul>{scopes}</ul><p>Do you want to allow access for \
         <strong>{}</strong>?</p><form method=\"post\" action=\"{}\"><input type=\"hidden\" \
         name=\"confirmation\" value=\"{}\"><input type=\"submit\" id=\"oadeny\" name=\"cancel\" class=\"other\" \
         value=\"Deny\"><input type=\"submit\" id=\"oaapprove\" name=\"save\" value=\"Allow\"></form>",
        escaped(username),
        escaped(action),
        escaped(confirmation)
    );
    page(200, "Allow Access?", &content)
}

/// `/setup/secur/RemoteAccessErrorPage.apexp`: where refusals end that no callback ever hears of.
pub(in crate::http) fn remote_access_error(request: &Request) -> Answer {
    let value = |name: &str| request.params.get(name).map(|text| escaped(text)).unwrap_or_default();
    let content = format!(
        "<p>We can't authorize you because of an OAuth error. For more information, contact your Salesforce \
         administrator.</p><p class=\"error\" id=\"error\">{} : {}</p>",
        value("error"),
        value("error_description")
    );
    page(200, "Authorization Error", &content)
}
