//! One record, now: by its id, its page's address or a ticket's number.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::world::{FakeProbe, Served, World};

const CASE: &str = "5003000000D8cuIAAR";

struct Office {
    world: World,
    served: Served,
    path: String,
    /// Case, CaseComment and CaseHistory.
    objects: Vec<String>,
}

async fn office(test: &str) -> Office {
    let world = World::new(test).await;
    let served = world.serve(FakeProbe::Works).await;
    let scope = world.tenant("a").await;
    let connection = world.connection(&scope).await;
    let path = format!("/v1/tenants/{}/connections/{connection}", scope.tenant());
    let mut objects = Vec::new();
    for api_name in ["Case", "CaseComment", "CaseHistory"] {
        let body = json!({ "api_name": api_name });
        let made =
            served.ask(Method::POST, &format!("{path}/objects"), Some(&served.operator), Some(&body)).await;
        assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
        objects.push(made.body["id"].as_str().unwrap().to_owned());
    }
    refrain_shared::storage::dispatch::jobs_reconcile(&world.db).await.unwrap();
    world.sql("UPDATE checkpoints SET state = 'current', watermark_at = now()").await;
    world.sql("INSERT INTO describes (object_id, tenant_id, body, linked, fetched_at)
        SELECT object_id, tenant_id, jsonb_build_object('fields', jsonb_build_array(
            jsonb_build_object('name', 'ParentId', 'referenceTo', jsonb_build_array('Case')),
            jsonb_build_object('name', 'CaseId', 'referenceTo', jsonb_build_array('Case')))), '[]', now() FROM object_syncs").await;
    Office { world, served, path: format!("{path}/records/sync"), objects }
}

impl Office {
    async fn ask(&self, record: &str) -> (StatusCode, Value) {
        let answer = self
            .served
            .ask(Method::POST, &self.path, Some(&self.served.operator), Some(&json!({ "record": record })))
            .await;
        (answer.status, answer.body)
    }

    /// The jobs that asking made, each as its object, class and parameters, and forgets them.
    async fn jobs(&self) -> Vec<(String, String, Value)> {
        let rows = self
            .world
            .value("SELECT coalesce(jsonb_agg(jsonb_build_array('obj_' || object_id, class, params) ORDER BY object_id), '[]') FROM jobs WHERE kind = 'related'")
            .await;
        self.world.sql("DELETE FROM jobs WHERE kind = 'related'").await;
        let rows: Vec<(String, i16, Value)> = serde_json::from_str(&rows).unwrap();
        rows.into_iter().map(|(object, class, params)| (object, class.to_string(), params)).collect()
    }
}

#[tokio::test]
async fn a_record_is_read_with_its_children_before_everything_else() {
    let office = office("records_one").await;
    for named in
        [CASE, "5003000000D8cuI", "https://acme.lightning.force.com/lightning/r/Case/5003000000D8cuIAAR/view"]
    {
        let (status, body) = office.ask(named).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{body}");
        assert_eq!(body["record"], json!(format!("{}.{CASE}", office.objects[0])));
        let jobs = office.jobs().await;
        let fields: Vec<(&str, &str, &Value)> =
            jobs.iter().map(|(object, class, params)| (&**object, &**class, &params["field"])).collect();
        let (id, parent, case) = (json!("Id"), json!("ParentId"), json!("CaseId"));
        assert_eq!(
            fields,
            [
                (&*office.objects[0], "0", &id),
                (&*office.objects[1], "0", &parent),
                (&*office.objects[2], "0", &case)
            ],
            "{named}"
        );
        assert!(jobs.iter().all(|(_, _, params)| params["ids"] == json!([CASE])));
    }
}

#[tokio::test]
async fn a_number_is_looked_up_here_and_else_asked_for_at_salesforce() {
    let office = office("records_number").await;
    let (status, body) = office.ask("1026").await;
    assert_eq!((status, &body["number"]), (StatusCode::ACCEPTED, &json!("1026")));
    let jobs = office.jobs().await;
    assert_eq!(jobs.len(), 1, "only cases have numbers");
    assert_eq!(jobs[0].2["numbers"], json!(["1026", "00001026"]));

    office.world.sql(&format!(
        "INSERT INTO tickets (tenant_id, connection_id, object_id, record_id, state, number, last_activity_at, mapping_epoch, feed_seq)
         SELECT tenant_id, connection_id, object_id, '{CASE}', 0, '00001026', now(), 0, 1 FROM object_syncs WHERE api_name = 'Case'"
    )).await;
    for number in ["1026", "#00001026"] {
        let (status, body) = office.ask(number).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{body}");
        assert_eq!(body["record"], json!(format!("{}.{CASE}", office.objects[0])));
        assert_eq!(office.jobs().await.len(), 3);
    }
}

#[tokio::test]
async fn what_names_no_record_or_one_of_another_object_is_told() {
    let office = office("records_wrong").await;
    for nothing in ["", "hello", "5003000000D8cuIAAB", "https://acme.my.salesforce.com/home"] {
        let (status, body) = office.ask(nothing).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{nothing} {body}");
    }
    let (status, body) = office.ask("0033000000D8cuIAAR").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(body["what"].as_str().unwrap().contains("Contact"), "{body}");
    let (_, body) = office.ask("a0X3000000D8cuIEAR").await;
    assert!(body["what"].as_str().unwrap().contains("a0X"), "{body}");
    assert!(office.jobs().await.is_empty());
}
