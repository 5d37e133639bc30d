//! Accounts, contacts and entitlements.

use std::ops::Range;

use super::blueprint::{Blueprint, DAYS};
use super::born::{Column, Kind};
use super::random::Random;
use super::{purpose, texts};
use crate::id::SfId;
use crate::store::Handle;
use crate::time::DAY_MS;
use crate::value::Value;

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

/// The name of a customer or agent.
pub(super) fn name(random: &mut Random) -> (&'static str, &'static str) {
    (random.pick::<&str>(&FIRST), random.pick::<&str>(&LAST))
}

/// The account of a contact, by its number.
pub(super) fn account(plan: &Blueprint, contact: u32) -> Option<u32> {
    let mut random = plan.stream(purpose::CONTACT_ACCOUNT, u64::from(contact));
    random.chance(0.9).then(|| super::story::skewed(&mut random, plan.accounts))
}

/// The language of a contact, as an index into those of [`texts`].
pub(super) fn language(plan: &Blueprint, contact: u32) -> usize {
    texts::language(&mut plan.stream(purpose::CONTACT_LANGUAGE, u64::from(contact)))
}

/// A customer.
#[derive(Debug)]
pub(super) struct Contact {
    pub(super) first: &'static str,
    pub(super) last: &'static str,
    pub(super) email: String,
    pub(super) phone: String,
}

impl Contact {
    pub(super) fn new(plan: &Blueprint, number: u32) -> Self {
        let (first, last) = name(&mut plan.stream(purpose::CONTACT_NAME, u64::from(number)));
        let email = format!("customer{number}@mail{}.example.com", number % 17);
        Self { first, last, email, phone: format!("+49 30 555{number:07}") }
    }

    pub(super) fn name(&self) -> String {
        format!("{} {}", self.first, self.last)
    }
}

/// An account or contact, with what its fields are drawn from.
pub(super) struct Person<'b> {
    plan: &'b Blueprint,
    number: u32,
    created: i64,
    owner: SfId,
    city: Option<(&'static str, &'static str, &'static str)>,
}

impl<'b> Person<'b> {
    fn new(plan: &'b Blueprint, purpose: u64, number: u32) -> Self {
        let mut random = plan.stream(purpose, u64::from(number));
        let created = plan.moment(&mut random, DAYS);
        let owner = random.pick(&plan.stored.agents).id;
        let city = random.chance(0.7).then(|| *random.pick(&CITIES));
        Self { plan, number, created, owner, city }
    }

    fn stream(&self, purpose: u64) -> Random {
        self.plan.stream(purpose, u64::from(self.number))
    }

    fn contact(&self) -> Contact {
        Contact::new(self.plan, self.number)
    }

    fn city(&self, part: impl Fn((&'static str, &'static str, &'static str)) -> &'static str) -> Value {
        self.city.map_or(Value::Null, |city| Value::Word(part(city)))
    }
}

/// `Contact`.
pub(super) struct Contacts;

impl Kind for Contacts {
    type Row<'b> = Person<'b>;
    const OBJECT: &'static str = "Contact";

    fn near(plan: &Blueprint, parent: SfId) -> Option<Vec<Range<Handle>>> {
        let contacts = plan.contacts_of(plan.account_of(parent)?);
        Some(contacts.map(|contact| contact..contact + 1).collect())
    }

    fn count(plan: &Blueprint) -> Handle {
        plan.contacts
    }

    fn row(plan: &Blueprint, handle: Handle) -> Person<'_> {
        Person::new(plan, purpose::CONTACT, handle)
    }

    fn stamp(row: &Person<'_>) -> i64 {
        row.created
    }

    const COLUMNS: &'static [(&'static str, Column<Self>)] = &[
        ("AccountId", |row| account(row.plan, row.number).map(|account| row.plan.account_id(account)).into()),
        ("FirstName", |row| Value::Word(row.contact().first)),
        ("LastName", |row| Value::Word(row.contact().last)),
        ("Name", |row| row.contact().name().into()),
        ("Email", |row| row.contact().email.into()),
        ("Phone", |row| row.contact().phone.into()),
        ("OwnerId", |row| row.owner.into()),
        ("CreatedDate", |row| Value::Instant(row.created)),
        ("CreatedById", |row| row.owner.into()),
        ("LastModifiedDate", |row| Value::Instant(row.created)),
        ("LastModifiedById", |row| row.owner.into()),
        ("MailingStreet", |row| {
            let street = format!("Hauptstraße {}\r\nc/o Empfang", row.number % 200);
            row.city.map(|_| street).into()
        }),
        ("MailingCity", |row| row.city(|city| city.0)),
        ("MailingPostalCode", |row| row.city(|city| city.1)),
        ("MailingCountry", |row| row.city(|city| city.2)),
        ("Language__c", |row| Value::Word(texts::LANGUAGES[language(row.plan, row.number)].code)),
        ("Birthdate", |row| {
            let known = row.stream(purpose::CONTACT_BIRTHDATE).chance(0.2);
            if known { Value::Date(i64::from(row.number % 15_000)) } else { Value::Null }
        }),
        ("RecordTypeId", |row| row.plan.stored.record_types[4].into()),
        ("MobilePhone", |row| {
            let known = row.stream(purpose::CONTACT_MOBILE).chance(0.4);
            known.then(|| format!("+49 170 555{:07}", row.number)).into()
        }),
    ];
}

