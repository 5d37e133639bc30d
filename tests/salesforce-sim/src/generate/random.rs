//! A small generator of its own (xoshiro256**), so that seeds mean the same with every version of every library.

/// A stream of pseudo-random numbers.
#[derive(Clone, Debug)]
pub struct Random {
    state: [u64; 4],
}

impl Random {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Self {
        let mut mixed = seed;
        let state = std::array::from_fn(|_| {
            mixed = mixed.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut value = mixed;
            value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            value ^ (value >> 31)
        });
        Self { state }
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        let [a, b, c, d] = &mut self.state;
        let result = b.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let shifted = *b << 17;
        *c ^= *a;
        *d ^= *b;
        *b ^= *c;
        *a ^= *d;
        *c ^= shifted;
        *d = d.rotate_left(45);
        result
    }

    /// A number below `bound`; 0 when the bound is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        let wide = u128::from(self.number()) * (bound as u128);
        usize::try_from(wide >> 64).unwrap_or(0)
    }

    /// A number in [0, 1).
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit exactly")]
    pub fn unit(&mut self) -> f64 {
        (self.number() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// True with this probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// One of several.
    ///
    /// # Panics
    /// When there are none.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// One of several, the first ones far likelier.
    pub fn pick_skewed<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        let first = self.below(from.len());
        &from[self.below(first + 1)]
    }

    /// A whole number around `mean`: its floor or the one above, so that the mean is kept.
    pub fn around(&mut self, mean: f64) -> usize {
        let floor = mean.floor();
        let extra = usize::from(self.chance(mean - floor));
        usize::try_from(super::truncated(floor)).unwrap_or(0) + extra
    }

    /// A factor with mean about 1 and a long tail: most cases are small, some are huge.
    pub fn skew(&mut self) -> f64 {
        let unit = self.unit().max(1e-9);
        unit.powf(-0.7).min(90.0) * 0.32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_stream() {
        let numbers = |seed| {
            let mut random = Random::new(seed);
            [random.number(), random.number(), random.number()]
        };
        assert_eq!(numbers(7), numbers(7));
        assert_ne!(numbers(7), numbers(8));
    }

    #[test]
    fn skew_has_its_mean_and_its_tail() {
        let mut random = Random::new(1);
        let sample: Vec<f64> = (0..100_000).map(|_| random.skew()).collect();
        let mean = sample.iter().sum::<f64>() / 100_000.0;
        assert!((0.8..1.2).contains(&mean), "{mean}");
        assert!(sample.iter().any(|factor| *factor > 20.0));
    }
}
