//! Fields that the platform's reference lists for an object.

use serde_json::Value;

use super::{folder, sample};
use crate::support::Sim;

/// Listed fields that the simulated org does not have: they belong to features it lacks, or are for writing only.
const ABSENT: [(&str, &[&str]); 5] = [
    ("CaseComment", &[]),
    ("EmailMessage", &["AttachmentIds", "BccIds", "CcIds", "ContentDocumentIds", "Division", "ToIds"]),
    ("RecordType", &["EntityDefinitionId", "FullName", "ManageableState", "Metadata"]),
    ("Task", &["CurrencyIsoCode", "RecordTypeId", "TaskWhoIds"]),
    ("VoiceCall", &["IsLocked", "MayEdit", "RecordyTypeId"]),
];

#[tokio::test]
pub(super) async fn documented_fields_are_there() {
    let Some(folder) = folder("documented_fields_are_there") else { return };
    let sim = Sim::start().await;
    for (object, absent) in ABSENT {
        let listed = sample(&folder, &format!("field-lists/{object}.json"));
        let listed = listed[object]["properties"].as_object().unwrap();
        let described = sim.get(&format!("/services/data/v66.0/sobjects/{object}/describe")).await.1;
        let fields = described["fields"].as_array().unwrap();
        let named = |name: &str| fields.iter().find(|field| field["name"] == name);
        let missing: Vec<&str> =
            listed.keys().map(String::as_str).filter(|name| named(name).is_none()).collect();
        assert_eq!(missing, absent, "{object}");
        for (name, documented) in listed {
            let (Some(field), Some(length)) = (named(name), documented["maxLength"].as_u64()) else {
                continue;
            };
            if documented["type"] == "string" || documented["type"] == "textarea" {
                assert_eq!(field["length"], Value::from(length), "{object}.{name}");
            }
            if documented["type"] == "reference" {
                assert_eq!(field["type"], "reference", "{object}.{name}");
            }
        }
    }
}
