//! Which values a plan will read, so that records are derived no further.

use super::Sight;
use crate::schema::{Catalog, Source};
use crate::soql::plan::{Column, End, FieldPath, Filter, Grouping, Having, Output, Plan, Shape, Term};
use crate::store::Wanted;

struct Collector<'a> {
    catalog: &'a Catalog,
    wanted: Wanted,
}

/// What finding the rows of a plan reads.
pub(super) fn by_filter(plan: &Plan, sight: Sight<'_>) -> Wanted {
    let catalog = &sight.reader.store.catalog;
    let mut collector = Collector { catalog, wanted: Wanted::default() };
    collector.finding(plan);
    if !sight.sees_all(plan.object) {
        collector.rules(plan.object);
    }
    collector.wanted
}

/// What finding and grouping the rows of a plan reads.
pub(super) fn by_groups(plan: &Plan, grouping: &Grouping, sight: Sight<'_>) -> Wanted {
    let catalog = &sight.reader.store.catalog;
    let mut collector = Collector { catalog, wanted: Wanted::default() };
    collector.finding(plan);
    if !sight.sees_all(plan.object) {
        collector.rules(plan.object);
    }
    for key in &grouping.keys {
        collector.term(plan.object, key);
    }
    let columns = grouping.columns.iter().map(|(_, column)| column);
    for column in columns.chain(grouping.order.iter().map(|(column, ..)| column)) {
        collector.column(plan.object, column);
    }
    if let Some(having) = &grouping.having {
        collector.having(plan.object, having);
    }
    collector.wanted
}

/// What writing the rows of a plan reads.
pub(super) fn by_outputs(object: usize, outputs: &[Output], catalog: &Catalog) -> Wanted {
    let mut collector = Collector { catalog, wanted: Wanted::default() };
    collector.outputs(object, outputs);
    collector.wanted
}

impl Collector<'_> {
    fn finding(&mut self, plan: &Plan) {
        if let Some(filter) = &plan.filter {
            self.filter(plan.object, filter);
        }
        for key in &plan.order {
            self.term(plan.object, &key.term);
        }
    }

    /// What decides who sees a row.
    fn rules(&mut self, object: usize) {
        let follows = self.catalog.objects[object].trait_value("follows").map(str::to_owned);
        let names = ["Field", "IsArchived", "ParentId", "OwnerId", "IsPrivate"];
        for name in names.into_iter().chain(follows.as_deref()) {
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

    fn term(&mut self, object: usize, term: &Term) {
        match term {
            Term::Path(path) | Term::Part(_, path) => self.path(object, path),
            Term::Distance(distance) => {
                self.path(object, &distance.latitude);
                self.path(object, &distance.longitude);
            }
        }
    }

    fn column(&mut self, object: usize, column: &Column) {
        match column {
            Column::Aggregate(_, Some(term)) => self.term(object, term),
            Column::Formatted(inner) => self.column(object, inner),
            Column::Aggregate(_, None) | Column::Key(_) | Column::Grouping(_) => {}
        }
    }

    fn having(&mut self, object: usize, having: &Having) {
        match having {
            Having::And(all) | Having::Or(all) => {
                for one in all {
                    self.having(object, one);
                }
            }
            Having::Not(inner) => self.having(object, inner),
            Having::Test(column, _) => self.column(object, column),
        }
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
            Filter::InQuery(term, plan, field) => {
                self.term(object, term);
                self.finding(plan);
                self.field(plan.object, *field);
            }
            Filter::Compare(term, ..)
            | Filter::Range(term, ..)
            | Filter::In(term, _)
            | Filter::InIds(term, _)
            | Filter::Like(term, _)
            | Filter::Includes(term, _) => self.term(object, term),
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
                Output::Computed { term, .. } => self.term(object, term),
                Output::TypeName { .. } | Output::Absent { .. } => {}
            }
        }
    }
}
