//! A record as a person names it: an id, the address of its page, or a ticket's number. Pure.

use url::Url;

use crate::ids::SalesforceId;

/// What a person's words may name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// Records, the likeliest first: an address may hold several ids.
    Records(Vec<SalesforceId>),
    /// A number of a ticket, as it was written.
    Number(String),
}

/// Reads an id of 15 or 18 characters, the address of a record's page (Lightning, its console, Classic, an Experience
/// site), or a number; `None` when it is none of them. An id whose check characters are wrong is none.
#[must_use]
pub fn named(text: &str) -> Option<Named> {
    let text = text.trim();
    if let Ok(id) = SalesforceId::parse(text) {
        return Some(Named::Records(vec![id]));
    }
    if let Ok(url) = Url::parse(text)
        && url.has_host()
    {
        let ids = ids_of(&url);
        return (!ids.is_empty()).then_some(Named::Records(ids));
    }
    let digits = text.strip_prefix('#').unwrap_or(text);
    let is_number = (1..=30).contains(&digits.len()) && digits.chars().all(|c| c.is_ascii_digit());
    is_number.then(|| Named::Number(digits.to_owned()))
}

/// The spellings under which a number may be kept: as given, without leading zeros, and with as many as Salesforce
/// writes by default.
#[must_use]
pub fn spellings(number: &str) -> Vec<String> {
    let bare = number.trim_start_matches('0');
    let bare = if bare.is_empty() { "0" } else { bare };
    let mut spellings = vec![number.to_owned(), bare.to_owned(), format!("{bare:0>8}")];
    spellings.dedup();
    spellings
}

/// The ids in an address: those of its path first, then those that its query or its fragment carry along.
fn ids_of(url: &Url) -> Vec<SalesforceId> {
    let mut parts = vec![url.path().to_owned()];
    let fragment = url.fragment().unwrap_or_default();
    for (name, value) in url.query_pairs().chain(url::form_urlencoded::parse(fragment.as_bytes())) {
        parts.push(name.into_owned());
        parts.push(value.into_owned());
    }
    let mut ids = Vec::new();
    for word in parts.iter().flat_map(|part| part.split(|c: char| !c.is_ascii_alphanumeric())) {
        // Words of a title may be as long as an id; every kind of id has a digit among its first characters.
        let has_digit = word.bytes().take(3).any(|byte| byte.is_ascii_digit());
        if let Some(id) = SalesforceId::parse(word).ok().filter(|_| has_digit)
            && !ids.contains(&id)
        {
            ids.push(id);
        }
    }
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "5003000000D8cuIAAR";

    #[test]
    fn ids_and_addresses_of_every_kind_of_page_name_the_record() {
        for text in [
            ID,
            " 5003000000D8cuI ",
            "https://acme.lightning.force.com/lightning/r/Case/5003000000D8cuIAAR/view",
            "https://acme.lightning.force.com/lightning/r/5003000000D8cuIAAR/view?0.source=alohaHeader",
            "https://acme.lightning.force.com/console?ws=%2Flightning%2Fr%2FCase%2F5003000000D8cuIAAR%2Fview",
            "https://acme.my.salesforce.com/5003000000D8cuI",
            "https://acme.my.salesforce.com/5003000000D8cuI?nooverride=1",
            "https://acme.my.salesforce.com/console#%2F5003000000D8cuI",
            "https://help.acme.com/s/case/5003000000D8cuIAAR/internationalisation-failed",
            "https://help.acme.com/s/detail/5003000000D8cuIAAR",
        ] {
            let Some(Named::Records(ids)) = named(text) else { panic!("{text}") };
            assert_eq!(ids[0].as_str(), ID, "{text}");
        }
    }

    #[test]
    fn what_names_nothing_is_refused() {
        for text in [
            "",
            "hello",
            "5003000000D8cuIAAB",
            "https://acme.my.salesforce.com/home/home.jsp",
            "mailto:ann@example.com",
            "12a",
            "5003000000D8cu",
        ] {
            assert_eq!(named(text), None, "{text}");
        }
    }

    #[test]
    fn a_number_is_looked_for_with_and_without_its_zeros() {
        assert_eq!(named("#00001026"), Some(Named::Number("00001026".to_owned())));
        assert_eq!(spellings("00001026"), ["00001026", "1026", "00001026"]);
        assert_eq!(spellings("1026"), ["1026", "00001026"]);
        assert_eq!(spellings("000"), ["000", "0", "00000000"]);
    }
}
