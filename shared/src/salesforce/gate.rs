//! Every wire attempt passes the gate, and every attempt that passed is reported once: answered, failed or
//! abandoned by a dropped future.

use super::error::SalesforceError;
use super::fault::{ApiFault, FaultKind};
use super::http::Answer;
use crate::ports::{CallGate, CallKind, CallReport};

/// Reports on drop, so that a cancelled call is counted like any other.
struct Report<'a> {
    gate: &'a dyn CallGate,
    report: CallReport,
}

impl Drop for Report<'_> {
    fn drop(&mut self) {
        self.gate.after_call(self.report);
    }
}

/// Runs one attempt behind the gate.
pub(super) async fn admitted(
    gate: &dyn CallGate,
    kind: CallKind,
    attempt: impl Future<Output = Result<Answer, SalesforceError>>,
) -> Result<Answer, SalesforceError> {
    gate.before_call(kind).await?;
    let mut report = Report { gate, report: CallReport { kind, usage: None, concurrency_refused: false } };
    let answer = attempt.await?;
    report.report.usage = answer.usage;
    report.report.concurrency_refused = answer.status >= 400
        && ApiFault::read(answer.status, &answer.body).kind == FaultKind::ConcurrencyLimit;
    Ok(answer)
}
