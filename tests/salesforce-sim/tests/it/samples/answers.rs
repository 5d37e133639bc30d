//! Answers other than to queries: headers, jobs, composites, resources, replication.

use serde_json::{Value, json};

use super::node::{Node, Order};
use super::{answer, body, folder, hold, hold_common, keys, sample, text};
use crate::support::Sim;

const DATA: &str = "/services/data/v66.0";

#[tokio::test]
pub(super) async fn headers_look_as_recorded() {
    let Some(folder) = folder("headers_look_as_recorded") else { return };
    let sim = Sim::start().await;
    let one = raw_answer(&sim, &format!("{DATA}/query?q=SELECT+Id+FROM+Case+LIMIT+1")).await;
    let none = raw_answer(&sim, &format!("{DATA}/query?q=SELECT+Id+FROM+Case+LIMIT+0")).await;
    for (file, raw) in [("query_200_one_record.json", one), ("query_200_no_rows.json", none)] {
        let file = format!("exchange/{file}");
        let recorded = sample(&folder, &file);
        for name in ["Date", "Sforce-Limit-Info", "Content-Type"] {
            assert!(keys(&recorded["response"]["headers"]).contains(name));
            assert!(raw.contains(&format!("\r\n{name}: ")), "{name} in {raw}");
        }
        let content_type = recorded["response"]["headers"]["Content-Type"][0].as_str().unwrap();
        assert!(raw.contains(&format!("\r\nContent-Type: {content_type}\r\n")));
        let (_, ours) = raw.split_once("\r\n\r\n").unwrap();
        let (ours, recorded) = (Node::parse(ours), Node::parse(&body(&folder, &file, 0)));
        assert_eq!(ours.keys(), recorded.keys());
        assert_eq!(ours.at("totalSize"), recorded.at("totalSize"));
    }
}

/// The bytes of an answer: a client library would fold the header names.
async fn raw_answer(sim: &Sim, path: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let address = sim.running.ready.http.trim_start_matches("http://").to_owned();
    let mut socket = tokio::net::TcpStream::connect(&address).await.unwrap();
    let token = &sim.token;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut raw = String::new();
    socket.read_to_string(&mut raw).await.unwrap();
    raw
}

/// Makes a bulk job and waits for its end: what the platform said first, and its path.
async fn job(sim: &Sim, query: &str) -> (String, String) {
    let request = sim.http.post(sim.url(&format!("{DATA}/jobs/query"))).bearer_auth(&sim.token);
    let sent = request.json(&json!({"operation": "query", "query": query})).send().await.unwrap();
    let made = sent.text().await.unwrap();
    let id = serde_json::from_str::<Value>(&made).unwrap()["id"].as_str().unwrap().to_owned();
    let path = format!("{DATA}/jobs/query/{id}");
    sim.until("the job to end", async |sim| {
        ["JobComplete", "Failed"].map(Value::from).contains(&sim.get(&path).await.1["state"])
    })
    .await;
    (made, path)
}

#[tokio::test]
pub(super) async fn a_bulk_job_tells_what_recorded_ones_tell() {
    let Some(folder) = folder("a_bulk_job_tells_what_recorded_ones_tell") else { return };
    let sim = Sim::start().await;
    let recorded = |name: &str| text(&folder, &format!("bulk/{name}.json"));
    let (made, path) = job(&sim, "SELECT Id FROM Case").await;
    hold("query_job_created", &made, &recorded("query_job_created"), Order::Free);
    hold("ended jobs", &answer(&sim, &path).await, &recorded("job_info_complete"), Order::Free);
    let failure = json!({"kind": "job_failure", "message": "InvalidBatch : Failed to process query"});
    sim.control("/faults", json!({"match": {"path": "/jobs/query"}, "fault": failure})).await;
    let (_, path) = job(&sim, "SELECT Id FROM Case").await;
    hold("ended jobs", &answer(&sim, &path).await, &recorded("job_info_failed"), Order::Free);
}

#[tokio::test]
pub(super) async fn bulk_results_come_with_the_recorded_headers() {
    let Some(folder) = folder("bulk_results_come_with_the_recorded_headers") else { return };
    let sim = Sim::start().await;
    let (_, path) = job(&sim, "SELECT Id, Subject, ClosedDate FROM Case").await;
    let recorded = sample(&folder, "exchange/bulk2_query_results_two_pages.json");
    let mut next = format!("{path}/results?maxRecords=40");
    for recorded in recorded.as_array().unwrap() {
        let raw = raw_answer(&sim, &next).await;
        let (head, _) = raw.split_once("\r\n\r\n").unwrap();
        let csv = answer(&sim, &next).await;
        for (name, _) in recorded["response"]["headers"].as_object().unwrap() {
            assert!(head.contains(&format!("\r\n{name}: ")), "{name} in {head}");
        }
        let recorded_csv = recorded["response"]["body"].as_str().unwrap();
        assert_eq!(csv.lines().next(), recorded_csv.lines().next());
        let (_, rest) = head.split_once("\r\nSforce-Locator: ").unwrap();
        let locator = rest.lines().next().unwrap();
        let ends = recorded["response"]["headers"]["Sforce-Locator"] == "null";
        assert_eq!(locator == "null", ends, "{head}");
        next = format!("{path}/results?maxRecords=40&locator={locator}");
    }
}

async fn composite(sim: &Sim, resource: &str, request: Value) -> String {
    let sent = sim.http.post(sim.url(&format!("{DATA}/{resource}"))).bearer_auth(&sim.token).json(&request);
    sent.send().await.unwrap().text().await.unwrap()
}

