//! Two tenants in one installation, whose orgs repeat each other's record ids as a full sandbox repeats production's.

use std::collections::HashSet;

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::kills::SHAPE;
use crate::stack::Stack;
use crate::tenant::Tenant;

/// A word that stands in one org only, in every text that a ticket shows.
const MARK: &str = "Only the second tenant may read this";

/// A tenant's own key, and the API as its holder sees it.
struct Holder {
    http: reqwest::Client,
    base: String,
    key: String,
}

impl Holder {
    async fn of(stack: &Stack, tenant: &Tenant) -> Self {
        let body = json!({"name": "console", "role": "tenant_admin"});
        let made: Value = stack.api().post(&tenant.id, "keys", &body).await.unwrap();
        let key = made["key"].as_str().unwrap().to_owned();
        Self { http: reqwest::Client::new(), base: stack.api().url().to_owned(), key }
    }

    async fn get(&self, tenant: &str, path: &str) -> (StatusCode, String) {
        let url = format!("{}/v1/tenants/{tenant}{path}", self.base);
        let answer = self.http.get(url).bearer_auth(&self.key).send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }

    /// Every page of a list, as text, with the ids of its items.
    async fn pages(&self, tenant: &str, list: &str, items: &str) -> (String, Vec<String>) {
        let (mut all, mut ids, mut cursor) = (String::new(), Vec::new(), String::new());
        loop {
            let (status, text) = self.get(tenant, &format!("/{list}?limit=200{cursor}")).await;
            assert_eq!(status, StatusCode::OK, "{list}");
            let page: Value = serde_json::from_str(&text).unwrap();
            let items = page[items].as_array().unwrap();
            ids.extend(items.iter().filter_map(|item| item["id"].as_str()).map(str::to_owned));
            all.push_str(&text);
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return (all, ids),
            }
        }
    }
}

#[tokio::test]
async fn two_tenants_with_the_same_record_ids_see_their_own_records_only() {
    let stack = Stack::running("two_tenants", 2).await;
    let (first, mut second) =
        (Tenant::connect(&stack, SHAPE).await, Tenant::without_objects(&stack, SHAPE).await);
    for (object, field) in [
        ("Case", "Subject"),
        ("CaseComment", "CommentBody"),
        ("EmailMessage", "TextBody"),
        ("Contact", "LastName"),
    ] {
        let marked = json!({"object": object, "count": 100_000, "fields": {field: MARK}});
        second.simulated.control("mass-update", marked).await;
    }
    second.ask_for_objects(&stack).await;
    for tenant in [&first, &second] {
        tenant.assert_catches_up(&stack).await;
    }
    let ids = async |tenant: &Tenant| {
        let cases = tenant.simulated.truth("Case").await;
        cases.iter().map(|case| case["Id"].as_str().unwrap().to_owned()).collect::<HashSet<String>>()
    };
    assert_eq!(ids(&first).await, ids(&second).await, "the orgs repeat each other's ids");

    let (one, other) = (Holder::of(&stack, &first).await, Holder::of(&stack, &second).await);
    let (ones, others) = (own_tickets(&one, &first, false).await, own_tickets(&other, &second, true).await);
    assert_eq!(ones.len(), others.len());
    nothing_of(&other, &second, &first, &ones).await;
    nothing_of(&one, &first, &second, &others).await;
    stack.finish(&[&first, &second], &[]).await;
}

/// Reads everything of the holder's own tenant, which holds the mark or nowhere does; gives the ids of its tickets.
async fn own_tickets(holder: &Holder, tenant: &Tenant, marked: bool) -> Vec<String> {
    for (list, items) in [("agents", "people"), ("customers", "people")] {
        let (text, people) = holder.pages(&tenant.id, list, items).await;
        assert_eq!(text.contains(MARK), marked && list == "customers", "{list}");
        assert!(!people.is_empty());
    }
    let (text, tickets) = holder.pages(&tenant.id, "tickets", "tickets").await;
    assert_eq!(text.contains(MARK), marked);
    for ticket in &tickets {
        let (status, text) = holder.get(&tenant.id, &format!("/tickets/{ticket}")).await;
        assert_eq!(status, StatusCode::OK);
        assert!(marked || !text.contains(MARK), "{ticket}");
    }
    tickets
}

/// Looks for what is another's: by the other tenant's address, and by the other's ids at its own address.
async fn nothing_of(holder: &Holder, own: &Tenant, other: &Tenant, tickets: &[String]) {
    for path in [
        "",
        "/status",
        "/tickets",
        "/changes",
        "/jobs",
        "/agents",
        "/customers",
        "/quarantine",
        "/verifications",
        "/schema-changes",
        "/connections",
    ] {
        let (status, text) = holder.get(&other.id, path).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}: {text}");
    }
    for ticket in tickets {
        let (status, _) = holder.get(&own.id, &format!("/tickets/{ticket}")).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{ticket}");
    }
    let connection = format!("/connections/{}", other.connection);
    assert_eq!(holder.get(&own.id, &connection).await.0, StatusCode::NOT_FOUND);
}
