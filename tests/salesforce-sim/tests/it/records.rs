//! The life of records: late commits, deletions, merges, changes without a stamp.

use serde_json::{Value, json};

use crate::support::{Sim, ids};

async fn deleted_in_truth(sim: &Sim, object: &str, id: &str) -> Option<bool> {
    let all = sim.truth(&format!("/truth/{object}")).await;
    let found = all.iter().find(|record| record["Id"] == id);
    found.map(|record| record["deleted"].as_bool().unwrap())
}

#[tokio::test]
async fn a_late_commit_shows_up_with_its_old_stamp() {
    let sim = Sim::start().await;
    let fields = json!({"Subject": "Late"});
    let made = sim
        .control("/records", json!({"object": "Case", "fields": fields, "commit_delay_ms": 600_000}))
        .await;
    let id = made["id"].as_str().unwrap();
    let soql = format!("SELECT Id, SystemModstamp FROM Case WHERE Id = '{id}'");
    assert_eq!(sim.count(&soql).await, 0);
    assert_eq!(deleted_in_truth(&sim, "Case", id).await, None);
    let clock = sim.http.get(format!("{}/clock", sim.running.ready.control)).send().await.unwrap();
    let before: Value = serde_json::from_str(&clock.text().await.unwrap()).unwrap();
    sim.advance(600_000).await;
    let late = sim.query(&soql).await;
    assert_eq!(late["totalSize"], 1, "nothing but time was needed");
    let stamp = late["records"][0]["SystemModstamp"].as_str().unwrap();
    assert!(stamp[..19] <= before["now"].as_str().unwrap()[..19], "{stamp}");
    let at = before["now"].as_str().unwrap();
    let then = sim.truth(&format!("/truth/Case?at={at}")).await;
    assert!(then.iter().all(|record| record["Id"] != id), "it was not visible then");
}

#[tokio::test]
async fn a_late_update_keeps_the_old_value_until_it_commits() {
    let sim = Sim::start().await;
    let id = sim.insert("Case", json!({"Subject": "Before"})).await;
    let change = json!({"fields": {"Subject": "After"}, "commit_delay_ms": 5_000_000});
    sim.control(&format!("/records/Case/{id}"), change).await;
    let soql = format!("SELECT Subject FROM Case WHERE Id = '{id}'");
    assert_eq!(sim.query(&soql).await["records"][0]["Subject"], "Before");
    sim.advance(5_000_000).await;
    assert_eq!(sim.query(&soql).await["records"][0]["Subject"], "After");
}

#[tokio::test]
async fn deletion_cascades_and_undelete_brings_back() {
    let sim = Sim::start().await;
    let case = sim.insert("Case", json!({"Subject": "Gone"})).await;
    let comment = sim.insert("CaseComment", json!({"ParentId": case, "CommentBody": "x"})).await;
    let earlier = sim.insert("CaseComment", json!({"ParentId": case, "CommentBody": "y"})).await;
    sim.control(&format!("/records/CaseComment/{earlier}/delete"), json!({})).await;
    sim.advance(2_000).await;
    sim.control(&format!("/records/Case/{case}/delete"), json!({})).await;
    let comments = format!("SELECT Id, IsDeleted FROM CaseComment WHERE ParentId = '{case}'");
    assert_eq!(sim.count(&comments).await, 0);
    assert_eq!(sim.query_all(&comments).await["totalSize"], 2);
    let all = sim.query_all(&format!("SELECT Id, IsDeleted FROM Case WHERE Id = '{case}'")).await;
    assert_eq!(all["records"][0]["IsDeleted"], true);
    let history =
        sim.query_all(&format!("SELECT Id, IsDeleted FROM CaseHistory WHERE CaseId = '{case}'")).await;
    assert_eq!(history["records"][0]["IsDeleted"], true);
    // What happens to it in the bin, as when its contact is merged, does not part it from what went there with it.
    sim.advance(2_000).await;
    sim.control(&format!("/records/Case/{case}"), json!({"fields": {"Subject": "In the bin"}})).await;
    sim.control(&format!("/records/Case/{case}/undelete"), json!({})).await;
    assert_eq!(ids(&sim.query(&comments).await), [comment], "the one deleted before stays deleted");
    sim.control(&format!("/records/Case/{case}/purge"), json!({})).await;
    assert_eq!(sim.query_all(&format!("SELECT Id FROM Case WHERE Id = '{case}'")).await["totalSize"], 0);
    assert_eq!(deleted_in_truth(&sim, "Case", &case).await, None);
    // Nothing more can happen to it: a second purge would take it out of the log of deletions.
    for action in ["/delete", "/undelete", "/purge", ""] {
        let path = format!("/records/Case/{case}{action}");
        let (status, told) = sim.control_answer(&path, json!({"fields": {"Subject": "Again"}})).await;
        assert_eq!(status, 400, "{action}: {told}");
    }
    let merge = json!({"object": "Case", "winner": case, "losers": [case]});
    assert_eq!(sim.control_answer("/merge", merge).await.0, 400);
}

