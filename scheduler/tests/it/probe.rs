//! What a proof that a person waits for costs its org.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use refrain_scheduler::probe::{ConnectionProbe as _, SalesforceProbe, Unproved};
use refrain_shared::clock::Clock;
use refrain_shared::config::Config;
use refrain_shared::ports::{Credentials, Exchange, PortError, Session, TokenStore};
use refrain_shared::salesforce::{ClientSettings, Http, SalesforceError};
use refrain_shared::secret::Secret;
use refrain_shared::wiring::http_settings;
use salesforce_sim::{OrgOptions, Running, Simulator};

use crate::world::World;

/// A session that is here already.
struct Stored(Session);

impl TokenStore for Stored {
    fn session(&self) -> BoxFuture<'_, Result<Option<Session>, PortError>> {
        Box::pin(async { Ok(Some(self.0.clone())) })
    }

    fn renew(&self, _: i64, _: Exchange) -> BoxFuture<'_, Result<Session, SalesforceError>> {
        unreachable!("the session is a good one")
    }
}

fn probe(world: &World, sim: &Running) -> SalesforceProbe {
    let text = format!(
        "[database]\nurl = '{}'\n[broker]\nurl = '{}'\n[salesforce]\nca_file = '{}'\nallow_loopback = true\n",
        world.bed.database_url(),
        world.bed.amqp_url(),
        sim.ca_file.display()
    );
    let http = Http::new(&http_settings(&Config::from_text(&text, []).unwrap()).unwrap()).unwrap();
    SalesforceProbe::new(world.db.clone(), http, ClientSettings::default(), Clock::system())
}

#[tokio::test]
async fn a_probe_is_counted_for_its_org() {
    let world = World::new("probe_counted").await;
    let org = OrgOptions { cases: 5, seed: 3, ..OrgOptions::default() };
    let sim =
        Simulator::start(salesforce_sim::Options { orgs: vec![org], ..Default::default() }).await.unwrap();
    let (probe, entry) = (probe(&world, &sim), &sim.orgs[0]);
    let credentials = |secret: &str| Credentials::ClientCredentials {
        login_url: entry.instance_url.clone(),
        client_id: entry.client_id.clone(),
        client_secret: Secret::new(secret.to_owned()),
    };
    let refused = probe.prove(credentials("not this one")).await;
    assert!(matches!(refused, Err(Unproved::Ask(_))), "{refused:?}");
    assert_eq!(world.value("SELECT count(*) FROM org_limits").await, "0", "nobody knows whose call that was");

    let proof = probe.prove(credentials(&entry.client_secret)).await.unwrap();
    let paid = async || world.value("SELECT org_id || ' ' || paid FROM org_limits").await;
    assert_eq!(paid().await, format!("{} 3", entry.org_id), "the login, the versions, and who answers");
    let session = Session {
        access_token: proof.answer.access_token,
        instance_url: proof.answer.instance_url,
        generation: 1,
    };
    probe.check(Arc::new(Stored(session)), Some(proof.org_id)).await.unwrap();
    assert_eq!(paid().await, format!("{} 5", entry.org_id));
}
