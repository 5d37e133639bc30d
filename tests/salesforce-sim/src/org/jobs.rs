//! Bulk query jobs: what was asked, how far each has come, and the day's allowance of them.
//!
//! A job's times are fixed when it is created: it waits, runs and is complete by the simulated clock, so its
//! state follows from the time alone and a test can jump over any of it. Its rows are those that were visible when
//! it was created, read as they were then: a result never changes while the job exists.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::id::SfId;
use crate::query::RowSet;
use crate::soql::plan::Plan;
use crate::time::DAY_MS;

/// Results are kept this long after completion.
const KEPT_MS: i64 = 7 * DAY_MS;

/// How jobs of an org run. All times are simulated milliseconds.
#[derive(Clone, Debug)]
pub struct JobSettings {
    /// A job waits at least this long.
    pub queue_ms: i64,
    /// A job runs at least this long.
    pub run_ms: i64,
    /// Jobs that run at once; further ones wait.
    pub concurrent: usize,
    /// Jobs allowed in 24 hours.
    pub daily_jobs: u64,
    /// Result kilobytes allowed in 24 hours.
    pub daily_kb: u64,
    /// Rows of a result set when the client names no number.
    pub set_rows: usize,
    /// Rows of one chunk of a job that is cut by id.
    pub chunk_rows: usize,
}

impl Default for JobSettings {
    fn default() -> Self {
        Self {
            queue_ms: 100,
            run_ms: 200,
            concurrent: 25,
            daily_jobs: 10_000,
            daily_kb: 1_000_000_000,
            set_rows: 50_000,
            chunk_rows: 100_000,
        }
    }
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobState {
    /// Created, waiting.
    UploadComplete,
    /// Running.
    InProgress,
    /// Results can be fetched.
    JobComplete,
    /// It failed and stays so.
    Failed,
    /// The client gave it up.
    Aborted,
}

impl JobState {
    /// The platform's word.
    pub fn name(self) -> &'static str {
        match self {
            Self::UploadComplete => "UploadComplete",
            Self::InProgress => "InProgress",
            Self::JobComplete => "JobComplete",
            Self::Failed => "Failed",
            Self::Aborted => "Aborted",
        }
    }

    /// Whether nothing more will happen.
    pub fn is_final(self) -> bool {
        matches!(self, Self::JobComplete | Self::Failed | Self::Aborted)
    }
}

/// What a client chose for the text of the results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// Name and character of the column delimiter.
    pub delimiter: (&'static str, u8),
    /// `LF` or `CRLF`.
    pub line_ending: &'static str,
}

/// What a new job asks for.
#[derive(Clone, Debug)]
pub struct JobRequest {
    /// Whether deleted rows count.
    pub with_deleted: bool,
    /// API name of the object.
    pub object: String,
    /// The user who asked.
    pub by: SfId,
    /// `66`
    pub api_version: u32,
    /// How results are written.
    pub format: Format,
    /// The statement.
    pub soql: Arc<str>,
    /// Its plan.
    pub plan: Arc<Plan>,
    /// Its rows, in the order they will be delivered.
    pub rows: RowSet,
    /// Whether the platform can cut it by id.
    pub chunked: bool,
    /// Why it will fail, if it will.
    pub failure: Option<String>,
    /// How often the platform tried before.
    pub retries: u32,
}

/// A job.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its id.
    pub id: SfId,
    /// What was asked.
    pub request: JobRequest,
    /// When it was created; its rows are read as of then.
    pub created_at: i64,
    started_at: i64,
    ended_at: i64,
    aborted_at: Option<i64>,
}

impl Job {
    /// Where it stands at a moment.
    pub fn state(&self, now: i64) -> JobState {
        match self.aborted_at {
            Some(_) => JobState::Aborted,
            None if now < self.started_at => JobState::UploadComplete,
            None if now < self.ended_at => JobState::InProgress,
            None if self.request.failure.is_some() => JobState::Failed,
            None => JobState::JobComplete,
        }
    }

