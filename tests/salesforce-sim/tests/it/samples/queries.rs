//! Answers to queries, and whole records.

use super::node::{Node, Order};
use super::{answer, asked, folder, hold, hold_common, text};
use crate::support::Sim;

/// Names of a recorded answer, and what takes their place in ours.
type Renamed = &'static [(&'static str, &'static str)];

/// Recorded answers, a statement of the same form, and recorded names that ours have others for.
const SAME_FORM: [(&str, &str, Renamed); 8] = [
    (
        "aggregate_expr0",
        "SELECT ContactId, SUM(Csat_Score__c) FROM Case WHERE Csat_Score__c != NULL GROUP BY ContactId LIMIT 3",
        &[("CampaignId", "ContactId")],
    ),
    (
        "case_with_histories_rekeyed",
        "SELECT Id, CaseNumber, CreatedDate, LastModifiedDate, Subject, Tags__c, (SELECT Id FROM ContentDocumentLinks), \
         (SELECT Id FROM Tasks), (SELECT Id, Field, DataType, OldValue, NewValue, CreatedDate, CreatedBy.Name FROM \
         Histories), (SELECT Id FROM Feeds), Owner.Name FROM Case WHERE Contact.Name != null LIMIT 1",
        &[("Skills__c", "Tags__c")],
    ),
    (
        "cases_with_parent_account_contact",
        "SELECT Id, CaseNumber, SystemModstamp, Account.Name, Account.SystemModstamp, Contact.Name, \
         Contact.SystemModstamp FROM Case WHERE Account.Name != NULL LIMIT 2",
        &[],
    ),
    (
        "contacts_three_parent_levels",
        "SELECT Id, Name, Account.Name, Account.CreatedBy.Name, Account.CreatedBy.CreatedBy.Name FROM Contact \
         WHERE Account.CreatedBy.CreatedBy.Name != NULL LIMIT 2",
        &[],
    ),
    ("count_only", "SELECT COUNT() FROM Case", &[]),
    (
        "opportunities_null_lookup",
        "SELECT Id, Name, AccountId, SystemModstamp, Phone FROM Contact LIMIT 2",
        &[("\"Amount\": 50000.00", "\"SystemModstamp\": null"), ("StageName", "Phone")],
    ),
    ("page_2_done_true", "SELECT Subject FROM Case LIMIT 1", &[("Text_Label", "Subject")]),
    ("permission_set", "SELECT Id, Name FROM PermissionSet LIMIT 1", &[]),
];

#[tokio::test]
pub(super) async fn query_answers_have_the_recorded_shape() {
    let Some(folder) = folder("query_answers_have_the_recorded_shape") else { return };
    let sim = Sim::start().await;
    let recorded = |name: &str| text(&folder, &format!("query/{name}.json"));
    for (name, soql, renamed) in SAME_FORM {
        let theirs = renamed.iter().fold(recorded(name), |text, (from, to)| text.replace(from, to));
        hold(name, &asked(&sim, soql).await, &theirs, Order::Kept);
    }
    sim.control("/limits", serde_json::json!({"page_rows": 10})).await;
    let theirs = recorded("page_1_done_false").replace("Text_Label", "Subject");
    hold("page_1_done_false", &asked(&sim, "SELECT Subject FROM Case").await, &theirs, Order::Kept);
    let nested = "SELECT IsClosed, Subject, Due_Date__c, CreatedDate, Tags__c, Contact.Name, Contact.Title, (SELECT \
                  CommentBody FROM CaseComments) FROM Case WHERE ContactId != NULL AND Id IN (SELECT ParentId FROM \
                  CaseComment) LIMIT 1";
    let ours = asked(&sim, nested).await;
    // In the recorded one `attributes` is not first in the parent, so its order is not looked at.
    let names = [
        ("\"Text_Label\": \"Hello\"", "\"Title\": \"Hello\""),
        ("\"Name\" : \"Child", "\"CommentBody\" : \"Child"),
        ("Checkbox_Label", "IsClosed"),
        ("Text_Label", "Subject"),
        ("Date_Label", "Due_Date__c"),
        ("DateTime_Label", "CreatedDate"),
        ("Picklist_Multiselect_Label", "Tags__c"),
        ("ParentWhizbang__r", "Contact"),
        ("Whizbangs__r", "CaseComments"),
    ];
    let theirs = recorded("parent_and_child_nested");
    let theirs = names.iter().fold(theirs, |text, (from, to)| text.replace(from, to));
    hold("parent_and_child_nested", &ours, &theirs, Order::Free);
}

/// In an answer fields stand in the order of the statement, after `attributes`.
#[tokio::test]
async fn fields_come_in_the_order_they_were_asked_for() {
    let sim = Sim::start().await;
    let page =
        Node::parse(&asked(&sim, "SELECT Subject, Owner.Name, Id, CaseNumber FROM Case LIMIT 1").await);
    let record = page.at("records").at("0");
    assert_eq!(record.keys(), ["attributes", "Subject", "Owner", "Id", "CaseNumber"]);
    assert_eq!(record.at("attributes").keys(), ["type", "url"]);
    assert_eq!(record.at("Owner").keys(), ["attributes", "Name"]);
}

#[tokio::test]
pub(super) async fn records_have_the_recorded_shape() {
    let Some(folder) = folder("records_have_the_recorded_shape") else { return };
    let sim = Sim::start().await;
    for (name, object, filter, fields) in [
        ("contact_record", "Contact", "MailingCity != NULL", 50),
        ("account_record_namespaced", "Account", "BillingCity != NULL", 35),
    ] {
        let found =
            Node::parse(&asked(&sim, &format!("SELECT Id FROM {object} WHERE {filter} LIMIT 1")).await);
        let Node::Text(id) = found.at("records").at("0").at("Id").clone() else { panic!("{found:?}") };
        let ours = answer(&sim, &format!("/services/data/v66.0/sobjects/{object}/{id}")).await;
        hold_common(name, &ours, &text(&folder, &format!("query/{name}.json")), fields);
    }
}
