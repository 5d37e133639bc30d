//! Bulk query jobs, seen as a client sees them.

use reqwest::Response;
use serde_json::{Value, json};

use crate::support::{Sim, read};

const JOBS: &str = "/services/data/v66.0/jobs/query";

async fn create(sim: &Sim, body: Value) -> (u16, Value) {
    let sent = sim.http.post(sim.url(JOBS)).bearer_auth(&sim.token).json(&body).send().await;
    read(sent.unwrap()).await
}

async fn query_job(sim: &Sim, soql: &str) -> String {
    let (status, job) = create(sim, json!({"operation": "query", "query": soql})).await;
    assert_eq!(status, 200, "{job}");
    job["id"].as_str().unwrap().to_owned()
}

async fn complete(sim: &Sim, id: &str) -> Value {
    sim.advance(1_000).await;
    let (status, job) = sim.get(&format!("{JOBS}/{id}")).await;
    assert_eq!((status, &job["state"]), (200, &json!("JobComplete")), "{job}");
    job
}

async fn results(sim: &Sim, id: &str, query: &[(&str, &str)]) -> Response {
    let request = sim.request(&format!("{JOBS}/{id}/results")).query(query);
    request.send().await.unwrap()
}

fn header(answer: &Response, name: &str) -> String {
    answer.headers()[name].to_str().unwrap().to_owned()
}

/// All sets of a job: (text of all sets, number of sets).
async fn all_sets(sim: &Sim, id: &str, most: &str) -> (Vec<String>, usize) {
    let (mut lines, mut sets, mut locator) = (Vec::new(), 0, None::<String>);
    loop {
        let mut query = vec![("maxRecords", most)];
        query.extend(locator.as_deref().map(|locator| ("locator", locator)));
        let answer = results(sim, id, &query).await;
        assert_eq!(answer.status(), 200);
        let rows: usize = header(&answer, "sforce-numberofrecords").parse().unwrap();
        let next = header(&answer, "sforce-locator");
        let text = answer.text().await.unwrap();
        let set: Vec<&str> = text.lines().collect();
        assert_eq!(set.len(), rows + 1, "a header and as many rows as the header says");
        lines.extend(set[1..].iter().map(|line| (*line).to_owned()));
        sets += 1;
        if next == "null" {
            return (lines, sets);
        }
        locator = Some(next);
    }
}

#[tokio::test]
async fn a_job_goes_through_its_states_and_delivers_what_rest_does() {
    let sim = Sim::start().await;
    sim.control("/bulk", json!({"queue_ms": 60_000, "run_ms": 60_000})).await;
    let id = query_job(&sim, "SELECT Id, Subject, CreatedDate, Contact.Name, IsClosed FROM Case").await;
    let state = async || sim.get(&format!("{JOBS}/{id}")).await.1["state"].clone();
    assert_eq!(state().await, "UploadComplete");
    assert_eq!(results(&sim, &id, &[]).await.status(), 204, "no results before the job is complete");
    sim.advance(61_000).await;
    assert_eq!(state().await, "InProgress");
    sim.advance(61_000).await;
    let (_, job) = sim.get(&format!("{JOBS}/{id}")).await;
    let rows = sim.count("SELECT COUNT() FROM Case").await;
    assert_eq!((&job["state"], &job["numberRecordsProcessed"]), (&json!("JobComplete"), &json!(rows)));
    assert_eq!((&job["jobType"], &job["apiVersion"]), (&json!("V2Query"), &json!(66.0)));

    let answer = results(&sim, &id, &[]).await;
    assert_eq!(header(&answer, "content-type"), "text/csv; charset=UTF-8");
    assert_eq!(header(&answer, "sforce-locator"), "null");
    let text = answer.text().await.unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("\"Id\",\"Subject\",\"CreatedDate\",\"Contact.Name\",\"IsClosed\""));
    let page =
        sim.query("SELECT Id, Subject, CreatedDate, Contact.Name, IsClosed FROM Case ORDER BY Id").await;
    for record in page["records"].as_array().unwrap() {
        let text = |value: &Value| value.as_str().unwrap_or_default().replace('"', "\"\"");
        let expected = format!(
            "\"{}\",\"{}\",\"{}\",\"{}\",\"{}\"",
            text(&record["Id"]),
            text(&record["Subject"]),
            text(&record["CreatedDate"]).replace("+0000", "Z"),
            text(&record["Contact"]["Name"]),
            record["IsClosed"],
        );
        assert_eq!(lines.next(), Some(expected.as_str()));
    }
    assert_eq!(lines.next(), None);
}

