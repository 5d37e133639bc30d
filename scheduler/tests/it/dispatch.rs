//! Claims: fair, bounded, gated, once each, and never lost.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use harness::proxy::{Fault, FaultProxy};
use harness::wait::eventually;
use refrain_scheduler::dispatcher;
use refrain_shared::config::{Config, Dispatch};
use refrain_shared::ids::WorkerId;
use refrain_shared::job::envelope::Decoded;
use refrain_shared::job::lease::Class;
use refrain_shared::queue::{BrokerOptions, Consumer, ConsumerOptions, Publisher};
use refrain_shared::secret::Secret;
use refrain_shared::storage::dispatch::{
    ClaimLimits, Claimed, dispatch_claim, dispatch_stats, job_get, jobs_list, jobs_reconcile,
};
use refrain_shared::storage::gates::{GateSubject, gate_close, gate_open};
use refrain_shared::storage::jobs::{Beat, job_heartbeat, job_lease};
use refrain_shared::tenant::TenantScope;

use crate::world::{DEADLINE, ORG, World};

fn settings() -> Dispatch {
    let text = "[database]\nurl = 'postgres://localhost/x'\n[broker]\nurl = 'amqp://localhost'\n";
    Config::from_text(text, []).unwrap().dispatch
}

const LIMITS: ClaimLimits = ClaimLimits { batch: 500, unclaimed: Duration::from_secs(20) };

async fn claim(world: &World) -> Vec<Claimed> {
    dispatch_claim(&world.db, LIMITS).await.unwrap()
}

async fn runnable(world: &World) -> i64 {
    let (stats, _) = dispatch_stats(&world.db).await.unwrap();
    stats.iter().map(|class| class.runnable).sum()
}

fn of(claimed: &[Claimed], scope: &TenantScope) -> usize {
    claimed.iter().filter(|claim| claim.tenant == scope.tenant()).count()
}

#[tokio::test]
async fn two_replicas_publish_each_due_job_once() {
    let world = World::new("dispatch_replicas").await;
    world.live_worker(100).await;
    for name in ["a", "b", "c", "d"] {
        world.due_jobs(name, 25, 1).await;
    }
    let replicas = [Publisher::new(world.broker(), "one"), Publisher::new(world.broker(), "two")];
    let settings = settings();
    let rounds = replicas.iter().map(async |publisher| {
        while dispatcher::round(&world.db, publisher, &settings).await.unwrap() == settings.busy_wait {}
    });
    futures_util::future::join_all(rounds).await;
    let mut consumer = Consumer::start(ConsumerOptions {
        broker: world.broker(),
        name: "test".to_owned(),
        prefetch: vec![(Class::Incremental, 20)],
        watch_every: DEADLINE,
    });
    let mut seen = HashSet::new();
    while seen.len() < 100 {
        let delivery = tokio::time::timeout(DEADLINE, consumer.next()).await.unwrap().unwrap();
        let Decoded::Envelope(envelope) = &delivery.message else { panic!("{:?}", delivery.message) };
        assert_eq!(envelope.epoch, 1);
        assert!(seen.insert(envelope.job), "{} came twice", envelope.job);
        delivery.ack().await.unwrap();
    }
    assert_eq!(world.value("SELECT count(*) FROM jobs WHERE state = 1 AND epoch = 1").await, "100");
    consumer.close().await;
}

#[tokio::test]
async fn without_a_live_worker_nothing_is_published() {
    let world = World::new("dispatch_no_worker").await;
    world.due_jobs("a", 3, 1).await;
    assert!(claim(&world).await.is_empty());
    world.live_worker(1).await;
    assert_eq!(claim(&world).await.len(), 2, "twice the slots");
    assert!(claim(&world).await.is_empty(), "what is in flight counts");
    world.sql("UPDATE workers SET seen_at = now() - interval '31 seconds'").await;
    world.sql("UPDATE jobs SET state = 0").await;
    assert!(claim(&world).await.is_empty(), "a worker that fell silent has no slots");
}

