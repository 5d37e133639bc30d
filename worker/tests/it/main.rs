//! The worker against real servers and a simulated Salesforce.

#![expect(
    clippy::unwrap_used,
    reason = "this whole file is a test, its fixtures too; a panic is how a test fails"
)]

mod acceptance;
mod accidents;
mod bad_input;
mod budget;
mod bulk;
mod bulk_faults;
mod cancel;
mod closure;
mod control;
mod conversation;
mod deletes;
mod derived;
mod fields;
mod files;
mod filter;
mod grants;
mod known_defects;
mod linked_paths;
mod narrowing;
mod quarantine;
mod reproject;
mod reproject_large;
mod reset;
mod resync;
mod retention;
mod schema_changes;
mod sweep;
mod tracing_links;
mod transcripts;
mod verify;
mod world;
