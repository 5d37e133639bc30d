//! How people are recognised without opening a sealed value: identities in one spelling, before keying.

/// The identity behind a value: an e-mail address, a record id or a phone number, in one spelling each.
///
/// The kind is part of the text, so that a number is never taken for an id. `None` for a value that names
/// nobody. Address lists (`To`, `Cc`) give several, separated by `;` or `,`.
pub fn identities_of(value: &str) -> impl Iterator<Item = String> + '_ {
    value.split([';', ',']).filter_map(identity_of)
}

fn identity_of(part: &str) -> Option<String> {
    let part = part.trim();
    let address = part.rsplit_once('<').map_or(part, |(_, rest)| rest.trim_end_matches('>')).trim();
    if let Some((local, domain)) = address.split_once('@') {
        let complete = !local.is_empty() && domain.contains('.') && !address.contains(char::is_whitespace);
        return complete.then(|| format!("email:{}", address.to_lowercase()));
    }
    if let Ok(id) = crate::ids::SalesforceId::parse(part)
        && part.chars().any(|c| c.is_ascii_alphabetic())
    {
        return Some(format!("id:{id}"));
    }
    let digits: String = part.chars().filter(char::is_ascii_digit).collect();
    let spelled = part.chars().all(|c| c.is_ascii_digit() || "+-()./ x".contains(c));
    // Country prefixes are written in many ways; the last nine digits are what people share.
    (spelled && digits.len() >= 7).then(|| format!("phone:{}", &digits[digits.len().saturating_sub(9)..]))
}

#[cfg(test)]
mod tests {
    use super::identities_of;

    fn of(value: &str) -> Vec<String> {
        identities_of(value).collect()
    }

    #[test]
    fn every_spelling_of_a_person_is_one_identity() {
        assert_eq!(
            of("Ann <Ann@Example.COM>; bob@example.com"),
            ["email:ann@example.com", "email:bob@example.com"]
        );
        assert_eq!(of("+1 (415) 555-0100"), of("415.555.0100"));
        assert_eq!(of("5003000000D8cuI"), of("5003000000D8cuIAAR"));
        for nobody in ["", "n/a", "12345", "no at sign", "@", "a@b"] {
            assert!(of(nobody).is_empty(), "{nobody}");
        }
    }
}