#[tokio::test]
async fn a_tenant_with_much_work_does_not_starve_one_with_little() {
    let world = World::new("dispatch_fair").await;
    world.live_worker(4).await;
    let noisy = world.due_jobs("noisy", 100, 1).await;
    let first = claim(&world).await;
    assert_eq!(of(&first, &noisy), 8, "alone it may use everything");
    let quiet = world.due_jobs("quiet", 2, 1).await;
    world
        .sql("UPDATE jobs SET state = 0 WHERE job_id IN (SELECT job_id FROM jobs WHERE state = 1 LIMIT 4)")
        .await;
    let second = claim(&world).await;
    assert_eq!((of(&second, &quiet), of(&second, &noisy)), (2, 2), "who has least in flight comes first");
}

#[tokio::test]
async fn equal_tenants_get_equal_shares() {
    let world = World::new("dispatch_equal").await;
    world.live_worker(6).await;
    let mut shares = BTreeMap::new();
    for name in ["a", "b", "c"] {
        shares.insert(name, world.due_jobs(name, 50, 1).await);
    }
    let claimed = claim(&world).await;
    for (name, scope) in shares {
        assert_eq!(of(&claimed, &scope), 4, "{name}");
    }
}

#[tokio::test]
async fn history_never_takes_the_last_of_the_room() {
    let world = World::new("dispatch_reserve").await;
    world.live_worker(4).await;
    world.due_jobs("history", 50, Class::Backfill.number()).await;
    assert_eq!(claim(&world).await.len(), 6, "a quarter of eight stays free");
    let fresh = world.due_jobs("fresh", 2, Class::Incremental.number()).await;
    let claimed = claim(&world).await;
    assert_eq!((claimed.len(), of(&claimed, &fresh)), (2, 2));
}

#[tokio::test]
async fn a_gate_of_tenant_connection_or_org_blocks_its_jobs_only() {
    let world = World::new("dispatch_gates").await;
    world.live_worker(50).await;
    let (shut, open) = (world.due_jobs("shut", 5, 1).await, world.due_jobs("open", 5, 1).await);
    let connection = world
        .value(&format!("SELECT connection_id FROM connections WHERE tenant_id = '{}'", shut.tenant().0))
        .await;
    let connection = refrain_shared::ids::ConnectionId(connection.parse().unwrap());
    for subject in [GateSubject::Tenant(shut.tenant()), GateSubject::Connection(connection)] {
        gate_close(&world.db, subject, "paused", None).await.unwrap();
        let claimed = claim(&world).await;
        assert_eq!((of(&claimed, &shut), of(&claimed, &open)), (0, 5), "{subject:?}");
        gate_open(&world.db, subject, "paused").await.unwrap();
        world.sql("UPDATE jobs SET state = 0").await;
    }
    let org = GateSubject::Org(ORG.parse().unwrap());
    gate_close(&world.db, org, "org_quota", Some(60.0)).await.unwrap();
    assert!(claim(&world).await.is_empty(), "both tenants read the same org");
    world.sql("UPDATE gates SET blocked_until = now()").await;
    assert_eq!(claim(&world).await.len(), 10, "a gate that has run out blocks nothing");
}

#[tokio::test]
async fn one_job_of_a_class_that_only_a_newer_build_knows_does_not_stop_the_others() {
    let world = World::new("dispatch_newer").await;
    world.live_worker(50).await;
    let scope = world.due_jobs("a", 3, 1).await;
    world
        .sql(
            "ALTER TABLE jobs DROP CONSTRAINT jobs_class_check;
             UPDATE jobs SET class = 99 WHERE job_id = (SELECT min(job_id) FROM jobs)",
        )
        .await;
    assert_eq!(of(&claim(&world).await, &scope), 2);
    assert_eq!(world.value("SELECT state || ':' || epoch FROM jobs WHERE class = 99").await, "0:0");
}

