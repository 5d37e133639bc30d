//! SOQL beyond what sync clients send: functions, groups, subtotals, scopes, aliases, and the platform's restrictions.

use serde_json::json;

use crate::support::{Sim, ids};

#[tokio::test]
async fn groups_have_subtotals_conditions_and_an_order() {
    let sim = Sim::start().await;
    let total = sim.count("SELECT COUNT() FROM Case").await;
    let rolled = sim
        .query("SELECT Status s, Origin, GROUPING(Status) g, COUNT(Id) n FROM Case GROUP BY ROLLUP(Status, Origin)")
        .await;
    let records = rolled["records"].as_array().unwrap();
    let overall: Vec<_> = records.iter().filter(|record| record["g"] == 1).collect();
    assert_eq!(overall.len(), 1);
    assert_eq!((&overall[0]["n"], &overall[0]["s"]), (&json!(total), &json!(null)));
    let leaves: u64 = records
        .iter()
        .filter(|record| record["g"] == 0 && !record["Origin"].is_null())
        .map(|record| record["n"].as_u64().unwrap())
        .sum();
    assert_eq!(leaves, total);
    let cubed = sim.query("SELECT Status, Origin, COUNT(Id) FROM Case GROUP BY CUBE(Status, Origin)").await;
    assert!(cubed["records"].as_array().unwrap().len() > records.len());

    let ordered = sim
        .query(
            "SELECT Status, COUNT(Id) n FROM Case WHERE Status != null GROUP BY Status \
             HAVING COUNT(Id) > 1 AND Status LIKE '%o%' ORDER BY COUNT(Id) DESC NULLS LAST, Status",
        )
        .await;
    let counts: Vec<u64> =
        ordered["records"].as_array().unwrap().iter().map(|record| record["n"].as_u64().unwrap()).collect();
    assert!(!counts.is_empty() && counts.is_sorted_by(|a, b| a >= b) && counts.iter().all(|n| *n > 1));
}

#[tokio::test]
async fn dates_can_be_taken_apart() {
    let sim = Sim::start().await;
    let id = sim.insert("Case", json!({"Subject": "New year", "Due_Date__c": "2024-12-31"})).await;
    for condition in [
        "CALENDAR_YEAR(Due_Date__c) = 2024",
        "CALENDAR_MONTH(Due_Date__c) IN (11, 12)",
        "DAY_IN_MONTH(Due_Date__c) > 30",
        "DAY_IN_YEAR(Due_Date__c) = 366",
        "CALENDAR_QUARTER(Due_Date__c) = 4",
        "DAY_IN_WEEK(Due_Date__c) = 3",
        "DAY_ONLY(CreatedDate) = TODAY",
        "CALENDAR_YEAR(convertTimezone(CreatedDate)) > 2000",
    ] {
        let found = ids(&sim.query(&format!("SELECT Id FROM Case WHERE Id = '{id}' AND {condition}")).await);
        assert_eq!(found, std::slice::from_ref(&id), "{condition}");
    }
    let years = sim
        .query(
            "SELECT CALENDAR_YEAR(Due_Date__c) y, COUNT(Id) FROM Case WHERE Due_Date__c != null \
             GROUP BY CALENDAR_YEAR(Due_Date__c) ORDER BY CALENDAR_YEAR(Due_Date__c)",
        )
        .await;
    assert_eq!(years["records"][0]["y"], 2024);
    assert_eq!(years["records"][0]["expr0"], 1);
}

