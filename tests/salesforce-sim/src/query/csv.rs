//! Rows as CSV, as bulk query jobs deliver them.
//!
//! Every value is quoted, a quote inside is doubled, and a null is an empty pair of quotes: it cannot be told
//! from an empty text, here as there. Columns are the selected paths in the order of the SELECT list.

use super::formatted::formatted;
use super::term::{type_name, with_term};
use super::wanted;
use crate::schema::Catalog;
use crate::soql::ast::{Item, Query};
use crate::soql::plan::Output;
use crate::store::{Handle, Reader, Record, Wanted};
use crate::time;
use crate::value::Cell;

/// How the text is laid out.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Between two values.
    pub delimiter: u8,
    /// After each row.
    pub line_ending: &'static str,
}

/// The columns of a result: their names, and where each is found among a row's cells.
#[derive(Clone, Debug)]
pub struct Columns {
    layout: Layout,
    names: Vec<String>,
    order: Vec<usize>,
    in_order: bool,
    wanted: Wanted,
}

/// Where columns come from.
#[derive(Clone, Copy, Debug)]
pub struct Selection<'a> {
    /// The statement.
    pub query: &'a Query,
    /// What its SELECT list became.
    pub outputs: &'a [Output],
    /// The object it reads.
    pub object: usize,
    /// The org's objects.
    pub catalog: &'a Catalog,
}

impl Columns {
    /// The columns of a selection. Old API versions sort them by name.
    pub fn new(selection: Selection<'_>, by_name: bool, layout: Layout) -> Self {
        let Selection { query, outputs, object, catalog } = selection;
        let mut found = Vec::new();
        flatten(outputs, "", &mut found);
        let mut order: Vec<usize> = Vec::with_capacity(found.len());
        for item in &query.items {
            if let Item::Value { expr, .. } = item
                && let Some(path) = expr.first_path()
            {
                // A first step may name the object itself or its alias.
                let place = |steps: &[String]| {
                    let wanted = steps.join(".");
                    found.iter().position(|name| name.eq_ignore_ascii_case(&wanted))
                };
                order.extend(place(&path.steps).or_else(|| place(&path.steps[1..])));
            }
        }
        let rest: Vec<usize> = (0..found.len()).filter(|place| !order.contains(place)).collect();
        order.extend(rest);
        if by_name {
            order.sort_by(|a, b| found[*a].cmp(&found[*b]));
        }
        let names = order.iter().map(|place| found[*place].clone()).collect();
        let in_order = order.is_sorted();
        let wanted = wanted::by_outputs(object, outputs, catalog);
        Self { layout, names, order, in_order, wanted }
    }

    /// Writes the header line.
    pub fn header(&self, out: &mut Vec<u8>) {
        for (place, name) in self.names.iter().enumerate() {
            if place > 0 {
                out.push(self.layout.delimiter);
            }
            quoted(out, name);
        }
        out.extend_from_slice(self.layout.line_ending.as_bytes());
    }

    /// Writes one row. `scratch` only saves allocations.
    pub fn row(
        &self,
        reader: Reader<'_>,
        outputs: &[Output],
        (object, handle): (usize, Handle),
        scratch: &mut Scratch,
        out: &mut Vec<u8>,
    ) {
        scratch.text.clear();
        scratch.ends.clear();
        let reader = reader.wanting(&self.wanted);
        let record = reader.record(object, handle);
        cells(reader, outputs, record.as_ref().map(|record| (object, record)), scratch);
        if self.in_order {
            // Cells are contiguous; what is missing is only the delimiter between them.
            let mut start = 0;
            for (place, end) in scratch.ends.iter().enumerate() {
                if place > 0 {
                    out.push(self.layout.delimiter);
                }
                out.extend_from_slice(&scratch.text[start..*end]);
                start = *end;
            }
        } else {
            for (place, cell) in self.order.iter().enumerate() {
                if place > 0 {
                    out.push(self.layout.delimiter);
                }
                let start = cell.checked_sub(1).map_or(0, |before| scratch.ends[before]);
                out.extend_from_slice(&scratch.text[start..scratch.ends[*cell]]);
            }
        }
        out.extend_from_slice(self.layout.line_ending.as_bytes());
    }
}

