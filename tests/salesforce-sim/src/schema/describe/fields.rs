//! Fields as describe writes them.

use serde_json::{Map, Value, json};

use super::into_map;
use crate::schema::{Field, Kind, flag};

/// One entry of `fields`.
pub(super) fn describe(field: &Field) -> Value {
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
    let targets: Vec<&str> = reference.map(|reference| reference.objects().collect()).unwrap_or_default();
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
        "digits": match field.kind {
            Kind::Int => 9,
            Kind::Long => 18,
            _ => 0,
        },
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
        "queryByDistance": field.kind.is_compound(),
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
        (None, Kind::Boolean) => json!(false),
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
        Kind::Long => "xsd:long",
        Kind::Double | Kind::Percent | Kind::Currency => "xsd:double",
        Kind::Date => "xsd:date",
        Kind::Datetime => "xsd:dateTime",
        Kind::Time => "xsd:time",
        Kind::Address => "urn:address",
        Kind::Location => "urn:location",
        Kind::Base64 => "xsd:base64Binary",
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
        Kind::Long => "long",
        Kind::Double => "double",
        Kind::Percent => "percent",
        Kind::Currency => "currency",
        Kind::Date => "date",
        Kind::Datetime => "datetime",
        Kind::Time => "time",
        Kind::Address => "address",
        Kind::Location => "location",
        Kind::Base64 => "base64",
        Kind::AnyType => "anyType",
    }
}
