//! Limit A: a bare client reads the same pages into plain tables.

use std::sync::Arc;

use anyhow::Context;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use demo::stack::Installation;
use futures_util::SinkExt;
use refrain_shared::job::checkpoint::cut_slices;
use refrain_shared::salesforce::soql::{Direction, FieldPath, ObjectName, Soql, Window};
use serde::Deserialize;
use tokio_postgres::Client;
use tokio_postgres::types::Json;

use super::row::Columns;
use super::{Sum, connect, in_streams};
use crate::source::{Page, Source};

/// As many rows as Refrain puts into a slice of history.
const SLICE_ROWS: u64 = 25_000;
/// Bytes that are handed to PostgreSQL at once.
const CHUNK: usize = 256 * 1024;
/// PostgreSQL's binary form: signature, no flags, no extension; and the mark of its end.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const TRAILER: &[u8] = b"\xff\xff";

/// A part of an object's history to be read.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    soql: String,
    table: Arc<Table>,
}

#[derive(Debug)]
struct Table {
    copy: String,
    columns: Columns,
}

#[derive(Deserialize)]
struct Field {
    path: String,
}

/// What is to be read: the queries that Refrain asked, cut as it cuts them. `toast` is the compression of the
/// tables' long values: `pglz`, which is PostgreSQL's default, or `lz4`.
pub(crate) async fn prepare(database: &Client, toast: &str) -> anyhow::Result<Vec<Part>> {
    const SQL: &str = "SELECT o.api_name, p.cursor_field, f.fields,
               (SELECT count(*) FROM records r WHERE r.object_id = o.object_id),
               (SELECT min(modstamp) FROM records r WHERE r.object_id = o.object_id), p.watermark_at
          FROM object_syncs o JOIN checkpoints p USING (object_id) JOIN field_sets f USING (field_set_id)
         ORDER BY o.object_id";
    database.batch_execute("DROP SCHEMA IF EXISTS limit_a CASCADE; CREATE SCHEMA limit_a").await?;
    let mut parts = Vec::new();
    for row in database.query(SQL, &[]).await.context("read what was synced")? {
        let (api_name, cursor): (&str, &str) = (row.get(0), row.get(1));
        let fields: Json<Vec<Field>> = row.get(2);
        let paths: Vec<String> = fields.0.into_iter().map(|field| field.path).collect();
        let (oldest, newest): (Option<DateTime<Utc>>, DateTime<Utc>) = (row.get(4), row.get(5));
        let Some(oldest) = oldest else { continue };
        let table = Arc::new(create_table(database, api_name, &paths, toast).await?);
        let rows = u64::try_from(row.get::<_, i64>(3)).unwrap_or(0);
        let object = ObjectName::parse(api_name)?;
        let selected = paths.iter().map(|path| FieldPath::parse(path)).collect::<Result<Vec<_>, _>>()?;
        let cursor = FieldPath::parse(cursor)?;
        for slice in cut_slices(oldest, newest, rows, SLICE_ROWS, DateTime::UNIX_EPOCH) {
            let window = Window {
                from: slice.lo,
                to: slice.hi,
                after: None,
                direction: Direction::Ascending,
                limit: None,
            };
            let soql = Soql::window(&object, &selected, &cursor, &window).to_string();
            parts.push(Part { soql, table: Arc::clone(&table) });
        }
    }
    Ok(parts)
}

async fn create_table(
    database: &Client,
    api_name: &str,
    paths: &[String],
    toast: &str,
) -> anyhow::Result<Table> {
    let quoted: Vec<String> = paths.iter().map(|path| format!("\"{path}\"")).collect();
    let column = |name: &String| format!("{name} text COMPRESSION {toast}");
    let columns: Vec<String> = quoted.iter().map(column).collect();
    let name = format!("limit_a.\"{api_name}\"");
    let sql = format!("CREATE TABLE {name} ({}, PRIMARY KEY (\"Id\"))", columns.join(", "));
    database.batch_execute(&sql).await.context("make a plain table")?;
    let copy = format!("COPY {name} ({}) FROM STDIN (FORMAT binary)", quoted.join(", "));
    Ok(Table { copy, columns: Columns::new(paths) })
}

/// Reads every part and copies it, one `COPY` a part, a few parts at once.
pub(crate) async fn copy(
    installation: &Installation,
    source: &Source,
    parts: Vec<Part>,
    streams: u32,
) -> anyhow::Result<Sum> {
    in_streams(parts, streams, async |part: Part| {
        let database = connect(installation).await?;
        let mut sink = Box::pin(database.copy_in::<_, Bytes>(&part.table.copy).await.context("begin COPY")?);
        let (mut sum, mut chunk) = (Sum::default(), HEADER.to_vec());
        let mut pages = source.pages(&part.soql);
        while let Some(page) = pages.recv().await {
            let page = page?;
            for record in page.records()? {
                part.table.columns.write(record, &mut chunk)?;
                sum.rows += 1;
                if chunk.len() >= CHUNK {
                    sink.send(std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK)).into()).await?;
                }
            }
            sum.bytes += page.size();
        }
        chunk.extend_from_slice(TRAILER);
        sink.send(chunk.into()).await?;
        sink.as_mut().finish().await.context("end COPY")?;
        Ok(sum)
    })
    .await
}

/// Reads every part and throws it away: what the simulator gives when nobody does anything with it.
pub(crate) async fn drain(source: &Source, parts: Vec<Part>, streams: u32) -> anyhow::Result<Sum> {
    in_streams(parts, streams, async |part: Part| {
        let (mut sum, mut pages) = (Sum::default(), source.pages(&part.soql));
        while let Some(page) = pages.recv().await {
            sum.bytes += page.as_ref().map_or(0, Page::size);
            page?;
        }
        Ok(sum)
    })
    .await
}
