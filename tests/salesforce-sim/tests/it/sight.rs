//! What different users see of one org, by query, by describe, and in the ground truth of any moment.

use serde_json::{Value, json};

use crate::support::{Sim, ids, read};

const ANN: &str = "ann@example.com";

/// Another user of the org.
struct User {
    id: String,
    token: String,
}

impl User {
    async fn new(sim: &Sim, username: &str) -> Self {
        let made = sim.control("/users", json!({"username": username, "password": "pw"})).await;
        let form = [
            ("grant_type", "password"),
            ("client_id", &sim.org.client_id),
            ("client_secret", &sim.org.client_secret),
            ("username", username),
            ("password", "pw"),
        ];
        let (status, token) = sim.token_request(&form).await;
        assert_eq!(status, 200, "{token}");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Self { id: text(&made["user_id"]), token: text(&token["access_token"]) }
    }

    async fn ask(&self, sim: &Sim, resource: &str, soql: &str) -> (u16, Value) {
        let url = sim.url(&format!("/services/data/v66.0/{resource}"));
        read(sim.http.get(url).bearer_auth(&self.token).query(&[("q", soql)]).send().await.unwrap()).await
    }

    async fn ids(&self, sim: &Sim, resource: &str, soql: &str) -> Vec<String> {
        let (status, body) = self.ask(sim, resource, soql).await;
        assert_eq!(status, 200, "{soql}: {body}");
        ids(&body)
    }
}

/// Two cases with a comment each; the first one is the user's own.
async fn two_cases(sim: &Sim, owner: &str) -> [(String, String); 2] {
    let mut made = Vec::new();
    for fields in [json!({"Subject": "own", "OwnerId": owner}), json!({"Subject": "somebody's"})] {
        let case = sim.insert("Case", fields).await;
        let comment = sim.insert("CaseComment", json!({"ParentId": case, "CommentBody": "words"})).await;
        made.push((case, comment));
    }
    made.try_into().unwrap()
}

