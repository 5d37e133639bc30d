//! Tasks, history, e-mails, people: what is special about them.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Sim, ids};

#[tokio::test]
async fn archived_tasks_are_found_by_query_all_only_and_move_no_stamp() {
    let sim = Sim::start().await;
    let all = sim.count("SELECT COUNT() FROM Task").await;
    let old = sim.query_all("SELECT Id FROM Task WHERE IsArchived = true").await;
    let before = sim.truth("/truth/Task").await;
    let archived = sim.control("/archive", json!({"days": 30})).await["archived"].as_u64().unwrap();
    assert!(archived > 0 && archived < all, "{archived} of {all}");
    assert_eq!(sim.count("SELECT COUNT() FROM Task").await, all - archived);
    let found = sim.query_all("SELECT Id, IsArchived, IsDeleted FROM Task WHERE IsArchived = true").await;
    assert_eq!(ids(&found).len(), ids(&old).len() + usize::try_from(archived).unwrap());
    assert!(found["records"].as_array().unwrap().iter().all(|task| task["IsDeleted"] == false));
    let stamps = |rows: &[Value]| -> Vec<Value> { rows.iter().map(|row| row["stamp"].clone()).collect() };
    assert_eq!(stamps(&before), stamps(&sim.truth("/truth/Task").await));
    assert_eq!(sim.control("/archive", json!({"days": 30})).await["archived"], 0, "once is enough");
}

#[tokio::test]
async fn a_task_is_about_people_and_things_of_several_objects() {
    let sim = Sim::start().await;
    let page =
        sim.query("SELECT Who.Type, Who.Name, What.Type, What.Name FROM Task WHERE WhatId != NULL").await;
    let tasks = page["records"].as_array().unwrap();
    let types: BTreeSet<&str> = tasks.iter().filter_map(|task| task["What"]["Type"].as_str()).collect();
    assert!(types.contains("Case"), "{types:?}");
    assert!(tasks.iter().all(|task| task["What"]["attributes"]["type"] == "Name"));
    let told = "SELECT TYPEOF What WHEN Case THEN CaseNumber ELSE Name END FROM Task WHERE What.Type = 'Case' LIMIT 1";
    assert!(sim.query(told).await["records"][0]["What"]["CaseNumber"].is_string());
    let (_, refused) = sim.ask("SELECT Id FROM Task WHERE Description = 'x'").await;
    assert_eq!(refused[0]["errorCode"], "INVALID_FIELD", "long texts are not filtered");
}

#[tokio::test]
async fn history_tells_values_of_any_type_and_references_twice() {
    let sim = Sim::start().await;
    let user =
        sim.query("SELECT Id, Name FROM User WHERE IsActive = true ORDER BY Id DESC LIMIT 1").await["records"][0].clone();
    let case = sim.insert("Case", json!({"Subject": "watched"})).await;
    let change = json!({"fields": {"OwnerId": user["Id"], "Priority": "High"}});
    sim.control(&format!("/records/Case/{case}"), change).await;
    let soql = format!("SELECT Field, DataType, OldValue, NewValue FROM CaseHistory WHERE CaseId = '{case}'");
    let page = sim.query(&soql).await;
    let rows = page["records"].as_array().unwrap();
    let of = |field: &str| rows.iter().filter(|row| row["Field"] == field).collect::<Vec<_>>();
    assert_eq!((of("created").len(), &of("created")[0]["NewValue"]), (1, &Value::Null));
    assert_eq!(
        (&of("Priority")[0]["DataType"], &of("Priority")[0]["NewValue"]),
        (&json!("DynamicEnum"), &json!("High"))
    );
    let owners: BTreeSet<&str> = of("Owner").iter().filter_map(|row| row["NewValue"].as_str()).collect();
    let expected = [user["Id"].as_str().unwrap(), user["Name"].as_str().unwrap()];
    assert_eq!(owners, BTreeSet::from(expected), "by id and by name");
    for (soql, code) in [
        ("SELECT Id FROM CaseHistory WHERE NewValue = 'High'", "INVALID_FIELD"),
        ("SELECT SystemModstamp FROM CaseHistory", "INVALID_FIELD"),
    ] {
        assert_eq!(sim.ask(soql).await.1[0]["errorCode"], code, "{soql}");
    }
}

