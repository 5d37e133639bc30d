//! One test's world: a migrated database, a vhost, a key ring, and what most tests need in them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use harness::{Schema, TestBed};
use refrain_scheduler::api::{Api, router};
use refrain_scheduler::probe::{ConnectionProbe, Proof, Unproved};
use refrain_scheduler::rounds::Wakes;
use refrain_scheduler::{operator_key, schema};
use refrain_shared::catalog::StandardObject;
use refrain_shared::clock::Clock;
use refrain_shared::crypto::KeyRing;
use refrain_shared::error::UserMessage;
use refrain_shared::ids::{ConnectionId, ObjectId, SalesforceId, WorkerId};
use refrain_shared::job::ObjectSettings;
use refrain_shared::ports::{Credentials, TokenAnswer, TokenStore};
use refrain_shared::queue::BrokerOptions;
use refrain_shared::retention::Policy;
use refrain_shared::salesforce::identity::Identity;
use refrain_shared::secret::Secret;
use refrain_shared::storage::control::connections::{NewConnection, connection_create};
use refrain_shared::storage::control::object_syncs::{NewObjectSync, object_sync_create};
use refrain_shared::storage::control::tenants::tenant_create;
use refrain_shared::storage::control::{ControlPool, control_pool};
use refrain_shared::storage::jobs::worker_heartbeat;
use refrain_shared::storage::{ConnectOptions, Database, TlsMode};
use refrain_shared::tenant::{Actor, TenantScope};
use reqwest::{Method, StatusCode};
use serde_json::Value;

/// Generous: passing tests never wait so long.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);
pub(crate) const ORG: &str = "00D000000000001EAA";
pub(crate) const USER: &str = "005000000000001AAA";

/// A folder of one test, removed with it.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn of(bed: &TestBed) -> Self {
        let path = std::env::temp_dir().join(bed.name());
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left of a failed removal is cleared with the machine's other temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) struct World {
    pub(crate) bed: TestBed,
    pub(crate) db: Database,
    pub(crate) control: ControlPool,
    pub(crate) ring: Arc<KeyRing>,
    pub(crate) directory: Folder,
}

fn options(url: &str) -> ConnectOptions {
    ConnectOptions { url: Secret::new(url.to_owned()), tls: TlsMode::Disable, ca_file: None, pool_size: 8 }
}

fn migrations() -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../migrations");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().flat_map(|file| std::fs::read(file).unwrap()).collect()
}

impl World {
    pub(crate) async fn new(test: &str) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let schema =
            Schema::new(&migrations(), async |url: String| schema::migrate(&options(&url)).await.map(drop));
        let bed = TestBed::with_schema(test, schema).await;
        let directory = Folder::of(&bed);
        let options = options(bed.database_url());
        Self {
            db: Database::open(&options).unwrap(),
            control: control_pool(&options).unwrap(),
            ring: Arc::new(KeyRing::create(&directory.join("keys.toml"), "kek-1").unwrap()),
            directory,
            bed,
        }
    }

    pub(crate) fn broker(&self) -> BrokerOptions {
        BrokerOptions { url: Secret::new(self.bed.amqp_url().to_owned()), ca_file: None }
    }

    /// Runs SQL as the owner of the tables, past all roles: for what only time or a fault would bring about.
    pub(crate) async fn sql(&self, statements: &str) -> Vec<Vec<Option<String>>> {
        let (client, connection) =
            tokio_postgres::connect(self.bed.database_url(), tokio_postgres::NoTls).await.unwrap();
        let driver = tokio::spawn(connection);
        let messages = client.simple_query(statements).await.unwrap();
        drop(client);
        driver.await.unwrap().unwrap();
        messages
            .iter()
            .filter_map(|message| match message {
                tokio_postgres::SimpleQueryMessage::Row(row) => {
                    Some((0..row.len()).map(|column| row.get(column).map(str::to_owned)).collect())
                }
                _ => None,
            })
            .collect()
    }

    /// One value, as text.
    pub(crate) async fn value(&self, statement: &str) -> String {
        self.sql(statement).await.remove(0).remove(0).unwrap_or_default()
    }

    pub(crate) async fn tenant(&self, name: &str) -> TenantScope {
        let made =
            tenant_create(&self.control, &self.ring, name, &Policy::default(), Actor::System).await.unwrap();
        TenantScope::authenticated(made.id)
    }

    pub(crate) async fn connection(&self, scope: &TenantScope) -> ConnectionId {
        let new = NewConnection {
            id: ConnectionId::generate(),
            name: "production".to_owned(),
            login_url: "https://acme.my.salesforce.com".to_owned(),
            auth_method: "client_credentials",
            client_id: "client".to_owned(),
            username: None,
            org_id: SalesforceId::parse(ORG).unwrap(),
            user_id: SalesforceId::parse(USER).unwrap(),
        };
        connection_create(&self.control, scope, &new).await.unwrap().id
    }

    pub(crate) async fn object(&self, scope: &TenantScope, connection: ConnectionId, name: &str) -> ObjectId {
        let new = NewObjectSync {
            api_name: name.to_owned(),
            role: StandardObject::find(name).unwrap().role.word().to_owned(),
            interval_s: 3600,
            settings: ObjectSettings::default(),
        };
        object_sync_create(&self.control, scope, connection, &new).await.unwrap().unwrap().id
    }

    /// A tenant with `count` due jobs of a class, in an org whose lanes are more than enough.
    pub(crate) async fn due_jobs(&self, name: &str, count: u32, class: i16) -> TenantScope {
        let scope = self.tenant(name).await;
        let connection = self.connection(&scope).await;
        self.sql(&format!(
            "INSERT INTO org_limits (org_id, settings) VALUES ('{ORG}', '{{\"lanes\": 1000}}') ON CONFLICT DO NOTHING;
             INSERT INTO jobs (tenant_id, connection_id, org_id, kind, class)
             SELECT '{}', '{}', '{ORG}', 'backfill', {class} FROM generate_series(1, {count})",
            scope.tenant().0,
            connection.0
        ))
        .await;
        scope
    }

    /// A bare ticket of this object.
    pub(crate) async fn ticket_of(&self, object: &str) {
        let object = object.trim_start_matches("obj_");
        self.sql(&format!(
            "INSERT INTO tickets (tenant_id, connection_id, object_id, record_id, state, last_activity_at, mapping_epoch, feed_seq)
             SELECT tenant_id, connection_id, object_id, '5003000000D8cuIAAR', 0, now(), 0, 1
               FROM object_syncs WHERE object_id = {object}"
        ))
        .await;
    }

    pub(crate) async fn live_worker(&self, slots: i32) {
        worker_heartbeat(&self.db, WorkerId::generate(), slots, "test").await.unwrap();
    }

    /// Serves the API in this process.
    pub(crate) async fn serve(&self, probe: FakeProbe) -> Served {
        let key_file = self.directory.join("operator.key");
        operator_key::ensure(&self.control, &key_file).await.unwrap();
        let api = Arc::new(Api {
            control: self.control.clone(),
            db: self.db.clone(),
            chunks: refrain_shared::storage::chunks::ChunkStore::default(),
            ring: Arc::clone(&self.ring),
            probe: Arc::new(probe),
            broker: self.broker(),
            clock: Clock::system(),
            wakes: Wakes::default(),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router(api)).await });
        let operator = std::fs::read_to_string(key_file).unwrap().trim().to_owned();
        Served { url, operator, http: reqwest::Client::new() }
    }
}

