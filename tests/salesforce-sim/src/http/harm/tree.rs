//! JSON as a tree that keeps the order of keys, repeated keys and the exact text of every scalar, so that a
//! spoilt answer differs from the true one in nothing but the spoilt place.

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Tree {
    /// A scalar as it is written, which need not be valid JSON.
    Scalar(Vec<u8>),
    /// An array.
    List(Vec<Tree>),
    /// An object.
    Map(Vec<(String, Tree)>),
}

impl Tree {
    /// Reads the simulator's own JSON; `None` for anything else.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader { bytes, at: 0 };
        let tree = reader.value()?;
        reader.blanks();
        (reader.at == bytes.len()).then_some(tree)
    }

    /// A scalar of this text.
    pub(super) fn scalar(text: &str) -> Self {
        Self::Scalar(text.as_bytes().to_vec())
    }

    /// A JSON string.
    pub(super) fn text(text: &str) -> Self {
        Self::scalar(&serde_json::Value::from(text).to_string())
    }

    /// What a JSON string says.
    pub(super) fn as_text(&self) -> Option<String> {
        match self {
            Self::Scalar(raw) => serde_json::from_slice(raw).ok(),
            Self::List(_) | Self::Map(_) => None,
        }
    }

    /// A member of an object.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Map(members) => members.iter().find(|(name, _)| name == key).map(|(_, value)| value),
            Self::Scalar(_) | Self::List(_) => None,
        }
    }

    /// A member of an object, to change it.
    pub(super) fn get_mut(&mut self, key: &str) -> Option<&mut Self> {
        match self {
            Self::Map(members) => members.iter_mut().find(|(name, _)| name == key).map(|(_, value)| value),
            Self::Scalar(_) | Self::List(_) => None,
        }
    }

    /// Sets a member in its place, or behind the others.
    pub(super) fn set(&mut self, key: &str, value: Self) {
        match (self.get_mut(key).is_some(), self) {
            (true, this) => *this.get_mut(key).expect("it was there a moment ago") = value,
            (false, Self::Map(members)) => members.push((key.to_owned(), value)),
            (false, Self::Scalar(_) | Self::List(_)) => {}
        }
    }

    /// Takes a member out.
    pub(super) fn remove(&mut self, key: &str) {
        if let Self::Map(members) = self {
            members.retain(|(name, _)| name != key);
        }
    }

    /// The elements of an array member.
    pub(super) fn list_mut(&mut self, key: &str) -> Option<&mut Vec<Self>> {
        match self.get_mut(key) {
            Some(Self::List(elements)) => Some(elements),
            _ => None,
        }
    }

    /// JSON text.
    pub(super) fn written(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Scalar(raw) => out.extend_from_slice(raw),
            Self::List(elements) => {
                out.push(b'[');
                for (place, element) in elements.iter().enumerate() {
                    if place > 0 {
                        out.push(b',');
                    }
                    element.write(out);
                }
                out.push(b']');
            }
            Self::Map(members) => {
                out.push(b'{');
                for (place, (key, value)) in members.iter().enumerate() {
                    if place > 0 {
                        out.push(b',');
                    }
                    crate::value::write_text(out, key);
                    out.push(b':');
                    value.write(out);
                }
                out.push(b'}');
            }
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn blanks(&mut self) {
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
    }

    fn takes(&mut self, byte: u8) -> bool {
        self.blanks();
        let taken = self.bytes.get(self.at) == Some(&byte);
        self.at += usize::from(taken);
        taken
    }

    fn value(&mut self) -> Option<Tree> {
        if self.takes(b'{') {
            let mut members = Vec::new();
            while !self.takes(b'}') {
                let key = self.scalar().and_then(|raw| serde_json::from_slice(raw).ok())?;
                self.takes(b':').then_some(())?;
                members.push((key, self.value()?));
                self.takes(b',');
            }
            return Some(Tree::Map(members));
        }
        if self.takes(b'[') {
            let mut elements = Vec::new();
            while !self.takes(b']') {
                elements.push(self.value()?);
                self.takes(b',');
            }
            return Some(Tree::List(elements));
        }
        self.scalar().map(|raw| Tree::Scalar(raw.to_vec()))
    }

    fn scalar(&mut self) -> Option<&[u8]> {
        self.blanks();
        let start = self.at;
        if self.bytes.get(start) == Some(&b'"') {
            self.at += 1;
            while *self.bytes.get(self.at)? != b'"' {
                self.at += if self.bytes[self.at] == b'\\' { 2 } else { 1 };
            }
            self.at += 1;
        } else {
            while self.bytes.get(self.at).is_some_and(|byte| !b",]}: \n\r\t".contains(byte)) {
                self.at += 1;
            }
        }
        (self.at > start).then(|| &self.bytes[start..self.at])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_written_as_it_was_read() {
        for text in [
            r#"{"totalSize":1,"done":true,"records":[{"attributes":{"type":"Case"},"Id":"a\"b\\","N":12.50,"x":null}]}"#,
            "[]",
            r#"{"a":{},"a":[1,-2e5,true]}"#,
        ] {
            let tree = Tree::parse(text.as_bytes()).unwrap();
            assert_eq!(String::from_utf8(tree.written()).unwrap(), text);
        }
        assert_eq!(Tree::parse(b"<html>"), Some(Tree::scalar("<html>")));
        assert_eq!(Tree::parse(b"{\"a\""), None);
    }

    #[test]
    fn members_keep_their_place() {
        let mut tree = Tree::parse(br#"{"b":1,"a":2}"#).unwrap();
        tree.set("b", Tree::text("x"));
        tree.set("c", Tree::scalar("3"));
        tree.remove("a");
        assert_eq!(tree.written(), br#"{"b":"x","c":3}"#);
    }
}
