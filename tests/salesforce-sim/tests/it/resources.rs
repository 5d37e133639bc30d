//! Describes, composite requests and single rows.

use serde_json::json;

use crate::support::{Sim, ids, read};

#[tokio::test]
async fn hidden_things_look_as_if_they_did_not_exist() {
    let sim = Sim::start().await;
    let hide = json!({"user": "default", "hide_fields": ["Case.Status"], "hide_objects": ["Task"]});
    let refused = sim.http.post(format!("{}/orgs/{}/permissions", sim.running.ready.control, sim.org.org_id));
    assert_eq!(refused.json(&hide).send().await.unwrap().status(), 400, "Status is not permissionable");
    let low = json!({"object": "Case", "count": 5, "fields": {"Priority": "Low"}});
    sim.control("/mass-update", low).await;
    let history = "SELECT COUNT() FROM CaseHistory WHERE Field = 'Priority'";
    assert!(sim.count(history).await > 0);
    let hide = json!({"user": "default", "hide_fields": ["Case.Priority"], "hide_objects": ["Task"]});
    sim.control("/permissions", hide).await;

    let (_, body) = sim.ask("SELECT Priority FROM Case").await;
    assert!(body[0]["message"].as_str().unwrap().contains("No such column 'Priority' on entity 'Case'"));
    assert_eq!(sim.ask("SELECT Id FROM Task").await.1[0]["errorCode"], "INVALID_TYPE");
    assert_eq!(sim.get("/services/data/v66.0/sobjects/Task/describe").await.0, 404);
    assert_eq!(sim.count(history).await, 0);
    assert!(sim.truth("/truth/Case").await[0]["fields"].get("Priority").is_none());
}

#[tokio::test]
async fn a_polymorphic_parent_has_a_name_even_when_its_objects_are_hidden() {
    let sim = Sim::start().await;
    let soql = "SELECT Who.Name, Who.Type FROM Task WHERE WhoId != NULL LIMIT 1";
    assert!(sim.query(soql).await["records"][0]["Who"]["Name"].is_string());
    sim.control("/permissions", json!({"hide_objects": ["Contact", "Lead"]})).await;
    assert!(sim.query(soql).await["records"][0]["Who"].is_null());
    let (_, refused) = sim.ask("SELECT Contact.Name FROM Case").await;
    assert_eq!(refused[0]["errorCode"], "INVALID_FIELD", "a plain parent is gone with its object");
}

#[tokio::test]
async fn a_describe_is_new_once_permissions_changed() {
    let sim = Sim::start().await;
    let path = "/services/data/v66.0/sobjects/Case/describe";
    let before = sim.request(path).send().await.unwrap();
    let stamp = before.headers()["last-modified"].to_str().unwrap().to_owned();
    let same = sim.request(path).header("If-Modified-Since", &stamp);
    assert_eq!(same.send().await.unwrap().status(), 304);
    let hide = json!({"user": "default", "hide_fields": ["Case.Priority"], "hide_objects": ["Task"]});
    sim.control("/permissions", hide).await;
    let again =
        sim.request("/services/data/v66.0/sobjects/Case/describe").header("If-Modified-Since", &stamp);
    let (status, describe) = read(again.send().await.unwrap()).await;
    assert_eq!(status, 200);
    let names: Vec<&str> =
        describe["fields"].as_array().unwrap().iter().map(|field| field["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"Status") && !names.contains(&"Priority"));
    let children = describe["childRelationships"].as_array().unwrap();
    assert!(children.iter().all(|child| child["childSObject"] != "Task"));
    let (_, global) = sim.get("/services/data/v66.0/sobjects").await;
    assert!(global["sobjects"].as_array().unwrap().iter().all(|object| object["name"] != "Task"));
}

#[tokio::test]
async fn composite_reads_many_in_one_call() {
    let sim = Sim::start().await;
    let describe = sim.request("/services/data/v66.0/sobjects/Case/describe").send().await.unwrap();
    let stamp = describe.headers()["last-modified"].to_str().unwrap();
    let url = |rest: &str| format!("/services/data/v66.0/{rest}");
    let body = json!({"compositeRequest": [
        {"method": "GET", "url": url("sobjects/Case/describe"), "referenceId": "a"},
        {"method": "GET", "url": url("sobjects/Contact/describe"), "referenceId": "b", "httpHeaders": {"If-Modified-Since": stamp}},
        {"method": "GET", "url": url("query?q=SELECT+COUNT()+FROM+Case"), "referenceId": "c"},
        {"method": "GET", "url": url("sobjects/Foo"), "referenceId": "d"},
    ]});
    let before = sim.control_get("/calls").await["api"].as_u64().unwrap();
    let sent = sim
        .http
        .post(sim.url("/services/data/v66.0/composite"))
        .bearer_auth(&sim.token)
        .json(&body)
        .send()
        .await;
    let (status, answer) = read(sent.unwrap()).await;
    assert_eq!(status, 200);
    let parts = answer["compositeResponse"].as_array().unwrap();
    let statuses: Vec<u64> = parts.iter().map(|part| part["httpStatusCode"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [200, 304, 200, 404]);
    assert_eq!(parts[0]["body"]["name"], "Case");
    assert_eq!(parts[1]["body"], json!(null));
    assert_eq!(parts[3]["body"][0]["errorCode"], "NOT_FOUND");
    assert_eq!(sim.control_get("/calls").await["api"].as_u64().unwrap(), before + 1);
}

#[tokio::test]
async fn single_rows_are_addressable() {
    let sim = Sim::start().await;
    let case = sim.insert("Case", json!({"Subject": "One"})).await;
    let path = format!("/services/data/v66.0/sobjects/Case/{case}");
    assert_eq!(sim.get(&format!("{path}?fields=Id,Subject")).await.1["Subject"], "One");
    assert_eq!(sim.get(&format!("{path}?fields=Nope")).await.1[0]["errorCode"], "INVALID_FIELD");
    sim.control(&format!("/records/Case/{case}/delete"), json!({})).await;
    assert_eq!(sim.get(&path).await.1[0]["errorCode"], "ENTITY_IS_DELETED");
    assert_eq!(
        sim.get("/services/data/v66.0/sobjects/Case/003000000000000AAA").await.1[0]["errorCode"],
        "MALFORMED_ID"
    );
    let org = sim.query("SELECT Id, Name, OrganizationType, IsSandbox FROM Organization").await;
    assert_eq!(ids(&org), std::slice::from_ref(&sim.org.org_id));
}
