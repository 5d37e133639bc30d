//! What a simulator is started with.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use crate::scenario::ScenarioStep;
use crate::schema::make::Wishes;

/// The newest API version of an org unless it is told another.
pub const NEWEST_VERSION: u32 = 67;

/// Settings of one org.
#[derive(Clone, Debug)]
pub struct OrgOptions {
    /// How many cases it is born with.
    pub cases: usize,
    /// Seed of its records.
    pub seed: u64,
    /// Whether refresh tokens rotate.
    pub rotation: bool,
    /// Idle minutes after which a session ends.
    pub session_minutes: u32,
    /// Calls allowed in 24 hours.
    pub daily_max: u64,
    /// Characters that each e-mail's text has at least.
    pub mail_characters: usize,
    /// Which features, fields and objects it has.
    pub wishes: Wishes,
}

impl Default for OrgOptions {
    fn default() -> Self {
        Self {
            cases: 5_000,
            seed: 1,
            rotation: false,
            session_minutes: 120,
            daily_max: 100_000,
            mail_characters: 0,
            wishes: Wishes::default(),
        }
    }
}

/// A certificate of somebody else's making.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// Chain (PEM), the server's first.
    pub chain: PathBuf,
    /// Private key (PEM).
    pub key: PathBuf,
}

/// Settings of a simulator.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where plain HTTP is served.
    pub listen: SocketAddr,
    /// Where HTTPS is served.
    pub listen_tls: SocketAddr,
    /// Where the control API is served; keep it on loopback, it has no password.
    pub listen_control: SocketAddr,
    /// Further names that the server's certificate is good for.
    pub tls_names: Vec<String>,
    /// The certificate to use instead of one made for this run.
    pub certificate: Option<Certificate>,
    /// The orgs to begin with.
    pub orgs: Vec<OrgOptions>,
    /// Folder for the CA certificate and the JWT key; a fresh one below the system's temporary folder if absent,
    /// removed at the end.
    pub dir: Option<PathBuf>,
    /// The moment that generated records lead up to, milliseconds since 1970; now if absent. With it, equal
    /// seeds give equal orgs at any time.
    pub anchor_ms: Option<i64>,
    /// What is done to the orgs, at the start and later.
    pub steps: Vec<ScenarioStep>,
}

impl Default for Options {
    fn default() -> Self {
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            listen: any_port,
            listen_tls: any_port,
            listen_control: any_port,
            tls_names: Vec::new(),
            certificate: None,
            orgs: vec![OrgOptions::default()],
            dir: None,
            anchor_ms: None,
            steps: Vec::new(),
        }
    }
}
