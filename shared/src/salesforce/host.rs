//! Which hosts may ever see a token.
//!
//! `instance_url`, next-page URLs and redirects are hostile input: whoever can write one would be sent our
//! bearer token. So nothing is normalised into shape here; what is not plainly right is refused.

use std::fmt;

use url::{Host, Url};

/// Hosts that Salesforce serves its API and its logins from.
pub const DEFAULT_HOSTS: [&str; 4] =
    [".my.salesforce.com", ".my.salesforce.mil", "login.salesforce.com", "test.salesforce.com"];

/// A URL that we do not call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("refused the URL '{given}': {reason}")]
pub struct UnsafeUrl {
    /// Why, in words.
    pub reason: &'static str,
    /// The URL on one line, cut to 80 characters, without user info.
    pub given: String,
}

impl UnsafeUrl {
    fn new(given: &str, reason: &'static str) -> Self {
        let after_user = given.rsplit('@').next().unwrap_or_default();
        let given = after_user.chars().filter(|c| !c.is_control()).take(80).collect();
        Self { reason, given }
    }
}

/// Scheme, host and (on loopback only) port, checked.
#[derive(Clone, PartialEq, Eq)]
pub struct Origin(Url);

impl Origin {
    /// A URL on this origin; `path` starts with a slash and is ours.
    #[must_use]
    pub fn url(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        url.set_path(path);
        url
    }

