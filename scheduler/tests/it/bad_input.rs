//! What the program says and how it ends when it is given what cannot work: what, why and fix, the right exit code, and
//! never a secret.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use harness::logs::Canaries;
use harness::process::{Program, Running};
use harness::wait::eventually;
use refrain_shared::crypto::KeyRing;
use refrain_shared::retention::Policy;
use refrain_shared::storage::control::tenants::tenant_create;
use refrain_shared::tenant::Actor;
use reqwest::{Method, StatusCode};
use salesforce_sim::{OrgOptions, Simulator};
use serde_json::{Value, json};
use url::Url;

use crate::programs::{code, free_port, scheduler};
use crate::world::{DEADLINE, World};

/// A secret that somebody wrote in a wrong place.
const SECRET: &str = "hunter2-and-a-half";

/// The passwords of both servers, and the planted secret.
fn canaries(world: &World) -> Canaries {
    let password = |url: &str| Url::parse(url).unwrap().password().unwrap().to_owned();
    Canaries::new()
        .with("planted", SECRET)
        .with("database", &password(world.bed.database_url()))
        .with("broker", &password(world.bed.amqp_url()))
}

fn with_password(url: &str, password: &str) -> String {
    let mut url = Url::parse(url).unwrap();
    url.set_password(Some(password)).unwrap();
    url.into()
}

fn program(world: &World) -> Program {
    scheduler(&world.bed, &world.directory, free_port())
}

/// Runs a program to its end: it must end with this code, say all of these and what, why and fix, and no secret.
async fn refused(world: &World, test: &str, program: Program, expected: i32, said: &[&str]) -> String {
    let run = program.spawn(test).unwrap();
    let ended = code(&run).await;
    let told = run.logs();
    assert_eq!(ended, expected, "{told}");
    for part in said.iter().chain(&["Why: ", "Fix: "]) {
        assert!(told.contains(part), "{part:?} is not said in:\n{told}");
    }
    assert!(!told.contains("panicked"), "{told}");
    canaries(world).assert_absent(run.log_files());
    told
}

