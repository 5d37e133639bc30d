//! Tickets, conversations, changes, people and quarantine through the API, opened from sealed records.

use refrain_shared::crypto::TenantKeys;
use refrain_shared::ids::{ConnectionId, ObjectId};
use refrain_shared::storage::keys::keys_load;
use refrain_shared::storage::records::{ObjectKey, payload_row_key};
use refrain_shared::tenant::TenantScope;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::world::{FakeProbe, World};

const CASE: &str = "500000000000001AAA";
const COMMENT: &str = "00a000000000001AAA";
const CONTACT: &str = "003000000000001AAA";

/// A tenant with one connection and content written as the worker writes it.
struct Content<'w> {
    world: &'w World,
    scope: TenantScope,
    connection: ConnectionId,
    keys: std::sync::Arc<TenantKeys>,
}

impl<'w> Content<'w> {
    async fn new(world: &'w World) -> Self {
        let scope = world.tenant("a").await;
        let connection = world.connection(&scope).await;
        let keys = keys_load(&world.db, &world.ring, &scope).await.unwrap().1;
        Self { world, scope, connection, keys }
    }

    fn path(&self, rest: &str) -> String {
        format!("/v1/tenants/{}/{rest}", self.scope.tenant())
    }

    async fn object(&self, name: &str, fields: &[&str]) -> ObjectId {
        let object = self.world.object(&self.scope, self.connection, name).await;
        let fields: Vec<Value> = fields.iter().map(|path| json!({ "path": path, "type": "text" })).collect();
        self.world
            .sql(&format!(
                "INSERT INTO field_sets (tenant_id, object_id, fields) VALUES ('{}', {}, '{}')",
                self.scope.tenant().0,
                object.0,
                Value::Array(fields)
            ))
            .await;
        object
    }

    /// Values in the canonical order of the object's fields.
    async fn record(&self, object: ObjectId, record: &str, values: &Value) {
        let key = ObjectKey { connection: self.connection, object };
        let mut payload = Vec::new();
        let place = payload_row_key(key, record);
        self.keys.seal("records.payload", &place, values.to_string().as_bytes(), &mut payload).unwrap();
        let hex: String = hex::encode(&payload);
        self.insert(
            "records",
            "modstamp, read_at, field_set_id, state, content_hash, payload",
            object,
            record,
            &format!(
                "now(), now(), (SELECT max(field_set_id) FROM field_sets WHERE object_id = {}), 0, '\\x00', '\\x{hex}'",
                object.0
            ),
        )
        .await;
    }

    async fn ticket(&self, object: ObjectId, record: &str, number: u32, status: &str, active_at: &str) {
        let columns = "state, number, status, last_activity_at, mapping_epoch, feed_seq";
        let values = format!("0, '{number}', '{status}', '{active_at}', 0, {number}");
        self.insert("tickets", columns, object, record, &values).await;
    }

    async fn insert(&self, table: &str, columns: &str, object: ObjectId, record: &str, values: &str) {
        self.world
            .sql(&format!(
                "INSERT INTO {table} (tenant_id, connection_id, object_id, record_id, {columns})
                 VALUES ('{}', '{}', {}, '{record}', {values})",
                self.scope.tenant().0,
                self.connection.0,
                object.0
            ))
            .await;
    }
}

fn case_id(number: u32) -> String {
    refrain_shared::ids::SalesforceId::parse(&format!("500{number:012}")).unwrap().to_string()
}

