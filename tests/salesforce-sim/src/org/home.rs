//! Where an org lives: at the simulator's own address, or at another one after an instance move.

use serde::{Deserialize, Serialize};

/// What the old address says after a move.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OldAddress {
    /// A redirect to the new one.
    Redirect,
    /// 420 and a web page: nobody there knows the org.
    #[default]
    NoRoute,
    /// An error of the API: the org is not here.
    NotOwned,
}

/// The new address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAddress {
    /// The door by which its requests come in.
    pub door: usize,
    /// Plain.
    pub http: String,
    /// With TLS.
    pub https: String,
    /// What the old address says.
    pub old: OldAddress,
    /// The status of a redirect.
    pub status: u16,
}

/// Whether a host name is one at which every org can log in, and which therefore is no org's own.
pub fn is_login_host(host: &str) -> bool {
    matches!(host.split('.').next(), Some("login" | "test"))
}

/// The host name of `scheme://host:port`.
fn host_of(base_url: &str) -> &str {
    let authority = base_url.split_once("://").map_or("", |(_, rest)| rest);
    authority.split(':').next().unwrap_or_default()
}

/// Where an org lives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Home {
    /// The address it was founded at, plain.
    pub http: String,
    /// The address it was founded at, with TLS.
    pub https: String,
    /// The new address, after a move.
    pub moved: Option<NewAddress>,
}

impl Home {
    /// The new address, for a request that came to another door.
    pub fn elsewhere(&self, door: usize) -> Option<&NewAddress> {
        self.moved.as_ref().filter(|new| new.door != door)
    }

    /// The address that a client is told which reached a login at `base_url`: that same one, unless the org has moved
    /// or the login was at a host of all orgs.
    pub fn told(&self, base_url: &str) -> String {
        let (http, https) = match &self.moved {
            Some(new) => (&new.http, &new.https),
            None if is_login_host(host_of(base_url)) => (&self.http, &self.https),
            None => return base_url.to_owned(),
        };
        if base_url.starts_with("https") { https.clone() } else { http.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_lead_to_the_orgs_own_address() {
        let (http, https) = ("http://127.0.0.1:80".to_owned(), "https://127.0.0.1:443".to_owned());
        let home = Home { http, https, moved: None };
        assert_eq!(home.told("https://login.salesforce.com"), "https://127.0.0.1:443");
        assert_eq!(home.told("http://test.salesforce.com:8080"), "http://127.0.0.1:80");
        assert_eq!(home.told("https://acme.my.salesforce.com"), "https://acme.my.salesforce.com");
        let (door, old, status) = (1, OldAddress::Redirect, 302);
        let new = NewAddress { door, http: "http://new".into(), https: "https://new".into(), old, status };
        let moved = Home { moved: Some(new), ..home };
        assert_eq!(moved.told("https://acme.my.salesforce.com"), "https://new");
    }
}
