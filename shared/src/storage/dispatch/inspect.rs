//! Jobs for people: where each one is, and why it does not run.

// `Timestamp` by its own name, which the API's description knows.
use chrono::{DateTime, Utc};
use serde::Serialize;
use tokio_postgres::Row;
use tokio_postgres::types::{Json, Timestamp as SqlTimestamp};
use utoipa::ToSchema;

use super::super::error::StoreError;
use super::super::pool::Database;
use crate::clock::Timestamp;
use crate::error::UserMessage;
use crate::ids::{ConnectionId, JobId, ObjectId, WorkerId};
use crate::job::lease::{Class, Kind};
use crate::limits::OrgSettings;
use crate::tenant::TenantScope;

/// A job as people see it; the API shows it as it is.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Job)]
pub struct JobView {
    /// Its id.
    #[schema(value_type = String)]
    pub id: JobId,
    /// The connection it reads through.
    #[serde(rename = "connection_id")]
    #[schema(value_type = Option<String>)]
    pub connection: Option<ConnectionId>,
    /// The object it reads.
    #[serde(rename = "object_id")]
    #[schema(value_type = Option<String>)]
    pub object: Option<ObjectId>,
    /// What it does.
    pub kind: String,
    /// Its queue; null when only a newer build knows it.
    #[schema(value_type = Option<String>)]
    pub class: Option<Class>,
    /// Where it is.
    pub state: JobState,
    /// Due from here on.
    pub available_at: DateTime<Utc>,
    /// Failed tries in a row.
    pub attempt: i32,
    /// Whether it will run once more after this run.
    pub rerun_requested: bool,
    /// Why it does not run now; null when it runs.
    pub waits_for: Option<WaitsFor>,
    /// What a person must do, when parked.
    pub ask: Option<UserMessage>,
    /// Last change.
    pub updated_at: DateTime<Utc>,
}

/// Where a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// In the table, for its time or its turn.
    Waiting,
    /// A message about it is with the broker.
    Published,
    /// A worker has it.
    Leased,
    /// Until a person acts.
    Parked,
}

impl JobState {
    /// Every state, in the order of its number.
    pub const ALL: [Self; 4] = [Self::Waiting, Self::Published, Self::Leased, Self::Parked];

    /// The closed word in the API.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Published => "published",
            Self::Leased => "leased",
            Self::Parked => "parked",
        }
    }

    /// Reads the closed word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }

    fn number(self) -> i16 {
        match self {
            Self::Waiting => 0,
            Self::Published => 1,
            Self::Leased => 2,
            Self::Parked => 3,
        }
    }
}

/// Why a job does not run, in a closed word, and until when if that is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct WaitsFor {
    /// `blackout`, `budget`, `org_quota`, `paused`, `parked`, `closing` (gates); `cadence` or the last attempt's
    /// reason (its time). Of what is due: `newer_version` (a newer build made it), `no_worker` (none lives), `lanes` (as
    /// many as the org allows are under way), `room` (workers have their hands full), `turn` (others come first). `worker`
    /// (published, not taken yet); `person`.
    pub reason: String,
    /// When that ends, where it is known.
    pub until: Option<DateTime<Utc>>,
}

/// One attempt of a job; the API shows it as it is.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Attempt)]
pub struct AttemptView {
    /// Counts leases.
    pub fence: i64,
    /// Who had it.
    #[serde(rename = "worker_id")]
    #[schema(value_type = Option<String>)]
    pub worker: Option<WorkerId>,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub ended_at: DateTime<Utc>,
    /// How it ended.
    pub outcome: String,
    /// Where it failed.
    pub step: Option<String>,
    /// The failure's closed word.
    pub code: Option<String>,
    /// For people.
    pub detail: Option<String>,
    /// Pages committed.
    pub pages: i32,
    /// Records read.
    pub records_read: i64,
    /// Records written.
    pub written: i64,
    /// Calls made.
    pub api_calls: i32,
}

