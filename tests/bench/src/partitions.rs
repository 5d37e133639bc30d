//! How many leaves the content tables should have: the same rows into tables of each number, page by page, a page of
//! each tenant in turn, as the tenants' role under forced row-level security.
//!
//! The rows are staged in the database first, so that nothing but PostgreSQL is measured.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::Context;
use harness::servers::Options as ServerOptions;
use serde_json::json;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use crate::args::PartitionOptions;
use crate::ground::Ground;
use crate::limits::connect;
use crate::meter::{cpu_of_server, postmaster, wal_position};
use crate::report::{median, real};

/// As many rows as a page has.
const PAGE: u32 = 2_000;
/// Look-ups of a page's ids that are timed afterwards, a tenant after the other.
const LOOKUPS: u32 = 64;

/// Rows as wide as a sealed case, an e-mail's place in its conversation, and a ticket.
const STAGE: &str = "
    CREATE UNLOGGED TABLE staged AS
    SELECT n, '500' || lpad(to_hex(n), 12, '0') || 'AAA' AS record_id, now() - n * interval '1 second' AS at,
           decode(md5(n::text), 'hex') AS hash,
           (SELECT decode(string_agg(md5(n::text || i), ''), 'hex') FROM generate_series(1, 70) i) AS payload
      FROM generate_series(0, $rows - 1) n;
    CREATE UNIQUE INDEX ON staged (n);
    ANALYZE staged;
    GRANT SELECT ON staged TO refrain_tenant;";

/// The page commit's own statements, fed from the staged rows.
const WRITES: [&str; 3] = [
    "INSERT INTO records AS r (tenant_id, connection_id, object_id, record_id, modstamp, read_at, field_set_id, state,
                               content_hash, payload)
     SELECT current_tenant(), current_tenant(), 1, record_id, at, at, 1, 0, hash, payload FROM staged
      WHERE n >= $1 AND n < $2 ORDER BY record_id
     ON CONFLICT (tenant_id, connection_id, object_id, record_id) DO UPDATE SET payload = excluded.payload
      WHERE (excluded.modstamp, excluded.read_at) >= (r.modstamp, r.read_at)",
    "INSERT INTO messages (tenant_id, connection_id, object_id, record_id, ticket_record_id, state, kind, direction,
                           public, sent_at, characters)
     SELECT current_tenant(), current_tenant(), 2, record_id, record_id, 0, 'email', 'inbound', true, at, 100
       FROM staged WHERE n >= $1 AND n < $2 ORDER BY record_id
     ON CONFLICT (tenant_id, connection_id, object_id, record_id) DO UPDATE SET state = excluded.state",
    "INSERT INTO tickets (tenant_id, connection_id, object_id, record_id, state, number, status, opened_at, record_at,
                          last_activity_at, mapping_epoch, feed_seq)
     SELECT current_tenant(), current_tenant(), 1, record_id, 0, n::text, 'New', at, at, at, 1, n
       FROM staged WHERE n >= $1 AND n < $2 ORDER BY record_id
     ON CONFLICT (tenant_id, connection_id, object_id, record_id) DO UPDATE SET state = excluded.state",
];

/// As the storage layer looks up what is here of a page.
const LOOKUP: &str = "SELECT k.record_id, r.* FROM staged k
     CROSS JOIN LATERAL (
           SELECT modstamp, content_hash FROM records
            WHERE connection_id = (SELECT current_tenant()) AND object_id = 1 AND record_id = k.record_id OFFSET 0) r
     WHERE k.n >= $1 AND k.n < $2";

/// One load.
struct Sample {
    leaves: u32,
    wall: Duration,
    cpu: Duration,
    wal: u64,
    lookup: Duration,
}

