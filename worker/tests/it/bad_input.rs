//! What the program says and how it ends when it is given what cannot work; and what becomes of jobs that a person must
//! look after. What, why and fix, the right exit code or disposition, nothing lost, and never a secret.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use harness::logs::Canaries;
use harness::process::Program;
use harness::wait::eventually;
use refrain_shared::crypto::KeyRing;
use refrain_shared::job::ObjectSettings;
use refrain_shared::storage::dispatch::{Also, object_trigger};
use url::Url;

use crate::world::{DEADLINE, World};

const SECRET: &str = "hunter2-and-a-half";

/// The program on the world's servers, with the ring that opens its tenant's keys.
fn program(world: &World) -> Program {
    Program::new("worker")
        .env("DATABASE_URL", world.bed.database_url())
        .env("AMQP_URL", world.bed.amqp_url())
        .env("REFRAIN_KEYS__FILE", &world.ring_file)
        .env("REFRAIN_WORKER__LISTEN", format!("127.0.0.1:{}", free_port()))
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn canaries(world: &World) -> Canaries {
    let password = |url: &str| Url::parse(url).unwrap().password().unwrap().to_owned();
    Canaries::new()
        .with("planted", SECRET)
        .with("database", &password(world.bed.database_url()))
        .with("broker", &password(world.bed.amqp_url()))
        .with("client secret", &world.sim.orgs[0].client_secret)
}

async fn refused(world: &World, test: &str, program: Program, expected: i32, said: &[&str]) {
    let run = program.spawn(test).unwrap();
    let ended = run.wait_exit(DEADLINE).await.unwrap().code().unwrap();
    let told = run.logs();
    assert_eq!(ended, expected, "{told}");
    for part in said.iter().chain(&["Why: ", "Fix: "]) {
        assert!(told.contains(part), "{part:?} is not said in:\n{told}");
    }
    assert!(!told.contains("panicked"), "{told}");
    canaries(world).assert_absent(run.log_files());
}

#[tokio::test]
async fn what_cannot_work_ends_the_program_with_its_code_and_what_to_do() {
    let world = World::new("bad_start").await;
    let file = |name: &str, text: &str| -> PathBuf {
        let path = world.folder.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    };
    let with = |name: &str, value: &str| program(&world).env(name, value).arg("run");
    let url = |change: &dyn Fn(&mut Url)| {
        let mut url = Url::parse(world.bed.database_url()).unwrap();
        change(&mut url);
        url.to_string()
    };
    let other_ring = world.folder.join("other.toml");
    KeyRing::create(&other_ring, "kek-1").unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let away = url(&|url| url.set_port(Some(free_port())).unwrap());
    let wrong = url(&|url| url.set_password(Some(SECRET)).unwrap());
    let unknown = file("unknown.toml", &format!("[worker]\ncolour = '{SECRET}'\n"));
    let words = file("words.toml", &format!("worker {SECRET}"));
    let ring_of_words = file("ring.toml", SECRET);
    let certificate = file("ca.pem", SECRET);
    let cases: Vec<(Program, i32, &[&str])> = vec![
        (program(&world).arg("--config").arg(&unknown).arg("run"), 2, &["worker.colour"]),
        (program(&world).arg("--config").arg(&words).arg("run"), 2, &["not TOML"]),
        (
            program(&world).arg("--config").arg(world.folder.join("nowhere")).arg("run"),
            2,
            &["cannot be read"],
        ),
        (with("REFRAIN_LOG__FILTER", "=,=nonsense=["), 2, &["log.filter"]),
        (with("DATABASE_URL", &away), 1, &["cannot be reached", "database_unreachable"]),
        (with("DATABASE_URL", &wrong), 1, &["refused the login", "database_login"]),
        (with("REFRAIN_KEYS__FILE", "/nowhere/keys.toml"), 2, &["key_ring"]),
        (with("REFRAIN_KEYS__FILE", ring_of_words.to_str().unwrap()), 2, &["key_ring"]),
        (with("REFRAIN_KEYS__FILE", other_ring.to_str().unwrap()), 2, &["key_ring_mismatch"]),
        (with("REFRAIN_SALESFORCE__CA_FILE", "/nowhere/ca.pem"), 2, &["salesforce.ca_file"]),
        (with("REFRAIN_SALESFORCE__CA_FILE", certificate.to_str().unwrap()), 2, &["salesforce.ca_file"]),
        (with("REFRAIN_WORKER__LISTEN", &taken.local_addr().unwrap().to_string()), 1, &["worker.listen"]),
    ];
    for (program, expected, said) in cases {
        refused(&world, "bad_start", program, expected, said).await;
    }
    let schema = async |version: &str, code: &str| {
        world.sql(version).await;
        refused(&world, "bad_start", program(&world).arg("run"), 3, &[code]).await;
    };
    schema(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (29990101000001, 'from the future', true, '\\x00', 1)",
        "schema_ahead",
    )
    .await;
    schema(
        "DELETE FROM _sqlx_migrations WHERE version = (SELECT max(version) FROM _sqlx_migrations
          WHERE version < 29990101000001) OR version = 29990101000001",
        "scheduler migrate",
    )
    .await;
}

