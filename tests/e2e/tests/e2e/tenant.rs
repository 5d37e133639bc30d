//! A tenant with one connected org: what it asked for, what is here, and whether the two are the same.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use demo::objects::wanted;
use demo::refrain::{Ask, ObjectStatus, Refrain};
use demo::verify::{self, Target};
use harness::wait::{eventually, eventually_ok, pass};
use serde::Deserialize;

use crate::DEADLINE;
use crate::simulator::{Shape, Simulated};
use crate::stack::Stack;

/// A pass by cadence would come in between; tests ask for each pass.
const NEVER_S: u32 = 86_400;
/// How long after an unfruitful "sync now" the next one is sent.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// A tenant of a stack.
pub(crate) struct Tenant {
    pub(crate) id: String,
    pub(crate) connection: String,
    pub(crate) simulated: Simulated,
    /// Object syncs by API name.
    pub(crate) objects: BTreeMap<String, String>,
    target: Target,
}

#[derive(Deserialize)]
struct Jobs {
    jobs: Vec<Job>,
}

#[derive(Deserialize)]
struct Job {
    waits_for: Option<WaitsFor>,
}

#[derive(Deserialize)]
struct WaitsFor {
    reason: String,
}

impl Tenant {
    /// Makes a tenant, connects a new org and asks for every object.
    pub(crate) async fn connect(stack: &Stack, shape: Shape) -> Self {
        let mut tenant = Self::without_objects(stack, shape).await;
        tenant.ask_for_objects(stack).await;
        tenant
    }

    /// Makes a tenant and connects a new org; nothing is read of it yet.
    pub(crate) async fn without_objects(stack: &Stack, shape: Shape) -> Self {
        let simulated = Simulated::new(shape).await;
        let entry = &simulated.entry;
        let api = stack.api();
        let id = api.tenant_create("Acme").await.unwrap().id;
        let client = (entry.client_id.as_str(), entry.client_secret.as_str());
        let connection = api.connect(&id, "Support org", &entry.instance_url, client).await.unwrap().id;
        let target = Target {
            database: stack.installation.database().unwrap(),
            key_ring: stack.installation.key_ring(),
            tenant: id.parse().unwrap(),
            connection: connection.parse().unwrap(),
            org: simulated.org.clone(),
        };
        Self { id, connection, simulated, objects: BTreeMap::new(), target }
    }

    /// Asks for every object; the first load begins. Each object that is asked for changes the tenant's plan: a page that
    /// was read under the old one is refused and read again.
    pub(crate) async fn ask_for_objects(&mut self, stack: &Stack) {
        self.ask_for(stack, |_| true).await;
    }

    /// Asks for the objects of these names.
    pub(crate) async fn ask_for(&mut self, stack: &Stack, which: impl Fn(&str) -> bool) {
        for object in wanted(NEVER_S).filter(|object| which(&object.api_name)) {
            let made = stack.api().object_enable(&self.id, &self.connection, &object).await.unwrap();
            self.objects.insert(object.api_name, made.id);
        }
    }

    /// Where each object stands.
    pub(crate) async fn status(&self, api: &Refrain) -> Result<Vec<ObjectStatus>, String> {
        let status = api.status(&self.id).await.map_err(|error| format!("{error:#}"))?;
        Ok(status.connections.into_iter().flat_map(|connection| connection.objects).collect())
    }

    /// Where one object stands.
    pub(crate) async fn object(&self, stack: &Stack, api_name: &str) -> ObjectStatus {
        let objects = self.status(stack.api()).await.unwrap();
        objects.into_iter().find(|object| object.api_name == api_name).unwrap()
    }

    /// Waits until an object waits for a person; what that person is told.
    pub(crate) async fn parked(&self, stack: &Stack, api_name: &str) -> Ask {
        eventually(DEADLINE, "the object to wait for a person", async || {
            let object = self.object(stack, api_name).await;
            object.ask.filter(|_| object.state == "parked")
        })
        .await
    }

    /// Whether every object's first load is complete.
    pub(crate) async fn is_loaded(&self, stack: &Stack) -> bool {
        self.status(stack.api()).await.unwrap().iter().all(|object| object.state == "current")
    }

    /// Asks for a pass over one object.
    pub(crate) async fn sync(&self, stack: &Stack, api_name: &str) {
        stack.api().sync_now(&self.id, &self.objects[api_name]).await.unwrap();
    }

    /// Asks for a pass over every object.
    pub(crate) async fn sync_all(&self, stack: &Stack) {
        for object in self.objects.values() {
            stack.api().sync_now(&self.id, object).await.unwrap();
        }
    }

    /// Waits until all that is true of the org now must be here, asking for as many passes as that takes.
    pub(crate) async fn caught_up(&self, stack: &Stack) {
        self.caught_up_but(stack, &[]).await;
    }

