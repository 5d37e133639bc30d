//! What a worker holds in memory is bounded by pages, whatever the records are like and however many there are.
//!
//! Here a page is 4 MB. The simulator's own bound for rows with long texts is 8 MB, which makes a worker 138 to 161 MB
//! large with glibc's allocator, and 82 to 92 MB with `MALLOC_ARENA_MAX=2 MALLOC_MMAP_THRESHOLD_=1048576`: much of it is
//! not held but kept.

use futures_util::StreamExt;
use futures_util::stream::iter;
use serde_json::json;

use crate::kills::SHAPE;
use crate::simulator::Shape;
use crate::stack::Stack;
use crate::tenant::Tenant;

/// The goal for a worker, in bytes.
const MOST: u64 = 150_000_000;
/// E-mails of the largest size there is; together as much as a worker may hold.
const EMAILS: usize = 900;
/// Of them, what makes a page of 4 MB.
const PAGE_ROWS: u32 = 25;
/// The platform's longest HTML and plain bodies.
const HTML: usize = 131_072;
const PLAIN: usize = 32_768;

#[tokio::test]
async fn very_long_bodies_do_not_make_a_worker_large() {
    let stack = Stack::running("memory", 1).await;
    let mut tenant = Tenant::without_objects(&stack, Shape { page_rows: PAGE_ROWS, ..SHAPE }).await;
    let case = tenant.simulated.truth("Case").await.remove(0)["Id"].clone();
    let emails = (0..EMAILS).map(|number| {
        // No two alike, and no text that packs into nothing.
        let words = |length: usize| {
            (0_u64..).flat_map(|word| format!("{:x} ", (word + number as u64 * 7_919).wrapping_mul(0x9e37_79b9_7f4a_7c15)).into_bytes())
                .take(length)
                .map(char::from)
                .collect::<String>()
        };
        let fields = json!({"ParentId": case, "Subject": format!("Log {number}"), "HtmlBody": words(HTML), "TextBody": words(PLAIN)});
        tenant.simulated.control("records", json!({"object": "EmailMessage", "fields": fields}))
    });
    iter(emails).buffer_unordered(4).collect::<Vec<_>>().await;
    tenant.ask_for_objects(&stack).await;
    tenant.assert_catches_up(&stack).await;
    let peak = stack.workers[0].peak_memory().unwrap();
    println!(
        "peak memory of a worker that read {EMAILS} e-mails of {} kB: {} MB",
        (HTML + PLAIN) / 1024,
        peak / 1_000_000
    );
    assert!(peak < MOST, "the worker held {peak} bytes");
    stack.finish(&[&tenant], &[]).await;
}
