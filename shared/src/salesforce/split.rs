//! Field lists too long for a URL: how they are cut, and how the parts become one record again.
//!
//! The first part finds the records; the others are read by id and joined on (Id, cursor stamp). A record
//! that changed between its parts is read again as a whole: what comes out is what one wide query would
//! have given at some moment, never a mixture of two.

use std::collections::HashMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::client::Client;
use super::error::SalesforceError;
use super::query::Page;
use super::slice::Selection;
use super::soql::{FieldPath, Soql};
use crate::ids::SalesforceId;

/// How often a record that changed between its parts is read again.
const REREADS: usize = 3;

/// `%2C` and two encoded quotes around 18 characters.
const ENCODED_ID_BYTES: usize = 27;

/// A field list cut into parts that each fit a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parts {
    pub(super) first: Vec<FieldPath>,
    pub(super) rest: Vec<Vec<FieldPath>>,
}

impl Parts {
    /// Cuts the list; the budgets are encoded bytes of the first and of each further list.
    pub(super) fn cut(fields: &[FieldPath], first_bytes: usize, rest_bytes: usize) -> Self {
        // What tells a record's fate belongs to the part that finds it.
        let (mut ordered, others): (Vec<_>, Vec<_>) =
            fields.iter().cloned().partition(|field| field.as_str().eq_ignore_ascii_case("IsDeleted"));
        ordered.extend(others);
        let mut parts = vec![Vec::new()];
        let mut left = first_bytes;
        for field in ordered {
            let bytes = field.as_str().len() + "%2C".len();
            if bytes > left && parts.last().is_some_and(|part| !part.is_empty()) {
                parts.push(Vec::new());
                left = rest_bytes;
            }
            left = left.saturating_sub(bytes);
            parts.last_mut().expect("there is always one part").push(field);
        }
        let first = parts.remove(0);
        Self { first, rest: parts }
    }
}

/// A record's fragment under its id: the stamp it was read at, as JSON text, and its JSON.
type Fragments = HashMap<SalesforceId, (String, Box<RawValue>)>;

/// Joins a page of first parts with the other parts of its records, in the page's order.
///
/// A record that is gone when it has to be read again is left out, as a later wide query would.
pub(super) async fn join(
    client: &Client,
    selection: &Selection,
    parts: &Parts,
    page: &Page,
) -> Result<Vec<Box<RawValue>>, SalesforceError> {
    let (order, mut first) = fragments(&page.records(), selection)?;
    let mut joined: HashMap<SalesforceId, Box<RawValue>> = HashMap::with_capacity(order.len());
    let mut open = order.clone();
    for round in 0..=REREADS {
        if round > 0 {
            first = read_part(client, selection, &parts.first, &open).await?;
            open.retain(|id| first.contains_key(id));
        }
        let mut rest = Vec::with_capacity(parts.rest.len());
        for fields in &parts.rest {
            rest.push(read_part(client, selection, fields, &open).await?);
        }
        open.retain(|id| match whole(*id, &first, &rest) {
            Some(record) => {
                joined.insert(*id, record);
                false
            }
            None => true,
        });
        if open.is_empty() {
            return Ok(order.iter().filter_map(|id| joined.remove(id)).collect());
        }
    }
    Err(SalesforceError::SplitMismatch { id: open[0] })
}

/// The whole record, if all its parts were read at one stamp.
fn whole(id: SalesforceId, first: &Fragments, rest: &[Fragments]) -> Option<Box<RawValue>> {
    let (stamp, fragment) = first.get(&id)?;
    let mut objects = vec![fragment.get()];
    for part in rest {
        let (other_stamp, fragment) = part.get(&id)?;
        if other_stamp != stamp {
            return None;
        }
        objects.push(fragment.get());
    }
    RawValue::from_string(merge(&objects)?).ok()
}

/// One part of these records, as many calls as the URL needs.
async fn read_part(
    client: &Client,
    selection: &Selection,
    fields: &[FieldPath],
    ids: &[SalesforceId],
) -> Result<Fragments, SalesforceError> {
    let mut all = Fragments::with_capacity(ids.len());
    let most = ids_per_query(client, selection, fields, &FieldPath::id());
    for chunk in ids.chunks(most) {
        let soql = Soql::by_ids(&selection.object, fields, &selection.cursor, chunk);
        let mut pages = client.query(soql, selection.scope);
        while let Some(page) = pages.next_page().await? {
            all.extend(fragments(&page.records(), selection)?.1);
        }
    }
    Ok(all)
}

/// How many ids fit a query beside these fields.
pub(super) fn ids_per_query(
    client: &Client,
    selection: &Selection,
    fields: &[FieldPath],
    field: &FieldPath,
) -> usize {
    let bare = Soql::by_references(&selection.object, fields, &selection.cursor, field, &[]).encoded_len();
    (client.settings().max_query_bytes.saturating_sub(bare) / ENCODED_ID_BYTES).max(1)
}

fn fragments(
    records: &[&RawValue],
    selection: &Selection,
) -> Result<(Vec<SalesforceId>, Fragments), SalesforceError> {
    let mut order = Vec::with_capacity(records.len());
    let mut by_id = Fragments::with_capacity(records.len());
    for record in records {
        let (id, stamp) = key_of(record.get(), selection.cursor.as_str())?;
        order.push(id);
        by_id.insert(id, (stamp.to_owned(), (*record).to_owned()));
    }
    Ok((order, by_id))
}

/// Id and cursor value (as JSON) of a record.
pub(super) fn key_of<'a>(record: &'a str, cursor: &str) -> Result<(SalesforceId, &'a str), SalesforceError> {
    let unreadable = || SalesforceError::Unreadable {
        expected: "a record with Id and cursor",
        status: 200,
        received: format!("a record of {} bytes without them", record.len()),
    };
    let members: Members<'a> = serde_json::from_str(record).map_err(|_| unreadable())?;
    let value = |name: &str| members.0.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|m| m.1);
    let id = value("Id").and_then(|raw| SalesforceId::parse(raw.trim_matches('"')).ok());
    id.zip(value(cursor).filter(|raw| raw.starts_with('"'))).ok_or_else(unreadable)
}

/// The members of several objects as one object. A parent that is split over parts is merged likewise;
/// of anything else the first value stands.
fn merge(objects: &[&str]) -> Option<String> {
    let mut names: Vec<String> = Vec::new();
    let mut values: HashMap<String, Vec<&str>> = HashMap::new();
    for object in objects {
        let members: Members<'_> = serde_json::from_str(object).ok()?;
        for (name, value) in members.0 {
            let all = values.entry(name.clone()).or_default();
            if all.is_empty() {
                names.push(name);
            }
            all.push(value);
        }
    }
    let mut text = String::from("{");
    for name in names {
        let all = &values[&name];
        if text.len() > 1 {
            text.push(',');
        }
        text.push_str(&serde_json::to_string(&name).ok()?);
        text.push(':');
        let parents = name != "attributes" && all.len() > 1 && all.iter().all(|value| value.starts_with('{'));
        if parents {
            text.push_str(&merge(all)?);
        } else {
            text.push_str(all[0]);
        }
    }
    text.push('}');
    Some(text)
}

/// An object's members in order, values as they came.
struct Members<'a>(Vec<(String, &'a str)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a record")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, &'de RawValue>()? {
                    members.push((name, value.get()));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

#[cfg(test)]
#[path = "split_test.rs"]
mod tests;
