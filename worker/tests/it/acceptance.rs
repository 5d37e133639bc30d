//! What any reader of changes must hold to, whatever it reads: the same twice, nothing the second time, nothing from the
//! future, and at no moment a promise past what is here. Over every object that the simulated org has.

use refrain_shared::job::ObjectSettings;
use refrain_shared::job::price::ReadBy;
use salesforce_sim::store::State;
use serde_json::json;

use crate::bulk::{OBJECTS, called};
use crate::world::World;

/// All objects of the org, loaded.
async fn loaded(test: &str) -> World {
    let world = World::new(test).await;
    for object in OBJECTS {
        world.object(object, ObjectSettings::default()).await;
    }
    world.run_until_quiet().await;
    assert_eq!(world.value("SELECT count(*) FROM quarantine").await, "0");
    world
}

/// Every row that reading made, without what only tells when it was made.
async fn everything(world: &World) -> Vec<String> {
    let mut all = Vec::new();
    for (table, aside) in [
        ("records", "{payload,read_at,was}"),
        ("tickets", "{feed_seq}"),
        ("messages", "{}"),
        ("agents", "{}"),
        ("customers", "{}"),
        ("ticket_facets", "{}"),
    ] {
        let rows =
            format!("SELECT '{table} ' || (to_jsonb(t) - '{aside}'::text[])::text FROM {table} t ORDER BY 1");
        let rows = world.sql(&rows).await;
        assert!(!rows.is_empty() || table == "ticket_facets", "{table}");
        all.extend(rows);
    }
    all
}

#[tokio::test]
async fn everything_that_is_read_twice_is_the_same_twice() {
    let world = loaded("accept_twice").await;
    let first = everything(&world).await;
    world
        .sql(
            "DELETE FROM records; DELETE FROM tickets; DELETE FROM messages; DELETE FROM agents; DELETE FROM customers;
             UPDATE tenant_feed SET tickets = 0, shells = 0;
             UPDATE checkpoints SET state = 'new', loaded_at = NULL, generation = generation + 1, live = 0, items = 0",
        )
        .await;
    world.pass().await;
    let second = everything(&world).await;
    assert_eq!(second.len(), first.len());
    for (second, first) in second.iter().zip(&first) {
        assert_eq!(second, first);
    }
}

#[tokio::test]
async fn an_org_at_rest_has_nothing_to_tell_the_second_time() {
    let world = loaded("accept_rest").await;
    // Also what a load leaves to its end, so that the next pass is one over changes alone, a minute later.
    world.pass().await;
    world.sql("UPDATE checkpoints SET watermark_at = watermark_at - interval '1 minute'").await;
    let counts = "SELECT string_agg(concat_ws(' ', o.api_name, c.records_read, c.written, c.quarantined), ', ' ORDER BY o.api_name)
                    FROM checkpoints c JOIN object_syncs o USING (object_id)";
    let from_before = "SELECT string_agg(concat_ws(' ', o.api_name,
                              c.records_read + (SELECT count(*) FROM records r WHERE r.object_id = c.object_id
                                                   AND r.modstamp >= c.watermark_at - interval '15 minutes'),
                              c.written, c.quarantined), ', ' ORDER BY o.api_name)
                         FROM checkpoints c JOIN object_syncs o USING (object_id)";
    // A row that is written, even with what it held before, is a new version.
    let versions = "SELECT concat_ws(' ', record_id, object_id, xmin) FROM records
                    UNION ALL SELECT concat_ws(' ', record_id, object_id, xmin) FROM tickets
                    UNION ALL SELECT concat_ws(' ', record_id, object_id, xmin) FROM messages ORDER BY 1";
    let head = "SELECT head FROM tenant_feed";
    let expected = world.value(from_before).await;
    let (rows, feed) = (world.sql(versions).await, world.value(head).await);
    let marks = world.sql("SELECT watermark_at FROM checkpoints ORDER BY object_id").await;
    world.pass().await;
    assert_eq!(
        world.value(counts).await,
        expected,
        "nothing older than the overlap is read, and none of it kept"
    );
    assert_eq!(world.sql(versions).await, rows, "no row is written");
    assert_eq!(world.value(head).await, feed, "no reader of the feed is told anything");
    let later = world.sql("SELECT watermark_at FROM checkpoints ORDER BY object_id").await;
    assert!(later.iter().zip(&marks).all(|(later, before)| later > before), "{marks:?} {later:?}");
}

#[tokio::test]
async fn a_watermark_in_the_far_future_reads_nothing_and_stays() {
    let world = loaded("accept_future").await;
    let future = "2999-01-01T00:00:00Z";
    world.sql(&format!("UPDATE checkpoints SET watermark_at = '{future}'")).await;
    // What looks for deletions asks by ids, not by time.
    world.sql("DELETE FROM jobs WHERE kind <> 'incremental'").await;
    let (before, asked) = (everything(&world).await, called(&world, "", "/query"));
    world.pass().await;
    assert_eq!(called(&world, "", "/query"), asked, "there is nothing to ask for yet");
    assert_eq!(everything(&world).await, before);
    let marks = format!("SELECT count(*) FROM checkpoints WHERE watermark_at = '{future}'");
    assert_eq!(world.value(&marks).await, OBJECTS.len().to_string());
    assert_eq!(
        world.value("SELECT count(*) FROM job_attempts WHERE outcome NOT IN ('done', 'more')").await,
        "0"
    );
}

