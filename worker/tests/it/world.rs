//! One test's world: a migrated database, a simulated org with its connection, and a worker's jobs run in this
//! process, one after the other, as the dispatcher would hand them out.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use harness::{Schema, TestBed};
use refrain_shared::catalog::{Role, StandardObject};
use refrain_shared::clock::Clock;
use refrain_shared::config::Config;
use refrain_shared::crypto::KeyRing;
use refrain_shared::ids::{ConnectionId, ObjectId, SalesforceId, WorkerId};
use refrain_shared::job::ObjectSettings;
use refrain_shared::ports::{Credentials, TokenAnswer};
use refrain_shared::retention::Policy;
use refrain_shared::salesforce::{ClientSettings, Http};
use refrain_shared::secret::Secret;
use refrain_shared::storage::connection_secrets::secrets_put;
use refrain_shared::storage::control::connections::{NewConnection, connection_create};
use refrain_shared::storage::control::object_syncs::{NewObjectSync, object_sync_create};
use refrain_shared::storage::control::tenants::tenant_create;
use refrain_shared::storage::control::{ControlPool, control_pool};
use refrain_shared::storage::dispatch::{ClaimLimits, dispatch_claim, jobs_reconcile};
use refrain_shared::storage::jobs::worker_heartbeat;
use refrain_shared::storage::keys::keys_load;
use refrain_shared::storage::{ConnectOptions, Database, TlsMode, migrations};
use refrain_shared::tenant::{Actor, TenantScope};
use refrain_shared::wiring;
use refrain_worker::context::Context;
use refrain_worker::parents::SeenParents;
use refrain_worker::runner::run_message;
use refrain_worker::tenants::Tenants;
use salesforce_sim::org::Org;
use salesforce_sim::org::faults::{Fault, FaultRequest, Match};
use salesforce_sim::org::permissions::Permissions;
use salesforce_sim::store::State;
use salesforce_sim::{OrgOptions, Running, Simulator};
use sqlx::postgres::PgConnectOptions;
use tokio_util::sync::CancellationToken;

/// A verdict of "never".
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);
const LIMITS: ClaimLimits = ClaimLimits { batch: 100, unclaimed: Duration::from_secs(20) };
/// More turns than any story here takes.
const MOST_TURNS: usize = 400;

pub(crate) struct World {
    pub(crate) bed: TestBed,
    pub(crate) sim: Running,
    pub(crate) context: Context,
    pub(crate) control: ControlPool,
    pub(crate) scope: TenantScope,
    pub(crate) connection: ConnectionId,
    /// A folder of this test alone, removed with it.
    pub(crate) folder: PathBuf,
    /// The key ring that opens the tenant's keys.
    pub(crate) ring_file: PathBuf,
}

