//! RabbitMQ: the distributor of work. PostgreSQL stays the truth; losing every message costs only delay.
//!
//! Begin with [`topology`] (what exists at the broker, as data), then [`publisher`] and [`consumer`], which
//! each own one connection: an alarmed broker stops reading from publishers, and consumers must go on. What cannot be read
//! is put aside, where people look at it ([`dead`]).
//!
//! Rules that shape this module:
//! - Nothing is scheduled in the broker: no time-to-live, no delay, no priorities. Later is a row's business.
//! - Business code only acknowledges. A message is rejected only when it cannot be read at all.
//! - The client library's own recovery stays off: it goes on silently, with deliveries that are stale. Here a
//!   lost connection ends every delivery of it visibly, and is made anew with jitter.
//! - Nothing here waits for ever: connecting, publishing, confirming and watching all have a deadline.

pub mod backoff;
pub mod connect;
pub mod consumer;
pub mod dead;
pub mod error;
pub mod publisher;
pub mod topology;
pub mod watchdog;

pub use connect::BrokerOptions;
pub use consumer::{Consumer, ConsumerOptions, Delivery};
pub use error::QueueError;
pub use publisher::Publisher;
