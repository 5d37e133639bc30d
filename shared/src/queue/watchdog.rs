//! Notices a consumer that looks alive and gets nothing. Pure; the consumer asks the broker and obeys.
//!
//! Clients of every language have had consumers that stay registered while deliveries have stopped. A queue
//! that has messages ready for a consumer with room, over two looks, without one delivery in between, is that.

/// What one look at a queue saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Messages that wait in the queue.
    pub ready: u32,
    /// Consumers that the broker knows of.
    pub consumers: u32,
    /// Messages that we hold unacknowledged.
    pub held: u32,
    /// How many we would take.
    pub prefetch: u16,
    /// Deliveries so far, ever.
    pub delivered: u64,
}

/// What is known from the look before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Suspicion {
    idle_at: Option<u64>,
}

impl Suspicion {
    /// Takes in a look; true when the consumer is dead and its connection must be made anew.
    pub fn look(&mut self, look: Look) -> bool {
        if look.consumers == 0 {
            return true;
        }
        let could_take = look.ready > 0 && look.held < u32::from(look.prefetch);
        let idle_since_last = self.idle_at == Some(look.delivered);
        self.idle_at = could_take.then_some(look.delivered);
        could_take && idle_since_last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: Look = Look { ready: 0, consumers: 1, held: 0, prefetch: 4, delivered: 7 };

    #[test]
    fn messages_that_nobody_is_given_over_two_looks_mean_a_dead_consumer() {
        let mut suspicion = Suspicion::default();
        assert!(!suspicion.look(QUIET));
        assert!(!suspicion.look(Look { ready: 3, ..QUIET }));
        assert!(suspicion.look(Look { ready: 3, ..QUIET }));
    }

    #[test]
    fn a_busy_or_moving_consumer_is_alive() {
        let mut suspicion = Suspicion::default();
        let full = Look { ready: 3, held: 4, ..QUIET };
        assert!(!suspicion.look(full));
        assert!(!suspicion.look(full));
        assert!(!suspicion.look(Look { ready: 3, ..QUIET }));
        assert!(!suspicion.look(Look { ready: 3, delivered: 8, ..QUIET }));
        assert!(!suspicion.look(QUIET));
        assert!(!suspicion.look(Look { ready: 1, ..QUIET }));
    }

    #[test]
    fn a_consumer_that_the_broker_does_not_know_is_dead() {
        assert!(Suspicion::default().look(Look { consumers: 0, ..QUIET }));
    }
}
