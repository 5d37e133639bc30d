//! The words of a filter, whether it fits an object, and of which records it holds.

use serde_json::{Value, json};

use super::check::problems;
use super::keep::Keep;
use super::{Filter, MOST_DEPTH, MOST_TESTS, MOST_VALUES, both, is_narrower};
use crate::catalog::{Field, FieldSet, FieldType, ObjectDescribe};
use crate::ids::FieldSetId;
use crate::record::{PageRecords, canonicalize};

fn filter(value: Value) -> Filter {
    serde_json::from_value(value).unwrap()
}

fn refused(value: Value) -> String {
    serde_json::from_value::<Filter>(value).unwrap_err().to_string()
}

fn set() -> FieldSet {
    let field = |(path, kind): (&str, FieldType)| Field { path: path.to_owned(), kind };
    let fields = [
        ("Type", FieldType::Text),
        ("AccountId", FieldType::Text),
        ("IsEscalated", FieldType::Boolean),
        ("Amount__c", FieldType::Decimal),
        ("Due__c", FieldType::Date),
        ("CreatedDate", FieldType::Datetime),
    ];
    FieldSet::new(FieldSetId(1), fields.map(field).to_vec())
}

/// Whether the filter holds of the record.
fn holds(condition: Value, record: &Value) -> bool {
    let (set, raw) = (set(), serde_json::value::to_raw_value(record).unwrap());
    let mut page = PageRecords::new(&set);
    canonicalize(&raw, &set, &mut page).unwrap();
    Keep::of(&filter(condition), &set).unwrap().holds(&page.get(0, &set))
}

#[test]
fn a_filter_is_written_as_it_was_read() {
    let tree = json!({"all": [
        {"field": "Type", "in": ["Problem", "Question"]},
        {"any": [{"field": "IsEscalated", "is": true}, {"not": {"field": "Origin", "not_in": ["Web"]}}]},
        {"field": "Amount__c", "at_least": 0.1}, {"field": "CreatedDate", "below": "2026-01-01T00:00:00Z"},
        {"field": "AccountId", "is_null": false}
    ]});
    assert_eq!(serde_json::to_value(filter(tree.clone())).unwrap(), tree);
    assert_eq!(filter(tree).tests().len(), 6);
}

#[test]
fn what_is_no_filter_says_where_and_why() {
    let test = json!({"field": "Type", "is": "a"});
    let mut deep = test.clone();
    for _ in 0..=MOST_DEPTH {
        deep = json!({"not": deep});
    }
    let too_many = vec!["a"; MOST_VALUES + 1];
    for (value, part) in [
        (json!("Type = 'x'"), "filter: it is neither a group"),
        (json!({}), "filter: it is neither"),
        (json!({"all": []}), "filter.all: give a list of at least one"),
        (json!({"all": [test, {"some": []}]}), "filter.all[1].some: no such group"),
        (json!({"any": [test], "all": [test]}), "neither a group"),
        (json!({"not": [test]}), "filter.not: it is neither"),
        (json!({"field": "Account.Name", "is": "a"}), "a parent's fields are not its own"),
        (json!({"field": "Type') OR (Id != '", "is": "a"}), "API name"),
        (json!({"field": "Type"}), "Type needs exactly one of is, in"),
        (json!({"field": "Type", "is": "a", "in": ["b"]}), "exactly one"),
        (json!({"field": "Type", "like": "a%"}), "filter.like: no such test of Type: use is, in"),
        (json!({"field": "Type", "is": null}), "ask for is_null"),
        (json!({"field": "Type", "is": ""}), "keeps no empty text"),
        (json!({"field": "Type", "is": " a"}), "blank"),
        (json!({"field": "Type", "is": "a\nb"}), "control character"),
        (json!({"field": "Type", "is": "a".repeat(256)}), "longer than 255"),
        (json!({"field": "Type", "is": ["a"]}), "no text, number"),
        (json!({"field": "Type", "in": []}), "1 to 200 values"),
        (json!({"field": "Type", "in": too_many}), "1 to 200 values"),
        (json!({"field": "Type", "in": "a"}), "1 to 200 values"),
        (json!({"field": "Type", "below": true}), "a number, a date or a moment"),
        (json!({"field": "Type", "is_null": "yes"}), "true or false"),
        (json!({"all": vec![test.clone(); MOST_TESTS + 1]}), "21 tests; 20 are the most"),
        (json!({"field": "Type", "in": vec!["a".repeat(200); 20]}), "longer than 3000 bytes"),
        (deep, "more than 4 deep"),
    ] {
        let told = refused(value.clone());
        assert!(told.contains(part), "{value}: {told}");
    }
}