    /// The URL of a next page, from what a query answer named.
    pub fn next_page(&self, path: &str) -> Result<Url, UnsafeUrl> {
        let refuse = |reason| Err(UnsafeUrl::new(path, reason));
        if !path.starts_with("/services/data/") {
            return refuse("a next page is a path below /services/data/");
        }
        if !path.bytes().all(|byte| byte.is_ascii_graphic() && !br"\#?@".contains(&byte)) {
            return refuse("it holds characters that a locator has not");
        }
        match self.0.join(path) {
            Ok(url) if url.path() == path && url.origin() == self.0.origin() => Ok(url),
            Ok(_) | Err(_) => refuse("it leads elsewhere"),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The hosts that are allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPolicy {
    hosts: Vec<String>,
    allow_loopback: bool,
}

impl HostPolicy {
    /// The default hosts, and those that the configuration adds: `.example.com` for all names below it,
    /// `example.com` for that name alone.
    #[must_use]
    pub fn new(extra_hosts: &[String], allow_loopback: bool) -> Self {
        let extra = extra_hosts.iter().map(|host| host.to_ascii_lowercase());
        let hosts = DEFAULT_HOSTS.iter().map(|host| (*host).to_owned()).chain(extra).collect();
        Self { hosts, allow_loopback }
    }

    /// Checks a bare origin such as `https://acme.my.salesforce.com`.
    pub fn origin(&self, text: &str) -> Result<Origin, UnsafeUrl> {
        let refuse = |reason| Err(UnsafeUrl::new(text, reason));
        // The parser drops tabs and newlines, decodes percent signs and maps look-alikes in host names; all
        // of that is refused before it sees the text.
        if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":/.-[]".contains(&byte)) {
            return refuse("it holds characters that an origin has not");
        }
        let Ok(url) = Url::parse(text) else {
            return refuse("it is no URL");
        };
        let Some(host) = url.host() else {
            return refuse("it has no host");
        };
        let written = text.split_once("://").map_or("", |(_, rest)| rest);
        let written = written.strip_suffix('/').unwrap_or(written);
        let authority = url.port().map_or_else(|| host.to_string(), |port| format!("{host}:{port}"));
        if !written.eq_ignore_ascii_case(&authority) {
            return refuse("an origin is scheme and host only, plainly written");
        }
        let loopback = self.allow_loopback && is_loopback(&host);
        match url.scheme() {
            "https" => {}
            "http" if loopback => {}
            _ => return refuse("it is not https"),
        }
        if loopback {
            return Ok(Origin(url));
        }
        if url.port().is_some() {
            return refuse("it names a port");
        }
        match host {
            Host::Domain(name) if self.allows(name) => Ok(Origin(url)),
            Host::Domain(_) => refuse("its host is not on the list of allowed hosts"),
            Host::Ipv4(_) | Host::Ipv6(_) => refuse("it names an address instead of a host"),
        }
    }

    fn allows(&self, name: &str) -> bool {
        self.hosts.iter().any(|allowed| {
            if allowed.starts_with('.') {
                name.len() > allowed.len() && name.ends_with(allowed.as_str()) && !name.starts_with('.')
            } else {
                name == allowed
            }
        })
    }
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost" || name.ends_with(".localhost"),
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> HostPolicy {
        HostPolicy::new(&[], false)
    }

    #[test]
    fn salesforce_hosts_pass() {
        for good in [
            "https://acme.my.salesforce.com",
            "https://acme.my.salesforce.com/",
            "https://Acme--Full.sandbox.my.salesforce.com",
            "https://acme.my.salesforce.mil",
            "https://login.salesforce.com",
            "https://test.salesforce.com",
        ] {
            assert!(policy().origin(good).is_ok(), "{good}");
        }
        let origin = policy().origin("https://ACME.my.salesforce.com/").unwrap();
        assert_eq!(origin.to_string(), "https://acme.my.salesforce.com");
    }

    #[test]
    fn whatever_is_not_plainly_right_is_refused() {
        for bad in [
            "",
            "acme.my.salesforce.com",
            "http://acme.my.salesforce.com",
            "ftp://acme.my.salesforce.com",
            "https://",
            "https:///",
            "https://.my.salesforce.com",
            "https://my.salesforce.com",
            "https://evilmy.salesforce.com",
            "https://acme.my.salesforce.com.evil.com",
            "https://acme.my.salesforce.com.",
            "https://acme.my.salesforce.com:8443",
            "https://acme.my.salesforce.com:443",
            "https://user@acme.my.salesforce.com",
            "https://acme.my.salesforce.com@evil.com",
            "https://evil.com/.my.salesforce.com",
            "https://evil.com\\.my.salesforce.com",
            "https://evil.com#.my.salesforce.com",
            "https://evil.com?x=.my.salesforce.com",
            "https://acme.my.salesforce.com/path",
            "https://acme.my.salesforce.com//",
            "https://acme.my.sal\tesforce.com",
            "https://acme.my.salesforce.com\n",
            "https://acme.my.salesforce%2ecom",
            "https://acme.my.salesforce。com",
            "https://acme.my.ſalesforce.com",
            "https://10.0.0.1",
            "https://2130706433",
            "https://0x7f.1",
            "https://[::1]",
            "https://127.0.0.1",
            "https://localhost",
            "https://metadata.google.internal",
            "https://logintest.salesforce.com",
            "https:/acme.my.salesforce.com",
        ] {
            assert!(policy().origin(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn loopback_needs_the_configuration_and_then_may_have_a_port() {
        let lab = HostPolicy::new(&[".corp.example".to_owned()], true);
        for good in
            ["http://127.0.0.1:8080", "http://localhost:1", "https://[::1]:9", "https://a.corp.example"]
        {
            assert!(lab.origin(good).is_ok(), "{good}");
        }
        for bad in
            ["http://10.0.0.1", "http://a.corp.example", "https://a.corp.example:1", "http://2130706433:80"]
        {
            assert!(lab.origin(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_next_page_stays_on_its_origin_and_below_the_data_path() {
        let origin = policy().origin("https://acme.my.salesforce.com").unwrap();
        let next = origin.next_page("/services/data/v66.0/query/01gRO0000016PIAYA2-500").unwrap();
        assert_eq!(
            next.as_str(),
            "https://acme.my.salesforce.com/services/data/v66.0/query/01gRO0000016PIAYA2-500"
        );
        for bad in [
            "",
            "services/data/v66.0/query/x",
            "//evil.com/services/data/x",
            "https://evil.com/services/data/x",
            "https://acme.my.salesforce.com/services/data/v66.0/query/x",
            "/services/data/../../secur/frontdoor.jsp",
            "/services/data/%2e%2e/%2e%2e/secur",
            "/services/data/\\evil.com",
            "/services/data/x?redirect=//evil.com",
            "/services/data/x#y",
            "/services/data/ x",
            "/services/oauth2/revoke",
        ] {
            assert!(origin.next_page(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_refusal_prints_without_user_info() {
        let refused = policy().origin("https://user:pass@acme.my.salesforce.com").unwrap_err();
        assert!(!refused.to_string().contains("pass"), "{refused}");
    }
}