impl Drop for World {
    fn drop(&mut self) {
        // What is left of a failed removal is cleared with the machine's other temporary files.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl World {
    /// A tenant whose connection to a small org is proved.
    pub(crate) async fn new(test: &str) -> Self {
        Self::with_cases(test, 40).await
    }

    /// As [`Self::new`], with so many cases and what belongs to them.
    pub(crate) async fn with_cases(test: &str, cases: usize) -> Self {
        // Refused when another test of this process was first, which is as good.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let bed = TestBed::with_schema(test, Schema::new(&schema_bytes(), migrate)).await;
        let org = OrgOptions { cases, seed: 11, ..OrgOptions::default() };
        let sim = Simulator::start(salesforce_sim::Options { orgs: vec![org], ..Default::default() })
            .await
            .unwrap();
        let folder = std::env::temp_dir().join(bed.name());
        std::fs::create_dir_all(&folder).unwrap();
        let ring_file = folder.join("keys.toml");
        let context = context(&bed, &sim, KeyRing::create(&ring_file, "kek-1").unwrap());
        let control = control_pool(&options(&bed)).unwrap();
        // What is made up here is up to some years old; tests of retention shorten it.
        let tenant =
            tenant_create(&control, &context.ring, "Acme", &Policy::LONGEST, Actor::System).await.unwrap();
        let scope = TenantScope::authenticated(tenant.id);
        worker_heartbeat(&context.db, context.worker, 8, "test").await.unwrap();
        let connection = connect(&context, &control, &scope, &sim).await;
        Self { bed, sim, context, control, scope, connection, folder, ring_file }
    }

    pub(crate) async fn object(&self, api_name: &str, settings: ObjectSettings) -> ObjectId {
        let role = StandardObject::find(api_name).map_or(Role::Reference, |object| object.role);
        self.object_as(api_name, role, settings).await
    }

    pub(crate) async fn object_as(&self, api_name: &str, role: Role, settings: ObjectSettings) -> ObjectId {
        let new = NewObjectSync {
            api_name: api_name.to_owned(),
            role: role.word().to_owned(),
            interval_s: 3600,
            settings,
        };
        let made =
            object_sync_create(&self.control, &self.scope, self.connection, &new).await.unwrap().unwrap();
        jobs_reconcile(&self.context.db).await.unwrap();
        made.id
    }

    /// Another tenant whose connection to the same org is proved.
    pub(crate) async fn neighbour(&self) -> (TenantScope, ConnectionId) {
        let tenant =
            tenant_create(&self.control, &self.context.ring, "Umbra", &Policy::LONGEST, Actor::System)
                .await
                .unwrap();
        let scope = TenantScope::authenticated(tenant.id);
        (scope, connect(&self.context, &self.control, &scope, &self.sim).await)
    }

    /// A call of the simulator's control API about the org.
    pub(crate) async fn post(&self, path: &str, body: serde_json::Value) -> serde_json::Value {
        let url = format!("{}/orgs/{}/{path}", self.sim.ready.control, self.sim.ready.orgs[0].org_id);
        let answer = reqwest::Client::new().post(url).json(&body).send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// A new record of the org, stamped a minute ago; its id.
    pub(crate) async fn insert(&self, object: &str, fields: serde_json::Value) -> String {
        let body = serde_json::json!({"object": object, "fields": fields, "stamp": self.minute_ago()});
        self.post("records", body).await["id"].as_str().unwrap().to_owned()
    }

    /// Changes a record of the org.
    pub(crate) async fn change(&self, object: &str, id: &str, fields: serde_json::Value) {
        let body = serde_json::json!({"fields": fields, "stamp": self.minute_ago()});
        self.post(&format!("records/{object}/{id}"), body).await;
    }

    fn minute_ago(&self) -> String {
        salesforce_sim::time::rfc3339(self.org().clock.now_ms() - 60_000)
    }

    /// Runs every standing job once more, and whatever that makes due.
    pub(crate) async fn pass(&self) {
        self.sql("UPDATE jobs SET available_at = now()").await;
        self.run_until_quiet().await;
    }

    /// Lets the worker's clock run ahead by ten minutes: what happens in the org now is then well inside of what is asked
    /// for, whose seconds Salesforce may cut off.
    pub(crate) fn run_ahead(&mut self) {
        let system = Clock::system();
        self.context.clock = Clock::from_fn(move || system.now() + chrono::Duration::minutes(10));
    }

    /// Enables objects, loads them, and makes the jobs that then look for deletions.
    pub(crate) async fn loaded(&self, objects: &[&str]) -> Vec<ObjectId> {
        let mut ids = Vec::new();
        for object in objects {
            let settings = ObjectSettings { settle_s: 1, ..ObjectSettings::default() };
            ids.push(self.object(object, settings).await);
        }
        self.run_until_quiet().await;
        jobs_reconcile(&self.context.db).await.unwrap();
        ids
    }

    /// Makes the standing jobs that what was read asks for, and runs them: parents are followed for the first time, which
    /// tells what is to be read again, and that has a job then.
    pub(crate) async fn settle(&self) {
        for _ in 0..2 {
            jobs_reconcile(&self.context.db).await.unwrap();
            self.run_until_quiet().await;
        }
    }

    /// What is done to a record of the org: `delete`, `undelete` or `purge`.
    pub(crate) async fn act(&self, object: &str, id: &str, action: &str) {
        self.post(&format!("records/{object}/{id}/{action}"), serde_json::json!({})).await;
    }

    /// Gives the connection another client secret.
    pub(crate) async fn credentials(&self, client_secret: &str) {
        seal(&self.context, &self.scope, self.connection, &self.sim, client_secret).await;
    }

    /// Hides objects and fields from the integration user, and shows all others.
    pub(crate) fn hide(&self, objects: &[&str], fields: &[&str]) {
        let org = self.org();
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let changed_at = org.clock.now_ms();
        let hiding =
            Permissions::hiding(&org.catalog(), &names(objects), &names(fields), changed_at).unwrap();
        org.set_permissions_of(org.identity.user_id, hiding);
    }

    /// What the worker was configured with.
    pub(crate) fn config(&self) -> Config {
        config(&self.bed, &self.sim)
    }

    /// The simulated org.
    pub(crate) fn org(&self) -> Arc<Org> {
        self.sim.world.orgs().remove(0)
    }

    /// Answers calls whose statement has this part with an error of the platform.
    pub(crate) fn refuse(&self, soql: &str, times: u64, status: u16, code: &str) {
        let matches = Match { soql: Some(soql.to_owned()), ..Match::default() };
        self.refuse_matching(matches, times, status, code);
    }

    /// Answers one call whose path has this part with an error of the platform.
    pub(crate) fn refuse_path(&self, path: &str, status: u16, code: &str) {
        let matches = Match { path: Some(path.to_owned()), ..Match::default() };
        self.refuse_matching(matches, 1, status, code);
    }

    fn refuse_matching(&self, matches: Match, times: u64, status: u16, code: &str) {
        let fault = Fault::Error {
            status,
            code: code.to_owned(),
            message: "Your query request was running for too long.".to_owned(),
        };
        let org = self.org();
        let request = FaultRequest {
            matches,
            nth: 1,
            times: Some(times),
            for_ms: None,
            every: None,
            chance: None,
            fault,
        };
        org.faults().plant(request, org.clock.now_ms());
    }

    /// Runs due jobs, one at a time, until none is due; waits that a failure asked for are over at once.
    pub(crate) async fn run_until_quiet(&self) {
        for _ in 0..MOST_TURNS {
            self.sql("UPDATE jobs SET available_at = now() WHERE state = 0 AND reason IN ('retry', 'replan', 'lanes', 'bulk_running', 'repairs', 'unsettled')").await;
            if !self.turn().await {
                return;
            }
        }
        let due =
            self.sql("SELECT kind || ' ' || progress::text FROM jobs WHERE available_at <= now()").await;
        panic!("jobs are still due after {MOST_TURNS} rounds: {due:?}");
    }

    /// Runs what is due now, each job once; gives whether anything was.
    pub(crate) async fn turn(&self) -> bool {
        // A worker that was not heard of for half a minute, as on a busy machine, is given nothing.
        worker_heartbeat(&self.context.db, self.context.worker, 8, "test").await.unwrap();
        let claimed = dispatch_claim(&self.context.db, LIMITS).await.unwrap();
        for job in &claimed {
            run_message(&self.context, job.job, job.epoch).await;
        }
        !claimed.is_empty()
    }

    /// Runs SQL as the owner of the tables; the first column of each row, as text.
    pub(crate) async fn sql(&self, statements: &str) -> Vec<String> {
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
                    Some(row.get(0).unwrap_or_default().to_owned())
                }
                _ => None,
            })
            .collect()
    }

    /// The one value of a query, as text.
    pub(crate) async fn value(&self, statement: &str) -> String {
        let mut rows = self.sql(statement).await;
        assert_eq!(rows.len(), 1, "{statement}");
        rows.remove(0)
    }

    /// How many records of an object are alive in the org.
    pub(crate) fn truth(&self, api_name: &str) -> usize {
        let org = self.org();
        let store = org.records();
        let table = store.table(api_name);
        table.handles().filter(|handle| table.state(*handle) == Some(State::Live)).count()
    }
}

