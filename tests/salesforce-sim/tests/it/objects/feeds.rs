//! Feeds: one record seen as a post of its case and as a feed item, its comments, its tracked changes.

use serde_json::{Value, json};

use crate::support::{Sim, ids};

#[tokio::test]
async fn a_post_on_a_case_is_a_feed_item_of_the_same_id() {
    let sim = Sim::start().await;
    let posts = ids(&sim.query("SELECT Id FROM CaseFeed ORDER BY Id LIMIT 50").await);
    let items =
        ids(&sim.query("SELECT Id FROM FeedItem WHERE Parent.Type = 'Case' ORDER BY Id LIMIT 50").await);
    assert_eq!(posts, items);
    let post =
        sim.query("SELECT Id, ParentId, Parent.CaseNumber, Type, SystemModstamp FROM CaseFeed LIMIT 1").await;
    assert!(post["records"][0]["Parent"]["CaseNumber"].is_string());
    let parent = post["records"][0]["ParentId"].as_str().unwrap();
    let below = format!("SELECT Id, (SELECT Id FROM Feeds) FROM Case WHERE Id = '{parent}'");
    assert!(sim.query(&below).await["records"][0]["Feeds"]["totalSize"].as_u64() > Some(0));
}

#[tokio::test]
async fn comments_and_tracked_changes_hang_on_their_post() {
    let sim = Sim::start().await;
    let comment = sim.query("SELECT Id, FeedItemId, ParentId, CommentBody FROM FeedComment LIMIT 1").await;
    let comment = &comment["records"][0];
    let post = comment["FeedItemId"].as_str().unwrap();
    let found =
        sim.query(&format!("SELECT Id, ParentId, CommentCount FROM CaseFeed WHERE Id = '{post}'")).await;
    assert_eq!(found["records"][0]["ParentId"], comment["ParentId"]);
    assert!(found["records"][0]["CommentCount"].as_u64() > Some(0));
    let changes = sim
        .query("SELECT Id, (SELECT FieldName, OldValue, NewValue FROM FeedTrackedChanges) FROM CaseFeed WHERE Type = 'TrackedChange'")
        .await;
    let with = |post: &&Value| post["FeedTrackedChanges"]["totalSize"].as_u64() > Some(0);
    assert!(changes["records"].as_array().unwrap().iter().any(|post| with(&post)));
}

#[tokio::test]
async fn what_feeds_refuse() {
    let sim = Sim::start().await;
    for (soql, code) in [
        ("SELECT Id FROM FeedTrackedChange", "INVALID_TYPE_FOR_OPERATION"),
        ("SELECT Id FROM FeedLike", "INVALID_TYPE_FOR_OPERATION"),
        ("SELECT Id FROM CaseFeed WHERE Body = 'x'", "INVALID_FIELD"),
    ] {
        let (status, refused) = sim.ask(soql).await;
        assert_eq!((status, refused[0]["errorCode"].as_str()), (400, Some(code)), "{soql}: {refused}");
    }
    let (_, global) = sim.get("/services/data/v66.0/sobjects").await;
    let all = global["sobjects"].as_array().unwrap();
    let feed = all.iter().find(|object| object["name"] == "CaseFeed").unwrap();
    assert_eq!((&feed["keyPrefix"], &feed["createable"]), (&Value::Null, &json!(false)));
}
