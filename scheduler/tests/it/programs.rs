//! The program itself: configuration, schema, start, stop, and the command line.

use std::net::TcpListener;

use harness::process::{Program, Running};
use harness::{TestBed, wait};
use refrain_shared::storage::dispatch::jobs_reconcile;
use serde_json::json;
use tokio_postgres::NoTls;

use crate::world::{DEADLINE, Folder, World};

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub(crate) fn scheduler(bed: &TestBed, directory: &Folder, port: u16) -> Program {
    Program::new("scheduler")
        .env("DATABASE_URL", bed.database_url())
        .env("AMQP_URL", bed.amqp_url())
        .env("REFRAIN_HTTP__LISTEN", format!("127.0.0.1:{port}"))
        .env("REFRAIN_HTTP__OPERATOR_KEY_FILE", directory.join("operator.key"))
        .env("REFRAIN_KEYS__FILE", directory.join("keys.toml"))
}

pub(crate) async fn code(running: &Running) -> i32 {
    running.wait_exit(DEADLINE).await.unwrap().code().unwrap()
}

#[tokio::test]
async fn a_bad_configuration_ends_with_code_two_and_every_problem() {
    let run = Program::new("scheduler")
        .arg("check-config")
        .env("REFRAIN_WORKER__SLOTS", "0")
        .env("REFRAIN_BROKER__URL", "http://x")
        .spawn("bad_configuration")
        .unwrap();
    assert_eq!(code(&run).await, 2);
    let told = run.logs();
    for expected in ["database.url", "broker.url", "worker.slots", "Why:", "Fix:"] {
        assert!(told.contains(expected), "{expected} in {told}");
    }
}

#[tokio::test]
async fn a_schema_that_does_not_fit_ends_with_code_three_and_what_to_do() {
    let bed = TestBed::new("programs_schema").await;
    let files = Folder::of(&bed);
    let behind = scheduler(&bed, &files, free_port()).arg("serve").spawn("programs_schema").unwrap();
    assert_eq!(code(&behind).await, 3);
    assert!(behind.logs().contains("scheduler migrate"), "{}", behind.logs());

    for _ in 0..2 {
        let migrated = scheduler(&bed, &files, free_port()).arg("migrate").spawn("programs_schema").unwrap();
        assert_eq!(code(&migrated).await, 0, "{}", migrated.logs());
    }
    let (client, connection) = tokio_postgres::connect(bed.database_url(), NoTls).await.unwrap();
    let driver = tokio::spawn(connection);
    client
        .batch_execute(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
             VALUES (29990101000001, 'from the future', true, '\\x00', 1)",
        )
        .await
        .unwrap();
    drop(client);
    driver.await.unwrap().unwrap();
    let ahead = scheduler(&bed, &files, free_port()).arg("serve").spawn("programs_schema").unwrap();
    assert_eq!(code(&ahead).await, 3);
    assert!(ahead.logs().contains("newer build"), "{}", ahead.logs());
}