#[tokio::test]
async fn a_ticket_is_shown_with_its_conversation_in_order() {
    let world = World::new("ticket").await;
    let content = Content::new(&world).await;
    let case = content.object("Case", &["Description", "Id", "Subject"]).await;
    let comment = content.object("CaseComment", &["CommentBody", "CreatedBy.Name", "Id"]).await;
    content.record(case, CASE, &json!(["It broke.", CASE, "Broken \"thing\""])).await;
    content.ticket(case, CASE, 1, "New", "2026-11-01T10:00:00Z").await;
    for (number, sent_at, text) in [(2, "10:02", "second"), (1, "10:01", "first"), (3, "10:02", "third")] {
        let id = COMMENT.replace('1', &number.to_string());
        content.record(comment, &id, &json!([text, "Ann Agent", id])).await;
        content
            .insert(
                "messages",
                "ticket_record_id, state, kind, direction, public, author_id, sent_at, characters",
                comment,
                &id,
                &format!("'{CASE}', 0, 'comment', 'outbound', true, NULL, '2026-11-01T{sent_at}:00Z', 5"),
            )
            .await;
    }
    let served = world.serve(FakeProbe::Works).await;
    let ticket = served.get(&content.path(&format!("tickets/{case}.{CASE}"))).await;
    assert_eq!(ticket.status, StatusCode::OK, "{ticket:?}");
    assert_eq!(ticket.body["subject"], "Broken \"thing\"");
    assert_eq!(ticket.body["body"], "It broke.");
    assert_eq!(ticket.body["fields"]["Id"], CASE);
    let said: Vec<(&str, &str)> = ticket.body["conversation"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (item["author"].as_str().unwrap(), item["text"].as_str().unwrap()))
        .collect();
    assert_eq!(said, [("Ann Agent", "first"), ("Ann Agent", "second"), ("Ann Agent", "third")]);
    let part = served.get(&content.path(&format!("tickets/{case}.{CASE}?limit=2"))).await;
    let next = part.body["next"].as_str().unwrap();
    let rest = served.get(&content.path(&format!("tickets/{case}.{CASE}?limit=2&cursor={next}"))).await;
    assert_eq!(rest.body["conversation"].as_array().unwrap().len(), 1);
    assert_eq!(rest.body["conversation"][0]["text"], "third");
    assert_eq!(served.get(&content.path("tickets/obj_1.nonsense")).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn pages_of_tickets_meet_without_gap_or_repeat_whatever_the_ties() {
    let world = World::new("ticket_pages").await;
    let content = Content::new(&world).await;
    let case = content.object("Case", &["Id", "Subject"]).await;
    for number in 1..=23 {
        // Five tickets share each moment.
        let active_at = format!("2026-11-01T10:{:02}:00Z", number / 5);
        content
            .ticket(
                case,
                &case_id(number),
                number,
                if number % 2 == 0 { "New" } else { "Closed" },
                &active_at,
            )
            .await;
    }
    let served = world.serve(FakeProbe::Works).await;
    for (filter, expected) in [("", 23), ("&status=New", 11), ("&active_after=2026-11-01T10:02:00Z", 14)] {
        let (mut seen, mut activity, mut cursor) = (Vec::new(), Vec::new(), String::new());
        loop {
            let page = served.get(&content.path(&format!("tickets?limit=4{filter}{cursor}"))).await;
            assert_eq!(page.status, StatusCode::OK, "{page:?}");
            for ticket in page.body["tickets"].as_array().unwrap() {
                seen.push(ticket["id"].as_str().unwrap().to_owned());
                activity.push(ticket["last_activity_at"].as_str().unwrap().to_owned());
            }
            match page.body["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert!(activity.is_sorted_by(|a, b| a >= b), "newest first");
        seen.sort();
        let before = seen.len();
        seen.dedup();
        assert_eq!((before, seen.len()), (expected, expected), "{filter}");
    }
}

#[tokio::test]
async fn tickets_are_found_by_mapped_fields() {
    let world = World::new("ticket_facets").await;
    let content = Content::new(&world).await;
    let case = content.object("Case", &["Id"]).await;
    world
        .sql(
            r#"UPDATE object_syncs SET settings = '{"facets": [
                {"name": "region", "path": "Region__c", "as": "text"},
                {"name": "amount", "path": "Amount__c", "as": {"number": {"scale": 2}}},
                {"name": "due", "path": "Due__c", "as": "time"}]}'"#,
        )
        .await;
    for (number, region, amount) in [(1, "EU", 1250), (2, "EU", 99), (3, "US", 1250)] {
        let id = case_id(number);
        content.ticket(case, &id, number, "New", "2026-11-01T10:00:00Z").await;
        content
            .insert("ticket_facets", "facet, text_value", case, &id, &format!("'region', '{region}'"))
            .await;
        content
            .insert("ticket_facets", "facet, number_value", case, &id, &format!("'amount', {amount}"))
            .await;
        content
            .insert("ticket_facets", "facet, time_value", case, &id, "'due', '2026-12-01T00:00:00Z'")
            .await;
    }
    let served = world.serve(FakeProbe::Works).await;
    let found = async |query: &str| -> Vec<String> {
        let page = served.get(&content.path(&format!("tickets?{query}"))).await;
        assert_eq!(page.status, StatusCode::OK, "{page:?}");
        let mut numbers: Vec<String> = page.body["tickets"]
            .as_array()
            .unwrap()
            .iter()
            .map(|t| t["number"].as_str().unwrap().to_owned())
            .collect();
        numbers.sort();
        numbers
    };
    assert_eq!(found("facet.region=EU").await, ["1", "2"]);
    assert_eq!(found("facet.amount=12.5").await, ["1", "3"]);
    assert_eq!(found("facet.amount=12.50&facet.region=EU").await, ["1"]);
    assert_eq!(found("facet.due=2026-12-01T00:00:00Z").await, ["1", "2", "3"]);
    assert!(found("facet.region=Mars").await.is_empty());
    assert!(found("facet.nothing=x").await.is_empty());
}

#[tokio::test]
async fn the_changes_feed_goes_on_where_it_stopped_and_says_when_its_place_is_gone() {
    let world = World::new("changes").await;
    let content = Content::new(&world).await;
    let case = content.object("Case", &["Id"]).await;
    for number in 1..=3 {
        content.ticket(case, &case_id(number), number, "New", "2026-11-01T10:00:00Z").await;
    }
    let served = world.serve(FakeProbe::Works).await;
    let read = async |after: &str| served.get(&content.path(&format!("changes?limit=2&after={after}"))).await;
    let first = read("").await;
    assert_eq!((first.body["changes"].as_array().unwrap().len(), &first.body["more"]), (2, &json!(true)));
    let second = read(first.body["next"].as_str().unwrap()).await;
    assert_eq!((second.body["changes"].as_array().unwrap().len(), &second.body["more"]), (1, &json!(false)));
    let place = second.body["next"].as_str().unwrap();
    let nothing = read(place).await;
    assert_eq!(nothing.body["next"], place, "an empty page keeps the place");
    world.sql("UPDATE tickets SET state = 2, reason = 11, feed_seq = 4 WHERE number = '1'").await;
    let third = read(place).await;
    assert_eq!(third.body["changes"][0]["change"], "deleted");
    assert_eq!(third.body["changes"][0]["ticket_id"], format!("{case}.{}", case_id(1)));
    world.sql("UPDATE tenant_feed SET epoch = epoch + 1").await;
    let gone = read(place).await;
    assert_eq!((gone.status, gone.body["code"].as_str()), (StatusCode::GONE, Some("feed_restarted")));
}

#[tokio::test]
async fn people_and_quarantine_are_listed_without_payloads() {
    let world = World::new("people").await;
    let content = Content::new(&world).await;
    let contact = content.object("Contact", &["Email", "Name"]).await;
    content.record(contact, CONTACT, &json!(["cleo@customer.example", "Cleo Customer"])).await;
    content.insert("customers", "state, account_id", contact, CONTACT, "0, '001000000000001AAA'").await;
    content
        .insert(
            "quarantine",
            "reason, field, read_at, payload",
            contact,
            CONTACT,
            "'too_large', 'Name', now(), '\\x00'",
        )
        .await;
    let counted = format!(
        "INSERT INTO checkpoints (object_id, tenant_id, connection_id, live) VALUES ({}, '{}', '{}', 1)",
        contact.0,
        content.scope.tenant().0,
        content.connection.0
    );
    world.sql(&counted).await;
    // A sweep that waits for a person, and a log of deletions that is followed.
    let standing = format!(
        "INSERT INTO jobs (tenant_id, connection_id, object_id, org_id, kind, class, unique_key, state, available_at, params, progress, ask)
         SELECT '{1}', '{2}', {0}, 'org', kind, 2, kind || '/{0}', state, now(), '{{}}', progress::jsonb, ask::jsonb
           FROM (VALUES ('deleted', 0, '{{\"covered\": \"2026-11-20T10:00:00Z\"}}', NULL),
                        ('refresh', 0, '{{\"last\": \"2026-11-16T10:00:00Z\"}}', NULL),
                        ('sweep', 3, '{{\"last\": \"2026-11-19T10:00:00Z\"}}',
                         '{{\"code\": \"look\", \"what\": \"Gone?\", \"why\": \"Hidden.\", \"fix\": \"Look.\"}}'))
                AS j (kind, state, progress, ask)",
        contact.0,
        content.scope.tenant().0,
        content.connection.0
    );
    world.sql(&standing).await;
    let verified = format!(
        "INSERT INTO verifications (tenant_id, connection_id, object_id, began_at, way, calls, balance, unexplained)
         SELECT '{1}', '{2}', object, '2026-11-18T10:00:00Z', 'bulk', 9, balance::jsonb, unexplained
           FROM (VALUES ({0}, '{{\"there\": 7, \"same\": 7}}', 0),
                        ({0} + 1, '{{\"there\": 1}}', 1),
                        ({0}, '{{\"there\": 9, \"same\": 3, \"lost\": 1, \"stale\": 2, \"undead\": 0, \"extra\": 4,
                                  \"kept\": {{\"erased\": 2}}}}', 1)) AS v (object, balance, unexplained)",
        contact.0,
        content.scope.tenant().0,
        content.connection.0
    );
    world.sql(&verified).await;
    let served = world.serve(FakeProbe::Works).await;
    let customers = served.get(&content.path("customers")).await;
    assert_eq!(customers.body["people"][0]["name"], "Cleo Customer", "{customers:?}");
    assert_eq!(customers.body["people"][0]["email"], "cleo@customer.example");
    assert_eq!(served.get(&content.path("agents")).await.body["people"], json!([]));
    let quarantine = served.get(&content.path("quarantine")).await;
    assert_eq!(quarantine.body["records"][0]["reason"], "too_large");
    assert!(quarantine.body["records"][0].get("payload").is_none());
    let status = served.get(&content.path("status")).await;
    assert_eq!(status.body["connections"][0]["objects"][0]["set_aside"], 1);
    assert_eq!(
        status.body["connections"][0]["objects"][0]["linked_known_to"],
        Value::Null,
        "nothing is linked"
    );
    let object = &status.body["connections"][0]["objects"][0];
    assert_eq!(object["stored"], 1);
    assert_eq!(object["ask"]["what"], "Gone?", "a part of its work waits for a person");
    assert_eq!(
        (&object["deletions_known_to"], &object["swept_at"]),
        (&json!("2026-11-20T10:00:00Z"), &json!("2026-11-19T10:00:00Z"))
    );
    assert_eq!(object["refreshed_at"], "2026-11-16T10:00:00Z");
    assert_eq!(object["verified_at"], "2026-11-18T10:00:00Z");
    let verified =
        json!({"began_at": "2026-11-18T10:00:00Z", "there": 9, "amiss": 3, "extra": 4, "unexplained": 1});
    assert_eq!(object["verified"], verified, "the newest");

    let of = format!("{}?limit=1&object={contact}", content.path("verifications"));
    let first = served.get(&of).await;
    let shown = &first.body["verifications"][0];
    assert_eq!(
        (&shown["there"], &shown["kept"]["erased"], &shown["calls"]),
        (&json!(9), &json!(2), &json!(9))
    );
    let second = served.get(&format!("{of}&cursor={}", first.body["next"].as_str().unwrap())).await;
    assert_eq!(
        second.body["verifications"][0]["there"], 7,
        "the one between is of another object: {second:?}"
    );
    let all = served.get(&content.path("verifications")).await;
    assert_eq!(all.body["verifications"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn the_status_tells_how_old_linked_values_may_be() {
    let world = World::new("linked_status").await;
    let content = Content::new(&world).await;
    let contact = content.object("Contact", &["Account.Name", "Owner.Name"]).await;
    let (object, tenant, connection) = (contact.0, content.scope.tenant().0, content.connection.0);
    let edge = |field: &str, parent: &str| json!({"field": field, "parent": parent, "reads": ["Name"]});
    let derived = json!({"edges": [edge("AccountId", "Account"), edge("OwnerId", "User")], "loose": false, "formulas": false});
    world
        .sql(&format!(
            "INSERT INTO checkpoints (object_id, tenant_id, connection_id, derived)
             VALUES ({object}, '{tenant}', '{connection}', '{derived}');
             INSERT INTO followed_parents (tenant_id, connection_id, api_name, watermark_at)
             VALUES ('{tenant}', '{connection}', 'Account', '2026-11-20T11:00:00Z'),
                    ('{tenant}', '{connection}', 'User', '2026-11-20T10:00:00Z'),
                    ('{tenant}', '{connection}', 'Group', '2026-11-20T08:00:00Z')"
        ))
        .await;
    let served = world.serve(FakeProbe::Works).await;
    let told = async || {
        let status = served.get(&content.path("status")).await;
        status.body["connections"][0]["objects"][0]["linked_known_to"].clone()
    };
    assert_eq!(
        told().await,
        "2026-11-20T10:00:00Z",
        "the parent that is furthest behind, of those that lead to it"
    );
    world
        .sql(&format!(
            "INSERT INTO stale_links (tenant_id, connection_id, object_id, field, parent_id, changed_at)
             VALUES ('{tenant}', '{connection}', {object}, 'AccountId', 'a', '2026-11-20T09:00:00Z')"
        ))
        .await;
    assert_eq!(told().await, "2026-11-20T09:00:00Z", "a change that is known and not yet shown");
}

#[tokio::test]
async fn changes_of_the_schema_are_listed_the_newest_first() {
    let world = World::new("schema_list").await;
    let content = Content::new(&world).await;
    let contact = content.object("Contact", &["Email", "Name"]).await;
    let shape =
        |filterable| json!({"type": "string", "length": 80, "filterable": filterable, "formula": false});
    let changed = format!(
        "INSERT INTO schema_changes (tenant_id, connection_id, object_id, kind, path, before, after)
         SELECT '{1}', '{2}', {0}, kind, path, before::jsonb, after::jsonb
           FROM (VALUES ('lost', 'Name', '{3}', NULL), ('changed', 'Title', '{3}', '{4}')) AS c (kind, path, before, after)",
        contact.0,
        content.scope.tenant().0,
        content.connection.0,
        shape(true),
        shape(false)
    );
    world.sql(&changed).await;
    let served = world.serve(FakeProbe::Works).await;
    let of = format!("{}?limit=1&object={contact}", content.path("schema-changes"));
    let first = served.get(&of).await;
    let shown = &first.body["schema_changes"][0];
    assert_eq!(
        (&shown["kind"], &shown["path"]),
        (&json!("changed"), &json!("Title")),
        "the newest: {first:?}"
    );
    assert_eq!(
        (&shown["before"]["filterable"], &shown["after"]["filterable"]),
        (&json!(true), &json!(false))
    );
    let second = served.get(&format!("{of}&cursor={}", first.body["next"].as_str().unwrap())).await;
    assert_eq!(second.body["schema_changes"][0]["path"], "Name");
    let nothing = content.object("Account", &["Name"]).await;
    let other = served.get(&format!("{}?object={nothing}", content.path("schema-changes"))).await;
    assert_eq!(other.body, json!({"schema_changes": [], "next": null}));
}
