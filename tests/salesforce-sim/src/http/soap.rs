//! `login()` and `logout()` of the SOAP API, for clients that know no better: partner (`/services/Soap/u`) and
//! enterprise (`/services/Soap/c`). Nothing else of that API is here.

use std::sync::Arc;

use super::oauth::escaped;
use super::request::Request;
use super::{Answer, World};
use crate::org::Org;
use crate::org::sessions::Grant;

/// The first version that has no `login()` any more.
const FIRST_WITHOUT_LOGIN: u32 = 65;

/// The namespace of a path's API.
fn namespace(request: &Request) -> &'static str {
    if request.path.contains("/Soap/c/") {
        "urn:enterprise.soap.sforce.com"
    } else {
        "urn:partner.soap.sforce.com"
    }
}

/// The text of an element, whatever its prefix.
fn element(xml: &str, name: &str) -> Option<String> {
    let opening = |tag: &str| {
        let tag = tag.split_whitespace().next().unwrap_or_default();
        tag.rsplit(':').next() == Some(name) && !tag.starts_with('/')
    };
    let mut rest = xml;
    while let Some(start) = rest.find('<') {
        let (tag, after) = rest[start + 1..].split_once('>')?;
        if opening(tag) {
            let text = &after[..after.find('<')?];
            let plain = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
            return Some(plain.replace("&apos;", "'").replace("&#39;", "'").replace("&amp;", "&"));
        }
        rest = after;
    }
    None
}

/// The org that a request speaks of: by its user's name, or by its session.
pub(super) fn org_of(world: &World, request: &Request) -> Option<Arc<Org>> {
    let body = String::from_utf8_lossy(&request.body);
    match element(&body, "sessionId") {
        Some(session) => world.by_token(&session),
        None => world.by_username(&element(&body, "username")?),
    }
}

fn fault(request: &Request, kind: &str, code: &str, message: &str) -> Answer {
    let (code, message) = (escaped(code), escaped(message));
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><soapenv:Envelope \
         xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns:sf=\"urn:fault.{}\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><soapenv:Body><soapenv:Fault>\
         <faultcode>sf:{code}</faultcode><faultstring>{code}: {message}</faultstring><detail>\
         <sf:{kind} xsi:type=\"sf:{kind}\"><sf:exceptionCode>{code}</sf:exceptionCode><sf:exceptionMessage>\
         {message}</sf:exceptionMessage></sf:{kind}></detail></soapenv:Fault></soapenv:Body></soapenv:Envelope>",
        namespace(request).trim_start_matches("urn:"),
    );
    Answer::new(500, "text/xml;charset=UTF-8", body)
}

/// The answer to wrong credentials, which does not say what is wrong with them.
pub(super) fn invalid_login(request: &Request) -> Answer {
    let message = "Invalid username, password, security token; or user locked out.";
    fault(request, "LoginFault", "INVALID_LOGIN", message)
}

/// Answers a request of a known org.
pub(super) fn handle(org: &Org, request: &Request) -> Answer {
    let steps = request.steps();
    let version = steps.get(3).and_then(|version| version.strip_suffix(".0")?.parse::<u32>().ok());
    let Some(version) = version.filter(|version| (31..=org.newest_version()).contains(version)) else {
        let message = "The API version of the address is not supported";
        return fault(request, "UnexpectedErrorFault", "UNSUPPORTED_API_VERSION", message);
    };
    let body = String::from_utf8_lossy(&request.body);
    if let Some(session) = element(&body, "sessionId").filter(|_| body.contains("logout")) {
        return logout(org, request, &session);
    }
    if element(&body, "password").is_none() {
        let message = "The simulator knows login and logout only";
        return fault(request, "UnexpectedErrorFault", "INVALID_OPERATION", message);
    }
    if version >= FIRST_WITHOUT_LOGIN || !org.app().soap_login {
        let message = "SOAP API login() is not supported in this API version; use OAuth instead";
        return fault(request, "UnexpectedErrorFault", "UNSUPPORTED_API_VERSION", message);
    }
    login(org, request, version, &body)
}

