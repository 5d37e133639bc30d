//! The sample parses, every problem is told at once, and no secret is printed.

use super::*;

const NEEDED: &str =
    "[database]\nurl = 'postgres://u:hunter2@localhost/r'\n[broker]\nurl = 'amqp://u:hunter2@localhost'\n";

fn with(text: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigProblems> {
    Config::from_text(text, variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

#[test]
fn the_sample_file_is_a_configuration() {
    let config = with(include_str!("../../../deploy/refrain.example.toml"), &[]).unwrap();
    let defaults = with(NEEDED, &[]).unwrap();
    // The sample shows the defaults, so that reading it tells the truth.
    assert_eq!(config.redacted().replace("# the file", "# default"), {
        let printed = defaults.redacted();
        printed.replace("# the file", "# default")
    });
}

#[test]
fn the_environment_wins_over_the_file_and_is_read_as_the_keys_type() {
    let variables = [
        ("REFRAIN_DATABASE__POOL_SIZE", "5"),
        ("REFRAIN_SALESFORCE__API_VERSION", "61.0"),
        ("REFRAIN_SALESFORCE__ALLOW_HOSTS", "a.test, b.test"),
        ("REFRAIN_SALESFORCE__ALLOW_LOOPBACK", "true"),
        ("REFRAIN_API_KEY", "not configuration"),
        ("HOME", "/root"),
    ];
    let config = with(&NEEDED.replace("[broker]", "pool_size = 7\n[broker]"), &variables).unwrap();
    assert_eq!(config.database.pool_size, 5);
    assert_eq!(config.salesforce.api_version, "61.0");
    assert_eq!(config.salesforce.allow_hosts, ["a.test", "b.test"]);
    assert!(config.salesforce.allow_loopback);
}

#[test]
fn the_names_that_tools_know_are_honoured_but_ours_win() {
    let known = [("DATABASE_URL", "postgres://db.test/x"), ("AMQP_URL", "amqp://mq.test")];
    let config = with("", &known).unwrap();
    assert_eq!(config.database.url.expose(), "postgres://db.test/x");
    assert_eq!(config.database.tls, DatabaseTls::Require, "another machine is reached by TLS");
    let ours = [known[0], known[1], ("REFRAIN_DATABASE__URL", "postgres://localhost/y")];
    let config = with("", &ours).unwrap();
    assert_eq!(config.database.url.expose(), "postgres://localhost/y");
    assert_eq!(config.database.tls, DatabaseTls::Disable);
}

#[test]
fn every_problem_is_told_at_once_with_why_and_fix() {
    let text = "stray = 1\n[database]\nurl = 'mysql://x'\npoolsize = 3\n[worker]\nslots = 0\nlisten = 'here'\n[log]\nformat = 'xml'\n";
    let problems = with(text, &[("REFRAIN_KEYS__CREATE", "perhaps")]).unwrap_err();
    let keys: Vec<&str> = problems.0.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "stray",
            "database.url",
            "broker.url",
            "keys.create",
            "worker.slots",
            "worker.listen",
            "log.format",
            "database.poolsize"
        ]
    );
    assert!(problems.0.iter().all(|problem| !problem.why.is_empty() && !problem.fix.is_empty()));
    assert!(problems.to_string().contains("did you mean database.pool_size?"), "{problems}");
}

#[test]
fn no_secret_is_printed() {
    let config = with(NEEDED, &[]).unwrap();
    assert!(!format!("{config:?}{}", config.redacted()).contains("hunter2"));
    let problems = with("[database]\nurl = hunter2", &[]).unwrap_err();
    assert!(!problems.to_string().contains("hunter2"), "{problems}");
}

#[test]
fn a_secret_may_come_from_a_file_but_not_from_two_places() {
    let path = std::env::temp_dir().join(format!("refrain-secret-{}", uuid::Uuid::now_v7()));
    std::fs::write(&path, "amqp://from-file\n").unwrap();
    let text =
        NEEDED.replace("url = 'amqp://u:hunter2@localhost'", &format!("url_file = '{}'", path.display()));
    assert_eq!(with(&text, &[]).unwrap().broker.url.expose(), "amqp://from-file");
    let problems = with(&text, &[("AMQP_URL", "amqp://x")]).unwrap_err();
    assert!(problems.to_string().contains("both url and url_file"), "{problems}");
    std::fs::remove_file(path).unwrap();
}
