//! Files of both kinds: attachments, and documents with versions and links.

use serde_json::{Value, json};

use crate::support::{Sim, ids};

async fn refused(sim: &Sim, soql: &str) -> (String, String) {
    let (status, body) = sim.ask(soql).await;
    assert_eq!(status, 400, "{soql}: {body}");
    let text = |key: &str| body[0][key].as_str().unwrap().to_owned();
    (text("errorCode"), text("message"))
}

#[tokio::test]
async fn the_files_of_a_case_are_found_through_their_links() {
    let sim = Sim::start().await;
    let links = sim.truth("/truth/ContentDocumentLink").await;
    let of_case =
        |link: &&Value| link["fields"]["LinkedEntityId"].as_str().is_some_and(|id| id.starts_with("500"));
    let link = &links.iter().find(of_case).unwrap()["fields"];
    let (case, document) =
        (link["LinkedEntityId"].as_str().unwrap(), link["ContentDocumentId"].as_str().unwrap());
    let found = sim
        .query(&format!(
            "SELECT ContentDocumentId, ContentDocument.Title FROM ContentDocumentLink WHERE LinkedEntityId = '{case}'"
        ))
        .await;
    let mut documents = found["records"].as_array().unwrap().iter();
    assert!(documents.any(|one| one["ContentDocumentId"] == document));
    let version = sim
        .query(&format!(
            "SELECT Id, Title, ContentSize, Checksum, VersionData FROM ContentVersion \
             WHERE ContentDocumentId = '{document}' AND IsLatest = true"
        ))
        .await;
    assert_eq!(ids(&version).len(), 1);
    let version = &version["records"][0];
    let bytes =
        sim.request(version["VersionData"].as_str().unwrap()).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(json!(bytes.len()), version["ContentSize"]);
    let checksum = version["Checksum"].as_str().unwrap();
    assert!(checksum.len() == 32 && checksum.bytes().all(|byte| byte.is_ascii_hexdigit()), "{checksum}");
}

#[tokio::test]
async fn links_must_be_asked_for_by_one_of_their_ends_without_query_all_files() {
    let sim = Sim::start().await;
    assert_eq!(sim.ask("SELECT Id FROM ContentDocumentLink LIMIT 1").await.0, 200);
    sim.control("/permissions", json!({"query_all_files": false})).await;
    let (code, message) = refused(&sim, "SELECT Id FROM ContentDocumentLink LIMIT 1").await;
    assert_eq!(code, "MALFORMED_QUERY");
    assert!(message.contains("ContentDocumentLink requires a filter by a single Id"), "{message}");
    let case = ids(&sim.query("SELECT Id FROM Case LIMIT 2").await);
    let within =
        format!("SELECT Id FROM ContentDocumentLink WHERE LinkedEntityId IN ('{}')", case.join("', '"));
    assert_eq!(sim.ask(&within).await.0, 200);
}

#[tokio::test]
async fn the_body_of_an_attachment_is_selected_for_one_row_only() {
    let sim = Sim::start().await;
    let page = sim
        .query("SELECT Id, Parent.Type, BodyLength FROM Attachment WHERE Parent.Type = 'Case' LIMIT 2")
        .await;
    let one = page["records"][0].clone();
    let id = one["Id"].as_str().unwrap();
    let body = sim.query(&format!("SELECT Body FROM Attachment WHERE Id = '{id}'")).await;
    let path = body["records"][0]["Body"].as_str().unwrap();
    assert!(path.ends_with(&format!("/sobjects/Attachment/{id}/Body")), "{path}");
    let bytes = sim.request(path).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(json!(bytes.len()), one["BodyLength"]);
    let (code, message) = refused(&sim, "SELECT Body FROM Attachment LIMIT 2").await;
    assert_eq!(code, "MALFORMED_QUERY", "{message}");
}
