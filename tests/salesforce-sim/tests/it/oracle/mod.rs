//! The evaluator against a second, naive one that knows neither plans nor indexes.

mod grouped;

use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use salesforce_sim::generate::{self, Recipe};
use salesforce_sim::id::SfId;
use salesforce_sim::org::permissions::Permissions;
use salesforce_sim::query::{self, Sight, render};
use salesforce_sim::schema::Catalog;
use salesforce_sim::soql::{self, Asker};
use salesforce_sim::store::{Reader, Store};
use serde_json::Value;

const NOW: i64 = 1_795_000_000_000;

static ORG: LazyLock<(Store, Vec<Value>)> = LazyLock::new(|| {
    let mut store = Store::new(Arc::new(Catalog::support_org()), *b"Rf");
    let org_id = SfId::new(*b"00D", *b"Rf", 1);
    let recipe = Recipe {
        cases: 150,
        seed: 11,
        mail_characters: 0,
        now: NOW,
        username: "user@example.com".to_owned(),
        org_id,
    };
    generate::fill(&mut store, &recipe);
    let records = records(&store);
    (store, records)
});

fn records(store: &Store) -> Vec<Value> {
    let permissions = Permissions::everything(0);
    let case = store.object("Case");
    let outputs = render::all_outputs(&store.catalog, &permissions, case);
    let sight = Sight { reader: Reader::now(store), permissions: &permissions, with_deleted: true };
    let json = |handle| {
        let mut out = Vec::new();
        render::record(&mut out, &outputs, case, handle, sight, "v66.0");
        serde_json::from_slice(&out).unwrap()
    };
    store.tables[case].handles().map(json).collect()
}

/// A condition that can be written as SOQL and judged on JSON.
#[derive(Clone, Debug)]
enum Naive {
    Compare(&'static str, &'static str, Value),
    In(&'static str, Vec<Value>, bool),
    Like(&'static str, String),
    And(Vec<Naive>),
    Or(Vec<Naive>),
    Not(Box<Naive>),
}

fn literal(field: &str, value: &Value) -> String {
    match value {
        Value::String(text) if field.ends_with("Date") || field == "SystemModstamp" => {
            text.replace("+0000", "Z")
        }
        Value::String(text) => format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'")),
        other => other.to_string(),
    }
}

impl Naive {
    fn soql(&self) -> String {
        let join = |all: &[Self], word: &str| {
            let parts: Vec<String> = all.iter().map(|one| format!("({})", one.soql())).collect();
            parts.join(word)
        };
        match self {
            Self::Compare(field, operator, value) => format!("{field} {operator} {}", literal(field, value)),
            Self::In(field, values, negated) => {
                let values: Vec<String> = values.iter().map(|value| literal(field, value)).collect();
                let not = if *negated { "NOT " } else { "" };
                format!("{field} {not}IN ({})", values.join(", "))
            }
            Self::Like(field, pattern) => {
                format!("{field} LIKE {}", literal(field, &Value::from(pattern.as_str())))
            }
            Self::And(all) => join(all, " AND "),
            Self::Or(all) => join(all, " OR "),
            Self::Not(one) => format!("NOT ({})", one.soql()),
        }
    }

    fn holds(&self, record: &Value) -> bool {
        match self {
            Self::Compare(field, operator, value) => compare(&record[*field], operator, value),
            Self::In(field, values, negated) => {
                values.iter().any(|value| equal(&record[*field], value)) != *negated
            }
            Self::Like(field, pattern) => record[*field].as_str().is_some_and(|text| like(text, pattern)),
            Self::And(all) => all.iter().all(|one| one.holds(record)),
            Self::Or(all) => all.iter().any(|one| one.holds(record)),
            Self::Not(one) => !one.holds(record),
        }
    }
}

/// `%` stands for any characters, `_` for one; case does not count.
fn like(text: &str, pattern: &str) -> bool {
    fn rest(text: &[char], pattern: &[char]) -> bool {
        match pattern {
            [] => text.is_empty(),
            ['%', after @ ..] => (0..=text.len()).any(|skipped| rest(&text[skipped..], after)),
            [one, after @ ..] => text
                .split_first()
                .is_some_and(|(first, more)| (*one == '_' || one == first) && rest(more, after)),
        }
    }
    let chars = |text: &str| text.to_lowercase().chars().collect::<Vec<_>>();
    rest(&chars(text), &chars(pattern))
}

fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::String(a), Value::String(b)) => a.to_lowercase() == b.to_lowercase(),
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (a, b) => a == b,
    }
}

fn compare(left: &Value, operator: &str, right: &Value) -> bool {
    match operator {
        "=" => return equal(left, right),
        "!=" => return !equal(left, right),
        _ => {}
    }
    let ordering = match (left, right) {
        // Every text compared by order below is a time or an id, and those sort as bytes.
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Number(a), Value::Number(b)) => a.as_f64().partial_cmp(&b.as_f64()).unwrap(),
        _ => return false,
    };
    match operator {
        "<" => ordering.is_lt(),
        "<=" => ordering.is_le(),
        ">" => ordering.is_gt(),
        _ => ordering.is_ge(),
    }
}

const ORDERED: [&str; 4] = ["SystemModstamp", "CreatedDate", "Id", "Csat_Score__c"];
const EQUATED: [&str; 6] = ["Status", "Is_Vip__c", "OwnerId", "ContactId", "IsDeleted", "Reason"];

fn value_of(field: &'static str) -> impl Strategy<Value = Value> {
    any::<prop::sample::Index>().prop_map(move |index| index.get(&ORG.1)[field].clone())
}

