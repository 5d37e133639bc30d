//! Starting and stopping a simulator.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::clock::SimClock;
use crate::generate::{self, Recipe};
use crate::http::World;
use crate::http::listen::{self, Speech};
use crate::http::tls::{Tls, TlsFault};
use crate::id::SfId;
use crate::options::{Options, OrgOptions};
use crate::org::home::{Home, NewAddress, OldAddress};
use crate::org::sessions::{Lifetimes, Sessions};
use crate::org::{Identity, Org, secret};
use crate::schema::make;
use crate::store::Store;
use crate::{control, scenario, time};

/// How to reach an org, and its secrets.
#[derive(Clone, Debug, Serialize)]
pub struct OrgEntry {
    /// Organization id.
    pub org_id: String,
    /// HTTPS address of the org.
    pub instance_url: String,
    /// Consumer key.
    pub client_id: String,
    /// Consumer secret.
    pub client_secret: String,
    /// Name of the integration user.
    pub username: String,
    /// Password of the integration user.
    pub password: String,
    /// Private key (PKCS#8 PEM) for JWT assertions.
    pub jwt_key_file: PathBuf,
}

/// What the ready line says.
#[derive(Clone, Debug, Serialize)]
pub struct Ready {
    /// Plain address of all orgs.
    pub http: String,
    /// TLS address of all orgs.
    pub https: String,
    /// Certificate of the authority that signed the server's.
    pub ca_file: PathBuf,
    /// Base address of the control API.
    pub control: String,
    /// The orgs.
    pub orgs: Vec<OrgEntry>,
}

/// What serves in the background, to be stopped at the end.
type Tasks = Arc<Mutex<Vec<JoinHandle<()>>>>;

/// What the control API needs to make further orgs and addresses.
#[derive(Debug)]
pub struct Founder {
    /// All orgs.
    pub world: Arc<World>,
    /// What the main address speaks.
    pub tls: Arc<Tls>,
    http: String,
    https: String,
    host: IpAddr,
    dir: PathBuf,
    jwt_key_file: PathBuf,
    anchor_ms: Option<i64>,
    founded: AtomicU64,
    keys: AtomicU64,
    doors: AtomicUsize,
    options: Mutex<HashMap<SfId, OrgOptions>>,
    tasks: Tasks,
}

impl Founder {
    /// Generates an org and opens it for clients. Takes CPU time in proportion to its cases.
    ///
    /// # Errors
    /// A sentence for people when a wish cannot be fulfilled.
    pub fn found(&self, options: &OrgOptions) -> Result<OrgEntry, String> {
        self.found_as(options, None)
    }

    /// Copies an org anew, as the refresh of a sandbox does: another org id and fresh records behind the same
    /// credentials; the old one is gone.
    ///
    /// # Errors
    /// A sentence for people when a wish cannot be fulfilled.
    pub fn found_again(&self, old: &Org) -> Result<OrgEntry, String> {
        let options = self.known().remove(&old.identity.org_id).unwrap_or_default();
        self.world.remove(old.identity.org_id);
        self.found_as(&options, Some(&old.identity))
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<SfId, OrgOptions>> {
        self.options.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn found_as(&self, options: &OrgOptions, old: Option<&Identity>) -> Result<OrgEntry, String> {
        let catalog = make::catalog(&options.wishes)?;
        let number = self.founded.fetch_add(1, Ordering::Relaxed) + 1;
        let clock = Arc::new(SimClock::following(Arc::clone(&self.world.clock)));
        let pod = pod_of(options.seed);
        // Two orgs of one seed share record ids, as a full sandbox and its production do, but never the org id.
        let org_id = SfId::new(*b"00D", pod, number * 7_919 + 62 * 62);
        let username = old.map_or_else(
            || format!("integration@{}.example.com", org_id.short().to_lowercase()),
            |old| old.username.clone(),
        );
        let mut store = Store::new(Arc::new(catalog), pod);
        let now = self.anchor_ms.unwrap_or_else(|| clock.now_ms());
        let recipe = Recipe {
            cases: options.cases,
            seed: options.seed,
            mail_characters: options.mail_characters,
            now,
            username: username.clone(),
            org_id,
        };
        let user_id = generate::fill(&mut store, &recipe);
        let identity = match old {
            Some(old) => Identity { org_id, user_id, ..old.clone() },
            None => Identity {
                org_id,
                client_id: format!("3MVG9sim.{}.{}", org_id.short(), secret(24)),
                client_secret: secret(32),
                username,
                password: secret(16),
                user_id,
            },
        };
        let lifetimes = Lifetimes {
            session_ms: i64::from(options.session_minutes) * 60_000,
            refresh_idle_ms: None,
            rotation: options.rotation,
            punish_reuse: true,
        };
        let sessions = Sessions::new(org_id, lifetimes);
        let org = Org::new(identity, clock, store, sessions, options.daily_max);
        org.set_home(Home { http: self.http.clone(), https: self.https.clone(), moved: None });
        let entry = self.entry(&org);
        self.known().insert(org_id, options.clone());
        self.world.add(Arc::new(org));
        Ok(entry)
    }

    async fn listen(&self, speech: Speech, door: usize) -> anyhow::Result<SocketAddr> {
        let listener = TcpListener::bind((self.host, 0)).await.context("listen on another port")?;
        let address = listener.local_addr().context("read the port")?;
        let task = listen::spawn(listener, speech, door, Arc::clone(&self.world));
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).push(task);
        Ok(address)
    }

    /// Opens an instance that an org can move to.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn new_address(&self, old: OldAddress, status: u16) -> anyhow::Result<NewAddress> {
        let door = self.doors.fetch_add(1, Ordering::Relaxed) + 1;
        let http = format!("http://{}", reachable(self.listen(Speech::Plain, door).await?));
        let https =
            format!("https://{}", reachable(self.listen(Speech::Tls(Arc::clone(&self.tls)), door).await?));
        Ok(NewAddress { door, http, https, old, status })
    }