/// Room for the cells of one row.
#[derive(Debug, Default)]
pub struct Scratch {
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl Scratch {
    fn end_cell(&mut self) {
        self.ends.push(self.text.len());
    }
}

fn name_of(key: &[u8]) -> &str {
    std::str::from_utf8(key).unwrap_or_default().trim_matches([':', '"'])
}

/// Names of the leaves, depth first: the order in which [`cells`] writes.
fn flatten(outputs: &[Output], before: &str, names: &mut Vec<String>) {
    for output in outputs {
        match output {
            Output::Field { key, .. }
            | Output::TypeName { key }
            | Output::Absent { key }
            | Output::Computed { key, .. } => {
                names.push(format!("{before}{}", name_of(key)));
            }
            Output::Parent { key, branches, .. } => {
                let inner = branches.first().map_or(&[][..], |(_, inner)| inner);
                flatten(inner, &format!("{before}{}.", name_of(key)), names);
            }
            Output::Children { .. } => {}
        }
    }
}

/// Writes the cells of a row, empty ones where there is no record.
fn cells(reader: Reader<'_>, outputs: &[Output], at: Option<(usize, &Record<'_>)>, scratch: &mut Scratch) {
    for output in outputs {
        match output {
            Output::Field { field, .. } => {
                match at {
                    Some((object, record)) => {
                        reader.with(object, record, *field, |cell| written(&mut scratch.text, cell));
                    }
                    None => written(&mut scratch.text, Cell::Null),
                }
                scratch.end_cell();
            }
            Output::Computed { term, formatted: as_people_read, .. } => {
                match at {
                    Some((object, record)) => {
                        with_term(reader, object, record, term, |cell| {
                            match formatted(cell).filter(|_| *as_people_read) {
                                Some(text) => quoted(&mut scratch.text, &text),
                                None => written(&mut scratch.text, cell),
                            }
                        });
                    }
                    None => written(&mut scratch.text, Cell::Null),
                }
                scratch.end_cell();
            }
            Output::TypeName { .. } => {
                quoted(&mut scratch.text, at.map_or("", |(object, _)| type_name(reader, object)));
                scratch.end_cell();
            }
            Output::Absent { .. } => {
                scratch.text.extend_from_slice(b"\"\"");
                scratch.end_cell();
            }
            Output::Parent { via, branches, .. } => {
                let parent = at.and_then(|(object, record)| reader.parent(object, record, *via));
                let branch = parent.and_then(|(object, record)| {
                    let (_, inner) = branches.iter().find(|(of, _)| *of == object)?;
                    Some((object, record, inner))
                });
                match branch {
                    Some((object, record, inner)) => cells(reader, inner, Some((object, &record)), scratch),
                    None => {
                        cells(reader, branches.first().map_or(&[][..], |(_, inner)| inner), None, scratch);
                    }
                }
            }
            Output::Children { .. } => {}
        }
    }
}

fn written(out: &mut Vec<u8>, cell: Cell<'_>) {
    match cell {
        Cell::Text(text) => return quoted(out, text),
        Cell::Null => return out.extend_from_slice(b"\"\""),
        _ => {}
    }
    out.push(b'"');
    match cell {
        Cell::Id(id) => out.extend_from_slice(id.as_bytes()),
        Cell::Date(day) => time::write_date(out, day),
        Cell::Instant(at) => {
            time::write_instant(out, at);
            // Bulk results say `Z` where REST says `+0000`.
            out.truncate(out.len() - 5);
            out.push(b'Z');
        }
        // Numbers and checkboxes are written as JSON writes them.
        other => other.write_json(out),
    }
    out.push(b'"');
}

fn quoted(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(place) = rest.iter().position(|byte| *byte == b'"') {
        out.extend_from_slice(&rest[..=place]);
        out.push(b'"');
        rest = &rest[place + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(cell: Cell<'_>) -> String {
        let mut out = Vec::new();
        written(&mut out, cell);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_value_is_quoted() {
        assert_eq!(text(Cell::Null), "\"\"");
        assert_eq!(text(Cell::Text("a\"b\"\r\nc,")), "\"a\"\"b\"\"\r\nc,\"");
        assert_eq!(text(Cell::Bool(true)), "\"true\"");
        assert_eq!(text(Cell::Double(12.0)), "\"12.0\"");
        assert_eq!(text(Cell::Instant(1_365_108_742_000)), "\"2013-04-04T20:52:22.000Z\"");
    }
}
