//! A ticket with more items than any commit is meant to have switches to another mapping all the same: at once.

use std::time::{Duration, Instant};

use refrain_shared::catalog::Role;
use serde_json::json;

use crate::reproject::{change, is_settled, load, message, settled};
use crate::world::World;

/// So many go into one commit when they are of several tickets.
const ITEMS: usize = 2_000;

#[tokio::test]
async fn a_ticket_switches_with_all_that_belongs_to_it_however_much_that_is() {
    let world = World::with_cases("reproject_large", 1_500).await;
    let case = world.insert("Case", json!({"Subject": "A long story"})).await;
    let count = world.truth("CaseComment");
    assert!(count > ITEMS, "{count} are too few to prove anything");
    let moved = json!({"object": "CaseComment", "count": count, "fields": {"ParentId": case}});
    world.post("mass-update", moved).await;
    let ids =
        load(&world, &[("Case", Role::Ticket, settled()), ("CaseComment", Role::Message, settled())]).await;
    let of = format!("FROM messages WHERE ticket_record_id = '{case}'");
    let kinds = format!("SELECT string_agg(DISTINCT kind, ' ') || ' ' || count(*) {of}");
    // What was stamped in the last second is in the next window.
    let deadline = Instant::now() + Duration::from_secs(60);
    while world.value(&kinds).await != format!("comment {count}") {
        assert!(Instant::now() < deadline, "{}", world.value(&kinds).await);
        world.pass().await;
    }

    let post = message(json!({"kind": "post", "parents": ["ParentId"], "text": ["CommentBody"]}));
    change(&world, ids[1], None, post).await;
    world.settle().await;
    assert_eq!(world.value(&kinds).await, format!("post {count}"));
    let commits = format!("SELECT count(DISTINCT xmin::text) {of}");
    assert_eq!(world.value(&commits).await, "1", "readers saw all of it change at once");
    is_settled(&world).await;
}
