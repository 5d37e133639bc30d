//! A test's own database and vhost.

use std::sync::atomic::{AtomicU32, Ordering};

use harness::{Schema, TestBed};
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;

use crate::{connect, query_text};

#[tokio::test]
async fn two_beds_share_neither_tables_nor_queues() {
    let (one, two) = tokio::join!(TestBed::new("beds_one"), TestBed::new("beds_two"));
    query_text(one.database_url(), "CREATE TABLE only_here AS SELECT 1 AS x; SELECT 'done'")
        .await
        .unwrap_err();
    let (client, connection) =
        tokio_postgres::connect(one.database_url(), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute("CREATE TABLE only_here (x int)").await.unwrap();
    let seen = "SELECT coalesce(to_regclass('only_here')::text, 'absent')";
    assert_eq!(query_text(one.database_url(), seen).await.unwrap(), "only_here");
    assert_eq!(query_text(two.database_url(), seen).await.unwrap(), "absent");

    let broker = connect(one.amqp_url()).await.unwrap();
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    let mut quorum = FieldTable::default();
    quorum.insert("x-queue-type".into(), lapin::types::AMQPValue::LongString("quorum".into()));
    let channel = broker.create_channel().await.unwrap();
    channel.queue_declare("only.here".into(), durable, quorum).await.unwrap();
    let other = connect(two.amqp_url()).await.unwrap();
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let channel = other.create_channel().await.unwrap();
    assert!(channel.queue_declare("only.here".into(), passive, FieldTable::default()).await.is_err());

    let (first, second) = (one.database_url().to_owned(), two.amqp_url().to_owned());
    one.finish().await.unwrap();
    drop(two);
    assert!(query_text(&first, "SELECT 'there'").await.is_err(), "finish removes the database");
    assert!(connect(&second).await.is_err(), "dropping the bed removes the vhost");
}

#[tokio::test]
async fn a_schema_is_installed_once_and_copied_for_each_test() {
    static INSTALLED: AtomicU32 = AtomicU32::new(0);
    let content: [u8; 16] = std::array::from_fn(|_| rand_byte());
    let schema = || {
        Schema::new(&content, async |url: String| {
            INSTALLED.fetch_add(1, Ordering::SeqCst);
            let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await?;
            let driver = tokio::spawn(connection);
            client.batch_execute("CREATE TABLE installed AS SELECT 'yes'::text AS answer").await?;
            drop(client);
            let _ = driver.await;
            Ok::<(), tokio_postgres::Error>(())
        })
    };
    let (one, two) = tokio::join!(
        TestBed::with_schema("schema_one", schema()),
        TestBed::with_schema("schema_two", schema())
    );
    for bed in [&one, &two] {
        assert_eq!(query_text(bed.database_url(), "SELECT answer FROM installed").await.unwrap(), "yes");
    }
    assert_eq!(INSTALLED.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_schema_that_fails_says_so_and_is_tried_again() {
    let content: [u8; 16] = std::array::from_fn(|_| rand_byte());
    let failing = Schema::new(&content, async |_url: String| Err::<(), &str>("no such extension"));
    let error = TestBed::try_with_schema("schema_fails", failing).await.map(drop).unwrap_err();
    assert!(error.to_string().contains("no such extension"), "{error}");
    let working = Schema::new(&content, async |_url: String| Ok::<(), &str>(()));
    TestBed::with_schema("schema_works", working).await.finish().await.unwrap();
}

/// Fresh content, so that a template of an earlier run does not stand in.
fn rand_byte() -> u8 {
    use std::hash::{BuildHasher, Hasher};
    u8::try_from(std::collections::hash_map::RandomState::new().build_hasher().finish() & 0xff).unwrap()
}
