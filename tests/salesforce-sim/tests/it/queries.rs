//! SOQL from outside: answers, pages, refusals.

use serde_json::json;

use crate::support::{Sim, ids, read, small};

#[tokio::test]
async fn refusals_use_the_platforms_words() {
    let sim = Sim::start().await;
    let cases = [
        (
            "SELECT Id FORM Case",
            "MALFORMED_QUERY",
            "unexpected token: 'FORM'",
        ),
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
        (
            "SELECT Foo.Id FROM Case",
            "INVALID_FIELD",
            "Didn't understand relationship 'Foo' in field path.",
        ),
        (
            "SELECT Owner.Department FROM Case",
            "INVALID_FIELD",
            "No such column 'Department' on entity 'Name'.",
        ),
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
        (
            "SELECT Id FROM Case WHERE Id = 'abc'",
            "INVALID_QUERY_FILTER_OPERATOR",
            "invalid ID field: abc",
        ),
        (
            "SELECT Id FROM Case WHERE CreatedDate > '2024-01-01T00:00:00Z'",
            "INVALID_FIELD",
            "must be of type dateTime and should not be enclosed in quotes",
        ),
        (
            "SELECT Id FROM Case OFFSET 2001",
            "NUMBER_OUTSIDE_VALID_RANGE",
            "Maximum SOQL offset allowed is 2000",
        ),
        (
            "SELECT Id, Id FROM Case",
            "INVALID_FIELD",
            "duplicate field selected: Id",
        ),
        (
            "SELECT FIELDS(ALL) FROM Case",
            "MALFORMED_QUERY",
            "must have a LIMIT of at most 200",
        ),
        (
            "SELECT Id FROM Case ALL ROWS",
            "MALFORMED_QUERY",
            "unexpected token: 'ALL'",
        ),
        (
            "SELECT Id FROM Case WHERE A = 1 AND B = 2 OR C = 3",
            "MALFORMED_QUERY",
            "unexpected token: 'OR'",
        ),
        (
            "SELECT Id FROM Case WHERE Subject = :name",
            "MALFORMED_QUERY",
            "unexpected token: ':'",
        ),
        (
            "SELECT Id FROM Case HAVING COUNT(Id) > 1",
            "MALFORMED_QUERY",
            "not supported by the simulator",
        ),
    ];
    for (soql, code, message) in cases {
        let (status, body) = sim.ask(soql).await;
        assert_eq!(status, 400, "{soql}");
        assert_eq!(body[0]["errorCode"], code, "{soql}: {body}");
        assert!(
            body[0]["message"].as_str().unwrap().contains(message),
            "{soql}: {body}"
        );
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
    let case = sim
        .insert("Case", json!({"Subject": "Hello", "ContactId": contact}))
        .await;
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
        .insert(
            "Case",
            json!({"Subject": "100% _sure_", "ContactId": contact, "Tags__c": "vip;refund"}),
        )
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
        assert_eq!(found, [case.clone()], "{condition}");
    }
}

#[tokio::test]
async fn totals_and_groups_are_counted() {
    let sim = Sim::start().await;
    let all = sim.count("SELECT COUNT() FROM Case").await;
    let groups = sim
        .query("SELECT Status, COUNT(Id) n, MAX(CreatedDate) FROM Case GROUP BY Status")
        .await;
    let records = groups["records"].as_array().unwrap();
    let sum: u64 = records.iter().map(|record| record["n"].as_u64().unwrap()).sum();
    assert_eq!(sum, all);
    assert_eq!(records[0]["attributes"], json!({"type": "AggregateResult"}));
    assert!(records[0]["expr0"].as_str().unwrap().ends_with("+0000"));
}

#[tokio::test]
async fn pages_follow_the_cursor_to_the_end() {
    let sim = Sim::start().await;
    let total = sim.count("SELECT COUNT() FROM CaseHistory").await;
    let asked = sim
        .query_request("query", "SELECT Id FROM CaseHistory")
        .header("Sforce-Query-Options", "batchSize=1");
    let (_, mut page) = read(asked.send().await.unwrap()).await;
    let mut seen = ids(&page);
    assert_eq!(seen.len(), 200, "batchSize is brought up to 200");
    while page["done"] == false {
        let next = page["nextRecordsUrl"].as_str().unwrap().to_owned();
        let asked = sim.request(&next).header("Sforce-Query-Options", "batchSize=200");
        page = read(asked.send().await.unwrap()).await.1;
        assert_eq!(page["totalSize"], total);
        seen.extend(ids(&page));
    }
    assert_eq!(page.get("nextRecordsUrl"), None);
    assert_eq!(seen.len() as u64, total);
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len() as u64, total);
}