fn logout(org: &Org, request: &Request, session: &str) -> Answer {
    if !org.sessions().revoke(session) {
        let message = "Invalid Session ID found in SessionHeader: Illegal Session";
        return fault(request, "UnexpectedErrorFault", "INVALID_SESSION_ID", message);
    }
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><soapenv:Envelope \
         xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns=\"{}\"><soapenv:Body>\
         <logoutResponse/></soapenv:Body></soapenv:Envelope>",
        namespace(request)
    );
    Answer::new(200, "text/xml;charset=UTF-8", body)
}

fn login(org: &Org, request: &Request, version: u32, body: &str) -> Answer {
    let field = |name: &str| element(body, name).unwrap_or_default();
    let user = org.logins().named(&field("username")).cloned();
    let good = user.filter(|user| user.active && user.api_enabled && user.password == field("password"));
    let now = org.clock.now_ms();
    let Some(user) = good.filter(|user| org.logins().count(user.user_id, org.app().logins_per_hour, now))
    else {
        return invalid_login(request);
    };
    let session = org.sessions().open(Grant { user: user.user_id, scope: "api web".to_owned() }, now);
    let (base, short) = (org.instance_url(&request.base_url), org.identity.org_id.short().to_owned());
    let kind = if request.path.contains("/Soap/c/") { "c" } else { "u" };
    let text = |object: &str, field: &str| {
        let id = if object == "User" { user.user_id } else { org.identity.org_id };
        escaped(&org.text_of(id, field).unwrap_or_default())
    };
    let seconds = org.sessions().lifetimes.session_ms / 1_000;
    let answer = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><soapenv:Envelope \
         xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns=\"{}\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><soapenv:Body><loginResponse><result>\
         <metadataServerUrl>{base}/services/Soap/m/{version}.0/{short}</metadataServerUrl>\
         <passwordExpired>false</passwordExpired><sandbox>false</sandbox>\
         <serverUrl>{base}/services/Soap/{kind}/{version}.0/{short}</serverUrl><sessionId>{}</sessionId>\
         <userId>{id}</userId><userInfo><accessibilityMode>false</accessibilityMode>\
         <currencySymbol>€</currencySymbol><orgAttachmentFileSizeLimit>26214400</orgAttachmentFileSizeLimit>\
         <orgDefaultCurrencyIsoCode>EUR</orgDefaultCurrencyIsoCode>\
         <orgDisallowHtmlAttachments>false</orgDisallowHtmlAttachments>\
         <orgHasPersonAccounts>false</orgHasPersonAccounts><organizationId>{}</organizationId>\
         <organizationMultiCurrency>false</organizationMultiCurrency><organizationName>{}</organizationName>\
         <profileId xsi:nil=\"true\"/><roleId xsi:nil=\"true\"/>\
         <sessionSecondsValid>{seconds}</sessionSecondsValid>\
         <userDefaultCurrencyIsoCode xsi:nil=\"true\"/><userEmail>{}</userEmail><userFullName>{}</userFullName>\
         <userId>{id}</userId><userLanguage>en_US</userLanguage><userLocale>en_US</userLocale>\
         <userName>{}</userName><userTimeZone>UTC</userTimeZone><userType>Standard</userType>\
         <userUiSkin>Theme3</userUiSkin></userInfo></result></loginResponse></soapenv:Body></soapenv:Envelope>",
        namespace(request),
        escaped(&session),
        org.identity.org_id,
        text("Organization", "Name"),
        text("User", "Email"),
        text("User", "Name"),
        escaped(&user.username),
        id = user.user_id,
    );
    Answer::new(200, "text/xml;charset=UTF-8", answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_found_by_their_local_name() {
        let xml = "<?xml version=\"1.0\"?><se:Envelope xmlns:se=\"x\"><urn:login xmlns:urn=\"y\">\
                   <urn:username a=\"b\">a&amp;b@example.com</urn:username><n1:password>p&lt;q</n1:password>";
        assert_eq!(element(xml, "username").as_deref(), Some("a&b@example.com"));
        assert_eq!(element(xml, "password").as_deref(), Some("p<q"));
        assert_eq!(element(xml, "sessionId"), None);
    }
}