/// Has every change of a checkpoint compared, inside of its own transaction, with what is here: whatever the org has in
/// what is said to be covered, or behind the last row of a window, must be.
const WATCH: &str = "
    CREATE TABLE truth (object text, record_id text COLLATE \"C\", stamp timestamptz);
    CREATE TABLE claims (object text, record_id text, covered_from timestamptz, watermark timestamptz);
    CREATE TABLE looks (at timestamptz);
    CREATE FUNCTION watch() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
    BEGIN
        INSERT INTO looks VALUES (clock_timestamp());
        INSERT INTO claims
        SELECT t.object, t.record_id, NEW.covered_from, NEW.watermark_at
          FROM truth t JOIN object_syncs o ON o.api_name = t.object AND o.object_id = NEW.object_id
         WHERE ((t.stamp >= NEW.covered_from AND t.stamp < NEW.watermark_at)
                OR (t.stamp >= NEW.watermark_at AND (t.stamp, t.record_id) <= (NEW.position_stamp, NEW.position_id COLLATE \"C\")))
           AND NOT EXISTS (SELECT FROM records r WHERE r.object_id = NEW.object_id AND r.record_id = t.record_id
                              AND r.modstamp >= t.stamp);
        RETURN NEW;
    END $$;
    CREATE TRIGGER watch AFTER UPDATE ON checkpoints FOR EACH ROW EXECUTE FUNCTION watch();";

/// Notes what the org has now.
async fn note_truth(world: &World, objects: &[&str]) {
    let mut rows = Vec::new();
    {
        let org = world.org();
        let store = org.records();
        for object in objects {
            let table = store.table(object);
            let here = table
                .handles()
                .filter(|handle| matches!(table.state(*handle), Some(State::Live | State::Deleted)));
            rows.extend(here.filter_map(|handle| {
                let stamp = salesforce_sim::time::rfc3339(table.record(handle)?.stamp());
                Some(format!("('{object}', '{}', '{stamp}')", table.id(handle)))
            }));
        }
    }
    assert!(rows.len() > 100, "{}", rows.len());
    world.sql(&format!("TRUNCATE truth; INSERT INTO truth VALUES {}", rows.join(","))).await;
}

#[tokio::test]
async fn no_checkpoint_claims_more_than_is_here_at_any_commit() {
    let mut world = World::with_cases("accept_claims", 150).await;
    world.run_ahead();
    let objects = ["Case", "CaseComment", "Contact"];
    world.post("limits", json!({"page_rows": 10})).await;
    // Small commits, as many slices as there may be, and reads that fail in between.
    world.context.commit_rows = 20;
    world.sql(WATCH).await;
    note_truth(&world, &objects).await;
    world.refuse("COUNT()", u64::MAX, 400, "QUERY_TIMEOUT");
    for object in objects {
        let settings =
            ObjectSettings { settle_s: 1, overlap_s: 0, read_by: ReadBy::Rest, ..ObjectSettings::default() };
        world.object(object, settings).await;
    }
    let broken = json!({"match": {"path": "/query"}, "every": {"of": 9, "hits": 2}, "times": 60,
        "fault": {"kind": "truncate", "after": 500}});
    world.post("faults", broken.clone()).await;
    world.run_until_quiet().await;
    let looks = async || world.value("SELECT count(*) FROM looks").await.parse::<usize>().unwrap();
    let first_load = looks().await;
    assert!(first_load > 100, "{first_load} commits were looked at");
    for seed in 1..=3 {
        world.post("edits", json!({"count": 60, "seed": seed})).await;
        world
            .post("mass-update", json!({"object": "Case", "count": 60, "fields": {"Reason": "all at once"}}))
            .await;
        note_truth(&world, &objects).await;
        world.post("faults", broken.clone()).await;
        world.pass().await;
    }
    // What was stamped in the second of a pass that had to be read again comes with the next one.
    world.org().faults().clear();
    world.pass().await;
    assert!(looks().await > first_load + 30, "{} commits over changes", looks().await - first_load);
    assert_eq!(
        world
            .sql("SELECT DISTINCT concat_ws(' ', object, record_id, covered_from, watermark) FROM claims")
            .await,
        [""; 0]
    );
    let state = world.sql("SELECT DISTINCT state || ' ' || open_slices::text FROM checkpoints").await;
    assert_eq!(state, ["current []"]);
    // In the end all of it is here, so the watching was of the truth.
    let left = "SELECT count(*) FROM truth t WHERE NOT EXISTS (
        SELECT FROM records r JOIN object_syncs o USING (object_id)
         WHERE o.api_name = t.object AND r.record_id = t.record_id AND r.modstamp = t.stamp)";
    assert_eq!(world.value(left).await, "0");
}
