//! The client against recorded answers of real orgs, replayed over HTTP: every recorded refusal gets a
//! class, every recorded page and describe is read.
//!
//! The recordings are not part of the repository; their folder is named by `SALESFORCE_SAMPLES`.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::State;
use axum::http::Response;
use futures_util::future::BoxFuture;
use refrain_shared::clock::{Clock, parse_salesforce_datetime};
use refrain_shared::error::Classify;
use refrain_shared::ids::SalesforceId;
use refrain_shared::ports::{
    CallGate, CallKind, CallRefused, CallReport, Credentials, Exchange, PortError, Session, TokenStore,
};
use refrain_shared::salesforce::describe::Described;
use refrain_shared::salesforce::query::Scope;
use refrain_shared::salesforce::soql::{ObjectName, Soql};
use refrain_shared::salesforce::{
    ApiFault, ApiUsage, Client, ClientSettings, FaultKind, Http, HttpSettings, OAuthFault, OAuthKind,
    SalesforceError,
};
use refrain_shared::secret::Secret;
use serde_json::Value;

/// The folder, or a loud note that the test was skipped.
fn samples(test: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("SALESFORCE_SAMPLES").map(PathBuf::from).filter(|folder| folder.is_dir());
    if folder.is_none() {
        eprintln!("{test}: SKIPPED, SALESFORCE_SAMPLES does not name the folder of recorded answers");
    }
    folder
}

/// The files of a folder with their JSON, by name.
fn read(folder: &Path) -> Vec<(String, Value)> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    files
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            (path.file_name().unwrap().to_string_lossy().into_owned(), serde_json::from_str(&text).unwrap())
        })
        .collect()
}

/// One recorded answer.
#[derive(Debug, Clone)]
struct Recorded {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl Recorded {
    fn ok(body: &Value) -> Self {
        Self { status: 200, headers: Vec::new(), body: body.to_string() }
    }

    /// The answers of an exchange file to requests of this form, with their URIs.
    fn exchanges(file: &Value, wanted: impl Fn(&str, &str) -> bool) -> Vec<Self> {
        let list = file.as_array().cloned().unwrap_or_else(|| vec![file.clone()]);
        list.iter()
            .filter(|exchange| {
                let text = |key: &str| exchange["request"][key].as_str().unwrap_or_default();
                wanted(text("method"), text("uri"))
            })
            .map(|exchange| {
                let response = &exchange["response"];
                let headers = response["headers"].as_object().unwrap().iter().map(|(name, value)| {
                    let value = value.as_array().and_then(|all| all.first()).unwrap_or(value);
                    (name.clone(), value.as_str().unwrap().to_owned())
                });
                Self {
                    status: u16::try_from(response["status"]["code"].as_u64().unwrap()).unwrap(),
                    // Framing belongs to the connection that was recorded.
                    headers: headers.filter(|(name, _)| is_kept(name)).collect(),
                    body: response["body"].as_str().unwrap().to_owned(),
                }
            })
            .collect()
    }
}

fn is_kept(header: &str) -> bool {
    let framing = ["transfer-encoding", "content-length", "content-encoding", "connection"];
    !framing.iter().any(|name| header.eq_ignore_ascii_case(name))
}

/// A server that gives one recorded answer to every request.
struct Replay {
    client: Client,
    answer: Arc<Mutex<Recorded>>,
    usages: Arc<Usages>,
}

impl Replay {
    async fn start() -> Self {
        Self::start_with(Some("token")).await
    }

    /// With this access token, or with none yet.
    async fn start_with(access_token: Option<&'static str>) -> Self {
        let answer = Arc::new(Mutex::new(Recorded { status: 500, headers: Vec::new(), body: String::new() }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = axum::Router::new().fallback(replay).with_state(Arc::clone(&answer));
        tokio::spawn(async move { axum::serve(listener, router).await });
        // The recordings are older than My Domain hosts for everybody.
        let extra_hosts = vec![".salesforce.com".to_owned()];
        let settings = HttpSettings { allow_loopback: true, extra_hosts, ..HttpSettings::default() };
        let usages = Arc::new(Usages::default());
        let clock = Clock::from_fn(|| parse_salesforce_datetime("2026-11-23T22:17:04.000Z").unwrap());
        let client = Client::new(
            Http::new(&settings).unwrap(),
            Arc::new(OneSession { url, access_token }),
            usages.clone(),
            clock,
            ClientSettings::default(),
        );
        Self { client, answer, usages }
    }

    fn set(&self, answer: &Recorded) {
        *self.answer.lock().unwrap() = answer.clone();
    }
}

async fn replay(State(answer): State<Arc<Mutex<Recorded>>>) -> Response<Body> {
    let Recorded { status, headers, body } = answer.lock().unwrap().clone();
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(name, value);
    }
    response.body(Body::from(body)).unwrap()
}

/// A session that never needs renewal, or a refresh for each use where there is none.
struct OneSession {
    url: String,
    access_token: Option<&'static str>,
}

impl TokenStore for OneSession {
    fn session(&self) -> BoxFuture<'_, Result<Option<Session>, PortError>> {
        let session = self.access_token.map(|token| Session {
            access_token: Secret::new(token.to_owned()),
            instance_url: self.url.clone(),
            generation: 1,
        });
        Box::pin(async move { Ok(session) })
    }