#[tokio::test]
async fn a_configuration_file_that_cannot_be_used_ends_with_code_two() {
    let world = World::new("bad_files").await;
    let write = |name: &str, text: &str| {
        let path = world.directory.join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let folder = world.directory.join("folder.toml");
    std::fs::create_dir(&folder).unwrap();
    let cases = [
        (world.directory.join("nowhere.toml"), "cannot be read"),
        (folder, "cannot be read"),
        (write("words.toml", &format!("database url is postgres://me:{SECRET}@db/x")), "not TOML"),
        (write("unknown.toml", &format!("[database]\npassword = '{SECRET}'\n")), "database.password"),
        (write("section.toml", &format!("[colours]\nred = '{SECRET}'\n")), "colours"),
        (write("typed.toml", &format!("[worker]\nslots = '{SECRET}'\n")), "worker.slots"),
        (write("filter.toml", "[log]\nfilter = '=,=nonsense=['\n"), "log.filter"),
    ];
    for (file, said) in cases {
        for verb in ["serve", "migrate", "check-config"] {
            // The filter is judged where the log starts.
            if said == "log.filter" && verb != "serve" {
                continue;
            }
            let run = program(&world).arg("--config").arg(&file).arg(verb);
            refused(&world, "bad_files", run, 2, &[said]).await;
        }
    }
}

#[tokio::test]
async fn a_database_that_cannot_be_used_ends_with_code_one_and_names_it_without_its_password() {
    let world = World::new("bad_database").await;
    let mut away = Url::parse(world.bed.database_url()).unwrap();
    away.set_port(Some(free_port())).unwrap();
    let mut missing = Url::parse(world.bed.database_url()).unwrap();
    missing.set_path("no_such_database");
    let wrong = with_password(world.bed.database_url(), SECRET);
    for verb in ["serve", "migrate"] {
        for (url, said) in [
            (away.to_string(), vec!["cannot be reached at 127.0.0.1:", "database_unreachable"]),
            (wrong.clone(), vec!["refused the login", "database_login"]),
            (missing.to_string(), vec!["no database", "database_missing"]),
        ] {
            let run = program(&world).env("DATABASE_URL", url).arg(verb);
            refused(&world, "bad_database", run, 1, &said).await;
        }
        let run = program(&world).env("REFRAIN_DATABASE__TLS", "require").arg(verb);
        refused(&world, "bad_database", run, 1, &["TLS", "database_certificate"]).await;
    }
}

async fn readiness(port: u16) -> Option<(StatusCode, Value)> {
    let answer = reqwest::get(format!("http://127.0.0.1:{port}/readyz")).await.ok()?;
    Some((answer.status(), answer.json().await.ok()?))
}

#[tokio::test]
async fn a_broker_that_cannot_be_used_leaves_the_api_up_and_says_what_to_do() {
    let world = World::new("bad_broker").await;
    let mut away = Url::parse(world.bed.amqp_url()).unwrap();
    away.set_port(Some(free_port())).unwrap();
    let mut elsewhere = Url::parse(world.bed.amqp_url()).unwrap();
    elsewhere.set_path("no_such_vhost");
    let wrong = with_password(world.bed.amqp_url(), SECRET);
    for (url, said) in [
        (away.to_string(), "queue_unreachable"),
        (wrong, "queue_login_refused"),
        (elsewhere.to_string(), "queue_login_refused"),
    ] {
        let port = free_port();
        let run = scheduler(&world.bed, &world.directory, port).env("AMQP_URL", url).arg("serve");
        let run = run.spawn("bad_broker").unwrap();
        eventually(DEADLINE, "not ready because of the broker", async || {
            let (status, body) = readiness(port).await?;
            let broker = body["checks"]["broker"].as_str()?.to_owned();
            (status == StatusCode::SERVICE_UNAVAILABLE
                && body["checks"]["database"] == "ok"
                && broker != "ok")
                .then_some(())
        })
        .await;
        eventually(DEADLINE, "a line for the operator", async || run.logs().contains(said).then_some(()))
            .await;
        let live = reqwest::get(format!("http://127.0.0.1:{port}/livez")).await.unwrap();
        assert_eq!(live.status(), StatusCode::OK, "a restart would not help");
        assert!(run.terminate(DEADLINE).await.unwrap().success(), "{}", run.logs());
        assert!(run.logs().contains("broker.url"), "{}", run.logs());
        canaries(&world).assert_absent(run.log_files());
    }
}

#[tokio::test]
async fn a_port_in_use_ends_with_code_one_and_names_the_key_to_change() {
    let world = World::new("bad_port").await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let run = scheduler(&world.bed, &world.directory, port).arg("serve");
    refused(&world, "bad_port", run, 1, &["Another program listens there", "http.listen"]).await;
}

#[tokio::test]
async fn a_key_ring_that_cannot_be_used_ends_with_code_two_and_is_never_replaced() {
    let world = World::new("bad_ring").await;
    let ring = world.directory.join("keys.toml");
    let readable = world.directory.join("readable.toml");
    KeyRing::create(&readable, "kek-1").unwrap();
    std::fs::set_permissions(&readable, std::fs::Permissions::from_mode(0o644)).unwrap();
    let words = world.directory.join("words.toml");
    std::fs::write(&words, format!("key = '{SECRET}'")).unwrap();
    std::fs::set_permissions(&words, std::fs::Permissions::from_mode(0o600)).unwrap();
    let folder = world.directory.join("folder");
    std::fs::create_dir(&folder).unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700)).unwrap();
    let with = |file: &Path| program(&world).env("REFRAIN_KEYS__FILE", file).arg("serve");
    for (file, said) in [(&readable, "chmod 600"), (&words, "[[key]]"), (&folder, "key_ring")] {
        refused(&world, "bad_ring", with(file), 2, &[said, "key_ring"]).await;
    }

    // Tenants have keys by now: neither another ring nor a fresh one may take the place of theirs.
    tenant_create(&world.control, &world.ring, "Acme", &Policy::default(), Actor::System).await.unwrap();
    let other = world.directory.join("other.toml");
    KeyRing::create(&other, "kek-1").unwrap();
    refused(&world, "bad_ring", with(&other), 2, &["key_ring_mismatch"]).await;
    let renamed = world.directory.join("renamed.toml");
    KeyRing::create(&renamed, "kek-9").unwrap();
    refused(&world, "bad_ring", with(&renamed), 2, &["key_ring_mismatch", "kek-1"]).await;
    let missing = world.directory.join("missing.toml");
    refused(&world, "bad_ring", with(&missing), 2, &["it is missing, and tenants"]).await;
    assert!(!missing.exists(), "no fresh ring was made");
    let material = std::fs::read_to_string(&ring).unwrap();
    assert!(material.contains("material"), "the right one is still there");
}

