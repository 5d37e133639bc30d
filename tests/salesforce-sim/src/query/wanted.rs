//! Which values a plan will read, so that records are derived no further.

use crate::schema::{Catalog, Source};
use crate::soql::plan::{Column, End, FieldPath, Filter, Output, Plan, Shape};
use crate::store::Wanted;

struct Collector<'a> {
    catalog: &'a Catalog,
    wanted: Wanted,
}

/// What finding the rows of a plan reads.
pub(super) fn by_filter(plan: &Plan, catalog: &Catalog) -> Wanted {
    let mut collector = Collector { catalog, wanted: Wanted::default() };
    collector.finding(plan);
    collector.wanted
}

/// What finding and grouping the rows of a plan reads.
pub(super) fn by_groups(
    plan: &Plan,
    keys: &[FieldPath],
    columns: &[(String, Column)],
    catalog: &Catalog,
) -> Wanted {
    let mut collector = Collector { catalog, wanted: Wanted::default() };
    collector.finding(plan);
    for path in keys {
        collector.path(plan.object, path);
    }
    for (_, column) in columns {
        if let Column::Aggregate(_, Some(path)) = column {
            collector.path(plan.object, path);
        }
    }
    collector.wanted
}

/// What writing the rows of a plan reads.
pub(super) fn by_outputs(object: usize, outputs: &[Output], catalog: &Catalog) -> Wanted {
    let mut collector = Collector { catalog, wanted: Wanted::default() };
    collector.outputs(object, outputs);
    collector.rules(object);
    collector.wanted
}

impl Collector<'_> {
    fn finding(&mut self, plan: &Plan) {
        self.rules(plan.object);
        if let Some(filter) = &plan.filter {
            self.filter(plan.object, filter);
        }
        plan.order.iter().for_each(|key| self.path(plan.object, &key.path));
    }

    /// What decides who sees a row.
    fn rules(&mut self, object: usize) {
        for name in ["Field", "IsArchived", "ParentId"] {
            if let Some(field) = self.catalog.objects[object].field_index(name) {
                self.field(object, field);
            }
        }
    }

    fn field(&mut self, object: usize, field: usize) {
        let storage = self.catalog.storage(object);
        match &self.catalog.objects[object].fields[field].source {
            Source::Slot(slot) | Source::Blob(slot) => self.wanted.insert(storage, *slot),
            Source::Compound(parts) => parts.iter().for_each(|(_, slot)| self.wanted.insert(storage, *slot)),
            Source::Mirror { via, object: parent, field } => {
                let (via, parent, field) = (*via, *parent, *field);
                self.field(object, via);
                self.field(parent, field);
            }
            Source::Id | Source::Stamp | Source::Deleted => {}
        }
    }

    /// The objects that a reference may lead to.
    fn follow(&mut self, object: usize, via: usize) -> Vec<usize> {
        self.field(object, via);
        let reference = self.catalog.objects[object].fields[via].reference.as_ref();
        reference
            .into_iter()
            .flat_map(crate::schema::Reference::objects)
            .filter_map(|name| self.catalog.index(name))
            .collect()
    }

    fn path(&mut self, object: usize, path: &FieldPath) {
        let mut objects = vec![object];
        for hop in &path.hops {
            // Only the last hop may be polymorphic, and before it there is one object.
            objects = objects.first().map(|object| self.follow(*object, *hop)).unwrap_or_default();
        }
        for object in objects {
            let field = match &path.end {
                End::Field(field) => Some(*field),
                End::Named(name) => self.catalog.objects[object].named_field(name),
            };
            if let Some(field) = field.filter(|field| *field < self.catalog.objects[object].fields.len()) {
                self.field(object, field);
            }
        }
    }

    fn filter(&mut self, object: usize, filter: &Filter) {
        match filter {
            Filter::And(filters) | Filter::Or(filters) => {
                for one in filters {
                    self.filter(object, one);
                }
            }
            Filter::Not(inner) => self.filter(object, inner),
            Filter::InQuery(path, plan, field) => {
                self.path(object, path);
                self.finding(plan);
                self.field(plan.object, *field);
            }
            Filter::Compare(path, ..)
            | Filter::Range(path, ..)
            | Filter::In(path, _)
            | Filter::InIds(path, _)
            | Filter::Like(path, _)
            | Filter::Includes(path, _) => self.path(object, path),
            Filter::Constant(_) => {}
        }
    }

    fn outputs(&mut self, object: usize, outputs: &[Output]) {
        for output in outputs {
            match output {
                Output::Field { field, .. } => self.field(object, *field),
                Output::Parent { via, branches, .. } => {
                    self.field(object, *via);
                    for (parent, inner) in branches {
                        self.outputs(*parent, inner);
                    }
                }
                Output::Children { plan, field, .. } => {
                    self.finding(plan);
                    self.field(plan.object, *field);
                    if let Shape::Rows(inner) = &plan.shape {
                        self.outputs(plan.object, inner);
                    }
                }
                Output::TypeName { .. } | Output::Absent { .. } => {}
            }
        }
    }
}
