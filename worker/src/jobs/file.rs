//! Bodies of files: each is streamed from Salesforce, cut into chunks, sealed and kept; or forgotten when no item names
//! it any more. Memory holds a chunk or two, whatever the size of the file.

mod judge;

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use refrain_shared::catalog::LeftOut;
use refrain_shared::clock::Timestamp;
use refrain_shared::crypto::BodyDigest;
use refrain_shared::error::{Backoff, Disposition};
use refrain_shared::ids::SalesforceId;
use refrain_shared::job::lease::{JobEnd, SLICE_TIME};
use refrain_shared::salesforce::download::Download;
use refrain_shared::salesforce::soql::{FieldPath, ObjectName};
use refrain_shared::salesforce::{FaultKind, SalesforceError};
use refrain_shared::storage::chunks::FileAt;
use refrain_shared::storage::files::{self, Body, BodyState, File, Loads};
use refrain_shared::storage::jobs::job_touch;
use refrain_shared::storage::keys::gate_share;
use refrain_shared::storage::{StoreError, TenantTx};
use refrain_shared::tenant::TenantScope;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::Instant;
use uuid::Uuid;

use super::{Job, Left};
use crate::crash::{CrashPoint, pass};
use crate::engine::Tally;
use crate::engine::load::blocking;
use crate::error::{JobError, Step};

/// Which files.
#[derive(Debug, Deserialize)]
struct Files {
    #[serde(default)]
    files: Vec<String>,
    /// All files of the object's items are judged by its policy instead.
    #[serde(default)]
    judge: bool,
}

/// How far the job is.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Progress {
    /// So many files are done with.
    done: usize,
}

/// Bytes of a body that are sealed together.
pub const CHUNK_BYTES: usize = 4 << 20;
/// Pieces on their way from the wire, at most; Salesforce waits when the database is slower.
const PIECES_AHEAD: usize = 16;
/// A file that failed in a way we do not know, this often in a row, does not hold up those after it.
const TRIES: i32 = 5;

/// Fetches, keeps or forgets the files one after the other.
pub async fn run(job: Job<'_>, tally: &mut Tally) -> Result<Left, JobError> {
    let failed = |error: StoreError| JobError::of(Step::Plan, &error, job.context.clock.now());
    let unreadable = |_| StoreError::Unreadable("a list of files");
    let wanted: Files =
        serde_json::from_value(job.lease.params.clone()).map_err(unreadable).map_err(failed)?;
    if wanted.judge {
        return judge::run(job).await;
    }
    let mut progress: Progress =
        serde_json::from_value(job.lease.progress.clone()).map_err(unreadable).map_err(failed)?;
    let begun = Instant::now();
    while let Some(id) = wanted.files.get(progress.done) {
        if is_time_to_stop(&job, begun) {
            return Ok(Left::Open(JobEnd::More));
        }
        progress.done += 1;
        one(&job, id, &progress).await?;
        tally.pages += 1;
    }
    Ok(Left::Open(JobEnd::Done))
}

fn is_time_to_stop(job: &Job<'_>, begun: Instant) -> bool {
    begun.elapsed() >= SLICE_TIME || job.context.draining.is_cancelled() || job.stop.is_cancelled()
}