#[tokio::test]
async fn an_operators_key_file_that_cannot_be_used_ends_with_code_two() {
    let world = World::new("bad_operator").await;
    let nowhere = world.directory.join("nowhere").join("operator.key");
    let words = world.directory.join("words.key");
    std::fs::write(&words, SECRET).unwrap();
    for file in [nowhere, words] {
        let run = program(&world).env("REFRAIN_HTTP__OPERATOR_KEY_FILE", &file).arg("serve");
        refused(&world, "bad_operator", run, 2, &["operator_key_file"]).await;
    }
}

/// A scheduler that trusts this CA, or none, and whether it is ready.
async fn serving(world: &World, port: u16, ca_file: Option<&Path>) -> Running {
    let mut run =
        scheduler(&world.bed, &world.directory, port).env("REFRAIN_SALESFORCE__ALLOW_LOOPBACK", "true");
    if let Some(file) = ca_file {
        run = run.env("REFRAIN_SALESFORCE__CA_FILE", file);
    }
    let run = run.arg("serve").spawn("bad_salesforce").unwrap();
    run.wait_ready(&format!("http://127.0.0.1:{port}/readyz"), DEADLINE).await.unwrap();
    run
}

#[tokio::test]
async fn an_org_that_cannot_be_connected_is_refused_with_what_to_do_and_leaves_nothing() {
    let world = World::new("bad_salesforce").await;
    let org = OrgOptions { cases: 5, seed: 3, ..OrgOptions::default() };
    let sim =
        Simulator::start(salesforce_sim::Options { orgs: vec![org], ..Default::default() }).await.unwrap();
    let entry = &sim.orgs[0];
    let tenant = tenant_create(&world.control, &world.ring, "Acme", &Policy::default(), Actor::System)
        .await
        .unwrap()
        .id;
    let ask = async |port: u16, login_url: &str, secret: &str| {
        let key = std::fs::read_to_string(world.directory.join("operator.key")).unwrap();
        let body = json!({"name": "production", "login_url": login_url,
                          "auth": {"method": "client_credentials", "client_id": entry.client_id, "client_secret": secret}});
        let url = format!("http://127.0.0.1:{port}/v1/tenants/{tenant}/connections");
        let answer = reqwest::Client::new()
            .request(Method::POST, url)
            .bearer_auth(key.trim())
            .json(&body)
            .send()
            .await
            .unwrap();
        (answer.status(), answer.json::<Value>().await.unwrap())
    };
    let trusts = free_port();
    let known = serving(&world, trusts, Some(&sim.ca_file)).await;
    let away = format!("https://127.0.0.1:{}", free_port());
    let strange = "https://login.example.com".to_owned();
    let refusals = [
        (entry.instance_url.clone(), SECRET, StatusCode::UNPROCESSABLE_ENTITY),
        (strange, SECRET, StatusCode::UNPROCESSABLE_ENTITY),
        (away, SECRET, StatusCode::SERVICE_UNAVAILABLE),
    ];
    for (login_url, secret, expected) in refusals {
        let (status, body) = ask(trusts, &login_url, secret).await;
        assert_eq!(status, expected, "{login_url}: {body}");
        for part in ["what", "why", "fix", "code"] {
            assert!(!body[part].as_str().unwrap_or_default().is_empty(), "{part} of {body}");
        }
        assert!(!body.to_string().contains(SECRET), "{body}");
    }
    let distrusts = free_port();
    let unknown = serving(&world, distrusts, None).await;
    let (status, body) = ask(distrusts, &entry.instance_url, &entry.client_secret).await;
    assert_eq!(
        (status, body["code"].as_str()),
        (StatusCode::UNPROCESSABLE_ENTITY, Some("salesforce_certificate")),
        "{body}"
    );
    assert!(body["fix"].as_str().unwrap().contains("salesforce.ca_file"), "{body}");
    assert_eq!(world.value("SELECT count(*) FROM connections").await, "0");
    assert_eq!(world.value("SELECT count(*) FROM connection_secrets").await, "0");
    let secrets = canaries(&world).with("client secret", &entry.client_secret);
    for run in [known, unknown] {
        assert!(run.terminate(DEADLINE).await.unwrap().success());
        secrets.assert_absent(run.log_files());
    }
}

