//! A TCP proxy that breaks connections on purpose, for PostgreSQL, AMQP and HTTP alike.
//!
//! It listens on a loopback port and forwards to one target. A fault holds for connections that are open and for those to come,
//! until [`FaultProxy::set`] says otherwise.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use url::Url;

use crate::wait;

/// What the proxy does to what passes through it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: everything passes.
    None,
    /// Open connections are closed, new ones are accepted and closed at once.
    Cut,
    /// Connections stay open and nothing passes, in neither direction; what waits passes after the thaw.
    Freeze,
    /// Each chunk passes that much later.
    Delay(Duration),
    /// That many more bytes of answers pass over all connections, then the connection at hand is closed: a half answer.
    TruncateAnswers(u64),
    /// That many more bytes of requests pass, then the connection at hand is closed: a half request.
    TruncateRequests(u64),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Request,
    Answer,
}

/// A running proxy. Dropping it closes all its connections.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    fault: watch::Sender<Fault>,
    shared: Arc<Shared>,
    listener: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    /// What a truncation still lets pass.
    allowance: AtomicU64,
    accepted: AtomicU64,
}

impl FaultProxy {
    /// A proxy before the host and port of `url`, and the same URL through the proxy.
    pub async fn before(url: &str) -> std::io::Result<(Self, String)> {
        let invalid = |why: &str| std::io::Error::new(std::io::ErrorKind::InvalidInput, why.to_owned());
        let mut through = Url::parse(url).map_err(|error| invalid(&error.to_string()))?;
        let usual = match through.scheme() {
            "postgres" | "postgresql" => Some(5432),
            "amqp" => Some(5672),
            "amqps" => Some(5671),
            _ => through.port_or_known_default(),
        };
        let host = through.host_str().ok_or_else(|| invalid("no host"))?.to_owned();
        let port = through.port().or(usual).ok_or_else(|| invalid("no port"))?;
        let proxy = Self::start(format!("{host}:{port}")).await?;
        let _ = through.set_ip_host(proxy.address.ip());
        let _ = through.set_port(Some(proxy.address.port()));
        Ok((proxy, through.into()))
    }

    /// A proxy that forwards to `target` (`host:port`).
    pub async fn start(target: String) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let (fault, watched) = watch::channel(Fault::None);
        let shared = Arc::new(Shared::default());
        let accepting = accept(listener, target, watched, Arc::clone(&shared));
        Ok(Self { address, fault, shared, listener: tokio::spawn(accepting) })
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections were made through it so far.
    pub fn connections(&self) -> u64 {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// Sets the fault from now on.
    pub fn set(&self, fault: Fault) {
        if let Fault::TruncateAnswers(bytes) | Fault::TruncateRequests(bytes) = fault {
            self.shared.allowance.store(bytes, Ordering::SeqCst);
        }
        self.fault.send_replace(fault);
    }

    /// Closes all open connections once; new ones pass.
    pub async fn cut_once(&self) {
        self.set(Fault::Cut);
        // Every open connection has to see the cut before it is taken back.
        let _ = wait::until(Duration::from_secs(5), "connections to close", async || {
            (self.fault.receiver_count() <= 1).then_some(())
        })
        .await;
        self.set(Fault::None);
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

/// Aborting this task drops the set, which aborts every connection.
async fn accept(listener: TcpListener, target: String, fault: watch::Receiver<Fault>, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((client, _)) = accepted else { continue };
                shared.accepted.fetch_add(1, Ordering::SeqCst);
                if *fault.borrow() != Fault::Cut {
                    connections.spawn(carry(client, target.clone(), fault.clone(), Arc::clone(&shared)));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn carry(client: TcpStream, target: String, fault: watch::Receiver<Fault>, shared: Arc<Shared>) {
    let Ok(server) = TcpStream::connect(&target).await else {
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let mut cut = fault.clone();
    tokio::select! {
        () = pump(from_client, to_server, Direction::Request, fault.clone(), &shared) => {}
        () = pump(from_server, to_client, Direction::Answer, fault, &shared) => {}
        _ = cut.wait_for(|fault| *fault == Fault::Cut) => {}
    }
}

/// Carries one direction until it ends or a fault ends it. The end of one direction ends both: our protocols have no half-open use.
async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    direction: Direction,
    mut fault: watch::Receiver<Fault>,
    shared: &Shared,
) {
    let mut buffer = vec![0_u8; 16 * 1024];
    loop {
        let Ok(length @ 1..) = from.read(&mut buffer).await else {
            return;
        };
        if fault.wait_for(|fault| *fault != Fault::Freeze).await.is_err() {
            return;
        }
        let now = *fault.borrow();
        let passing = match now {
            Fault::Delay(time) => {
                wait::pass(time).await;
                length
            }
            Fault::TruncateAnswers(_) if direction == Direction::Answer => shared.take(length),
            Fault::TruncateRequests(_) if direction == Direction::Request => shared.take(length),
            Fault::None
            | Fault::Cut
            | Fault::Freeze
            | Fault::TruncateAnswers(_)
            | Fault::TruncateRequests(_) => length,
        };
        if to.write_all(&buffer[..passing]).await.is_err() || passing < length {
            let _ = to.shutdown().await;
            return;
        }
    }
}

impl Shared {
    /// How much of `wanted` may still pass.
    fn take(&self, wanted: usize) -> usize {
        let wanted = wanted as u64;
        let left = self
            .allowance
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| Some(left.saturating_sub(wanted)))
            .unwrap_or(0);
        usize::try_from(left.min(wanted)).unwrap_or(0)
    }
}