/// `Account`.
pub(super) struct Accounts;

impl Kind for Accounts {
    type Row<'b> = Person<'b>;
    const OBJECT: &'static str = "Account";

    fn count(plan: &Blueprint) -> Handle {
        plan.accounts
    }

    fn row(plan: &Blueprint, handle: Handle) -> Person<'_> {
        Person::new(plan, purpose::ACCOUNT, handle)
    }

    fn stamp(row: &Person<'_>) -> i64 {
        row.created
    }

    const COLUMNS: &'static [(&'static str, Column<Self>)] = &[
        ("Name", |row| {
            let mut random = row.stream(purpose::ACCOUNT_NAME);
            format!("{} {} {}", random.pick(&COMPANIES), random.pick(&FORMS), row.number).into()
        }),
        ("Type", |row| {
            Value::Word(row.stream(purpose::ACCOUNT_TYPE).pick::<&str>(&["Customer", "Prospect", "Partner"]))
        }),
        ("Industry", |row| {
            let industries = ["Retail", "Banking", "Energy", "Healthcare", "Technology"];
            Value::Word(row.stream(purpose::ACCOUNT_INDUSTRY).pick::<&str>(&industries))
        }),
        ("OwnerId", |row| row.owner.into()),
        ("CreatedDate", |row| Value::Instant(row.created)),
        ("CreatedById", |row| row.owner.into()),
        ("LastModifiedDate", |row| Value::Instant(row.created)),
        ("LastModifiedById", |row| row.owner.into()),
        ("BillingCity", |row| row.city(|city| city.0)),
        ("BillingCountry", |row| row.city(|city| city.2)),
        ("AnnualRevenue", |row| {
            let thousands = row.stream(purpose::ACCOUNT_REVENUE).below(90_000);
            Value::Double(super::ratio(i64::try_from(thousands).unwrap_or(0)) * 1_000.0)
        }),
        ("Margin__c", |row| {
            let tenths = row.stream(purpose::ACCOUNT_MARGIN).below(1_000);
            Value::Double(super::ratio(i64::try_from(tenths).unwrap_or(0)) / 10.0)
        }),
        ("Headquarters__Latitude__s", |row| row.city.map_or(Value::Null, |city| coordinates(city.0).0)),
        ("Headquarters__Longitude__s", |row| row.city.map_or(Value::Null, |city| coordinates(city.0).1)),
    ];
}

/// A made-up but steady place for a city.
fn coordinates(city: &str) -> (Value, Value) {
    let sum: u32 = city.bytes().map(u32::from).sum();
    let degrees = |scale: u32| f64::from(sum % scale) / 10.0;
    (Value::Double(35.0 + degrees(200)), Value::Double(degrees(1_500)))
}

/// `Entitlement`: what some accounts paid for.
pub(super) struct Entitlements;

impl Kind for Entitlements {
    type Row<'b> = Person<'b>;
    const OBJECT: &'static str = "Entitlement";

    fn count(plan: &Blueprint) -> Handle {
        plan.entitlements()
    }

    fn row(plan: &Blueprint, handle: Handle) -> Person<'_> {
        Person::new(plan, purpose::ENTITLEMENT, handle)
    }

    fn stamp(row: &Person<'_>) -> i64 {
        row.created
    }

    const COLUMNS: &'static [(&'static str, Column<Self>)] = &[
        ("Name", |row| format!("Support Contract {:05}", row.number + 1).into()),
        ("AccountId", |row| row.plan.account_id(row.number * 8).into()),
        ("Type", |row| {
            Value::Word(if row.number.is_multiple_of(2) { "Phone Support" } else { "Web Support" })
        }),
        ("StartDate", |row| Value::Date(row.created.div_euclid(DAY_MS))),
        ("EndDate", |row| Value::Date(row.created.div_euclid(DAY_MS) + 365)),
        ("Status", |_| Value::Word("Active")),
        ("BusinessHoursId", |row| row.plan.stored.business_hours.into()),
        ("CreatedDate", |row| Value::Instant(row.created)),
        ("CreatedById", |row| row.owner.into()),
        ("LastModifiedDate", |row| Value::Instant(row.created)),
        ("LastModifiedById", |row| row.owner.into()),
    ];
}
