//! The org itself, agents, queues, record types, accounts and contacts.

use super::{DAYS, Generator};
use crate::id::SfId;
use crate::store::{State, Version};
use crate::time::DAY_MS;
use crate::value::Value;

/// A customer.
#[derive(Clone, Debug)]
pub(super) struct Person {
    pub(super) id: SfId,
    pub(super) account: Option<SfId>,
    pub(super) name: String,
    pub(super) email: String,
    /// Index into the languages of [`super::texts`].
    pub(super) language: usize,
}

const FIRST: [&str; 28] = [
    "Anna",
    "Ben",
    "Chloé",
    "Dmitri",
    "Elif",
    "Fatima",
    "Giulia",
    "Hiro",
    "Ines",
    "João",
    "Katarzyna",
    "Lars",
    "Mei",
    "Noah",
    "Olga",
    "Pedro",
    "Quentin",
    "Rosa",
    "Søren",
    "Tomás",
    "Ulrike",
    "Viktor",
    "Wei",
    "Xenia",
    "Yuki",
    "Zoë",
    "Łukasz",
    "محمد",
];
const LAST: [&str; 28] = [
    "Müller",
    "Smith",
    "García",
    "Rossi",
    "Dubois",
    "Novák",
    "Tanaka",
    "Silva",
    "Yılmaz",
    "Kowalski",
    "Иванова",
    "O'Brien",
    "van der Berg",
    "Nguyễn",
    "Østergård",
    "Smythe-Jones",
    "Weiß",
    "李",
    "Fernández",
    "Conti",
    "Lefèvre",
    "Schmidt",
    "Brown",
    "Sato",
    "Popescu",
    "Papadopoulos",
    "Lindqvist",
    "D'Angelo",
];
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
const CITIES: [(&str, &str, &str); 7] = [
    ("Berlin", "10115", "Germany"),
    ("Lyon", "69001", "France"),
    ("Osaka", "530-0001", "Japan"),
    ("São Paulo", "01000-000", "Brazil"),
    ("Austin", "73301", "United States"),
    ("Kraków", "30-001", "Poland"),
    ("Zürich", "8001", "Switzerland"),
];
const COMPANIES: [&str; 12] = [
    "Nordlicht",
    "Blue Harbor",
    "Écluse",
    "Sakura",
    "Montaña",
    "Vistula",
    "Acme",
    "Old Mill",
    "Tramontana",
    "Kestrel",
    "Rheingold",
    "Marigold",
];
const FORMS: [&str; 6] = ["GmbH & Co. KG", "Ltd.", "S.A.", "K.K.", "Inc.", "Sp. z o.o."];

