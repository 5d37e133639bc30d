//! What a scan sets down, and how it is compared with what is here, in stretches of any size.

use refrain_shared::ids::SalesforceId;
use refrain_shared::job::sweep::Answered;
use refrain_shared::record::{RecordState, StateReason};
use refrain_shared::storage::TenantTx;
use refrain_shared::storage::verify::{
    Difference, scanned_clear, scanned_left, scanned_upsert, verify_compare,
};

use crate::fixture::{Store, Tenant, at, gone, id};

async fn set_down(tenant: &Tenant, scanned: &[(SalesforceId, Answered)]) -> u64 {
    let mut client = tenant.db.tenant().await.unwrap();
    let tx = TenantTx::begin(&mut client, &tenant.scope).await.unwrap();
    let new = scanned_upsert(&tx, tenant.key(tenant.case), scanned).await.unwrap();
    tx.commit().await.unwrap();
    new
}

fn there(n: usize, stamp: i64, deleted: bool) -> (SalesforceId, Answered) {
    (id("500", n), Answered { stamp: at(stamp), deleted })
}

fn shown(found: &Difference) -> String {
    let seconds = |stamp: refrain_shared::clock::Timestamp| (stamp - at(0)).num_seconds();
    let there = found.there.map(|there| (seconds(there.stamp), there.deleted));
    let here = found.here.map(|here| (seconds(here.stamp), seconds(here.read_at), here.state));
    format!("{} {there:?} {here:?} {:?}", found.id, found.set_aside_at.map(seconds))
}

/// Everything that differs, and the sums of both sides, in stretches of so many.
async fn compared(tenant: &Tenant, most: usize) -> (Vec<String>, [u64; 2]) {
    let (key, mut differences, mut sums, mut after) = (tenant.key(tenant.case), Vec::new(), [0; 2], None);
    loop {
        let stretch = verify_compare(&tenant.db, &tenant.scope, key, after.as_deref(), most).await.unwrap();
        differences.extend(stretch.differences.iter().map(shown));
        for (sum, part) in sums.iter_mut().zip([stretch.there, stretch.here]) {
            *sum += part;
        }
        after = stretch.upto;
        if after.is_none() {
            differences.sort();
            return (differences, sums);
        }
    }
}

#[tokio::test]
async fn stretches_of_any_size_find_the_same_differences() {
    let store = Store::open("verify_stretches").await;
    let (acme, other) = (Tenant::make(&store).await, Tenant::make(&store).await);
    // Here: 1 to 12, of which 7 is gone and 8 erased. There: 4 to 20.
    acme.store(acme.case, (1..=12).map(|n| acme.bare(acme.case, n, 5)).collect()).await;
    acme.store(acme.case, vec![gone(acme.bare(acme.case, 7, 5), 9)]).await;
    let mut erased = acme.bare(acme.case, 8, 9);
    (erased.record.state, erased.record.sealed) = (RecordState::Stub(StateReason::Erased), None);
    acme.store(acme.case, vec![erased]).await;
    acme.store(acme.comment, vec![acme.comment_row(1, 1, 10)]).await;
    let aside = format!(
        "INSERT INTO quarantine VALUES ('{}', '{}', {}, '{}', 'wrong_type', NULL, '{}', '')",
        acme.id(),
        acme.connection.0,
        acme.case.id.0,
        id("500", 15),
        at(7)
    );
    store.execute(&aside).await;
    let mut scanned: Vec<_> = (4..=20).map(|n| there(n, 5, false)).collect();
    scanned[1] = there(5, 6, false);
    scanned[2] = there(6, 5, true);
    assert_eq!(set_down(&acme, &scanned).await, 17);
    // Another tenant's, with the same ids.
    other.store(other.case, vec![other.bare(other.case, 1, 5), other.bare(other.case, 30, 5)]).await;
    set_down(&other, &[there(2, 5, false), there(31, 5, false)]).await;

    let (differences, sums) = compared(&acme, 1_000).await;
    // Scanned, and live here.
    assert_eq!(sums, [17, 10]);
    let n = |n: usize| id("500", n).to_string();
    let live = "Live";
    let mut expected: Vec<String> =
        [1, 2, 3].map(|m| format!("{} None Some((5, 5, {live})) None", n(m))).to_vec();
    expected.push(format!("{} Some((6, false)) Some((5, 5, {live})) None", n(5)));
    expected.push(format!("{} Some((5, true)) Some((5, 5, {live})) None", n(6)));
    expected.push(format!("{} Some((5, false)) Some((9, 9, Tombstone(Deleted))) None", n(7)));
    expected.push(format!("{} Some((5, false)) Some((9, 9, Stub(Erased))) None", n(8)));
    expected.extend([13, 14, 16, 17, 18, 19, 20].map(|m| format!("{} Some((5, false)) None None", n(m))));
    expected.push(format!("{} Some((5, false)) None Some(7)", n(15)));
    expected.sort();
    assert_eq!(differences, expected);
    for most in 1..=21 {
        assert_eq!(compared(&acme, most).await, (expected.clone(), sums), "stretches of {most}");
    }
}

#[tokio::test]
async fn what_is_set_down_twice_counts_once_and_keeps_its_later_stamp() {
    let store = Store::open("verify_set_down").await;
    let acme = Tenant::make(&store).await;
    assert_eq!(set_down(&acme, &[there(1, 5, false), there(2, 5, false)]).await, 2);
    assert_eq!(set_down(&acme, &[there(2, 7, true), there(3, 5, false)]).await, 1);
    assert_eq!(set_down(&acme, &[there(2, 6, false)]).await, 0);
    let stamps = "SELECT string_agg(record_id || extract(epoch FROM modstamp)::bigint || deleted, ',' ORDER BY record_id) AS s
                    FROM scanned_records";
    let expected = [(1, 5, false), (2, 7, true), (3, 5, false)]
        .map(|(n, stamp, deleted)| format!("{}{}{deleted}", id("500", n), at(stamp).timestamp()));
    assert_eq!(acme.look_one(stamps).await["s"], expected.join(","));

    // A stretch is let go of, but for what is to be looked at again.
    let mut client = acme.db.tenant().await.unwrap();
    let tx = TenantTx::begin(&mut client, &acme.scope).await.unwrap();
    let (one, two) = (id("500", 1), id("500", 2));
    let range = (None, Some(two.as_str()));
    scanned_clear(&tx, acme.key(acme.case), range, &[one.as_str()]).await.unwrap();
    tx.commit().await.unwrap();
    let key = acme.key(acme.case);
    let left = scanned_left(&acme.db, &acme.scope, key, None, 10).await.unwrap();
    assert_eq!(left.iter().map(|record| record.id).collect::<Vec<_>>(), [one, id("500", 3)]);
    assert!(left.iter().all(|record| record.here.is_none()));
}
