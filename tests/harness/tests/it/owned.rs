//! Servers that one test owns and breaks.

use harness::TestBed;
use harness::servers::{Options, PrivateServers};
use harness::wait::eventually_ok;
use lapin::BasicProperties;
use lapin::options::{BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions};
use lapin::types::FieldTable;

use crate::{SOON, connect, query_text};

#[tokio::test]
async fn killed_servers_come_back_on_their_ports_with_what_was_confirmed() {
    let servers = PrivateServers::start(Options::throw_away("comeback")).await.unwrap();
    let bed = TestBed::on(&servers, "comeback").await.unwrap();
    let (client, connection) =
        tokio_postgres::connect(bed.database_url(), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute("CREATE TABLE kept AS SELECT 'kept'::text AS word").await.unwrap();
    publish_one(bed.amqp_url()).await;
    // The broker confirms a message before the queue's own entry is surely on disk: its table's log is written up to
    // two seconds later.
    servers.broker_eval("mnesia:sync_log().").await.unwrap();

    tokio::join!(servers.kill_postgres(), servers.kill_broker());
    assert!(query_text(bed.database_url(), "SELECT 'up'").await.is_err());
    assert!(connect(bed.amqp_url()).await.is_err());

    let (postgres, broker) = tokio::join!(servers.restart_postgres(), servers.restart_broker());
    postgres.unwrap();
    broker.unwrap();
    assert_eq!(query_text(bed.database_url(), "SELECT word FROM kept").await.unwrap(), "kept");
    let connection = connect(bed.amqp_url()).await.unwrap();
    let got = eventually_ok(SOON, "the queue to be back", async || {
        // A refusal closes the channel, so each attempt has its own.
        let channel = connection.create_channel().await?;
        channel.basic_get("kept".into(), BasicGetOptions::default()).await
    })
    .await;
    assert_eq!(got.unwrap().delivery.data, b"word");

    servers.memory_alarm(true).await.unwrap();
    servers.memory_alarm(false).await.unwrap();
    assert_eq!(servers.broker_eval("rabbit_alarm:get_alarms().").await.unwrap(), "[]");

    servers.wipe_broker().await.unwrap();
    servers.restart_broker().await.unwrap();
    assert!(connect(bed.amqp_url()).await.is_err(), "a wiped broker has lost the vhost");
    connect(&servers.amqp_url("/")).await.unwrap();
    servers.stop().await;
}

async fn publish_one(url: &str) {
    let connection = connect(url).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare("kept".into(), durable, FieldTable::default()).await.unwrap();
    let lasting = BasicProperties::default().with_delivery_mode(2);
    let confirm = channel
        .basic_publish("".into(), "kept".into(), BasicPublishOptions::default(), b"word", lasting)
        .await
        .unwrap();
    assert!(confirm.await.unwrap().is_ack());
}

#[tokio::test]
async fn a_second_owner_of_the_same_data_is_refused() {
    let options = Options::throw_away("twice").only_postgres();
    let first = PrivateServers::start(options.clone()).await.unwrap();
    let second = PrivateServers::start(options).await;
    assert!(matches!(second, Err(harness::servers::ServersError::Busy(_))));
    assert_eq!(query_text(&first.database_url("postgres"), "SELECT 'untouched'").await.unwrap(), "untouched");
}
