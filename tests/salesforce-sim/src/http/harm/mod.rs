//! What injected faults do to a call: before its answer is made ([`before`]), to the answer ([`after`]), and to
//! the bytes on the wire ([`framing`]).

mod body;
mod encoding;
pub(super) mod framing;
mod mutate;
mod paging;
mod shape;
mod tree;

use std::sync::Arc;
use std::time::Duration;

use super::request::Request;
use super::wire::Script;
use super::{Answer, World, data};
use crate::generate::edits;
use crate::org::Org;
use crate::org::faults::{Disguise, Encoding, Fault, Struck};
use crate::store::write::When;

/// What became of a call before its answer was made.
pub(super) enum Before {
    /// Nothing: make the true answer.
    Unharmed,
    /// This is the answer.
    Answered(Answer),
    /// The connection closes.
    Broken,
}

/// Lets a fault act before the answer is made.
pub(super) async fn before(
    world: &World,
    org: &Arc<Org>,
    request: &Request,
    struck: Option<&Struck>,
) -> Before {
    let Some(struck) = struck else {
        return Before::Unharmed;
    };
    match &struck.fault {
        Fault::Delay { ms } => tokio::time::sleep(Duration::from_millis(*ms)).await,
        Fault::Hold { gate } => world.gates.pass(gate).await,
        Fault::Steps { steps } => {
            for step in steps {
                if let Err(why) = world.steer(org.identity.org_id, &step.post, &step.body).await {
                    world.note_trouble(why);
                }
            }
        }
        _ => {}
    }
    act(org, request, &struck.fault);
    instead(request, &struck.fault)
}

/// What a fault does to the org.
fn act(org: &Org, request: &Request, fault: &Fault) {
    let now = org.clock.now_ms();
    match fault {
        Fault::EndSession => {
            if let Some(token) = request.bearer() {
                org.sessions().revoke(token);
            }
        }
        Fault::RevokeGrants => _ = org.sessions().revoke_all(),
        Fault::FreezeUser => {
            let user = request.bearer().and_then(|token| org.user_of(token));
            org.set_user_active(user.as_deref().unwrap_or("default"), false);
        }
        Fault::Spend { calls } => org.allowance().spend_more(*calls, now),
        Fault::JobFailure { message } => org.jobs().plan_failures([message.clone()]),
        Fault::ExpireCursors => org.cursors().clear(),
        Fault::Edits { count, seed } => {
            _ = edits::edit(&mut org.records_mut(), *count, *seed, When::at(now, org.identity.user_id));
        }
        _ => {}
    }
}

/// Answers that take the place of the true one.
fn instead(request: &Request, fault: &Fault) -> Before {
    let is_oauth = request.path.starts_with("/services/oauth2/");
    Before::Answered(match fault {
        Fault::Close => return Before::Broken,
        Fault::Status { status, body, content_type, headers } => {
            let content_type = content_type.as_deref().unwrap_or("text/plain");
            let answer = Answer::new(*status, content_type, body.as_bytes());
            headers.iter().fold(answer, |answer, (name, value)| answer.with(name.clone(), value))
        }
        Fault::Error { code, message, .. } if request.path.ends_with("/authorize") => {
            super::oauth::error_page(code, message)
        }
        Fault::Error { status, code, message } if is_oauth => Answer::oauth_error(*status, code, message),
        Fault::Error { status, code, message } => Answer::error(*status, code, message),
        Fault::Html => Answer::html(200, "Salesforce is down for maintenance"),
        Fault::Redirect { status, to } => Answer::empty(*status)
            .with("Location", format!("{}{}", to.trim_end_matches('/'), request.target())),
        _ => return Before::Unharmed,
    })
}

/// What a fault makes of a true answer.
pub(super) struct Harmed {
    /// The answer.
    pub answer: Answer,
    /// After how many bytes its body breaks off.
    pub cut: Option<usize>,
    /// What the connection writes instead.
    pub script: Option<Script>,
    /// Whether the connection closes without any of it.
    pub lost: bool,
    /// When it was made.
    pub made_at: i64,
}

impl Harmed {
    /// An answer that no fault touched.
    pub(super) fn not(answer: Answer, made_at: i64) -> Self {
        Self { answer, cut: None, script: None, lost: false, made_at }
    }
}

/// Lets a fault spoil a true answer.
pub(super) fn after(
    org: &Arc<Org>,
    request: &Request,
    struck: Option<&Struck>,
    mut answer: Answer,
) -> Harmed {
    let Some(Struck { fault, hit }) = struck else {
        paging::follow_detour(org, request, &mut answer);
        return Harmed::not(answer, org.clock.now_ms());
    };
    let (mut cut, mut script, mut lost) = (None, None, false);
    if matches!(fault, Fault::Framing { .. } | Fault::Slow { .. } | Fault::Encoding { .. }) {
        answer.gather();
    }
    match fault {
        Fault::LostAnswer => lost = true,
        Fault::Truncate { after, step } => {
            cut = Some(after + step * usize::try_from(hit - 1).unwrap_or(usize::MAX));
        }
        Fault::Malformed => body::cut_in_half(&mut answer),
        Fault::BadRecord { field } => body::spoil_record(&mut answer, field.as_deref()),
        Fault::RawValue { field, json, hex } => {
            body::raw_value(&mut answer, field, json.as_deref(), hex.as_deref());
        }
        Fault::ShortIds => body::short_ids(&mut answer),
        Fault::Disguise { how: Disguise::LoginPage } => answer = Answer::html(200, "Login | Salesforce"),
        Fault::Disguise { how } => body::disguise(&mut answer, *how),
        Fault::Shape { how } => shape::reshape(&mut answer, *how),
        Fault::Mutate { seed } => mutate::mutate(&mut answer, *seed, *hit),
        Fault::Pages { how } => paging::disorder(org, request, *how, &mut answer),
        Fault::Encoding { how: Encoding::Bomb, bytes } => encoding::bomb(&mut answer, *bytes),
        Fault::Encoding { how, .. } => encoding::encode(&mut answer, *how),
        Fault::Framing { how } => script = Some(framing::broken(&answer, *how)),
        Fault::Slow { part, bytes, every_ms } => {
            script = Some(framing::slow(&answer, *part, *bytes, Duration::from_millis(*every_ms)));
        }
        Fault::Endless => script = Some(framing::endless(&answer)),
        _ => {}
    }
    Harmed { answer, cut, script, lost, made_at: org.clock.now_ms() }
}

/// Whether a fault's answer comes from in front of the platform, which writes none of its headers.
pub(super) fn is_foreign(fault: &Fault) -> bool {
    matches!(fault, Fault::Status { .. } | Fault::Html | Fault::Redirect { .. })
}

/// The true answer to another path in the same session: for pages out of order.
fn answer_to(org: &Arc<Org>, request: &Request, path: &str) -> Option<Answer> {
    let request = Request { path: path.to_owned(), ..request.clone() };
    let session = data::session(org, &request)?;
    Some(data::handle(org, &request, &session))
}
