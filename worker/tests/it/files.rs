//! Bodies of files: fetched whole, sealed, kept as the policy says, and forgotten with the last item that names them.

use std::sync::Arc;

use base64::Engine as _;
use refrain_shared::catalog::FilePolicy;
use refrain_shared::ids::{ObjectId, SalesforceId};
use refrain_shared::job::ObjectSettings;
use refrain_shared::storage::chunks::{ChunkStore, S3Options};
use refrain_shared::storage::content::RecordKey;
use refrain_shared::storage::content::conversation::{Item, conversation_list};
use refrain_shared::storage::content::files::{BodyReader, file_of_item};
use refrain_shared::storage::dispatch::jobs_reconcile;
use refrain_shared::storage::files::ChunkPlace;
use refrain_shared::storage::keys::keys_load;
use serde_json::json;

use crate::world::World;

/// What is done is read at once, deletions too.
fn settings() -> ObjectSettings {
    ObjectSettings { settle_s: 0, ..ObjectSettings::default() }
}

fn with(files: FilePolicy) -> ObjectSettings {
    ObjectSettings { files, ..settings() }
}

fn base64(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// Bytes that do not compress and tell their place.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    })
    .flatten()
    .take(length)
    .collect()
}

async fn files_of(world: &World, case: (ObjectId, &str)) -> Vec<Item> {
    let (_, keys) = keys_load(&world.context.db, &world.context.ring, &world.scope).await.unwrap();
    let record = SalesforceId::parse(case.1).unwrap();
    let key = RecordKey { connection: world.connection, object: case.0, record };
    let items = conversation_list(&world.context.db, &world.scope, keys, key, None, 200).await.unwrap();
    items.into_iter().filter(|item| item.kind == "file").collect()
}

/// The body of an item's file, as a reader gets it.
async fn body_of(world: &World, item: &Item) -> Option<Vec<u8>> {
    let (_, keys) = keys_load(&world.context.db, &world.context.ring, &world.scope).await.unwrap();
    let at = (item.key.object, item.key.record);
    let (key, found) = file_of_item(&world.context.db, &world.scope, Arc::clone(&keys), at).await.unwrap()?;
    let store = (world.context.db.clone(), world.context.chunks.clone());
    let mut reader = BodyReader::new(store, world.scope, keys, key, found.id, found.body?);
    let mut body = Vec::new();
    while let Some(chunk) = reader.next().await.unwrap() {
        body.extend(chunk);
    }
    Some(body)
}

fn attachment(parent: &str, name: &str, body: &[u8]) -> serde_json::Value {
    json!({"ParentId": parent, "Name": name, "ContentType": "application/pdf", "Body": base64(body)})
}

#[tokio::test]
async fn an_attachment_is_kept_whole_in_sealed_chunks_and_a_changed_one_is_fetched_anew() {
    let world = World::new("files_whole").await;
    let case_object = world.object("Case", settings()).await;
    let case = world.insert("Case", json!({"Subject": "With files"})).await;
    // Empty, small, exactly a chunk, some chunks and a bit.
    let sizes = [0, 5, 4 << 20, (9 << 20) + 7];
    let bodies: Vec<Vec<u8>> = sizes.map(noise).to_vec();
    let mut ids = Vec::new();
    for (n, body) in bodies.iter().enumerate() {
        ids.push(world.insert("Attachment", attachment(&case, &format!("{n}.pdf"), body)).await);
    }
    world.object("Attachment", settings()).await;
    world.run_until_quiet().await;

    let mut items = files_of(&world, (case_object, &case)).await;
    items.sort_by_key(|item| item.file.as_ref().and_then(|file| file.name.clone()));
    assert_eq!(items.len(), bodies.len());
    for (item, body) in items.iter().zip(&bodies) {
        let file = item.file.as_ref().unwrap();
        assert_eq!((file.body, file.bytes), ("stored", Some(body.len() as u64)));
        assert!(body_of(&world, item).await.unwrap() == *body, "{:?}", file.name);
    }
    let chunks = world.value("SELECT count(*) FROM file_chunks WHERE file_id LIKE '00P%'").await;
    assert_eq!(world.value("SELECT sum(chunks) FROM files").await, chunks);
    let plain = hex::encode(&bodies[1]);
    let found = format!("SELECT count(*) FROM file_chunks WHERE encode(body, 'hex') LIKE '%{plain}%'");
    assert_eq!(world.value(&found).await, "0");
    // Files do not count as messages.
    let messages = format!("SELECT messages FROM tickets WHERE record_id = '{case}'");
    assert_eq!(world.value(&messages).await, "0");

    let changed = noise(77);
    world.change("Attachment", &ids[1], json!({"Body": base64(&changed)})).await;
    world.pass().await;
    let items = files_of(&world, (case_object, &case)).await;
    let item = items.iter().find(|item| item.key.record.as_str() == ids[1]).unwrap();
    assert_eq!(body_of(&world, item).await.unwrap(), changed);
    assert_eq!(
        world.value("SELECT sum(chunks) FROM files").await,
        world.value("SELECT count(*) FROM file_chunks").await,
        "chunks of before are swept away"
    );
}