#[test]
fn a_filter_holds_as_soql_would_say() {
    let record = json!({"Type": "Problem", "AccountId": "0013000000D8cuIAAR", "IsEscalated": true, "Amount__c": 12.5,
                        "Due__c": "2026-02-28", "CreatedDate": "2026-01-01T00:00:00.000+0000"});
    let empty = json!({"IsEscalated": false});
    // What holds of the record, and of one without a value.
    for (condition, of_record, of_empty) in [
        (json!({"field": "Type", "is": "problem"}), true, false),
        (json!({"field": "Type", "is": "Proble"}), false, false),
        (json!({"field": "Type", "in": ["Question", "PROBLEM"]}), true, false),
        (json!({"field": "Type", "not_in": ["Question", "PROBLEM"]}), false, true),
        (json!({"field": "Type", "not_in": ["Question"]}), true, true),
        (json!({"not": {"field": "Type", "is": "Problem"}}), false, true),
        (json!({"not": {"field": "Type", "not_in": ["Problem"]}}), true, false),
        (json!({"field": "Type", "is_null": true}), false, true),
        (json!({"not": {"field": "Type", "is_null": true}}), true, false),
        (json!({"field": "AccountId", "is": "0013000000D8cuI"}), true, false),
        (json!({"field": "AccountId", "is": "0013000000D8cuJ"}), false, false),
        (json!({"field": "IsEscalated", "is": true}), true, false),
        (json!({"not": {"field": "IsEscalated", "is": true}}), false, true),
        (json!({"field": "Amount__c", "is": 12.5}), true, false),
        (json!({"field": "Amount__c", "below": 12.5}), false, false),
        (json!({"field": "Amount__c", "below": 100}), true, false),
        (json!({"field": "Amount__c", "at_least": 12.50}), true, false),
        (json!({"not": {"field": "Amount__c", "at_least": 12.5}}), false, true),
        (json!({"not": {"field": "Amount__c", "below": 12.5}}), true, true),
        (json!({"field": "Amount__c", "at_least": -3}), true, false),
        (json!({"field": "Due__c", "below": "2026-03-01"}), true, false),
        (json!({"field": "Due__c", "at_least": "2026-03-01"}), false, false),
        (json!({"field": "CreatedDate", "at_least": "2026-01-01T01:00:00+01:00"}), true, false),
        (json!({"field": "CreatedDate", "below": "2026-01-01T00:00:00Z"}), false, false),
        (
            json!({"all": [{"field": "Type", "is": "Problem"}, {"field": "IsEscalated", "is": false}]}),
            false,
            false,
        ),
        (
            json!({"any": [{"field": "Type", "is": "Problem"}, {"field": "IsEscalated", "is": false}]}),
            true,
            true,
        ),
        (
            json!({"not": {"all": [{"field": "Type", "is": "Problem"}, {"field": "IsEscalated", "is": true}]}}),
            false,
            true,
        ),
        (
            json!({"not": {"any": [{"field": "Type", "is": "Other"}, {"field": "IsEscalated", "is": true}]}}),
            false,
            true,
        ),
    ] {
        assert_eq!(holds(condition.clone(), &record), of_record, "{condition} of the record");
        assert_eq!(holds(condition.clone(), &empty), of_empty, "{condition} of the empty one");
    }
}