#[tokio::test]
pub(super) async fn composites_have_the_recorded_shape() {
    let Some(folder) = folder("composites_have_the_recorded_shape") else { return };
    let sim = Sim::start().await;
    let part = |url: &str| json!({"method": "GET", "url": format!("{DATA}/{url}"), "referenceId": "a"});
    let all =
        |urls: &[&str]| json!({"compositeRequest": urls.iter().map(|url| part(url)).collect::<Vec<_>>()});
    let query = "query?q=SELECT+Id+FROM+Account+LIMIT+1";
    let inner = composite(&sim, "composite", all(&["sobjects/Foo"])).await;
    hold(
        "composite_200_inner_404",
        &inner,
        &body(&folder, "exchange/composite_200_inner_404.json", 0),
        Order::Kept,
    );
    let counts = composite(&sim, "composite", all(&["query?q=SELECT+COUNT()+FROM+Case"])).await;
    hold("composite_count_200", &counts, &body(&folder, "exchange/composite_count_200.json", 0), Order::Kept);
    let queries = composite(&sim, "composite", all(&[query])).await;
    hold(
        "composite_four_queries_200",
        &queries,
        &body(&folder, "exchange/composite_four_queries_200.json", 1),
        Order::Kept,
    );
    let query = "query?q=SELECT+Subject,Csat_Score__c+FROM+Case+LIMIT+1";
    let queries = composite(&sim, "composite", all(&[query])).await;
    let theirs = text(&folder, "composite/query_all_success.json");
    let theirs = theirs.replace("CalculationStatus", "Subject").replace("LineItemCount", "Csat_Score__c");
    // A proxy that recorded this one has sorted its keys.
    hold("query_all_success", &queries, &theirs, Order::Free);

    let graph = json!({"graphs": [{"graphId": "1", "compositeRequest": [part("sobjects/Foo")]}]});
    hold(
        "graph_error",
        &composite(&sim, "composite/graph", graph).await,
        &text(&folder, "composite/graph_error.json"),
        Order::Kept,
    );
}

/// Reads of recorded sessions, as far as the org has their objects.
#[tokio::test]
pub(super) async fn recorded_queries_are_answered_in_their_shape() {
    let Some(folder) = folder("recorded_queries_are_answered_in_their_shape") else { return };
    let sim = Sim::start().await;
    let mut compared = 0;
    for file in
        ["exchange/dataset_extract_standard_objects.json", "exchange/query_find_records_multiple.json"]
    {
        for exchange in sample(&folder, file).as_array().unwrap() {
            let Some(uri) = exchange["request"]["uri"].as_str() else { continue };
            let (_, rest) = uri.split_once("/services/data/").unwrap();
            let (_, path) = rest.split_once('/').unwrap();
            let sent = sim.request(&format!("{DATA}/{path}")).send().await.unwrap();
            let (status, ours) = (sent.status(), sent.text().await.unwrap());
            if status == 400 && ["INVALID_TYPE", "INVALID_FIELD"].iter().any(|code| ours.contains(code)) {
                continue;
            }
            assert_eq!(status, 200, "{uri}: {ours}");
            compared += 1;
            hold(
                "reads of recorded sessions",
                &ours,
                exchange["response"]["body"].as_str().unwrap(),
                Order::Kept,
            );
        }
    }
    assert!(compared >= 5, "{compared} of them are answered");
}

#[tokio::test]
pub(super) async fn whole_records_and_resources_have_the_recorded_keys() {
    let Some(folder) = folder("whole_records_and_resources_have_the_recorded_keys") else { return };
    let sim = Sim::start().await;
    let recorded = body(&folder, "exchange/services_data_version_resources.json", 0);
    hold("services_data_version_resources", &answer(&sim, &format!("{DATA}/")).await, &recorded, Order::Free);
    hold(
        "versions",
        &answer(&sim, "/services/data/").await,
        &text(&folder, "query/versions.json"),
        Order::Free,
    );

    // Limits and fields differ from org to org; each that both have is written alike.
    let organization = answer(&sim, &format!("{DATA}/sobjects/Organization/{}", sim.org.org_id)).await;
    let theirs = body(&folder, "exchange/organization_record_200.json", 0);
    hold_common("organization_record_200", &organization, &theirs, 25);
    let limits = Node::parse(&answer(&sim, &format!("{DATA}/limits")).await);
    let theirs = Node::parse(&text(&folder, "limits/limits_2022.json"));
    for limit in theirs.keys() {
        assert!(limits.keys().contains(&limit), "{limit} is not among our limits");
        // Beside these two, some tell of single apps.
        for written in [limits.at(limit), theirs.at(limit)] {
            assert!(
                ["Max", "Remaining"].iter().all(|key| written.keys().contains(key)),
                "{limit}: {written:?}"
            );
        }
    }
}

#[tokio::test]
pub(super) async fn replication_has_the_recorded_shape() {
    let Some(folder) = folder("replication_has_the_recorded_shape") else { return };
    let sim = Sim::start().await;
    let case = sim.insert("Case", json!({"Subject": "to be deleted"})).await;
    let now = sim.control_get("/truth").await["now"].as_str().unwrap().to_owned();
    let now = salesforce_sim::time::parse_instant(&now).unwrap();
    let span = |resource: &str| {
        let at = |ms: i64| salesforce_sim::time::rfc3339(now + ms);
        format!("{DATA}/sobjects/Case/{resource}/?start={}&end={}", at(-3_600_000), at(120_000))
    };
    let updated = answer(&sim, &span("updated")).await;
    hold("get_updated", &updated, &text(&folder, "replication/get_updated.json"), Order::Free);
    assert!(updated.contains(&case));
    sim.control(&format!("/records/Case/{case}/delete"), json!({})).await;
    let deleted = answer(&sim, &span("deleted")).await;
    hold("get_deleted", &deleted, &text(&folder, "replication/get_deleted.json"), Order::Free);
    assert!(deleted.contains(&case));
}
