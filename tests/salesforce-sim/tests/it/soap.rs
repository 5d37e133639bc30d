//! Logging in as old clients do.

use serde_json::json;

use crate::support::Sim;

async fn post(sim: &Sim, path: &str, body: &str) -> (u16, String) {
    let envelope = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><se:Envelope \
         xmlns:se=\"http://schemas.xmlsoap.org/soap/envelope/\">{body}</se:Envelope>"
    );
    let request =
        sim.http.post(sim.url(path)).header("Content-Type", "text/xml").header("SOAPAction", "\"\"");
    let answer = request.body(envelope).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

async fn login(sim: &Sim, path: &str, password: &str) -> (u16, String) {
    let body = format!(
        "<se:Body><n1:login xmlns:n1=\"urn:partner.soap.sforce.com\"><n1:username>{}</n1:username>\
         <n1:password>{password}</n1:password></n1:login></se:Body>",
        sim.org.username
    );
    post(sim, path, &body).await
}

fn element<'a>(xml: &'a str, name: &str) -> &'a str {
    let (_, rest) = xml.split_once(&format!("<{name}>")).unwrap_or_else(|| panic!("no {name} in {xml}"));
    rest.split_once('<').unwrap().0
}

#[tokio::test]
async fn a_login_opens_a_session_for_the_rest_api() {
    let mut sim = Sim::start().await;
    for (path, kind) in [("/services/Soap/u/59.0", "u"), ("/services/Soap/c/50.0", "c")] {
        let (status, xml) = login(&sim, path, &sim.org.password.clone()).await;
        assert_eq!(status, 200, "{xml}");
        let server = element(&xml, "serverUrl");
        assert!(server.starts_with(&sim.running.ready.http) && server.contains(&format!("/Soap/{kind}/")));
        assert_eq!(element(&xml, "organizationId"), sim.org.org_id);
        assert_eq!(element(&xml, "userName"), sim.org.username);
        sim.token = element(&xml, "sessionId").to_owned();
        assert_eq!(sim.get("/services/data/v66.0/").await.0, 200);
    }
    let logout = format!(
        "<se:Header><SessionHeader><sessionId>{}</sessionId></SessionHeader></se:Header><se:Body><logout/></se:Body>",
        sim.token
    );
    assert_eq!(post(&sim, "/services/Soap/u/59.0", &logout).await.0, 200);
    assert_eq!(sim.get("/services/data/v66.0/").await.0, 401);
}

#[tokio::test]
async fn wrong_credentials_and_new_versions_are_refused() {
    let sim = Sim::start().await;
    let (status, xml) = login(&sim, "/services/Soap/u/59.0", "wrong").await;
    assert_eq!((status, element(&xml, "faultcode")), (500, "sf:INVALID_LOGIN"));
    let good = sim.org.password.clone();
    let (status, xml) = login(&sim, "/services/Soap/u/65.0", &good).await;
    assert_eq!((status, element(&xml, "sf:exceptionCode")), (500, "UNSUPPORTED_API_VERSION"));
    sim.control("/app", json!({"soap_login": false})).await;
    assert_eq!(login(&sim, "/services/Soap/u/59.0", &good).await.0, 500);
    sim.control("/app", json!({"soap_login": true})).await;
    sim.control("/users/default", json!({"active": false})).await;
    let (_, xml) = login(&sim, "/services/Soap/u/59.0", &good).await;
    assert_eq!(element(&xml, "faultcode"), "sf:INVALID_LOGIN");
}
