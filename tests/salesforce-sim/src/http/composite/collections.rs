//! `/composite/sobjects/{object}`: many rows by id, in the order of the ids; null for what cannot be had.

use serde::Deserialize;

use super::parsed;
use crate::http::Answer;
use crate::http::data::{Call, Context};
use crate::http::rows::{self, Row};
use crate::http::sobjects::visible_object;
use crate::id::SfId;

/// Ids of one call by POST; by GET the length of the address is the bound.
const MOST: usize = 2_000;

#[derive(Deserialize)]
struct Wanted {
    #[serde(default, alias = "recordIds")]
    ids: Vec<String>,
    #[serde(default, alias = "fieldNames")]
    fields: Vec<String>,
}

/// Answers a retrieval.
pub(in crate::http) fn collection(context: Context<'_>, call: Call<'_>, name: &str) -> Answer {
    match retrieved(context, call, name) {
        Ok(answer) | Err(answer) => answer,
    }
}

fn retrieved(context: Context<'_>, call: Call<'_>, name: &str) -> Result<Answer, Answer> {
    let list = |name: &str| {
        let text = call.params.get(name).map(String::as_str).unwrap_or_default();
        text.split(',').map(|one| one.trim().to_owned()).filter(|one| !one.is_empty()).collect()
    };
    let wanted = if call.method == "POST" {
        parsed::<Wanted>(call.body)?
    } else {
        Wanted { ids: list("ids"), fields: list("fields") }
    };
    if wanted.ids.is_empty() || wanted.fields.is_empty() {
        let message = "ids and fields must be given";
        return Err(Answer::error(400, "MISSING_ARGUMENT", message));
    }
    if wanted.ids.len() > MOST {
        let message = format!("exceeded {MOST} ids in retrieve");
        return Err(Answer::error(400, "EXCEEDED_ID_LIMIT", &message));
    }
    let store = context.org.records();
    let object = visible_object(context, &store, name).ok_or_else(Answer::not_found)?;
    let permissions = context.permissions();
    let outputs = rows::outputs(&store, &permissions, object, &wanted.fields)?;
    let mut body = Vec::with_capacity(wanted.ids.len() * 200);
    for (place, id) in wanted.ids.iter().enumerate() {
        body.push(if place == 0 { b'[' } else { b',' });
        let id = SfId::parse(id);
        match id.map(|id| rows::find(&store, &permissions, object, id)) {
            Some(Row::Live(handle)) => {
                rows::written(&mut body, &outputs, (object, handle), &store, (&permissions, context.version));
            }
            Some(Row::Deleted | Row::Absent) | None => body.extend_from_slice(b"null"),
        }
    }
    body.push(b']');
    Ok(Answer::bytes(200, body))
}
