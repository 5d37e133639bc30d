//! Describes.

use serde_json::json;

use super::node::Node;
use super::{assert_covers, folder, sample, text};
use crate::support::Sim;

#[tokio::test]
pub(super) async fn describes_have_the_recorded_keys_and_values() {
    let Some(folder) = folder("describes_have_the_recorded_keys_and_values") else {
        return;
    };
    let sim = Sim::start().await;
    let recorded = sample(&folder, "describe/case_describe_api48.json");
    let ours = sim.get("/services/data/v66.0/sobjects/Case/describe").await.1;
    assert_covers(&ours, &recorded, "describe");
    assert_covers(&ours["childRelationships"][0], &recorded["childRelationships"][0], "a child relationship");
    assert_covers(&ours["recordTypeInfos"][0], &recorded["recordTypeInfos"][0], "a record type");
    assert_covers(
        &ours["urls"],
        &json!({"describe": 0, "sobject": 0, "rowTemplate": 0, "uiDetailTemplate": 0}),
        "urls",
    );
    let fields = ours["fields"].as_array().unwrap();
    for recorded in recorded["fields"].as_array().unwrap() {
        let name = recorded["name"].as_str().unwrap();
        let field =
            fields.iter().find(|field| field["name"] == name).unwrap_or_else(|| panic!("no field {name}"));
        assert_covers(field, recorded, name);
        for key in [
            "type",
            "soapType",
            "length",
            "byteLength",
            "nillable",
            "createable",
            "updateable",
            "filterable",
            "sortable",
            "groupable",
            "referenceTo",
            "relationshipName",
            "namePointing",
            "permissionable",
            "nameField",
            "idLookup",
            "autoNumber",
            "defaultedOnCreate",
            "aggregatable",
            "polymorphicForeignKey",
        ] {
            assert_eq!(field[key], recorded[key], "{name}.{key}");
        }
    }
}

#[tokio::test]
pub(super) async fn describe_global_has_the_recorded_keys() {
    let Some(folder) = folder("describe_global_has_the_recorded_keys") else {
        return;
    };
    let sim = Sim::start().await;
    let recorded = sample(&folder, "global/describe_global_a.json");
    let ours = sim.get("/services/data/v66.0/sobjects/").await.1;
    assert_eq!(
        (&ours["encoding"], &ours["maxBatchSize"]),
        (&recorded["encoding"], &recorded["maxBatchSize"])
    );
    for recorded in recorded["sobjects"].as_array().unwrap() {
        let found =
            ours["sobjects"].as_array().unwrap().iter().find(|object| object["name"] == recorded["name"]);
        let Some(object) = found else { continue };
        assert_covers(object, recorded, recorded["name"].as_str().unwrap());
        for key in [
            "keyPrefix",
            "createable",
            "deletable",
            "undeletable",
            "updateable",
            "queryable",
            "replicateable",
        ] {
            assert_eq!(object[key], recorded[key], "{}.{key}", recorded["name"]);
        }
    }
}

/// What an older answer says of fields that both have, but for properties that newer releases give another value, and the
/// name of a relationship that leads nowhere.
#[tokio::test]
pub(super) async fn older_describes_are_covered() {
    let Some(folder) = folder("older_describes_are_covered") else { return };
    let sim = Sim::start().await;
    for (file, object, changed) in [
        ("contact_describe_2015_api29.json", "Contact", &["JigsawContactId.relationshipName"][..]),
        ("user_describe_2016.json", "User", &["Signature.type", "AccountId.relationshipName"]),
    ] {
        let recorded = sample(&folder, &format!("describe/{file}"));
        let ours = sim.get(&format!("/services/data/v66.0/sobjects/{object}/describe")).await.1;
        let fields = ours["fields"].as_array().unwrap();
        let (mut compared, mut differing) = (0, Vec::new());
        for recorded in recorded["fields"].as_array().unwrap() {
            let Some(field) = fields.iter().find(|field| field["name"] == recorded["name"]) else { continue };
            compared += 1;
            for key in ["type", "soapType", "nillable", "relationshipName", "custom"] {
                if field[key] != recorded[key] {
                    differing.push(format!("{}.{key}", field["name"].as_str().unwrap()));
                }
            }
        }
        assert!(compared >= 40, "{object}: {compared} fields are in both");
        assert_eq!(differing, changed, "{object}");
    }
}

/// Whatever the object, a describe has the same keys.
#[tokio::test]
pub(super) async fn describes_of_other_objects_have_no_further_keys() {
    let Some(folder) = folder("describes_of_other_objects_have_no_further_keys") else { return };
    let sim = Sim::start().await;
    let ours = sim.get("/services/data/v66.0/sobjects/Case/describe").await.1;
    for file in
        ["event_describe.json", "opportunitycontactrole_describe.json", "whizbang_custom_describe_api20.json"]
    {
        let recorded = sample(&folder, &format!("describe/{file}"));
        assert_covers(&ours, &recorded, file);
        assert_covers(&ours["fields"][0], &recorded["fields"][0], file);
    }
}

#[tokio::test]
async fn keys_of_describes_are_in_the_recorded_order() {
    let Some(folder) = folder("keys_of_describes_are_in_the_recorded_order") else { return };
    let sim = Sim::start().await;
    let ours = super::answer(&sim, "/services/data/v66.0/sobjects/Case/describe").await;
    let recorded = text(&folder, "describe/case_describe_api48.json");
    let (ours, recorded) = (Node::parse(&ours), Node::parse(&recorded));
    let order = |node: &Node, other: &Node| -> Vec<String> {
        let common = other.keys();
        node.keys().into_iter().filter(|key| common.contains(key)).map(str::to_owned).collect()
    };
    assert_eq!(order(&ours, &recorded), order(&recorded, &ours));
    let (ours, recorded) = (ours.at("fields").at("0"), recorded.at("fields").at("0"));
    assert_eq!(order(ours, recorded), order(recorded, ours));
}
