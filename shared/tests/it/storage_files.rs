//! Bodies of files: of several loads of one file at most one is kept, whoever comes last.

use refrain_shared::ids::ConnectionId;
use refrain_shared::storage::TenantTx;
use refrain_shared::storage::files::{
    Body, BodyState, ChunkPlace, File, Loads, chunk_put, file_forget, file_get, file_refused, file_settled,
    file_stored,
};
use uuid::Uuid;

use crate::fixture::{Store, Tenant};

const FILE: &str = "00P3000000D8cuIEAR";

/// A file of the tenant that is wanted and that a live item names.
async fn wanted(store: &Store, tenant: &Tenant) -> File {
    let (whose, connection) = (tenant.scope.tenant().0, tenant.connection.0);
    for sql in [
        format!(
            "INSERT INTO messages (tenant_id, connection_id, object_id, record_id, ticket_record_id, state, kind, direction, public, sent_at, characters, file_id)
             VALUES ('{whose}', '{connection}', 9, '{FILE}', '5003000000D8cuIAAR', 0, 'file', 'internal', true, now(), 0, '{FILE}')"
        ),
        format!("INSERT INTO files (tenant_id, connection_id, file_id, object, body, state) VALUES ('{whose}', '{connection}', '{FILE}', 'Attachment', 'Body', 0)"),
    ] {
        store.execute(&sql).await;
    }
    in_tx(store, tenant, async |tx| {
        file_get(tx, &tenant.keys, tenant.connection, FILE).await.unwrap().unwrap()
    })
    .await
}

async fn in_tx<T>(store: &Store, tenant: &Tenant, work: impl AsyncFnOnce(&TenantTx<'_>) -> T) -> T {
    let mut client = store.db.tenant().await.unwrap();
    let tx = TenantTx::begin(&mut client, &tenant.scope).await.unwrap();
    let done = work(&tx).await;
    tx.commit().await.unwrap();
    done
}

/// Chunk `n` of a load, as a worker keeps it while the body is on its way.
async fn chunk(store: &Store, tenant: &Tenant, load: Uuid, n: i32) {
    let connection: ConnectionId = tenant.connection;
    in_tx(store, tenant, async |tx| chunk_put(tx, connection, FILE, load, n, b"sealed").await.unwrap()).await;
}

/// The loads of which chunks are kept.
async fn loads(store: &Store) -> Vec<String> {
    let rows = store.look("SELECT DISTINCT load FROM file_chunks ORDER BY load").await;
    rows.iter().map(|row| row["load"].as_str().unwrap().to_owned()).collect()
}

fn body(load: Uuid) -> Body {
    Body { load, place: ChunkPlace::Database, chunks: 1, bytes: 6, digest: vec![1; 32] }
}

#[tokio::test]
async fn a_load_of_a_file_that_was_forgotten_meanwhile_leaves_nothing() {
    let store = Store::open("files_forgotten").await;
    let tenant = Tenant::make(&store).await;
    let file = wanted(&store, &tenant).await;
    let (one, two) = (Uuid::new_v4(), Uuid::new_v4());
    chunk(&store, &tenant, one, 0).await;
    store.execute("UPDATE messages SET state = 2").await;
    let forget = async || {
        in_tx(&store, &tenant, async |tx| file_forget(tx, tenant.connection, FILE).await.unwrap()).await
    };
    assert!(forget().await);
    assert_eq!(loads(&store).await, [""; 0]);
    // The worker knows nothing of it yet.
    chunk(&store, &tenant, one, 1).await;
    chunk(&store, &tenant, two, 0).await;
    let stored = in_tx(&store, &tenant, async |tx| {
        file_stored(tx, &tenant.keys, tenant.connection, &file, &body(one)).await.unwrap()
    });
    assert!(!stored.await);
    assert_eq!(loads(&store).await, [two.to_string()], "another load is not its business");
    // The other one's worker died; its job runs again.
    assert!(forget().await, "nothing is known of it");
    assert_eq!(loads(&store).await, [""; 0]);
}

#[tokio::test]
async fn an_older_wish_that_fails_late_does_not_touch_the_body_of_a_newer_one() {
    let store = Store::open("files_refused_late").await;
    let tenant = Tenant::make(&store).await;
    let older = wanted(&store, &tenant).await;
    store.execute("UPDATE files SET asked = asked + 1").await;
    let newer = File { asked: older.asked + 1, ..older.clone() };
    let (failed, kept) = (Uuid::new_v4(), Uuid::new_v4());
    chunk(&store, &tenant, failed, 0).await;
    chunk(&store, &tenant, kept, 0).await;
    let connection = tenant.connection;
    let refused = async |file: &File| {
        let refusal = (BodyState::NotThere, "not_found");
        in_tx(&store, &tenant, async |tx| file_refused(tx, connection, file, failed, refusal).await.unwrap())
            .await
    };
    assert!(!refused(&older).await);
    assert_eq!(loads(&store).await, [kept.to_string()]);
    let stored = in_tx(&store, &tenant, async |tx| {
        file_stored(tx, &tenant.keys, connection, &newer, &body(kept)).await.unwrap()
    });
    assert!(stored.await);
    assert!(!refused(&newer).await, "it is here");
    assert_eq!(loads(&store).await, [kept.to_string()]);
    chunk(&store, &tenant, failed, 0).await;
    in_tx(&store, &tenant, async |tx| {
        let here = file_get(tx, &tenant.keys, connection, FILE).await.unwrap().unwrap();
        assert_eq!(file_settled(tx, connection, &here).await.unwrap(), Loads::But(kept));
    })
    .await;
    assert_eq!(loads(&store).await, [kept.to_string()], "its worker died, and its job ran again");
    store.execute("UPDATE files SET state = 0, load = NULL, place = NULL, chunks = NULL").await;
    assert!(refused(&newer).await);
    assert_eq!(loads(&store).await, [""; 0], "of what is not to be had nothing is kept");
}