impl Generator<'_> {
    pub(super) fn people(&mut self) {
        let long_ago = self.now() - 800 * DAY_MS;
        let profile = self.profile(long_ago);
        self.users(profile, long_ago);
        self.organization(long_ago);
        for name in QUEUES {
            let mut queue = self.draft("Group");
            self.set(&mut queue, "Name", name);
            self.set(&mut queue, "DeveloperName", name.replace(' ', "_").as_str());
            self.set_word(&mut queue, "Type", "Queue");
            self.audit(&mut queue, long_ago, long_ago, self.integration);
            let id = self.keep(queue, long_ago);
            self.queues.push(id);
        }
        for (name, developer_name, object) in RECORD_TYPES {
            let mut record_type = self.draft("RecordType");
            self.set(&mut record_type, "Name", name);
            self.set(&mut record_type, "DeveloperName", developer_name);
            self.set_word(&mut record_type, "SobjectType", object);
            self.set(&mut record_type, "IsActive", true);
            self.audit(&mut record_type, long_ago, long_ago, self.integration);
            let id = self.keep(record_type, long_ago);
            self.record_types.push(id);
        }
        self.accounts();
        self.contacts();
    }

    fn profile(&mut self, at: i64) -> SfId {
        let mut profile = self.draft("Profile");
        self.set(&mut profile, "Name", "Support Agent");
        self.set_word(&mut profile, "UserType", "Standard");
        self.audit(&mut profile, at, at, self.integration);
        self.keep(profile, at)
    }

    fn users(&mut self, profile: SfId, at: i64) {
        let count = (40 + self.recipe.cases / 250).min(200);
        for number in 0..=count {
            let (first, last) = (*self.random.pick(&FIRST), *self.random.pick(&LAST));
            let is_integration = number == 0;
            let (first, last) = if is_integration { ("Refrain", "Integration") } else { (first, last) };
            let mut user = self.draft("User");
            let mail = format!("agent{number}@support.example.com");
            let username = if is_integration { self.recipe.username.clone() } else { format!("{mail}.prod") };
            self.set(&mut user, "Username", username.as_str());
            self.set(&mut user, "Email", mail.as_str());
            self.set(&mut user, "FirstName", first);
            self.set(&mut user, "LastName", last);
            self.set(&mut user, "Name", format!("{first} {last}").as_str());
            self.set(&mut user, "Alias", format!("agent{number}").as_str());
            self.set(&mut user, "CommunityNickname", format!("agent{number}").as_str());
            let left = self.random.chance(0.06);
            self.set(&mut user, "IsActive", is_integration || !left);
            self.set_word(&mut user, "TimeZoneSidKey", "Europe/Berlin");
            self.set_word(&mut user, "LocaleSidKey", "en_US");
            self.set_word(&mut user, "EmailEncodingKey", "UTF-8");
            self.set_word(&mut user, "LanguageLocaleKey", "en_US");
            self.set_word(
                &mut user,
                "UserType",
                if is_integration { "CloudIntegrationUser" } else { "Standard" },
            );
            self.set_word(&mut user, "Department", "Support");
            self.set(&mut user, "EmployeeNumber", format!("{number:06}").as_str());
            self.set(&mut user, "ProfileId", profile);
            let stamp = if number % 3 == 0 { self.moment(DAYS) } else { at };
            self.audit(&mut user, at, stamp, self.integration);
            let id = self.keep(user, stamp);
            if is_integration {
                self.integration = id;
            } else {
                self.agents.push(id);
            }
        }
    }

    /// The one row whose id is not numbered by its table: it is the org's own.
    fn organization(&mut self, at: i64) {
        let mut org = self.draft("Organization");
        self.set(&mut org, "Name", format!("Simulated Org {}", self.recipe.seed).as_str());
        self.set_word(&mut org, "Country", "DE");
        self.set_word(&mut org, "PrimaryContact", "Refrain Integration");
        self.set_word(&mut org, "DefaultLocaleSidKey", "en_US");
        self.set_word(&mut org, "TimeZoneSidKey", "Europe/Berlin");
        self.set_word(&mut org, "LanguageLocaleKey", "en_US");
        self.set(&mut org, "FiscalYearStartMonth", Value::Int(1));
        self.set_word(&mut org, "OrganizationType", "Enterprise Edition");
        self.set_word(&mut org, "InstanceName", "DEU1S");
        self.audit(&mut org, at, at, self.integration);
        let now = self.now();
        let object = self.store.object("Organization");
        let version = Version::new(at, at, State::Live, org.into_values());
        self.store.tables[object].append(self.recipe.org_id, version, now);
    }

    fn accounts(&mut self) {
        for number in 0..self.recipe.cases / 8 + 3 {
            let at = self.moment(DAYS);
            let name = format!("{} {} {number}", self.random.pick(&COMPANIES), self.random.pick(&FORMS));
            let city = *self.random.pick(&CITIES);
            let kind = *self.random.pick(&["Customer", "Prospect", "Partner"]);
            let industry = *self.random.pick(&["Retail", "Banking", "Energy", "Healthcare", "Technology"]);
            let revenue = super::ratio(i64::try_from(self.random.below(90_000)).unwrap_or(0)) * 1_000.0;
            let mut account = self.draft("Account");
            self.set(&mut account, "Name", name.as_str());
            self.set_word(&mut account, "Type", kind);
            self.set_word(&mut account, "Industry", industry);
            self.set_word(&mut account, "BillingCity", city.0);
            self.set_word(&mut account, "BillingCountry", city.2);
            self.set(&mut account, "AnnualRevenue", Value::Double(revenue));
            let owner = *self.random.pick(&self.agents);
            self.set(&mut account, "OwnerId", owner);
            self.audit(&mut account, at, at, owner);
            let id = self.keep(account, at);
            self.accounts.push(id);
        }
    }

    fn contacts(&mut self) {
        for number in 0..self.recipe.cases * 3 / 5 + 2 {
            let (first, last) = (*self.random.pick(&FIRST), *self.random.pick(&LAST));
            let account =
                if self.random.chance(0.9) { Some(*self.random.pick_skewed(&self.accounts)) } else { None };
            let language = super::texts::language(&mut self.random);
            let email = format!("customer{number}@mail{}.example.com", number % 17);
            let city = *self.random.pick(&CITIES);
            let at = self.moment(DAYS);
            let mut contact = self.draft("Contact");
            self.set(&mut contact, "FirstName", first);
            self.set(&mut contact, "LastName", last);
            let name = format!("{first} {last}");
            self.set(&mut contact, "Name", name.as_str());
            self.set(&mut contact, "Email", email.as_str());
            self.set(&mut contact, "Phone", format!("+49 30 555{number:07}").as_str());
            if let Some(account) = account {
                self.set(&mut contact, "AccountId", account);
            }
            if self.random.chance(0.7) {
                self.set(
                    &mut contact,
                    "MailingStreet",
                    format!("Hauptstraße {}\r\nc/o Empfang", number % 200).as_str(),
                );
                self.set_word(&mut contact, "MailingCity", city.0);
                self.set_word(&mut contact, "MailingPostalCode", city.1);
                self.set_word(&mut contact, "MailingCountry", city.2);
            }
            self.set_word(&mut contact, "Language__c", super::texts::LANGUAGES[language].code);
            if self.random.chance(0.2) {
                self.set(&mut contact, "Birthdate", Value::Date(i64::try_from(number % 15_000).unwrap_or(0)));
            }
            let owner = *self.random.pick(&self.agents);
            self.set(&mut contact, "OwnerId", owner);
            self.set(&mut contact, "RecordTypeId", self.record_types[4]);
            self.audit(&mut contact, at, at, owner);
            let id = self.keep(contact, at);
            self.contacts.push(Person { id, account, name, email, language });
        }
    }
}
