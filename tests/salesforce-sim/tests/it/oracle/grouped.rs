//! Groups and their sums, against sums made one by one.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Asker, NOW, Naive, ORG, Permissions, Reader, SfId, Sight, condition, query, soql};

/// What is known of a group.
#[derive(Default)]
struct Group {
    rows: u64,
    scores: Vec<f64>,
    owners: BTreeSet<String>,
    stamps: Vec<String>,
}

impl Group {
    fn add(&mut self, record: &Value) {
        self.rows += 1;
        self.scores.extend(record["Csat_Score__c"].as_f64());
        self.owners.extend(record["OwnerId"].as_str().map(str::to_owned));
        self.stamps.extend(record["SystemModstamp"].as_str().map(str::to_owned));
    }

    fn row(mut self) -> Value {
        self.stamps.sort();
        let total = (!self.scores.is_empty()).then(|| self.scores.iter().sum::<f64>());
        json!({"n": self.rows, "scored": self.scores.len(), "total": total, "owners": self.owners.len(),
            "first": self.stamps.first(), "last": self.stamps.last()})
    }
}

fn expected(condition: &Naive, key: &str) -> BTreeMap<String, Value> {
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    for record in ORG.1.iter().filter(|record| condition.holds(record)) {
        groups.entry(record[key].to_string()).or_default().add(record);
    }
    groups.into_iter().map(|(key, group)| (key, group.row())).collect()
}

fn evaluated(statement: &str, key: &str) -> BTreeMap<String, Value> {
    let (store, _) = &*ORG;
    let permissions = Permissions::everything(0);
    let user = SfId::new(*b"005", *b"Rf", 1);
    let asker = Asker { catalog: &store.catalog, permissions: &permissions, user, now: NOW };
    let plan = soql::resolve(statement, &soql::parse(statement).unwrap(), asker)
        .unwrap_or_else(|why| panic!("{statement}: {why:?}"));
    let sight = Sight { reader: Reader::now(store), permissions: &permissions, with_deleted: true };
    let parsed = |row: Vec<u8>| {
        let mut row: Value = serde_json::from_slice(&row).unwrap();
        let members = row.as_object_mut().unwrap();
        members.remove("attributes");
        (members.remove(key).unwrap().to_string(), row)
    };
    query::grouped_rows(&plan, sight).into_iter().map(parsed).collect()
}

/// Sums of doubles depend on the order of their terms.
fn alike(left: &Value, right: &Value) -> bool {
    match (left.as_f64(), right.as_f64()) {
        (Some(left), Some(right)) => (left - right).abs() < 1e-6,
        _ => left == right,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn any_grouping_sums_the_same(
        condition in condition(),
        key in prop::sample::select(vec!["Status", "Is_Vip__c", "OwnerId", "ContactId", "Reason"]),
    ) {
        let statement = format!(
            "SELECT {key}, COUNT(Id) n, COUNT(Csat_Score__c) scored, SUM(Csat_Score__c) total, COUNT_DISTINCT(OwnerId) \
             owners, MIN(SystemModstamp) first, MAX(SystemModstamp) last FROM Case WHERE {} GROUP BY {key}",
            condition.soql()
        );
        let (found, wanted) = (evaluated(&statement, key), expected(&condition, key));
        prop_assert_eq!(found.keys().collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>(), "{}", statement);
        for (group, row) in &wanted {
            for (name, value) in row.as_object().unwrap() {
                prop_assert!(alike(&found[group][name], value), "{}: {} {}: {} for {}", statement, group, name,
                    found[group][name], value);
            }
        }
    }
}