#[tokio::test]
async fn values_can_be_formatted_labelled_and_measured() {
    let sim = Sim::start().await;
    let account = sim
        .insert(
            "Account",
            json!({"Name": "Here", "AnnualRevenue": 1_234_567.0, "Headquarters__Latitude__s": 52.5,
                   "Headquarters__Longitude__s": 13.4}),
        )
        .await;
    let far = "DISTANCE(Headquarters__c, GEOLOCATION(52.52, 13.405), 'km')";
    let soql = format!(
        "SELECT Name, AnnualRevenue, FORMAT(AnnualRevenue) shown, toLabel(Type), {far} d, Headquarters__c \
         FROM Account WHERE Id = '{account}' AND {far} < 3 ORDER BY {far}"
    );
    let record = sim.query(&soql).await["records"][0].clone();
    assert_eq!(record["shown"], "1,234,567.00");
    assert_eq!(record["AnnualRevenue"], 1_234_567.0);
    assert!(record["d"].as_f64().unwrap() < 3.0);
    assert_eq!(record["Headquarters__c"], json!({"latitude": 52.5, "longitude": 13.4}));
    assert!(record.get("Type").is_some());
    let away = sim.count(&format!("SELECT COUNT() FROM Account WHERE Id = '{account}' AND {far} > 3")).await;
    assert_eq!(away, 0);
}

#[tokio::test]
async fn paths_go_five_levels_up_and_lists_five_levels_down() {
    let sim = Sim::start().await;
    let account = sim.insert("Account", json!({"Name": "Top"})).await;
    let contact = sim.insert("Contact", json!({"LastName": "Middle", "AccountId": account})).await;
    let case = sim.insert("Case", json!({"Subject": "Bottom", "ContactId": contact})).await;
    let comment = sim.insert("CaseComment", json!({"ParentId": case, "CommentBody": "x"})).await;
    let up = format!(
        "SELECT Parent.Contact.Account.Owner.Profile.Name FROM CaseComment WHERE Id = '{comment}' \
         AND Parent.Contact.Account.Name = 'Top'"
    );
    let record = sim.query(&up).await["records"][0].clone();
    assert_eq!(record["Parent"]["Contact"]["Account"]["Owner"]["Profile"]["Name"], "Support Agent");
    let too_far = "SELECT Parent.Contact.Account.Parent.Parent.Owner.Name FROM CaseComment";
    assert_eq!(sim.ask(too_far).await.0, 400);

    let down = format!(
        "SELECT Name, (SELECT LastName, (SELECT Subject, (SELECT CommentBody FROM CaseComments) FROM Cases) \
         FROM Account.Contacts) FROM Account WHERE Id = '{account}'"
    );
    let record = sim.query(&down).await["records"][0].clone();
    let case = &record["Contacts"]["records"][0]["Cases"]["records"][0];
    assert_eq!(case["CaseComments"]["records"][0]["CommentBody"], "x");
}

#[tokio::test]
async fn aliases_name_parents_too() {
    let sim = Sim::start().await;
    let account = sim.insert("Account", json!({"Name": "Aliased"})).await;
    sim.insert("Contact", json!({"LastName": "Lee", "AccountId": account})).await;
    for soql in [
        "SELECT COUNT() FROM Contact c, c.Account a WHERE a.Name = 'Aliased'",
        "SELECT COUNT() FROM Contact c, c.Account a, a.Owner u WHERE u.Name != null AND a.name = 'ALIASED'",
        "SELECT COUNT() FROM Contact WHERE Contact.Account.Name = 'Aliased'",
    ] {
        assert_eq!(sim.count(soql).await, 1, "{soql}");
    }
}

#[tokio::test]
async fn a_polymorphic_parent_is_told_apart() {
    let sim = Sim::start().await;
    let soql = "SELECT Id, TYPEOF What WHEN Case THEN CaseNumber, Contact.Name WHEN Account THEN Name ELSE Id END, \
                What.Type FROM Task WHERE What.Type = 'Case' LIMIT 1";
    assert_eq!(sim.ask(soql).await.0, 400, "not beside dots");
    let soql = soql.replace(" END, What.Type", " END");
    let what = sim.query(&soql).await["records"][0]["What"].clone();
    assert_eq!(what["attributes"]["type"], "Case");
    assert!(what["CaseNumber"].is_string() && what.get("Contact").is_some());
    let mine =
        sim.query("SELECT Id FROM Task USING SCOPE everything WHERE Owner.Type = 'User' LIMIT 1").await;
    assert_eq!(mine["totalSize"], 1);
}