    fn renew(&self, _stale: i64, exchange: Exchange) -> BoxFuture<'_, Result<Session, SalesforceError>> {
        let credentials = Credentials::Refresh {
            login_url: self.url.clone(),
            client_id: "client".to_owned(),
            client_secret: None,
            refresh_token: Secret::new("refresh".to_owned()),
            previous_refresh_token: None,
        };
        Box::pin(async move {
            let answer = exchange(credentials).await?;
            Ok(Session {
                access_token: answer.access_token,
                instance_url: answer.instance_url,
                generation: 2,
            })
        })
    }
}

/// Lets everything through and keeps what the headers said.
#[derive(Default)]
struct Usages(Mutex<Vec<ApiUsage>>);

impl CallGate for Usages {
    fn before_call(&self, _kind: CallKind) -> BoxFuture<'_, Result<(), CallRefused>> {
        Box::pin(async { Ok(()) })
    }

    fn after_call(&self, report: CallReport) {
        self.0.lock().unwrap().extend(report.usage);
    }
}

fn soql() -> Soql {
    Soql::probe(&ObjectName::parse("Case").unwrap())
}

/// Rows of the page that is replayed.
async fn rows(replay: &Replay, name: &str) -> usize {
    let page = replay.client.query(soql(), Scope::Live).next_page().await;
    let page = page.unwrap_or_else(|error| panic!("{name}: {error}")).unwrap();
    assert_eq!(page.records().len(), page.rows, "{name}");
    page.rows
}

#[tokio::test]
async fn every_recorded_page_is_read() {
    let Some(folder) = samples("every_recorded_page_is_read") else { return };
    let replay = Replay::start().await;
    let mut read_pages = 0;
    for (name, file) in read(&folder.join("query")) {
        if file.get("records").is_some() {
            replay.set(&Recorded::ok(&file));
            assert_eq!(rows(&replay, &name).await, file["records"].as_array().unwrap().len(), "{name}");
            read_pages += 1;
        }
    }
    for (name, file) in read(&folder.join("exchange")) {
        for recorded in Recorded::exchanges(&file, |method, uri| method == "GET" && uri.contains("/query")) {
            if recorded.status == 200 && recorded.body.contains("totalSize") {
                replay.set(&recorded);
                rows(&replay, &name).await;
                read_pages += 1;
            }
        }
    }
    assert!(read_pages > 15, "{read_pages}");
    let seen = replay.usages.0.lock().unwrap().clone();
    assert!(seen.contains(&ApiUsage { used: 23, limit: 15_000 }), "{seen:?}");
}

#[tokio::test]
async fn every_recorded_refusal_gets_a_class() {
    let Some(folder) = samples("every_recorded_refusal_gets_a_class") else { return };
    let expect = |name: &str| match name {
        "REQUEST_LIMIT_EXCEEDED" => FaultKind::DailyLimit,
        "API_CURRENTLY_DISABLED" => FaultKind::ApiDisabled,
        "EXCEEDED_ID_LIMIT" | "QUERY_TIMEOUT" => FaultKind::TooLarge,
        "MALFORMED_QUERY implementation restriction" => FaultKind::NotQueryable,
        "MALFORMED_QUERY too long" => FaultKind::OurMistake,
        "XML error to a JSON caller" | "NOT_FOUND errorCode first" => FaultKind::NotFound,
        // A validation rule of a write, which we never do.
        "several errors in one answer" => FaultKind::Unknown,
        other => panic!("a recording without an expectation: {other}"),
    };
    for (name, file) in read(&folder.join("errors")) {
        let found = |status| ApiFault::read(status, file.to_string().as_bytes()).kind;
        match name.as_str() {
            "entity_is_deleted.json" => assert_eq!(found(404), FaultKind::Deleted),
            "invalid_field_query.json" => assert_eq!(found(400), FaultKind::UnknownField),
            "invalid_session_id_401.json" => assert_eq!(found(401), FaultKind::SessionExpired),
            "not_found_external_id.json" => assert_eq!(found(404), FaultKind::NotFound),
            "error-bodies.json" => {
                for entry in file.as_array().unwrap() {
                    let name = entry["name"].as_str().unwrap();
                    let status = entry["status"].as_u64().and_then(|status| u16::try_from(status).ok());
                    let body =
                        entry["body"].as_str().map_or_else(|| entry["body"].to_string(), str::to_owned);
                    let Some(status) = status.filter(|_| !name.starts_with("oauth")) else { continue };
                    assert_eq!(ApiFault::read(status, body.as_bytes()).kind, expect(name), "{name}");
                }
            }
            // Refusals of writes: only that they are read at all.
            _ => assert_ne!(ApiFault::read(400, file.to_string().as_bytes()).code, "HTTP", "{name}"),
        }
    }
}