    /// As [`Self::caught_up`], but for these objects.
    pub(crate) async fn caught_up_but(&self, stack: &Stack, others: &[&str]) {
        let from = self.simulated.org.truth_summary().await.unwrap().now;
        let asked: Cell<Option<Instant>> = Cell::new(None);
        eventually_ok(DEADLINE, "every object to be past this moment", async || {
            let status = self.status(stack.api()).await?;
            let late: Vec<&ObjectStatus> = status
                .iter()
                .filter(|object| !others.contains(&object.api_name.as_str()) && is_behind(object, from))
                .collect();
            if late.is_empty() {
                return Ok(());
            }
            if asked.get().is_none_or(|asked| asked.elapsed() >= ASK_AGAIN) {
                asked.set(Some(Instant::now()));
                for object in late.iter().filter(|object| object.state == "current") {
                    // A program that is being restarted is asked again.
                    let _ = stack.api().sync_now(&self.id, &object.id).await;
                }
            }
            Err(late.iter().map(|object| stand(object)).collect::<Vec<_>>().join(", "))
        })
        .await;
    }

    /// Waits until all changes of an object up to now are read, whatever is still missing of its history.
    pub(crate) async fn changes_read(&self, stack: &Stack, api_name: &str) {
        let from = self.simulated.org.truth_summary().await.unwrap().now;
        eventually(DEADLINE, "the changes to be read", async || {
            let watermark = self.object(stack, api_name).await.watermark_at;
            if watermark.is_some_and(|watermark| watermark > from) {
                return Some(());
            }
            self.sync(stack, api_name).await;
            pass(ASK_AGAIN).await;
            None
        })
        .await;
    }

    /// Compares every value of every record with the org's ground truth.
    ///
    /// # Panics
    /// When anything differs, with the first differences by id and field.
    pub(crate) async fn assert_exact(&self) {
        let report = verify::compare(&self.target).await.unwrap();
        assert!(report.in_org() > 0 && report.objects.len() == self.objects.len(), "nothing was compared");
        let objects = report.objects.iter().flat_map(|object| {
            object.first_differences.iter().map(|difference| format!("{} {difference}", object.api_name))
        });
        let tickets =
            report.tickets.first_differences.iter().map(|difference| format!("ticket {difference}"));
        let differences: Vec<String> = objects.chain(tickets).collect();
        assert!(report.is_exact(), "what is stored differs from the org:\n{}", differences.join("\n"));
    }

    /// Waits for all that is true now and compares it.
    pub(crate) async fn assert_catches_up(&self, stack: &Stack) {
        self.caught_up(stack).await;
        self.assert_exact().await;
    }

    /// Waits until no job of the tenant is under way or due.
    pub(crate) async fn at_rest(&self, stack: &Stack) {
        eventually(DEADLINE, "every job to wait for its next time", async || {
            let jobs: Jobs = stack.api().get(&self.id, "jobs?limit=200").await.unwrap();
            // Where others lead to an object's records, and nothing waits to be led to, its job only looks again.
            let rests = |job: &Job| {
                let reasons = ["cadence", "not_kept", "related"];
                job.waits_for.as_ref().is_some_and(|waits| reasons.contains(&waits.reason.as_str()))
            };
            jobs.jobs.iter().all(rests).then_some(())
        })
        .await;
    }

    /// Parents that were looked at for their changes, which are no records of the tenant's.
    pub(crate) async fn parents_read(&self, stack: &Stack) -> u64 {
        let rows = stack.sql("SELECT coalesce(sum(records_read), 0) FROM followed_parents").await;
        rows[0][0].parse().unwrap()
    }

    /// Rows that the org sent and that ended in no committed page: those were read again, or must be.
    ///
    /// Every row that is read ends in exactly one counted outcome, in the same commit as its page.
    pub(crate) async fn rows_read_again(&self, stack: &Stack) -> u64 {
        self.at_rest(stack).await;
        let sent: u64 = self.simulated.calls().await.iter().map(|call| call.rows).sum();
        let status = self.status(stack.api()).await.unwrap();
        let counted: u64 = status.iter().map(|object| object.records_read).sum();
        let counted = counted + self.parents_read(stack).await;
        assert!(counted <= sent, "{counted} rows were counted, {sent} were sent");
        sent - counted
    }
}

fn is_behind(object: &ObjectStatus, from: DateTime<Utc>) -> bool {
    object.state != "current" || object.watermark_at.is_none_or(|watermark| watermark <= from)
}

fn stand(object: &ObjectStatus) -> String {
    format!("{} {} at {:?}", object.api_name, object.state, object.watermark_at)
}