#[tokio::test]
async fn a_merge_moves_children_and_names_the_master() {
    let sim = Sim::start().await;
    let winner = sim.insert("Contact", json!({"LastName": "Winner"})).await;
    let loser = sim.insert("Contact", json!({"LastName": "Loser"})).await;
    let case = sim.insert("Case", json!({"Subject": "Mine", "ContactId": loser})).await;
    sim.control("/merge", json!({"object": "Contact", "winner": winner, "losers": [loser]})).await;
    let moved = sim.query(&format!("SELECT ContactId FROM Case WHERE Id = '{case}'")).await;
    assert_eq!(moved["records"][0]["ContactId"], winner);
    let soql = format!(
        "SELECT Id, MasterRecordId FROM Contact WHERE IsDeleted = true AND MasterRecordId = '{winner}'"
    );
    assert_eq!(ids(&sim.query_all(&soql).await), [loser]);
}

#[tokio::test]
async fn parents_and_untouched_changes_move_no_stamp() {
    let sim = Sim::start().await;
    let contact = sim.insert("Contact", json!({"LastName": "A", "Email": "old@example.com"})).await;
    let case = sim.insert("Case", json!({"Subject": "S", "ContactId": contact})).await;
    let soql = format!("SELECT ContactEmail, Type, SystemModstamp FROM Case WHERE Id = '{case}'");
    let before = sim.query(&soql).await["records"][0].clone();
    sim.advance(5_000).await;
    sim.control(&format!("/records/Contact/{contact}"), json!({"fields": {"Email": "new@example.com"}}))
        .await;
    let quiet = json!({"fields": {"Type": "Question"}, "touch": false});
    sim.control(&format!("/records/Case/{case}"), quiet).await;
    let after = sim.query(&soql).await["records"][0].clone();
    assert_eq!(
        (&before["ContactEmail"], &after["ContactEmail"]),
        (&json!("old@example.com"), &json!("new@example.com"))
    );
    assert_eq!(after["Type"], "Question");
    assert_eq!(before["SystemModstamp"], after["SystemModstamp"]);
}

#[tokio::test]
async fn a_mass_update_has_one_stamp_and_writes_history() {
    let sim = Sim::start().await;
    let changed = sim
        .control("/mass-update", json!({"object": "Case", "count": 40, "fields": {"Priority": "Low"}}))
        .await;
    let changed = changed["ids"].as_array().unwrap();
    assert_eq!(changed.len(), 40);
    let truth = sim.truth("/truth/Case").await;
    let mut stamps: Vec<&str> =
        truth.iter().filter(|r| changed.contains(&r["Id"])).map(|r| r["stamp"].as_str().unwrap()).collect();
    stamps.dedup();
    assert_eq!(stamps.len(), 1);
    assert!(
        sim.count("SELECT COUNT() FROM CaseHistory WHERE Field = 'Priority' AND CreatedDate = TODAY").await
            > 0
    );
}

#[tokio::test]
async fn reopening_clears_the_closed_date() {
    let sim = Sim::start().await;
    let case = sim.insert("Case", json!({"Subject": "S", "Status": "Closed"})).await;
    let soql = format!("SELECT IsClosed, ClosedDate FROM Case WHERE Id = '{case}'");
    let closed = sim.query(&soql).await["records"][0].clone();
    assert!(closed["IsClosed"] == true && closed["ClosedDate"].is_string());
    sim.control(&format!("/records/Case/{case}"), json!({"fields": {"Status": "Working"}})).await;
    let open = sim.query(&soql).await["records"][0].clone();
    assert!(open["IsClosed"] == false && open["ClosedDate"].is_null());
}

#[tokio::test]
async fn bad_control_requests_say_what_is_wrong() {
    let sim = Sim::start().await;
    let url = format!("{}/orgs/{}/records", sim.running.ready.control, sim.org.org_id);
    for (body, part) in [
        (json!({"object": "Nope", "fields": {}}), "No object 'Nope'"),
        (json!({"object": "Case", "fields": {"Nope": 1}}), "Case has no field 'Nope'"),
        (json!({"object": "Case", "fields": {"ContactEmail": "x"}}), "computed"),
        (json!({"object": "Case", "fields": {"ContactId": "x"}}), "does not fit"),
        (json!({"object": "Case", "fields": {}, "stamp": "yesterday"}), "RFC 3339"),
    ] {
        let sent = sim.http.post(&url).json(&body).send().await.unwrap();
        assert!(sent.status().is_client_error());
        let text = sent.text().await.unwrap();
        assert!(text.contains(part), "{text}");
    }
}