#[test]
fn a_field_that_is_not_read_or_is_of_another_type_judges_nothing() {
    let of = |condition| Keep::of(&filter(condition), &set());
    assert!(of(json!({"field": "Origin", "is": "Web"})).is_none());
    assert!(of(json!({"any": [{"field": "Type", "is": "a"}, {"field": "Type", "is": 1}]})).is_none());
    assert!(of(json!({"field": "Type", "is": "a"})).is_some());
}

#[test]
fn what_certainly_keeps_less_is_narrower() {
    let (a, b) = (json!({"field": "Type", "is": "a"}), json!({"field": "Origin", "is": "b"}));
    let (ab, not_ab) =
        (json!({"field": "Type", "in": ["b", "a"]}), json!({"field": "Type", "not_in": ["a", "b"]}));
    let not_a = json!({"field": "Type", "not_in": ["a"]});
    let (all, any) = (json!({"all": [b, a]}), json!({"any": [a, b]}));
    for (old, new, narrower, widens_back) in [
        (&a, &a, true, true),
        (&a, &all, true, false),
        (&ab, &a, true, false),
        (&not_a, &not_ab, true, false),
        (&any, &a, true, false),
        (&any, &all, true, false),
        (&ab, &json!({"all": [{"any": [a, {"field": "Type", "is": "b"}]}, b]}), true, false),
        (&json!({"all": [a]}), &a, true, true),
        (&a, &b, false, false),
        (&not_a, &a, false, false),
        (&json!({"field": "Amount__c", "below": 3}), &json!({"field": "Amount__c", "is": 3}), false, false),
        (&json!({"not": ab}), &json!({"not": a}), false, false),
    ] {
        let (one, other) = (filter(old.clone()), filter(new.clone()));
        assert_eq!(is_narrower(Some(&one), Some(&other)), narrower, "{old} then {new}");
        assert_eq!(is_narrower(Some(&other), Some(&one)), widens_back, "{new} then {old}");
    }
    let one = filter(a);
    assert!(is_narrower(None, Some(&one)) && is_narrower(None, None) && !is_narrower(Some(&one), None));
}

#[test]
fn what_passes_two_filters_is_narrower_than_either_and_can_always_be_read_again() {
    let test = |n: usize| json!({"field": "Type", "is": format!("type {n}")});
    let (one, other) = (filter(test(1)), filter(json!({"all": [test(2), test(1)]})));
    let two = both(Some(&one), Some(&other)).unwrap();
    assert_eq!(serde_json::to_value(&two).unwrap(), json!({"all": [test(1), test(2)]}));
    assert_eq!(both(Some(&one), Some(&one)), Some(one.clone()));
    assert_eq!((both(None, Some(&one)), both(Some(&one), None)), (Some(one.clone()), Some(one.clone())));
    assert!(is_narrower(Some(&one), Some(&two)) && !is_narrower(Some(&two), Some(&one)));
    let mut many = one.clone();
    for n in 0..2 * MOST_TESTS {
        many = both(Some(&many), Some(&filter(test(n)))).unwrap();
        let read = filter(serde_json::to_value(&many).unwrap());
        assert!(read == many && !is_narrower(Some(&read), Some(&one)));
    }
}

fn describe() -> ObjectDescribe {
    serde_json::from_value(json!({
        "name": "Case", "queryable": true, "fields": [
            {"name": "Id", "type": "id", "filterable": true},
            {"name": "Type", "type": "picklist", "filterable": true},
            {"name": "Description", "type": "textarea"},
            {"name": "Comments", "type": "textarea", "filterable": true},
            {"name": "Age__c", "type": "double", "filterable": true, "calculated": true},
            {"name": "ContactEmail", "type": "email", "filterable": true},
            {"name": "MilestoneStatus", "type": "string", "filterable": true},
            {"name": "Tags__c", "type": "multipicklist", "filterable": true},
            {"name": "Key__c", "type": "string", "filterable": true, "caseSensitive": true},
            {"name": "Where__c", "type": "location", "filterable": true},
            {"name": "AccountId", "type": "reference", "filterable": true},
            {"name": "IsEscalated", "type": "boolean", "filterable": true},
            {"name": "IsDeleted", "type": "boolean", "filterable": true},
            {"name": "Amount__c", "type": "currency", "filterable": true},
            {"name": "Due__c", "type": "date", "filterable": true},
            {"name": "At__c", "type": "time", "filterable": true},
            {"name": "CreatedDate", "type": "datetime", "filterable": true}
        ]
    }))
    .unwrap()
}

