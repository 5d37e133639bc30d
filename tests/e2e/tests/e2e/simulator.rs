//! One simulator for all tests, and an org of it for each tenant.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use demo::org::Org;
use demo::stack::guard::Guard;
use demo::stack::{OrgEntry, Ready, Simulator, SimulatorOptions};
use harness::wait::eventually;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::{DEADLINE, programs};

/// More than a test can spend.
const DAILY_CALLS: u64 = 1_000_000;

/// The guard ends the simulator when this process is gone: what is static is never dropped.
static SIMULATOR: OnceCell<(Guard, Simulator)> = OnceCell::const_new();

/// The addresses of the simulator, started when first asked for.
pub(crate) async fn ready() -> &'static Ready {
    let start = async || {
        programs::shipped().await;
        let guard = Guard::start().unwrap();
        let options = SimulatorOptions { cases: 1, seed: 1, daily_max: 1, directory: directory() };
        let simulator = Simulator::start("e2e_simulator", &options, Some(&guard)).await.unwrap();
        (guard, simulator)
    };
    &SIMULATOR.get_or_init(start).await.1.ready
}

/// A folder of this process for the simulator's certificate; those of processes that are gone are removed.
fn directory() -> PathBuf {
    let all = Path::new(env!("CARGO_TARGET_TMPDIR")).join("e2e-simulator");
    for old in std::fs::read_dir(&all).into_iter().flatten().flatten() {
        if !Path::new("/proc").join(old.file_name()).exists() {
            // Another process may be removing it as well.
            let _ = std::fs::remove_dir_all(old.path());
        }
    }
    all.join(std::process::id().to_string())
}

/// What an org is like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// Cases; the other objects follow in proportion.
    pub(crate) cases: u32,
    /// The same seed gives the same record ids.
    pub(crate) seed: u64,
    /// Rows of a page at most, so that a small org has many pages.
    pub(crate) page_rows: u32,
}

/// An org of its own.
#[derive(Debug)]
pub(crate) struct Simulated {
    pub(crate) entry: OrgEntry,
    pub(crate) org: Org,
}

/// A call as the org saw it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Call {
    #[serde(default)]
    pub(crate) soql: String,
    pub(crate) status: u16,
    pub(crate) rows: u64,
}

impl Simulated {
    pub(crate) async fn new(shape: Shape) -> Self {
        let ready = ready().await;
        let made = reqwest::Client::new()
            .post(format!("{}/orgs", ready.control))
            .json(&json!({"cases": shape.cases, "seed": shape.seed, "daily_max": DAILY_CALLS}))
            .send()
            .await;
        let entry: OrgEntry = made.unwrap().error_for_status().unwrap().json().await.unwrap();
        let org = Org::new(&ready.control, &entry.org_id);
        let simulated = Self { entry, org };
        simulated.control("limits", json!({"page_rows": shape.page_rows})).await;
        simulated
    }

    /// A call of the control API that cannot fail.
    pub(crate) async fn control(&self, path: &str, body: Value) -> Value {
        self.org.post(path, &body).await.unwrap()
    }

    /// Makes the `nth` query that contains this text go wrong.
    pub(crate) async fn fault(&self, soql: &str, nth: u32, fault: Value) {
        self.control("faults", json!({"match": {"soql": soql}, "nth": nth, "fault": fault})).await;
    }

    /// Every call of the org so far.
    pub(crate) async fn calls(&self) -> Vec<Call> {
        let url = format!("{}/orgs/{}/calls/log", ready().await.control, self.entry.org_id);
        let text = reqwest::get(url).await.unwrap().error_for_status().unwrap().text().await.unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Every record of an object as the simulator's ground truth has it.
    pub(crate) async fn truth(&self, object: &str) -> Vec<Value> {
        let url = format!("{}/orgs/{}/truth/{object}", ready().await.control, self.entry.org_id);
        let text = reqwest::get(url).await.unwrap().error_for_status().unwrap().text().await.unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// A place where one call waits until it is opened.
#[derive(Debug)]
pub(crate) struct Gate {
    org: Org,
    name: String,
}

impl Simulated {
    /// Makes the `nth` query that contains this text wait; it is answered with what is true once the gate opens.
    pub(crate) async fn hold(&self, soql: &str, nth: u32) -> Gate {
        self.gate(soql, nth, "hold").await
    }

    /// Makes the answer to the `nth` query that contains this text wait on its way.
    pub(crate) async fn hold_answer(&self, soql: &str, nth: u32) -> Gate {
        self.gate(soql, nth, "hold_answer").await
    }

    async fn gate(&self, soql: &str, nth: u32, kind: &str) -> Gate {
        static GATES: AtomicU32 = AtomicU32::new(0);
        let name = format!("gate-{}", GATES.fetch_add(1, Ordering::Relaxed));
        self.fault(soql, nth, json!({"kind": kind, "gate": name})).await;
        Gate { org: self.org.clone(), name }
    }
}

impl Gate {
    /// Waits until a call stands before the gate.
    pub(crate) async fn reached(&self) {
        let path = format!("gates/{}", self.name);
        eventually(DEADLINE, "a call at the gate", async || {
            let waiting: Value = self.org.get(&path).await.unwrap();
            (waiting["waiting"].as_u64().unwrap() > 0).then_some(())
        })
        .await;
    }

    /// Lets everything pass.
    pub(crate) async fn open(&self) {
        let url = format!("{}/gates/{}/open", ready().await.control, self.name);
        reqwest::Client::new().post(url).send().await.unwrap().error_for_status().unwrap();
    }
}
