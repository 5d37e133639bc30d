//! Limit B: the very rows that our tables hold after a load, copied into fresh copies of these tables.

use std::fmt::Write as _;

use anyhow::Context;
use bytes::Bytes;
use demo::stack::Installation;
use futures_util::{SinkExt, TryStreamExt};
use tokio_postgres::Client;

use super::{Sum, connect, in_streams};

/// What a load fills.
const TABLES: [&str; 7] =
    ["records", "messages", "tickets", "ticket_facets", "agents", "customers", "quarantine"];

/// The rows of a table, or a part of them, in PostgreSQL's binary form.
#[derive(Debug, Clone)]
pub(crate) struct Rows {
    table: &'static str,
    chunks: Vec<Bytes>,
}

/// Takes the rows out of our tables into memory, each table in as many parts as there are streams, and makes the
/// fresh copies: same columns, checks, indexes and leaves.
pub(crate) async fn prepare(database: &Client, streams: u32) -> anyhow::Result<Vec<Rows>> {
    database.batch_execute("DROP SCHEMA IF EXISTS limit_b CASCADE; CREATE SCHEMA limit_b").await?;
    let mut rows = Vec::new();
    for table in TABLES {
        copy_structure(database, table).await.with_context(|| format!("make a copy of {table}"))?;
        for stream in 0..streams {
            let sql = format!(
                "COPY (SELECT * FROM {table} WHERE (hashtext(record_id) & 2147483647) % {streams} = {stream}) \
                 TO STDOUT (FORMAT binary)"
            );
            let chunks = database.copy_out(&sql).await?.try_collect().await;
            rows.push(Rows { table, chunks: chunks.with_context(|| format!("read {table}"))? });
        }
    }
    Ok(rows)
}

async fn copy_structure(database: &Client, table: &str) -> anyhow::Result<()> {
    const LEAVES: &str = "SELECT c.relname, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i
          JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = $1::text::regclass ORDER BY c.relname";
    const KEY: &str = "SELECT pg_get_partkeydef($1::text::regclass)";
    let key: String = database.query_one(KEY, &[&format!("public.{table}")]).await?.get(0);
    let mut sql =
        format!("CREATE TABLE limit_b.{table} (LIKE public.{table} INCLUDING ALL) PARTITION BY {key};");
    for leaf in database.query(LEAVES, &[&format!("public.{table}")]).await? {
        let (name, bound): (&str, &str) = (leaf.get(0), leaf.get(1));
        let _ = write!(sql, "CREATE TABLE limit_b.{name} PARTITION OF limit_b.{table} {bound};");
    }
    Ok(database.batch_execute(&sql).await?)
}

/// Copies all rows, one `COPY` a part, a few parts at once.
pub(crate) async fn copy(installation: &Installation, rows: Vec<Rows>, streams: u32) -> anyhow::Result<Sum> {
    in_streams(rows, streams, async |part: Rows| {
        let database = connect(installation).await?;
        let sql = format!("COPY limit_b.{} FROM STDIN (FORMAT binary)", part.table);
        let mut sink = Box::pin(database.copy_in::<_, Bytes>(&sql).await.context("begin COPY")?);
        let bytes = part.chunks.iter().map(|chunk| chunk.len() as u64).sum();
        for chunk in part.chunks {
            sink.feed(chunk).await?;
        }
        let rows = sink.as_mut().finish().await.with_context(|| format!("copy into {}", part.table))?;
        Ok(Sum { rows, bytes })
    })
    .await
}
