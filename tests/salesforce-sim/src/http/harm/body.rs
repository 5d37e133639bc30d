//! Bodies with something wrong in them, or dressed as something else.

use std::fmt::Write;

use super::Answer;
use super::tree::Tree;
use crate::org::faults::Disguise;

/// JSON that does not parse, with 200.
pub(super) fn cut_in_half(answer: &mut Answer) {
    let half = answer.body.len() / 2;
    answer.body.truncate(half);
    answer.body.extend_from_slice(b",}");
    answer.status = 200;
}

/// Lets a change work on the record in the middle of a page.
fn with_record(answer: &mut Answer, change: impl FnOnce(&mut Tree)) {
    let Some(mut page) = Tree::parse(&answer.body) else {
        return;
    };
    let Some(records) = page.list_mut("records").filter(|records| !records.is_empty()) else {
        return;
    };
    let middle = records.len() / 2;
    change(&mut records[middle]);
    answer.body = page.written();
}

/// A field of an impossible type, or no id.
pub(super) fn spoil_record(answer: &mut Answer, field: Option<&str>) {
    with_record(answer, |record| match field {
        Some(field) => {
            record.set(field, Tree::Map(vec![("unexpected".to_owned(), Tree::scalar("[\"shape\"]"))]));
        }
        None => record.remove("Id"),
    });
}

/// A field with this text or these bytes as its value, or without the field.
pub(super) fn raw_value(answer: &mut Answer, field: &str, json: Option<&str>, hex: Option<&str>) {
    with_record(answer, |record| match (json, hex) {
        (Some(json), _) => record.set(field, Tree::scalar(json)),
        (None, Some(hex)) => record.set(field, Tree::Scalar(bytes_of(hex))),
        (None, None) => record.remove(field),
    });
}

/// Bytes of hexadecimal text; a pair that is none is left out.
fn bytes_of(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.chunks_exact(2).filter_map(byte).collect()
}

/// Ids without their last three characters, everywhere but in addresses.
pub(super) fn short_ids(answer: &mut Answer) {
    if let Some(mut tree) = Tree::parse(&answer.body) {
        shorten(&mut tree);
        answer.body = tree.written();
    }
}

fn shorten(tree: &mut Tree) {
    match tree {
        Tree::List(elements) => elements.iter_mut().for_each(shorten),
        Tree::Map(members) => members.iter_mut().for_each(|(_, value)| shorten(value)),
        Tree::Scalar(raw) => {
            let is_id = raw.len() == 20
                && raw[0] == b'"'
                && std::str::from_utf8(&raw[1..19])
                    .ok()
                    .and_then(|text| Some(crate::id::SfId::parse(text)?.as_str() == text))
                    == Some(true);
            if is_id {
                raw.drain(16..19);
            }
        }
    }
}

/// Dresses a true body as something else.
pub(super) fn disguise(answer: &mut Answer, how: Disguise) {
    match how {
        Disguise::ByteOrderMark => drop(answer.body.splice(0..0, *b"\xEF\xBB\xBF")),
        Disguise::Utf16 => {
            let text = String::from_utf8_lossy(&answer.body).into_owned();
            let units = std::iter::once(0xFEFF).chain(text.encode_utf16());
            answer.body = units.flat_map(u16::to_be_bytes).collect();
            answer.content_type = Some("application/json;charset=UTF-16".to_owned());
        }
        Disguise::WrongCharset => {
            answer.content_type = Some("application/json;charset=ISO-8859-1".to_owned());
        }
        Disguise::Xml => {
            if let Some(tree) = Tree::parse(&answer.body) {
                answer.body = xml(&tree).into_bytes();
                answer.content_type = Some("application/xml;charset=UTF-8".to_owned());
            }
        }
        Disguise::LoginPage => *answer = Answer::html(200, "Login | Salesforce"),
    }
}

/// The platform's XML: an error list, or a query answer.
fn xml(tree: &Tree) -> String {
    let mut out = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>".to_owned();
    match tree {
        Tree::List(errors) => {
            out.push_str("<Errors>");
            for error in errors {
                element(&mut out, "Error", error);
            }
            out.push_str("</Errors>");
        }
        Tree::Map(_) | Tree::Scalar(_) => element(&mut out, "QueryResult", tree),
    }
    out
}

fn element(out: &mut String, name: &str, value: &Tree) {
    match value {
        Tree::List(elements) => elements.iter().for_each(|one| element(out, name, one)),
        Tree::Map(members) => {
            _ = write!(out, "<{name}>");
            for (key, value) in members {
                element(out, key, value);
            }
            _ = write!(out, "</{name}>");
        }
        Tree::Scalar(raw) => {
            let text = value.as_text().unwrap_or_else(|| String::from_utf8_lossy(raw).into_owned());
            let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            _ = match text.as_str() {
                "null" => write!(out, "<{name} xsi:nil=\"true\"/>"),
                _ => write!(out, "<{name}>{escaped}</{name}>"),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> Answer {
        let body = br#"{"records":[{"Id":"500i000000171NZAAY","N":1.50}]}"#;
        Answer::bytes(200, body.to_vec())
    }

    fn text(answer: &Answer) -> String {
        String::from_utf8_lossy(&answer.body).into_owned()
    }

    #[test]
    fn a_raw_value_is_written_as_given() {
        let mut answer = page();
        raw_value(&mut answer, "N", Some("1e400"), None);
        assert!(text(&answer).contains("\"N\":1e400"));
        raw_value(&mut answer, "N", None, Some("22 ff fe 22"));
        assert!(answer.body.windows(4).any(|bytes| bytes == b"\"\xff\xfe\""));
        let mut answer = page();
        raw_value(&mut answer, "N", None, None);
        assert_eq!(text(&answer), r#"{"records":[{"Id":"500i000000171NZAAY"}]}"#);
    }

    #[test]
    fn ids_become_short_and_numbers_keep_their_digits() {
        let mut answer = page();
        short_ids(&mut answer);
        assert_eq!(text(&answer), r#"{"records":[{"Id":"500i000000171NZ","N":1.50}]}"#);
    }

    #[test]
    fn xml_has_the_platforms_elements() {
        let mut answer = Answer::error(404, "NOT_FOUND", "a < b");
        disguise(&mut answer, Disguise::Xml);
        assert!(text(&answer).ends_with(
            "<Errors><Error><errorCode>NOT_FOUND</errorCode><message>a &lt; b</message></Error></Errors>"
        ));
    }
}
