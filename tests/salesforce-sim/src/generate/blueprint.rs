//! What an org's records at birth follow from: its seed, its size, and the few records that are stored.
//!
//! Everything else is a function of the blueprint and a row number. Each decision draws from a stream of its own
//! ([`Blueprint::stream`]), so one value can be derived without those before it.

use std::sync::OnceLock;

use super::parts::{PARTS, Part};
use super::random::Random;
use super::spread::Spread;
use super::story::Story;
use crate::id::SfId;
use crate::store::{Handle, Numbers};

/// Days over which stamps are spread.
pub(super) const DAYS: i64 = 90;

/// A user or queue that owns things.
#[derive(Clone, Debug)]
pub(super) struct Owner {
    pub(super) id: SfId,
    pub(super) name: String,
}

/// The records that are made first and stored, as far as others refer to them.
#[derive(Clone, Debug, Default)]
pub(super) struct Stored {
    pub(super) integration: Option<SfId>,
    pub(super) agents: Vec<Owner>,
    pub(super) queues: Vec<Owner>,
    pub(super) record_types: Vec<SfId>,
    pub(super) business_hours: Option<SfId>,
    /// Messaging channels, with their message type and whether the channel is an enhanced one.
    pub(super) channels: Vec<(SfId, &'static str, bool)>,
}

/// The plan of an org.
#[derive(Debug)]
pub(super) struct Blueprint {
    pub(super) seed: u64,
    /// The moment that counts as now, in whole seconds.
    pub(super) now: i64,
    pub(super) pod: [u8; 2],
    pub(super) cases: u32,
    pub(super) contacts: u32,
    pub(super) accounts: u32,
    /// Characters that each e-mail's text has at least.
    pub(super) mail_characters: usize,
    pub(super) stored: Stored,
    /// Which features' objects there are, by part.
    pub(super) has: [bool; PARTS],
    /// How the records of each part lie over the cases.
    pub(super) spreads: Vec<Spread>,
    /// The chance that an old enough case was touched by the mass update.
    pub(super) bulk_share: f64,
    /// Cases by contact, and contacts by account.
    pub(super) customers: OnceLock<Members>,
    pub(super) members: OnceLock<Members>,
}

/// Who belongs to whom, sorted.
#[derive(Debug)]
pub(super) struct Members(Vec<(u32, u32)>);

impl Members {
    fn new(mut pairs: Vec<(u32, u32)>) -> Self {
        pairs.sort_unstable();
        Self(pairs)
    }

    fn of(&self, owner: u32) -> impl Iterator<Item = u32> + '_ {
        let from = self.0.partition_point(|(own, _)| *own < owner);
        self.0[from..].iter().take_while(move |(own, _)| *own == owner).map(|(_, member)| *member)
    }
}

impl Blueprint {
    /// An independent stream of numbers for one purpose and row.
    pub(super) fn stream(&self, purpose: u64, row: u64) -> Random {
        let mixed = self.seed.wrapping_mul(0xD6E8_FEB8_6659_FD93) ^ purpose.rotate_left(48);
        Random::new(mixed.wrapping_add(row.wrapping_mul(0xA076_1D64_78BD_642F)))
    }

    pub(super) fn integration(&self) -> SfId {
        self.stored.integration.expect("the integration user is stored first")
    }

    /// The moment of the one mass update.
    pub(super) fn mass_update(&self) -> i64 {
        self.now - 10 * crate::time::DAY_MS
    }

    /// A whole second in the last `days`, recent ones likelier.
    pub(super) fn moment(&self, random: &mut Random, days: i64) -> i64 {
        let share = random.unit();
        let back = (share * share * super::ratio(days * 86_400)).round();
        self.now - 60_000 - super::truncated(back) * 1_000
    }

    fn numbers(&self, prefix: [u8; 3]) -> Numbers {
        Numbers::new(prefix, self.pod)
    }

    pub(super) fn case_id(&self, case: u32) -> SfId {
        self.numbers(*b"500").born(case)
    }

    pub(super) fn contact_id(&self, contact: u32) -> SfId {
        self.numbers(*b"003").born(contact)
    }

    pub(super) fn account_id(&self, account: u32) -> SfId {
        self.numbers(*b"001").born(account)
    }

    /// The entitlement of an account, when it has one.
    pub(super) fn entitlement_id(&self, account: u32) -> Option<SfId> {
        let entitled = account.is_multiple_of(8) && self.has[Part::Entitlement as usize];
        entitled.then(|| self.numbers(*b"550").born(account / 8))
    }

    /// How many entitlements there are.
    pub(super) fn entitlements(&self) -> u32 {
        self.accounts.div_ceil(8)
    }

    /// The id of the record at a place among those of its part that belong to a case.
    pub(super) fn part_id(&self, part: Part, case: u32, place: usize) -> SfId {
        let start = self.spreads[part as usize].start(case);
        let place = Handle::try_from(place).unwrap_or(0);
        self.numbers(part.prefix()).born(start + place)
    }

    /// The account with this id.
    pub(super) fn account_of(&self, id: SfId) -> Option<u32> {
        self.numbers(*b"001").handle(id).filter(|account| *account < self.accounts)
    }

    /// The contacts of an account.
    pub(super) fn contacts_of(&self, account: u32) -> impl Iterator<Item = u32> + '_ {
        let members = self.members.get_or_init(|| {
            let pair = |contact| super::people::account(self, contact).map(|account| (account, contact));
            Members::new((0..self.contacts).filter_map(pair).collect())
        });
        members.of(account)
    }

    /// The cases of a contact, or of an account's contacts.
    pub(super) fn cases_around(&self, id: SfId) -> Option<Vec<u32>> {
        let customers = || {
            self.customers.get_or_init(|| {
                let pair = |case| (Story::new(self, case).contact, case);
                Members::new((0..self.cases).map(pair).collect())
            })
        };
        let contact = self.numbers(*b"003").handle(id).filter(|contact| *contact < self.contacts);
        if let Some(contact) = contact {
            return Some(customers().of(contact).collect());
        }
        let mut cases: Vec<u32> =
            self.contacts_of(self.account_of(id)?).flat_map(|contact| customers().of(contact)).collect();
        cases.sort_unstable();
        Some(cases)
    }

    /// The case that a record at birth belongs to, when it belongs to one.
    pub(super) fn case_of(&self, id: SfId) -> Option<u32> {
        if id.prefix() == *b"500" {
            return self.numbers(*b"500").handle(id).filter(|case| *case < self.cases);
        }
        let part = Part::of(id.prefix())?;
        let handle = self.numbers(part.prefix()).handle(id)?;
        let spread = &self.spreads[part as usize];
        (handle < spread.total()).then(|| spread.locate(handle).0)
    }
}
