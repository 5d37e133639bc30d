//! What a person is told when Salesforce needs one: what happened, why, and how to fix it, with the names
//! that Salesforce's own setup pages use.

use super::auth::fault::{OAuthFault, OAuthKind};
use super::fault::{ApiFault, FaultKind};
use super::host::UnsafeUrl;
use crate::error::UserMessage;

const RECONNECT: &str = "Open the connection and press Reconnect Salesforce.";

/// A certificate that nobody known to us has signed: a private CA, a proxy that opens TLS, or an attack.
pub(super) fn certificate(detail: &str) -> UserMessage {
    UserMessage::new(
        "salesforce_certificate",
        "The server that answers for Salesforce has a certificate that is not trusted.",
        format!("No known authority has signed it, or it is for another name: {detail}."),
        "Check the login URL. If a proxy of your network opens TLS, have the operator name its CA in \
         salesforce.ca_file.",
    )
}

/// The message for a refusal of the REST API; `None` where nobody can help.
pub(super) fn for_fault(fault: &ApiFault) -> Option<UserMessage> {
    let code = fault.kind.code();
    match fault.kind {
        FaultKind::ApiAccessRefused => Some(UserMessage::new(
            code,
            "Salesforce refuses the API to this connection.",
            "The app's scopes do not include 'api', the app is blocked for this user, or the session is locked \
             to another network address; a new token does not help.",
            "In Setup, check the app's OAuth scopes (api, refresh_token, id) and its policies, and that API \
             Access Control admits the app. Then press Check again.",
        )),
        FaultKind::ApiDisabled => Some(UserMessage::new(
            code,
            "Salesforce has the API switched off for this connection.",
            "The integration user lacks the system permission 'API Enabled', or the org's edition has no API.",
            "Tick 'API Enabled' in a permission set of the integration user (Setup > Permission Sets > System \
             Permissions). Then press Check again.",
        )),
        FaultKind::SecurityPolicy => Some(UserMessage::new(
            code,
            "A transaction security policy stopped our read.",
            "A policy of the org limits how many records an API user may read.",
            "Give the integration user 'Exempt from Transaction Security', or add an exception to the policy.",
        )),
        FaultKind::OrgClosed => Some(UserMessage::new(
            code,
            "Salesforce has closed this org.",
            "The org is locked or its trial is over.",
            "Ask Salesforce to unlock the org, or disconnect it here.",
        )),
        FaultKind::FeatureDisabled | FaultKind::AccessDenied => Some(access_refused(fault)),
        FaultKind::UnknownObject => Some(object_refused(object(fault))),
        FaultKind::NotQueryable => Some(UserMessage::new(
            code,
            format!("Salesforce cannot list the records of {}.", object(fault)),
            "The object cannot be queried, or only with a filter that a full read has not.",
            "Turn this object off; its records may be reachable through another object.",
        )),
        FaultKind::UnknownField => Some(UserMessage::new(
            code,
            format!(
                "Salesforce no longer shows the field {} of {} to the integration user.",
                fault.field.as_deref().unwrap_or("(not named)"),
                object(fault)
            ),
            "The field was deleted or renamed, or field-level security hides it.",
            "Grant Read on the field in the integration user's permission set, or take it out of the mapping.",
        )),
        FaultKind::VersionRefused => Some(UserMessage::new(
            code,
            "Salesforce does not serve the API version that Refrain uses.",
            "The version was retired, or this org does not have it yet.",
            "The operator of Refrain must install a release that uses a current version.",
        )),
        FaultKind::DailyLimit => Some(UserMessage::new(
            code,
            "The org's daily API calls are spent.",
            "All integrations of the org share one rolling 24-hour allowance.",
            "Nothing has to be done: reading goes on when calls free up. If it happens often, lower the use of \
             other integrations or buy more calls.",
        )),
        FaultKind::SessionExpired
        | FaultKind::Moved
        | FaultKind::ConcurrencyLimit
        | FaultKind::LoginRate
        | FaultKind::NotFound
        | FaultKind::Deleted
        | FaultKind::TooLarge
        | FaultKind::LocatorGone
        | FaultKind::NotInBulk
        | FaultKind::BulkLimit
        | FaultKind::JobState
        | FaultKind::OurMistake
        | FaultKind::Unavailable
        | FaultKind::Unknown => None,
    }
}

fn object(fault: &ApiFault) -> &str {
    fault.object.as_deref().unwrap_or("this object")
}

/// An object that the integration user may not read, or that the org does not have: Salesforce says the same of both.
#[must_use]
pub fn object_refused(object: &str) -> UserMessage {
    UserMessage::new(
        FaultKind::UnknownObject.code(),
        format!("Salesforce refused access to {object}."),
        format!("The integration user lacks Read on {object}, or the org does not have it."),
        format!(
            "Grant Read on {object} in the user's permission set, or turn this object off. Then press Check again."
        ),
    )
}

fn access_refused(fault: &ApiFault) -> UserMessage {
    let code = fault.kind.code();
    let asked = fault.object.as_deref().unwrap_or("a resource that this connection needs");
    UserMessage::new(
        code,
        format!("Salesforce refused access to {asked}."),
        "The integration user lacks a permission, or a feature of the org is off.",
        format!(
            "Compare the integration user's permission set with the list on the connection's Permissions page, \
             for {asked} first. Then press Check again."
        ),
    )
}

