//! Every wire attempt passes the gate, and every attempt that passed is reported once: answered, failed or
//! abandoned by a dropped future.

use std::time::Duration;

use tokio::time::Instant;

use super::error::SalesforceError;
use super::fault::{ApiFault, FaultKind};
use super::http::Answer;
use crate::ports::{CallGate, CallKind, CallReport};

/// Reports on drop, so that a cancelled call is counted like any other.
struct Report<'a> {
    gate: &'a dyn CallGate,
    call: CallReport,
    started: Instant,
}

impl Drop for Report<'_> {
    fn drop(&mut self) {
        self.gate.after_call(CallReport { took: self.started.elapsed(), ..self.call });
    }
}

/// Runs one attempt behind the gate.
pub(super) async fn admitted(
    gate: &dyn CallGate,
    kind: CallKind,
    attempt: impl Future<Output = Result<Answer, SalesforceError>>,
) -> Result<Answer, SalesforceError> {
    gate.before_call(kind).await?;
    let call = CallReport { kind, usage: None, concurrency_refused: false, took: Duration::ZERO };
    let mut report = Report { gate, call, started: Instant::now() };
    let answer = attempt.await?;
    report.call.usage = answer.usage;
    report.call.concurrency_refused = answer.status >= 400
        && ApiFault::read(answer.status, &answer.body).kind == FaultKind::ConcurrencyLimit;
    Ok(answer)
}