/// Brings one file to where it is wanted; what was done of it and how far the job is are committed together.
async fn one(job: &Job<'_>, id: &str, progress: &Progress) -> Result<(), JobError> {
    let failed = |error: StoreError| JobError::of(Step::Load, &error, job.context.clock.now());
    let connection = job.lease.connection;
    let scope = TenantScope::leased(job.lease.tenant);
    let mut client = job.context.db.tenant().await.map_err(failed)?;
    let tx = TenantTx::begin(&mut client, &scope).await.map_err(failed)?;
    // Takes the file's row, so that nothing of it changes until this is committed.
    files::file_forget(&tx, connection, id).await.map_err(failed)?;
    let file = files::file_get(&tx, &job.view.keys, connection, id).await.map_err(failed)?;
    let loads = match &file {
        Some(file) if file.state == BodyState::Wanted => None,
        // A worker that died over an older wish left chunks that only this job knows of.
        Some(file) => Some(files::file_settled(&tx, connection, file).await.map_err(failed)?),
        None => Some(Loads::All),
    };
    if let Some(loads) = loads {
        touch(job, &tx, progress).await.map_err(failed)?;
        sweep(job, id, loads).await?;
    }
    tx.commit().await.map_err(failed)?;
    // The connection goes back to its pool: a body may take long.
    drop(client);
    match file.filter(|_| loads.is_none()) {
        Some(file) => bring(job, &file, progress).await,
        None => Ok(()),
    }
}

/// Fetches a wanted body. What came of it counts only while the file is wanted as it was.
async fn bring(job: &Job<'_>, file: &File, progress: &Progress) -> Result<(), JobError> {
    let failed = |error: StoreError| JobError::of(Step::Load, &error, job.context.clock.now());
    let (connection, scope) = (job.lease.connection, TenantScope::leased(job.lease.tenant));
    let load = Uuid::new_v4();
    let outcome = match fetch(job, file, load).await {
        Ok(body) => Ok(body),
        Err(error) => Err(refused(job, error)?),
    };
    let mut client = job.context.db.tenant().await.map_err(failed)?;
    let tx = TenantTx::begin(&mut client, &scope).await.map_err(failed)?;
    if gate_share(&tx).await.map_err(failed)?.data_key != job.view.gate.data_key {
        return Err(failed(StoreError::GateMoved { what: "key" }));
    }
    let loads = match outcome {
        Ok(body) => {
            let stored = files::file_stored(&tx, &job.view.keys, connection, file, &body).await;
            if stored.map_err(failed)? { Loads::But(load) } else { Loads::Only(load) }
        }
        Err(refusal) => {
            let noted = files::file_refused(&tx, connection, file, load, refusal).await;
            if noted.map_err(failed)? { Loads::All } else { Loads::Only(load) }
        }
    };
    touch(job, &tx, progress).await.map_err(failed)?;
    // Only whoever holds the lease, and the file's row, knows which loads are nobody's.
    sweep(job, &file.id, loads).await?;
    pass(CrashPoint::BeforeCommit);
    tx.commit().await.map_err(failed)?;
    pass(CrashPoint::AfterCommit);
    Ok(())
}

/// Objects go before the commit that forgets them: afterwards nobody would know of them.
async fn sweep(job: &Job<'_>, file: &str, loads: Loads) -> Result<(), JobError> {
    let scope = TenantScope::leased(job.lease.tenant);
    let at = FileAt { scope: &scope, connection: job.lease.connection, file };
    let swept = job.context.chunks.sweep(at, loads).await;
    swept.map_err(|error| JobError::of(Step::Load, &error, job.context.clock.now()))
}

async fn touch(job: &Job<'_>, tx: &TenantTx<'_>, progress: &Progress) -> Result<(), StoreError> {
    let progress: Value = serde_json::to_value(progress).unwrap_or_default();
    job_touch(tx.sql(), job.lease, Some(&progress)).await
}

/// Why a body did not come.
enum Failure {
    /// Salesforce's side.
    Salesforce(SalesforceError),
    /// Ours.
    Ours(JobError),
}

