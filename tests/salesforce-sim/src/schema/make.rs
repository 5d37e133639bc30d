//! Which objects an org has: the standard tables that its features allow, and what its customer added.

use std::str::FromStr;

use super::{Catalog, Field, ObjectSchema, custom, parse};

/// Every table; parents need not come before children, but what a view shows comes before it.
const TABLES: [&str; 40] = [
    include_str!("objects/Organization.txt"),
    include_str!("objects/User.txt"),
    include_str!("objects/Group.txt"),
    include_str!("objects/RecordType.txt"),
    include_str!("objects/Account.txt"),
    include_str!("objects/Contact.txt"),
    include_str!("objects/Case.txt"),
    include_str!("objects/CaseComment.txt"),
    include_str!("objects/EmailMessage.txt"),
    include_str!("objects/CaseHistory.txt"),
    include_str!("objects/Task.txt"),
    include_str!("objects/Escalation__c.txt"),
    include_str!("objects/Profile.txt"),
    include_str!("objects/Attachment.txt"),
    include_str!("objects/FeedItem.txt"),
    include_str!("objects/CaseFeed.txt"),
    include_str!("objects/FeedComment.txt"),
    include_str!("objects/FeedTrackedChange.txt"),
    include_str!("objects/EmailMessageRelation.txt"),
    include_str!("objects/ContentDocument.txt"),
    include_str!("objects/ContentVersion.txt"),
    include_str!("objects/ContentDocumentLink.txt"),
    include_str!("objects/LiveChatTranscript.txt"),
    include_str!("objects/LiveChatTranscriptEvent.txt"),
    include_str!("objects/LiveChatVisitor.txt"),
    include_str!("objects/MessagingChannel.txt"),
    include_str!("objects/MessagingEndUser.txt"),
    include_str!("objects/MessagingSession.txt"),
    include_str!("objects/Conversation.txt"),
    include_str!("objects/ConversationParticipant.txt"),
    include_str!("objects/ConversationEntry.txt"),
    include_str!("objects/VoiceCall.txt"),
    include_str!("objects/VoiceCallRecording.txt"),
    include_str!("objects/Entitlement.txt"),
    include_str!("objects/BusinessHours.txt"),
    include_str!("objects/GroupMember.txt"),
    include_str!("objects/QueueSobject.txt"),
    include_str!("objects/UserRole.txt"),
    include_str!("objects/PermissionSet.txt"),
    include_str!("objects/PermissionSetAssignment.txt"),
];

/// Something an org pays for or switches on; without it, its objects do not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// Feeds.
    Chatter,
    /// Legacy chat.
    Chat,
    /// Messaging sessions.
    Messaging,
    /// Voice calls.
    Voice,
    /// Entitlements.
    Entitlements,
}

/// All features, with the words that name them.
const FEATURES: [(&str, Feature); 5] = [
    ("chatter", Feature::Chatter),
    ("chat", Feature::Chat),
    ("messaging", Feature::Messaging),
    ("voice", Feature::Voice),
    ("entitlements", Feature::Entitlements),
];

impl Feature {
    /// Every feature.
    pub fn all() -> Vec<Self> {
        FEATURES.iter().map(|(_, feature)| *feature).collect()
    }
}

impl FromStr for Feature {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let known = FEATURES.iter().find(|(name, _)| name.eq_ignore_ascii_case(word));
        known.map(|(_, feature)| *feature).ok_or_else(|| {
            let names: Vec<&str> = FEATURES.iter().map(|(name, _)| *name).collect();
            format!("No feature '{word}'. Choose from {}.", names.join(", "))
        })
    }
}

/// What an org's schema is to be like.
#[derive(Clone, Debug)]
pub struct Wishes {
    /// What the org has.
    pub features: Vec<Feature>,
    /// Custom fields that an object is born with, as (object, how many in all).
    pub custom_fields: Vec<(String, usize)>,
    /// Custom objects that the org is born with.
    pub custom_objects: Vec<custom::NewObject>,
}

impl Default for Wishes {
    fn default() -> Self {
        Self { features: Feature::all(), custom_fields: Vec::new(), custom_objects: Vec::new() }
    }
}

/// The catalogue that fulfils these wishes.
///
/// # Errors
/// A sentence for people when a wish cannot be fulfilled.
pub fn catalog(wishes: &Wishes) -> Result<Catalog, String> {
    let mut objects: Vec<ObjectSchema> = TABLES.iter().map(|table| parse::object(table)).collect();
    let exists = |object: &ObjectSchema| {
        object.trait_value("needs").is_none_or(|word| allowed(word, &wishes.features))
    };
    let missing: Vec<String> =
        objects.iter().filter(|object| !exists(object)).map(|object| object.name.clone()).collect();
    objects.retain(exists);
    for object in &mut objects {
        drop_references(object, &missing);
    }
    parse::link_mirrors(&mut objects);
    parse::link_views(&mut objects);
    for wish in &wishes.custom_objects {
        let object = custom::object(wish, &objects)?;
        objects.push(object);
    }
    for (name, count) in &wishes.custom_fields {
        let object = objects.iter_mut().find(|object| object.name.eq_ignore_ascii_case(name));
        let object = object.ok_or_else(|| format!("No object '{name}' to give custom fields to."))?;
        custom::add_numbered(object, *count)?;
    }
    Ok(Catalog::new(objects))
}

/// A reference goes with the last object that it could point to.
fn drop_references(object: &mut ObjectSchema, missing: &[String]) {
    let dangles = |field: &Field| {
        let targets = field.reference.as_ref().map_or(&[][..], |reference| &reference.targets);
        !targets.is_empty() && targets.iter().all(|target| missing.contains(&target.object))
    };
    for index in 0..object.fields.len() {
        if dangles(&object.fields[index]) {
            object.remove(index);
        }
    }
}

fn allowed(word: &str, features: &[Feature]) -> bool {
    let has = |feature| features.contains(&feature);
    match word {
        "conversations" => has(Feature::Messaging) || has(Feature::Voice),
        word => FEATURES.iter().any(|(name, feature)| *name == word && has(*feature)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(features: &[Feature]) -> Catalog {
        catalog(&Wishes { features: features.to_vec(), ..Wishes::default() }).unwrap()
    }

    #[test]
    fn objects_of_a_missing_feature_do_not_exist() {
        let bare = with(&[]);
        for name in ["CaseFeed", "LiveChatTranscript", "ConversationEntry", "VoiceCall", "Entitlement"] {
            assert!(bare.index(name).is_none(), "{name}");
        }
        assert!(bare.index("Case").is_some());
        let voice = with(&[Feature::Voice]);
        assert!(voice.index("ConversationEntry").is_some() && voice.index("MessagingSession").is_none());
    }

    #[test]
    fn every_feature_has_its_word() {
        assert_eq!("Voice".parse(), Ok(Feature::Voice));
        assert!("telepathy".parse::<Feature>().unwrap_err().contains("chatter"));
    }

    #[test]
    fn an_object_takes_eight_hundred_custom_fields_and_no_more() {
        let wide =
            |count| catalog(&Wishes { custom_fields: vec![("Case".to_owned(), count)], ..Wishes::default() });
        let catalog = wide(800).unwrap();
        let case = &catalog.objects[catalog.index("Case").unwrap()];
        assert_eq!(case.fields.iter().filter(|field| field.is_custom()).count(), 800);
        assert!(wide(801).is_err());
    }
}
