//! A stored payload opens at its own place under its own tenant's keys, and tells nothing to anybody else.

use refrain_shared::crypto::TenantKeys;
use refrain_shared::ids::SalesforceId;
use refrain_shared::storage::page_commit::{PageCommit, PageRow, QuarantineRow};
use refrain_shared::storage::records::{ObjectKey, payload_row_key, records_known};
use refrain_shared::ticket::Projected;

use crate::fixture::{Store, Tenant, id};

const CANARY: &str = "My kettle exploded and my name is Canary Wharf";

fn row(tenant: &Tenant, n: usize, text: &str) -> PageRow {
    let record = tenant.record(tenant.case, id("500", n), 10, text);
    PageRow {
        record,
        projected: Projected::Nothing,
        email_token: None,
        merged_into: None,
        same_version: false,
    }
}

async fn payload(store: &Store, tenant: &Tenant, record: SalesforceId) -> Vec<u8> {
    let sql = "SELECT payload FROM records WHERE tenant_id = $1 AND record_id = $2";
    store.owner().await.query_one(sql, &[&tenant.id(), &record.as_str()]).await.unwrap().get(0)
}

fn open(keys: &TenantKeys, key: ObjectKey, record: SalesforceId, sealed: &[u8]) -> Option<String> {
    let place = payload_row_key(key, record.as_str());
    let bytes = keys.open("records.payload", &place, sealed).ok()?;
    Some(String::from_utf8(bytes).unwrap())
}

#[tokio::test]
async fn a_payload_opens_at_its_own_place_only() {
    let store = Store::open("sealing_place").await;
    let acme = Tenant::make(&store).await;
    acme.store(acme.case, vec![row(&acme, 1, CANARY), row(&acme, 2, "other")]).await;
    let (one, two) = (id("500", 1), id("500", 2));
    let sealed = payload(&store, &acme, one).await;
    let key = acme.key(acme.case);
    assert_eq!(open(&acme.keys, key, one, &sealed), Some(format!("[\"{one}\",\"{CANARY}\"]")));

    store
        .execute(&format!(
            "UPDATE records SET payload = (SELECT payload FROM records WHERE record_id = '{one}') WHERE record_id = '{two}'"
        ))
        .await;
    let moved = payload(&store, &acme, two).await;
    assert_eq!(moved, sealed);
    assert_eq!(open(&acme.keys, key, two, &moved), None, "another row");
    assert_eq!(open(&acme.keys, acme.key(acme.comment), one, &sealed), None, "another object");
    let column = acme.keys.open("quarantine.payload", &payload_row_key(key, one.as_str()), &sealed);
    assert!(column.is_err(), "another column");
    let mut damaged = sealed.clone();
    *damaged.last_mut().unwrap() ^= 1;
    assert_eq!(open(&acme.keys, key, one, &damaged), None);
}

#[tokio::test]
async fn another_tenants_keys_open_nothing_and_hash_differently() {
    let store = Store::open("sealing_tenants").await;
    let (acme, umbra) = (Tenant::make(&store).await, Tenant::make(&store).await);
    for tenant in [&acme, &umbra] {
        tenant.store(tenant.case, vec![row(tenant, 1, CANARY)]).await;
    }
    let record = id("500", 1);
    let sealed = payload(&store, &acme, record).await;
    assert_eq!(open(&umbra.keys, acme.key(acme.case), record, &sealed), None);
    assert_eq!(open(&umbra.keys, umbra.key(umbra.case), record, &sealed), None);
    assert_ne!(payload(&store, &umbra, record).await, sealed);

    let mut hashes = Vec::new();
    for tenant in [&acme, &umbra] {
        let ids = [record.as_str()];
        let known = records_known(&tenant.db, &tenant.scope, tenant.key(tenant.case), &ids).await.unwrap();
        hashes.push(known[&record].hash.unwrap());
    }
    assert_ne!(hashes[0], hashes[1], "equal content of two tenants must not show");
    assert_eq!(
        hashes[0],
        acme.record(acme.case, record, 99, CANARY).sealed.unwrap().0,
        "but it does within one"
    );
}

#[tokio::test]
async fn no_byte_of_the_database_tells_the_content() {
    let store = Store::open("sealing_dump").await;
    let acme = Tenant::make(&store).await;
    let lease = acme.lease(acme.case).await;
    let mut set_aside = Vec::new();
    let place = payload_row_key(acme.key(acme.case), "#1");
    acme.keys.seal("quarantine.payload", &place, CANARY.as_bytes(), &mut set_aside).unwrap();
    let quarantined = vec![QuarantineRow {
        record_id: "#1".to_owned(),
        reason: "wrong_type",
        field: None,
        payload: set_aside,
        sample: None,
    }];
    let rows = vec![row(&acme, 1, CANARY), acme.case_row(2, 10)];
    acme.commit(PageCommit { quarantined, ..acme.page(&lease, rows) }).await.unwrap();

    let tables = store
        .look("SELECT relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'")
        .await;
    let mut dump = String::new();
    for table in tables {
        let sql = format!("SELECT t.* FROM {} t", table["name"].as_str().unwrap());
        for row in store.look(&sql).await {
            dump.push_str(&row.to_string());
        }
    }
    assert!(dump.contains(id("500", 1).as_str()) && dump.contains("#1"), "the dump holds the rows");
    for word in ["kettle", "exploded", "Canary", "Wharf"] {
        assert!(!dump.contains(word), "{word}");
        assert!(!dump.contains(&hex::encode(word)), "{word}, as bytes");
    }
}
