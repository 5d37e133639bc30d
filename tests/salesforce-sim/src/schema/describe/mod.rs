//! Describe and describe global, as JSON, for what one user may see.
//!
//! A hidden field is absent and a hidden object does not exist: nothing here may hint at either.

mod fields;

use serde_json::{Map, Value, json};

use super::{Catalog, ObjectSchema};
use crate::org::permissions::Permissions;

pub use fields::type_name;

/// A record type as describe lists it.
#[derive(Clone, Debug)]
pub struct RecordTypeInfo {
    /// Record id.
    pub id: String,
    /// Label.
    pub name: String,
    /// API name.
    pub developer_name: String,
    /// Whether it may be used.
    pub active: bool,
}

/// What a describe is made from.
#[derive(Clone, Copy, Debug)]
pub struct DescribeContext<'a> {
    /// The org's objects.
    pub catalog: &'a Catalog,
    /// What the asking user may see.
    pub permissions: &'a Permissions,
    /// Version in the path, such as `v66.0`.
    pub version: &'a str,
    /// Scheme and host, for the links into the user interface.
    pub instance_url: &'a str,
}

/// The body of `GET /sobjects/`.
pub fn global(context: DescribeContext<'_>) -> Value {
    let visible = context.catalog.objects.iter().enumerate();
    let sobjects: Vec<Value> = visible
        .filter(|(index, _)| context.permissions.object_visible(*index))
        .map(|(_, schema)| Value::Object(summary(context, schema)))
        .collect();
    json!({"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": sobjects})
}

/// The `objectDescribe` of `GET /sobjects/{object}`, which is also its entry in describe global.
pub fn summary(context: DescribeContext<'_>, schema: &ObjectSchema) -> Map<String, Value> {
    let (history, feed) = (schema.trait_value("history"), schema.trait_value("feed"));
    let prefix = String::from_utf8_lossy(&schema.prefix);
    let associated = history.map(|_| "History").or(feed.map(|_| "Feed"));
    let value = json!({
        "activateable": false,
        "associateEntityType": associated,
        "associateParentEntity": history.or(feed),
        "createable": schema.can("create"),
        "custom": schema.is_custom(),
        "customSetting": false,
        "dataTranslationEnabled": false,
        "deepCloneable": false,
        "deletable": schema.can("delete"),
        "deprecatedAndHidden": false,
        "feedEnabled": schema.can("feed"),
        "hasSubtypes": false,
        "isInterface": false,
        "isSubtype": false,
        "keyPrefix": (!schema.can("noprefix")).then_some(prefix),
        "label": schema.label,
        "labelPlural": schema.plural,
        "layoutable": schema.can("layout"),
        "mergeable": schema.can("merge"),
        "mruEnabled": schema.can("mru"),
        "name": schema.name,
        "queryable": !schema.can("noquery"),
        "replicateable": schema.can("replicate"),
        "retrieveable": !schema.can("noquery"),
        "searchable": schema.can("search"),
        "triggerable": schema.can("trigger"),
        "undeletable": schema.can("undelete"),
        "updateable": schema.can("update"),
        "urls": urls(context, schema),
    });
    into_map(value)
}

/// The body of `GET /sobjects/{object}/describe`.
pub fn full(context: DescribeContext<'_>, object: usize, record_types: &[RecordTypeInfo]) -> Value {
    let schema = &context.catalog.objects[object];
    let mut all = summary(context, schema);
    let fields = schema.fields.iter().enumerate();
    let fields: Vec<Value> = fields
        .filter(|(index, field)| field.exists() && context.permissions.field_visible(object, *index))
        .map(|(_, field)| fields::describe(field))
        .collect();
    let rest = json!({
        "actionOverrides": [],
        "childRelationships": child_relationships(context, schema),
        "compactLayoutable": schema.can("layout"),
        "defaultImplementation": null,
        "extendedBy": null,
        "extendsInterfaces": null,
        "fields": fields,
        "implementedBy": null,
        "implementsInterfaces": null,
        "listviewable": null,
        "lookupLayoutable": null,
        "namedLayoutInfos": [],
        "networkScopeFieldName": null,
        "recordTypeInfos": record_type_infos(context, schema, record_types),
        "searchLayoutable": schema.can("search"),
        "sobjectDescribeOption": "FULL",
        "supportedScopes": supported_scopes(schema),
    });
    all.extend(into_map(rest));
    let path = |suffix: &str| format!("{}/{{ID}}{suffix}", context.instance_url);
    if let Some(Value::Object(urls)) = all.get_mut("urls") {
        let new = format!("{}/{}/e", context.instance_url, String::from_utf8_lossy(&schema.prefix));
        urls.insert("uiDetailTemplate".to_owned(), json!(path("")));
        urls.insert("uiEditTemplate".to_owned(), json!(path("/e")));
        urls.insert("uiNewRecord".to_owned(), json!(new));
    }
    Value::Object(all)
}

