//! Verbs about single pieces of work: where they are, why they do not run, and what to do about those that stand still.
//! They ask the API, as all verbs do.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{ask, print};
use super::own::Exit;
use super::{ApiArguments, Output};

#[derive(Subcommand)]
pub(super) enum JobCommand {
    /// List a tenant's jobs with what each waits for.
    List {
        /// The tenant (ten_…).
        #[arg(long, short)]
        tenant: String,
        /// Only those that are waiting, published, leased or parked.
        #[arg(long)]
        state: Option<String>,
    },
    /// Say why a job does not run, and what came of its attempts.
    Why {
        /// The tenant (ten_…).
        #[arg(long, short)]
        tenant: String,
        /// The job (job_…).
        job: String,
    },
    /// Try again now what waits for a person, or for another try.
    Retry(Which),
    /// Give up work that waits for a person: lists of related records and of files, never a standing job or history.
    Drop(Which),
}

/// Jobs that stand still.
#[derive(Args)]
pub(super) struct Which {
    /// The tenant (ten_…).
    #[arg(long, short)]
    tenant: String,
    #[command(flatten)]
    choice: Choice,
}

#[derive(Args)]
#[group(required = true, multiple = true)]
struct Choice {
    /// This job (job_…).
    #[arg(conflicts_with_all = ["kind", "class", "code", "object", "all"])]
    job: Option<String>,
    /// Those of this kind, like backfill.
    #[arg(long)]
    kind: Option<String>,
    /// Those of this class, like verify.
    #[arg(long)]
    class: Option<String>,
    /// Those that ask a person for this, like DEFECT.
    #[arg(long)]
    code: Option<String>,
    /// Those of this object sync (obj_…).
    #[arg(long)]
    object: Option<String>,
    /// All of the tenant.
    #[arg(long)]
    all: bool,
}

const JOBS: &[(&str, &str)] = &[
    ("ID", "id"),
    ("KIND", "kind"),
    ("CLASS", "class"),
    ("OBJECT", "object_id"),
    ("STATE", "state"),
    ("WAITS FOR", "waits_for.reason"),
    ("UNTIL", "waits_for.until"),
    ("ASK", "ask.what"),
];
const WHY: &[(&str, &str)] = &[
    ("STATE", "state"),
    ("WAITS FOR", "waits_for.reason"),
    ("UNTIL", "waits_for.until"),
    ("FIX", "ask.fix"),
];
const ATTEMPTS: &[(&str, &str)] = &[
    ("ENDED", "ended_at"),
    ("OUTCOME", "outcome"),
    ("STEP", "step"),
    ("CODE", "code"),
    ("PAGES", "pages"),
    ("CALLS", "api_calls"),
    ("DETAIL", "detail"),
];

pub(super) async fn job(api: &ApiArguments, command: JobCommand) -> Result<(), Exit> {
    match command {
        JobCommand::List { tenant, state } => list(api, &tenant, state.as_deref()).await,
        JobCommand::Why { tenant, job } => why(api, &tenant, &job).await,
        JobCommand::Retry(which) => change(api, &which, "retry").await,
        JobCommand::Drop(which) => change(api, &which, "drop").await,
    }
}

/// Every page of them: a tenant has some hundred.
async fn list(api: &ApiArguments, tenant: &str, state: Option<&str>) -> Result<(), Exit> {
    let state = state.map(|state| format!("&state={state}")).unwrap_or_default();
    let (mut jobs, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/v1/tenants/{tenant}/jobs?limit=200{state}{cursor}");
        let mut page = ask(api, Method::GET, &path, None).await?;
        if let Value::Array(more) = page["jobs"].take() {
            jobs.extend(more);
        }
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let answer = json!({ "jobs": jobs });
    print(api, &answer, &jobs, JOBS);
    Ok(())
}

async fn why(api: &ApiArguments, tenant: &str, job: &str) -> Result<(), Exit> {
    let answer = ask(api, Method::GET, &format!("/v1/tenants/{tenant}/jobs/{job}"), None).await?;
    print(api, &answer, std::slice::from_ref(&answer["job"]), WHY);
    if api.output == Output::Table {
        print(api, &answer, answer["attempts"].as_array().map_or(&[], Vec::as_slice), ATTEMPTS);
    }
    Ok(())
}

async fn change(api: &ApiArguments, which: &Which, operation: &str) -> Result<(), Exit> {
    let Which { tenant, choice } = which;
    let jobs = format!("/v1/tenants/{tenant}/jobs");
    let answer = if let Some(job) = &choice.job {
        ask(api, Method::POST, &format!("{jobs}/{job}/{operation}"), None).await?
    } else {
        let Choice { kind, class, code, object, .. } = choice;
        let body = json!({ "kind": kind, "class": class, "code": code, "object_id": object });
        ask(api, Method::POST, &format!("{jobs}/{operation}"), Some(&body)).await?
    };
    let rows: Vec<Value> =
        answer["jobs"].as_array().into_iter().flatten().map(|id| json!({ "id": id })).collect();
    print(api, &answer, &rows, &[("ID", "id")]);
    Ok(())
}
