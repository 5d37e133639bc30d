//! Each object of support, and what hangs on it.

mod activities;
mod conversations;
mod feeds;
mod files;
mod truth;
