//! Named gates that hold requests until a test opens them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

#[derive(Debug)]
struct Gate {
    open: watch::Sender<bool>,
    waiting: usize,
}

/// All gates of the simulator.
#[derive(Debug, Default)]
pub struct Gates {
    gates: Mutex<HashMap<String, Gate>>,
}

impl Gates {
    fn with<T>(&self, name: &str, then: impl FnOnce(&mut Gate) -> T) -> T {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        let gate = gates
            .entry(name.to_owned())
            .or_insert_with(|| Gate { open: watch::Sender::new(false), waiting: 0 });
        then(gate)
    }

    /// Shuts a gate: requests that come from now on wait.
    pub fn shut(&self, name: &str) {
        self.with(name, |gate| gate.open.send_replace(false));
    }

    /// Opens a gate for all that wait and all that come.
    pub fn open(&self, name: &str) {
        self.with(name, |gate| gate.open.send_replace(true));
    }

    /// How many requests wait at a gate.
    pub fn waiting(&self, name: &str) -> usize {
        self.with(name, |gate| gate.waiting)
    }

    /// Waits until the gate is open.
    pub async fn pass(&self, name: &str) {
        let mut open = self.with(name, |gate| {
            gate.waiting += 1;
            gate.open.subscribe()
        });
        let _leaving = Leaving { gates: self, name };
        // The sender lives in the map for ever, so waiting cannot fail.
        let _ = open.wait_for(|open| *open).await;
    }
}

/// Counts a waiter out, also when its request is dropped.
struct Leaving<'a> {
    gates: &'a Gates,
    name: &'a str,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.gates.with(self.name, |gate| gate.waiting -= 1);
    }
}
