//! Rows as JSON, written straight into a byte buffer.

use std::sync::Arc;

use super::formatted::formatted;
use super::term::{type_name, with_term};
use super::{RowSet, Sight, child_rows, wanted};
use crate::id::SfId;
use crate::org::permissions::Permissions;
use crate::schema::{Catalog, Source};
use crate::soql::plan::{Output, Plan, Shape};
use crate::store::{Handle, Record};

/// Most child rows written inside one parent; the rest has its own cursor.
pub const CHILD_PAGE: usize = 200;
/// Rows of a page that selects two or more custom long texts.
const LONG_TEXT_PAGE: usize = 200;
/// Rows, and bytes, of a page that selects two or more very long texts.
const HUGE_TEXT_PAGE: (usize, usize) = (500, 8 << 20);

/// Opens a cursor for the rest of a child list and returns its `nextRecordsUrl`.
pub type OpenCursor<'a> = dyn FnMut(&Arc<Plan>, Vec<Handle>, usize) -> String + 'a;

/// A page to write.
#[derive(Debug)]
pub struct PageRequest<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// All rows of the result.
    pub rows: &'a RowSet,
    /// The first one of this page.
    pub from: usize,
    /// Rows wanted.
    pub batch: usize,
    /// `v66.0`
    pub version: &'a str,
}

/// Writes the `records` of a page (without brackets) and returns where the next page starts, and how many it wrote.
pub fn page(
    request: &PageRequest<'_>,
    sight: Sight<'_>,
    open: &mut OpenCursor<'_>,
    out: &mut Vec<u8>,
) -> (usize, usize) {
    let Shape::Rows(outputs) = &request.plan.shape else {
        return (request.rows.len(), 0);
    };
    let huge = request.plan.huge_texts >= 2;
    let mut batch = request.batch;
    if request.plan.custom_long_texts >= 2 {
        batch = batch.min(LONG_TEXT_PAGE);
    }
    if huge {
        batch = batch.min(HUGE_TEXT_PAGE.0);
    }
    let needed = wanted::by_outputs(request.plan.object, outputs, &sight.reader.store.catalog);
    let sight = sight.wanting(&needed);
    let mut writer = Writer { sight, version: request.version, open, children: 0 };
    let mut rows = 0;
    let mut at = request.from;
    let start = out.len();
    while at < request.rows.len() && rows + writer.children < batch {
        if huge && out.len() - start >= HUGE_TEXT_PAGE.1 {
            break;
        }
        let handle = request.rows.get(at);
        at += 1;
        // A row that vanished since the query began is left out: pages may be short.
        if !sight.sees(request.plan.object, handle) {
            continue;
        }
        let Some(record) = sight.reader.record(request.plan.object, handle) else { continue };
        if rows > 0 {
            out.push(b',');
        }
        writer.row(out, outputs, request.plan.object, &record, None);
        rows += 1;
    }
    (at, rows)
}

/// Writes one record with these outputs.
pub fn record(
    out: &mut Vec<u8>,
    outputs: &[Output],
    object: usize,
    handle: Handle,
    sight: Sight<'_>,
    version: &str,
) {
    let mut no_cursor = |_: &Arc<Plan>, _: Vec<Handle>, _: usize| String::new();
    let sight = sight.guarded();
    let mut writer = Writer { sight, version, open: &mut no_cursor, children: 0 };
    if let Some(record) = sight.reader.record(object, handle) {
        writer.row(out, outputs, object, &record, None);
    }
}

/// Outputs for every field of an object that may be seen.
pub fn all_outputs(catalog: &Catalog, permissions: &Permissions, object: usize) -> Vec<Output> {
    let fields = catalog.objects[object].fields.iter().enumerate();
    let visible = fields.filter(|(index, field)| field.exists() && permissions.field_visible(object, *index));
    visible
        .map(|(field, definition)| Output::Field {
            key: format!("\"{}\":", definition.name).into_bytes(),
            field,
        })
        .collect()
}

struct Writer<'a, 'b> {
    sight: Sight<'a>,
    version: &'a str,
    open: &'a mut OpenCursor<'b>,
    children: usize,
}