#[tokio::test]
async fn what_the_policy_leaves_out_is_told_and_fetched_when_it_may_be() {
    let world = World::new("files_policy").await;
    let case_object = world.object("Case", settings()).await;
    let case = world.insert("Case", json!({"Subject": "With files"})).await;
    let policy = FilePolicy { most_mb: 1, never: vec![".exe".to_owned()], ..FilePolicy::default() };
    let object = world.object("Attachment", with(policy)).await;
    let large = world.insert("Attachment", attachment(&case, "large.pdf", &noise((1 << 20) + 1))).await;
    world.insert("Attachment", attachment(&case, "virus.EXE", b"MZ")).await;
    world.insert("Attachment", attachment(&case, "right.pdf", b"right")).await;
    world.run_until_quiet().await;
    world.settle().await;
    let told = |items: &[Item]| -> Vec<(String, String, String)> {
        let mut told: Vec<_> = items
            .iter()
            .filter_map(|item| item.file.clone())
            .map(|f| (f.name.unwrap(), f.body.to_owned(), f.reason.unwrap_or_default()))
            .collect();
        told.sort();
        told
    };
    let say = |a: &str, b: &str, c: &str| (a.to_owned(), b.to_owned(), c.to_owned());
    let items = files_of(&world, (case_object, &case)).await;
    assert_eq!(
        told(&items),
        [
            say("large.pdf", "left_out", "too_large"),
            say("right.pdf", "stored", ""),
            say("virus.EXE", "left_out", "type_not_kept")
        ]
    );
    for item in items.iter().filter(|item| item.file.as_ref().unwrap().body != "stored") {
        assert_eq!(body_of(&world, item).await, None);
    }
    world
        .sql(&format!(
            "UPDATE object_syncs SET settings = jsonb_set(settings, '{{files,most_mb}}', '2') WHERE object_id = {}",
            object.0
        ))
        .await;
    let queries = |world: &World| world.org().calls().calls().filter(|call| call.soql.is_some()).count();
    let before = queries(&world);
    jobs_reconcile(&world.context.db).await.unwrap();
    world.run_until_quiet().await;
    let items = files_of(&world, (case_object, &case)).await;
    assert!(told(&items).contains(&say("large.pdf", "stored", "")));
    assert_eq!(queries(&world), before, "nothing is read again but the body");

    // And the other way: what may not be here any more goes.
    let never = r#"UPDATE object_syncs SET settings = jsonb_set(settings, '{files,never}', '[".pdf"]')"#;
    world.sql(&format!("{never} WHERE object_id = {}", object.0)).await;
    jobs_reconcile(&world.context.db).await.unwrap();
    world.run_until_quiet().await;
    let items = files_of(&world, (case_object, &case)).await;
    assert_eq!(
        told(&items),
        [
            say("large.pdf", "left_out", "type_not_kept"),
            say("right.pdf", "left_out", "type_not_kept"),
            say("virus.EXE", "stored", "")
        ]
    );
    let left = format!("SELECT count(*) FROM file_chunks WHERE file_id = '{large}'");
    assert_eq!(world.value(&left).await, "0");
    let made = jobs_reconcile(&world.context.db).await.unwrap();
    assert_eq!(made.jobs, 0, "all is as the policy says");
}