#[tokio::test]
async fn it_starts_serves_its_command_line_and_stops_in_order() {
    let bed = TestBed::new("programs_serve").await;
    let files = Folder::of(&bed);
    let port = free_port();
    let api = format!("http://127.0.0.1:{port}");
    let serve = scheduler(&bed, &files, port).arg("serve").arg("--migrate").spawn("programs_serve").unwrap();
    serve.wait_ready(&format!("{api}/readyz"), DEADLINE).await.unwrap();
    let key_file = files.join("operator.key");
    let key = std::fs::read_to_string(&key_file).unwrap();

    let verb = |words: &[&str]| {
        let mut program = Program::new("scheduler").arg("--api").arg(&api).arg("--key-file").arg(&key_file);
        for word in words {
            program = program.arg(word);
        }
        program.spawn("programs_serve").unwrap()
    };
    let made = verb(&["-o", "json", "tenant", "create", "Acme"]);
    assert_eq!(code(&made).await, 0, "{}", made.logs());
    let id_in = |run: &Running| {
        let answer: serde_json::Value = serde_json::from_str(&run.logs()).unwrap();
        answer["id"].as_str().unwrap().to_owned()
    };
    let tenant = id_in(&made);
    let made_key = verb(&["-o", "json", "tenant", "key", "--tenant", &tenant, "console"]);
    assert_eq!(code(&made_key).await, 0, "{}", made_key.logs());
    let key_id = id_in(&made_key);
    let revoked = verb(&["-o", "json", "tenant", "revoke-key", "--tenant", &tenant, &key_id]);
    assert_eq!(code(&revoked).await, 0, "{}", revoked.logs());
    let keys = verb(&["tenant", "keys", "--tenant", &tenant]);
    assert_eq!(code(&keys).await, 0, "{}", keys.logs());
    assert!(keys.logs().contains(&key_id) && keys.logs().contains("tenant_reader"), "{}", keys.logs());
    let set = verb(&["retention", "set", "--tenant", &tenant, "--tickets", "45"]);
    assert_eq!(code(&set).await, 0, "{}", set.logs());
    let preview = verb(&["-o", "json", "retention", "preview", "--tenant", &tenant, "--held", "99"]);
    assert_eq!(code(&preview).await, 0, "{}", preview.logs());
    let told: serde_json::Value = serde_json::from_str(&preview.logs()).unwrap();
    assert_eq!((&told["policy"]["ticket_days"], &told["policy"]["held_days"]), (&45.into(), &99.into()));
    let shown = verb(&["retention", "show", "--tenant", &tenant]);
    assert_eq!(code(&shown).await, 0, "{}", shown.logs());
    assert!(shown.logs().contains("365") && shown.logs().contains("UP TO"), "{}", shown.logs());
    let unknown =
        verb(&["ticket", "hold", "--tenant", &tenant, "--reason", "graded", "obj_1.500000000000001AAA"]);
    assert_eq!(code(&unknown).await, 4, "{}", unknown.logs());
    let jobs = verb(&["job", "list", "--tenant", &tenant, "--state", "parked"]);
    assert_eq!(code(&jobs).await, 0, "{}", jobs.logs());
    assert!(jobs.logs().contains("WAITS FOR"), "{}", jobs.logs());
    for (words, expected) in [
        (&["why", "job_1"][..], 4),
        (&["retry", "job_1"], 4),
        (&["retry", "--kind", "backfill", "--code", "DEFECT"], 0),
        (&["drop", "--all"], 0),
        (&["drop"], 2),
    ] {
        let run = verb(&[&["job", words[0], "--tenant", &tenant], &words[1..]].concat());
        assert_eq!(code(&run).await, expected, "{words:?}: {}", run.logs());
    }
    for (word, expected) in [("list", "QUEUE"), ("replay", "REPLAYED"), ("drop", "QUEUE")] {
        let run = verb(&["dead", word]);
        assert_eq!(code(&run).await, 0, "{}", run.logs());
        assert!(run.logs().contains(expected), "{}", run.logs());
    }
    let listed = verb(&["tenant", "list"]);
    assert_eq!(code(&listed).await, 0);
    assert!(listed.logs().contains("Acme"), "{}", listed.logs());
    let refused = verb(&["status", "--tenant", "ten_00000000000000000000000000000009"]);
    assert_eq!(code(&refused).await, 4);
    assert!(refused.logs().contains("Fix:"), "{}", refused.logs());

    let metrics = reqwest::get(format!("{api}/metrics")).await.unwrap().text().await.unwrap();
    assert!(metrics.contains("sync_api_requests_total"), "{metrics}");
    assert!(serve.terminate(DEADLINE).await.unwrap().success());
    let told = serve.logs();
    assert!(told.contains("the scheduler has stopped"), "{told}");
    assert!(!told.contains(key.trim()), "the key is never logged");
    let gone = verb(&["tenant", "list"]);
    assert_eq!(code(&gone).await, 5);
    wait::eventually(DEADLINE, "the port to be free again", async || {
        TcpListener::bind(("127.0.0.1", port)).ok()
    })
    .await;
}

#[tokio::test]
async fn reading_is_steered_from_the_command_line() {
    let world = World::new("programs_steer").await;
    let scope = world.tenant("a").await;
    let connection = world.connection(&scope).await;
    let case = world.object(&scope, connection, "Case").await;
    jobs_reconcile(&world.db).await.unwrap();
    world
        .sql("UPDATE checkpoints SET state = 'current', watermark_at = now(), covered_from = '-infinity', loaded_at = now()")
        .await;
    let port = free_port();
    let api = format!("http://127.0.0.1:{port}");
    let serve = scheduler(&world.bed, &world.directory, port).arg("serve").spawn("programs_steer").unwrap();
    serve.wait_ready(&format!("{api}/readyz"), DEADLINE).await.unwrap();
    let key_file = world.directory.join("operator.key");
    let (tenant, object) = (scope.tenant().to_string(), case.to_string());
    let told = async |words: &[&str], expected: &[&str]| {
        let program = Program::new("scheduler").arg("--api").arg(&api).arg("--key-file").arg(&key_file);
        let run = words.iter().fold(program, Program::arg).arg("--tenant").arg(&tenant);
        let run = run.spawn("programs_steer").unwrap();
        assert_eq!(code(&run).await, 0, "{words:?}: {}", run.logs());
        let logs = run.logs();
        assert!(expected.iter().all(|word| logs.contains(word)), "{words:?}: {logs}");
    };
    told(&["sync", "now", "--refresh", &object], &["due"]).await;
    let from = ["sync", "resync", "--from", "2026-01-01T00:00:00Z", "--object", &object];
    told(&from, &["LEFT OUT", &object]).await;
    told(&["sync", "cancel"], &[&object, "resync", "1 cancelled"]).await;
    told(&["sync", "cancel", "--connection", &connection.to_string()], &["0 cancelled"]).await;
    told(&["sync", "reset", &object], &[&object, "new"]).await;
    let events = "SELECT string_agg(action || ' ' || details, '; ' ORDER BY seq) FROM audit_events
                   WHERE action ~ '^(sync|control)'";
    let details = [
        ("sync.now", json!({ "refresh": true })),
        ("control.resync", json!({ "from": "2026-01-01T00:00:00Z", "level": "object", "objects": 1 })),
        ("control.cancel", json!({ "cancelled": 1, "level": "tenant", "what": ["resync"] })),
        ("control.reset", json!({ "level": "object" })),
    ];
    let told = world.value(events).await;
    let told: Vec<(&str, serde_json::Value)> = told
        .split("; ")
        .map(|event| event.split_once(' ').unwrap())
        .map(|(action, details)| (action, serde_json::from_str(details).unwrap()))
        .collect();
    assert_eq!(told, details);
    assert!(serve.terminate(DEADLINE).await.unwrap().success());
}