/// A job with the longest of the gates that block it, and what else it may wait for, as the dispatcher sees them. The second
/// argument are the kinds that ask Salesforce for nothing, the third is how many lanes an org has.
const JOBS: &str = "
    WITH flight AS MATERIALIZED (
        SELECT org_id, count(*) AS jobs FROM jobs WHERE available_at <= now() AND state IN (1, 2) GROUP BY org_id),
    fleet AS MATERIALIZED (
        SELECT coalesce(sum(slots), 0)::int8 AS slots, (SELECT coalesce(sum(jobs), 0)::int8 FROM flight) AS jobs
          FROM workers WHERE seen_at > now() - interval '30 seconds')
    SELECT j.job_id, j.connection_id, j.object_id, j.kind, j.class, j.state, j.available_at, j.reason, j.attempt,
           j.rerun_requested, j.ask, j.updated_at, now(), g.reason, g.blocked_until,
           fleet.slots, fleet.jobs, coalesce((l.settings->>'lanes')::int, $3)::int8 - coalesce(f.jobs, 0) - h.held, h.until
      FROM jobs j CROSS JOIN fleet
      LEFT JOIN flight f USING (org_id) LEFT JOIN org_limits l USING (org_id)
     CROSS JOIN LATERAL (
            SELECT min((lane->>'until')::timestamptz) AS until,
                   count(*) FILTER (WHERE NOT EXISTS (
                       SELECT FROM jobs o WHERE o.job_id = (lane->>'job')::bigint
                          AND o.epoch = (lane->>'epoch')::bigint AND o.state = 2)) AS held
              FROM jsonb_array_elements(l.lanes) lane WHERE (lane->>'until')::timestamptz > now()) h
      LEFT JOIN LATERAL (
            SELECT reason, blocked_until FROM gates
             WHERE subject IN (j.tenant_id::text, j.connection_id::text, j.org_id, 'obj_' || j.object_id)
               AND blocked_until > now() AND (j.kind <> ALL ($2) OR reason = 'closing')
             ORDER BY blocked_until DESC LIMIT 1) g ON true
     WHERE j.tenant_id = $1";

/// The tenant's jobs in the order of their ids, after the cursor's.
pub async fn jobs_list(
    db: &Database,
    scope: &TenantScope,
    state: Option<JobState>,
    after: Option<JobId>,
    limit: u16,
) -> Result<Vec<JobView>, StoreError> {
    let sql = format!(
        "-- jobs_list
        {JOBS} AND ($4::int2 IS NULL OR j.state = $4) AND ($5::bigint IS NULL OR j.job_id > $5)
        ORDER BY j.job_id LIMIT $6"
    );
    let client = db.control().await?;
    let rows = client
        .query(
            &sql,
            &[
                &scope.tenant().0,
                &Kind::local_words(),
                &lanes(),
                &state.map(JobState::number),
                &after.map(|id| id.0),
                &i64::from(limit),
            ],
        )
        .await
        .map_err(StoreError::at("jobs_list"))?;
    rows.iter().map(view).collect()
}

/// One job of the tenant.
pub async fn job_get(db: &Database, scope: &TenantScope, job: JobId) -> Result<Option<JobView>, StoreError> {
    let sql = format!("-- job_get\n{JOBS} AND j.job_id = $4");
    let client = db.control().await?;
    let row = client
        .query_opt(&sql, &[&scope.tenant().0, &Kind::local_words(), &lanes(), &job.0])
        .await
        .map_err(StoreError::at("job_get"))?;
    row.as_ref().map(view).transpose()
}

/// The newest attempts of a job; they outlive a finished one-shot.
pub async fn attempts_list(
    db: &Database,
    scope: &TenantScope,
    job: JobId,
    limit: u16,
) -> Result<Vec<AttemptView>, StoreError> {
    const SQL: &str = "-- attempts_list
        SELECT fence, worker_id, started_at, ended_at, outcome, step, code, detail, pages, records_read, written, api_calls
          FROM job_attempts WHERE tenant_id = $1 AND job_id = $2 ORDER BY fence DESC LIMIT $3";
    let client = db.control().await?;
    let rows = client
        .query(SQL, &[&scope.tenant().0, &job.0, &i64::from(limit)])
        .await
        .map_err(StoreError::at("attempts_list"))?;
    Ok(rows
        .iter()
        .map(|row| AttemptView {
            fence: row.get(0),
            worker: row.get::<_, Option<_>>(1).map(WorkerId),
            started_at: row.get(2),
            ended_at: row.get(3),
            outcome: row.get(4),
            step: row.get(5),
            code: row.get(6),
            detail: row.get(7),
            pages: row.get(8),
            records_read: row.get(9),
            written: row.get(10),
            api_calls: row.get(11),
        })
        .collect())
}

fn lanes() -> i32 {
    i32::try_from(OrgSettings::default().lanes).unwrap_or(i32::MAX)
}