#[tokio::test]
async fn a_body_that_became_one_that_is_left_out_leaves_nothing_of_before() {
    let world = World::new("files_grown").await;
    let case_object = world.object("Case", settings()).await;
    let case = world.insert("Case", json!({"Subject": "With files"})).await;
    world.object("Attachment", with(FilePolicy { most_mb: 1, ..FilePolicy::default() })).await;
    let file = world.insert("Attachment", attachment(&case, "grown.pdf", b"small")).await;
    world.run_until_quiet().await;
    let chunks = format!("SELECT count(*) FROM file_chunks WHERE file_id = '{file}'");
    assert_eq!(world.value(&chunks).await, "1");
    world.change("Attachment", &file, json!({"Body": base64(&noise((1 << 20) + 1))})).await;
    world.pass().await;
    let items = files_of(&world, (case_object, &case)).await;
    let told = items[0].file.as_ref().unwrap();
    assert_eq!((told.body, told.reason.as_deref()), ("left_out", Some("too_large")));
    assert_eq!(world.value(&chunks).await, "0");
}

#[tokio::test]
async fn a_deleted_attachment_takes_its_body_along_and_one_that_is_not_given_is_told() {
    let world = World::new("files_gone").await;
    let case_object = world.object("Case", settings()).await;
    let case = world.insert("Case", json!({"Subject": "With files"})).await;
    world.object("Attachment", settings()).await;
    let gone = world.insert("Attachment", attachment(&case, "gone.pdf", b"gone")).await;
    let kept = world.insert("Attachment", attachment(&case, "kept.pdf", b"kept")).await;
    world.run_until_quiet().await;
    assert_eq!(files_of(&world, (case_object, &case)).await.len(), 2);
    world.post(&format!("records/Attachment/{gone}/delete"), json!({})).await;
    world.pass().await;
    let items = files_of(&world, (case_object, &case)).await;
    assert_eq!(items.iter().map(|item| item.key.record.as_str()).collect::<Vec<_>>(), [kept.as_str()]);
    let rest = format!("SELECT count(*) FROM file_chunks WHERE file_id = '{gone}'");
    assert_eq!(world.value(&rest).await, "0");
    assert_eq!(world.value(&format!("SELECT count(*) FROM files WHERE file_id = '{gone}'")).await, "0");

    // Gone between the page that named it and its own turn.
    let fleeting = world.insert("Attachment", attachment(&case, "fleeting.pdf", b"fleeting")).await;
    world.refuse_path(&format!("Attachment/{fleeting}/Body"), 404, "NOT_FOUND");
    world.pass().await;
    let items = files_of(&world, (case_object, &case)).await;
    let file = items.iter().find(|item| item.key.record.as_str() == fleeting).unwrap().file.as_ref().unwrap();
    assert_eq!((file.body, file.reason.as_deref()), ("not_there", Some("not_found")));
}