#[tokio::test]
async fn a_broker_that_cannot_be_used_leaves_the_worker_waiting_and_says_what_to_do() {
    let world = World::new("bad_broker").await;
    let mut away = Url::parse(world.bed.amqp_url()).unwrap();
    away.set_port(Some(free_port())).unwrap();
    let mut wrong = Url::parse(world.bed.amqp_url()).unwrap();
    wrong.set_password(Some(SECRET)).unwrap();
    for (url, said) in [(away, "queue_unreachable"), (wrong, "queue_login_refused")] {
        let port = free_port();
        let run = program(&world)
            .env("AMQP_URL", url.to_string())
            .env("REFRAIN_WORKER__LISTEN", format!("127.0.0.1:{port}"))
            .arg("run")
            .spawn("bad_broker")
            .unwrap();
        eventually(DEADLINE, "a line for the operator", async || run.logs().contains(said).then_some(()))
            .await;
        let ready = reqwest::get(format!("http://127.0.0.1:{port}/readyz")).await.unwrap();
        assert_eq!(ready.status(), 503);
        assert_eq!(reqwest::get(format!("http://127.0.0.1:{port}/livez")).await.unwrap().status(), 200);
        assert!(run.terminate(DEADLINE).await.unwrap().success(), "{}", run.logs());
        assert!(run.logs().contains("broker.url"), "{}", run.logs());
        canaries(&world).assert_absent(run.log_files());
    }
}

#[tokio::test]
async fn refused_credentials_park_the_connection_with_what_to_do_and_nothing_is_lost() {
    let world = World::new("bad_credentials").await;
    world.object("Case", ObjectSettings::default()).await;
    world.credentials(SECRET).await;
    world.run_until_quiet().await;
    let ask = world.value("SELECT ask::text FROM connections WHERE state = 'parked'").await;
    for part in ["what", "why", "fix"] {
        assert!(ask.contains(part), "{ask}");
    }
    assert!(!ask.contains(SECRET), "{ask}");
    assert_eq!(world.value("SELECT reason FROM gates").await, "parked");
    assert_eq!(world.value("SELECT outcome FROM job_attempts").await, "park_connection");

    // As the API does once they were proved.
    world.credentials(&world.sim.orgs[0].client_secret).await;
    world
        .sql(
            "UPDATE connections SET state = 'active', ask = NULL; DELETE FROM gates;
             UPDATE jobs SET available_at = now()",
        )
        .await;
    world.run_until_quiet().await;
    assert_eq!(world.value("SELECT state FROM checkpoints").await, "current");
}

#[tokio::test]
async fn an_object_without_permission_parks_alone_and_goes_on_when_it_is_granted() {
    let world = World::new("bad_permission").await;
    let user = world.object("User", ObjectSettings::default()).await;
    world.object("Contact", ObjectSettings::default()).await;
    world.run_until_quiet().await;
    world.hide(&["Contact"], &[]);
    world.sql("UPDATE jobs SET available_at = now()").await;
    world.sql("UPDATE checkpoints SET watermark_at = watermark_at - interval '1 hour'").await;
    world.run_until_quiet().await;
    let states = "SELECT string_agg(api_name || '=' || c.state, ' ' ORDER BY api_name)
                    FROM checkpoints c JOIN object_syncs USING (object_id)";
    let after = world.value(states).await;
    assert_eq!(after, "Contact=parked User=current", "the others go on");
    let ask = world.value("SELECT ask::text FROM checkpoints WHERE state = 'parked'").await;
    for part in ["what", "why", "fix", "Contact"] {
        assert!(ask.contains(part), "{ask}");
    }
    assert_eq!(world.value("SELECT count(*) FROM gates").await, "0", "the connection goes on");
    let stored = world.value("SELECT count(*) > 0 FROM records WHERE object_id <> (SELECT object_id FROM object_syncs WHERE api_name = 'User')").await;
    assert_eq!(stored, "t", "what was read stays");

    world.hide(&[], &[]);
    let contact = world.value("SELECT object_id FROM object_syncs WHERE api_name = 'Contact'").await;
    let contact = refrain_shared::ids::ObjectId(contact.parse().unwrap());
    assert_ne!(contact, user);
    object_trigger(&world.context.db, &world.scope, contact, Also::default()).await.unwrap();
    world.sql("UPDATE jobs SET available_at = now()").await;
    world.run_until_quiet().await;
    assert_eq!(world.value(states).await, "Contact=current User=current");
}

#[tokio::test]
async fn keys_that_do_not_open_stop_the_tenants_jobs_with_what_to_do() {
    let world = World::new("bad_keys").await;
    world.object("Case", ObjectSettings::default()).await;
    world.sql("UPDATE tenant_keys SET wrapped = set_byte(wrapped, 20, get_byte(wrapped, 20) # 1)").await;
    world.run_until_quiet().await;
    let ask = world.value("SELECT ask->>'code' FROM jobs WHERE state = 3").await;
    assert_eq!(ask, "SEALED_DATA");
    assert_eq!(world.value("SELECT count(*) FROM job_attempts WHERE code = 'does_not_open'").await, "1");
    assert_eq!(world.org().calls().api(), 0, "nothing was asked of the org");
}