#[tokio::test]
async fn what_asks_salesforce_for_nothing_is_neither_held_up_nor_shown_so() {
    let world = World::new("dispatch_local").await;
    world.live_worker(50).await;
    let scope = world.tenant("a").await;
    let connection = world.connection(&scope).await;
    world.object(&scope, connection, "Case").await;
    jobs_reconcile(&world.db).await.unwrap();
    gate_close(&world.db, GateSubject::Connection(connection), "parked", None).await.unwrap();
    for (kind, held) in [("incremental", Some("parked")), ("expire", None), ("reproject", None)] {
        world.sql(&format!("UPDATE jobs SET state = 0, lease_until = NULL, kind = '{kind}'")).await;
        let shown = jobs_list(&world.db, &scope, None, None, 10).await.unwrap().remove(0);
        assert_eq!(shown.waits_for.unwrap().reason, held.unwrap_or("turn"), "{kind}");
        assert_eq!(job_get(&world.db, &scope, shown.id).await.unwrap().unwrap().kind, kind);
        assert_eq!(claim(&world).await.len(), usize::from(held.is_none()), "{kind}");
        world.sql("UPDATE jobs SET state = 1").await;
        let epoch = world.value("SELECT epoch FROM jobs").await.parse().unwrap();
        let lease = job_lease(&world.db, WorkerId::generate(), shown.id, epoch).await.unwrap().unwrap();
        assert_eq!(lease.held, held, "{kind}");
        let halts = job_heartbeat(&world.db, &lease).await.unwrap() == Beat::Halt;
        assert_eq!(halts, held.is_some(), "{kind}");
    }
}

#[tokio::test]
async fn blocked_work_does_not_fill_the_page_of_its_own_tenant() {
    let world = World::new("dispatch_page").await;
    world.live_worker(2).await;
    let scope = world.due_jobs("a", 50, 1).await;
    let other = world.connection(&scope).await;
    let tenant = scope.tenant().0;
    let blocked = world
        .value(&format!("SELECT connection_id FROM jobs WHERE tenant_id = '{tenant}' LIMIT 1"))
        .await
        .parse()
        .unwrap();
    gate_close(
        &world.db,
        GateSubject::Connection(refrain_shared::ids::ConnectionId(blocked)),
        "parked",
        None,
    )
    .await
    .unwrap();
    world
        .sql(&format!(
            "INSERT INTO jobs (tenant_id, connection_id, org_id, kind, class, available_at)
             VALUES ('{tenant}', '{}', '{ORG}', 'incremental', 1, now())",
            other.0
        ))
        .await;
    assert_eq!(claim(&world).await.len(), 1, "the one that can run is found behind fifty that cannot");
}

#[tokio::test]
async fn a_message_that_nobody_takes_is_published_again_and_the_old_one_is_stale() {
    let world = World::new("dispatch_unclaimed").await;
    world.live_worker(5).await;
    world.due_jobs("a", 1, 1).await;
    let first = claim(&world).await.remove(0);
    assert!(claim(&world).await.is_empty());
    world.sql("UPDATE jobs SET published_at = now() - interval '21 seconds'").await;
    let second = claim(&world).await.remove(0);
    assert_eq!((second.job, second.epoch), (first.job, first.epoch + 1));
    let worker = WorkerId::generate();
    assert!(job_lease(&world.db, worker, first.job, first.epoch).await.unwrap().is_none());
}