#[tokio::test]
async fn heavy_rows_make_small_pages() {
    let sim = Sim::with(salesforce_sim::OrgOptions {
        cases: 700,
        ..small()
    })
    .await;
    let two_custom = sim
        .query("SELECT Id, Resolution_Notes__c, Handover_Html__c FROM Case")
        .await;
    assert_eq!(ids(&two_custom).len(), 200);
    let bodies = sim.query("SELECT Id, TextBody, HtmlBody FROM EmailMessage").await;
    assert!(ids(&bodies).len() <= 500);
    assert_eq!(bodies["done"], false);
    let one_body = sim.query("SELECT Id, TextBody FROM EmailMessage").await;
    assert!(ids(&one_body).len() > 500);
}

#[tokio::test]
async fn a_long_child_list_has_its_own_cursor() {
    let sim = Sim::start().await;
    let case = sim.insert("Case", json!({"Subject": "Long"})).await;
    for number in 0..230 {
        sim.insert(
            "CaseComment",
            json!({"ParentId": case, "CommentBody": format!("{number}")}),
        )
        .await;
    }
    let soql = format!("SELECT Id, (SELECT Id FROM CaseComments ORDER BY Id) FROM Case WHERE Id = '{case}'");
    let comments = sim.query(&soql).await["records"][0]["CaseComments"].clone();
    assert_eq!(
        (comments["totalSize"].as_u64(), comments["done"].as_bool()),
        (Some(230), Some(false))
    );
    let rest = sim.get(comments["nextRecordsUrl"].as_str().unwrap()).await.1;
    assert_eq!(ids(&comments).len() + ids(&rest).len(), 230);
    assert_eq!(rest["done"], true);
}

#[tokio::test]
async fn cursors_die_with_their_session() {
    let mut sim = Sim::start().await;
    let asked = sim
        .query_request("query", "SELECT Id FROM CaseHistory")
        .header("Sforce-Query-Options", "batchSize=200");
    let next = read(asked.send().await.unwrap()).await.1["nextRecordsUrl"]
        .as_str()
        .unwrap()
        .to_owned();
    let first = std::mem::take(&mut sim.token);
    sim.token = sim.log_in().await;
    let (status, body) = sim.get(&next).await;
    assert_eq!(
        (status, &body[0]["errorCode"]),
        (400, &json!("INVALID_QUERY_LOCATOR")),
        "another live session"
    );
    sim.control("/sessions/expire", json!({})).await;
    sim.token = sim.log_in().await;
    let (status, body) = sim.get(&next).await;
    assert_eq!(
        (status, &body[0]["errorCode"]),
        (401, &json!("INVALID_SESSION_ID")),
        "a fresh session does not help"
    );
    sim.token = first;
    assert_eq!(sim.get(&next).await.0, 401);
    sim.token = sim.log_in().await;
    let (status, body) = sim
        .get("/services/data/v66.0/query/01gRf0000009999AAA-2000")
        .await;
    assert_eq!(
        (status, &body[0]["message"]),
        (400, &json!("invalid query locator"))
    );
}