    /// When it last changed its state.
    pub fn changed_at(&self, now: i64) -> i64 {
        self.aborted_at.unwrap_or(match self.state(now) {
            JobState::UploadComplete => self.created_at,
            JobState::InProgress => self.started_at,
            JobState::JobComplete | JobState::Failed | JobState::Aborted => self.ended_at,
        })
    }

    /// Records processed so far.
    pub fn processed(&self, now: i64) -> usize {
        let all = self.request.rows.len();
        match self.state(now) {
            JobState::JobComplete => all,
            JobState::InProgress => {
                let part = (now - self.started_at).max(0);
                let whole = (self.ended_at - self.started_at).max(1);
                let share = i64::try_from(all).unwrap_or(i64::MAX).saturating_mul(part) / whole;
                usize::try_from(share).unwrap_or(0).min(all)
            }
            JobState::UploadComplete | JobState::Failed | JobState::Aborted => 0,
        }
    }

    /// Milliseconds it has been running.
    pub fn processing_ms(&self, now: i64) -> i64 {
        let end = self.aborted_at.unwrap_or(self.ended_at).min(now);
        (end - self.started_at).max(0)
    }

    fn is_kept(&self, now: i64) -> bool {
        now < self.aborted_at.unwrap_or(self.ended_at) + KEPT_MS
    }
}

/// Why a job was not created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exceeded {
    /// Too many jobs today.
    Jobs(u64),
    /// Too many results today, in kilobytes.
    Volume(u64),
}

/// All jobs of an org.
#[derive(Debug, Default)]
pub struct Jobs {
    /// How they run.
    pub settings: JobSettings,
    known: BTreeMap<SfId, Job>,
    ends: Vec<i64>,
    created: VecDeque<i64>,
    delivered: VecDeque<(i64, u64)>,
    failures: VecDeque<String>,
    next: u64,
}

impl Jobs {
    /// Creates a job.
    ///
    /// # Errors
    /// When the allowance of the last 24 hours is used up.
    pub fn create(&mut self, mut request: JobRequest, now: i64) -> Result<Job, Exceeded> {
        self.forget(now);
        if self.used_jobs(now) >= self.settings.daily_jobs {
            return Err(Exceeded::Jobs(self.settings.daily_jobs));
        }
        if self.used_kb(now) >= self.settings.daily_kb {
            return Err(Exceeded::Volume(self.settings.daily_kb));
        }
        if request.failure.is_none() {
            request.failure = self.failures.pop_front();
        }
        self.next += 1;
        let id = SfId::new(*b"750", *b"Rf", self.next);
        let started_at = (now + self.settings.queue_ms).max(self.free_slot(now));
        let ended_at = started_at + self.settings.run_ms;
        self.ends.push(ended_at);
        self.created.push_back(now);
        let job = Job { id, request, created_at: now, started_at, ended_at, aborted_at: None };
        self.known.insert(id, job.clone());
        Ok(job)
    }

    /// When a job created now may start at the earliest.
    fn free_slot(&mut self, now: i64) -> i64 {
        self.ends.retain(|end| *end > now);
        self.ends.sort_unstable();
        let most = self.settings.concurrent.max(1);
        self.ends.len().checked_sub(most).map_or(now, |place| self.ends[place])
    }

    fn forget(&mut self, now: i64) {
        self.known.retain(|_, job| job.is_kept(now));
    }

    /// A job that still exists.
    pub fn find(&self, id: SfId, now: i64) -> Option<&Job> {
        self.known.get(&id).filter(|job| job.is_kept(now))
    }

    /// All jobs, oldest first.
    pub fn all(&self, now: i64) -> impl Iterator<Item = &Job> {
        self.known.values().filter(move |job| job.is_kept(now))
    }

    /// Gives a job up; `None` when it does not exist or is over.
    pub fn abort(&mut self, id: SfId, now: i64) -> Option<&Job> {
        let job = self.known.get_mut(&id).filter(|job| !job.state(now).is_final())?;
        job.aborted_at = Some(now);
        Some(job)
    }

    /// Removes a job.
    pub fn delete(&mut self, id: SfId) {
        self.known.remove(&id);
    }

    /// Lets the next jobs fail with these messages.
    pub fn plan_failures(&mut self, messages: impl IntoIterator<Item = String>) {
        self.failures.extend(messages);
    }

