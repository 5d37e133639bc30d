//! Who a session belongs to: the identity URL and userinfo.

use serde_json::json;

use super::Answer;
use super::request::Request;
use crate::org::Org;
use crate::store::Reader;
use crate::time;
use crate::value::Cell;

/// The identity URL of the org's user.
pub(super) fn url(org: &Org, base_url: &str) -> String {
    format!("{base_url}/id/{}/{}", org.identity.org_id, org.identity.user_id)
}

fn refused(status: u16, word: &str) -> Answer {
    let mut answer = Answer::empty(status);
    answer.content_type = Some("text/html;charset=UTF-8".to_owned());
    answer.body = word.as_bytes().to_vec();
    answer
}

fn is_live(org: &Org, request: &Request) -> bool {
    let token = request.bearer().unwrap_or_default();
    org.sessions().authenticate(token, org.clock.now_ms()).is_some()
}

/// `/services/oauth2/userinfo`
pub(super) fn user_info(org: &Org, request: &Request) -> Answer {
    if !is_live(org, request) {
        return refused(403, "Bad_OAuth_Token");
    }
    let identity = &org.identity;
    let name = user_text(org, "Name");
    let base = &request.base_url;
    let rest = format!("{base}/services/data/v{{version}}/");
    Answer::json(
        200,
        &json!({
            "sub": url(org, base),
            "user_id": identity.user_id.as_str(),
            "organization_id": identity.org_id.as_str(),
            "preferred_username": identity.username,
            "nickname": user_text(org, "CommunityNickname"),
            "name": name,
            "email": user_text(org, "Email"),
            "email_verified": true,
            "given_name": user_text(org, "FirstName"),
            "family_name": user_text(org, "LastName"),
            "zoneinfo": "UTC",
            "photos": {},
            "profile": format!("{base}/{}", identity.user_id),
            "address": {"country": "DE"},
            "is_salesforce_integration_user": true,
            "urls": {"rest": rest, "sobjects": format!("{rest}sobjects/"), "query": format!("{rest}query/"),
                "custom_domain": base},
            "active": org.logins().named("default").is_some_and(|login| login.active),
            "user_type": "STANDARD",
            "language": "en_US",
            "locale": "en_US",
            "utcOffset": 0,
            "updated_at": time::rfc3339(org.permissions().changed_at),
        }),
    )
}

/// `/id/{org}/{user}`
pub(super) fn identity(org: &Org, request: &Request) -> Answer {
    let identity = &org.identity;
    let steps = request.steps();
    let ["id", org_id, user_id] = steps[..] else {
        return refused(404, "Bad_Id");
    };
    if !is_live(org, request) {
        return refused(403, "Bad_OAuth_Token");
    }
    if crate::id::SfId::parse(org_id) != Some(identity.org_id) {
        return refused(403, "Wrong_Org");
    }
    if crate::id::SfId::parse(user_id) != Some(identity.user_id) {
        return refused(404, "Bad_Id");
    }
    let base = &request.base_url;
    let rest = format!("{base}/services/data/v{{version}}/");
    Answer::json(
        200,
        &json!({
            "id": url(org, base), "asserted_user": true, "user_id": identity.user_id.as_str(),
            "organization_id": identity.org_id.as_str(), "username": identity.username,
            "nick_name": user_text(org, "CommunityNickname"), "display_name": user_text(org, "Name"),
            "email": user_text(org, "Email"), "email_verified": true,
            "first_name": user_text(org, "FirstName"), "last_name": user_text(org, "LastName"),
            "timezone": "UTC", "photos": {}, "addr_street": null, "addr_city": null, "addr_state": null,
            "addr_country": "DE", "addr_zip": null, "mobile_phone": null, "mobile_phone_verified": false,
            "is_lightning_login_user": false, "status": {"created_date": null, "body": null},
            "urls": {"rest": rest, "sobjects": format!("{rest}sobjects/"), "query": format!("{rest}query/")},
            "active": org.logins().named("default").is_some_and(|login| login.active), "user_type": "STANDARD", "language": "en_US", "locale": "en_US",
            "utcOffset": 0, "last_modified_date": time::rfc3339(org.permissions().changed_at),
            "is_app_installed": true,
        }),
    )
}

fn user_text(org: &Org, field: &str) -> Option<String> {
    let store = org.records();
    let (object, handle) = store.find(org.identity.user_id)?;
    let index = store.tables[object].schema.field_index(field)?;
    match Reader::now(&store).cell(object, handle, index) {
        Cell::Text(text) => Some(text.to_owned()),
        _ => None,
    }
}
