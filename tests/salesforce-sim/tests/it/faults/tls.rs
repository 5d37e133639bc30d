//! HTTPS with the simulator's own authority, and everything that can be wrong with it.

use std::error::Error;

use serde_json::json;

use crate::support::{Sim, read};

#[tokio::test]
async fn https_works_with_the_authoritys_certificate_and_not_without() {
    let sim = Sim::start().await;
    let pem = std::fs::read(&sim.running.ready.ca_file).unwrap();
    let authority = reqwest::Certificate::from_pem(&pem).unwrap();
    let trusting = reqwest::Client::builder().tls_certs_only([authority]).build().unwrap();
    let https = &sim.running.ready.https;
    for base in [https.clone(), https.replace("127.0.0.1", "localhost")] {
        let answer = trusting.get(format!("{base}/services/data/")).send().await.unwrap();
        assert_eq!(read(answer).await.0, 200, "{base}");
    }
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", &sim.org.client_id),
        ("client_secret", &sim.org.client_secret),
    ];
    let answer = trusting.post(format!("{https}/services/oauth2/token")).form(&form).send().await.unwrap();
    let token = read(answer).await.1;
    assert_eq!(token["instance_url"], *https, "the address the client used");
    assert_eq!(sim.org.instance_url, *https);
    assert!(reqwest::Client::new().get(format!("{https}/services/data/")).send().await.is_err());
}

#[tokio::test]
async fn stopping_closes_the_ports() {
    let sim = Sim::start().await;
    let (url, folder) = (sim.url("/services/data/"), sim.running.ready.ca_file.clone());
    sim.running.stop().await;
    assert!(reqwest::Client::new().get(url).send().await.is_err());
    assert!(!folder.exists(), "temporary files are gone");
}

fn trusting(sim: &Sim) -> reqwest::Client {
    let pem = std::fs::read(&sim.running.ready.ca_file).unwrap();
    let authority = reqwest::Certificate::from_pem(&pem).unwrap();
    reqwest::Client::builder().tls_certs_only([authority]).build().unwrap()
}

/// The whole chain of an error's causes.
fn causes(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

#[tokio::test]
async fn an_address_can_be_wrong_in_every_way() {
    let sim = Sim::start().await;
    let client = trusting(&sim);
    for (how, words) in [
        ("expired", "expired"),
        ("wrong_host", "not valid for"),
        ("unknown_ca", "UnknownIssuer"),
        ("self_signed", "UnknownIssuer"),
        ("old_protocol", "ServerDoesNotSupportTls12Or13"),
        ("plaintext", "InvalidContentType"),
    ] {
        let url = format!("{}/tls", sim.running.ready.control);
        let opened = sim.http.post(url).json(&json!({"how": how})).send().await.unwrap();
        let https = read(opened).await.1["https"].as_str().unwrap().to_owned();
        let refused = client.get(format!("{https}/services/data/")).send().await.unwrap_err();
        assert!(causes(&refused).contains(words), "{how}: {}", causes(&refused));
    }
    let good = client.get(format!("{}/services/data/", sim.running.ready.https)).send().await.unwrap();
    assert_eq!(good.status(), 200, "the main address stays good");
}

#[tokio::test]
async fn the_main_address_can_be_wrong_for_a_time() {
    let sim = Sim::start().await;
    let ask = async || {
        // A fresh client, for a kept connection has shaken hands already.
        let answer = trusting(&sim).get(format!("{}/services/data/", sim.running.ready.https)).send().await;
        answer.map(|answer| answer.status().as_u16())
    };
    let url = format!("{}/tls/main", sim.running.ready.control);
    sim.http.post(&url).json(&json!({"how": "expired", "for_ms": 60_000})).send().await.unwrap();
    assert!(ask().await.is_err());
    sim.advance(60_001).await;
    assert_eq!(ask().await.unwrap(), 200);
    sim.http.post(&url).json(&json!({"how": "unknown_ca"})).send().await.unwrap();
    assert!(ask().await.is_err());
    sim.http.post(&url).json(&json!({"how": null})).send().await.unwrap();
    assert_eq!(ask().await.unwrap(), 200);
}
