//! Verbs about the shape of objects in Salesforce. They ask the API, as all verbs do.

use reqwest::Method;
use serde_json::{Value, json};

use super::ApiArguments;
use super::client::{ask, print};
use super::own::Exit;
use super::verbs::rows;

const CHANGES: &[(&str, &str)] = &[
    ("SEEN", "seen_at"),
    ("OBJECT", "object"),
    ("WHAT", "kind"),
    ("FIELD", "path"),
    ("BEFORE", "before"),
    ("AFTER", "after"),
    ("PERHAPS", "perhaps"),
    ("USED BY", "used_by"),
];

pub(super) async fn changes(api: &ApiArguments, tenant: &str, object: Option<String>) -> Result<(), Exit> {
    let of = object.map(|object| format!("&object={object}")).unwrap_or_default();
    let path = format!("/v1/tenants/{tenant}/schema-changes?limit=200{of}");
    let answer = ask(api, Method::GET, &path, None).await?;
    let shown: Vec<Value> = rows(&answer, "schema_changes").iter().map(row).collect();
    print(api, &answer, &shown, CHANGES);
    Ok(())
}

/// A change in cells that hold a word or a few.
fn row(change: &Value) -> Value {
    let mut row = change.clone();
    if change["path"].is_null() {
        row["path"] = json!("(the object)");
    }
    let differs = |part: &str| change["before"][part] != change["after"][part];
    for side in ["before", "after"] {
        row[side] = json!(shape(&change[side], &differs));
    }
    let uses: Vec<&str> = rows(change, "used_by").iter().filter_map(Value::as_str).collect();
    row["used_by"] = json!(uses.join(", "));
    row
}

/// A field's type, with what of it differs from the other side.
fn shape(shape: &Value, differs: &dyn Fn(&str) -> bool) -> String {
    let Some(kind) = shape["type"].as_str() else { return String::new() };
    let mut words = vec![kind.to_owned()];
    if differs("length") && shape["length"] != 0 {
        words.push(format!("of {}", shape["length"]));
    }
    if differs("filterable") && shape["filterable"] == false {
        words.push("not filterable".to_owned());
    }
    if differs("formula") && shape["formula"] == true {
        words.push("a formula".to_owned());
    }
    if differs("refers_to") {
        let to: Vec<&str> = rows(shape, "refers_to").iter().filter_map(Value::as_str).collect();
        words.push(format!("to {}", to.join(", ")));
    }
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_in_a_line_with_what_differs() {
        let text = |length: u32, filterable: bool| {
            json!({"type": "string", "length": length, "filterable": filterable,
            "formula": false, "refers_to": []})
        };
        let changed = row(&json!({"path": "Plan__c", "before": text(80, true), "after": text(80, false),
            "used_by": ["ticket", "facet plan"]}));
        assert_eq!(
            (&changed["before"], &changed["after"], &changed["used_by"]),
            (&json!("string"), &json!("string, not filterable"), &json!("ticket, facet plan"))
        );
        let longer = row(&json!({"path": "Plan__c", "before": text(80, true), "after": text(255, true)}));
        assert_eq!(longer["after"], "string, of 255");
        let lost = row(&json!({"path": null, "before": null, "after": null, "used_by": []}));
        assert_eq!((&lost["path"], &lost["after"]), (&json!("(the object)"), &json!("")));
    }
}