fn view(row: &Row) -> Result<JobView, StoreError> {
    let state = usize::try_from(row.get::<_, i16>(5))
        .ok()
        .and_then(|number| JobState::ALL.get(number).copied())
        .ok_or(StoreError::Unreadable("jobs.state"))?;
    let gate = row.get::<_, Option<String>>(13).map(|reason| WaitsFor {
        reason,
        until: match row.get::<_, Option<SqlTimestamp<Timestamp>>>(14) {
            Some(SqlTimestamp::Value(until)) => Some(until),
            _ => None,
        },
    });
    let (available_at, reason, now) = (row.get(6), row.get::<_, Option<String>>(7), row.get(12));
    let (kind, class): (String, _) = (row.get(3), Class::from_number(row.get(4)));
    let fleet = Fleet {
        knows: Kind::from_word(&kind).is_some() && class.is_some(),
        slots: row.get(15),
        in_flight: row.get(16),
        lanes_free: row.get(17),
        lane_ends: row.get(18),
    };
    Ok(JobView {
        id: JobId(row.get(0)),
        connection: row.get::<_, Option<_>>(1).map(ConnectionId),
        object: row.get::<_, Option<_>>(2).map(ObjectId),
        kind,
        class,
        state,
        available_at,
        waits_for: waits_for(state, gate, (available_at, now), reason.as_deref(), &fleet),
        attempt: row.get(8),
        rerun_requested: row.get(9),
        ask: row.get::<_, Option<Json<UserMessage>>>(10).map(|ask| ask.0),
        updated_at: row.get(11),
    })
}

/// What the dispatcher goes by for a due job.
struct Fleet {
    /// Whether this build knows its kind and class.
    knows: bool,
    /// Slots of workers that live.
    slots: i64,
    /// Jobs under way, of everybody.
    in_flight: i64,
    /// Lanes of its org that nothing needs.
    lanes_free: i64,
    /// When the first of them ends by itself, whoever holds it.
    lane_ends: Option<Timestamp>,
}

impl Fleet {
    fn turn(&self) -> WaitsFor {
        let (reason, until) = if !self.knows {
            ("newer_version", None)
        } else if self.slots == 0 {
            ("no_worker", None)
        } else if self.lanes_free <= 0 {
            ("lanes", self.lane_ends)
        } else if self.in_flight >= 2 * self.slots {
            // The dispatcher keeps twice as many under way as can be held.
            ("room", None)
        } else {
            ("turn", None)
        };
        WaitsFor { reason: reason.to_owned(), until }
    }
}

fn waits_for(
    state: JobState,
    gate: Option<WaitsFor>,
    (available_at, now): (Timestamp, Timestamp),
    reason: Option<&str>,
    fleet: &Fleet,
) -> Option<WaitsFor> {
    let plain = |reason: &str| Some(WaitsFor { reason: reason.to_owned(), until: None });
    match state {
        JobState::Leased => None,
        JobState::Parked => plain("person"),
        JobState::Published => plain("worker"),
        JobState::Waiting if gate.is_some() => gate,
        JobState::Waiting if available_at > now => {
            Some(WaitsFor { reason: reason.unwrap_or("cadence").to_owned(), until: Some(available_at) })
        }
        JobState::Waiting => Some(fleet.turn()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Fleet = Fleet { knows: true, slots: 8, in_flight: 3, lanes_free: 2, lane_ends: None };

    #[test]
    fn the_reason_for_waiting_is_the_one_that_decides() {
        let now: Timestamp = "2026-11-23T14:00:00Z".parse().unwrap();
        let later = now + chrono::Duration::minutes(5);
        let gate = Some(WaitsFor { reason: "blackout".to_owned(), until: Some(later) });
        let waits = |state, gate, at, reason| waits_for(state, gate, (at, now), reason, &IDLE);
        assert_eq!(waits(JobState::Waiting, gate.clone(), now, None), gate);
        let word = |state, gate, at, reason| waits(state, gate, at, reason).map(|waits| waits.reason);
        assert_eq!(word(JobState::Leased, gate.clone(), now, None), None);
        assert_eq!(word(JobState::Waiting, None, later, None).as_deref(), Some("cadence"));
        assert_eq!(word(JobState::Waiting, None, later, Some("lanes")).as_deref(), Some("lanes"));
        assert_eq!(word(JobState::Waiting, None, now, Some("lanes")).as_deref(), Some("turn"));
        assert_eq!(word(JobState::Published, gate, now, None).as_deref(), Some("worker"));
        assert_eq!(word(JobState::Parked, None, now, None).as_deref(), Some("person"));
    }

    #[test]
    fn a_due_job_says_what_keeps_it_from_being_chosen() {
        let now: Timestamp = "2026-11-23T14:00:00Z".parse().unwrap();
        let taken = Fleet { lanes_free: 0, lane_ends: Some(now), ..IDLE };
        assert_eq!(taken.turn(), WaitsFor { reason: "lanes".to_owned(), until: Some(now) });
        let word = |fleet: Fleet| fleet.turn().reason;
        assert_eq!(word(Fleet { in_flight: 16, ..IDLE }), "room");
        assert_eq!(word(Fleet { slots: 0, in_flight: 0, ..taken }), "no_worker");
        assert_eq!(word(Fleet { knows: false, slots: 0, ..IDLE }), "newer_version");
    }
}
