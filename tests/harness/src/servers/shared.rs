//! The servers that all tests of a run share, over all test binaries and processes.
//!
//! The first test starts them, the others attach, the watchdog stops them some seconds after the last process that
//! used them has gone: between two binaries of one `cargo test` there is a moment without users.

use std::fs::File;
use std::sync::Mutex;

use tokio::sync::OnceCell;

use super::error::ServersError;
use super::instance::{Endpoints, Entrance, Plan};
use super::launch::watch;
use super::private::blocking;
use super::{Durability, environment_url};
use crate::broker_admin::{BrokerAdmin, Management};
use crate::database_admin;

/// Long enough for cargo to link and start the next test binary.
const GRACE_SECONDS: u32 = 20;

static SHARED: OnceCell<Endpoints> = OnceCell::const_new();
/// Held, shared with other processes, until this process ends, however it ends.
static IN_USE: Mutex<Option<File>> = Mutex::new(None);

/// The servers for tests: those of the environment, or the shared private ones.
pub(crate) async fn endpoints() -> Result<Endpoints, ServersError> {
    SHARED.get_or_try_init(|| blocking(attach)).await.cloned()
}

fn attach() -> Result<Endpoints, ServersError> {
    let database = environment_url("DATABASE_URL", &["postgres", "postgresql"])?;
    let amqp = environment_url("AMQP_URL", &["amqp", "amqps"])?;
    let foreign_broker = |url: &url::Url| BrokerAdmin::Management(Management::beside(url));
    if let (Some(database), Some(amqp)) = (&database, &amqp) {
        return Ok(Endpoints {
            database: database.clone(),
            amqp: amqp.clone(),
            broker: foreign_broker(amqp),
        });
    }
    let plan = Plan {
        name: "tests",
        durability: Durability::Fast,
        postgres: database.is_none(),
        broker: amqp.is_none(),
        empty_broker: true,
    };
    let entrance = Entrance::open(&plan)?;
    let clients = entrance.clients_lock()?;
    // Only the watchdog ever holds this lock alone, for an instant, or under the start lock that we hold.
    clients.lock_shared().map_err(ServersError::io("lock", &entrance.directory))?;
    let instance = entrance.instance(plan.durability)?;
    watch(&instance.directory, GRACE_SECONDS, &instance.ledger)?;
    let postgres_started = instance.start()?;
    *IN_USE.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(clients);

    let private_url = |text: Option<String>| text.and_then(|text| text.parse().ok());
    let database_url =
        database.or_else(|| private_url(instance.postgres.as_ref().map(|it| it.url("postgres"))));
    let amqp_url = amqp.clone().or_else(|| private_url(instance.broker.as_ref().map(|it| it.url("/"))));
    let endpoints = Endpoints {
        database: database_url.expect("given or started"),
        broker: instance
            .broker_admin()
            .or_else(|| amqp.as_ref().map(foreign_broker))
            .expect("given or started"),
        amqp: amqp_url.expect("given or started"),
    };
    if postgres_started {
        remove_leftovers(&endpoints);
    }
    Ok(endpoints)
}

/// Databases of tests that were killed. Only a server that we just started is cleaned: nobody uses it yet.
fn remove_leftovers(endpoints: &Endpoints) {
    let endpoints = endpoints.clone();
    let work = async move {
        let _ = database_admin::drop_leftovers(&endpoints.database).await;
    };
    let _ = std::thread::spawn(move || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map(|runtime| runtime.block_on(work))
    })
    .join();
}