/// Measures and prints.
pub(crate) async fn run(options: &PartitionOptions) -> anyhow::Result<()> {
    let ground = Ground::open(ServerOptions::program("bench").only_postgres()).await?;
    let mut samples = Vec::new();
    for number in 1..=options.repetitions {
        for leaves in &options.leaves {
            eprintln!("{leaves} leaves: repetition {number} of {}", options.repetitions);
            samples.push(sample(&ground, options, *leaves).await?);
        }
    }
    ground.close().await;
    let rows = real(u64::from(options.rows) * u64::from(options.tenants) * 3);
    println!(
        "\n{} rows of {} tenants in each of records, messages and tickets; median of {}",
        options.rows, options.tenants, options.repetitions
    );
    println!(
        "{:>6} {:>10} {:>22} {:>10} {:>22}",
        "leaves", "rows/s", "postgres CPU-s/M rows", "WAL B/row", "ms a look-up of a page"
    );
    let mut results = Vec::new();
    for leaves in &options.leaves {
        let of = |figure: fn(&Sample) -> f64| {
            median(samples.iter().filter(|sample| sample.leaves == *leaves).map(figure).collect())
        };
        let rate = rows / of(|it| it.wall.as_secs_f64());
        let cpu = of(|it| it.cpu.as_secs_f64()) * 1e6 / rows;
        let wal = of(|it| real(it.wal)) / rows;
        let lookup = of(|it| it.lookup.as_secs_f64()) * 1e3;
        println!("{leaves:>6} {rate:>10.0} {cpu:>22.1} {wal:>10.0} {lookup:>22.2}");
        results.push(json!({
            "leaves": leaves, "rows_per_second": rate, "postgres_cpu_seconds_per_million": cpu,
            "wal_bytes_per_row": wal, "lookup_milliseconds": lookup,
        }));
    }
    if options.json {
        println!("{}", json!({"partitions": results}));
    }
    Ok(())
}

async fn sample(ground: &Ground, options: &PartitionOptions, leaves: u32) -> anyhow::Result<Sample> {
    // A schema needs neither broker nor org.
    let installation = ground.migrated("amqp://127.0.0.1:1/".to_owned(), "/dev/null".into()).await?;
    let owner = connect(&installation).await?;
    cut(&owner, leaves).await.context("cut the tables")?;
    owner
        .batch_execute(&STAGE.replace("$rows", &options.rows.to_string()))
        .await
        .context("stage the rows")?;
    owner.batch_execute("CHECKPOINT").await?;
    let server = postmaster(&owner).await?;
    let mut tenant = connect(&installation).await?;
    tenant.batch_execute("SET ROLE refrain_tenant").await?;
    let mut writes = Vec::new();
    for sql in WRITES {
        writes.push(tenant.prepare(sql).await?);
    }
    let (wal, cpu, started) = (wal_position(&owner).await?, cpu_of_server(server), Instant::now());
    for from in (0..options.rows).step_by(PAGE as usize) {
        let range = page(from, options.rows);
        for number in 0..options.tenants {
            let tx = begin(&mut tenant, number).await?;
            for write in &writes {
                tx.execute(write, &[&range.0, &range.1]).await?;
            }
            tx.commit().await?;
        }
    }
    let (wall, cpu) = (started.elapsed(), cpu_of_server(server).saturating_sub(cpu));
    let wal = wal_position(&owner).await? - wal;
    let lookup = lookups(&mut tenant, options).await.context("look rows up")?;
    Ok(Sample { leaves, wall, cpu, wal, lookup })
}

fn page(from: u32, rows: u32) -> (i32, i32) {
    let narrow = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
    (narrow(from), narrow((from + PAGE).min(rows)))
}

async fn lookups(tenant: &mut Client, options: &PartitionOptions) -> anyhow::Result<Duration> {
    let started = Instant::now();
    for number in 0..LOOKUPS {
        let range = page(number * PAGE % options.rows, options.rows);
        let tx = begin(tenant, number % options.tenants).await?;
        tx.query_typed(LOOKUP, &[(&range.0, Type::INT4), (&range.1, Type::INT4)]).await?;
        tx.commit().await?;
    }
    Ok(started.elapsed() / LOOKUPS)
}

async fn begin(tenant: &mut Client, number: u32) -> anyhow::Result<tokio_postgres::Transaction<'_>> {
    let tx = tenant.transaction().await?;
    let id = format!("00000000-0000-7000-8000-{number:012x}");
    tx.query("SELECT set_config('app.tenant', $1, true)", &[&id]).await?;
    Ok(tx)
}

/// Replaces the leaves of the three tables.
async fn cut(owner: &Client, leaves: u32) -> anyhow::Result<()> {
    for parent in ["records", "messages", "tickets"] {
        let old = owner
            .query(
                "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = $1::text::regclass",
                &[&parent],
            )
            .await?;
        let mut sql = String::new();
        for leaf in &old {
            let _ = write!(sql, "DROP TABLE {};", leaf.get::<_, &str>(0));
        }
        for leaf in 0..leaves {
            let _ = write!(
                sql,
                "CREATE TABLE {parent}_{leaf} PARTITION OF {parent} FOR VALUES WITH (MODULUS {leaves}, REMAINDER {leaf});"
            );
        }
        owner.batch_execute(&sql).await?;
    }
    Ok(())
}
