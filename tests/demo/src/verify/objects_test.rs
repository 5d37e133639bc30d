use std::convert::Infallible;

use futures_util::stream;
use serde_json::{Value, json};

use super::*;

const STAMP: &str = "2026-11-23T22:17:04.000Z";

fn field(path: &str, kind: &str) -> Field {
    Field { path: path.to_owned(), kind: kind.to_owned() }
}

fn sets() -> FieldSets {
    let fields = vec![field("Amount", "decimal"), field("Closed", "datetime"), field("Name", "text")];
    FieldSets::from([(1, fields)])
}

fn case(id: &str, fields: &Value) -> Value {
    json!({"Id": id, "stamp": STAMP, "deleted": false, "fields": fields})
}

fn live(id: &str, values: &Value) -> Stored {
    let values = serde_json::to_vec(values).unwrap();
    Stored {
        id: id.to_owned(),
        stamp: moment(STAMP).unwrap(),
        holding: Holding::Live { field_set: 1, values },
    }
}

fn gone(id: &str, holding: Holding) -> Stored {
    Stored { id: id.to_owned(), stamp: moment(STAMP).unwrap(), holding }
}

async fn compared(truth: &[Value], stored: Vec<Stored>) -> ObjectReport {
    compared_with(truth, stored, &sets(), &Parents::default()).await
}

async fn compared_with(
    truth: &[Value],
    stored: Vec<Stored>,
    sets: &FieldSets,
    parents: &Parents,
) -> ObjectReport {
    let mut text = truth.iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
    text.push_str(if truth.is_empty() { "" } else { "\n" });
    let lines = Lines::new(stream::iter([Ok::<_, Infallible>(text)]));
    let sync = Sync { object: ObjectId(1), api_name: "Case".to_owned(), role: "ticket".to_owned() };
    let mut judge = Judge::new(&sync, sets, parents);
    side_by_side(lines, stream::iter(stored.into_iter().map(Ok)), &mut judge).await.unwrap();
    judge.walk.report
}

fn first(report: &ObjectReport) -> String {
    report.first_differences.first().map(ToString::to_string).unwrap_or_default()
}

#[tokio::test]
async fn equal_sides_in_other_spellings_are_exact() {
    let truth = [
        case("A", &json!({"Name": "x", "Amount": 47.0, "Closed": "2026-11-23T22:17:04.000+0000"})),
        case("B", &json!({"Name": "", "Amount": null, "Closed": null, "LastViewedDate": "2026-01-01"})),
        case("C", &json!({"Name": "y", "MailingAddress": {"city": "Bern"}})),
    ];
    let stored = vec![
        live("A", &json!([47, STAMP, "x"])),
        live("B", &json!([null, null, null])),
        live("C", &json!([null, null, "y"])),
    ];
    let report = compared(&truth, stored).await;
    assert!(report.is_exact(), "{report:?}");
    assert_eq!((report.in_org_live, report.here_live, report.values), (3, 3, 9));
}

#[tokio::test]
async fn a_record_on_one_side_only_is_found_wherever_it_stands() {
    let lone = |id| case(id, &json!({"Name": "x"}));
    let row = |id| live(id, &json!([null, null, "x"]));
    for absent in ["A", "B", "C"] {
        let all = ["A", "B", "C"];
        let rest: Vec<&str> = all.into_iter().filter(|id| *id != absent).collect();
        let report = compared(&all.map(lone), rest.iter().map(|id| row(id)).collect()).await;
        assert_eq!((report.missing, report.extra, report.different), (1, 0, 0));
        assert_eq!(first(&report), format!("{absent}: in the org, not here"));

        let truth: Vec<Value> = rest.iter().map(|id| lone(id)).collect();
        let report = compared(&truth, all.map(row).into()).await;
        assert_eq!((report.missing, report.extra, report.different), (0, 1, 0));
        assert_eq!(first(&report), format!("{absent}: live here, not in the org"));
    }
}