#[tokio::test]
async fn claims_whose_message_was_not_confirmed_are_undone_at_once() {
    let world = World::new("dispatch_undone").await;
    world.live_worker(5).await;
    world.due_jobs("a", 3, 1).await;
    let (proxy, url) = FaultProxy::before(world.bed.amqp_url()).await.unwrap();
    let broker = BrokerOptions { url: Secret::new(url), ca_file: None };
    let publisher = Publisher::new(broker, "test");
    publisher.ready().await.unwrap();
    proxy.set(Fault::Freeze);
    dispatcher::round(&world.db, &publisher, &settings()).await.unwrap_err();
    assert_eq!(world.value("SELECT string_agg(state || ':' || epoch, ',') FROM jobs").await, "0:1,0:1,0:1");
    proxy.set(Fault::None);
    let settings = settings();
    eventually(DEADLINE, "publishing again", async || {
        dispatcher::round(&world.db, &publisher, &settings).await.ok()
    })
    .await;
    eventually(DEADLINE, "all published", async || {
        let _ = dispatcher::round(&world.db, &publisher, &settings).await;
        (world.value("SELECT count(*) FROM jobs WHERE state = 1").await == "3").then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_org_without_free_lanes_neither_fills_the_page_nor_has_its_jobs_published() {
    let world = World::new("dispatch_lanes").await;
    world.live_worker(4).await;
    let many = world.due_jobs("many", 60, 1).await;
    // Of the default settings: four lanes.
    world.sql("UPDATE org_limits SET settings = '{}'").await;
    let one = world.due_jobs("one", 1, 1).await;
    world
        .sql(&format!("UPDATE jobs SET org_id = '00D000000000002EAA' WHERE tenant_id = '{}'", one.tenant().0))
        .await;
    assert_eq!(runnable(&world).await, 5, "more workers could not take more than there are lanes");
    let first = claim(&world).await;
    assert_eq!(
        (of(&first, &many), of(&first, &one)),
        (4, 1),
        "as many as there are lanes, and the other org's"
    );
    assert!(claim(&world).await.is_empty(), "published jobs will want the lanes");
    assert_eq!(runnable(&world).await, 0, "what waits behind full lanes is no work for more workers");

    // One ends in good order: its lane is free at once.
    world
        .sql(&format!(
            "DELETE FROM jobs WHERE job_id = {}",
            first.iter().find(|claim| claim.tenant == many.tenant()).unwrap().job.0
        ))
        .await;
    assert_eq!(claim(&world).await.len(), 1);

    // One dies: its lane is held until its last call is over, whoever runs the job next.
    let dead = world.value("SELECT min(job_id) FROM jobs WHERE state = 1").await;
    world
        .sql(&format!(
            "UPDATE org_limits SET lanes = jsonb_build_array(jsonb_build_object(
                 'job', {dead}, 'epoch', 1, 'until', now() + interval '1 minute', 'calls', 20, 'bucket', now(), 'returnable', 20))
              WHERE org_id = '{ORG}';
             UPDATE jobs SET state = 0, available_at = now() WHERE job_id = {dead}"
        ))
        .await;
    assert!(claim(&world).await.is_empty(), "three in flight and one lane of the dead");
    world.sql("UPDATE org_limits SET lanes = jsonb_set(lanes, '{0,until}', to_jsonb(now()))").await;
    assert_eq!(claim(&world).await.len(), 1);
}

#[tokio::test]
async fn tenants_that_share_an_org_share_its_lanes() {
    let world = World::new("dispatch_shared_lanes").await;
    world.live_worker(20).await;
    let (big, small) = (world.due_jobs("big", 50, 1).await, world.due_jobs("small", 50, 1).await);
    world.sql("UPDATE org_limits SET settings = '{\"lanes\": 6}'").await;
    let claimed = claim(&world).await;
    assert_eq!((of(&claimed, &big), of(&claimed, &small)), (3, 3));
}

#[tokio::test]
async fn an_org_that_refused_a_caller_gets_fewer_jobs_until_it_was_quiet() {
    let world = World::new("dispatch_crowded").await;
    world.live_worker(20).await;
    let scope = world.due_jobs("many", 50, 1).await;
    let crowded = |minutes: u32| {
        format!(
            "UPDATE org_limits SET settings = '{{}}',
                    crowding = jsonb_build_object('allowed', 1, 'at', now() - interval '{minutes} minutes')"
        )
    };
    for (minutes, expected) in [(0, 1), (6, 2), (600, 4)] {
        world.sql(&crowded(minutes)).await;
        assert_eq!(runnable(&world).await, i64::try_from(expected).unwrap(), "{minutes} minutes");
        assert_eq!(of(&claim(&world).await, &scope), expected, "{minutes} minutes");
        world.sql("UPDATE jobs SET state = 0").await;
    }
}

#[tokio::test]
async fn what_people_wait_for_gets_an_orgs_lanes_before_history() {
    let world = World::new("dispatch_lane_order").await;
    world.live_worker(20).await;
    let scope = world.due_jobs("a", 50, Class::Backfill.number()).await;
    world.sql("UPDATE org_limits SET settings = '{\"lanes\": 3}'").await;
    world.sql("UPDATE jobs SET class = 1 WHERE job_id IN (SELECT job_id FROM jobs ORDER BY job_id DESC LIMIT 2)").await;
    let claimed = claim(&world).await;
    let fresh = claimed.iter().filter(|claim| claim.class == Class::Incremental).count();
    assert_eq!((of(&claimed, &scope), fresh), (3, 2));
}
