//! What one write brings about in other records: history, feed entries, file documents, counts.

use std::sync::Arc;

use super::write::{Change, When};
use super::{Handle, Store};
use crate::id::SfId;
use crate::value::Value;

impl Store {
    /// Follows up a new record.
    pub(super) fn after_insert(&mut self, object: usize, handle: Handle, when: When) {
        let schema = Arc::clone(&self.catalog.objects[object]);
        let id = self.tables[object].id(handle);
        match schema.name.as_str() {
            "Case" => self.history(id, "created", "Text", [Value::Null, Value::Null], when),
            "FeedComment" => self.count_comment(object, handle, when),
            "ContentVersion" => self.file(object, handle, when),
            _ => {}
        }
    }

    /// Inserts a record with values by name; names that the object lacks are left out.
    pub fn insert_named(&mut self, object: &str, fields: &[(&str, Value)], when: When) -> Option<SfId> {
        let index = self.catalog.index(object)?;
        let schema = Arc::clone(&self.catalog.objects[index]);
        let slots: Vec<(usize, Value)> =
            fields.iter().filter_map(|(name, value)| Some((schema.stored(name)?, value.clone()))).collect();
        Some(self.insert(index, &slots, when))
    }

    /// Changes values by name.
    pub fn update_named(&mut self, id: SfId, fields: &[(&str, Value)], touch: bool, when: When) {
        let Some((object, handle)) = self.find(id) else { return };
        let schema = Arc::clone(&self.catalog.objects[object]);
        let slots: Vec<(usize, Value)> =
            fields.iter().filter_map(|(name, value)| Some((schema.stored(name)?, value.clone()))).collect();
        self.update(object, handle, &slots, touch, when);
    }

    /// A comment is counted on its post, and moves it.
    fn count_comment(&mut self, object: usize, handle: Handle, when: When) {
        let Some(post) = self.latest_value(object, handle, "FeedItemId").as_id() else { return };
        let Some((posts, row)) = self.find(post) else { return };
        let count = match self.latest_value(posts, row, "CommentCount") {
            Value::Int(count) => count,
            _ => 0,
        };
        self.update_named(post, &[("CommentCount", Value::Int(count + 1))], true, when);
        let record = self.latest_value(posts, row, "ParentId");
        let comment = self.tables[object].id(handle);
        self.update_named(comment, &[("ParentId", record)], true, when);
    }

    /// A tracked change of a case shows in its feed.
    pub(super) fn tell(&mut self, case: SfId, changes: &[Change], when: When) {
        if changes.is_empty() || self.catalog.index("FeedItem").is_none() {
            return;
        }
        let post = [
            ("ParentId", Value::Id(case)),
            ("Type", Value::text("TrackedChange")),
            ("InsertedById", Value::Id(when.by)),
            ("CommentCount", Value::Int(0)),
            ("LikeCount", Value::Int(0)),
            ("Visibility", Value::text("InternalUsers")),
        ];
        let Some(post) = self.insert_named("FeedItem", &post, when) else { return };
        for change in changes {
            let entry = [
                ("FeedItemId", Value::Id(post)),
                ("FieldName", Value::text(&format!("Case.{}", change.field))),
                ("OldValue", change.old.clone()),
                ("NewValue", change.new.clone()),
            ];
            self.insert_named("FeedTrackedChange", &entry, when);
        }
    }

    /// A file version belongs to a document: its own new one, or one that it replaces the newest version of.
    fn file(&mut self, object: usize, handle: Handle, when: When) {
        let version = self.tables[object].id(handle);
        let of = |store: &Self, name: &str| store.latest_value(object, handle, name);
        let shown = ["Title", "FileType", "FileExtension", "ContentSize", "Description"];
        let mut fields: Vec<(&str, Value)> = shown.iter().map(|name| (*name, of(self, name))).collect();
        fields.push(("LatestPublishedVersionId", Value::Id(version)));
        fields.push(("ContentModifiedDate", Value::Instant(when.stamp)));
        if let Some(document) = of(self, "ContentDocumentId").as_id() {
            let field = self.catalog.objects[object].field_index("ContentDocumentId").unwrap_or(0);
            let siblings = self.children(object, field, document);
            let number = siblings.len();
            for sibling in siblings.into_iter().filter(|sibling| *sibling != handle) {
                let earlier = self.tables[object].id(sibling);
                self.update_named(earlier, &[("IsLatest", Value::Bool(false))], true, when);
            }
            self.update_named(document, &fields, true, when);
            self.number_version(version, number, when);
            return;
        }
        let owner = of(self, "OwnerId");
        fields.push(("OwnerId", owner.clone()));
        let Some(document) = self.insert_named("ContentDocument", &fields, when) else { return };
        self.update_named(version, &[("ContentDocumentId", Value::Id(document))], true, when);
        self.number_version(version, 1, when);
        let place = of(self, "FirstPublishLocationId");
        for (linked, share) in [(owner, "I"), (place, "V")] {
            if linked == Value::Null {
                continue;
            }
            let link = [
                ("LinkedEntityId", linked),
                ("ContentDocumentId", Value::Id(document)),
                ("ShareType", Value::text(share)),
                ("Visibility", Value::text("AllUsers")),
            ];
            self.insert_named("ContentDocumentLink", &link, when);
        }
    }

    fn number_version(&mut self, version: SfId, number: usize, when: When) {
        let fields = [("IsLatest", Value::Bool(true)), ("VersionNumber", Value::text(&number.to_string()))];
        self.update_named(version, &fields, true, when);
    }
}
