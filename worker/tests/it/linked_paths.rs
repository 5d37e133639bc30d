//! Linked paths: a parent that the user cannot see costs its paths, and no failed call.

use refrain_shared::job::ObjectSettings;

use crate::world::World;

fn linked(paths: &[&str]) -> ObjectSettings {
    ObjectSettings {
        linked: paths.iter().map(|path| (*path).to_owned()).collect(),
        ..ObjectSettings::default()
    }
}

async fn dropped(world: &World) -> String {
    world.value("SELECT dropped::text FROM field_sets ORDER BY field_set_id DESC LIMIT 1").await
}

/// Attempts that failed; a refused query is one.
async fn failures(world: &World) -> String {
    world.value("SELECT count(*) FROM job_attempts WHERE outcome NOT IN ('done', 'more')").await
}

#[tokio::test]
async fn a_parent_hidden_at_the_first_step_is_left_out_of_the_first_plan() {
    let world = World::new("linked_first").await;
    world.hide(&["Account"], &[]);
    world.object("Case", linked(&["Account.Owner.Name", "Contact.Email"])).await;
    world.run_until_quiet().await;
    assert_eq!(dropped(&world).await, r#"["Account.Name", "Account.Owner.Name"]"#);
    assert_eq!(failures(&world).await, "0", "no call failed for it");
    assert_eq!(world.value("SELECT state FROM checkpoints").await, "current");
}

#[tokio::test]
async fn a_field_hidden_at_the_last_step_is_left_out_and_comes_back_with_its_permission() {
    let world = World::new("linked_last").await;
    world.hide(&[], &["Account.Industry", "User.Title"]);
    world.object("Case", linked(&["Account.Industry", "Account.Owner.Title", "Account.Owner.Name"])).await;
    world.run_until_quiet().await;
    assert_eq!(dropped(&world).await, r#"["Account.Industry", "Account.Owner.Title"]"#);
    assert_eq!(failures(&world).await, "0");
}

#[tokio::test]
async fn a_field_that_vanishes_from_a_parents_parent_is_noticed_and_the_object_goes_on() {
    let world = World::new("linked_vanished").await;
    world.object("Case", linked(&["Account.Owner.Title"])).await;
    world.run_until_quiet().await;
    assert_eq!(dropped(&world).await, "[]");
    world.hide(&[], &["User.Title"]);
    world
        .sql(
            "UPDATE checkpoints SET watermark_at = watermark_at - interval '1 day';
             UPDATE jobs SET available_at = now()",
        )
        .await;
    world.run_until_quiet().await;
    assert_eq!(dropped(&world).await, r#"["Account.Owner.Title"]"#);
    assert_eq!(world.value("SELECT state FROM checkpoints").await, "current");
}

#[tokio::test]
async fn objects_of_a_connection_share_what_was_seen_of_their_parents() {
    let world = World::new("linked_shared").await;
    let described = || {
        let org = world.org();
        let calls = org.calls();
        calls.calls().filter(|call| call.path.ends_with("/composite")).count()
    };
    world.object("Case", linked(&["Account.Owner.Name"])).await;
    world.run_until_quiet().await;
    let first = described();
    assert!((1..=2).contains(&first), "a call for each level of parents: {first}");
    // Whoever follows the parents looks at them for itself.
    world.settle().await;
    let first = described();
    world.object("Contact", linked(&["Account.Owner.Name"])).await;
    world.run_until_quiet().await;
    assert_eq!(described(), first, "nothing was asked twice");
}

#[tokio::test]
async fn a_path_that_is_wanted_later_is_read_from_the_next_pass_on() {
    let world = World::new("linked_later").await;
    let case = world.object("Case", linked(&["Account.Owner.Name"])).await;
    world.run_until_quiet().await;
    let read = || {
        world.value("SELECT string_agg(f->>'path', ' ' ORDER BY f->>'path') FROM checkpoints JOIN field_sets USING (field_set_id), jsonb_array_elements(fields) f WHERE f->>'path' LIKE 'Account.%'")
    };
    assert_eq!(read().await, "Account.Name Account.Owner.Name");
    let set = |paths: &str| {
        format!(
        "UPDATE object_syncs SET settings = jsonb_set(settings, '{{linked}}', '{paths}') WHERE object_id = {};
         UPDATE jobs SET available_at = now()", case.0)
    };
    world.sql(&set(r#"["Account.Industry", "Account.Nothing__c"]"#)).await;
    world.run_until_quiet().await;
    assert_eq!(read().await, "Account.Industry Account.Name");
    assert_eq!(dropped(&world).await, r#"["Account.Nothing__c"]"#);
    let as_before = "SELECT count(*) FROM records r JOIN checkpoints c USING (object_id) WHERE r.state = 0 AND r.field_set_id <> c.field_set_id";
    assert_eq!(world.value(as_before).await, "0", "what is here is read back with it");
    let described = world.value("SELECT fetched_at FROM describes").await;
    world.sql("UPDATE jobs SET available_at = now()").await;
    world.run_until_quiet().await;
    assert_eq!(world.value("SELECT fetched_at FROM describes").await, described, "once is enough");
    assert_eq!(failures(&world).await, "0");
}
