//! Single rows, their files, and many rows in one request.

use salesforce_sim::OrgOptions;
use serde_json::{Value, json};

use crate::support::{Sim, ids, read, small};

const V: &str = "/services/data/v66.0";

async fn post(sim: &Sim, path: &str, body: Value) -> (u16, Value) {
    let request = sim.http.post(sim.url(&format!("{V}{path}"))).bearer_auth(&sim.token).json(&body);
    read(request.send().await.unwrap()).await
}

#[tokio::test]
async fn rows_are_found_by_external_id() {
    let sim = Sim::start().await;
    let one = sim.insert("Case", json!({"Order_Number__c": "A 1/b"})).await;
    for _ in 0..2 {
        sim.insert("Case", json!({"Order_Number__c": "twice"})).await;
    }
    let at = async |value: &str| sim.get(&format!("{V}/sobjects/Case/Order_Number__c/{value}")).await;
    let (status, body) = at("A%201%2Fb").await;
    assert_eq!((status, &body["Id"]), (200, &json!(one)));
    let (status, body) = at("twice").await;
    assert_eq!((status, body.as_array().map(Vec::len)), (300, Some(2)), "{body}");
    assert_eq!(at("nobody").await.1[0]["errorCode"], "NOT_FOUND");
    assert_eq!(sim.get(&format!("{V}/sobjects/Case/Status/New")).await.0, 404, "no external id");
}

#[tokio::test]
async fn files_have_their_bytes_at_a_path_of_their_own() {
    let sim = Sim::with(OrgOptions { cases: 200, ..small() }).await;
    let case = sim.insert("Case", json!({"Subject": "with a file"})).await;
    let fields = json!({"ParentId": case, "Name": "a.txt", "ContentType": "text/x-test", "Body": "AAH/gA=="});
    let file = sim.insert("Attachment", fields).await;
    let soql = format!("SELECT Id, Body, BodyLength FROM Attachment WHERE Id = '{file}'");
    let record = sim.query(&soql).await["records"][0].clone();
    assert_eq!(record["BodyLength"], 4);
    let path = record["Body"].as_str().unwrap().to_owned();
    assert_eq!(path, format!("{V}/sobjects/Attachment/{file}/Body"));
    let answer = sim.request(&path).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/x-test");
    assert_eq!(answer.bytes().await.unwrap()[..], [0, 1, 255, 128]);

    let versions = sim.query("SELECT Id, VersionData, ContentSize, Checksum FROM ContentVersion").await;
    let version = &versions["records"][0];
    let answer = sim.request(version["VersionData"].as_str().unwrap()).send().await.unwrap();
    let bytes = answer.bytes().await.unwrap();
    assert_eq!(bytes.len() as u64, version["ContentSize"].as_u64().unwrap());

    let part = json!({"compositeRequest": [{"method": "GET", "url": path, "referenceId": "a"}]});
    let (_, answer) = post(&sim, "/composite", part).await;
    assert_eq!(answer["compositeResponse"][0]["httpStatusCode"], 400, "no bytes inside a composite");
    assert_eq!(sim.get(&format!("{V}/sobjects/Attachment/{file}/Name")).await.0, 404);
    sim.control(&format!("/records/Attachment/{file}/delete"), json!({})).await;
    assert_eq!(sim.get(&path).await.1[0]["errorCode"], "ENTITY_IS_DELETED");
}

#[tokio::test]
async fn conditions_on_rows_are_kept() {
    let sim = Sim::start().await;
    let account = ids(&sim.query("SELECT Id FROM Account LIMIT 1").await)[0].clone();
    let path = format!("{V}/sobjects/Account/{account}");
    let first = sim.request(&path).send().await.unwrap();
    let header = |name: &str| first.headers()[name].to_str().unwrap().to_owned();
    let (tag, modified) = (header("etag"), header("last-modified"));
    let status = async |name: &str, value: &str| {
        sim.request(&path).header(name, value).send().await.unwrap().status().as_u16()
    };
    assert_eq!(status("If-None-Match", &tag).await, 304);
    assert_eq!(status("If-None-Match", "\"other\"").await, 200);
    assert_eq!(status("If-Match", "\"other\"").await, 412);
    assert_eq!(status("If-Modified-Since", &modified).await, 304);
    assert_eq!(status("If-Unmodified-Since", "Sat, 01 Jan 2000 00:00:00 GMT").await, 412);
    let case = ids(&sim.query("SELECT Id FROM Case LIMIT 1").await)[0].clone();
    let answer = sim.request(&format!("{V}/sobjects/Case/{case}")).send().await.unwrap();
    assert!(!answer.headers().contains_key("etag"), "tags exist for accounts only");
}

