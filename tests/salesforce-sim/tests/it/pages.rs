//! Pages and cursors.

use serde_json::json;

use crate::support::{Sim, ids, read, small};

#[tokio::test]
async fn pages_follow_the_cursor_to_the_end() {
    let sim = Sim::start().await;
    let total = sim.count("SELECT COUNT() FROM CaseHistory").await;
    let asked = sim
        .query_request("query", "SELECT Id FROM CaseHistory")
        .header("Sforce-Query-Options", "batchSize=1");
    let (_, mut page) = read(asked.send().await.unwrap()).await;
    let mut seen = ids(&page);
    assert_eq!(seen.len(), 200, "batchSize is brought up to 200");
    while page["done"] == false {
        let next = page["nextRecordsUrl"].as_str().unwrap().to_owned();
        let asked = sim.request(&next).header("Sforce-Query-Options", "batchSize=200");
        page = read(asked.send().await.unwrap()).await.1;
        assert_eq!(page["totalSize"], total);
        seen.extend(ids(&page));
    }
    assert_eq!(page.get("nextRecordsUrl"), None);
    assert_eq!(seen.len() as u64, total);
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len() as u64, total);
}

#[tokio::test]
async fn heavy_rows_make_small_pages() {
    let sim = Sim::with(salesforce_sim::OrgOptions { cases: 700, ..small() }).await;
    let two_custom = sim.query("SELECT Id, Resolution_Notes__c, Handover_Html__c FROM Case").await;
    assert_eq!(ids(&two_custom).len(), 200);
    let bodies = sim.query("SELECT Id, TextBody, HtmlBody FROM EmailMessage").await;
    assert!(ids(&bodies).len() <= 500);
    assert_eq!(bodies["done"], false);
    let one_body = sim.query("SELECT Id, TextBody FROM EmailMessage").await;
    assert!(ids(&one_body).len() > 500);
}

#[tokio::test]
async fn an_org_can_make_smaller_pages_than_it_is_asked_for() {
    let sim = Sim::start().await;
    sim.control("/limits", json!({"page_rows": 7})).await;
    let first = sim.query("SELECT Id FROM Case").await;
    let second = sim.get(first["nextRecordsUrl"].as_str().unwrap()).await.1;
    assert_eq!((ids(&first).len(), ids(&second).len()), (7, 7));
    assert_ne!(ids(&first), ids(&second));
    let log = sim.truth("/calls/log").await;
    let pages: Vec<_> = log.iter().filter(|call| call["soql"] == "SELECT Id FROM Case").collect();
    assert_eq!(pages.len(), 2, "a next page counts as its query");
    assert!(pages.iter().all(|call| call["rows"] == 7), "{pages:?}");
    sim.control("/limits", json!({"page_rows": 0})).await;
    assert_eq!(sim.query("SELECT Id FROM Case").await["done"], true);
}

#[tokio::test]
async fn a_long_child_list_has_its_own_cursor() {
    let sim = Sim::start().await;
    let case = sim.insert("Case", json!({"Subject": "Long"})).await;
    for number in 0..230 {
        sim.insert("CaseComment", json!({"ParentId": case, "CommentBody": format!("{number}")})).await;
    }
    let soql = format!("SELECT Id, (SELECT Id FROM CaseComments ORDER BY Id) FROM Case WHERE Id = '{case}'");
    let comments = sim.query(&soql).await["records"][0]["CaseComments"].clone();
    assert_eq!((comments["totalSize"].as_u64(), comments["done"].as_bool()), (Some(230), Some(false)));
    let rest = sim.get(comments["nextRecordsUrl"].as_str().unwrap()).await.1;
    assert_eq!(ids(&comments).len() + ids(&rest).len(), 230);
    assert_eq!(rest["done"], true);
}

#[tokio::test]
async fn cursors_die_with_their_session() {
    let mut sim = Sim::start().await;
    let asked = sim
        .query_request("query", "SELECT Id FROM CaseHistory")
        .header("Sforce-Query-Options", "batchSize=200");
    let next = read(asked.send().await.unwrap()).await.1["nextRecordsUrl"].as_str().unwrap().to_owned();
    let first = std::mem::take(&mut sim.token);
    sim.token = sim.log_in().await;
    let (status, body) = sim.get(&next).await;
    assert_eq!(
        (status, &body[0]["errorCode"]),
        (400, &json!("INVALID_QUERY_LOCATOR")),
        "another live session"
    );
    sim.control("/sessions/expire", json!({})).await;
    sim.token = sim.log_in().await;
    let (status, body) = sim.get(&next).await;
    assert_eq!(
        (status, &body[0]["errorCode"]),
        (401, &json!("INVALID_SESSION_ID")),
        "a fresh session does not help"
    );
    sim.token = first;
    assert_eq!(sim.get(&next).await.0, 401);
    sim.token = sim.log_in().await;
    let (status, body) = sim.get("/services/data/v66.0/query/01gRf0000009999AAA-2000").await;
    assert_eq!((status, &body[0]["message"]), (400, &json!("invalid query locator")));
}
