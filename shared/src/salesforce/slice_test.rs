//! Windows and references against a small table that can change between two calls.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::http::Response;
use serde_json::{Value, json};

use super::*;
use crate::clock::parse_salesforce_datetime;
use crate::salesforce::client::ClientSettings;
use crate::salesforce::soql::Direction;
use crate::salesforce::stub::{Seen, Stub, json as answer, refusal};

const FIELDS: usize = 160;

/// Records by id: stamp in seconds and a revision that all values show.
type Table = BTreeMap<String, (u32, u32)>;

fn id(number: usize) -> SalesforceId {
    SalesforceId::parse(&format!("500{number:012}")).unwrap()
}

fn table(rows: usize) -> Table {
    // Seven records share each stamp.
    (0..rows).map(|n| (id(n).to_string(), (u32::try_from(n / 7).unwrap(), 1))).collect()
}

fn stamp(seconds: u32) -> String {
    format!("2026-11-01T00:{:02}:{:02}.000", seconds / 60, seconds % 60)
}

fn run(table: &Table, soql: &str, page_rows: usize) -> Response<Body> {
    answer(200, page(table, soql, page_rows).to_string())
}

/// Reads the few forms of query that are sent here.
fn page(table: &Table, soql: &str, page_rows: usize) -> Value {
    let list = soql.strip_prefix("SELECT ").unwrap().split(" FROM ").next().unwrap();
    let mut rows: Vec<(&String, &(u32, u32))> = table.iter().collect();
    if let Some((_, ids)) = soql.split_once("Id IN (") {
        rows.retain(|(id, _)| ids.contains(id.as_str()));
    }
    if let Some((_, after)) = soql.split_once("OR Id > '") {
        let at = soql.split("SystemModstamp > ").nth(1).unwrap()[..23].to_owned();
        let after = &after[..18];
        rows.retain(|(id, row)| (stamp(row.0), id.as_str()) > (at.clone(), after));
    }
    rows.sort_by_key(|(id, row)| (row.0, (*id).clone()));
    let done = rows.len() <= page_rows || soql.contains(" IN (");
    let records: Vec<Value> = rows
        .iter()
        .take(if done { usize::MAX } else { page_rows })
        .map(|(id, (at, revision))| {
            let mut record = json!({"attributes": {"type": "Case"}, "Id": id});
            for field in list.split(',').skip(1) {
                let value =
                    if field == "SystemModstamp" { json!(stamp(*at) + "+0000") } else { json!(revision) };
                match field.split_once('.') {
                    Some((parent, leaf)) => record[parent][leaf] = value,
                    None => record[field] = value,
                }
            }
            record
        })
        .collect();
    let mut page = json!({"totalSize": rows.len(), "done": done, "records": records});
    if !done {
        page["nextRecordsUrl"] = json!("/services/data/v66.0/query/01gRO0000016PIAYA2-5");
    }
    page
}

/// A table served page by page; each locator is dead as soon as it is made. `before` runs before each query.
async fn serve(
    rows: usize,
    before: impl Fn(&mut Table, &Seen) + Send + Sync + 'static,
) -> (Stub, Arc<Mutex<Table>>) {
    let shared = Arc::new(Mutex::new(table(rows)));
    let served = Arc::clone(&shared);
    let stub = Stub::start(move |seen| {
        let mut table = served.lock().unwrap();
        before(&mut table, seen);
        match &seen.soql {
            Some(soql) => run(&table, soql, 25),
            None => refusal(400, "INVALID_QUERY_LOCATOR", "invalid query locator"),
        }
    })
    .await;
    (stub, shared)
}

fn selection(fields: usize) -> Selection {
    let paths = (0..fields).map(|n| if n % 9 == 0 { format!("Owner.F{n}__c") } else { format!("F{n}__c") });
    Selection {
        filter: None,
        object: ObjectName::parse("Case").unwrap(),
        fields: paths.map(|path| FieldPath::parse(&path).unwrap()).collect(),
        cursor: FieldPath::parse("SystemModstamp").unwrap(),
        scope: Scope::All,
    }
}

