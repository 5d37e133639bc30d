//! What the integration user may not see: one object waits for a person, the others go on.

use serde_json::json;

use crate::kills::SHAPE;
use crate::stack::Stack;
use crate::tenant::Tenant;

async fn hide(tenant: &Tenant, objects: &[&str]) {
    tenant.simulated.control("permissions", json!({"hide_objects": objects})).await;
}

#[tokio::test]
async fn an_object_whose_permission_is_taken_waits_alone_and_heals_when_it_is_granted_again() {
    let stack = Stack::running("permission_taken", 2).await;
    let tenant = Tenant::connect(&stack, SHAPE).await;
    tenant.assert_catches_up(&stack).await;
    hide(&tenant, &["Contact"]).await;
    tenant.simulated.org.edit(30, 4).await.unwrap();
    tenant.sync_all(&stack).await;
    tenant.caught_up_but(&stack, &["Contact"]).await;
    let parked = tenant.parked(&stack, "Contact").await;
    assert!(parked.what.contains("Contact") && !parked.why.is_empty(), "{parked:?}");
    assert!(parked.fix.contains("Grant Read on Contact"), "{parked:?}");
    // Asked again without a change in Salesforce, it is refused again and the others still go on.
    tenant.sync(&stack, "Contact").await;
    assert_eq!(tenant.parked(&stack, "Contact").await, parked);

    hide(&tenant, &[]).await;
    tenant.sync(&stack, "Contact").await;
    tenant.assert_catches_up(&stack).await;
    stack.finish(&[&tenant], &["a person must act"]).await;
}

#[tokio::test]
async fn an_object_that_was_never_granted_says_so_and_loads_when_it_is() {
    let stack = Stack::running("permission_missing", 2).await;
    let mut tenant = Tenant::without_objects(&stack, SHAPE).await;
    hide(&tenant, &["Task"]).await;
    tenant.ask_for_objects(&stack).await;
    tenant.caught_up_but(&stack, &["Task"]).await;
    let task = tenant.object(&stack, "Task").await;
    assert_eq!(task.state, "absent");
    assert!(task.freshness.contains("Grant Read on Task"), "it says what to do: {}", task.freshness);
    hide(&tenant, &[]).await;
    tenant.sync(&stack, "Task").await;
    tenant.assert_catches_up(&stack).await;
    stack.finish(&[&tenant], &[]).await;
}