#[tokio::test]
async fn sets_continue_by_locator_and_can_be_read_again() {
    let sim = Sim::start().await;
    let id = query_job(&sim, "SELECT Id FROM Case").await;
    complete(&sim, &id).await;
    let (whole, sets) = all_sets(&sim, &id, "100000").await;
    assert_eq!(sets, 1);
    let (parts, sets) = all_sets(&sim, &id, "7").await;
    assert_eq!(sets, whole.len().div_ceil(7));
    assert_eq!(parts, whole);
    let first = results(&sim, &id, &[("maxRecords", "7")]).await;
    let locator = header(&first, "sforce-locator");
    let again = async || results(&sim, &id, &[("locator", &locator)]).await.text().await.unwrap();
    assert_eq!(again().await, again().await);
    let bad = results(&sim, &id, &[("locator", "bm9uc2Vuc2U")]).await;
    assert_eq!(bad.status(), 400);
}

#[tokio::test]
async fn a_result_does_not_change_while_the_job_exists() {
    let sim = Sim::start().await;
    let case = sim.insert("Case", json!({"Subject": "before"})).await;
    let id = query_job(&sim, &format!("SELECT Id, Subject FROM Case WHERE Id = '{case}'")).await;
    complete(&sim, &id).await;
    sim.control(&format!("/records/Case/{case}"), json!({"fields": {"Subject": "after"}})).await;
    sim.control(&format!("/records/Case/{case}/delete"), json!({})).await;
    let text = results(&sim, &id, &[]).await.text().await.unwrap();
    assert_eq!(text, format!("\"Id\",\"Subject\"\n\"{case}\",\"before\"\n"));
}

#[tokio::test]
async fn parallel_pages_together_are_the_result() {
    let sim = Sim::start().await;
    sim.control("/bulk", json!({"set_rows": 9})).await;
    let id = query_job(&sim, "SELECT Id FROM Case").await;
    complete(&sim, &id).await;
    let (whole, _) = all_sets(&sim, &id, "100000").await;
    let (mut lines, mut at) = (Vec::new(), format!("{JOBS}/{id}/resultPages"));
    loop {
        let (status, pages) = sim.get(&at).await;
        assert_eq!(status, 200);
        let urls = pages["resultPages"].as_array().unwrap();
        assert!(urls.len() <= 5);
        for page in urls {
            let answer = sim.request(page["resultUrl"].as_str().unwrap()).send().await.unwrap();
            assert!(header(&answer, "sforce-numberofrecords").parse::<usize>().unwrap() <= 9);
            let text = answer.text().await.unwrap();
            lines.extend(text.lines().skip(1).map(str::to_owned));
        }
        match pages["nextRecordsUrl"].as_str() {
            Some(next) => at = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(lines, whole);
    let old = at.replace("v66.0", "v60.0");
    assert_eq!(sim.get(&old).await.0, 409, "results are read with the job's own version");
}

#[tokio::test]
async fn the_layout_is_the_clients_choice() {
    let sim = Sim::start().await;
    let case = sim.insert("Case", json!({"Subject": "a;b\"c\"\r\nd, e", "SuppliedName": "N/A"})).await;
    let soql = format!("SELECT Subject, Id, SuppliedName, SuppliedEmail FROM Case WHERE Id = '{case}'");
    let body = json!({"operation": "query", "query": soql, "contentType": "CSV", "columnDelimiter": "SEMICOLON",
        "lineEnding": "CRLF"});
    let id = create(&sim, body).await.1["id"].as_str().unwrap().to_owned();
    complete(&sim, &id).await;
    let text = results(&sim, &id, &[]).await.text().await.unwrap();
    let expected = format!(
        "\"Subject\";\"Id\";\"SuppliedName\";\"SuppliedEmail\"\r\n\"a;b\"\"c\"\"\r\nd, e\";\"{case}\";\"N/A\";\"\"\r\n"
    );
    assert_eq!(text, expected);

    let empty = query_job(&sim, "SELECT Id, Subject FROM Case WHERE Subject = 'nobody wrote this'").await;
    complete(&sim, &empty).await;
    let answer = results(&sim, &empty, &[]).await;
    assert_eq!(header(&answer, "sforce-numberofrecords"), "0");
    assert_eq!(answer.text().await.unwrap(), "\"Id\",\"Subject\"\n");
}

#[tokio::test]
async fn old_versions_sort_the_columns() {
    let sim = Sim::start().await;
    let url = sim.url("/services/data/v49.0/jobs/query");
    let body = json!({"operation": "query", "query": "SELECT Subject, Contact.Name, Id FROM Case LIMIT 1"});
    let sent = sim.http.post(&url).bearer_auth(&sim.token).json(&body).send().await.unwrap();
    let (status, job) = read(sent).await;
    assert_eq!(status, 200, "{job}");
    sim.advance(1_000).await;
    let path = format!("/services/data/v49.0/jobs/query/{}/results", job["id"].as_str().unwrap());
    let text = sim.request(&path).send().await.unwrap().text().await.unwrap();
    assert_eq!(text.lines().next(), Some("\"Contact.Name\",\"Id\",\"Subject\""));
}

#[tokio::test]
async fn results_are_compressed_for_those_who_ask() {
    let sim = Sim::start().await;
    let id = query_job(&sim, "SELECT Id, Subject, Description FROM Case").await;
    complete(&sim, &id).await;
    let plain = results(&sim, &id, &[]).await.text().await.unwrap();
    let raw = reqwest::Client::builder().no_gzip().build().unwrap();
    let url = sim.url(&format!("{JOBS}/{id}/results"));
    let request = raw.get(url).bearer_auth(&sim.token).header("Accept-Encoding", "gzip");
    let answer = request.send().await.unwrap();
    assert_eq!(header(&answer, "content-encoding"), "gzip");
    let bytes = answer.bytes().await.unwrap();
    let mut text = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&bytes[..]), &mut text).unwrap();
    assert_eq!(text, plain);
    assert!(bytes.len() < plain.len());
}

