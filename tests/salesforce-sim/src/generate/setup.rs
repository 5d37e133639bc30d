//! The few records that are stored: the org itself, agents, queues, roles, record types, channels.

use super::blueprint::{Blueprint, DAYS, Owner, Stored};
use super::people;
use super::purpose;
use super::random::Random;
use crate::id::SfId;
use crate::store::{State, Store, Version, set_slot};
use crate::time::DAY_MS;
use crate::value::Value;

use super::Recipe;

const QUEUES: [&str; 6] =
    ["Tier 1 Support", "Tier 2 Support", "Billing Questions", "Escalations", "Spam Review", "VIP Desk"];
const RECORD_TYPES: [(&str, &str, &str); 6] = [
    ("Support Case", "Support_Case", "Case"),
    ("Billing Case", "Billing_Case", "Case"),
    ("Complaint", "Complaint", "Case"),
    ("Internal Request", "Internal_Request", "Case"),
    ("Customer", "Customer", "Contact"),
    ("Incident", "Incident", "Escalation__c"),
];
/// Name, message type, whether enhanced.
const CHANNELS: [(&str, &str, bool); 3] =
    [("SMS", "Text", false), ("WhatsApp", "WhatsApp", true), ("Website", "EmbeddedMessaging", true)];
const ROLES: [&str; 3] = ["Head of Support", "Team Lead", "Agent"];

/// Stores records with their values by name.
struct Setup<'a> {
    store: &'a mut Store,
    recipe: &'a Recipe,
    random: Random,
    long_ago: i64,
    stored: Stored,
}

/// Makes the stored records.
pub(super) fn store(store: &mut Store, recipe: &Recipe) -> Stored {
    let random = Random::new(recipe.seed.wrapping_add(purpose::SETUP << 32));
    let long_ago = recipe.now - 800 * DAY_MS;
    let mut setup = Setup { store, recipe, random, long_ago, stored: Stored::default() };
    let profile = setup.profile();
    let roles = setup.roles();
    setup.users(&profile, &roles);
    setup.organization();
    setup.queues();
    setup.record_types();
    setup.business_hours();
    setup.channels();
    setup.permission_set();
    setup.stored
}