#[tokio::test]
async fn collections_come_in_the_order_of_the_ids_with_null_for_the_missing() {
    let sim = Sim::start().await;
    let cases = ids(&sim.query("SELECT Id FROM Case ORDER BY Id LIMIT 3").await);
    sim.control(&format!("/records/Case/{}/delete", cases[1]), json!({})).await;
    let asked = [&cases[2], "500000000000000AAA", &cases[1], "nonsense", &cases[0][..15]];
    let before = sim.control_get("/calls").await["api"].as_u64().unwrap();
    let (status, body) =
        post(&sim, "/composite/sobjects/Case", json!({"ids": asked, "fields": ["id", "Subject"]})).await;
    assert_eq!(status, 200, "{body}");
    let found: Vec<Option<&str>> = body.as_array().unwrap().iter().map(|row| row["Id"].as_str()).collect();
    assert_eq!(found, [Some(cases[2].as_str()), None, None, None, Some(cases[0].as_str())]);
    assert_eq!(body[0].as_object().unwrap().len(), 3, "attributes and two fields");
    assert_eq!(sim.control_get("/calls").await["api"].as_u64().unwrap(), before + 1);
    let by_get = format!("{V}/composite/sobjects/Case?ids={},{}&fields=Id", cases[0], cases[2]);
    assert_eq!(sim.get(&by_get).await.1.as_array().unwrap().len(), 2);
    let unknown = post(&sim, "/composite/sobjects/Case", json!({"ids": asked, "fields": ["Nope"]})).await;
    assert_eq!((unknown.0, &unknown.1[0]["errorCode"]), (400, &json!("INVALID_FIELD")));
    let many = vec!["500000000000000AAA"; 2_001];
    let (_, body) = post(&sim, "/composite/sobjects/Case", json!({"ids": many, "fields": ["Id"]})).await;
    assert_eq!(body[0]["errorCode"], "EXCEEDED_ID_LIMIT");
}

#[tokio::test]
async fn a_part_can_use_the_answer_of_an_earlier_one() {
    let sim = Sim::start().await;
    let case =
        ids(&sim.query("SELECT Id FROM Case WHERE ContactId != null ORDER BY Id LIMIT 1").await)[0].clone();
    let part = |name: &str, url: String| json!({"method": "GET", "url": url, "referenceId": name});
    let body = json!({"compositeRequest": [
        part("q", format!("{V}/query?q=SELECT+Id,ContactId+FROM+Case+WHERE+Id='{case}'")),
        part("c", format!("{V}/sobjects/Contact/@{{q.records[0].ContactId}}?fields=Id")),
        part("x", format!("{V}/sobjects/Contact/@{{nobody.id}}")),
    ]});
    let (_, answer) = post(&sim, "/composite", body).await;
    let parts = &answer["compositeResponse"];
    assert_eq!(parts[1]["body"]["Id"], parts[0]["body"]["records"][0]["ContactId"]);
    assert_eq!(parts[2]["body"][0]["errorCode"], "PROCESSING_HALTED");
    let wrong = json!({"compositeRequest": [part("not-a-word", format!("{V}/limits"))]});
    assert_eq!(post(&sim, "/composite", wrong).await.1[0]["errorCode"], "INVALID_INPUT");
}

#[tokio::test]
async fn each_request_of_a_batch_counts() {
    let sim = Sim::start().await;
    let item = |url: &str| json!({"method": "GET", "url": url});
    let items =
        [item("v66.0/limits"), item("v60.0/sobjects/Nope"), item("v66.0/query?q=SELECT+COUNT()+FROM+Case")];
    let before = sim.control_get("/calls").await["api"].as_u64().unwrap();
    let (status, body) = post(&sim, "/composite/batch", json!({"batchRequests": items})).await;
    assert_eq!((status, &body["hasErrors"]), (200, &json!(true)));
    let statuses: Vec<u64> =
        body["results"].as_array().unwrap().iter().map(|one| one["statusCode"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [200, 404, 200]);
    assert_eq!(sim.control_get("/calls").await["api"].as_u64().unwrap(), before + 3);
    let (_, body) =
        post(&sim, "/composite/batch", json!({"haltOnError": true, "batchRequests": items})).await;
    assert_eq!(body["results"][2]["statusCode"], 412);
    assert_eq!(body["results"][2]["result"][0]["errorCode"], "BATCH_PROCESSING_HALTED");
    let many = vec![item("v66.0/limits"); 26];
    assert_eq!(post(&sim, "/composite/batch", json!({"batchRequests": many})).await.0, 400);
}

#[tokio::test]
async fn graphs_are_wholes_of_their_own() {
    let sim = Sim::start().await;
    let case = ids(&sim.query("SELECT Id FROM Case LIMIT 1").await)[0].clone();
    let part = |name: &str, id: &str| json!({"method": "GET", "url": format!("{V}/sobjects/Case/{id}?fields=Id"), "referenceId": name});
    let body = json!({"graphs": [
        {"graphId": "good", "compositeRequest": [part("a", &case)]},
        {"graphId": "bad", "compositeRequest": [part("a", &case), part("b", "500000000000000AAA")]},
    ]});
    let (status, answer) = post(&sim, "/composite/graph", body).await;
    assert_eq!(status, 200, "{answer}");
    let graphs = &answer["graphs"];
    assert_eq!((&graphs[0]["isSuccessful"], &graphs[1]["isSuccessful"]), (&json!(true), &json!(false)));
    let halted = &graphs[1]["graphResponse"]["compositeResponse"][0]["body"][0];
    assert_eq!(halted["errorCode"], "PROCESSING_HALTED");
    let query =
        json!({"method": "GET", "url": format!("{V}/query?q=SELECT+Id+FROM+Case"), "referenceId": "q"});
    let body = json!({"graphs": [{"graphId": "g", "compositeRequest": [query]}]});
    assert_eq!(post(&sim, "/composite/graph", body).await.0, 400);
}