#[tokio::test]
async fn a_file_of_today_is_found_by_its_document_and_by_its_case() {
    let world = World::new("files_documents").await;
    let case_object = world.object("Case", settings()).await;
    world.object("EmailMessage", settings()).await;
    world.object("ContentDocument", settings()).await;
    let links = world.object("ContentDocumentLink", settings()).await;
    world.run_until_quiet().await;

    let documents = "SELECT record_id FROM records WHERE record_id LIKE '069%'";
    let before = world.sql(documents).await;
    let case = world.insert("Case", json!({"Subject": "With files"})).await;
    let version = json!({"Title": "Rechnung März", "PathOnClient": "r.pdf", "VersionData": base64(b"first"),
        "FirstPublishLocationId": case});
    world.insert("ContentVersion", version).await;
    world.pass().await;
    let items = files_of(&world, (case_object, &case)).await;
    assert_eq!(items.len(), 1, "the case is shared with, its owner is no ticket");
    let file = items[0].file.as_ref().unwrap();
    assert_eq!((file.name.as_deref(), file.body), (Some("Rechnung März"), "stored"));
    assert_eq!(body_of(&world, &items[0]).await.unwrap(), b"first");
    let state = format!("SELECT state FROM checkpoints WHERE object_id = {}", links.0);
    assert_eq!(world.value(&state).await, "current");
    let lag = format!(
        "SELECT watermark_at > '2000-01-01'
            AND watermark_at <= (SELECT min(watermark_at) FROM checkpoints WHERE object_id <> {0})
           FROM checkpoints WHERE object_id = {0}",
        links.0
    );
    world.pass().await;
    assert_eq!(world.value(&lag).await, "t", "links are as fresh as what leads to them");

    // A new version is the document's, and so the file's.
    let document = world.sql(documents).await.into_iter().find(|id| !before.contains(id)).unwrap();
    let version = json!({"Title": "Rechnung März", "PathOnClient": "r.pdf", "VersionData": base64(b"second"),
        "ContentDocumentId": document});
    world.insert("ContentVersion", version).await;
    world.pass().await;
    let items = files_of(&world, (case_object, &case)).await;
    assert_eq!(body_of(&world, &items[0]).await.unwrap(), b"second");
    assert_eq!(world.value("SELECT count(*) FROM files WHERE file_id LIKE '068%' AND state = 1 AND NOT EXISTS (SELECT FROM messages m WHERE m.file_id = files.file_id)").await, "0", "the version of before is forgotten");
}

#[tokio::test]
async fn a_deleted_document_takes_its_links_and_its_body_along_and_brings_them_back() {
    let mut world = World::new("files_document_gone").await;
    world.run_ahead();
    let case_object = world.object("Case", settings()).await;
    world.object("ContentDocument", settings()).await;
    world.object("ContentDocumentLink", settings()).await;
    world.run_until_quiet().await;
    let documents = "SELECT record_id FROM records WHERE record_id LIKE '069%'";
    let before = world.sql(documents).await;
    let case = world.insert("Case", json!({"Subject": "With files"})).await;
    let version = json!({"Title": "Plan", "PathOnClient": "p.pdf", "VersionData": base64(b"plan"),
        "FirstPublishLocationId": case});
    let version = world.insert("ContentVersion", version).await;
    world.pass().await;
    assert_eq!(files_of(&world, (case_object, &case)).await.len(), 1);
    let document = world.sql(documents).await.into_iter().find(|id| !before.contains(id)).unwrap();
    let kept = format!(
        "SELECT (SELECT count(*) FROM files WHERE file_id = '{version}') + (SELECT count(*) FROM file_chunks WHERE file_id = '{version}')"
    );
    assert_eq!(world.value(&kept).await, "2");

    world.post(&format!("records/ContentDocument/{document}/delete"), json!({})).await;
    world.pass().await;
    assert_eq!(files_of(&world, (case_object, &case)).await.len(), 0);
    assert_eq!(world.value(&kept).await, "0");

    // Between two looks it comes back and leaves again, and so do its links, which nothing else tells.
    world.post(&format!("records/ContentDocument/{document}/undelete"), json!({})).await;
    let url = format!("{}/clock/advance", world.sim.ready.control);
    let later = reqwest::Client::new().post(url).json(&json!({"ms": 5_000})).send().await.unwrap();
    later.error_for_status().unwrap();
    world.post(&format!("records/ContentDocument/{document}/delete"), json!({})).await;
    world.pass().await;
    let behind = format!(
        "SELECT count(*) FILTER (WHERE l.modstamp < d.modstamp) || ' of ' || count(*) FROM records l, records d
          WHERE d.record_id = '{document}' AND l.record_id LIKE '06A%' AND l.state = 2"
    );
    assert_eq!(world.value(&behind).await, "0 of 2");

    world.post(&format!("records/ContentDocument/{document}/undelete"), json!({})).await;
    world.pass().await;
    let items = files_of(&world, (case_object, &case)).await;
    assert_eq!(items.len(), 1);
    assert_eq!(body_of(&world, &items[0]).await.unwrap(), b"plan");
}