    /// Counts delivered result bytes.
    pub fn deliver(&mut self, bytes: usize, now: i64) {
        self.delivered.push_back((now, bytes as u64));
    }

    /// Jobs created in the last 24 hours.
    pub fn used_jobs(&mut self, now: i64) -> u64 {
        while self.created.front().is_some_and(|at| *at + DAY_MS <= now) {
            self.created.pop_front();
        }
        self.created.len() as u64
    }

    /// Kilobytes of results delivered in the last 24 hours.
    pub fn used_kb(&mut self, now: i64) -> u64 {
        while self.delivered.front().is_some_and(|(at, _)| *at + DAY_MS <= now) {
            self.delivered.pop_front();
        }
        self.delivered.iter().map(|(_, bytes)| bytes).sum::<u64>() / 1_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::org::permissions::Permissions;
    use crate::schema::Catalog;
    use crate::soql::{self, Asker};

    fn request() -> JobRequest {
        let (soql, catalog) = ("SELECT Id FROM Case", Catalog::support_org());
        let permissions = Permissions::everything(0);
        let user = SfId::new(*b"005", *b"Rf", 1);
        let asker = Asker { catalog: &catalog, permissions: &permissions, user, now: 0 };
        let plan = soql::resolve(soql, &soql::parse(soql).unwrap(), asker).unwrap();
        JobRequest {
            with_deleted: false,
            object: "Case".to_owned(),
            by: user,
            api_version: 66,
            format: Format { delimiter: ("COMMA", b','), line_ending: "LF" },
            soql: Arc::from(soql),
            plan: Arc::new(plan),
            rows: vec![1, 2, 3, 4].into(),
            chunked: true,
            failure: None,
            retries: 0,
        }
    }

    fn jobs(settings: JobSettings) -> Jobs {
        Jobs { settings, ..Jobs::default() }
    }

    #[test]
    fn a_job_waits_runs_and_is_kept_for_seven_days() {
        let mut all = jobs(JobSettings { queue_ms: 10, run_ms: 20, ..JobSettings::default() });
        let job = all.create(request(), 0).unwrap();
        let at = |now| (job.state(now), job.processed(now));
        assert_eq!(at(9), (JobState::UploadComplete, 0));
        assert_eq!(at(20), (JobState::InProgress, 2));
        assert_eq!(at(30), (JobState::JobComplete, 4));
        assert!(all.find(job.id, 29 + KEPT_MS).is_some());
        assert!(all.find(job.id, 30 + KEPT_MS).is_none());
    }

    #[test]
    fn further_jobs_wait_for_a_free_slot() {
        let settings = JobSettings { queue_ms: 0, run_ms: 100, concurrent: 2, ..JobSettings::default() };
        let mut all = jobs(settings);
        let made: Vec<Job> = (0..5).map(|_| all.create(request(), 0).unwrap()).collect();
        let starts: Vec<i64> = made.iter().map(|job| job.started_at).collect();
        assert_eq!(starts, [0, 0, 100, 100, 200]);
    }

    #[test]
    fn the_allowance_is_of_the_last_day() {
        let mut all = jobs(JobSettings { daily_jobs: 2, daily_kb: 5, ..JobSettings::default() });
        assert!(all.create(request(), 0).is_ok() && all.create(request(), 1).is_ok());
        assert_eq!(all.create(request(), 2).unwrap_err(), Exceeded::Jobs(2));
        assert!(all.create(request(), DAY_MS).is_ok());
        all.deliver(5_000, DAY_MS);
        assert_eq!(all.create(request(), DAY_MS + 1).unwrap_err(), Exceeded::Volume(5));
    }

    #[test]
    fn planned_failures_hit_the_next_jobs() {
        let mut all = jobs(JobSettings::default());
        all.plan_failures(["QUERY_TIMEOUT : too long".to_owned()]);
        let (first, second) = (all.create(request(), 0).unwrap(), all.create(request(), 0).unwrap());
        assert_eq!(first.state(1_000), JobState::Failed);
        assert_eq!(second.state(1_000), JobState::JobComplete);
        assert!(all.abort(first.id, 1_000).is_none());
    }
}