impl Setup<'_> {
    /// Stores a record; names that the object lacks are left out, as are whole objects that the org lacks.
    fn keep(&mut self, object: &str, stamp: i64, values: &[(&str, Value)]) -> Option<SfId> {
        let index = self.store.catalog.index(object)?;
        let id = self.store.tables[index].reserve_id();
        self.keep_as(index, id, stamp, values);
        Some(id)
    }

    fn keep_as(&mut self, object: usize, id: SfId, stamp: i64, values: &[(&str, Value)]) {
        let by = self.stored.integration.unwrap_or(id);
        let schema = std::sync::Arc::clone(&self.store.catalog.objects[object]);
        let mut slots = self.store.tables[object].blank();
        let audit = [
            ("CreatedDate", Value::Instant(self.long_ago)),
            ("CreatedById", Value::Id(by)),
            ("LastModifiedDate", Value::Instant(stamp)),
            ("LastModifiedById", Value::Id(by)),
        ];
        for (name, value) in audit.iter().chain(values) {
            if let Some(slot) = schema.stored(name) {
                set_slot(&mut slots, slot, value.clone());
            }
        }
        let version = Version::new(stamp, stamp, State::Live, slots);
        self.store.tables[object].append(id, version, self.recipe.now);
    }

    fn profile(&mut self) -> Value {
        let values = [("Name", Value::Word("Support Agent")), ("UserType", Value::Word("Standard"))];
        self.keep("Profile", self.long_ago, &values).into()
    }

    fn roles(&mut self) -> Vec<Value> {
        let mut roles = Vec::new();
        for name in ROLES {
            let above = roles.last().cloned().unwrap_or(Value::Null);
            let values = [
                ("Name", Value::Word(name)),
                ("DeveloperName", Value::text(&name.replace(' ', "_"))),
                ("ParentRoleId", above),
            ];
            roles.push(self.keep("UserRole", self.long_ago, &values).into());
        }
        roles
    }

    fn users(&mut self, profile: &Value, roles: &[Value]) {
        let count = (40 + self.recipe.cases / 250).min(200);
        for number in 0..=count {
            let is_integration = number == 0;
            let drawn = people::name(&mut self.random);
            let (first, last) = if is_integration { ("Refrain", "Integration") } else { drawn };
            let left = self.random.chance(0.06);
            let mail = format!("agent{number}@support.example.com");
            let username = if is_integration { self.recipe.username.clone() } else { format!("{mail}.prod") };
            let alias = Value::from(format!("agent{number}"));
            let name = format!("{first} {last}");
            let role = match number {
                0 => Value::Null,
                1 => roles[0].clone(),
                2..6 => roles[1].clone(),
                _ => roles[2].clone(),
            };
            let user_type = if is_integration { "CloudIntegrationUser" } else { "Standard" };
            let values = [
                ("Username", Value::from(username)),
                ("Email", Value::from(mail)),
                ("FirstName", Value::Word(first)),
                ("LastName", Value::Word(last)),
                ("Name", Value::text(&name)),
                ("Alias", alias.clone()),
                ("CommunityNickname", alias),
                ("IsActive", Value::Bool(is_integration || !left)),
                ("TimeZoneSidKey", Value::Word("Europe/Berlin")),
                ("LocaleSidKey", Value::Word("en_US")),
                ("EmailEncodingKey", Value::Word("UTF-8")),
                ("LanguageLocaleKey", Value::Word("en_US")),
                ("UserType", Value::Word(user_type)),
                ("Department", Value::Word("Support")),
                ("EmployeeNumber", Value::from(format!("{number:06}"))),
                ("ProfileId", profile.clone()),
                ("UserRoleId", role),
            ];
            let stamp = if number % 3 == 0 { self.moment() } else { self.long_ago };
            let Some(id) = self.keep("User", stamp, &values) else { return };
            if is_integration {
                self.stored.integration = Some(id);
            } else {
                self.stored.agents.push(Owner { id, name });
            }
        }
    }

    fn moment(&mut self) -> i64 {
        let share = self.random.unit();
        let back = (share * share * super::ratio(DAYS * 86_400)).round();
        self.recipe.now - 60_000 - super::truncated(back) * 1_000
    }

    /// The one row whose id is not numbered by its table: it is the org's own.
    fn organization(&mut self) {
        let values = [
            ("Name", Value::from(format!("Simulated Org {}", self.recipe.seed))),
            ("Country", Value::Word("DE")),
            ("PrimaryContact", Value::Word("Refrain Integration")),
            ("DefaultLocaleSidKey", Value::Word("en_US")),
            ("TimeZoneSidKey", Value::Word("Europe/Berlin")),
            ("LanguageLocaleKey", Value::Word("en_US")),
            ("FiscalYearStartMonth", Value::Int(1)),
            ("OrganizationType", Value::Word("Enterprise Edition")),
            ("InstanceName", Value::Word("DEU1S")),
        ];
        let object = self.store.object("Organization");
        self.keep_as(object, self.recipe.org_id, self.long_ago, &values);
    }

    /// Queues, what they hold, and the agents who serve them.
    fn queues(&mut self) {
        for (place, name) in QUEUES.into_iter().enumerate() {
            let values = [
                ("Name", Value::Word(name)),
                ("DeveloperName", Value::text(&name.replace(' ', "_"))),
                ("Type", Value::Word("Queue")),
            ];
            let Some(id) = self.keep("Group", self.long_ago, &values) else { return };
            self.stored.queues.push(Owner { id, name: name.to_owned() });
            for object in ["Case", "LiveChatTranscript", "MessagingSession", "Escalation__c"] {
                if self.store.catalog.index(object).is_some() {
                    let values = [("QueueId", Value::Id(id)), ("SobjectType", Value::Word(object))];
                    self.keep("QueueSobject", self.long_ago, &values);
                }
            }
            let members: Vec<SfId> =
                self.stored.agents.iter().skip(place).step_by(QUEUES.len()).map(|agent| agent.id).collect();
            for agent in members {
                let values = [("GroupId", Value::Id(id)), ("UserOrGroupId", Value::Id(agent))];
                self.keep("GroupMember", self.long_ago, &values);
            }
        }
    }

    fn record_types(&mut self) {
        for (name, developer_name, object) in RECORD_TYPES {
            let values = [
                ("Name", Value::Word(name)),
                ("DeveloperName", Value::Word(developer_name)),
                ("SobjectType", Value::Word(object)),
                ("IsActive", Value::Bool(true)),
            ];
            let id = self.keep("RecordType", self.long_ago, &values);
            self.stored.record_types.extend(id);
        }
    }

    fn business_hours(&mut self) {
        let hours = |hour: i64| Value::Time(hour * 3_600_000);
        let values = [
            ("Name", Value::Word("Default")),
            ("IsActive", Value::Bool(true)),
            ("IsDefault", Value::Bool(true)),
            ("TimeZoneSidKey", Value::Word("Europe/Berlin")),
            ("MondayStartTime", hours(8)),
            ("MondayEndTime", hours(18)),
            ("FridayStartTime", hours(8)),
            ("FridayEndTime", hours(16)),
        ];
        self.stored.business_hours = self.keep("BusinessHours", self.long_ago, &values);
    }

    fn channels(&mut self) {
        for (name, message_type, enhanced) in CHANNELS {
            let values = [
                ("DeveloperName", Value::Word(name)),
                ("MasterLabel", Value::Word(name)),
                ("MessageType", Value::Word(message_type)),
                ("MessagingPlatformKey", Value::from(format!("+4930555{:04}", name.len()))),
                ("IsActive", Value::Bool(true)),
            ];
            let id = self.keep("MessagingChannel", self.long_ago, &values);
            self.stored.channels.extend(id.map(|id| (id, message_type, enhanced)));
        }
    }

    /// What the integration user was given.
    fn permission_set(&mut self) {
        let values = [
            ("Name", Value::Word("Integration")),
            ("Label", Value::Word("Integration")),
            ("IsCustom", Value::Bool(true)),
            ("PermissionsViewAllData", Value::Bool(true)),
            ("PermissionsQueryAllFiles", Value::Bool(true)),
            ("PermissionsApiEnabled", Value::Bool(true)),
            ("PermissionsViewSetup", Value::Bool(true)),
        ];
        let Some(set) = self.keep("PermissionSet", self.long_ago, &values) else { return };
        let user = self.stored.integration;
        let values = [("PermissionSetId", Value::Id(set)), ("AssigneeId", user.into())];
        self.keep("PermissionSetAssignment", self.long_ago, &values);
    }
}

impl Blueprint {
    /// Whether nothing of a case can be derived: an org needs agents and queues first.
    pub(super) fn is_complete(&self) -> bool {
        !self.stored.agents.is_empty()
            && !self.stored.queues.is_empty()
            && self.stored.record_types.len() >= 5
    }
}
