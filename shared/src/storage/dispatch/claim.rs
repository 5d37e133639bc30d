//! Claiming due jobs for publication, fair over tenants.
//!
//! The broker is kept shallow: as many jobs are in flight as live workers can hold twice over, so that what is
//! chosen last is chosen by what is known last. Within that, tenants with the least in flight come first, and
//! what a person or the hourly cadence waits for comes before history. An org's jobs are published as its lanes are
//! free: more of them would be leased, refused and put off. That is a forecast; the worker's own grant decides.

use std::time::Duration;

use super::super::error::StoreError;
use super::super::pool::Database;
use crate::ids::{JobId, TenantId};
use crate::job::lease::{Class, Kind};
use crate::limits::OrgSettings;

/// How much may be claimed.
#[derive(Debug, Clone, Copy)]
pub struct ClaimLimits {
    /// Jobs in one round, at most.
    pub batch: u16,
    /// A message not claimed by a worker for this long is published again.
    pub unclaimed: Duration,
}

/// A job that is ours to publish under this epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// The job.
    pub job: JobId,
    /// Its tenant.
    pub tenant: TenantId,
    /// The epoch of this publication.
    pub epoch: i64,
    /// Its queue.
    pub class: Class,
}

/// Claims due jobs: state published, next epoch. Whoever calls must publish each, or undo it.
///
/// In flight is counted first, so two replicas at the same moment may overshoot by one round; the locks make
/// sure that no job is claimed by both.
pub async fn dispatch_claim(db: &Database, limits: ClaimLimits) -> Result<Vec<Claimed>, StoreError> {
    // `room` counts the slots of workers that still live. `due` walks only the due part of jobs_due: every job in
    // flight is due as well. `lanes` has what is free of each org with work: not taken by a job in flight, nor still
    // held for a job that died. The lateral takes the best few of each tenant in each of its orgs, with gates and
    // lanes already applied, so that blocked work never fills the page. What asks Salesforce for nothing is held up by
    // no gate but that of a tenant that leaves. A class that only a newer build knows has no queue here. `rank` is how many the tenant would then
    // have in flight: ordering by it is fair.
    const SQL: &str = "-- dispatch_claim
        WITH room AS (
            SELECT coalesce(sum(slots), 0)::int AS slots FROM workers WHERE seen_at > now() - interval '30 seconds'),
        due AS MATERIALIZED (
            SELECT tenant_id, org_id,
                   count(*) FILTER (WHERE state = 2 OR (state = 1 AND published_at > now() - $2::float8 * interval '1 second'))
                       AS in_flight,
                   count(*) FILTER (WHERE class > 1
                       AND (state = 2 OR (state = 1 AND published_at > now() - $2::float8 * interval '1 second')))
                       AS in_flight_later,
                   bool_or(state = 0 OR (state = 1 AND published_at <= now() - $2::float8 * interval '1 second')) AS ready
              FROM jobs WHERE available_at <= now() GROUP BY tenant_id, org_id),
        tenants AS (SELECT tenant_id, sum(in_flight) AS in_flight FROM due GROUP BY tenant_id),
        lanes AS MATERIALIZED (
            SELECT o.org_id, least(coalesce((l.settings->>'lanes')::int, $3), (l.crowding->>'allowed')::int
                       + extract(epoch FROM now() - (l.crowding->>'at')::timestamptz)::int / 300) - o.in_flight - (
                       SELECT count(*) FROM jsonb_array_elements(l.lanes) held
                        WHERE (held->>'until')::timestamptz > now()
                          AND NOT EXISTS (SELECT FROM jobs j WHERE j.job_id = (held->>'job')::bigint
                                             AND j.epoch = (held->>'epoch')::bigint AND j.state = 2)) AS free
              FROM (SELECT org_id, sum(in_flight) AS in_flight FROM due
                     GROUP BY org_id HAVING bool_or(ready)) o
              LEFT JOIN org_limits l USING (org_id)),
        free AS (
            SELECT least($1::int, 2 * slots - (SELECT coalesce(sum(in_flight), 0) FROM due))::int AS any_class,
                   -- A quarter of the room is never taken by history and the like.
                   (2 * slots - greatest(slots / 2, 1) - (SELECT coalesce(sum(in_flight_later), 0) FROM due))::int AS later
              FROM room),
        candidates AS (
            SELECT c.job_id, c.class, c.available_at, org_id, l.free AS lanes_free,
                   t.in_flight + row_number() OVER (PARTITION BY d.tenant_id ORDER BY c.class, c.available_at, c.job_id)
                       AS rank
              FROM due d JOIN tenants t USING (tenant_id) JOIN lanes l USING (org_id)
              CROSS JOIN LATERAL (
                SELECT j.job_id, j.class, j.available_at
                  FROM jobs j
                 WHERE j.tenant_id = d.tenant_id AND j.org_id = d.org_id AND j.available_at <= now()
                   AND (j.state = 0 OR (j.state = 1 AND j.published_at <= now() - $2::float8 * interval '1 second'))
                   AND j.class = ANY ($5)
                   AND NOT EXISTS (SELECT FROM gates g
                                    WHERE g.subject IN (j.tenant_id::text, j.connection_id::text, j.org_id, 'obj_' || j.object_id)
                                      AND g.blocked_until > now() AND (j.kind <> ALL ($4) OR g.reason = 'closing'))
                 ORDER BY j.class, j.available_at, j.job_id
                 LIMIT greatest(least((SELECT any_class FROM free), l.free), 0)) c
             WHERE d.ready),
        fair AS (
            SELECT *, row_number() OVER (PARTITION BY org_id ORDER BY class > 1, rank, class, available_at, job_id) AS lane
              FROM candidates),
        in_lanes AS (
            SELECT *, CASE WHEN class > 1 THEN
                          row_number() OVER (PARTITION BY class > 1 ORDER BY rank, class, available_at, job_id)
                      END AS later_place
              FROM fair WHERE lane <= lanes_free),
        picked AS (
            SELECT job_id FROM in_lanes
             WHERE class <= 1 OR later_place <= (SELECT later FROM free)
             ORDER BY class > 1, rank, class, available_at, job_id
             LIMIT greatest((SELECT any_class FROM free), 0)),
        locked AS (
            SELECT j.job_id FROM jobs j
             WHERE j.job_id IN (SELECT job_id FROM picked)
               AND (j.state = 0 OR (j.state = 1 AND j.published_at <= now() - $2::float8 * interval '1 second'))
               FOR UPDATE SKIP LOCKED)
        UPDATE jobs j SET state = 1, epoch = epoch + 1, published_at = now(), updated_at = now()
          FROM locked WHERE j.job_id = locked.job_id
        RETURNING j.job_id, j.tenant_id, j.epoch, j.class";
    let lanes = i32::try_from(OrgSettings::default().lanes).unwrap_or(i32::MAX);
    let client = db.control().await?;
    let statement = client.prepare_cached(SQL).await.map_err(StoreError::at("dispatch_claim"))?;
    let rows = client
        .query(
            &statement,
            &[
                &i32::from(limits.batch),
                &limits.unclaimed.as_secs_f64(),
                &lanes,
                &Kind::local_words(),
                &Class::numbers(),
            ],
        )
        .await
        .map_err(StoreError::at("dispatch_claim"))?;
    let mut claimed: Vec<Claimed> = rows
        .iter()
        .map(|row| {
            Ok(Claimed {
                job: JobId(row.get(0)),
                tenant: TenantId(row.get(1)),
                epoch: row.get(2),
                class: Class::from_number(row.get(3)).ok_or(StoreError::Unreadable("jobs.class"))?,
            })
        })
        .collect::<Result<_, StoreError>>()?;
    claimed.sort_by_key(|job| (job.class, job.job.0));
    Ok(claimed)
}

/// Takes back claims whose message was not confirmed, unless a worker has the job already.
pub async fn dispatch_undo(db: &Database, claimed: &[&Claimed]) -> Result<u64, StoreError> {
    const SQL: &str = "-- dispatch_undo
        UPDATE jobs j SET state = 0, published_at = NULL, updated_at = now()
          FROM unnest($1::bigint[], $2::bigint[]) AS c (job_id, epoch)
         WHERE j.job_id = c.job_id AND j.epoch = c.epoch AND j.state = 1";
    let jobs: Vec<i64> = claimed.iter().map(|claim| claim.job.0).collect();
    let epochs: Vec<i64> = claimed.iter().map(|claim| claim.epoch).collect();
    let client = db.control().await?;
    client.execute(SQL, &[&jobs, &epochs]).await.map_err(StoreError::at("dispatch_undo"))
}
