//! Valid JSON of the wrong shape.

use super::Answer;
use super::tree::Tree;
use crate::org::faults::Shape;

/// How deep [`Shape::DeepNesting`] goes.
const DEPTH: usize = 100_000;
/// How long [`Shape::HugeText`] is.
const HUGE: usize = 50_000_000;

/// Gives a page the wrong shape. An answer that is no page keeps its own.
pub(super) fn reshape(answer: &mut Answer, how: Shape) {
    let Some(mut page) = Tree::parse(&answer.body).filter(|page| page.get("records").is_some()) else {
        return;
    };
    match how {
        Shape::NullRecords => page.set("records", Tree::scalar("null")),
        Shape::WrongTotal => page.set("totalSize", Tree::scalar("1234567")),
        Shape::NoNextUrl => {
            page.set("done", Tree::scalar("false"));
            page.remove("nextRecordsUrl");
        }
        Shape::ForeignNextUrl => {
            lead(&mut page, "https://collector.example.com/services/data/v66.0/query/01g-2000");
        }
        Shape::OtherNextUrl => lead(&mut page, "/services/oauth2/revoke?token=none"),
        Shape::DoneTooEarly => page.set("done", Tree::scalar("true")),
        Shape::NoAttributes => each(&mut page, |record| record.remove("attributes")),
        Shape::DuplicateKeys => each(&mut page, |record| {
            if let Tree::Map(members) = record {
                members.push(("Id".to_owned(), Tree::text("500000000000000AAA")));
            }
        }),
        Shape::DeepNesting => first(&mut page, Tree::Scalar(nested())),
        Shape::HugeNumber => first(&mut page, Tree::scalar("1e400")),
        Shape::HugeText => {
            first(&mut page, Tree::Scalar([b"\"", "x".repeat(HUGE).as_bytes(), b"\""].concat()));
        }
    }
    answer.body = page.written();
}

fn nested() -> Vec<u8> {
    [vec![b'['; DEPTH], vec![b']'; DEPTH]].concat()
}

fn lead(page: &mut Tree, to: &str) {
    page.set("done", Tree::scalar("false"));
    page.set("nextRecordsUrl", Tree::text(to));
}

fn each(page: &mut Tree, change: impl Fn(&mut Tree)) {
    page.list_mut("records").into_iter().flatten().for_each(change);
}

/// Puts a value into the last field of the first record.
fn first(page: &mut Tree, value: Tree) {
    if let Some(Tree::Map(members)) = page.list_mut("records").and_then(|records| records.first_mut())
        && let Some((_, field)) = members.last_mut()
    {
        *field = value;
    }
}
