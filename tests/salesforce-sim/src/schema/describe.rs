//! Describe and describe global, as JSON, for what one user may see.
//!
//! A hidden field is absent and a hidden object does not exist: nothing here may hint at either.

use serde_json::{Map, Value, json};

use super::{Catalog, Field, Kind, ObjectSchema, Source, flag};
use crate::org::permissions::Permissions;

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
    let history = schema.traits.iter().find_map(|word| word.strip_prefix("history="));
    let prefix = String::from_utf8_lossy(&schema.prefix);
    let value = json!({
        "activateable": false,
        "associateEntityType": history.map(|_| "History"),
        "associateParentEntity": history,
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
        "keyPrefix": history.is_none().then_some(prefix),
        "label": schema.label,
        "labelPlural": schema.plural,
        "layoutable": schema.can("layout"),
        "mergeable": schema.can("merge"),
        "mruEnabled": schema.can("mru"),
        "name": schema.name,
        "queryable": true,
        "replicateable": schema.can("replicate"),
        "retrieveable": true,
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
        .filter(|(index, _)| context.permissions.field_visible(object, *index))
        .map(|(_, field)| describe_field(field))
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
    let entry = |link: super::ChildLink<'_>| {
        let child = &context.catalog.objects[link.object];
        json!({
            "cascadeDelete": link.target.cascade,
            "childSObject": child.name,
            "deprecatedAndHidden": false,
            "field": child.fields[link.field].name,
            "junctionIdListNames": [],
            "junctionReferenceTo": [],
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

fn describe_field(field: &Field) -> Value {
    let mut all = field_nature(field);
    all.extend(field_abilities(field));
    Value::Object(all)
}

fn field_nature(field: &Field) -> Map<String, Value> {
    let text_bytes = if field.name == "Comments" { field.length } else { field.length * 3 };
    let byte_length = match field.kind {
        Kind::Id | Kind::Reference => 18,
        _ => text_bytes,
    };
    let reference = field.reference.as_ref();
    let targets: Vec<&str> = reference
        .map(|r| r.targets.iter().map(|target| target.object.as_str()).collect())
        .unwrap_or_default();
    let polymorphic = reference.is_some_and(|reference| reference.polymorphic);
    let pick = |value: &String| {
        let default = field.default.as_ref() == Some(value);
        json!({"active": true, "defaultValue": default, "label": value, "validFor": null, "value": value})
    };
    into_map(json!({
        "byteLength": byte_length,
        "calculated": field.has(flag::FORMULA),
        "calculatedFormula": field.has(flag::FORMULA).then_some("Account.Name"),
        "compoundFieldName": field.compound,
        "controllerName": null,
        "custom": field.is_custom(),
        "defaultValue": default_value(field),
        "defaultValueFormula": null,
        "digits": if field.kind == Kind::Int { 9 } else { 0 },
        "extraTypeInfo": extra_type_info(field),
        "filteredLookupInfo": null,
        "inlineHelpText": null,
        "label": field.label,
        "length": field.length,
        "mask": null,
        "maskType": null,
        "name": field.name,
        "namePointing": polymorphic,
        "picklistValues": field.picklist.iter().map(pick).collect::<Vec<_>>(),
        "polymorphicForeignKey": polymorphic && targets.len() > 1,
        "precision": field.precision,
        "referenceTargetField": null,
        "referenceTo": targets,
        "relationshipName": reference.and_then(|reference| reference.relationship.as_ref()),
        "relationshipOrder": null,
        "scale": field.scale,
        "soapType": soap_type(field.kind),
        "type": type_name(field.kind),
    }))
}

fn field_abilities(field: &Field) -> Map<String, Value> {
    let sortable = field.has(flag::SORT);
    into_map(json!({
        "aggregatable": sortable && field.kind != Kind::Boolean && field.kind != Kind::AnyType,
        "aiPredictionField": false,
        "autoNumber": field.has(flag::AUTO),
        "cascadeDelete": field.reference.as_ref().is_some_and(|r| r.targets.iter().any(|target| target.cascade)),
        "caseSensitive": false,
        "createable": field.has(flag::CREATE),
        "dataTranslationEnabled": false,
        "defaultedOnCreate": field.has(flag::DEFAULTED),
        "dependentPicklist": false,
        "deprecatedAndHidden": false,
        "displayLocationInDecimal": false,
        "encrypted": false,
        "externalId": field.has(flag::EXTERNAL),
        "filterable": field.has(flag::FILTER),
        "formulaTreatNullNumberAsZero": false,
        "groupable": field.has(flag::GROUP),
        "highScaleNumber": false,
        "htmlFormatted": field.has(flag::HTML),
        "idLookup": field.has(flag::LOOKUP),
        "nameField": field.has(flag::NAME),
        "nillable": field.has(flag::NILLABLE),
        "permissionable": !field.has(flag::UNHIDEABLE),
        "queryByDistance": field.kind == Kind::Address,
        "restrictedDelete": false,
        "restrictedPicklist": field.has(flag::RESTRICTED),
        "searchPrefilterable": field.kind == Kind::Reference && !field.has(flag::UNHIDEABLE),
        "sortable": sortable,
        "unique": false,
        "updateable": field.has(flag::UPDATE),
        "writeRequiresMasterRead": false,
    }))
}

fn default_value(field: &Field) -> Value {
    match (&field.default, field.kind) {
        (Some(value), _) => json!(value),
        (None, Kind::Boolean) if !matches!(field.source, Source::Deleted) => json!(false),
        _ => Value::Null,
    }
}

fn extra_type_info(field: &Field) -> Option<&'static str> {
    match field.kind {
        Kind::Textarea if field.has(flag::HTML) && field.is_custom() => Some("richtextarea"),
        Kind::Textarea => Some("plaintextarea"),
        Kind::String if field.compound.as_deref() == Some("Name") && field.has(flag::NAME) => {
            Some("personname")
        }
        _ => None,
    }
}

fn soap_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Id | Kind::Reference => "tns:ID",
        Kind::Boolean => "xsd:boolean",
        Kind::Int => "xsd:int",
        Kind::Double | Kind::Currency => "xsd:double",
        Kind::Date => "xsd:date",
        Kind::Datetime => "xsd:dateTime",
        Kind::Address => "urn:address",
        Kind::AnyType => "xsd:anyType",
        Kind::String
        | Kind::Textarea
        | Kind::Email
        | Kind::Phone
        | Kind::Url
        | Kind::Picklist
        | Kind::MultiPicklist
        | Kind::Combobox => "xsd:string",
    }
}

/// The describe name of a field type.
pub fn type_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Id => "id",
        Kind::Reference => "reference",
        Kind::String => "string",
        Kind::Textarea => "textarea",
        Kind::Email => "email",
        Kind::Phone => "phone",
        Kind::Url => "url",
        Kind::Picklist => "picklist",
        Kind::MultiPicklist => "multipicklist",
        Kind::Combobox => "combobox",
        Kind::Boolean => "boolean",
        Kind::Int => "int",
        Kind::Double => "double",
        Kind::Currency => "currency",
        Kind::Date => "date",
        Kind::Datetime => "datetime",
        Kind::Address => "address",
        Kind::AnyType => "anyType",
    }
}