#[tokio::test]
async fn a_command_that_the_api_refuses_or_that_is_mistyped_says_so() {
    let world = World::new("bad_commands").await;
    let port = free_port();
    let api = format!("http://127.0.0.1:{port}");
    let serve = scheduler(&world.bed, &world.directory, port).arg("serve").spawn("bad_commands").unwrap();
    serve.wait_ready(&format!("{api}/readyz"), DEADLINE).await.unwrap();
    let key_file = world.directory.join("operator.key");
    let verb = |words: &[&str]| {
        let program = Program::new("scheduler").arg("--api").arg(&api).arg("--key-file").arg(&key_file);
        words.iter().fold(program, Program::arg)
    };
    let nobody = "ten_00000000000000000000000000000009";
    refused(&world, "bad_commands", verb(&["status", "--tenant", nobody]), 4, &["no such tenant"]).await;
    refused(&world, "bad_commands", verb(&["status", "--tenant", "Acme"]), 4, &["no such tenant"]).await;
    let key = "key_00000000000000000000000000000009";
    refused(
        &world,
        "bad_commands",
        verb(&["tenant", "revoke-key", "--tenant", nobody, key]),
        4,
        &["no such tenant"],
    )
    .await;
    let wrong_key = Program::new("scheduler")
        .env("REFRAIN_API_KEY", format!("rfk_00000000000000000000000000000009_{SECRET}"))
        .arg("--api")
        .arg(&api)
        .arg("tenant")
        .arg("list");
    refused(&world, "bad_commands", wrong_key, 4, &["not in force"]).await;
    let auth = world.directory.join("auth.json");
    std::fs::write(&auth, format!("{{\"client_secret\": \"{SECRET}\"")).unwrap();
    let connect =
        ["connection", "create", "--tenant", nobody, "--name", "a", "--login-url", "https://a", "--auth"];
    for (file, said) in [(auth, "is not JSON"), (world.directory.join("nowhere.json"), "cannot be read")] {
        let run = verb(&connect).arg(&file);
        refused(&world, "bad_commands", run, 2, &[said]).await;
    }
    let list = |api: String, key_file: &Path| {
        Program::new("scheduler")
            .arg("--api")
            .arg(api)
            .arg("--key-file")
            .arg(key_file)
            .arg("tenant")
            .arg("list")
    };
    let nobody_there = format!("http://127.0.0.1:{}", free_port());
    refused(&world, "bad_commands", list(nobody_there, &key_file), 5, &["cannot be reached", "--api"]).await;
    let no_key = world.directory.join("no.key");
    refused(&world, "bad_commands", list(api.clone(), &no_key), 2, &["no API key", "--key-file"]).await;
    for words in [&["tenant", "destroy"][..], &["status"], &["serve", "--sideways"]] {
        let run = verb(words).spawn("bad_commands").unwrap();
        assert_eq!(code(&run).await, 2, "{}", run.logs());
        assert!(run.logs().contains("Usage:") || run.logs().contains("--help"), "{}", run.logs());
    }
    assert!(serve.terminate(DEADLINE).await.unwrap().success());
}