pub(crate) fn options(bed: &TestBed) -> ConnectOptions {
    ConnectOptions {
        url: Secret::new(bed.database_url().to_owned()),
        tls: TlsMode::Disable,
        ca_file: None,
        pool_size: 8,
    }
}

fn config(bed: &TestBed, sim: &Running) -> Config {
    let text = format!(
        "[database]\nurl = '{}'\n[broker]\nurl = '{}'\n[salesforce]\nca_file = '{}'\nallow_loopback = true\n",
        bed.database_url(),
        bed.amqp_url(),
        sim.ca_file.display()
    );
    Config::from_text(&text, []).unwrap()
}

fn context(bed: &TestBed, sim: &Running, ring: KeyRing) -> Context {
    let config = config(bed, sim);
    let http = wiring::http_settings(&config).unwrap();
    Context {
        worker: WorkerId::generate(),
        db: Database::open(&options(bed)).unwrap(),
        ring: Arc::new(ring),
        http: Http::new(&http).unwrap(),
        client: ClientSettings::default(),
        chunks: refrain_shared::storage::chunks::ChunkStore::default(),
        commit_rows: 2000,
        calls_per_second: config.salesforce.calls_per_second,
        call_timeout: http.total_timeout,
        clock: Clock::system(),
        tenants: Tenants::default(),
        parents: SeenParents::default(),
        suspect: tokio::sync::Mutex::default(),
        draining: CancellationToken::new(),
    }
}