    /// Opens an address whose TLS is wrong for good.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn faulty_address(&self, how: TlsFault) -> anyhow::Result<String> {
        let address = self.listen(Speech::Faulty(Arc::clone(&self.tls), how), 0).await?;
        Ok(format!("https://{}", reachable(address)))
    }

    /// Rotates the key of an org's app and returns the file of the new one.
    ///
    /// # Errors
    /// When the key cannot be made or written.
    pub fn new_jwt_key(&self, org: &Org) -> anyhow::Result<PathBuf> {
        let number = self.keys.fetch_add(1, Ordering::Relaxed) + 1;
        let file = self.dir.join(format!("jwt-key-{number}.pem"));
        org.set_jwt_key(jwt_key(&file)?);
        Ok(file)
    }

    /// How to reach an org.
    pub fn entry(&self, org: &Org) -> OrgEntry {
        let identity = &org.identity;
        OrgEntry {
            org_id: identity.org_id.to_string(),
            instance_url: self.https.clone(),
            client_id: identity.client_id.clone(),
            client_secret: identity.client_secret.clone(),
            username: identity.username.clone(),
            password: identity.password.clone(),
            jwt_key_file: self.jwt_key_file.clone(),
        }
    }
}

/// An address that a client on this machine can use: one that stands for every interface is none.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => SocketAddr::from((Ipv4Addr::LOCALHOST, address.port())),
        IpAddr::V6(ip) if ip.is_unspecified() => SocketAddr::from((Ipv6Addr::LOCALHOST, address.port())),
        IpAddr::V4(_) | IpAddr::V6(_) => address,
    }
}

/// Two characters that seeds spread over.
fn pod_of(seed: u64) -> [u8; 2] {
    const LETTERS: &[u8; 52] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut mixed = generate::random::Random::new(seed);
    [LETTERS[mixed.below(52)], LETTERS[mixed.below(52)]]
}

/// A running simulator. Dropping it stops it.
#[derive(Debug)]
pub struct Running {
    /// Addresses and secrets.
    pub ready: Ready,
    /// The orgs, for tests in the same process.
    pub world: Arc<World>,
    tasks: Tasks,
    own_dir: Option<PathBuf>,
}

/// The simulator.
#[derive(Debug)]
pub struct Simulator;

