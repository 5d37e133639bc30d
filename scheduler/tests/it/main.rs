//! The scheduler against real servers.

mod api_access;
mod api_content;
mod api_intent;
mod dispatch;
mod programs;
mod queue;
mod upkeep;
mod world;