#[tokio::test]
async fn restrictions_of_the_platform_are_kept() {
    let sim = Sim::start().await;
    for (soql, code, message) in [
        (
            "SELECT Id FROM Case WHERE Id IN (SELECT CaseId FROM CaseHistory) OR Status = 'New'",
            "MALFORMED_QUERY",
            "not allowed with the 'OR' operator",
        ),
        (
            "SELECT Id FROM Case WHERE ParentId IN (SELECT Id FROM Case)",
            "MALFORMED_QUERY",
            "should not be on the same object type",
        ),
        (
            "SELECT Id FROM Case WHERE Id IN (SELECT WhatId FROM Task)",
            "MALFORMED_QUERY",
            "is not supported for semi join inner selects",
        ),
        (
            "SELECT Id FROM Case WHERE Id IN (SELECT ParentId FROM CaseComment WHERE ParentId IN (SELECT CaseId FROM \
             CaseHistory))",
            "MALFORMED_QUERY",
            "Nesting of semi join sub-selects",
        ),
        ("SELECT Id FROM FeedTrackedChange", "INVALID_TYPE_FOR_OPERATION", "does not support query"),
        ("SELECT Id FROM CaseChangeEvent", "INVALID_TYPE_FOR_OPERATION", "does not support query"),
        (
            "SELECT Status, Subject FROM Case GROUP BY Status",
            "MALFORMED_QUERY",
            "must be grouped or aggregated: Subject",
        ),
        ("SELECT COUNT(Id) FROM Case GROUP BY CreatedDate", "MALFORMED_QUERY", "can not be grouped"),
        (
            "SELECT SUM(Subject) FROM Case",
            "MALFORMED_QUERY",
            "field Subject does not support aggregate operator SUM",
        ),
        (
            "SELECT Status, COUNT(Id) FROM Case GROUP BY Status ORDER BY Subject",
            "MALFORMED_QUERY",
            "Ordered field must be grouped or aggregated: Subject",
        ),
        ("SELECT CALENDAR_YEAR(CreatedDate) FROM Case", "MALFORMED_QUERY", "must be grouped or aggregated"),
        ("SELECT Subject s FROM Case", "MALFORMED_QUERY", "only aggregate expressions use field aliasing"),
        ("SELECT Id FROM Case USING SCOPE team", "MALFORMED_QUERY", "'team' is not supported for Case"),
        (
            "SELECT Id FROM Case WITH DATA CATEGORY Geography__c AT asia__c",
            "INVALID_TYPE_FOR_OPERATION",
            "data category",
        ),
        ("SELECT FIELDS(CUSTOM) FROM CaseComment LIMIT 1", "INVALID_FIELD", "no fields"),
        ("SELECT Id FROM Case WHERE IsClosed > true", "INVALID_FIELD", "invalid operator on boolean field"),
        (
            "SELECT Id FROM Case WHERE CALENDAR_YEAR(Subject) = 1",
            "INVALID_FIELD",
            "does not support the function",
        ),
    ] {
        let (status, body) = sim.ask(soql).await;
        assert_eq!(status, 400, "{soql}");
        assert_eq!(body[0]["errorCode"], code, "{soql}: {body}");
        assert!(body[0]["message"].as_str().unwrap().contains(message), "{soql}: {body}");
    }
    let deep =
        (0..6).fold("SELECT Id FROM Cases".to_owned(), |inner, _| format!("SELECT Id, ({inner}) FROM Cases"));
    let (_, body) = sim.ask(&format!("SELECT Id, ({deep}) FROM Account")).await;
    assert!(body[0]["message"].as_str().unwrap().contains("levels deep"), "{body}");
    let long = "x".repeat(4_001);
    let sent =
        sim.http.post(sim.url("/services/data/v66.0/composite")).bearer_auth(&sim.token).json(&json!({
            "compositeRequest": [{"method": "GET", "referenceId": "q",
                "url": format!("/services/data/v66.0/query?q=SELECT Id FROM Case WHERE Subject = '{long}'")}]
        }));
    let answer: serde_json::Value =
        serde_json::from_str(&sent.send().await.unwrap().text().await.unwrap()).unwrap();
    assert_eq!(answer["compositeResponse"][0]["httpStatusCode"], 400);
}
