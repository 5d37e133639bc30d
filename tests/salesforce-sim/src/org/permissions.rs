//! What a user may see: hidden objects and hidden fields.
//!
//! There is one set now, for the user `default`; readers always ask through a value of this type, so a set for
//! each user can be added without touching them.

use std::collections::HashSet;

use crate::schema::{Catalog, flag};

/// What is hidden from a user.
#[derive(Clone, Debug, Default)]
pub struct Permissions {
    hidden_objects: HashSet<usize>,
    hidden_fields: HashSet<(usize, usize)>,
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

    /// Whether the object can be read.
    pub fn object_visible(&self, object: usize) -> bool {
        !self.hidden_objects.contains(&object)
    }

    /// Whether the field can be read, given that its object can.
    pub fn field_visible(&self, object: usize, field: usize) -> bool {
        !self.hidden_fields.contains(&(object, field))
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
