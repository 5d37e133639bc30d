//! What a simulator is started with.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

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
    /// Its features, and what its customer added to the schema.
    pub schema: Wishes,
}

impl Default for OrgOptions {
    fn default() -> Self {
        Self {
            cases: 5_000,
            seed: 1,
            rotation: false,
            session_minutes: 120,
            daily_max: 100_000,
            schema: Wishes::default(),
        }
    }
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
    /// The orgs to begin with.
    pub orgs: Vec<OrgOptions>,
    /// Folder for the CA certificate and the JWT key; a fresh one below the system's temporary folder if absent,
    /// removed at the end.
    pub dir: Option<PathBuf>,
    /// The moment that generated records lead up to, milliseconds since 1970; now if absent. With it, equal
    /// seeds give equal orgs at any time.
    pub anchor_ms: Option<i64>,
}

impl Default for Options {
    fn default() -> Self {
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            listen: any_port,
            listen_tls: any_port,
            listen_control: any_port,
            orgs: vec![OrgOptions::default()],
            dir: None,
            anchor_ms: None,
        }
    }
}