fn leaf() -> impl Strategy<Value = Naive> {
    let ordered =
        (prop::sample::select(&ORDERED[..]), prop::sample::select(vec!["=", "!=", "<", "<=", ">", ">="]))
            .prop_flat_map(|(field, operator)| {
                value_of(field).prop_map(move |value| (field, operator, value))
            })
            .prop_map(|(field, operator, value)| match value {
                Value::Null => Naive::Compare(field, "=", Value::Null),
                value => Naive::Compare(field, operator, value),
            });
    let equated = (prop::sample::select(&EQUATED[..]), any::<bool>())
        .prop_flat_map(|(field, negated)| value_of(field).prop_map(move |value| (field, negated, value)))
        .prop_map(|(field, negated, value)| Naive::Compare(field, if negated { "!=" } else { "=" }, value));
    let members = (prop::sample::select(vec!["Status", "OwnerId", "Id"]), any::<bool>()).prop_flat_map(
        |(field, negated)| {
            prop::collection::vec(value_of(field), 1..5)
                .prop_map(move |values| Naive::In(field, values, negated))
        },
    );
    let patterns = (prop::sample::select(vec!["Status", "CaseNumber", "Reason"]), "[%_]?", 0_usize..3, "%?")
        .prop_flat_map(|(field, before, skipped, after)| {
            value_of(field).prop_map(move |value| {
                let text = value.as_str().unwrap_or("x");
                let middle: String = text.chars().skip(skipped).take(4).collect();
                Naive::Like(field, format!("{before}{middle}{after}"))
            })
        });
    prop_oneof![3 => ordered, 2 => equated, 1 => members, 1 => patterns]
}

fn condition() -> impl Strategy<Value = Naive> {
    leaf().prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(Naive::And),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Naive::Or),
            inner.prop_map(|one| Naive::Not(Box::new(one))),
        ]
    })
}

/// The keyset shapes that the planner treats specially.
fn keyset() -> impl Strategy<Value = Naive> {
    let place = any::<prop::sample::Index>().prop_map(|index| index.get(&ORG.1).clone());
    (place.clone(), place, any::<bool>(), any::<bool>()).prop_map(|(at, bound, upwards, whole)| {
        let field = "SystemModstamp";
        let (strict, loose, outer) = if upwards { (">", ">=", "<") } else { ("<", "<=", ">=") };
        let compare = |name, operator, record: &Value| Naive::Compare(name, operator, record[name].clone());
        let tail = if whole {
            Naive::And(vec![compare(field, "=", &at), compare("Id", strict, &at)])
        } else {
            compare("Id", strict, &at)
        };
        let either = Naive::Or(vec![compare(field, strict, &at), tail]);
        Naive::And(vec![compare(field, loose, &at), either, compare(field, outer, &bound)])
    })
}

fn evaluated(soql: &str) -> Vec<String> {
    let (store, _) = &*ORG;
    let permissions = Permissions::everything(0);
    let asker = Asker {
        catalog: &store.catalog,
        permissions: &permissions,
        user: SfId::new(*b"005", *b"Rf", 1),
        now: NOW,
    };
    let plan = soql::resolve(soql, &soql::parse(soql).unwrap(), asker)
        .unwrap_or_else(|why| panic!("{soql}: {why:?}"));
    let sight = Sight { reader: Reader::now(store), permissions: &permissions, with_deleted: true };
    let rows = query::rows(&plan, sight);
    rows.iter().map(|handle| store.tables[plan.object].id(handle).to_string()).collect()
}

fn expected(condition: &Naive, descending: bool) -> Vec<String> {
    let mut rows: Vec<(String, String)> = ORG
        .1
        .iter()
        .filter(|record| condition.holds(record))
        .map(|record| {
            (record["SystemModstamp"].as_str().unwrap().to_owned(), record["Id"].as_str().unwrap().to_owned())
        })
        .collect();
    rows.sort();
    if descending {
        rows.reverse();
    }
    rows.into_iter().map(|(_, id)| id).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_condition_finds_the_same_rows(condition in condition(), descending: bool) {
        let order = if descending { "DESC" } else { "ASC" };
        let soql = format!("SELECT Id FROM Case WHERE {} ORDER BY SystemModstamp {order}, Id {order}", condition.soql());
        prop_assert_eq!(evaluated(&soql), expected(&condition, descending), "{}", soql);
    }

    #[test]
    fn any_keyset_finds_the_same_rows(condition in keyset(), descending: bool, limit in 1_usize..40) {
        let order = if descending { "DESC" } else { "ASC" };
        let soql = format!(
            "SELECT Id FROM Case WHERE {} ORDER BY SystemModstamp {order}, Id {order} LIMIT {limit}",
            condition.soql()
        );
        let mut wanted = expected(&condition, descending);
        wanted.truncate(limit);
        prop_assert_eq!(evaluated(&soql), wanted, "{}", soql);
    }

    #[test]
    fn other_orders_find_the_same_set(condition in condition()) {
        let soql = format!("SELECT Id FROM Case WHERE {} ORDER BY Status DESC NULLS LAST, CaseNumber", condition.soql());
        let mut found = evaluated(&soql);
        found.sort_unstable();
        let mut wanted = expected(&condition, false);
        wanted.sort_unstable();
        prop_assert_eq!(found, wanted, "{}", soql);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "[ -~]{0,80}", tail in "[a-zA-Z0-9'\\\\(),.<>=:; ]{0,60}") {
        _ = soql::parse(&text);
        _ = soql::parse(&format!("SELECT Id FROM Case WHERE {tail}"));
    }
}
