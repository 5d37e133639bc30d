//! Pages that come twice, not at all, or in the wrong order.

use std::sync::Arc;

use super::tree::Tree;
use super::{Answer, answer_to};
use crate::http::request::Request;
use crate::org::Org;
use crate::org::faults::Paging;

/// Puts the page behind this request into disorder.
pub(super) fn disorder(org: &Arc<Org>, request: &Request, how: Paging, answer: &mut Answer) {
    let Some(mut page) = parsed(answer) else {
        return;
    };
    let next = page.get("nextRecordsUrl").and_then(Tree::as_text);
    match how {
        Paging::TwiceARecord => {
            if let Some(records) = page.list_mut("records").filter(|records| !records.is_empty()) {
                let middle = records[records.len() / 2].clone();
                records.push(middle);
            }
        }
        Paging::Repeated => lead(&mut page, Some(&request.path)),
        Paging::Missing => match next.and_then(|next| answer_to(org, request, &next)) {
            Some(other) => return *answer = other,
            None => page.set("records", Tree::List(Vec::new())),
        },
        Paging::Swapped => {
            let later = next.and_then(|next| answer_to(org, request, &next));
            let Some(mut later) = later.as_ref().and_then(parsed) else {
                return;
            };
            // The page asked for comes next, and then what would have followed the later one.
            let after = later.get("nextRecordsUrl").and_then(Tree::as_text);
            org.faults().set_detour(request.path.clone(), after);
            lead(&mut later, Some(&request.path));
            page = later;
        }
    }
    answer.body = page.written();
}

/// Lets a page lead where an earlier disorder said it would.
pub(super) fn follow_detour(org: &Org, request: &Request, answer: &mut Answer) {
    let Some(next) = org.faults().take_detour(&request.path) else {
        return;
    };
    if let Some(mut page) = parsed(answer) {
        lead(&mut page, next.as_deref());
        answer.body = page.written();
    }
}

fn parsed(answer: &Answer) -> Option<Tree> {
    Tree::parse(&answer.body).filter(|page| matches!(page.get("records"), Some(Tree::List(_))))
}

fn lead(page: &mut Tree, next: Option<&str>) {
    page.set("done", Tree::scalar(if next.is_none() { "true" } else { "false" }));
    match next {
        Some(next) => page.set("nextRecordsUrl", Tree::text(next)),
        None => page.remove("nextRecordsUrl"),
    }
}