/// Whether a failure says something of the file itself; else the job fails with it.
fn refused(job: &Job<'_>, failure: Failure) -> Result<(BodyState, &'static str), JobError> {
    let error = match failure {
        Failure::Ours(error) => return Err(error),
        Failure::Salesforce(error) => error,
    };
    let kind = error.fault().map(|fault| fault.kind);
    match (&error, kind) {
        (SalesforceError::BodyTooLarge { .. }, _) => Ok((BodyState::LeftOut, LeftOut::Size.word())),
        (_, Some(FaultKind::NotFound | FaultKind::Deleted)) => Ok((BodyState::NotThere, "not_found")),
        (_, Some(FaultKind::AccessDenied | FaultKind::SecurityPolicy)) => {
            Ok((BodyState::NotThere, "no_access"))
        }
        _ => {
            let error = JobError::of(Step::Extract, &error, job.context.clock.now());
            let is_unknown = matches!(
                error.disposition,
                Disposition::Bug
                    | Disposition::Retry { backoff: Backoff::Unknown }
                    | Disposition::ParkObject { .. }
            );
            if is_unknown && job.lease.attempt >= TRIES {
                tracing::warn!(code = error.code, detail = %error.detail, "a file is given up");
                return Ok((BodyState::NotThere, "failed"));
            }
            Err(error)
        }
    }
}

/// Streams the body into sealed chunks.
async fn fetch(job: &Job<'_>, file: &File, load: Uuid) -> Result<Body, Failure> {
    let named = || -> Result<Download, SalesforceError> {
        Ok(Download {
            object: ObjectName::parse(&file.object)?,
            record: SalesforceId::parse(&file.id).map_err(|_| SalesforceError::Unreadable {
                expected: "the id of a file",
                status: 0,
                received: "something else".to_owned(),
            })?,
            field: FieldPath::parse(&file.field)?,
            most_bytes: usize::try_from(job.inputs.settings.files.most_bytes()).unwrap_or(usize::MAX),
        })
    };
    let download = named().map_err(Failure::Salesforce)?;
    let (sender, pieces) = mpsc::channel(PIECES_AHEAD);
    let call = async {
        let sent = job.client.download(&download, &sender).await;
        drop(sender);
        sent
    };
    let (sent, kept) = tokio::join!(call, keep(job, file, load, pieces));
    // A receiver that failed ends the call; its own error says why.
    let body = kept.map_err(Failure::Ours)?;
    sent.map_err(Failure::Salesforce)?;
    Ok(body)
}

/// Seals and keeps what comes, chunk by chunk.
async fn keep(
    job: &Job<'_>,
    file: &File,
    load: Uuid,
    mut pieces: mpsc::Receiver<Bytes>,
) -> Result<Body, JobError> {
    let (mut buffer, mut digest) = (BytesMut::new(), BodyDigest::default());
    let mut body = Body { load, place: job.context.chunks.place(), chunks: 0, bytes: 0, digest: Vec::new() };
    while let Some(piece) = pieces.recv().await {
        digest.update(&piece);
        body.bytes += i64::try_from(piece.len()).unwrap_or(i64::MAX);
        buffer.extend_from_slice(&piece);
        while buffer.len() >= CHUNK_BYTES {
            let chunk = buffer.split_to(CHUNK_BYTES).freeze();
            put(job, file, &mut body, chunk).await?;
        }
    }
    if !buffer.is_empty() {
        put(job, file, &mut body, buffer.freeze()).await?;
    }
    body.digest = digest.finish();
    Ok(body)
}

async fn put(job: &Job<'_>, file: &File, body: &mut Body, chunk: Bytes) -> Result<(), JobError> {
    let row = files::chunk_row_key(job.lease.connection, &file.id, body.load, body.chunks);
    let keys = Arc::clone(&job.view.keys);
    let sealed = blocking(move || {
        files::chunk_seal(&keys, &row, &chunk)
            .map_err(|error| JobError::of(Step::Transform, &error, Timestamp::UNIX_EPOCH))
    })
    .await?;
    let scope = TenantScope::leased(job.lease.tenant);
    job.context
        .chunks
        .put(
            &job.context.db,
            FileAt { scope: &scope, connection: job.lease.connection, file: &file.id },
            (job.lease, body),
            sealed,
        )
        .await
        .map_err(|error| JobError::of(Step::Load, &error, job.context.clock.now()))?;
    body.chunks += 1;
    Ok(())
}