#[tokio::test]
async fn deleted_records_come_with_query_all_only() {
    let sim = Sim::start().await;
    let case = sim.insert("Case", json!({"Subject": "gone"})).await;
    sim.control(&format!("/records/Case/{case}/delete"), json!({})).await;
    let soql = format!("SELECT Id, IsDeleted FROM Case WHERE Id = '{case}'");
    for (operation, rows) in [("query", "0"), ("queryAll", "1")] {
        let (_, job) = create(&sim, json!({"operation": operation, "query": soql})).await;
        assert_eq!(job["operation"], operation);
        let id = job["id"].as_str().unwrap();
        complete(&sim, id).await;
        assert_eq!(header(&results(&sim, id, &[]).await, "sforce-numberofrecords"), rows);
    }
}

#[tokio::test]
async fn bulk_refuses_what_the_platform_refuses() {
    let sim = Sim::start().await;
    let refusals = [
        ("SELECT COUNT(Id) FROM Case", "API_ERROR", "Aggregate functions"),
        ("SELECT Status FROM Case GROUP BY Status", "API_ERROR", "Aggregate functions"),
        ("SELECT Id, (SELECT Id FROM CaseComments) FROM Case", "API_ERROR", "Aggregate Relationships"),
        ("SELECT Id FROM Case LIMIT 5 OFFSET 5", "API_ERROR", "OFFSET"),
        ("SELECT TYPEOF Owner WHEN User THEN Name END FROM Case", "API_ERROR", "TYPEOF"),
        ("SELECT FIELDS(ALL) FROM Case LIMIT 5", "API_ERROR", "FIELDS(ALL)"),
        ("SELECT Id, MailingAddress FROM Contact", "API_ERROR", "Selecting compound data not supported"),
        (
            "SELECT Id FROM TaskStatus",
            "INVALIDENTITY",
            "Entity 'TaskStatus' is not supported by the Bulk API.",
        ),
        ("SELECT Nope FROM Case", "INVALID_FIELD", "No such column 'Nope'"),
        ("SELECT Id FROM Nope", "INVALID_TYPE", "sObject type 'Nope' is not supported"),
        ("SELECT Id FORM Case", "MALFORMED_QUERY", "unexpected token"),
    ];
    for (soql, code, text) in refusals {
        let (status, body) = create(&sim, json!({"operation": "query", "query": soql})).await;
        assert_eq!((status, &body[0]["errorCode"]), (400, &json!(code)), "{soql}: {body}");
        assert!(body[0]["message"].as_str().unwrap().contains(text), "{soql}: {body}");
    }
    for body in [
        json!({"operation": "insert", "query": "SELECT Id FROM Case"}),
        json!({"operation": "query"}),
        json!({"operation": "query", "query": "SELECT Id FROM Case", "columnDelimiter": "SPACE"}),
        json!({"operation": "query", "query": "SELECT Id FROM Case", "contentType": "JSON"}),
    ] {
        assert_eq!(create(&sim, body).await.1[0]["errorCode"], "INVALIDJOB");
    }
}

