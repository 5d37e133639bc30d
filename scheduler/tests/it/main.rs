//! The scheduler against real servers.

#![expect(
    clippy::unwrap_used,
    reason = "this whole file is a test, its fixtures too; a panic is how a test fails"
)]

mod api_access;
mod api_audit;
mod api_content;
mod api_control;
mod api_files;
mod api_intent;
mod api_jobs;
mod api_limits;
mod api_mapping;
mod api_records;
mod api_retention;
mod bad_input;
mod dispatch;
mod probe;
mod programs;
mod queue;
mod upkeep;
mod world;
