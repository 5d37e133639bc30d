//! A grant whose refresh token is replaced at each use: whoever uses an old one ends the grant for all, so the whole fleet
//! makes one exchange at a time.

use std::sync::Arc;

use futures_util::future::{BoxFuture, join_all};
use refrain_shared::clock::Clock;
use refrain_shared::ids::SalesforceId;
use refrain_shared::job::ObjectSettings;
use refrain_shared::ports::{CallGate, CallKind, CallRefused, CallReport, Credentials, TokenAnswer};
use refrain_shared::salesforce::{Client, ClientSettings};
use refrain_shared::secret::Secret;
use refrain_shared::storage::Database;
use refrain_shared::storage::connection_secrets::{SecretStore, secrets_put};
use refrain_shared::storage::keys::keys_load;
use salesforce_sim::org::sessions::Grant;
use serde_json::json;

use crate::world::{World, options};

/// Lets every call through.
struct Open;

impl CallGate for Open {
    fn before_call(&self, _: CallKind) -> BoxFuture<'_, Result<(), CallRefused>> {
        Box::pin(async { Ok(()) })
    }

    fn after_call(&self, _: CallReport) {}
}

/// Gives the connection a refresh token of an app that rotates them, and a session that has ended.
async fn rotating_grant(world: &World) {
    world.post("app", json!({"rotation": true, "punish_reuse": true})).await;
    let (org, entry) = (world.org(), &world.sim.orgs[0]);
    let grant = Grant { user: org.identity.user_id, scope: "api refresh_token id".to_owned() };
    let tokens = org.sessions().open_with_refresh(grant, org.clock.now_ms());
    org.sessions().expire_all();
    let credentials = Credentials::Refresh {
        login_url: entry.instance_url.clone(),
        client_id: entry.client_id.clone(),
        client_secret: Some(Secret::new(entry.client_secret.clone())),
        refresh_token: Secret::new(tokens.refresh.unwrap()),
        previous_refresh_token: None,
    };
    let parse = |text: &str| SalesforceId::parse(text).unwrap();
    let answer = TokenAnswer {
        access_token: Secret::new(tokens.access),
        refresh_token: None,
        instance_url: entry.instance_url.clone(),
        org_id: parse(&entry.org_id),
        user_id: parse(org.identity.user_id.as_str()),
        scopes: Vec::new(),
        issued_at: None,
    };
    let (_, keys) = keys_load(&world.context.db, &world.context.ring, &world.scope).await.unwrap();
    secrets_put(&world.context.db, &world.scope, &keys, world.connection, &credentials, &answer)
        .await
        .unwrap();
}

/// Clients of the connection as workers of their own have them: nothing but the database is between them.
async fn workers(world: &World, count: usize) -> Vec<Client> {
    let (_, keys) = keys_load(&world.context.db, &world.context.ring, &world.scope).await.unwrap();
    let keys = Arc::new(keys);
    let of_one = |_| {
        let db = Database::open(&options(&world.bed)).unwrap();
        let tokens = SecretStore::of(db, world.scope, world.connection, Arc::clone(&keys), None);
        let http = world.context.http.clone();
        Client::new(http, Arc::new(tokens), Arc::new(Open), Clock::system(), ClientSettings::default())
    };
    (0..count).map(of_one).collect()
}

#[tokio::test]
async fn thirty_workers_of_a_grant_that_rotates_make_one_exchange_and_none_ends_it() {
    let world = World::new("grant_rotates").await;
    rotating_grant(&world).await;
    let workers = workers(&world, 30).await;
    let before = world.org().calls().token();
    for round in 1..=3 {
        // All of them find the same session ended.
        for answer in join_all(workers.iter().map(Client::daily_allowance)).await {
            answer.unwrap();
        }
        assert_eq!(world.org().calls().token() - before, round, "one exchange a time");
        world.org().sessions().expire_all();
    }
    // A worker that comes later, with nothing but what is stored.
    self::workers(&world, 1).await[0].daily_allowance().await.unwrap();
    let generation =
        world.value("SELECT generation || ' ' || (previous IS NOT NULL) FROM connection_secrets").await;
    let exchanges = world.org().calls().token() - before;
    assert_eq!((exchanges, generation.ends_with(" true")), (4, true), "{generation}");
}

#[tokio::test]
async fn an_exchange_whose_answer_was_lost_says_that_a_person_must_connect_again() {
    let world = World::new("grant_lost").await;
    rotating_grant(&world).await;
    world.post("faults", json!({"match": {"path": "/oauth2/token"}, "fault": {"kind": "lost_answer"}})).await;
    let worker = workers(&world, 1).await.remove(0);
    worker.daily_allowance().await.unwrap_err();
    let error = worker.daily_allowance().await.unwrap_err();
    assert!(error.ask().is_some_and(|ask| ask.fix.contains("Reconnect")), "{error}");
    // Nothing that was not answered is taken for a session.
    assert_eq!(world.value("SELECT previous IS NULL FROM connection_secrets").await, "t");
}

#[tokio::test]
async fn nothing_is_read_of_another_org_behind_the_same_credentials() {
    let world = World::new("grant_sandbox").await;
    world.object("Case", ObjectSettings::default()).await;
    world.run_until_quiet().await;
    let rows = "SELECT count(*) || ' ' || max(record_id) FROM records";
    let before = world.value(rows).await;
    // A refresh copies production anew: the same ids and credentials, and another org.
    world.post("refresh-sandbox", json!({})).await;
    world.sql("UPDATE checkpoints SET watermark_at = watermark_at - interval '30 days'").await;
    world.pass().await;
    let ask = world.value("SELECT ask::text FROM connections WHERE state = 'parked'").await;
    assert!(ask.contains("ORG_ID_CHANGED") && ask.contains("new connection"), "{ask}");
    assert_eq!(world.value(rows).await, before);
    assert_eq!(world.org().calls().api(), 0, "the new org was asked for nothing");
}
