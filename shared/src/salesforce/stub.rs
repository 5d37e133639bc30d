//! For tests only: a scripted server, a token store in memory and a gate that counts.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response};
use futures_util::future::BoxFuture;

use super::client::{Client, ClientSettings};
use super::error::SalesforceError;
use super::http::{Http, HttpSettings};
use crate::clock::{Clock, parse_salesforce_datetime};
use crate::error::DeferReason;
use crate::ports::{
    CallGate, CallKind, CallRefused, CallReport, Credentials, Exchange, Held, PortError, Session, TokenStore,
};
use crate::secret::Secret;

pub(super) const CLIENT_ID: &str = "3MVG9consumer";
pub(super) const CLIENT_SECRET: &str = "consumer-secret";
pub(super) const ID_URL: &str = "https://login.salesforce.com/id/00Dx0000000BV7zEAG/005x00000012Q9PAAU";

/// A request as the script sees it.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    /// Path and query, decoded.
    pub(super) path: String,
    pub(super) query: String,
    pub(super) soql: Option<String>,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
    pub(super) uri_bytes: usize,
}

impl Seen {
    pub(super) fn bearer(&self) -> &str {
        self.headers.get("authorization").map_or("", |value| value.to_str().unwrap())
    }

    pub(super) fn form(&self, name: &str) -> Option<String> {
        url::form_urlencoded::parse(self.body.as_bytes())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    }
}

type Script = dyn Fn(&Seen) -> Response<Body> + Send + Sync;

/// A running server.
pub(super) struct Stub {
    pub(super) url: String,
    pub(super) seen: Arc<Mutex<Vec<Seen>>>,
}

#[derive(Clone)]
struct Shared {
    script: Arc<Script>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Stub {
    /// Starts a server that answers as `script` says; it ends with the test's runtime.
    pub(super) async fn start(script: impl Fn(&Seen) -> Response<Body> + Send + Sync + 'static) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let shared = Shared { script: Arc::new(script), seen: Arc::default() };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::clone(&shared.seen);
        let router = axum::Router::new().fallback(answer).with_state(shared);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, seen }
    }

    pub(super) fn count(&self, path: &str) -> usize {
        self.seen.lock().unwrap().iter().filter(|seen| seen.path.starts_with(path)).count()
    }

    /// A client of this server that already has a session, unless `generation` is 0.
    pub(super) fn client(&self, generation: i64) -> (Client, Arc<MemoryTokens>, Arc<CountingGate>) {
        self.client_with(generation, ClientSettings::default(), |_| {})
    }

    pub(super) fn client_with(
        &self,
        generation: i64,
        settings: ClientSettings,
        change: impl FnOnce(&mut HttpSettings),
    ) -> (Client, Arc<MemoryTokens>, Arc<CountingGate>) {
        let mut http = HttpSettings { allow_loopback: true, ..HttpSettings::default() };
        change(&mut http);
        let tokens = Arc::new(MemoryTokens::new(&self.url, generation));
        let gate = Arc::new(CountingGate::default());
        let clock = Clock::from_fn(|| parse_salesforce_datetime("2026-11-23T22:17:04.000Z").unwrap());
        let http = Http::new(&http).unwrap();
        (Client::new(http, tokens.clone(), gate.clone(), clock, settings), tokens, gate)
    }
}

async fn answer(State(shared): State<Shared>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let query = parts.uri.query().unwrap_or_default();
    let soql = url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "q");
    let seen = Seen {
        path: parts.uri.path().to_owned(),
        query: query.to_owned(),
        soql: soql.map(|(_, value)| value.into_owned()),
        headers: parts.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
        uri_bytes: parts.uri.to_string().len(),
    };
    shared.seen.lock().unwrap().push(seen.clone());
    (shared.script)(&seen)
}

/// A JSON answer; axum adds the Date header.
pub(super) fn json(status: u16, body: impl Into<Body>) -> Response<Body> {
    Response::builder()
        .status(status)
        .header("content-type", "application/json;charset=UTF-8")
        .header("sforce-limit-info", "api-usage=18/5000")
        .body(body.into())
        .unwrap()
}

