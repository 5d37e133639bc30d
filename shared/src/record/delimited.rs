//! From the rows of a Bulk job's results to the same canonical record that REST's JSON gives.
//!
//! Every cell is text, and an empty one is null: Bulk cannot tell an empty text from none. Nothing else is read into
//! a text: `N/A`, `007` and blanks are values.

use std::collections::HashMap;

use csv::ByteRecord;

use super::canonical::{PageRecords, RecordProblem, write_cell};
use crate::catalog::FieldSet;

/// Where each field of a set stands in the rows of a result.
#[derive(Debug, Clone)]
pub struct Columns {
    places: Vec<usize>,
    names: Vec<String>,
}

impl Columns {
    /// Finds the fields in a result's first row; the path of a field that has no column is the error.
    pub fn find(header: &ByteRecord, set: &FieldSet) -> Result<Self, String> {
        let names: Vec<String> =
            header.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
        let place = |path: &str| names.iter().position(|name| name.eq_ignore_ascii_case(path));
        let places = set.fields().iter().map(|field| place(&field.path).ok_or_else(|| field.path.clone()));
        Ok(Self { places: places.collect::<Result<_, _>>()?, names })
    }

    /// How many cells a row has.
    #[must_use]
    pub fn width(&self) -> usize {
        self.names.len()
    }

    /// A row as a JSON object of texts, for what is set aside; null stands for what is no text in any encoding of ours.
    #[must_use]
    pub fn to_json(&self, row: &ByteRecord) -> String {
        let cells = row.iter().map(|cell| std::str::from_utf8(cell).ok().into());
        let object: serde_json::Map<_, _> = self.names.iter().cloned().zip(cells).collect();
        serde_json::Value::Object(object).to_string()
    }
}

/// Appends one row of a result to the page; on a problem nothing is appended.
pub fn canonicalize_row(
    row: &ByteRecord,
    columns: &Columns,
    set: &FieldSet,
    page: &mut PageRecords,
) -> Result<(), RecordProblem> {
    page.append(set, |position, kind, out| {
        let cell = std::str::from_utf8(row.get(columns.places[position])?).ok()?;
        write_cell(cell, kind, out)
    })
}

/// Appends a row that was set aside, as [`Columns::to_json`] gave it.
pub fn canonicalize_texts(
    texts: &HashMap<String, Option<String>>,
    set: &FieldSet,
    page: &mut PageRecords,
) -> Result<(), RecordProblem> {
    page.append(set, |position, kind, out| {
        let path = &set.fields()[position].path;
        let (_, cell) = texts.iter().find(|(name, _)| name.eq_ignore_ascii_case(path))?;
        write_cell(cell.as_deref()?, kind, out)
    })
}

#[cfg(test)]
#[path = "delimited_test.rs"]
mod tests;