fn into_map(value: Value) -> Map<String, Value> {
    if let Value::Object(map) = value { map } else { Map::new() }
}

fn urls(context: DescribeContext<'_>, schema: &ObjectSchema) -> Value {
    let base = format!("/services/data/{}/sobjects/{}", context.version, schema.name);
    let mut urls = into_map(json!({
        "describe": format!("{base}/describe"),
        "rowTemplate": format!("{base}/{{ID}}"),
        "sobject": base,
    }));
    if schema.can("layout") {
        for (key, tail) in [
            ("approvalLayouts", "describe/approvalLayouts"),
            ("compactLayouts", "describe/compactLayouts"),
            ("defaultValues", "defaultValues?recordTypeId&fields"),
            ("layouts", "describe/layouts"),
            ("listviews", "listviews"),
            ("quickActions", "quickActions"),
        ] {
            urls.insert(key.to_owned(), json!(format!("{base}/{tail}")));
        }
    }
    Value::Object(urls)
}

fn child_relationships(context: DescribeContext<'_>, schema: &ObjectSchema) -> Vec<Value> {
    let visible = context.catalog.children(&schema.name).filter(|link| {
        context.permissions.object_visible(link.object)
            && context.permissions.field_visible(link.object, link.field)
    });
    let entry = |link: &super::ChildLink| {
        let child = &context.catalog.objects[link.object];
        let reference = child.fields[link.field].reference.as_ref();
        let junctions = reference.map_or(&[][..], |reference| &reference.junctions);
        let junction_targets = if junctions.is_empty() { &[][..] } else { &["Contact", "Lead", "User"][..] };
        json!({
            "cascadeDelete": link.target.cascade,
            "childSObject": child.name,
            "deprecatedAndHidden": false,
            "field": child.fields[link.field].name,
            "junctionIdListNames": junctions,
            "junctionReferenceTo": junction_targets,
            "relationshipName": link.target.children,
            "restrictedDelete": false,
        })
    };
    visible.map(entry).collect()
}

fn record_type_infos(
    context: DescribeContext<'_>,
    schema: &ObjectSchema,
    record_types: &[RecordTypeInfo],
) -> Vec<Value> {
    let master = RecordTypeInfo {
        id: "012000000000000AAA".to_owned(),
        name: "Master".to_owned(),
        developer_name: "Master".to_owned(),
        active: true,
    };
    let all = record_types.iter().chain(std::iter::once(&master)).enumerate();
    let entry = |(at, info): (usize, &RecordTypeInfo)| {
        let base = format!("/services/data/{}/sobjects/{}", context.version, schema.name);
        json!({
            "active": info.active,
            "available": info.active,
            "defaultRecordTypeMapping": at == 0,
            "developerName": info.developer_name,
            "master": info.developer_name == "Master",
            "name": info.name,
            "recordTypeId": info.id,
            "urls": {"layout": format!("{base}/describe/layouts/{}", info.id)},
        })
    };
    all.map(entry).collect()
}

fn supported_scopes(schema: &ObjectSchema) -> Value {
    let everything = format!("All {}", schema.plural.to_lowercase());
    let mine = format!("My {}", schema.plural.to_lowercase());
    if schema.can("casescopes") {
        json!([{"label": everything, "name": "everything"}, {"label": mine, "name": "mine"},
               {"label": "Queue owned cases", "name": "queue_owned"}])
    } else {
        json!([{"label": everything, "name": "everything"}])
    }
}
