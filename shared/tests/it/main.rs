//! Integration tests of the edges, one binary.

#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod salesforce_samples;
