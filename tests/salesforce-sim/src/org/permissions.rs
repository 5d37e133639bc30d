//! What one user may see: objects, fields, and rows.
//!
//! Readers always ask through a value of this type. It is made whole and replaced whole ([`super::access`]), so a
//! reader sees one state of it.

use std::collections::HashSet;
use std::sync::Arc;

use crate::id::SfId;
use crate::schema::{Catalog, flag};
use crate::store::Gate;

/// Which rows a user sees of objects whose records are private.
#[derive(Clone, Debug, Default)]
pub struct Sharing {
    private: HashSet<usize>,
    owners: HashSet<SfId>,
    records: HashSet<SfId>,
}

impl Sharing {
    /// Rows of the private objects are seen when one of these owns them, or when they are shared one by one.
    pub fn new(private: HashSet<usize>, owners: HashSet<SfId>, records: HashSet<SfId>) -> Self {
        Self { private, owners, records }
    }

    /// Whether the object's rows are private.
    pub fn is_private(&self, object: usize) -> bool {
        self.private.contains(&object)
    }

    /// Whether the user sees what this one owns.
    pub fn sees_of(&self, owner: SfId) -> bool {
        self.owners.contains(&owner)
    }

    /// Whether the record is shared by itself.
    pub fn is_shared(&self, record: SfId) -> bool {
        self.records.contains(&record)
    }
}

/// What a user may see.
#[derive(Clone, Debug, Default)]
pub struct Permissions {
    hidden_objects: HashSet<usize>,
    hidden_fields: HashSet<(usize, usize)>,
    /// Private rows; `None` when the user sees all rows of all objects.
    pub sharing: Option<Arc<Sharing>>,
    /// View All Data.
    pub views_all_data: bool,
    /// Query All Files.
    pub queries_all_files: bool,
    /// When this set came into force, in milliseconds since 1970; conditional describes compare with it.
    pub changed_at: i64,
}

impl Permissions {
    /// Everything may be seen.
    pub fn everything(changed_at: i64) -> Self {
        Self { changed_at, views_all_data: true, queries_all_files: true, ..Self::default() }
    }

    /// A set that hides the named objects and fields (`Case.Status`).
    ///
    /// # Errors
    /// A sentence for people when a name is unknown or the field cannot be hidden.
    pub fn hiding(
        catalog: &Catalog,
        objects: &[String],
        fields: &[String],
        changed_at: i64,
    ) -> Result<Self, String> {
        let object = |name: &str| {
            catalog.index(name).ok_or_else(|| format!("No object '{name}' in this org. Check hide_objects."))
        };
        let hidden_objects = objects.iter().map(|name| object(name)).collect::<Result<_, _>>()?;
        let hidden_fields = fields.iter().map(|path| field(catalog, path)).collect::<Result<_, _>>()?;
        Ok(Self { hidden_objects, hidden_fields, ..Self::everything(changed_at) })
    }

    /// Hides the objects that need a permission of this name.
    pub fn without(&mut self, catalog: &Catalog, permission: &str) {
        let needs = |object: &usize| catalog.objects[*object].trait_value("permission") == Some(permission);
        self.hidden_objects.extend((0..catalog.objects.len()).filter(needs));
    }

    /// Whether the object can be read.
    pub fn object_visible(&self, object: usize) -> bool {
        !self.hidden_objects.contains(&object)
    }

    /// Whether the field can be read, given that its object can.
    pub fn field_visible(&self, object: usize, field: usize) -> bool {
        !self.hidden_fields.contains(&(object, field))
    }

    /// What decides about rows, for a user who does not see them all.
    pub fn gate(&self) -> Option<&dyn Gate> {
        self.sharing.as_deref().map(|sharing| sharing as &dyn Gate)
    }

    /// Whether any field is hidden at all.
    pub fn hides_fields(&self) -> bool {
        !self.hidden_fields.is_empty()
    }
}

fn field(catalog: &Catalog, path: &str) -> Result<(usize, usize), String> {
    let unknown = || format!("No field '{path}' in this org. Write hide_fields as Object.Field.");
    let (object, name) = path.split_once('.').ok_or_else(unknown)?;
    let object = catalog.index(object).ok_or_else(unknown)?;
    let schema = &catalog.objects[object];
    let index = schema.field_index(name).ok_or_else(unknown)?;
    if schema.fields[index].has(flag::UNHIDEABLE) {
        return Err(format!("'{path}' is not permissionable: Salesforce cannot hide it either."));
    }
    Ok((object, index))
}