#[tokio::test]
async fn jobs_are_aborted_deleted_and_forgotten() {
    let sim = Sim::start().await;
    let patch = async |id: &str, state: &str| {
        let request = sim.http.patch(sim.url(&format!("{JOBS}/{id}"))).bearer_auth(&sim.token);
        read(request.json(&json!({"state": state})).send().await.unwrap()).await
    };
    let delete = async |id: &str| {
        let request = sim.http.delete(sim.url(&format!("{JOBS}/{id}"))).bearer_auth(&sim.token);
        read(request.send().await.unwrap()).await
    };
    let id = query_job(&sim, "SELECT Id FROM Case").await;
    assert_eq!(delete(&id).await.1[0]["errorCode"], "API_ERROR");
    let (status, job) = patch(&id, "Aborted").await;
    assert_eq!((status, &job["state"]), (200, &json!("Aborted")));
    let done = query_job(&sim, "SELECT Id FROM Case").await;
    complete(&sim, &done).await;
    let (status, body) = patch(&done, "Aborted").await;
    assert_eq!((status, &body[0]["errorCode"]), (400, &json!("INVALIDJOBSTATE")));
    assert_eq!(delete(&id).await.0, 204);
    assert_eq!(sim.get(&format!("{JOBS}/{id}")).await.1[0]["errorCode"], "NOT_FOUND");
    sim.advance(7 * 86_400_000 + 1_000).await;
    let mut sim = sim;
    sim.token = sim.log_in().await;
    assert_eq!(sim.get(&format!("{JOBS}/{done}/results")).await.0, 404, "results live seven days");
}

#[tokio::test]
async fn the_list_can_be_filtered() {
    let sim = Sim::start().await;
    let chunked = query_job(&sim, "SELECT Id FROM Case").await;
    let whole = query_job(&sim, "SELECT Id FROM RecordType").await;
    let list = async |query: &str| {
        let (status, list) = sim.get(&format!("{JOBS}{query}")).await;
        assert_eq!((status, &list["done"]), (200, &json!(true)));
        let ids =
            list["records"].as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap().to_owned());
        ids.collect::<Vec<_>>()
    };
    assert_eq!(list("").await, [whole.clone(), chunked.clone()]);
    assert_eq!(list("?isPkChunkingEnabled=true").await, [chunked]);
    assert_eq!(list("?isPkChunkingEnabled=false&jobType=V2Query").await, [whole]);
    assert!(list("?jobType=V2Ingest").await.is_empty());
    assert_eq!(sim.get(&format!("{JOBS}?queryLocator=x")).await.0, 400);
}

#[tokio::test]
async fn the_daily_allowance_of_jobs_ends() {
    let sim = Sim::start().await;
    sim.control("/bulk", json!({"daily_jobs": 1})).await;
    query_job(&sim, "SELECT Id FROM Case").await;
    let (status, body) = create(&sim, json!({"operation": "query", "query": "SELECT Id FROM Case"})).await;
    assert_eq!((status, &body[0]["errorCode"]), (400, &json!("LIMIT_EXCEEDED")));
    let limits = sim.get("/services/data/v66.0/limits").await.1;
    assert_eq!(limits["DailyBulkV2QueryJobs"], json!({"Max": 1, "Remaining": 0}));
}

#[tokio::test]
async fn a_planned_failure_shows_in_the_jobs_state() {
    let sim = Sim::start().await;
    let fault = json!({"match": {"path": "/jobs/query", "method": "POST"},
        "fault": {"kind": "job_failure", "message": "QUERY_TIMEOUT : Your query request was running for too long."}});
    sim.control("/faults", fault).await;
    let id = query_job(&sim, "SELECT Id FROM Case").await;
    sim.advance(1_000).await;
    let job = sim.get(&format!("{JOBS}/{id}")).await.1;
    assert_eq!(job["state"], "Failed");
    assert!(job["errorMessage"].as_str().unwrap().starts_with("QUERY_TIMEOUT"));
    let next = query_job(&sim, "SELECT Id FROM Case").await;
    complete(&sim, &next).await;
}

#[tokio::test]
async fn large_jobs_come_in_chunks_in_no_order() {
    let sim = Sim::start().await;
    sim.control("/bulk", json!({"chunk_rows": 10})).await;
    let id = query_job(&sim, "SELECT Id FROM Case").await;
    complete(&sim, &id).await;
    let (lines, _) = all_sets(&sim, &id, "1000").await;
    assert!(!lines.is_sorted());
    let mut sorted = lines.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(sorted.len(), lines.len());
    let ordered = query_job(&sim, "SELECT Id FROM Case ORDER BY Id").await;
    complete(&sim, &ordered).await;
    assert!(all_sets(&sim, &ordered, "1000").await.0.is_sorted());
}
