//! A believable support org from a seed: the same seed and moment give the same org, byte for byte.
//!
//! Case sizes are skewed, stamps come in bulk-load ties, texts are in a dozen languages with everything that
//! breaks readers: HTML, emoji, CRLF, very long bodies, hostile strings. All texts are invented here.
//!
//! Little of it is made at the start: a few stored records ([`setup`]), then for each case how many records belong to
//! it ([`story`], [`spread`]). A record is derived from its case when somebody reads it ([`born`]); so a million cases
//! start in seconds. [`edits`] keeps changing an org in the same spirit.

mod aftermath;
mod blueprint;
mod born;
mod case;
mod chat;
mod child;
pub mod edits;
mod feed;
mod files;
mod invent;
mod life;
mod messaging;
mod parts;
mod people;
mod purpose;
pub mod random;
mod setup;
mod spread;
mod story;
mod talk;
mod texts;
mod voice;
mod work;

use std::sync::{Arc, OnceLock};

use crate::id::SfId;
use crate::store::Store;
use crate::store::write::whole_second;

use blueprint::Blueprint;
use born::{Born, Kind};
use parts::PARTS;
use spread::Spread;
use story::Story;

pub use files::checksum;

/// What to generate.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// How many cases; other objects follow from it.
    pub cases: usize,
    /// Seed.
    pub seed: u64,
    /// Characters that each e-mail's text has at least.
    pub mail_characters: usize,
    /// The moment that counts as now, milliseconds since 1970.
    pub now: i64,
    /// Name of the integration user.
    pub username: String,
    /// The org's own id.
    pub org_id: SfId,
}

/// Fills an empty store and returns the integration user's id.
pub fn fill(store: &mut Store, recipe: &Recipe) -> SfId {
    let recipe = Recipe { now: whole_second(recipe.now), ..recipe.clone() };
    let stored = setup::store(store, &recipe);
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let mut plan = Blueprint {
        seed: recipe.seed,
        now: recipe.now,
        pod: store.pod(),
        cases: count(recipe.cases),
        contacts: count(recipe.cases * 3 / 5 + 2),
        accounts: count(recipe.cases / 8 + 3),
        mail_characters: recipe.mail_characters,
        stored,
        has: parts::ALL.map(|(_, object, _)| store.catalog.index(object).is_some()),
        spreads: Vec::new(),
        bulk_share: bulk_share(recipe.cases),
        customers: OnceLock::new(),
        members: OnceLock::new(),
    };
    assert!(plan.is_complete(), "an org needs agents, queues and record types before it has cases");
    plan.spreads = spreads(&plan);
    let plan = Arc::new(plan);
    give_birth(store, &plan);
    aftermath::happen(store, &plan);
    plan.integration()
}

/// So many cases were touched by one mass update that their stamps, and the history rows that it wrote, fill more than a
/// page with a single second.
fn bulk_share(cases: usize) -> f64 {
    let touched = if cases >= 2_000 { (cases * 9 / 20).max(1_250) } else { cases / 5 };
    // Two thirds of the cases are old enough.
    let old = ratio(i64::try_from(cases).unwrap_or(i64::MAX)) * 2.0 / 3.0;
    (ratio(i64::try_from(touched).unwrap_or(0)) / old.max(1.0)).min(1.0)
}

/// Counts the records of every case, on all cores.
fn spreads(plan: &Blueprint) -> Vec<Spread> {
    let threads =
        u32::try_from(std::thread::available_parallelism().map_or(1, std::num::NonZero::get)).unwrap_or(1);
    let share = plan.cases.div_ceil(threads).max(1);
    let count = |thread: u32| {
        let cases = (thread * share).min(plan.cases)..((thread + 1) * share).min(plan.cases);
        let mut counts: Vec<Vec<u8>> =
            std::iter::repeat_with(|| Vec::with_capacity(share as usize)).take(PARTS).collect();
        for case in cases {
            let story = Story::new(plan, case);
            for (all, own) in counts.iter_mut().zip(story.counts()) {
                all.push(*own);
            }
        }
        counts
    };
    let mut all: Vec<Vec<u8>> = vec![Vec::new(); PARTS];
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|thread| scope.spawn(move || count(thread))).collect();
        for thread in running {
            let counts = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            for (all, own) in all.iter_mut().zip(counts) {
                all.extend(own);
            }
        }
    });
    all.into_iter().map(Spread::new).collect()
}

