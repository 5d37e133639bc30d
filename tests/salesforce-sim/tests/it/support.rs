//! A simulator for one test, and a plain client.

use std::time::{Duration, Instant};

use reqwest::{Client, RequestBuilder, Response};
use salesforce_sim::scenario::ScenarioStep;
use salesforce_sim::{Options, OrgEntry, OrgOptions, Running, Simulator};
use serde_json::{Value, json};

/// A running simulator with a logged-in client.
pub(crate) struct Sim {
    pub(crate) running: Running,
    pub(crate) http: Client,
    pub(crate) org: OrgEntry,
    pub(crate) token: String,
}

/// A small org.
pub(crate) fn small() -> OrgOptions {
    OrgOptions { cases: 60, seed: 7, ..OrgOptions::default() }
}

impl Sim {
    pub(crate) async fn start() -> Self {
        Self::with(small()).await
    }

    pub(crate) async fn with(org: OrgOptions) -> Self {
        Self::of(Options { orgs: vec![org], ..Options::default() }).await
    }

    /// A small org to which these things are done.
    pub(crate) async fn with_steps(steps: Vec<ScenarioStep>) -> Self {
        Self::of(Options { orgs: vec![small()], steps, ..Options::default() }).await
    }

    async fn of(options: Options) -> Self {
        let running = Simulator::start(options).await.expect("the simulator starts");
        let org = running.ready.orgs[0].clone();
        let mut sim = Self { running, http: Client::new(), org, token: String::new() };
        sim.token = sim.log_in().await;
        sim
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.running.ready.http)
    }

    /// A fresh access token by client credentials.
    pub(crate) async fn log_in(&self) -> String {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", &self.org.client_id),
            ("client_secret", &self.org.client_secret),
        ];
        let answer = self.token_request(&form).await;
        assert_eq!(answer.0, 200, "{}", answer.1);
        answer.1["access_token"].as_str().expect("a token").to_owned()
    }

    pub(crate) async fn token_request(&self, form: &[(&str, &str)]) -> (u16, Value) {
        let sent = self.http.post(self.url("/services/oauth2/token")).form(form).send().await;
        read(sent.expect("an answer")).await
    }

    pub(crate) fn request(&self, path: &str) -> RequestBuilder {
        self.http.get(self.url(path)).bearer_auth(&self.token)
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        read(self.request(path).send().await.expect("an answer")).await
    }

    pub(crate) fn query_request(&self, resource: &str, soql: &str) -> RequestBuilder {
        self.request(&format!("/services/data/v66.0/{resource}")).query(&[("q", soql)])
    }

    pub(crate) async fn ask(&self, soql: &str) -> (u16, Value) {
        read(self.query_request("query", soql).send().await.expect("an answer")).await
    }

    /// The answer to a good query.
    pub(crate) async fn query(&self, soql: &str) -> Value {
        let (status, body) = self.ask(soql).await;
        assert_eq!(status, 200, "{soql}: {body}");
        body
    }

    pub(crate) async fn query_all(&self, soql: &str) -> Value {
        let (status, body) =
            read(self.query_request("queryAll", soql).send().await.expect("an answer")).await;
        assert_eq!(status, 200, "{soql}: {body}");
        body
    }

    pub(crate) async fn count(&self, soql: &str) -> u64 {
        self.query(soql).await["totalSize"].as_u64().expect("a count")
    }

    fn control_url(&self, path: &str) -> String {
        format!("{}/orgs/{}{path}", self.running.ready.control, self.org.org_id)
    }

    pub(crate) async fn control(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.control_answer(path, body).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    pub(crate) async fn control_answer(&self, path: &str, body: Value) -> (u16, Value) {
        let sent = self.http.post(self.control_url(path)).json(&body).send().await;
        read(sent.expect("an answer")).await
    }

    pub(crate) async fn control_get(&self, path: &str) -> Value {
        let sent = self.http.get(self.control_url(path)).send().await;
        read(sent.expect("an answer")).await.1
    }

    /// Lines of NDJSON.
    pub(crate) async fn truth(&self, path: &str) -> Vec<Value> {
        let sent = self.http.get(self.control_url(path)).send().await.expect("an answer");
        let text = sent.text().await.expect("a body");
        text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    }

    pub(crate) async fn fault(&self, fault: Value) {
        let body = json!({"match": {"path": "/query"}, "fault": fault});
        self.control("/faults", body).await;
    }

    pub(crate) async fn insert(&self, object: &str, fields: Value) -> String {
        let made = self.control("/records", json!({"object": object, "fields": fields})).await;
        made["id"].as_str().expect("an id").to_owned()
    }

    pub(crate) async fn advance(&self, ms: i64) {
        let url = format!("{}/clock/advance", self.running.ready.control);
        let sent = self.http.post(url).json(&json!({"ms": ms})).send().await;
        assert_eq!(sent.expect("an answer").status(), 200);
    }

    /// Polls until a condition holds.
    pub(crate) async fn until(&self, what: &str, mut holds: impl AsyncFnMut(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !holds(self).await {
            assert!(Instant::now() < deadline, "waited too long: {what}");
            tokio::task::yield_now().await;
        }
    }
}

/// Status and JSON body; `null` for a body that is no JSON.
pub(crate) async fn read(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let text = response.text().await.unwrap_or_default();
    (status, serde_json::from_str(&text).unwrap_or(Value::Null))
}

/// Ids of the records of a page.
pub(crate) fn ids(page: &Value) -> Vec<String> {
    let records = page["records"].as_array().expect("records");
    records.iter().map(|record| record["Id"].as_str().expect("an id").to_owned()).collect()
}
