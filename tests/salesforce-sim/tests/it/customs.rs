//! What a customer adds to an org and takes away again, at birth and while it runs, and what an org does not have.

use salesforce_sim::OrgOptions;
use salesforce_sim::schema::make::{Feature, Wishes};
use serde_json::{Value, json};

use crate::support::{Sim, small};

const CASE: &str = "/services/data/v66.0/sobjects/Case/describe";

async fn with(wishes: Wishes) -> Sim {
    Sim::with(OrgOptions { wishes, ..small() }).await
}

async fn field(sim: &Sim, name: &str) -> Option<Value> {
    let (_, describe) = sim.get(CASE).await;
    describe["fields"].as_array().unwrap().iter().find(|field| field["name"] == name).cloned()
}

async fn code(sim: &Sim, soql: &str) -> String {
    let (status, body) = sim.ask(soql).await;
    assert_eq!(status, 400, "{soql}: {body}");
    body[0]["errorCode"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn what_an_org_has_not_bought_does_not_exist() {
    let sim = with(Wishes { features: vec![Feature::Chatter], ..Wishes::default() }).await;
    let (_, global) = sim.get("/services/data/v66.0/sobjects").await;
    let names: Vec<&str> = global["sobjects"]
        .as_array()
        .unwrap()
        .iter()
        .map(|object| object["name"].as_str().unwrap())
        .collect();
    assert!(names.contains(&"CaseFeed") && names.contains(&"EmailMessage"));
    for gone in ["LiveChatTranscript", "MessagingSession", "ConversationEntry", "VoiceCall", "Entitlement"] {
        assert!(!names.contains(&gone), "{gone}");
        assert_eq!(code(&sim, &format!("SELECT Id FROM {gone}")).await, "INVALID_TYPE");
        let path = format!("/services/data/v66.0/sobjects/{gone}/describe");
        assert_eq!(sim.get(&path).await.1[0]["errorCode"], "NOT_FOUND");
    }
    assert!(field(&sim, "EntitlementId").await.is_none(), "a reference needs its object");
}

#[tokio::test]
async fn an_object_with_eight_hundred_fields_is_described_and_read() {
    let sim = with(Wishes { custom_fields: vec![("Case".to_owned(), 800)], ..Wishes::default() }).await;
    let (_, describe) = sim.get(CASE).await;
    let fields = describe["fields"].as_array().unwrap();
    let customs: Vec<&str> = fields
        .iter()
        .filter(|field| field["custom"] == true)
        .map(|field| field["name"].as_str().unwrap())
        .collect();
    assert_eq!(customs.len(), 800);
    let statement = format!("SELECT Id, {} FROM Case LIMIT 3", customs.join(", "));
    let record = &sim.query(&statement).await["records"][0];
    assert_eq!(record.as_object().unwrap().len(), 802, "attributes, Id, and each field");
    let filled = customs.iter().filter(|name| !record[**name].is_null()).count();
    assert!(filled > 100, "{filled} have values");
    let made = json!({"name": "One_More__c", "type": "string(80)"});
    let refused = sim
        .http
        .post(format!("{}/orgs/{}/schema", sim.running.ready.control, sim.org.org_id))
        .json(&json!({"add_fields": [["Case", made]]}));
    assert_eq!(refused.send().await.unwrap().status(), 400, "800 is the most");
}

#[tokio::test]
async fn fields_come_go_and_change_their_names_while_somebody_reads() {
    let sim = Sim::start().await;
    sim.control("/limits", json!({"page_rows": 20})).await;
    let soql = "SELECT Id, Order_Number__c FROM Case";
    let first = sim.query(soql).await;
    let next = first["nextRecordsUrl"].as_str().unwrap().to_owned();
    sim.control("/schema", json!({"rename_fields": [["Case.Order_Number__c", "Order_No__c"]]})).await;
    assert_eq!(code(&sim, soql).await, "INVALID_FIELD");
    let (status, page) = sim.get(&next).await;
    assert_eq!(status, 200, "an open cursor goes on: {page}");
    let value = |page: &Value, name: &str| {
        let records = page["records"].as_array().unwrap().clone();
        records.into_iter().find(|record| !record[name].is_null()).map(|record| record[name].clone())
    };
    let old = value(&first, "Order_Number__c");
    let renamed = value(&sim.query("SELECT Order_No__c FROM Case").await, "Order_No__c");
    assert!(old.is_some() && old == renamed, "values keep with the field: {old:?}, {renamed:?}");

    sim.control("/schema", json!({"remove_fields": ["Case.Order_No__c"]})).await;
    assert!(field(&sim, "Order_No__c").await.is_none());
    assert_eq!(code(&sim, "SELECT Order_No__c FROM Case").await, "INVALID_FIELD");
    // The name is free again, for a field of another type.
    let number = json!({"name": "Order_No__c", "type": "double(18,0)"});
    sim.control("/schema", json!({"add_fields": [["Case", number]]})).await;
    assert_eq!(field(&sim, "Order_No__c").await.unwrap()["type"], "double");
    assert_eq!(sim.ask("SELECT Order_No__c FROM Case").await.0, 200);
}

#[tokio::test]
async fn an_encrypted_field_is_read_but_not_filtered() {
    let sim = Sim::start().await;
    let filter = "SELECT Id FROM Case WHERE Order_Number__c = 'x'";
    assert_eq!(sim.ask(filter).await.0, 200);
    sim.control("/schema", json!({"encrypt_fields": ["Case.Order_Number__c"]})).await;
    assert_eq!(code(&sim, filter).await, "INVALID_FIELD");
    assert_eq!(sim.ask("SELECT Order_Number__c FROM Case").await.0, 200);
    assert_eq!(field(&sim, "Order_Number__c").await.unwrap()["filterable"], false);
}

#[tokio::test]
async fn a_new_object_is_there_at_once_and_hangs_on_its_parent() {
    let sim = Sim::start().await;
    let object = json!({"name": "Widget__c", "fields": [
        {"name": "Size__c", "type": "double(5,1)"},
        {"name": "Case__c", "type": "reference", "references": "Case"},
    ]});
    sim.control("/schema", json!({"add_objects": [object]})).await;
    let case = sim.insert("Case", json!({"Subject": "with a widget"})).await;
    let fields = json!({"Name": "W1", "Size__c": 2.5, "Case__c": case});
    let widget = sim.insert("Widget__c", fields).await;
    let soql = format!("SELECT Id, Size__c, Case__r.Subject FROM Widget__c WHERE Case__c = '{case}'");
    let row = sim.query(&soql).await["records"][0].clone();
    assert_eq!((&row["Id"], &row["Size__c"]), (&json!(widget), &json!(2.5)));
    assert_eq!(row["Case__r"]["Subject"], "with a widget");
    let below = format!("SELECT Id, (SELECT Name FROM Widget_Case__r) FROM Case WHERE Id = '{case}'");
    assert_eq!(sim.query(&below).await["records"][0]["Widget_Case__r"]["records"][0]["Name"], "W1");
    let (_, describe) = sim.get("/services/data/v66.0/sobjects/Widget__c/describe").await;
    assert_eq!((&describe["custom"], &describe["keyPrefix"]), (&json!(true), &json!(widget[..3])));
}

#[tokio::test]
async fn names_that_a_database_would_cut_are_different_fields() {
    let sim = Sim::start().await;
    let stem = "A_very_long_name_that_a_database_would_cut_after_some_sixty_three_";
    let names = [format!("{stem}1__c"), format!("{stem}2__c")];
    let new = |name: &str| json!(["Case", {"name": name, "type": "string(80)"}]);
    sim.control("/schema", json!({"add_fields": [new(&names[0]), new(&names[1])]})).await;
    let fields = json!({names[0].clone(): "one", names[1].clone(): "two"});
    let case = sim.insert("Case", fields).await;
    let soql = format!("SELECT {}, {} FROM Case WHERE Id = '{case}'", names[0], names[1]);
    let row = &sim.query(&soql).await["records"][0];
    assert_eq!((&row[&names[0]], &row[&names[1]]), (&json!("one"), &json!("two")));
    // In one org no two names differ by case alone.
    let again = json!({"add_fields": [new(&names[0].to_uppercase().replace("__C", "__c"))]});
    let path = format!("{}/orgs/{}/schema", sim.running.ready.control, sim.org.org_id);
    assert_eq!(sim.http.post(path).json(&again).send().await.unwrap().status(), 400);
}

#[tokio::test]
async fn the_number_of_parents_in_a_statement_is_bounded() {
    let sim = Sim::start().await;
    let parents: Vec<Value> = (0..60)
        .map(|number| json!(["Case", {"name": format!("P{number}__c"), "type": "reference", "references": "Contact"}]))
        .collect();
    sim.control("/schema", json!({"add_fields": parents})).await;
    let soql = |count: usize| {
        let paths: Vec<String> = (0..count).map(|number| format!("P{number}__r.Name")).collect();
        format!("SELECT {} FROM Case LIMIT 1", paths.join(", "))
    };
    assert_eq!(sim.ask(&soql(55)).await.0, 200);
    assert_eq!(code(&sim, &soql(56)).await, "MALFORMED_QUERY");
}
