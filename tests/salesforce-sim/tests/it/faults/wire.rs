//! Broken HTTP, byte by byte.

use std::io::Read;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::Sim;

const SOQL: &str = "SELECT Id, Subject FROM Case LIMIT 20";
const PATH: &str = "/services/data/v66.0/query?q=SELECT+Id,Subject+FROM+Case+LIMIT+20";

async fn open(sim: &Sim) -> TcpStream {
    let address = sim.running.ready.http.trim_start_matches("http://").to_owned();
    let mut socket = TcpStream::connect(&address).await.unwrap();
    let token = &sim.token;
    let request = format!("GET {PATH} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    socket
}

/// Everything that comes until the server closes.
async fn raw(sim: &Sim) -> (String, Vec<u8>) {
    let mut socket = open(sim).await;
    let mut bytes = Vec::new();
    socket.read_to_end(&mut bytes).await.unwrap();
    let head = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    (String::from_utf8_lossy(&bytes[..head]).into_owned(), bytes[head..].to_vec())
}

async fn framing(sim: &Sim, how: &str) -> (String, Vec<u8>) {
    sim.fault(json!({"kind": "framing", "how": how})).await;
    raw(sim).await
}

fn length(head: &str) -> usize {
    let (_, rest) = head.split_once("Content-Length: ").unwrap_or_else(|| panic!("no length in {head}"));
    rest.lines().next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_length_can_be_wrong_in_either_direction() {
    let sim = Sim::start().await;
    let (head, body) = framing(&sim, "short_length").await;
    assert!(length(&head) < body.len(), "{head}");
    assert!(serde_json::from_slice::<Value>(&body).is_ok(), "the body itself is whole");
    let (head, body) = framing(&sim, "long_length").await;
    assert!(length(&head) > body.len());
    for how in ["long_length", "bad_chunk", "no_last_chunk", "early_close"] {
        sim.fault(json!({"kind": "framing", "how": how})).await;
        let answer = sim.query_request("query", SOQL).send().await;
        let read = match answer {
            Ok(answer) => answer.bytes().await.map(|_| ()),
            Err(error) => Err(error),
        };
        assert!(read.is_err(), "{how} is noticed by an HTTP client");
    }
    assert_eq!(sim.ask(SOQL).await.0, 200, "other connections are not harmed");
}

#[tokio::test]
async fn chunks_can_be_broken() {
    let sim = Sim::start().await;
    let (head, body) = framing(&sim, "both_lengths").await;
    assert!(head.contains("Transfer-Encoding: chunked") && length(&head) < body.len());
    let (_, body) = framing(&sim, "bad_chunk").await;
    assert!(String::from_utf8_lossy(&body).contains("\r\nzz\r\n"));
    let (_, body) = framing(&sim, "no_last_chunk").await;
    assert!(!body.ends_with(b"0\r\n\r\n"));
    let (head, body) = framing(&sim, "early_close").await;
    assert!(body.ends_with(b"}") && body.len() < length(&head), "it ends with the last record");
}

#[tokio::test]
async fn a_body_can_end_at_each_of_its_bytes_in_turn() {
    let sim = Sim::start().await;
    let sweep = json!({"match": {"path": "/query"}, "times": 30, "fault": {"kind": "truncate", "after": 40, "step": 7}});
    sim.control("/faults", sweep).await;
    let plain = reqwest::Client::builder().no_gzip().build().unwrap();
    let mut lengths = Vec::new();
    for _ in 0..30 {
        let mut answer = plain.get(sim.url(PATH)).bearer_auth(&sim.token).send().await.unwrap();
        let mut read = 0;
        let failed = loop {
            match answer.chunk().await {
                Ok(Some(chunk)) => read += chunk.len(),
                Ok(None) => break false,
                Err(_) => break true,
            }
        };
        assert!(failed, "after {read} bytes");
        lengths.push(read);
    }
    let expected: Vec<usize> = (0..30).map(|hit| 40 + 7 * hit).collect();
    assert_eq!(lengths, expected);
}

#[tokio::test]
async fn an_answer_can_drip() {
    let sim = Sim::start().await;
    // A reader can be late, the server never early: so only too much haste is a failure.
    let dripped = |started: Instant| assert!(started.elapsed() >= Duration::from_millis(9 * 20));
    let mut ten = [0; 10];
    sim.fault(json!({"kind": "slow", "part": "head", "bytes": 1, "every_ms": 20})).await;
    let started = Instant::now();
    open(&sim).await.read_exact(&mut ten).await.unwrap();
    assert_eq!(&ten, b"HTTP/1.1 2");
    dripped(started);

    sim.fault(json!({"kind": "slow", "bytes": 1, "every_ms": 20})).await;
    let mut socket = open(&sim).await;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.unwrap());
    }
    let started = Instant::now();
    // The first byte of the body may have come along with the head.
    socket.read_u8().await.unwrap();
    socket.read_exact(&mut ten).await.unwrap();
    assert_eq!(&ten, b"\"totalSize");
    dripped(started);
}

#[tokio::test]
async fn a_body_can_go_on_for_ever() {
    let sim = Sim::start().await;
    sim.fault(json!({"kind": "endless"})).await;
    let mut socket = open(&sim).await;
    let mut buffer = vec![0; 1 << 16];
    let mut read = 0;
    while read < 5_000_000 {
        let part = socket.read(&mut buffer).await.unwrap();
        assert!(part > 0, "closed after {read} bytes");
        read += part;
    }
    drop(socket);
    assert_eq!(sim.ask(SOQL).await.0, 200, "a client that leaves is let go");
}

#[tokio::test]
async fn bodies_come_in_harmful_encodings() {
    let sim = Sim::start().await;
    let plain = reqwest::Client::builder().no_gzip().build().unwrap();
    let ask = async |fault: Value| {
        sim.fault(fault).await;
        let answer = plain.get(sim.url(PATH)).bearer_auth(&sim.token).send().await.unwrap();
        let encoding = answer.headers()["content-encoding"].to_str().unwrap().to_owned();
        (encoding, answer.bytes().await.unwrap())
    };
    let unzipped = |bytes: &[u8]| {
        let mut out = Vec::new();
        flate2::read::GzDecoder::new(bytes).read_to_end(&mut out).map(|_| out)
    };
    let (encoding, bytes) = ask(json!({"kind": "encoding", "how": "bomb", "bytes": 50_000_000})).await;
    assert_eq!((encoding.as_str(), bytes.len() < 100_000), ("gzip", true), "{} bytes", bytes.len());
    assert_eq!(unzipped(&bytes).unwrap().len(), 50_000_000);
    let (encoding, bytes) = ask(json!({"kind": "encoding", "how": "nested"})).await;
    assert_eq!(encoding, "gzip, gzip");
    let inner = unzipped(&unzipped(&bytes).unwrap()).unwrap();
    assert!(serde_json::from_slice::<Value>(&inner).is_ok());
    let (encoding, bytes) = ask(json!({"kind": "encoding", "how": "garbage"})).await;
    assert_eq!(encoding, "gzip");
    assert!(unzipped(&bytes).is_err());
    assert_eq!(ask(json!({"kind": "encoding", "how": "unknown"})).await.0, "zz-proprietary");
}