pub(super) fn refusal(status: u16, code: &str, message: &str) -> Response<Body> {
    json(status, serde_json::json!([{"message": message, "errorCode": code}]).to_string())
}

/// A signed token answer.
pub(super) fn token(instance_url: &str, access_token: &str) -> Response<Body> {
    let signature = super::auth::answer::sign(CLIENT_SECRET, ID_URL, "1278448832702");
    let body = serde_json::json!({
        "access_token": access_token, "instance_url": instance_url, "id": ID_URL, "token_type": "Bearer",
        "issued_at": "1278448832702", "signature": signature, "scope": "api id refresh_token",
    });
    json(200, body.to_string())
}

/// A store as the port asks for, in memory; exchanges are serialised by a lock.
pub(super) struct MemoryTokens {
    session: Mutex<Option<Session>>,
    pub(super) credentials: Mutex<Credentials>,
    exchanging: tokio::sync::Mutex<()>,
    pub(super) exchanges: AtomicUsize,
    pub(super) generation: AtomicI64,
}

impl MemoryTokens {
    fn new(url: &str, generation: i64) -> Self {
        let session = (generation > 0).then(|| Session {
            access_token: Secret::new(format!("token{generation}")),
            instance_url: url.to_owned(),
            generation,
        });
        let credentials = Credentials::ClientCredentials {
            login_url: url.to_owned(),
            client_id: CLIENT_ID.to_owned(),
            client_secret: Secret::new(CLIENT_SECRET.to_owned()),
        };
        Self {
            session: Mutex::new(session),
            credentials: Mutex::new(credentials),
            exchanging: tokio::sync::Mutex::new(()),
            exchanges: AtomicUsize::new(0),
            generation: AtomicI64::new(generation),
        }
    }

    fn current(&self) -> Option<Session> {
        self.session.lock().unwrap().clone()
    }
}

impl TokenStore for MemoryTokens {
    fn session(&self) -> BoxFuture<'_, Result<Option<Session>, PortError>> {
        Box::pin(async { Ok(self.current()) })
    }

    fn renew(&self, stale: i64, exchange: Exchange) -> BoxFuture<'_, Result<Session, SalesforceError>> {
        Box::pin(async move {
            let _one_at_a_time = self.exchanging.lock().await;
            if let Some(session) = self.current().filter(|session| session.generation > stale) {
                return Ok(session);
            }
            self.exchanges.fetch_add(1, Ordering::SeqCst);
            let credentials = self.credentials.lock().unwrap().clone();
            let answer = exchange(credentials).await?;
            let session = Session {
                access_token: answer.access_token,
                instance_url: answer.instance_url,
                generation: self.generation.fetch_add(1, Ordering::SeqCst) + 1,
            };
            *self.session.lock().unwrap() = Some(session.clone());
            Ok(session)
        })
    }
}

/// Counts attempts and keeps reports; closed on demand.
#[derive(Default)]
pub(super) struct CountingGate {
    pub(super) closed: AtomicBool,
    pub(super) attempts: Mutex<Vec<CallKind>>,
    pub(super) reports: Mutex<Vec<CallReport>>,
}

impl CallGate for CountingGate {
    fn before_call(&self, kind: CallKind) -> BoxFuture<'_, Result<(), CallRefused>> {
        Box::pin(async move {
            if self.closed.load(Ordering::SeqCst) {
                let until = parse_salesforce_datetime("2026-11-24T00:00:00.000Z").unwrap();
                return Err(Held { until, why: DeferReason::Blackout }.into());
            }
            self.attempts.lock().unwrap().push(kind);
            Ok(())
        })
    }

    fn after_call(&self, report: CallReport) {
        // How long it took differs from run to run.
        self.reports.lock().unwrap().push(CallReport { took: Duration::ZERO, ..report });
    }
}