#[tokio::test]
async fn each_wrong_value_is_named_and_none_is_shown() {
    let truth = [case("A", &json!({"Name": "secret", "Amount": 1, "Closed": null, "New__c": true}))];
    let report = compared(&truth, vec![live("A", &json!([1.5, STAMP, "other"]))]).await;
    assert_eq!((report.different, report.missing, report.extra), (1, 0, 0));
    assert_eq!(first(&report), "A: other values (Amount, Closed, Name, New__c)");
    assert!(!format!("{report:?}").contains("secret"));
}

#[tokio::test]
async fn a_wrong_stamp_is_a_difference() {
    let mut row = live("A", &json!([null, null, "x"]));
    row.stamp += chrono::Duration::seconds(1);
    let report = compared(&[case("A", &json!({"Name": "x"}))], vec![row]).await;
    assert_eq!(first(&report), "A: other values ((the stamp it is ordered by))");
}

#[tokio::test]
async fn what_is_in_the_recycle_bin_must_be_a_tombstone() {
    let mut bin = case("A", &json!({"Name": "x", "SystemModstamp": STAMP}));
    bin["deleted"] = true.into();
    let bin = [bin];
    let report = compared(&bin, vec![gone("A", Holding::Tombstone)]).await;
    assert!(report.is_exact());
    assert_eq!((report.in_org_deleted, report.here_deleted), (1, 1));

    assert_eq!(compared(&bin, vec![]).await.missing, 1);
    assert_eq!(compared(&bin, vec![gone("A", Holding::Stub)]).await.missing, 1);
    assert_eq!(compared(&bin, vec![live("A", &json!([null, null, "x"]))]).await.extra, 1);
    // The other way round: a record that lives again.
    let lives = [case("A", &json!({"Name": "x"}))];
    assert_eq!(compared(&lives, vec![gone("A", Holding::Tombstone)]).await.missing, 1);
}

#[tokio::test]
async fn a_tombstone_may_outlive_the_recycle_bin() {
    assert!(compared(&[], vec![gone("A", Holding::Tombstone)]).await.is_exact());
}

#[tokio::test]
async fn a_linked_value_may_be_older_only_when_its_parent_changed_later() {
    let sets = FieldSets::from([(1, vec![field("Owner.Name", "any_type"), field("OwnerId", "text")])]);
    let truth = [case("A", &json!({"OwnerId": "U"}))];
    for (parent_stamp, drifted, different) in
        [("2026-11-23T22:17:03.000Z", 0, 1), ("2026-11-23T22:17:05.000Z", 1, 0)]
    {
        let mut parents = Parents::default();
        let user = json!({"Id": "U", "stamp": parent_stamp, "deleted": false, "fields": {"Name": "New"}});
        let (line, wanted) = (user.to_string(), HashSet::from(["Name".to_owned()]));
        parents.add("User", &Truth::read(line.as_bytes()).unwrap(), &wanted);
        let old = compared_with(&truth, vec![live("A", &json!(["Old", "U"]))], &sets, &parents).await;
        assert_eq!((old.drifted, old.different), (drifted, different));
        let new = compared_with(&truth, vec![live("A", &json!(["New", "U"]))], &sets, &parents).await;
        assert_eq!((new.drifted, new.different), (0, 0));
    }
}

#[tokio::test]
async fn truth_out_of_order_is_refused_instead_of_misread() {
    let text = format!("{}\n{}\n", case("B", &json!({})), case("A", &json!({})));
    let lines = Lines::new(stream::iter([Ok::<_, Infallible>(text)]));
    let sync = Sync { object: ObjectId(1), api_name: "Case".to_owned(), role: "ticket".to_owned() };
    let (sets, parents) = (sets(), Parents::default());
    let mut judge = Judge::new(&sync, &sets, &parents);
    let refused = side_by_side(lines, stream::iter(Vec::new()), &mut judge).await;
    assert!(refused.unwrap_err().to_string().contains("not in order"));
}
