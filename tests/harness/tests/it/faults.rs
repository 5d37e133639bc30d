//! The fault proxy, before a real database.

use std::time::Duration;

use harness::TestBed;
use harness::proxy::{Fault, FaultProxy};

use crate::{SOON, query_text};

#[tokio::test]
async fn each_fault_holds_until_it_is_taken_back() {
    let bed = TestBed::new("proxy").await;
    let (proxy, url) = FaultProxy::before(bed.database_url()).await.unwrap();
    let ask = async || query_text(&url, "SELECT repeat('x', 100000)").await;
    assert_eq!(ask().await.unwrap().len(), 100_000);

    proxy.set(Fault::TruncateAnswers(20_000));
    assert!(ask().await.is_err(), "a half answer is an error");
    proxy.set(Fault::Cut);
    assert!(ask().await.is_err(), "a cut connection is an error");

    proxy.set(Fault::Freeze);
    let mut frozen = std::pin::pin!(ask());
    tokio::select! {
        _ = &mut frozen => panic!("nothing passes a frozen proxy"),
        () = harness::wait::pass(Duration::from_millis(200)) => {}
    }
    proxy.set(Fault::Delay(Duration::from_millis(5)));
    let thawed = tokio::time::timeout(SOON, frozen).await.unwrap();
    assert_eq!(thawed.unwrap().len(), 100_000);

    proxy.set(Fault::None);
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    let driver = tokio::spawn(connection);
    proxy.cut_once().await;
    assert!(tokio::time::timeout(SOON, driver).await.unwrap().unwrap().is_err());
    assert!(client.is_closed());
    assert_eq!(ask().await.unwrap().len(), 100_000);
    assert_eq!(proxy.connections(), 6);
}
