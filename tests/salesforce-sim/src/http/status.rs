//! The page at `/`, for a person with a browser: orgs, what was asked of them, what is left, what is broken.
//!
//! It is plain HTML without scripts and renews itself. It shows no secret: those are on the ready line.

use std::fmt::Write;

use super::oauth::escaped;
use super::{Answer, World};
use crate::org::Org;
use crate::org::faults::Planted;
use crate::time;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;background:#f4f6f9;color:#16325c;margin:0}\
    main{max-width:70rem;margin:0 auto;padding:1.5rem}section{background:#fff;border:1px solid #d8dde6;\
    border-radius:.5rem;padding:1rem 1.5rem;margin:1rem 0}h1{font-size:1.5rem}h2{font-size:1.15rem;margin:0}\
    h3{font-size:1rem;margin:1rem 0 .25rem}table{border-collapse:collapse;width:100%}th,td{text-align:left;\
    padding:.25rem .75rem .25rem 0;border-top:1px solid #e5e9f0;vertical-align:top;overflow-wrap:anywhere}\
    td.n,th.n{text-align:right;white-space:nowrap}.muted{color:#5a6577}.bad{color:#a3120a;font-weight:600}\
    code{font-size:.9em}meter{width:12rem}";

/// Calls shown of an org.
const CALLS_SHOWN: usize = 12;

/// The page.
pub(super) fn page(world: &World) -> Answer {
    let orgs = world.orgs();
    let mut content = String::new();
    let troubles = world.troubles();
    if !troubles.is_empty() {
        content.push_str(
            "<section role=\"alert\"><h2 class=\"bad\">What was asked and could not be done</h2><ul>",
        );
        for trouble in &troubles {
            _ = write!(content, "<li>{}</li>", escaped(trouble));
        }
        content.push_str("</ul></section>");
    }
    if orgs.is_empty() {
        content.push_str(
            "<section><h2>No orgs</h2><p class=\"muted\">This simulator was started with none. Make one: \
             <code>curl -X POST -H 'Content-Type: application/json' -d '{\"cases\":100}' CONTROL/orgs</code>, \
             where CONTROL is the address on the ready line.</p></section>",
        );
    }
    for org in &orgs {
        section(&mut content, org);
    }
    let now = time::rfc3339(world.clock.now_ms());
    let body = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Salesforce simulator</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><meta http-equiv=\"refresh\" content=\"5\">\
         <style>{STYLE}</style></head><body><main><h1>Salesforce simulator</h1><p class=\"muted\">{} · simulated \
         time {now}</p>{content}</main></body></html>\n",
        counted(orgs.len(), "org")
    );
    Answer::new(200, "text/html;charset=UTF-8", body).with(
        "Content-Security-Policy",
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    )
}

fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

fn section(out: &mut String, org: &Org) {
    let name = org.text_of(org.identity.org_id, "Name").unwrap_or_else(|| "Unnamed org".to_owned());
    _ = write!(
        out,
        "<section id=\"{0}\"><h2>{1}</h2><p class=\"muted\"><code>{0}</code> · {2}</p>",
        org.identity.org_id,
        escaped(&name),
        escaped(&org.identity.username)
    );
    limits(out, org);
    faults(out, org);
    calls(out, org);
    out.push_str("</section>");
}

fn limits(out: &mut String, org: &Org) {
    let now = org.clock.now_ms();
    let (used, most) = {
        let mut allowance = org.allowance();
        (allowance.used(now), allowance.daily_max)
    };
    let (jobs, most_jobs) = {
        let mut jobs = org.jobs();
        (jobs.used_jobs(now), jobs.settings.daily_jobs)
    };
    out.push_str("<h3>Left of the last 24 hours</h3><table>");
    for (what, used, most) in [("API requests", used, most), ("Bulk query jobs", jobs, most_jobs)] {
        let left = most.saturating_sub(used);
        let class = if left == 0 { " class=\"bad\"" } else { "" };
        _ = write!(
            out,
            "<tr><td>{what}</td><td><meter min=\"0\" max=\"{most}\" value=\"{left}\">{left}</meter></td>\
             <td{class}>{left} of {most}</td></tr>"
        );
    }
    out.push_str("</table>");
    let logins = org.logins();
    let frozen: Vec<&str> =
        logins.all().iter().filter(|login| !login.active).map(|login| login.username.as_str()).collect();
    if !frozen.is_empty() {
        _ = write!(out, "<p class=\"bad\">Frozen: {}</p>", escaped(&frozen.join(", ")));
    }
}

fn faults(out: &mut String, org: &Org) {
    let now = org.clock.now_ms();
    let all = org.faults();
    let live: Vec<&Planted> = all.all().iter().filter(|planted| planted.is_live(now)).collect();
    out.push_str("<h3>Faults on</h3>");
    if live.is_empty() {
        return out.push_str("<p class=\"muted\">None.</p>");
    }
    out.push_str(
        "<table><tr><th>What</th><th>Which calls</th><th class=\"n\">Seen</th><th class=\"n\">Hit</th></tr>",
    );
    for planted in live {
        let json = |value: serde_json::Result<String>| escaped(&value.unwrap_or_default());
        _ = write!(
            out,
            "<tr><td><code>{}</code></td><td><code>{}</code></td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
            json(serde_json::to_string(&planted.fault)),
            json(serde_json::to_string(&planted.matches)),
            planted.seen,
            planted.hits
        );
    }
    out.push_str("</table>");
}

fn calls(out: &mut String, org: &Org) {
    let log = org.calls();
    _ = write!(out, "<h3>Calls</h3><p class=\"muted\">{} counted, {} for tokens</p>", log.api(), log.token());
    let all: Vec<_> = log.calls().collect();
    if all.is_empty() {
        return out.push_str("<p class=\"muted\">Nobody has called yet.</p>");
    }
    out.push_str(
        "<table><tr><th>When</th><th>Call</th><th class=\"n\">Status</th><th class=\"n\">Bytes</th>\
         <th class=\"n\">ms</th></tr>",
    );
    for call in all.iter().rev().take(CALLS_SHOWN) {
        let status = if call.status == 0 { "cut".to_owned() } else { call.status.to_string() };
        let class = if call.status >= 400 || call.status == 0 { "n bad" } else { "n" };
        _ = write!(
            out,
            "<tr><td>{}</td><td>{} <code>{}</code></td><td class=\"{class}\">{status}</td><td class=\"n\">{}</td>\
             <td class=\"n\">{}</td></tr>",
            escaped(call.at.get(11..19).unwrap_or(&call.at)),
            escaped(&call.method),
            escaped(&call.path),
            call.bytes,
            call.ms
        );
    }
    out.push_str("</table>");
}
