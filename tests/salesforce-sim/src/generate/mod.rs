//! A believable support org from a seed: the same seed and moment give the same org, byte for byte.
//!
//! Case sizes are skewed, stamps come in bulk-load ties, texts are in a dozen languages with everything that
//! breaks readers: HTML, emoji, CRLF, very long bodies, hostile strings. [`edits`] keeps changing an org in the
//! same spirit. All texts are invented here.

mod cases;
mod conversation;
mod draft;
pub mod edits;
mod people;
pub mod random;
mod texts;

use crate::id::SfId;
use crate::store::Store;
use crate::store::write::whole_second;

use draft::Words;
use random::Random;

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

/// What later stages need of earlier ones.
#[derive(Debug)]
struct Generator<'a> {
    store: &'a mut Store,
    random: Random,
    words: Words,
    recipe: &'a Recipe,
    integration: SfId,
    agents: Vec<SfId>,
    queues: Vec<SfId>,
    record_types: Vec<SfId>,
    accounts: Vec<SfId>,
    contacts: Vec<people::Person>,
}

/// Days over which stamps are spread.
const DAYS: i64 = 90;

/// Fills an empty store and returns the integration user's id.
pub fn fill(store: &mut Store, recipe: &Recipe) -> SfId {
    let recipe = Recipe { now: whole_second(recipe.now), ..recipe.clone() };
    let mut generator = Generator {
        store,
        random: Random::new(recipe.seed),
        words: Words::default(),
        recipe: &recipe,
        integration: recipe.org_id,
        agents: Vec::new(),
        queues: Vec::new(),
        record_types: Vec::new(),
        accounts: Vec::new(),
        contacts: Vec::new(),
    };
    generator.people();
    generator.cases();
    generator.aftermath();
    generator.integration
}

impl Generator<'_> {
    fn now(&self) -> i64 {
        self.recipe.now
    }

    /// A whole second in the last `days`, recent ones likelier.
    fn moment(&mut self, days: i64) -> i64 {
        let share = self.random.unit();
        let back = (share * share * ratio(days * 86_400)).round();
        self.now() - 60_000 - truncated(back) * 1_000
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
