//! What people and autoscalers watch: runnable jobs by class and how long they have been due.

use super::super::error::StoreError;
use super::super::pool::Database;
use crate::job::lease::{Class, Kind};
use crate::limits::OrgSettings;

/// One class of the jobs table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClassStats {
    /// The class.
    pub class: Class,
    /// Due, not in flight, not behind a closed gate, and within what the org's lanes have free: more workers would
    /// take these.
    pub runnable: i64,
    /// Age of the longest-due runnable one, in seconds.
    pub oldest_due_s: f64,
    /// Published or leased.
    pub in_flight: i64,
    /// Waiting for a person.
    pub parked: i64,
}

/// Every class that has due jobs, and the slots of live workers. What is in flight or parked is due as well; what waits for
/// its time, most of a large table, is not looked at.
pub async fn dispatch_stats(db: &Database) -> Result<(Vec<ClassStats>, i64), StoreError> {
    const SQL: &str = "-- dispatch_stats
        WITH known AS (
            SELECT j.class, j.state, j.available_at, j.job_id, j.org_id,
                   least(coalesce((l.settings->>'lanes')::int, $1), (l.crowding->>'allowed')::int
                         + extract(epoch FROM now() - (l.crowding->>'at')::timestamptz)::int / 300) AS lanes,
                   j.state = 0 AND NOT EXISTS (
                       SELECT FROM gates g
                        WHERE g.subject IN (j.tenant_id::text, j.connection_id::text, j.org_id, 'obj_' || j.object_id)
                          AND g.blocked_until > now() AND (j.kind <> ALL ($2) OR g.reason = 'closing')) AS ready
              FROM jobs j LEFT JOIN org_limits l USING (org_id)
             WHERE j.available_at <= now()),
        placed AS (
            SELECT class, state, available_at, ready
                   AND row_number() OVER (PARTITION BY org_id, ready ORDER BY class, available_at, job_id)
                       <= lanes - count(*) FILTER (WHERE state IN (1, 2)) OVER (PARTITION BY org_id) AS runnable
              FROM known)
        SELECT class, count(*) FILTER (WHERE runnable),
               coalesce(extract(epoch FROM now() - min(available_at) FILTER (WHERE runnable)), 0)::float8,
               count(*) FILTER (WHERE state IN (1, 2)), count(*) FILTER (WHERE state = 3)
          FROM placed GROUP BY class";
    const SLOTS: &str = "-- worker_slots
        SELECT coalesce(sum(slots), 0) FROM workers WHERE seen_at > now() - interval '30 seconds'";
    let client = db.control().await?;
    let lanes = i32::try_from(OrgSettings::default().lanes).unwrap_or(i32::MAX);
    let statement = client.prepare_cached(SQL).await.map_err(StoreError::at("dispatch_stats"))?;
    let rows = client
        .query(&statement, &[&lanes, &Kind::local_words()])
        .await
        .map_err(StoreError::at("dispatch_stats"))?;
    let slots = client.query_one(SLOTS, &[]).await.map_err(StoreError::at("worker_slots"))?;
    let stats = rows
        .iter()
        .filter_map(|row| {
            Some(ClassStats {
                class: Class::from_number(row.get(0))?,
                runnable: row.get(1),
                oldest_due_s: row.get(2),
                in_flight: row.get(3),
                parked: row.get(4),
            })
        })
        .collect();
    Ok((stats, slots.get(0)))
}
