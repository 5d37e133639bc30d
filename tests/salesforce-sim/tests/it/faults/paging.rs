//! Cursors that die and pages that come in the wrong way.

use serde_json::{Value, json};

use crate::support::{Sim, ids, read};

async fn small_pages() -> Sim {
    let sim = Sim::start().await;
    sim.control("/limits", json!({"page_rows": 10})).await;
    sim
}

/// Ids of all pages, page by page.
async fn pages(sim: &Sim) -> Vec<Vec<String>> {
    let mut page = sim.query("SELECT Id FROM Case ORDER BY Id").await;
    let mut all = vec![ids(&page)];
    while let Some(next) = page["nextRecordsUrl"].as_str().map(str::to_owned) {
        page = sim.get(&next).await.1;
        all.push(ids(&page));
    }
    assert_eq!(page["done"], true);
    all
}

async fn disorder(sim: &Sim, nth: u64, how: &str) -> Vec<Vec<String>> {
    let body = json!({"match": {"path": "/query/"}, "nth": nth, "fault": {"kind": "pages", "how": how}});
    sim.control("/faults", body).await;
    pages(sim).await
}

#[tokio::test]
async fn every_cursor_of_an_org_can_die() {
    let sim = small_pages().await;
    let page = sim.query("SELECT Id FROM Case").await;
    let next = page["nextRecordsUrl"].as_str().unwrap();
    assert_eq!(sim.get(next).await.0, 200);
    sim.fault(json!({"kind": "expire_cursors"})).await;
    let (status, body) = sim.get(next).await;
    assert_eq!((status, &body[0]["errorCode"]), (400, &json!("INVALID_QUERY_LOCATOR")));
}

#[tokio::test]
async fn the_eleventh_cursor_can_close_the_first() {
    let sim = small_pages().await;
    let open = async || {
        let page = sim.query("SELECT Id FROM Case").await;
        page["nextRecordsUrl"].as_str().unwrap().to_owned()
    };
    let first = open().await;
    for _ in 0..30 {
        open().await;
    }
    assert_eq!(sim.get(&first).await.0, 200, "there is no bound today");
    sim.control("/limits", json!({"cursors_max": 10})).await;
    let mut cursors = Vec::new();
    for _ in 0..11 {
        cursors.push(open().await);
    }
    assert_eq!(sim.get(&cursors[0]).await.1[0]["errorCode"], "INVALID_QUERY_LOCATOR");
    for cursor in &cursors[1..] {
        assert_eq!(sim.get(cursor).await.0, 200);
    }
}

#[tokio::test]
async fn a_page_can_be_missing_or_come_twice() {
    let sim = small_pages().await;
    let truth = pages(&sim).await;
    assert!(truth.len() >= 5);
    let mut without = truth.clone();
    without.remove(2);
    assert_eq!(disorder(&sim, 2, "missing").await, without);
    let mut twice = truth.clone();
    twice.insert(2, truth[2].clone());
    assert_eq!(disorder(&sim, 2, "repeated").await, twice);
    let last = truth.len() - 1;
    let cut = disorder(&sim, u64::try_from(last).unwrap(), "missing").await;
    assert_eq!(cut[..last], truth[..last]);
    assert!(cut[last].is_empty(), "the last page can be missing too");
}

#[tokio::test]
async fn pages_can_change_places_and_records_come_twice() {
    let sim = small_pages().await;
    let truth = pages(&sim).await;
    let mut swapped = truth.clone();
    swapped.swap(2, 3);
    assert_eq!(disorder(&sim, 2, "swapped").await, swapped);
    let doubled = disorder(&sim, 1, "twice_a_record").await;
    assert_eq!(doubled[1].len(), truth[1].len() + 1);
    assert_eq!(doubled[1].last(), Some(&truth[1][5]));
    assert_eq!(pages(&sim).await, truth, "afterwards all is well");
}

#[tokio::test]
async fn records_change_while_they_are_paged() {
    let sim = small_pages().await;
    let page = sim.query("SELECT Id, Subject FROM Case ORDER BY Id").await;
    let next = page["nextRecordsUrl"].as_str().unwrap().to_owned();
    let truth = pages(&sim).await;
    let (deleted, changed) = (truth[1][3].clone(), truth[1][4].clone());
    let steps = json!([
        {"post": format!("records/Case/{deleted}/delete")},
        {"post": format!("records/Case/{changed}"), "body": {"fields": {"Subject": "changed meanwhile"}}},
    ]);
    sim.fault(json!({"kind": "steps", "steps": steps})).await;
    let second = sim.get(&next).await.1;
    assert!(!ids(&second).contains(&deleted));
    let seen =
        second["records"].as_array().unwrap().iter().find(|one| one["Id"] == changed.as_str()).unwrap();
    assert_eq!(seen["Subject"], "changed meanwhile");

    let before = sim.control_get("/truth").await["objects"].clone();
    sim.fault(json!({"kind": "edits", "count": 40, "seed": 5})).await;
    assert_eq!(sim.get(&next).await.0, 200);
    assert_ne!(sim.control_get("/truth").await["objects"], before, "people worked meanwhile");
}

#[tokio::test]
async fn a_refused_step_shows_on_the_status_page() {
    let sim = Sim::start().await;
    let steps = json!([{"post": "records/Nope/1/delete"}]);
    sim.fault(json!({"kind": "steps", "steps": steps})).await;
    assert_eq!(sim.ask("SELECT Id FROM Case LIMIT 1").await.0, 200);
    let page = sim.http.get(sim.url("/")).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("records/Nope/1/delete"), "{page}");
}

#[tokio::test]
async fn a_mass_update_gives_many_rows_one_stamp() {
    let sim = Sim::with(salesforce_sim::OrgOptions { cases: 2_500, ..crate::support::small() }).await;
    let all = sim.count("SELECT COUNT() FROM Case").await;
    let body = json!({"object": "Case", "count": all, "fields": {"Priority": "Low"}});
    let changed = sim.control("/mass-update", body).await["ids"].as_array().unwrap().len() as u64;
    assert_eq!(changed, all);
    let asked =
        sim.query_request("query", "SELECT SystemModstamp FROM Case ORDER BY SystemModstamp DESC LIMIT 1");
    let newest = read(asked.send().await.unwrap()).await.1["records"][0]["SystemModstamp"].clone();
    let stamp = newest.as_str().unwrap().replace("+0000", "Z");
    let same = format!("SELECT Id FROM Case WHERE SystemModstamp = {stamp} ORDER BY Id");
    assert_eq!(
        sim.count(&same.replace("SELECT Id", "SELECT COUNT()").replace(" ORDER BY Id", "")).await,
        all
    );
    let page = sim.query(&same).await;
    assert_eq!((&page["done"], ids(&page).len()), (&Value::Bool(false), 2_000), "more than a page of them");
}
