//! What a running query may look at.

use crate::org::permissions::{Permissions, Sharing};
use crate::schema::ObjectSchema;
use crate::store::{Gate, Handle, Reader, State, Wanted};
use crate::value::{Cell, Value};

/// The records as one user may see them.
#[derive(Clone, Copy, Debug)]
pub struct Sight<'a> {
    /// The records.
    pub reader: Reader<'a>,
    /// What the user may see.
    pub permissions: &'a Permissions,
    /// Whether deleted and archived rows count (`queryAll`).
    pub with_deleted: bool,
}

impl<'a> Sight<'a> {
    /// The same, deriving only what is wanted.
    pub(super) fn wanting(self, wanted: &'a Wanted) -> Self {
        Self { reader: self.reader.wanting(wanted), ..self }.guarded()
    }

    /// The same, following references only to what the user sees.
    #[must_use]
    pub fn guarded(self) -> Self {
        Self { reader: self.reader.gated(self.permissions.gate()), ..self }
    }

    /// Whether every row in a visible state is seen, so that nobody need look at rows one by one.
    pub(super) fn sees_all(&self, object: usize) -> bool {
        let schema = &self.reader.store.catalog.objects[object];
        let hides = self.permissions.hides_fields() && schema.trait_value("history").is_some();
        let archives = !self.with_deleted && schema.name == "Task";
        let views = schema.trait_value("view").is_some();
        !hides && !archives && !views && !self.shares(object)
    }

    /// Whether sharing decides about the rows of an object.
    fn shares(&self, object: usize) -> bool {
        let sharing = self.permissions.sharing.as_deref();
        sharing.is_some_and(|sharing| decides(sharing, &self.reader.store.catalog.objects[object], object))
    }

    fn is_shared(&self, object: usize, handle: Handle) -> bool {
        let sharing = self.permissions.sharing.as_deref();
        sharing.is_none_or(|sharing| sharing.shows(self.reader, object, handle))
    }

    /// Whether a row exists for this reader.
    pub fn sees(&self, object: usize, handle: Handle) -> bool {
        let state = self.reader.state(object, handle);
        let alive = match state {
            Some(State::Live) => true,
            Some(State::Deleted) => self.with_deleted,
            Some(State::Purged) | None => false,
        };
        alive
            && (self.sees_all(object)
                || (self.sees_history(object, handle)
                    && self.sees_archived(object, handle)
                    && self.is_in_view(object, handle)
                    && self.is_shared(object, handle)))
    }

    /// History rows of a hidden field vanish.
    fn sees_history(&self, object: usize, handle: Handle) -> bool {
        let store = self.reader.store;
        let Some(of) = store.catalog.objects[object].trait_value("history") else {
            return true;
        };
        let Some(of) = store.catalog.index(of).filter(|_| self.permissions.hides_fields()) else {
            return true;
        };
        self.cell_is(object, handle, "Field", |cell| {
            let Cell::Text(changed) = cell else { return true };
            let changed = if changed == "Owner" { "OwnerId" } else { changed };
            let index = store.catalog.objects[of].field_index(changed);
            index.is_none_or(|index| self.permissions.field_visible(of, index))
        })
    }

    /// Archived activities are seen by `queryAll` only.
    fn sees_archived(&self, object: usize, handle: Handle) -> bool {
        self.with_deleted
            || self.reader.store.catalog.objects[object].name != "Task"
            || self.cell_is(object, handle, "IsArchived", |cell| cell != Cell::Bool(true))
    }

    /// A view of a feed shows the posts on its own object.
    fn is_in_view(&self, object: usize, handle: Handle) -> bool {
        let store = self.reader.store;
        let schema = &store.catalog.objects[object];
        // Posts from birth are all on cases.
        let (Some(of), false) = (schema.trait_value("feed"), store.tables[object].is_untouched(handle))
        else {
            return true;
        };
        let of = store.catalog.index(of);
        self.cell_is(
            object,
            handle,
            "ParentId",
            |cell| matches!(cell, Cell::Id(id) if store.catalog.by_prefix(id.prefix()) == of),
        )
    }

    fn cell_is(
        &self,
        object: usize,
        handle: Handle,
        field: &str,
        holds: impl FnOnce(Cell<'_>) -> bool,
    ) -> bool {
        let field = self.reader.store.catalog.objects[object].field_index(field);
        let record = self.reader.record(object, handle);
        match field.zip(record) {
            Some((field, record)) => self.reader.with(object, &record, field, holds),
            None => true,
        }
    }
}

/// Whether sharing decides about the rows of an object.
fn decides(sharing: &Sharing, schema: &ObjectSchema, object: usize) -> bool {
    sharing.is_private(object) || schema.trait_value("follows").is_some()
}

impl Gate for Sharing {
    /// Rows of private objects are for their owners; rows that follow another record, for those who see that one.
    fn shows(&self, reader: Reader<'_>, object: usize, handle: Handle) -> bool {
        let store = reader.store;
        let schema = &store.catalog.objects[object];
        if !decides(self, schema, object) {
            return true;
        }
        let value = |name: &str| {
            let field = schema.field_index(name);
            field.map_or(Value::Null, |field| reader.value(object, handle, field))
        };
        let owner = value("OwnerId").as_id();
        let is_own = owner.is_some_and(|owner| self.sees_of(owner));
        if self.is_private(object) {
            return is_own || owner.is_none() || self.is_shared(store.tables[object].id(handle));
        }
        // Nobody but administrators sees other people's private attachments, or any in the recycle bin.
        let is_hidden = || {
            value("IsPrivate") == Value::Bool(true) || reader.state(object, handle) == Some(State::Deleted)
        };
        if schema.name == "Attachment" && !is_own && is_hidden() {
            return false;
        }
        let above = schema.trait_value("follows").and_then(|field| value(field).as_id());
        // A deleted record takes its children with it; who saw them before sees them in the bin.
        above.and_then(|id| store.find(id)).is_none_or(|(parent, row)| self.shows(reader, parent, row))
    }
}