/// The message for a refusal of the token endpoint; `None` where nobody can help.
pub(super) fn for_oauth(fault: &OAuthFault) -> Option<UserMessage> {
    let (what, why, fix) = match fault.kind {
        OAuthKind::GrantExpired => (
            "Salesforce no longer accepts this connection's grant.",
            "The grant was revoked, replaced by a newer one, or not used for too long.",
            RECONNECT,
        ),
        OAuthKind::GrantRefused => (
            "Salesforce refused to log the connection in.",
            "The grant or the user's access to the app has ended; Salesforce gave no closer reason.",
            RECONNECT,
        ),
        OAuthKind::UserInactive => (
            "The integration user is inactive.",
            "The user was deactivated or frozen in Salesforce.",
            "Activate or unfreeze the user in Setup > Users, or reconnect with another user.",
        ),
        OAuthKind::OrgInactive => (
            "Salesforce has closed this org.",
            "The org is locked, closed or suspended.",
            "Ask Salesforce to unlock the org, or disconnect it here.",
        ),
        OAuthKind::LoginRestricted => (
            "Salesforce refuses the integration user's login from here at this hour.",
            "The user's profile or the app restricts login addresses or login hours.",
            "Add Refrain's egress addresses to the profile's Login IP Ranges, or relax IP restrictions in the \
             app's policies; if login hours are meant, nothing has to be done.",
        ),
        OAuthKind::NotPreauthorized => (
            "The integration user may not use the app yet.",
            "The app's policy is 'Admin approved users are pre-authorized' and the user is not among them.",
            "Assign the app to the user's profile or permission set in the app's policies.",
        ),
        OAuthKind::RunAsUserMissing => (
            "The app has no user to run as.",
            "The client credentials flow needs a run-as user in the app's policies.",
            "In Setup, edit the app's policies, enable the client credentials flow and choose the run-as user.",
        ),
        OAuthKind::WrongHost => (
            "Salesforce refuses this login at the generic host.",
            "The client credentials flow works at the org's My Domain only.",
            "Set the connection's login URL to https://YOURDOMAIN.my.salesforce.com.",
        ),
        OAuthKind::AssertionRefused => (
            "Salesforce refused the signed login.",
            "The certificate of the app does not belong to our key, the audience is another host, or a clock is \
             wrong.",
            "Upload the connection's certificate to the app and check the login URL; then press Check again.",
        ),
        OAuthKind::CredentialsRefused => (
            "Salesforce does not accept the app's consumer key or secret.",
            "The key is wrong or the secret was rotated; a new app also takes up to ten minutes to be known.",
            "Copy consumer key and secret from the app's settings into the connection again.",
        ),
        OAuthKind::AppBlocked => (
            "The app is blocked or not installed in this org.",
            "An administrator blocked it, or the org admits installed apps only.",
            "In Setup > Connected Apps OAuth Usage, install or unblock the app; then reconnect.",
        ),
        OAuthKind::ScopeMissing => (
            "The app lacks a scope that this connection needs.",
            "The connection needs the scopes api, refresh_token and id.",
            "Add the scopes in the app's OAuth settings; then reconnect.",
        ),
        OAuthKind::FlowDisabled => (
            "The app does not allow this way of logging in.",
            "The OAuth flow is switched off in the app or in the org.",
            "Enable the flow in the app's OAuth settings, or connect in another way.",
        ),
        OAuthKind::AlreadyProcessing
        | OAuthKind::LoginRate
        | OAuthKind::OurMistake
        | OAuthKind::Unavailable
        | OAuthKind::Unknown => return None,
    };
    Some(UserMessage::new(fault.kind.code(), what, why, fix))
}

pub(super) fn forged() -> UserMessage {
    UserMessage::new(
        "salesforce_forged",
        "The login answer's signature does not fit this app's secret.",
        "The consumer secret stored here is not the app's, or something between us and Salesforce changes answers.",
        "Copy the consumer secret from the app's settings again; if it was right, have the network path checked.",
    )
}

pub(super) fn key_unreadable() -> UserMessage {
    UserMessage::new(
        "salesforce_key_unreadable",
        "The private key of this connection cannot be used.",
        "It is not an RSA key in PEM form of at least 2048 bits.",
        "Upload an RSA private key (PKCS#8 or PKCS#1, PEM) whose certificate the app has.",
    )
}

pub(super) fn host_refused(refused: &UnsafeUrl) -> UserMessage {
    UserMessage::new(
        "salesforce_host_refused",
        format!("Refrain does not send its token to '{}'.", refused.given),
        format!("The address is not one of the allowed Salesforce hosts: {}.", refused.reason),
        "Use the org's My Domain address; for a private host the operator must add it to the allowed hosts.",
    )
}

pub(super) fn version_missing(wanted: &str, newest: &str) -> UserMessage {
    UserMessage::new(
        "salesforce_version_missing",
        format!("This org does not serve API version {wanted}."),
        format!("The newest version that it lists is {newest}."),
        "Wait until the org has the release, or ask the operator of Refrain to use another version.",
    )
}
