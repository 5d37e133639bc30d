//! The tables of an org by object. A view has no table of its own: asking for it gives the one that it shows.

use std::ops::{Index, IndexMut};
use std::sync::Arc;

use super::table::Table;
use crate::schema::Catalog;

/// One table an object.
#[derive(Debug, Default)]
pub struct Tables {
    list: Vec<Table>,
    /// Where the rows of an object are.
    storage: Vec<usize>,
}

impl Tables {
    /// Follows a catalogue that has grown.
    pub(super) fn grow(&mut self, catalog: &Catalog, pod: [u8; 2]) {
        for (table, schema) in self.list.iter_mut().zip(&catalog.objects) {
            table.set_schema(Arc::clone(schema));
        }
        for object in self.list.len()..catalog.objects.len() {
            self.list.push(Table::new(&catalog.objects[object], pod));
            self.storage.push(catalog.storage(object));
        }
    }

    /// The tables of all objects but views, with their objects.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &Table)> {
        self.list.iter().enumerate().filter(|(object, _)| self.storage[*object] == *object)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Table> {
        self.list.iter_mut()
    }
}

impl Index<usize> for Tables {
    type Output = Table;

    fn index(&self, object: usize) -> &Table {
        &self.list[self.storage[object]]
    }
}

impl IndexMut<usize> for Tables {
    fn index_mut(&mut self, object: usize) -> &mut Table {
        &mut self.list[self.storage[object]]
    }
}