fn window() -> Window {
    let at = |text| parse_salesforce_datetime(text).unwrap();
    let (from, to) = (at("2026-11-01T00:00:00.000Z"), at("2026-11-02T00:00:00.000Z"));
    Window { from, to, after: None, direction: Direction::Ascending, limit: None }
}

/// Narrow enough that that many fields need several parts.
fn narrow() -> ClientSettings {
    ClientSettings { max_query_bytes: 900, ..ClientSettings::default() }
}

async fn all(mut pages: RecordPages) -> Result<Vec<Value>, SalesforceError> {
    let mut records = Vec::new();
    while let Some(page) = pages.next_page().await? {
        records.extend(page.records().iter().map(|raw| serde_json::from_str::<Value>(raw.get()).unwrap()));
    }
    Ok(records)
}

fn ids(records: &[Value]) -> Vec<String> {
    records.iter().map(|record| record["Id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_window_is_read_once_and_whole_though_every_locator_dies() {
    let (stub, table) = serve(110, |_, _| {}).await;
    let (client, _, _) = stub.client(1);
    let records = all(client.read_window(selection(3), window())).await.unwrap();
    assert_eq!(ids(&records), table.lock().unwrap().keys().cloned().collect::<Vec<_>>());
}

#[tokio::test]
async fn an_end_before_all_announced_rows_is_asked_about_once_more() {
    // Each answer claims to be the last and announces some rows that do not come, as if they were hidden.
    let lying = |rows, hidden: u64| {
        let table = table(rows);
        Stub::start(move |seen| {
            let mut page = page(&table, seen.soql.as_ref().unwrap(), 25);
            page["totalSize"] = json!(page["totalSize"].as_u64().unwrap() + hidden);
            page["done"] = json!(true);
            answer(200, page.to_string())
        })
    };
    for (rows, hidden, calls) in [(110, 0, 5), (110, 3, 6), (0, 3, 2), (0, 0, 1)] {
        let stub = lying(rows, hidden).await;
        let (client, _, _) = stub.client(1);
        let records = all(client.read_window(selection(3), window())).await.unwrap();
        assert_eq!((records.len(), stub.count("/")), (rows, calls), "{rows} and {hidden} hidden");
    }
}

#[tokio::test]
async fn a_list_of_ids_that_is_answered_in_part_is_asked_once_more_as_a_whole() {
    let lists = std::sync::atomic::AtomicUsize::new(0);
    let table = table(80);
    // The second list comes short at first, the third always.
    let stub = Stub::start(move |seen| {
        let mut page = page(&table, seen.soql.as_ref().unwrap(), 25);
        if [1, 3, 4].contains(&lists.fetch_add(1, std::sync::atomic::Ordering::SeqCst)) {
            page["records"].as_array_mut().unwrap().truncate(1);
        }
        answer(200, page.to_string())
    })
    .await;
    let (client, _, _) = stub.client_with(1, narrow(), |_| {});
    let wanted: Vec<SalesforceId> = (0..80).map(id).collect();
    let mut pages = client.read_references(selection(5), FieldPath::id(), &wanted);
    let (mut given, mut done) = (Vec::new(), false);
    while let Some(page) = pages.next_page().await.unwrap() {
        assert!(!done, "only the last page is done");
        (given, done) = ([given, vec![page.rows]].concat(), page.done);
    }
    assert!(done && given.len() > 4);
    let each = given[0];
    assert_eq!(given[..5], [each, 1, each, 1, 1], "the rest is as it was announced: {given:?}");
}

#[tokio::test]
async fn parts_joined_are_what_one_wide_query_gives() {
    let (stub, _) = serve(60, |_, _| {}).await;
    let wide = all(stub.client(1).0.read_window(selection(FIELDS), window())).await.unwrap();
    let calls = stub.count("/");
    let (client, _, _) = stub.client_with(1, narrow(), |_| {});
    let joined = all(client.read_window(selection(FIELDS), window())).await.unwrap();
    assert_eq!(joined, wide);
    let seen = stub.seen.lock().unwrap();
    assert!(seen.len() - calls > 10, "{}", seen.len());
    let longest = seen[calls..].iter().map(|seen| seen.uri_bytes).max().unwrap();
    assert!(longest <= 900 + "/services/data/v66.0/queryAll?q=".len(), "{longest}");
}

#[tokio::test]
async fn a_record_that_changes_between_its_parts_is_read_again_whole() {
    let changed = id(3).to_string();
    let victim = changed.clone();
    let (stub, _) = serve(20, move |table, seen| {
        // The record moves when its second part is first asked for.
        if seen.soql.as_ref().is_some_and(|soql| soql.contains(" IN (")) {
            let row = table.get_mut(&victim).unwrap();
            if row.1 == 1 {
                *row = (500, 2);
            }
        }
    })
    .await;
    let (client, _, _) = stub.client_with(1, narrow(), |_| {});
    let mut pages = client.read_window(selection(FIELDS), window());
    let page = pages.next_page().await.unwrap().unwrap();
    let records: Vec<Value> =
        page.records().iter().map(|raw| serde_json::from_str(raw.get()).unwrap()).collect();
    assert_eq!((records.len(), page.rows), (20, 20));
    for record in &records {
        let revision = if record["Id"] == json!(changed) { 2 } else { 1 };
        for n in 0..FIELDS {
            let value =
                if n % 9 == 0 { &record["Owner"][format!("F{n}__c")] } else { &record[format!("F{n}__c")] };
            assert_eq!(*value, json!(revision), "{n} of {}", record["Id"]);
        }
    }
    assert_eq!(page.last.unwrap().id, id(19), "the position is the first part's");
}

#[tokio::test]
async fn a_record_that_never_rests_is_reported_and_one_that_goes_is_left_out() {
    let restless = id(3).to_string();
    let (stub, _) = serve(20, move |table, _| {
        let row = table.get_mut(&restless).unwrap();
        *row = (row.0 + 1, row.1 + 1);
    })
    .await;
    let (client, _, _) = stub.client_with(1, narrow(), |_| {});
    let error = all(client.read_window(selection(FIELDS), window())).await.unwrap_err();
    assert!(matches!(error, SalesforceError::SplitMismatch { id: found } if found == id(3)), "{error}");

    let gone = id(4).to_string();
    let (stub, _) = serve(20, move |table, seen| {
        if seen.soql.as_ref().is_some_and(|soql| soql.contains(" IN (")) {
            table.remove(&gone);
        }
    })
    .await;
    let (client, _, _) = stub.client_with(1, narrow(), |_| {});
    let records = all(client.read_window(selection(FIELDS), window())).await.unwrap();
    assert_eq!(records.len(), 19);
    assert!(!ids(&records).contains(&id(4).to_string()));
}

#[tokio::test]
async fn references_are_asked_in_as_many_queries_as_urls_need() {
    let (stub, _) = serve(80, |_, _| {}).await;
    let (client, _, _) = stub.client_with(1, narrow(), |_| {});
    let wanted: Vec<SalesforceId> = (10..70).map(id).collect();
    let mut pages = client.read_references(selection(5), FieldPath::id(), &wanted);
    let (mut found, mut done) = (Vec::new(), Vec::new());
    while let Some(page) = pages.next_page().await.unwrap() {
        assert_eq!(page.last, None);
        done.push(page.done);
        found.extend(page.records().iter().map(|raw| serde_json::from_str::<Value>(raw.get()).unwrap()));
    }
    assert_eq!(ids(&found), wanted.iter().map(ToString::to_string).collect::<Vec<_>>());
    assert!(done.len() > 2 && done.iter().rev().skip(1).all(|done| !done) && done[done.len() - 1]);
    assert!(client.read_references(selection(5), FieldPath::id(), &[]).next_page().await.unwrap().is_none());
}

#[tokio::test]
async fn a_limit_holds_over_a_lost_locator() {
    let (stub, _) = serve(110, |_, _| {}).await;
    let (client, _, _) = stub.client(1);
    let mut pages = client.read_window(selection(1), Window { limit: Some(60), ..window() });
    pages.next_page().await.unwrap();
    pages.next_page().await.unwrap();
    let limits: Vec<String> = stub
        .seen
        .lock()
        .unwrap()
        .iter()
        .filter_map(|seen| seen.soql.as_ref()?.split(" LIMIT ").nth(1).map(str::to_owned))
        .collect();
    assert_eq!(limits, ["60", "35"]);
}
