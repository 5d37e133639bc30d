//! Integration tests of the edges, one binary. Storage runs on a real PostgreSQL, in the roles that the programs use.

#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod fixture;
mod salesforce_samples;
mod storage_audit;
mod storage_checkpoint;
mod storage_counts;
mod storage_departures;
mod storage_expiry;
mod storage_feed;
mod storage_files;
mod storage_grants;
mod storage_isolation;
mod storage_jobs;
mod storage_losses;
mod storage_merge_guard;
mod storage_migrations;
mod storage_narrow;
mod storage_page_commit;
mod storage_plans;
mod storage_reads;
mod storage_sealing;
mod storage_suppression;
mod storage_sweeps;
mod storage_tickets;
mod storage_unsettled;
mod storage_verify;
