//! A case as it was told: who asked, who answered, what happened when. Everything that belongs to a case follows from it.

use std::cell::OnceCell;

use super::blueprint::{Blueprint, DAYS, Owner};
use super::life::{self, Life};
use super::parts::{Counts, PARTS, Part};
use super::people::Contact;
use super::random::Random;
use super::{chat, feed, files, purpose, texts};
use crate::id::SfId;

/// How cases come in; most by the first way.
const ORIGINS: [&str; 4] = ["Email", "Web", "Phone", "Chat"];

/// A case being told.
pub(super) struct Story<'b> {
    pub(super) plan: &'b Blueprint,
    /// Its number among the cases.
    pub(super) number: u32,
    pub(super) created: i64,
    /// The customer's number among the contacts.
    pub(super) contact: u32,
    /// Whether the customer was known when the case came in.
    pub(super) known: bool,
    pub(super) language: usize,
    /// How big this case is; 1 is usual.
    pub(super) size: f64,
    agent: usize,
    pub(super) origin: &'static str,
    /// Whether the mass update touched it.
    pub(super) in_bulk: bool,
    life: OnceCell<Life>,
    customer: OnceCell<Contact>,
    counts: OnceCell<Counts>,
}

impl<'b> Story<'b> {
    pub(super) fn new(plan: &'b Blueprint, number: u32) -> Self {
        let mut random = plan.stream(purpose::CASE, u64::from(number));
        let created = plan.moment(&mut random, DAYS);
        let contact = skewed(&mut random, plan.contacts);
        let mut language = super::people::language(plan, contact);
        if random.chance(0.04) {
            language = texts::language(&mut random);
        }
        let size = random.skew();
        let first = random.below(plan.stored.agents.len());
        let agent = random.below(first + 1);
        let origin = *random.pick_skewed(&ORIGINS);
        let known = random.chance(0.93);
        let in_bulk = created < plan.mass_update() && random.chance(plan.bulk_share);
        let (life, customer, counts) = (OnceCell::new(), OnceCell::new(), OnceCell::new());
        Self {
            plan,
            number,
            created,
            contact,
            known,
            language,
            size,
            agent,
            origin,
            in_bulk,
            life,
            customer,
            counts,
        }
    }

    /// A stream of this case for one purpose.
    pub(super) fn stream(&self, purpose: u64) -> Random {
        self.plan.stream(purpose, u64::from(self.number))
    }

    /// A stream of one of the case's records.
    pub(super) fn stream_at(&self, purpose: u64, place: usize) -> Random {
        self.plan.stream(purpose, u64::from(self.number) | (place as u64 + 1) << 40)
    }

    pub(super) fn id(&self) -> SfId {
        self.plan.case_id(self.number)
    }

    /// The agent who works on it.
    pub(super) fn agent(&self) -> &'b Owner {
        &self.plan.stored.agents[self.agent]
    }

    pub(super) fn customer(&self) -> &Contact {
        self.customer.get_or_init(|| Contact::new(self.plan, self.contact))
    }

    pub(super) fn contact_id(&self) -> SfId {
        self.plan.contact_id(self.contact)
    }

    /// The customer's account, when the customer was known and has one.
    pub(super) fn account(&self) -> Option<u32> {
        if self.known { super::people::account(self.plan, self.contact) } else { None }
    }

    pub(super) fn life(&self) -> &Life {
        self.life.get_or_init(|| life::live(self))
    }

    /// Some time after the case began, mostly soon.
    pub(super) fn after(&self, random: &mut Random) -> i64 {
        let left = (self.plan.now - 30_000 - self.created).max(1_000);
        let share = random.unit();
        let after = super::truncated(share * share * share * super::ratio(left / 1_000));
        self.created + after * 1_000
    }

    /// The id of a record of this case.
    pub(super) fn part_id(&self, part: Part, place: usize) -> SfId {
        self.plan.part_id(part, self.number, place)
    }

    /// How many records of a part the case has.
    pub(super) fn count(&self, part: Part) -> usize {
        usize::from(self.counts()[part as usize])
    }

    /// How many records of each part the case has.
    pub(super) fn counts(&self) -> &Counts {
        self.counts.get_or_init(|| {
            let mut counts = [0; PARTS];
            let mut random = self.stream(purpose::COUNTS);
            let mut set = |part: Part, count: usize| {
                counts[part as usize] = u8::try_from(count).unwrap_or(u8::MAX);
            };
            let comments = random.around(2.55 * self.size);
            let mails = random.around(2.05 * self.size);
            set(Part::History, 1 + self.life().changes.len());
            set(Part::Comment, comments);
            set(Part::Mail, mails);
            set(Part::Relation, 2 * mails);
            set(Part::Task, usize::from(random.chance(0.5)));
            set(Part::Escalation, usize::from(random.chance(0.05)));
            files::count(self, &mut random, mails, &mut set);
            feed::count(self, &mut random, [comments, mails], &mut set);
            chat::count(self, &mut random, &mut set);
            for (count, has) in counts.iter_mut().zip(self.plan.has) {
                *count *= u8::from(has);
            }
            counts
        })
    }
}

/// One of several numbers, the first ones far likelier.
pub(super) fn skewed(random: &mut Random, bound: u32) -> u32 {
    let first = random.below(bound as usize);
    u32::try_from(random.below(first + 1)).unwrap_or(0)
}