#[tokio::test]
async fn a_recorded_refused_query_parks_its_object() {
    let Some(folder) = samples("a_recorded_refused_query_parks_its_object") else { return };
    let replay = Replay::start().await;
    let file = read(&folder.join("exchange"));
    let (_, file) = file.iter().find(|(name, _)| name.starts_with("query_400_invalid_type")).unwrap();
    let recorded = Recorded::exchanges(file, |_, uri| uri.contains("/query"));
    replay.set(&recorded[0]);
    let error = replay.client.query(soql(), Scope::Live).next_page().await.unwrap_err();
    assert_eq!(error.fault().unwrap().object.as_deref(), Some("Xyzzy"));
    let now = parse_salesforce_datetime("2026-11-23T22:17:04.000Z").unwrap();
    assert_eq!(error.disposition(now).word(), "park_object");
    assert!(!error.to_string().contains('\n'));
}

#[tokio::test]
async fn recorded_describes_are_read() {
    let Some(folder) = samples("recorded_describes_are_read") else { return };
    let replay = Replay::start().await;
    for (name, file) in read(&folder.join("describe")) {
        replay.set(&Recorded::ok(&file));
        let object = ObjectName::parse(file["name"].as_str().unwrap()).unwrap();
        let Described::Found { describe, .. } = replay.client.describe(&object, None).await.unwrap() else {
            panic!("{name} was not found");
        };
        assert_eq!(describe.fields.len(), file["fields"].as_array().unwrap().len(), "{name}");
        assert_eq!(describe.cursor_field(), Some("SystemModstamp"), "{name}");
    }
    for (name, file) in read(&folder.join("global")) {
        replay.set(&Recorded::ok(&file));
        let listed = replay.client.describe_global().await.unwrap();
        assert_eq!(listed.len(), file["sobjects"].as_array().unwrap().len(), "{name}");
        let feed = listed.iter().find(|object| object.name == "UserFeed").unwrap();
        assert_eq!(feed.associate_parent_entity.as_deref(), Some("User"));
    }
}

#[tokio::test]
async fn recorded_token_answers_and_refusals_are_told_apart() {
    let Some(folder) = samples("recorded_token_answers_and_refusals_are_told_apart") else { return };
    let replay = Replay::start_with(None).await;
    for (name, file) in read(&folder.join("oauth")) {
        if let Some(error) = file.get("error") {
            let kind = OAuthFault::read(400, file.to_string().as_bytes()).kind;
            assert_eq!(error, "invalid_grant", "{name}");
            let expected =
                if name.contains("expired") { OAuthKind::GrantExpired } else { OAuthKind::GrantRefused };
            assert_eq!(kind, expected, "{name}");
            continue;
        }
        // The recorders replaced some orgs and users by words, or by ids whose check characters are wrong.
        let ids: Vec<&str> = file["id"].as_str().unwrap().rsplit('/').take(2).collect();
        let genuine = ids.iter().all(|id| SalesforceId::parse(id).is_ok());
        replay.set(&Recorded::ok(&file));
        match replay.client.log_in().await {
            Ok(()) => assert!(genuine, "{name}"),
            Err(error) => {
                assert_eq!(error.code(), "salesforce_unreadable", "{name}: {error}");
                assert!(!genuine, "{name}");
            }
        }
    }
}

#[tokio::test]
async fn recorded_limits_and_versions_are_read() {
    let Some(folder) = samples("recorded_limits_and_versions_are_read") else { return };
    let replay = Replay::start().await;
    for (name, file) in read(&folder.join("limits")) {
        replay.set(&Recorded::ok(&file));
        let usage = replay.client.daily_allowance().await.unwrap().unwrap();
        assert_eq!(usage.limit, file["DailyApiRequests"]["Max"].as_u64().unwrap(), "{name}");
    }
    for (name, file) in read(&folder.join("query")) {
        if name == "versions.json" {
            replay.set(&Recorded::ok(&file));
            let error = replay.client.check_version().await.unwrap_err();
            let newest = file.as_array().unwrap().last().unwrap()["version"].as_str().unwrap();
            assert!(error.to_string().ends_with(newest), "{error}");
        }
    }
}