/// The API in this process.
pub(crate) struct Served {
    pub(crate) url: String,
    pub(crate) operator: String,
    pub(crate) http: reqwest::Client,
}

/// An answer of the API.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) content_type: String,
    pub(crate) body: Value,
}

impl Served {
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: Option<&Value>,
    ) -> Answer {
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        if let Some(key) = key {
            request = request.bearer_auth(key);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.unwrap();
        let status = response.status();
        let content_type = response.headers()["content-type"].to_str().unwrap().to_owned();
        let text = response.text().await.unwrap();
        Answer { status, content_type, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, Some(&self.operator), None).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask(Method::POST, path, Some(&self.operator), Some(body)).await
    }

    /// A new key of the tenant.
    pub(crate) async fn tenant_key(&self, scope: &TenantScope, role: &str) -> String {
        let body = serde_json::json!({ "name": "test", "role": role });
        let made = self.post(&format!("/v1/tenants/{}/keys", scope.tenant()), &body).await;
        assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
        made.body["key"].as_str().unwrap().to_owned()
    }
}

/// What Salesforce is said to answer.
#[derive(Clone, Copy)]
pub(crate) enum FakeProbe {
    Works,
    AnotherOrg,
    Refuses,
    Away,
}

impl FakeProbe {
    fn unproved(self) -> Unproved {
        match self {
            Self::Works | Self::AnotherOrg => unreachable!("only asked when it does not work"),
            Self::Refuses => Unproved::Ask(UserMessage::new(
                "invalid_client",
                "Salesforce refused the client secret.",
                "The secret was rotated.",
                "Paste the new one.",
            )),
            Self::Away => Unproved::Later("Salesforce did not answer.".to_owned()),
        }
    }
}

impl ConnectionProbe for FakeProbe {
    fn prove(&self, _credentials: Credentials) -> BoxFuture<'_, Result<Proof, Unproved>> {
        Box::pin(async {
            let org = match self {
                Self::Works => ORG,
                Self::AnotherOrg => "00D000000000009EAA",
                Self::Refuses | Self::Away => return Err(self.unproved()),
            };
            let (org_id, user_id) = (SalesforceId::parse(org).unwrap(), SalesforceId::parse(USER).unwrap());
            let answer = TokenAnswer {
                access_token: Secret::new("token".to_owned()),
                refresh_token: None,
                instance_url: "https://acme.my.salesforce.com".to_owned(),
                org_id,
                user_id,
                scopes: Vec::new(),
                issued_at: None,
            };
            Ok(Proof { org_id, user_id, answer })
        })
    }

    fn check(
        &self,
        _tokens: Arc<dyn TokenStore>,
        _org: Option<SalesforceId>,
    ) -> BoxFuture<'_, Result<Identity, Unproved>> {
        Box::pin(async {
            if !matches!(self, Self::Works) {
                return Err(self.unproved());
            }
            Ok(Identity {
                org_id: SalesforceId::parse(ORG).unwrap(),
                user_id: SalesforceId::parse(USER).unwrap(),
                username: None,
            })
        })
    }
}