#[tokio::test]
async fn an_email_hangs_on_its_case_and_names_whom_it_went_to() {
    let sim = Sim::start().await;
    let page = sim
        .query(
            "SELECT Id, Parent.CaseNumber, RelatedTo.Type, (SELECT RelationType, RelationAddress FROM \
             EmailMessageRelations) FROM EmailMessage WHERE ParentId != NULL LIMIT 20",
        )
        .await;
    for mail in page["records"].as_array().unwrap() {
        assert!(mail["Parent"]["CaseNumber"].is_string());
        assert_eq!(mail["RelatedTo"]["Type"], "Case");
        let relations = mail["EmailMessageRelations"]["records"].as_array().unwrap();
        let kinds: BTreeSet<&str> =
            relations.iter().map(|one| one["RelationType"].as_str().unwrap()).collect();
        assert!(kinds.contains("FromAddress") && kinds.contains("ToAddress"), "{kinds:?}");
    }
    let case = sim.query("SELECT Id, (SELECT Id FROM EmailMessages) FROM Case LIMIT 60").await;
    assert!(
        case["records"]
            .as_array()
            .unwrap()
            .iter()
            .any(|one| one["EmailMessages"]["totalSize"].as_u64() > Some(0))
    );
}

#[tokio::test]
async fn a_merged_contact_names_its_master_and_loses_its_cases() {
    let sim = Sim::start().await;
    let [winner, loser] = [
        sim.insert("Contact", json!({"LastName": "Winner"})).await,
        sim.insert("Contact", json!({"LastName": "Loser"})).await,
    ];
    let case = sim.insert("Case", json!({"Subject": "moves", "ContactId": loser})).await;
    sim.control("/merge", json!({"object": "Contact", "winner": winner, "losers": [loser]})).await;
    let gone =
        sim.query_all(&format!("SELECT IsDeleted, MasterRecordId FROM Contact WHERE Id = '{loser}'")).await;
    let gone = &gone["records"][0];
    assert_eq!((&gone["IsDeleted"], &gone["MasterRecordId"]), (&json!(true), &json!(winner)));
    let moved = sim.query(&format!("SELECT ContactId, Contact.LastName FROM Case WHERE Id = '{case}'")).await;
    assert_eq!(moved["records"][0]["ContactId"], json!(winner));
    assert_eq!(moved["records"][0]["Contact"]["LastName"], "Winner");
}

#[tokio::test]
async fn an_emptied_bin_leaves_nothing_behind() {
    let sim = Sim::start().await;
    let case = sim.insert("Case", json!({"Subject": "thrown away"})).await;
    sim.control(&format!("/records/Case/{case}/delete"), json!({})).await;
    let found = format!("SELECT Id FROM Case WHERE Id = '{case}'");
    assert_eq!(ids(&sim.query_all(&found).await), std::slice::from_ref(&case));
    sim.control("/recycle-bin/empty", json!({"object": "Case", "days": 15})).await;
    assert_eq!(ids(&sim.query_all(&found).await).len(), 1, "it keeps what is younger");
    sim.control("/recycle-bin/empty", json!({"object": "Case"})).await;
    assert!(ids(&sim.query_all(&found).await).is_empty());
    assert!(!sim.truth("/truth/Case").await.iter().any(|row| row["Id"] == json!(case)));
    let undelete =
        format!("{}/orgs/{}/records/Case/{case}/undelete", sim.running.ready.control, sim.org.org_id);
    assert_eq!(sim.http.post(undelete).json(&json!({})).send().await.unwrap().status(), 400);
}
