//! SOQL from outside: answers and refusals.

use serde_json::json;

use crate::support::{Sim, ids};

/// Statement, code and a part of the message.
const REFUSALS: [(&str, &str, &str); 18] = [
    ("SELECT Id FORM Case", "MALFORMED_QUERY", "unexpected token: 'FORM'"),
    (
        "SELECT Id, Foo__c FROM Case",
        "INVALID_FIELD",
        "\nSELECT Id, Foo__c FROM Case\n           ^\nERROR at Row:1:Column:12\nNo such column 'Foo__c' on entity 'Case'.",
    ),
    (
        "SELECT Id FROM Foo__c",
        "INVALID_TYPE",
        "\nSELECT Id FROM Foo__c\n               ^\nERROR at Row:1:Column:16\nsObject type 'Foo__c' is not supported.",
    ),
    ("SELECT Foo.Id FROM Case", "INVALID_FIELD", "Didn't understand relationship 'Foo' in field path."),
    ("SELECT Owner.Department FROM Case", "INVALID_FIELD", "No such column 'Department' on entity 'Name'."),
    (
        "SELECT Id FROM Case WHERE Description LIKE 'x%'",
        "INVALID_FIELD",
        "field 'Description' can not be filtered in a query call",
    ),
    (
        "SELECT Id FROM CaseHistory WHERE NewValue = 'x'",
        "INVALID_FIELD",
        "field 'NewValue' can not be filtered in a query call",
    ),
    (
        "SELECT Id FROM Contact WHERE MailingAddress = 'x'",
        "INVALID_FIELD",
        "field 'MailingAddress' can not be filtered",
    ),
    (
        "SELECT Id FROM Case ORDER BY Description",
        "MALFORMED_QUERY",
        "field 'Description' can not be sorted in a query call",
    ),
    ("SELECT Id FROM Case WHERE Id = 'abc'", "INVALID_QUERY_FILTER_OPERATOR", "invalid ID field: abc"),
    (
        "SELECT Id FROM Case WHERE CreatedDate > '2024-01-01T00:00:00Z'",
        "INVALID_FIELD",
        "must be of type dateTime and should not be enclosed in quotes",
    ),
    ("SELECT Id FROM Case OFFSET 2001", "NUMBER_OUTSIDE_VALID_RANGE", "Maximum SOQL offset allowed is 2000"),
    ("SELECT Id, Id FROM Case", "INVALID_FIELD", "duplicate field selected: Id"),
    ("SELECT FIELDS(ALL) FROM Case", "MALFORMED_QUERY", "must have a LIMIT of at most 200"),
    ("SELECT Id FROM Case ALL ROWS", "MALFORMED_QUERY", "unexpected token: 'ALL'"),
    ("SELECT Id FROM Case WHERE A = 1 AND B = 2 OR C = 3", "MALFORMED_QUERY", "unexpected token: 'OR'"),
    ("SELECT Id FROM Case WHERE Subject = :name", "MALFORMED_QUERY", "unexpected token: ':'"),
    ("SELECT Id FROM Case HAVING COUNT(Id) > 1", "MALFORMED_QUERY", "unexpected token: 'HAVING'"),
];

#[tokio::test]
async fn refusals_use_the_platforms_words() {
    let sim = Sim::start().await;
    for (soql, code, message) in REFUSALS {
        let (status, body) = sim.ask(soql).await;
        assert_eq!(status, 400, "{soql}");
        assert_eq!(body[0]["errorCode"], code, "{soql}: {body}");
        assert!(body[0]["message"].as_str().unwrap().contains(message), "{soql}: {body}");
    }
}

#[tokio::test]
async fn relationships_nest_as_recorded() {
    let sim = Sim::start().await;
    let account = sim.insert("Account", json!({"Name": "Blue Harbor"})).await;
    let contact = sim
        .insert(
            "Contact",
            json!({"FirstName": "Ann", "LastName": "Lee", "AccountId": account, "MailingCity": "Lyon"}),
        )
        .await;
    let case = sim.insert("Case", json!({"Subject": "Hello", "ContactId": contact})).await;
    let soql = format!(
        "SELECT Id, Contact.Name, Contact.MailingAddress, Contact.Account.Name, Parent.Subject, Owner.Name, Owner.Type, \
         (SELECT Field FROM Histories), (SELECT Id FROM CaseComments) FROM Case WHERE Id = '{case}'"
    );
    let record = sim.query(&soql).await["records"][0].clone();
    assert_eq!(record["Contact"]["Name"], "Ann Lee");
    assert_eq!(record["Contact"]["MailingAddress"]["city"], "Lyon");
    assert_eq!(record["Contact"]["MailingAddress"]["street"], json!(null));
    assert_eq!(record["Contact"]["Account"]["Name"], "Blue Harbor");
    assert_eq!(record["Contact"]["Account"]["attributes"]["type"], "Account");
    assert_eq!(record["Parent"], json!(null));
    assert_eq!(record["Owner"]["attributes"]["type"], "Name");
    assert_eq!(record["Owner"]["Type"], "User");
    assert_eq!(record["CaseComments"], json!(null));
    assert_eq!(record["Histories"]["totalSize"], 1);
    assert_eq!(record["Histories"]["records"][0]["Field"], "created");
}

#[tokio::test]
async fn filters_reach_through_parents_and_sub_selects() {
    let sim = Sim::start().await;
    let contact = sim.insert("Contact", json!({"LastName": "Ünique"})).await;
    let case = sim
        .insert("Case", json!({"Subject": "100% _sure_", "ContactId": contact, "Tags__c": "vip;refund"}))
        .await;
    for condition in [
        "Contact.LastName = 'ÜNIQUE'".to_owned(),
        r"Subject LIKE '100\% \_sure\_'".to_owned(),
        format!("Contact.LastName LIKE 'ün%' AND Id IN ('{}')", &case[..15]),
        "ContactId IN (SELECT Id FROM Contact WHERE LastName = 'Ünique')".to_owned(),
        "Tags__c INCLUDES ('vip;refund') AND Contact.LastName = 'Ünique'".to_owned(),
        "Owner.Type = 'User' AND Contact.Name = 'Ünique' AND CreatedDate = TODAY".to_owned(),
        "NOT (Contact.LastName != 'Ünique')".to_owned(),
    ] {
        let found = ids(&sim.query(&format!("SELECT Id FROM Case WHERE {condition}")).await);
        assert_eq!(found, std::slice::from_ref(&case), "{condition}");
    }
}

#[tokio::test]
async fn totals_and_groups_are_counted() {
    let sim = Sim::start().await;
    let all = sim.count("SELECT COUNT() FROM Case").await;
    let groups = sim.query("SELECT Status, COUNT(Id) n, MAX(CreatedDate) FROM Case GROUP BY Status").await;
    let records = groups["records"].as_array().unwrap();
    let sum: u64 = records.iter().map(|record| record["n"].as_u64().unwrap()).sum();
    assert_eq!(sum, all);
    assert_eq!(records[0]["attributes"], json!({"type": "AggregateResult"}));
    assert!(records[0]["expr0"].as_str().unwrap().ends_with("+0000"));
}