/// Gives each table the records that it is born with.
fn give_birth(store: &mut Store, plan: &Arc<Blueprint>) {
    birth::<people::Accounts>(store, plan);
    birth::<people::Contacts>(store, plan);
    birth::<people::Entitlements>(store, plan);
    birth::<case::Cases>(store, plan);
    birth::<case::Histories>(store, plan);
    birth::<talk::Comments>(store, plan);
    birth::<talk::Mails>(store, plan);
    birth::<talk::Relations>(store, plan);
    birth::<work::Tasks>(store, plan);
    birth::<work::Escalations>(store, plan);
    birth::<files::Attachments>(store, plan);
    birth::<files::Documents>(store, plan);
    birth::<files::FileVersions>(store, plan);
    birth::<files::Links>(store, plan);
    birth::<feed::Posts>(store, plan);
    birth::<feed::Replies>(store, plan);
    birth::<feed::TrackedChanges>(store, plan);
    birth::<chat::Transcripts>(store, plan);
    birth::<chat::TranscriptEvents>(store, plan);
    birth::<chat::Visitors>(store, plan);
    birth::<messaging::Sessions>(store, plan);
    birth::<messaging::EndUsers>(store, plan);
    birth::<messaging::Conversations>(store, plan);
    birth::<messaging::Participants>(store, plan);
    birth::<messaging::Entries>(store, plan);
    birth::<voice::Calls>(store, plan);
    birth::<voice::Recordings>(store, plan);
}

/// Objects that the org lacks are left out.
fn birth<K: Kind>(store: &mut Store, plan: &Arc<Blueprint>) {
    if let Some(object) = store.catalog.index(K::OBJECT) {
        let born = Born::<K>::new(Arc::clone(plan), &store.catalog.objects[object]);
        store.tables[object].set_birth(Arc::new(born));
    }
}

#[expect(clippy::cast_precision_loss, reason = "numbers here are far below 2^52")]
fn ratio(number: i64) -> f64 {
    number as f64
}

#[expect(clippy::cast_possible_truncation, reason = "numbers here are far below 2^52")]
fn truncated(number: f64) -> i64 {
    number as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Catalog;
    use crate::value::Value;

    fn org(cases: usize) -> Store {
        let mut store = Store::new(Arc::new(Catalog::support_org()), *b"Rf");
        let recipe = Recipe {
            cases,
            seed: 3,
            mail_characters: 0,
            now: 1_790_000_000_000,
            username: "integration@example.com".to_owned(),
            org_id: SfId::new(*b"00D", *b"Rf", 1),
        };
        fill(&mut store, &recipe);
        store
    }

    #[test]
    fn every_reference_leads_to_a_record() {
        let store = org(400);
        let mut seen = 0;
        for (object, table) in store.tables.iter() {
            let references = table.schema.fields.iter().enumerate();
            let references: Vec<usize> =
                references.filter(|(_, field)| field.reference.is_some()).map(|(at, _)| at).collect();
            for handle in table.handles() {
                for field in &references {
                    let value = crate::store::Reader::now(&store).value(object, handle, *field);
                    let Some(id) = value.as_id() else { continue };
                    seen += 1;
                    let name = &table.schema.fields[*field].name;
                    assert!(store.find(id).is_some(), "{}.{name} = {id}", table.schema.name);
                }
            }
        }
        assert!(seen > 20_000, "{seen}");
    }

    #[test]
    fn children_are_found_from_their_parents() {
        let store = org(300);
        for (object, table) in store.tables.iter() {
            for (at, field) in table.schema.fields.iter().enumerate() {
                if table.parent_index(at).is_none() {
                    continue;
                }
                for handle in table.handles().take(60) {
                    let value = crate::store::Reader::now(&store).value(object, handle, at);
                    if let Some(parent) = value.as_id() {
                        let children = store.children(object, at, parent);
                        assert!(children.contains(&handle), "{}.{} {handle}", table.schema.name, field.name);
                        assert!(children.is_sorted());
                    }
                }
            }
        }
    }

    #[test]
    fn some_values_alone_are_the_same_as_among_all() {
        let store = org(120);
        for (_, table) in store.tables.iter() {
            for handle in table.handles().take(40) {
                let whole = table.record(handle).unwrap();
                for field in &table.schema.fields {
                    let Some(slot) = field.slot() else { continue };
                    let wanted = crate::store::Slots::only(slot);
                    let alone = table.wanted(handle, Some(&wanted)).unwrap();
                    assert_eq!(
                        alone.cell(slot).to_value(),
                        whole.cell(slot).to_value(),
                        "{}.{}",
                        table.schema.name,
                        field.name
                    );
                    assert_eq!(alone.stamp(), whole.stamp());
                }
            }
        }
    }

    #[test]
    fn every_object_has_its_share() {
        let store = org(600);
        let count = |name: &str| store.table(name).len();
        for name in ["LiveChatTranscript", "MessagingSession", "VoiceCall", "ConversationEntry", "Attachment"]
        {
            assert!(count(name) > 5, "{name}: {}", count(name));
        }
        for name in ["CaseHistory", "CaseComment", "EmailMessage", "FeedItem"] {
            assert!(count(name) > 600, "{name}: {}", count(name));
        }
        assert_eq!(count("EmailMessageRelation"), 2 * count("EmailMessage"));
        assert_eq!(
            store
                .table("Case")
                .record(0)
                .unwrap()
                .cell(store.table("Case").schema.slot("CaseNumber"))
                .to_value(),
            Value::Word("00001000")
        );
    }
}