impl Simulator {
    /// Generates the orgs, binds the ports and serves. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// When a port cannot be bound or a file cannot be written.
    pub async fn start(options: Options) -> anyhow::Result<Running> {
        let own_dir = options.dir.is_none().then(|| {
            let name = format!("salesforce-sim-{}-{}", std::process::id(), secret(6));
            std::env::temp_dir().join(name)
        });
        let clock = SimClock::new();
        let born_later = options.anchor_ms.is_some_and(|anchor| anchor > clock.now_ms());
        anyhow::ensure!(
            !born_later,
            "the anchor lies in the future; records are stamped up to it, so choose a past moment"
        );
        let dir = options.dir.or_else(|| own_dir.clone()).expect("one of the two is given");
        std::fs::create_dir_all(&dir).with_context(|| format!("make the folder {}", dir.display()))?;
        let ca_file = dir.join("ca.pem");
        let tls = Arc::new(Tls::new(&ca_file, &options.tls_names, options.certificate.as_ref())?);
        let jwt_key_file = dir.join("jwt-key.pem");
        let world = Arc::new(World::new(Arc::new(clock), jwt_key(&jwt_key_file)?));

        let plain = TcpListener::bind(options.listen)
            .await
            .with_context(|| format!("listen on {}", options.listen))?;
        let secure = TcpListener::bind(options.listen_tls)
            .await
            .with_context(|| format!("listen on {}", options.listen_tls))?;
        let steering = TcpListener::bind(options.listen_control)
            .await
            .with_context(|| format!("listen on {}", options.listen_control))?;
        let http = format!("http://{}", reachable(plain.local_addr()?));
        let https = format!("https://{}", reachable(secure.local_addr()?));
        let control_url = format!("http://{}", reachable(steering.local_addr()?));

        let tasks = Tasks::default();
        let founder = Arc::new(Founder {
            world: Arc::clone(&world),
            tls: Arc::clone(&tls),
            http: http.clone(),
            https: https.clone(),
            host: options.listen.ip(),
            dir,
            jwt_key_file,
            anchor_ms: options.anchor_ms,
            founded: AtomicU64::new(0),
            keys: AtomicU64::new(0),
            doors: AtomicUsize::new(0),
            options: Mutex::default(),
            tasks: Arc::clone(&tasks),
        });
        let orgs = options.orgs.iter().map(|org| founder.found(org)).collect::<Result<_, _>>();
        let orgs = orgs.map_err(anyhow::Error::msg)?;
        let router = control::router(&founder);
        scenario::begin(&world, &options.steps).await?;
        tasks.lock().unwrap_or_else(PoisonError::into_inner).extend([
            listen::spawn(plain, Speech::Plain, 0, Arc::clone(&world)),
            listen::spawn(secure, Speech::Tls(tls), 0, Arc::clone(&world)),
            control::spawn(steering, router),
            tokio::spawn(scenario::go_on(Arc::clone(&world), options.steps)),
        ]);
        let ready = Ready { http, https, ca_file, control: control_url, orgs };
        tracing::info!(at = %time::rfc3339(world.clock.now_ms()), "ready");
        Ok(Running { ready, world, tasks, own_dir })
    }
}

impl Running {
    /// Stops serving and closes all connections.
    pub async fn stop(self) {
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for task in tasks {
            task.abort();
            // The only possible outcome is that it was cancelled.
            _ = task.await;
        }
    }
}

/// `running.http` and its like.
impl std::ops::Deref for Running {
    type Target = Ready;

    fn deref(&self) -> &Ready {
        &self.ready
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        for task in self.tasks.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            task.abort();
        }
        if let Some(dir) = &self.own_dir {
            _ = std::fs::remove_dir_all(dir);
        }
    }
}

/// Makes the key for JWT assertions, writes it, and returns its public half.
fn jwt_key(path: &Path) -> anyhow::Result<Vec<u8>> {
    let key =
        KeyPair::generate(KeySize::Rsa2048).map_err(|_| anyhow::anyhow!("could not make an RSA key"))?;
    let private: Pkcs8V1Der<'_> =
        key.as_der().map_err(|_| anyhow::anyhow!("could not export the RSA key"))?;
    let encoded = base64::engine::general_purpose::STANDARD.encode(private.as_ref());
    let mut pem = "-----BEGIN PRIVATE KEY-----\n".to_owned();
    for line in encoded.as_bytes().chunks(64) {
        pem.push_str(std::str::from_utf8(line).unwrap_or_default());
        pem.push('\n');
    }
    pem.push_str("-----END PRIVATE KEY-----\n");
    std::fs::write(path, pem).with_context(|| format!("write {}", path.display()))?;
    Ok(key.public_key().as_ref().to_vec())
}
