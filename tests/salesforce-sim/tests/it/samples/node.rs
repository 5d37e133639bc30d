//! JSON whose keys keep their order, and what one shape lacks of another.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Node>),
    Object(Vec<(String, Node)>),
}

impl Node {
    pub(super) fn parse(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_else(|why| panic!("no JSON: {why}: {text}"))
    }

    pub(super) fn keys(&self) -> Vec<&str> {
        match self {
            Self::Object(members) => members.iter().map(|(key, _)| key.as_str()).collect(),
            _ => Vec::new(),
        }
    }

    /// A member of an object, or an element by its number.
    pub(super) fn at(&self, step: &str) -> &Self {
        let found = match self {
            Self::Object(members) => members.iter().find(|(key, _)| key == step).map(|(_, value)| value),
            Self::List(all) => step.parse::<usize>().ok().and_then(|number| all.get(number)),
            _ => None,
        };
        found.unwrap_or_else(|| panic!("nothing at '{step}' of {self:?}"))
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a truth value",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Node;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }

            fn visit_unit<E>(self) -> Result<Node, E> {
                Ok(Node::Null)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
                Ok(Node::Bool(value))
            }

            #[expect(clippy::cast_precision_loss, reason = "only the kind of a number is looked at")]
            fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
                Ok(Node::Number(value as f64))
            }

            #[expect(clippy::cast_precision_loss, reason = "only the kind of a number is looked at")]
            fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
                Ok(Node::Number(value as f64))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
                Ok(Node::Number(value))
            }

            fn visit_str<E>(self, value: &str) -> Result<Node, E> {
                Ok(Node::Text(value.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Node, A::Error> {
                let mut all = Vec::new();
                while let Some(one) = from.next_element()? {
                    all.push(one);
                }
                Ok(Node::List(all))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Node, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = from.next_entry()? {
                    members.push(member);
                }
                Ok(Node::Object(members))
            }
        }
        from.deserialize_any(Reader)
    }
}

/// Whether the order of keys is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// It is.
    Kept,
    /// It is not.
    Free,
}

/// What ours lacks of a recorded shape: keys, kinds of values, perhaps the order of keys. Lists are held against each
/// other by their first elements. Keys that only ours has are no difference: answers grow from release to release.
pub(super) fn differences(ours: &Node, recorded: &Node, order: Order) -> Vec<String> {
    let mut found = Vec::new();
    compare(ours, recorded, "", &mut found);
    if order == Order::Free {
        found.retain(|difference| !difference.contains(ORDER));
    }
    found
}

const ORDER: &str = " has another order: ";

fn compare(ours: &Node, recorded: &Node, path: &str, found: &mut Vec<String>) {
    match (ours, recorded) {
        (Node::Object(_), Node::Object(members)) => {
            let (ours_keys, mut common) = (ours.keys(), Vec::new());
            for (key, value) in members {
                if ours_keys.contains(&key.as_str()) {
                    common.push(key.as_str());
                    compare(ours.at(key), value, &format!("{path}.{key}"), found);
                } else {
                    found.push(format!("{path}.{key} is missing"));
                }
            }
            let in_our_order: Vec<&str> = ours_keys.into_iter().filter(|key| common.contains(key)).collect();
            if in_our_order != common {
                found.push(format!("{path}{ORDER}{in_our_order:?} for {common:?}"));
            }
        }
        (Node::List(ours), Node::List(recorded)) => {
            if let Some((ours, recorded)) = ours.first().zip(recorded.first()) {
                compare(ours, recorded, &format!("{path}[]"), found);
            }
        }
        (Node::Null, _) | (_, Node::Null) => {}
        (ours, recorded) if ours.kind() != recorded.kind() => {
            found.push(format!("{path} is {} for {}", ours.kind(), recorded.kind()));
        }
        _ => {}
    }
}

#[test]
fn every_kind_of_difference_is_found() {
    let found =
        |ours: &str, recorded: &str| differences(&Node::parse(ours), &Node::parse(recorded), Order::Kept);
    let recorded = r#"{"a": [{"b": 1, "c": "x"}], "d": true}"#;
    assert!(found(recorded, recorded).is_empty());
    assert!(found(r#"{"z": 0, "a": [{"b": null, "c": "y"}, 5], "d": false}"#, recorded).is_empty());
    assert_eq!(found(r#"{"a": [{"b": 1}], "d": true}"#, recorded), [".a[].c is missing"]);
    assert_eq!(
        found(r#"{"a": [{"b": "1", "c": "x"}], "d": true}"#, recorded),
        [".a[].b is a text for a number"]
    );
    assert_eq!(found(r#"{"d": true, "a": []}"#, recorded).len(), 1, "order");
}
