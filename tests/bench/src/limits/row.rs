//! A record of a page as a row of text columns, in the form that binary `COPY` takes.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use anyhow::Context;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Where the values of a page go: the columns of a table, by the names that lead to them.
#[derive(Debug, Default)]
pub(super) struct Columns {
    leaves: HashMap<String, usize>,
    parents: HashMap<String, Columns>,
    width: usize,
}

impl Columns {
    /// Columns for these paths, in their order.
    pub(super) fn new(paths: &[String]) -> Self {
        let mut columns = Self { width: paths.len(), ..Self::default() };
        for (place, path) in paths.iter().enumerate() {
            let mut level = &mut columns;
            let mut rest = path.as_str();
            while let Some((step, after)) = rest.split_once('.') {
                level = level.parents.entry(step.to_owned()).or_default();
                rest = after;
            }
            level.leaves.insert(rest.to_owned(), place);
        }
        columns
    }

    /// Appends a record as one row.
    pub(super) fn write(&self, record: &RawValue, out: &mut Vec<u8>) -> anyhow::Result<()> {
        let mut values = vec![None; self.width];
        fill(self, record, &mut values).context("read a record")?;
        out.extend_from_slice(&i16::try_from(self.width)?.to_be_bytes());
        for value in values {
            match value.map(text).transpose()?.flatten() {
                None => out.extend_from_slice(&(-1_i32).to_be_bytes()),
                Some(text) => {
                    out.extend_from_slice(&i32::try_from(text.len())?.to_be_bytes());
                    out.extend_from_slice(text.as_bytes());
                }
            }
        }
        Ok(())
    }
}

/// The text of a scalar; PostgreSQL's text cannot hold a NUL.
fn text(raw: &str) -> anyhow::Result<Option<Cow<'_, str>>> {
    let Some(inner) = raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return Ok((raw != "null").then_some(Cow::Borrowed(raw)));
    };
    if !inner.contains('\\') {
        return Ok(Some(Cow::Borrowed(inner)));
    }
    let text: String = serde_json::from_str(raw).context("read a text")?;
    Ok(Some(Cow::Owned(if text.contains('\0') { text.replace('\0', "") } else { text })))
}

fn fill<'a>(
    columns: &Columns,
    record: &'a RawValue,
    values: &mut [Option<&'a str>],
) -> Result<(), serde_json::Error> {
    serde_json::Deserializer::from_str(record.get()).deserialize_map(Fill { columns, values })
}

struct Fill<'c, 'a> {
    columns: &'c Columns,
    values: &'c mut [Option<&'a str>],
}

impl<'a> Visitor<'a> for Fill<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(place) = map.next_key_seed(Name(self.columns))? {
            match place {
                Place::Column(at) => self.values[at] = Some(map.next_value::<&RawValue>()?.get()),
                Place::Parent(columns) => {
                    let parent = map.next_value::<&RawValue>()?;
                    if parent.get().starts_with('{') {
                        fill(columns, parent, self.values).map_err(serde::de::Error::custom)?;
                    }
                }
                Place::Nowhere => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        Ok(())
    }
}

enum Place<'c> {
    Column(usize),
    Parent(&'c Columns),
    Nowhere,
}

struct Name<'c>(&'c Columns);

impl<'de, 'c> DeserializeSeed<'de> for Name<'c> {
    type Value = Place<'c>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Place<'c>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'c> Visitor<'_> for Name<'c> {
    type Value = Place<'c>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Place<'c>, E> {
        let column = self.0.leaves.get(name).map(|at| Place::Column(*at));
        Ok(column.or_else(|| self.0.parents.get(name).map(Place::Parent)).unwrap_or(Place::Nowhere))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_becomes_a_row_with_its_parents_values() {
        let columns = Columns::new(&["Id".to_owned(), "Owner.Name".to_owned(), "Note".to_owned()]);
        let record: Box<RawValue> = serde_json::from_str(
            r#"{"attributes":{"type":"Case"},"Note":"a\"b","Owner":{"attributes":{},"Name":"Ann"},"Id":"500","X":1}"#,
        )
        .unwrap();
        let mut row = Vec::new();
        columns.write(&record, &mut row).unwrap();
        assert_eq!(row, b"\0\x03\0\0\0\x03500\0\0\0\x03Ann\0\0\0\x03a\"b");

        let empty: Box<RawValue> = serde_json::from_str(r#"{"Owner":null,"Note":null,"Id":true}"#).unwrap();
        row.clear();
        columns.write(&empty, &mut row).unwrap();
        assert_eq!(row, b"\0\x03\0\0\0\x04true\xff\xff\xff\xff\xff\xff\xff\xff");
    }

    #[test]
    fn a_nul_is_left_out() {
        assert_eq!(text(r#""a\u0000b""#).unwrap().as_deref(), Some("ab"));
        assert_eq!(text("null").unwrap(), None);
        assert_eq!(text("1.5").unwrap().as_deref(), Some("1.5"));
    }
}