#[tokio::test]
async fn hidden_things_look_as_if_they_did_not_exist() {
    let sim = Sim::start().await;
    let before = sim
        .request("/services/data/v66.0/sobjects/Case/describe")
        .send()
        .await
        .unwrap();
    let stamp = before.headers()["last-modified"].to_str().unwrap().to_owned();
    let same = sim
        .request("/services/data/v66.0/sobjects/Case/describe")
        .header("If-Modified-Since", &stamp);
    assert_eq!(same.send().await.unwrap().status(), 304);

    let hide = json!({"user": "default", "hide_fields": ["Case.Status"], "hide_objects": ["Task"]});
    let refused = sim.http.post(format!(
        "{}/orgs/{}/permissions",
        sim.running.ready.control, sim.org.org_id
    ));
    assert_eq!(
        refused.json(&hide).send().await.unwrap().status(),
        400,
        "Status is not permissionable"
    );
    let hide = json!({"user": "default", "hide_fields": ["Case.Priority"], "hide_objects": ["Task"]});
    sim.control("/permissions", hide).await;

    let (_, body) = sim.ask("SELECT Priority FROM Case").await;
    assert!(
        body[0]["message"]
            .as_str()
            .unwrap()
            .contains("No such column 'Priority' on entity 'Case'")
    );
    assert_eq!(
        sim.ask("SELECT Id FROM Task").await.1[0]["errorCode"],
        "INVALID_TYPE"
    );
    assert_eq!(
        sim.get("/services/data/v66.0/sobjects/Task/describe").await.0,
        404
    );
    assert_eq!(
        sim.count("SELECT COUNT() FROM CaseHistory WHERE Field = 'Priority'")
            .await,
        0
    );
    assert!(
        sim.truth("/truth/Case").await[0]["fields"]
            .get("Priority")
            .is_none()
    );
    let again = sim
        .request("/services/data/v66.0/sobjects/Case/describe")
        .header("If-Modified-Since", &stamp);
    let (status, describe) = read(again.send().await.unwrap()).await;
    assert_eq!(status, 200);
    let names: Vec<&str> = describe["fields"]
        .as_array()
        .unwrap()
        .iter()
        .map(|field| field["name"].as_str().unwrap())
        .collect();
    assert!(names.contains(&"Status") && !names.contains(&"Priority"));
    let children = describe["childRelationships"].as_array().unwrap();
    assert!(children.iter().all(|child| child["childSObject"] != "Task"));
    let (_, global) = sim.get("/services/data/v66.0/sobjects").await;
    assert!(
        global["sobjects"]
            .as_array()
            .unwrap()
            .iter()
            .all(|object| object["name"] != "Task")
    );
}

#[tokio::test]
async fn composite_reads_many_in_one_call() {
    let sim = Sim::start().await;
    let describe = sim
        .request("/services/data/v66.0/sobjects/Case/describe")
        .send()
        .await
        .unwrap();
    let stamp = describe.headers()["last-modified"].to_str().unwrap();
    let url = |rest: &str| format!("/services/data/v66.0/{rest}");
    let body = json!({"compositeRequest": [
        {"method": "GET", "url": url("sobjects/Case/describe"), "referenceId": "a"},
        {"method": "GET", "url": url("sobjects/Contact/describe"), "referenceId": "b", "httpHeaders": {"If-Modified-Since": stamp}},
        {"method": "GET", "url": url("query?q=SELECT+COUNT()+FROM+Case"), "referenceId": "c"},
        {"method": "GET", "url": url("sobjects/Foo"), "referenceId": "d"},
    ]});
    let before = sim.control_get("/calls").await["api"].as_u64().unwrap();
    let sent = sim
        .http
        .post(sim.url("/services/data/v66.0/composite"))
        .bearer_auth(&sim.token)
        .json(&body)
        .send()
        .await;
    let (status, answer) = read(sent.unwrap()).await;
    assert_eq!(status, 200);
    let parts = answer["compositeResponse"].as_array().unwrap();
    let statuses: Vec<u64> = parts
        .iter()
        .map(|part| part["httpStatusCode"].as_u64().unwrap())
        .collect();
    assert_eq!(statuses, [200, 304, 200, 404]);
    assert_eq!(parts[0]["body"]["name"], "Case");
    assert_eq!(parts[1]["body"], json!(null));
    assert_eq!(parts[3]["body"][0]["errorCode"], "NOT_FOUND");
    assert_eq!(
        sim.control_get("/calls").await["api"].as_u64().unwrap(),
        before + 1
    );
}

#[tokio::test]
async fn single_rows_are_addressable() {
    let sim = Sim::start().await;
    let case = sim.insert("Case", json!({"Subject": "One"})).await;
    let path = format!("/services/data/v66.0/sobjects/Case/{case}");
    assert_eq!(
        sim.get(&format!("{path}?fields=Id,Subject")).await.1["Subject"],
        "One"
    );
    assert_eq!(
        sim.get(&format!("{path}?fields=Nope")).await.1[0]["errorCode"],
        "INVALID_FIELD"
    );
    sim.control(&format!("/records/Case/{case}/delete"), json!({}))
        .await;
    assert_eq!(sim.get(&path).await.1[0]["errorCode"], "ENTITY_IS_DELETED");
    assert_eq!(
        sim.get("/services/data/v66.0/sobjects/Case/003000000000000AAA")
            .await
            .1[0]["errorCode"],
        "MALFORMED_ID"
    );
    let org = sim
        .query("SELECT Id, Name, OrganizationType, IsSandbox FROM Organization")
        .await;
    assert_eq!(ids(&org), [sim.org.org_id.clone()]);
}