async fn private_cases(sim: &Sim, more: Value) {
    let mut body = json!({"user": ANN, "private": ["Case"]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    sim.control("/permissions", body).await;
}

#[tokio::test]
async fn private_rows_are_seen_by_their_owner_and_by_those_they_are_shared_with() {
    let sim = Sim::start().await;
    let ann = User::new(&sim, ANN).await;
    let [(own, own_comment), (other, other_comment)] = two_cases(&sim, &ann.id).await;
    let all = sim.count("SELECT COUNT() FROM Case").await;
    let cases = format!("SELECT Id FROM Case WHERE Id IN ('{own}', '{other}')");
    let comments = format!("SELECT Id FROM CaseComment WHERE Id IN ('{own_comment}', '{other_comment}')");
    assert_eq!(ann.ids(&sim, "query", &cases).await.len(), 2);

    private_cases(&sim, json!({})).await;
    assert_eq!(ann.ids(&sim, "query", &cases).await, std::slice::from_ref(&own));
    assert_eq!(
        ann.ids(&sim, "query", &comments).await,
        std::slice::from_ref(&own_comment),
        "children follow their parent"
    );
    let nested = format!("SELECT Id, (SELECT Id FROM CaseComments) FROM Case WHERE Id = '{own}'");
    assert_eq!(ann.ask(&sim, "query", &nested).await.1["records"][0]["CaseComments"]["totalSize"], 1);
    let above = format!("SELECT Id, Parent.Subject FROM CaseComment WHERE Id = '{own_comment}'");
    assert_eq!(ann.ask(&sim, "query", &above).await.1["records"][0]["Parent"]["Subject"], "own");
    let count = ann.ask(&sim, "query", "SELECT COUNT() FROM Case").await.1["totalSize"].as_u64().unwrap();
    assert!(count < all, "{count} of {all}");
    let row = sim.url(&format!("/services/data/v66.0/sobjects/Case/{other}"));
    assert_eq!(sim.http.get(row).bearer_auth(&ann.token).send().await.unwrap().status(), 404);
    assert_eq!(sim.count("SELECT COUNT() FROM Case").await, all, "other users see what they saw");

    private_cases(&sim, json!({"share": [other]})).await;
    assert_eq!(ann.ids(&sim, "query", &cases).await.len(), 2);
    assert_eq!(ann.ids(&sim, "query", &comments).await.len(), 2);
    sim.control("/permissions", json!({"user": ANN})).await;
    assert_eq!(ann.ask(&sim, "query", "SELECT COUNT() FROM Case").await.1["totalSize"], all);
}

#[tokio::test]
async fn a_parent_that_a_user_cannot_see_is_null() {
    let sim = Sim::start().await;
    let ann = User::new(&sim, ANN).await;
    let parent = sim.insert("Case", json!({"Subject": "above"})).await;
    let child = sim.insert("Case", json!({"Subject": "below", "OwnerId": ann.id, "ParentId": parent})).await;
    let soql = format!("SELECT ParentId, Parent.Subject FROM Case WHERE Id = '{child}'");
    assert_eq!(ann.ask(&sim, "query", &soql).await.1["records"][0]["Parent"]["Subject"], "above");
    private_cases(&sim, json!({})).await;
    let row = &ann.ask(&sim, "query", &soql).await.1["records"][0];
    assert_eq!((&row["ParentId"], &row["Parent"]), (&json!(parent), &Value::Null));
}

#[tokio::test]
async fn the_same_holds_in_bulk() {
    let sim = Sim::start().await;
    let ann = User::new(&sim, ANN).await;
    let [(own, _), _] = two_cases(&sim, &ann.id).await;
    private_cases(&sim, json!({})).await;
    let jobs = sim.url("/services/data/v66.0/jobs/query");
    let body = json!({"operation": "query", "query": "SELECT Id FROM Case"});
    let made = sim.http.post(&jobs).bearer_auth(&ann.token).json(&body).send().await.unwrap();
    let id = read(made).await.1["id"].as_str().unwrap().to_owned();
    let get = |path: String| sim.http.get(path).bearer_auth(&ann.token).send();
    sim.until("the job to end", async |_| {
        read(get(format!("{jobs}/{id}")).await.unwrap()).await.1["state"] == "JobComplete"
    })
    .await;
    let csv = get(format!("{jobs}/{id}/results")).await.unwrap().text().await.unwrap();
    assert_eq!(csv.lines().skip(1).collect::<Vec<_>>(), [format!("\"{own}\"")]);
}

#[tokio::test]
async fn the_truth_tells_what_a_user_saw_at_any_moment() {
    let sim = Sim::start().await;
    let ann = User::new(&sim, ANN).await;
    let [(own, _), (other, _)] = two_cases(&sim, &ann.id).await;
    let now = async || sim.control_get("/truth").await["now"].as_str().unwrap().to_owned();
    let seen = async |at: &str, user: &str| -> Vec<String> {
        let path = format!("/truth/Case?user={user}&at={at}");
        sim.truth(&path).await.iter().map(|row| row["Id"].as_str().unwrap().to_owned()).collect()
    };
    let open = now().await;
    sim.advance(5_000).await;
    private_cases(&sim, json!({"hide_fields": ["Case.Priority"]})).await;
    sim.advance(5_000).await;
    let closed = now().await;
    sim.advance(5_000).await;
    sim.control(&format!("/records/Case/{own}"), json!({"fields": {"Subject": "renamed"}})).await;
    sim.advance(5_000).await;
    sim.control("/permissions", json!({"user": ANN})).await;

    assert!(seen(&open, ANN).await.contains(&other) && seen(&now().await, ANN).await.contains(&other));
    assert_eq!(seen(&closed, ANN).await, std::slice::from_ref(&own));
    assert!(seen(&closed, "default").await.contains(&other));
    let then = &sim.truth(&format!("/truth/Case?user={ANN}&at={closed}")).await[0]["fields"];
    assert_eq!((&then["Subject"], then.get("Priority")), (&json!("own"), None));
    let today = sim.truth("/truth/Case").await;
    let row = today.iter().find(|row| row["Id"] == json!(own)).unwrap();
    assert_eq!(row["fields"]["Subject"], "renamed");
    assert!(row["fields"].get("Priority").is_some());
}

#[tokio::test]
async fn without_view_all_data_files_and_feeds_need_a_narrow_question() {
    let sim = Sim::start().await;
    let ann = User::new(&sim, ANN).await;
    let narrow = async |more: Value| {
        let mut body = json!({"user": ANN});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        sim.control("/permissions", body).await;
    };
    let all = "SELECT Id FROM FeedItem LIMIT 5";
    assert_eq!(ann.ask(&sim, "query", all).await.0, 200);
    narrow(json!({"view_all_data": false})).await;
    let (status, refused) = ann.ask(&sim, "query", all).await;
    assert_eq!((status, refused[0]["errorCode"].as_str()), (400, Some("MALFORMED_QUERY")), "{refused}");
    let message = refused[0]["message"].as_str().unwrap();
    assert!(message.contains("FeedItem requires a filter by Id"), "{message}");
    narrow(json!({"conversation_entries": false})).await;
    let entries = ann.ask(&sim, "query", "SELECT Id FROM ConversationEntry").await;
    assert_eq!(entries.1[0]["errorCode"], "INVALID_TYPE");
    assert_eq!(sim.ask("SELECT Id FROM ConversationEntry LIMIT 1").await.0, 200);
}

#[tokio::test]
async fn a_record_of_calls_names_users_and_no_tokens() {
    let sim = Sim::start().await;
    let ann = User::new(&sim, ANN).await;
    ann.ask(&sim, "query", "SELECT Id FROM Case LIMIT 1").await;
    sim.get("/services/data/v66.0/limits").await;
    let log = sim.truth("/calls/log").await;
    let users: Vec<&str> = log.iter().filter_map(|call| call["user"].as_str()).collect();
    assert!(users.contains(&ANN) && users.contains(&sim.org.username.as_str()), "{users:?}");
    let query = log.iter().find(|call| call["user"] == ANN).unwrap();
    for key in ["at", "path", "status", "bytes"] {
        assert!(!query[key].is_null(), "{key} in {query}");
    }
    let written = Value::Array(log).to_string();
    for secret in [&ann.token, &sim.token, &sim.org.client_secret] {
        assert!(!written.contains(secret.as_str()));
    }
}