#[test]
fn what_cannot_be_asked_of_the_object_says_why_and_how_to_mend_it() {
    for (test, why) in [
        (json!({"field": "Typ", "is": "a"}), "no field Typ"),
        (json!({"field": "type", "is": "a"}), "name is Type, not type"),
        (json!({"field": "Description", "is": "a"}), "cannot filter by Description"),
        (json!({"field": "Comments", "is": "a"}), "Comments is not read"),
        (json!({"field": "Where__c", "is": "a"}), "Where__c is not read"),
        (json!({"field": "IsDeleted", "is": false}), "leaves by itself"),
        (json!({"field": "Age__c", "below": 3}), "changes without a change"),
        (json!({"field": "ContactEmail", "is": "a@b.c"}), "changes without a change"),
        (json!({"field": "MilestoneStatus", "is": "a"}), "changes without a change"),
        (json!({"field": "Tags__c", "is": "a;b"}), "not compared"),
        (json!({"field": "At__c", "below": "10:00:00Z"}), "not compared"),
        (json!({"field": "Key__c", "is": "a"}), "whose case counts"),
        (json!({"field": "Type", "below": "a"}), "order of texts"),
        (json!({"field": "Type", "is": 3}), "3 is no value of Type"),
        (
            json!({"field": "AccountId", "in": ["0013000000D8cuI", "Acme"]}),
            "\"Acme\" is no value of AccountId",
        ),
        (json!({"field": "IsEscalated", "is": "true"}), "\"true\" is no value"),
        (json!({"field": "IsEscalated", "is_null": true}), "always true or false"),
        (json!({"field": "Amount__c", "is": "3"}), "no value of Amount__c"),
        (json!({"field": "Amount__c", "below": 1e60}), "no value of Amount__c"),
        (json!({"field": "Due__c", "below": "2026-02-30"}), "no value of Due__c"),
        (json!({"field": "Due__c", "below": "2026-1-3"}), "no value of Due__c"),
        (json!({"field": "CreatedDate", "below": "2026-01-01"}), "no value of CreatedDate"),
        (json!({"field": "CreatedDate", "below": "2026-01-01T00:00:00.5Z"}), "no value of CreatedDate"),
    ] {
        let found = problems(&filter(test.clone()), &describe());
        assert_eq!(found.len(), 1, "{test}");
        assert!(found[0].why.contains(why), "{test}: {}", found[0].why);
        assert!(found[0].fix.ends_with('.') && found[0].why.ends_with('.'), "{test}: {}", found[0].fix);
    }
    for test in [
        json!({"field": "Id", "not_in": ["5003000000D8cuI"]}),
        json!({"field": "Type", "in": ["a", "b"]}),
        json!({"field": "Tags__c", "is_null": false}),
        json!({"field": "Key__c", "is_null": true}),
        json!({"field": "Amount__c", "at_least": 1234.5}),
        json!({"field": "Due__c", "is": "2026-02-28"}),
        json!({"field": "CreatedDate", "at_least": "2026-01-01T00:00:00+02:00"}),
    ] {
        assert_eq!(problems(&filter(test.clone()), &describe()), [], "{test}");
    }
    let both = json!({"any": [{"field": "Nope", "is": 1}, {"not": {"field": "Type", "is": true}}]});
    assert_eq!(problems(&filter(both), &describe()).len(), 2, "all of them at once");
}
