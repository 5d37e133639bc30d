//! HTTPS with the simulator's own authority.

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
