//! Ground truth and queries tell the same of every record.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::{Sim, small};

/// Objects that are read through their parents only.
const BELOW: [&str; 1] = ["FeedTrackedChange"];

/// Fields that a query of many rows can read.
async fn readable(sim: &Sim, object: &str) -> Vec<String> {
    let (status, describe) = sim.get(&format!("/services/data/v66.0/sobjects/{object}/describe")).await;
    assert_eq!(status, 200, "{object}: {describe}");
    let fields = describe["fields"].as_array().unwrap().iter();
    let plain = fields.filter(|field| field["type"] != "base64");
    plain.map(|field| field["name"].as_str().unwrap().to_owned()).collect()
}

/// Every live record of an object by query, page after page.
async fn by_query(sim: &Sim, object: &str, fields: &[String]) -> BTreeMap<String, Value> {
    let mut page = sim.query(&format!("SELECT {} FROM {object}", fields.join(", "))).await;
    let mut all = BTreeMap::new();
    loop {
        for record in page["records"].as_array().unwrap() {
            all.insert(record["Id"].as_str().unwrap().to_owned(), record.clone());
        }
        let Some(next) = page["nextRecordsUrl"].as_str().map(str::to_owned) else { return all };
        page = sim.get(&next).await.1;
    }
}

#[tokio::test]
async fn every_field_of_every_record_is_the_same_in_a_query_and_in_the_truth() {
    let sim = Sim::with(salesforce_sim::OrgOptions { cases: 80, ..small() }).await;
    sim.control("/edits", serde_json::json!({"count": 60, "seed": 4})).await;
    let summary = sim.control_get("/truth").await["objects"].clone();
    let mut filled = 0;
    for (object, counts) in summary.as_object().unwrap() {
        if BELOW.contains(&object.as_str()) {
            continue;
        }
        let fields = readable(&sim, object).await;
        let queried = by_query(&sim, object, &fields).await;
        let truth = sim.truth(&format!("/truth/{object}")).await;
        let mut live: Vec<&Value> = truth.iter().filter(|record| record["deleted"] == false).collect();
        filled += usize::from(!live.is_empty());
        assert_eq!(counts["live"], live.len(), "{object}: the summary counts as the truth does");
        live.retain(|record| record["fields"]["IsArchived"] != true);
        assert_eq!(queried.len(), live.len(), "{object}");
        for record in live {
            let (id, known) = (record["Id"].as_str().unwrap(), &record["fields"]);
            let row = &queried[id];
            for field in &fields {
                assert_eq!(row[field], known[field], "{object} {id} {field}");
            }
        }
    }
    assert!(filled >= 35, "{filled} objects have records");
}