impl<'a> Writer<'a, '_> {
    fn row(
        &mut self,
        out: &mut Vec<u8>,
        outputs: &[Output],
        object: usize,
        record: &Record<'a>,
        called: Option<&str>,
    ) {
        let name = &self.sight.reader.store.catalog.objects[object].name;
        out.extend_from_slice(b"{\"attributes\":{\"type\":\"");
        out.extend_from_slice(called.unwrap_or(name).as_bytes());
        out.extend_from_slice(b"\",\"url\":\"");
        self.url(out, object, record.id);
        out.extend_from_slice(b"\"}");
        for output in outputs {
            out.push(b',');
            self.output(out, output, object, record);
        }
        out.push(b'}');
    }

    /// The path of a record.
    fn url(&self, out: &mut Vec<u8>, object: usize, id: SfId) {
        out.extend_from_slice(b"/services/data/");
        out.extend_from_slice(self.version.as_bytes());
        out.extend_from_slice(b"/sobjects/");
        out.extend_from_slice(self.sight.reader.store.catalog.objects[object].name.as_bytes());
        out.push(b'/');
        out.extend_from_slice(id.as_bytes());
    }

    fn output(&mut self, out: &mut Vec<u8>, output: &Output, object: usize, record: &Record<'a>) {
        let reader = self.sight.reader;
        match output {
            Output::Field { key, field } => {
                out.extend_from_slice(key);
                let definition = &reader.store.catalog.objects[object].fields[*field];
                match &definition.source {
                    Source::Compound(parts) => compound(out, parts, record),
                    Source::Blob(_) => {
                        // The bytes have a path of their own.
                        out.push(b'"');
                        self.url(out, object, record.id);
                        out.push(b'/');
                        out.extend_from_slice(definition.name.as_bytes());
                        out.push(b'"');
                    }
                    _ => reader.with(object, record, *field, |cell| cell.write_json(out)),
                }
            }
            Output::Parent { key, via, virtual_name, branches } => {
                out.extend_from_slice(key);
                let parent = reader.parent(object, record, *via);
                let branch = parent.and_then(|(parent, row)| {
                    let inner = branches.iter().find(|(object, _)| *object == parent)?;
                    Some((parent, row, &inner.1))
                });
                match branch {
                    Some((parent, row, inner)) => {
                        self.row(out, inner, parent, &row, virtual_name.then_some("Name"));
                    }
                    None => out.extend_from_slice(b"null"),
                }
            }
            Output::TypeName { key } => {
                out.extend_from_slice(key);
                crate::value::write_text(out, type_name(reader, object));
            }
            Output::Absent { key } => {
                out.extend_from_slice(key);
                out.extend_from_slice(b"null");
            }
            Output::Computed { key, term, formatted: as_people_read } => {
                out.extend_from_slice(key);
                with_term(reader, object, record, term, |cell| match formatted(cell) {
                    Some(text) if *as_people_read => crate::value::write_text(out, &text),
                    _ => cell.write_json(out),
                });
            }
            Output::Children { key, field, plan } => {
                out.extend_from_slice(key);
                self.child_list(out, plan, *field, record.id);
            }
        }
    }

    fn child_list(&mut self, out: &mut Vec<u8>, plan: &Arc<Plan>, field: usize, parent: SfId) {
        let rows = child_rows(plan, self.sight, field, parent);
        let Shape::Rows(outputs) = &plan.shape else { return };
        if rows.is_empty() {
            out.extend_from_slice(b"null");
            return;
        }
        let total = rows.len();
        let shown = total.min(CHILD_PAGE);
        out.extend_from_slice(format!("{{\"totalSize\":{total},\"done\":{}", shown == total).as_bytes());
        if shown < total {
            let url = (self.open)(plan, rows.clone(), shown);
            out.extend_from_slice(format!(",\"nextRecordsUrl\":\"{url}\"").as_bytes());
        }
        out.extend_from_slice(b",\"records\":[");
        for (place, handle) in rows[..shown].iter().enumerate() {
            let Some(record) = self.sight.reader.record(plan.object, *handle) else { continue };
            if place > 0 {
                out.push(b',');
            }
            self.row(out, outputs, plan.object, &record, None);
            self.children += 1;
        }
        out.extend_from_slice(b"]}");
    }
}

/// An address or location: an object of its parts, or null when all of them are.
fn compound(out: &mut Vec<u8>, parts: &[(&'static str, usize)], record: &Record<'_>) {
    if parts.iter().all(|(_, slot)| record.cell(*slot).is_null()) {
        out.extend_from_slice(b"null");
        return;
    }
    for (place, (key, slot)) in parts.iter().enumerate() {
        out.push(if place == 0 { b'{' } else { b',' });
        out.push(b'"');
        out.extend_from_slice(key.as_bytes());
        out.extend_from_slice(b"\":");
        record.cell(*slot).write_json(out);
    }
    out.push(b'}');
}
