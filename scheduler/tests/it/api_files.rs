//! The body of a conversation's file: all of it, or why there is none.

use refrain_shared::crypto::BodyDigest;
use refrain_shared::storage::TenantTx;
use refrain_shared::storage::files::{
    Body, ChunkPlace, chunk_put, chunk_row_key, chunk_seal, file_get, file_stored,
};
use refrain_shared::storage::keys::keys_load;
use reqwest::StatusCode;
use reqwest::header;
use uuid::Uuid;

use crate::world::{FakeProbe, World};

const ITEM: &str = "00P3000000D8cuIEAR";

#[tokio::test]
async fn a_stored_body_is_served_whole_and_one_that_is_not_here_says_why() {
    let world = World::new("api_files").await;
    let served = world.serve(FakeProbe::Works).await;
    let (scope, other) = (world.tenant("a").await, world.tenant("b").await);
    let connection = world.connection(&scope).await;
    let (tenant, con) = (scope.tenant().0, connection.0);
    world.sql(&format!(
        "INSERT INTO messages (tenant_id, connection_id, object_id, record_id, ticket_record_id, state, kind, direction, public, sent_at, characters, file_id)
         VALUES ('{tenant}', '{con}', 9, '{ITEM}', '5003000000D8cuIAAR', 0, 'file', 'internal', true, now(), 0, '{ITEM}');
         INSERT INTO files (tenant_id, connection_id, file_id, object, body, state) VALUES ('{tenant}', '{con}', '{ITEM}', 'Attachment', 'Body', 0)"
    )).await;
    let path = |of: &str| format!("/v1/tenants/{of}/files/obj_9.{ITEM}");
    let ours = path(&scope.tenant().to_string());
    assert_eq!(served.get(&ours).await.status, StatusCode::CONFLICT, "it waits for its turn");
    for (state, reason, says) in [(2, "too_large", "FILE_LEFT_OUT"), (3, "no_access", "FILE_NOT_THERE")] {
        world.sql(&format!("UPDATE files SET state = {state}, reason = '{reason}'")).await;
        let answer = served.get(&ours).await;
        assert_eq!((answer.status, answer.body["code"].as_str()), (StatusCode::GONE, Some(says)));
        assert!(answer.body["why"].as_str().unwrap().contains(reason), "{answer:?}");
    }
    world.sql("UPDATE files SET state = 0, reason = NULL").await;

    let (_, keys) = keys_load(&world.db, &world.ring, &scope).await.unwrap();
    let chunks = [vec![7_u8; 300_000], b"the end".to_vec()];
    let mut client = world.db.tenant().await.unwrap();
    let tx = TenantTx::begin(&mut client, &scope).await.unwrap();
    let file = file_get(&tx, &keys, connection, ITEM).await.unwrap().unwrap();
    let load = Uuid::new_v4();
    for (n, chunk) in (0..).zip(&chunks) {
        let sealed = chunk_seal(&keys, &chunk_row_key(connection, ITEM, load, n), chunk).unwrap();
        chunk_put(&tx, connection, ITEM, load, n, &sealed).await.unwrap();
    }
    let bytes = 300_007;
    let digest = |chunks: &[Vec<u8>]| {
        let mut digest = BodyDigest::default();
        for chunk in chunks {
            digest.update(chunk);
        }
        digest.finish()
    };
    let body = Body { load, place: ChunkPlace::Database, chunks: 2, bytes, digest: digest(&chunks) };
    assert!(file_stored(&tx, &keys, connection, &file, &body).await.unwrap());
    tx.commit().await.unwrap();

    let request = served.http.get(format!("{}{ours}", served.url)).bearer_auth(&served.operator);
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/octet-stream");
    assert_eq!(answer.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    assert!(answer.headers()[header::CONTENT_DISPOSITION].to_str().unwrap().starts_with("attachment"));
    assert_eq!(answer.content_length(), Some(300_007));
    assert_eq!(answer.bytes().await.unwrap(), chunks.concat());

    assert_eq!(served.get(&path(&other.tenant().to_string())).await.status, StatusCode::NOT_FOUND);
    // Whole chunks that are not the body that came.
    world.sql("UPDATE files SET state = 0, load = NULL, place = NULL, chunks = NULL, digest = NULL").await;
    let tx = TenantTx::begin(&mut client, &scope).await.unwrap();
    assert!(file_stored(&tx, &keys, connection, &file, &Body { chunks: 1, ..body }).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(served.get(&ours).await.status, StatusCode::INTERNAL_SERVER_ERROR);
    world.sql("UPDATE files SET chunks = 2").await;
    // Two chunks that changed places do not open.
    world.sql("UPDATE file_chunks SET n = 9 - n; UPDATE file_chunks SET n = 9 - n + CASE n WHEN 9 THEN 1 ELSE -1 END").await;
    let request = served.http.get(format!("{}{ours}", served.url)).bearer_auth(&served.operator);
    assert_eq!(request.send().await.unwrap().status(), StatusCode::INTERNAL_SERVER_ERROR);
}