/// Stores what a proof would have brought; the first call renews the session, which does not work.
async fn connect(
    context: &Context,
    control: &ControlPool,
    scope: &TenantScope,
    sim: &Running,
) -> ConnectionId {
    let (id, entry) = (ConnectionId::generate(), &sim.orgs[0]);
    seal(context, scope, id, sim, &entry.client_secret).await;
    let (org_id, user_id) = identity(sim);
    let new = NewConnection {
        id,
        name: "production".to_owned(),
        login_url: entry.instance_url.clone(),
        auth_method: "client_credentials",
        client_id: entry.client_id.clone(),
        username: None,
        org_id,
        user_id,
    };
    connection_create(control, scope, &new).await.unwrap().id
}

fn identity(sim: &Running) -> (SalesforceId, SalesforceId) {
    let parse = |text: &str| SalesforceId::parse(text).unwrap();
    (parse(&sim.orgs[0].org_id), parse(&sim.world.orgs()[0].identity.user_id.to_string()))
}

async fn seal(context: &Context, scope: &TenantScope, id: ConnectionId, sim: &Running, client_secret: &str) {
    let entry = &sim.orgs[0];
    let (org_id, user_id) = identity(sim);
    let credentials = Credentials::ClientCredentials {
        login_url: entry.instance_url.clone(),
        client_id: entry.client_id.clone(),
        client_secret: Secret::new(client_secret.to_owned()),
    };
    let answer = TokenAnswer {
        access_token: Secret::new("expired".to_owned()),
        refresh_token: None,
        instance_url: entry.instance_url.clone(),
        org_id,
        user_id,
        scopes: Vec::new(),
        issued_at: None,
    };
    let (_, keys) = keys_load(&context.db, &context.ring, scope).await.unwrap();
    secrets_put(&context.db, scope, &keys, id, &credentials, &answer).await.unwrap();
}

async fn migrate(url: String) -> Result<(), String> {
    let options = PgConnectOptions::from_str(&url).map_err(|e| e.to_string())?;
    let mut connection = migrations::connect(options).await.map_err(|e| e.to_string())?;
    let applied = migrations::apply(&mut connection).await.map_err(|e| e.to_string());
    migrations::close(connection).await;
    applied
}

fn schema_bytes() -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../migrations");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().flat_map(|file| std::fs::read(file).unwrap()).collect()
}
