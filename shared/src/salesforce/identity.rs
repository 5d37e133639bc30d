//! Who we are in which org, and whether that org serves our API version.

use std::fmt;
use std::str::FromStr;

use reqwest::Method;
use serde::Deserialize;

use super::client::{Ask, Client};
use super::error::SalesforceError;
use super::http::{Outgoing, Payload};
use crate::ids::SalesforceId;
use crate::ports::CallKind;

/// A pinned API version, such as 66.0; never "latest", because nulls and labels change between versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiVersion(u16);

impl Default for ApiVersion {
    /// Present on every instance since spring 2026.
    fn default() -> Self {
        Self(66)
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.0", self.0)
    }
}

/// No API version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an API version is written like 66.0")]
pub struct InvalidVersion;

impl FromStr for ApiVersion {
    type Err = InvalidVersion;
    fn from_str(text: &str) -> Result<Self, InvalidVersion> {
        let digits = text.strip_suffix(".0").ok_or(InvalidVersion)?;
        digits.parse().map(Self).map_err(|_| InvalidVersion)
    }
}

/// The integration user, as Salesforce names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The org.
    pub org_id: SalesforceId,
    /// The integration user.
    pub user_id: SalesforceId,
    /// The user's login name, to show to people.
    pub username: Option<String>,
}

impl Client {
    /// Checks that the org serves the pinned version; not counted by its allowance, and without a token.
    pub async fn check_version(&self) -> Result<(), SalesforceError> {
        #[derive(Deserialize)]
        struct Version {
            version: String,
        }
        let origin = self.origin(&self.session().await?)?;
        let outgoing = Outgoing {
            url: origin.url("/services/data/"),
            bearer: None,
            method: Method::GET,
            headers: Vec::new(),
            payload: Payload::None,
        };
        let answer = self.send(CallKind::Identity, outgoing).await?;
        let served: Vec<ApiVersion> = answer
            .json::<Vec<Version>>("the list of API versions")?
            .iter()
            .filter_map(|listed| listed.version.parse().ok())
            .collect();
        let wanted = self.settings().api_version;
        if served.contains(&wanted) {
            return Ok(());
        }
        let newest = served.iter().max().map_or_else(|| "none".to_owned(), ToString::to_string);
        Err(SalesforceError::VersionMissing { wanted: wanted.to_string(), newest })
    }

    /// Org and user behind the session.
    pub async fn identity(&self) -> Result<Identity, SalesforceError> {
        #[derive(Deserialize)]
        struct UserInfo {
            organization_id: String,
            user_id: String,
            #[serde(default)]
            preferred_username: Option<String>,
        }
        let answer = self.call(CallKind::Identity, Ask::get("/services/oauth2/userinfo".to_owned())).await?;
        let info: UserInfo = answer.json("org and user")?;
        match (SalesforceId::parse(&info.organization_id), SalesforceId::parse(&info.user_id)) {
            (Ok(org_id), Ok(user_id)) => Ok(Identity { org_id, user_id, username: info.preferred_username }),
            (Err(_), _) | (_, Err(_)) => Err(answer.unreadable("org and user")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_by_number() {
        let parse = |text: &str| text.parse::<ApiVersion>();
        assert!(parse("9.0").unwrap() < parse("66.0").unwrap());
        assert_eq!(parse("66.0").unwrap().to_string(), "66.0");
        for bad in ["", "66", "v66.0", "66.1", "latest", "-1.0", "66.0.0"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