#[tokio::test]
async fn bodies_go_to_an_object_store_as_sealed_objects_and_leave_it_with_their_file() {
    #[expect(clippy::disallowed_methods, reason = "the test's own channel")]
    let Ok(endpoint) = std::env::var("S3_TEST_ENDPOINT") else {
        eprintln!("SKIPPED: no S3_TEST_ENDPOINT; run it with .ci/with-s3 cargo test");
        return;
    };
    let mut world = World::new("files_objects").await;
    let (bucket, http) = (world.bed.name().replace('_', "-"), reqwest::Client::new());
    let made = http.put(format!("{endpoint}/{bucket}")).send().await.unwrap();
    assert!(made.status().is_success(), "{made:?}");
    let options = S3Options {
        bucket: bucket.clone(),
        region: "us-east-1".to_owned(),
        endpoint: Some(endpoint.clone()),
        prefix: "refrain/bodies".to_owned(),
        access_key_id: Some("id".to_owned()),
        secret_access_key: Some("secret".to_owned().into()),
        allow_http: true,
        ca_pem: None,
    };
    // What is in the database already stays readable when new bodies go elsewhere.
    let case_object = world.object("Case", settings()).await;
    let case = world.insert("Case", json!({"Subject": "With files"})).await;
    world.object("Attachment", settings()).await;
    world.insert("Attachment", attachment(&case, "early.pdf", b"early")).await;
    world.run_until_quiet().await;
    world.context.chunks = ChunkStore::with_s3(ChunkPlace::Objects, &options).unwrap();
    let body = noise((4 << 20) + 3);
    let late = world.insert("Attachment", attachment(&case, "late.pdf", &body)).await;
    world.pass().await;

    let mut items = files_of(&world, (case_object, &case)).await;
    items.sort_by_key(|item| item.file.as_ref().and_then(|file| file.name.clone()));
    assert_eq!(body_of(&world, &items[0]).await.unwrap(), b"early");
    assert!(body_of(&world, &items[1]).await.unwrap() == body);
    let listed =
        async || http.get(format!("{endpoint}/{bucket}")).send().await.unwrap().text().await.unwrap();
    let keys = listed().await;
    assert_eq!(keys.matches("<Key>").count(), 2, "{keys}");
    let tenant = format!("<Key>refrain/bodies/{}/{}/{late}/", world.scope.tenant().0, world.connection.0);
    assert!(keys.contains(&tenant), "{keys}");
    let key = keys.split("<Key>").nth(1).unwrap().split('<').next().unwrap();
    let object = http.get(format!("{endpoint}/{bucket}/{key}")).send().await.unwrap().bytes().await.unwrap();
    assert!(!object.windows(64).any(|part| part == &body[..64]), "what is stored there is sealed");
    let here = format!("SELECT count(*) FROM file_chunks WHERE file_id = '{late}'");
    assert_eq!(world.value(&here).await, "0", "not here as well");

    // A changed body replaces its objects, a deleted file takes them along.
    world.change("Attachment", &late, json!({"Body": base64(b"changed")})).await;
    world.pass().await;
    assert_eq!(listed().await.matches("<Key>").count(), 1);
    world.post(&format!("records/Attachment/{late}/delete"), json!({})).await;
    world.pass().await;
    assert_eq!(listed().await.matches("<Key>").count(), 0);
}
