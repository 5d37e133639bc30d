//! The parts of `cargo demo` that end-to-end tests use as well.
//!
//! Where to begin: [`programs`] builds and [`stack`] starts the simulator, the scheduler and workers as separate
//! processes; [`org`] steers the simulated org; [`refrain`] speaks to our API as any client would, [`objects`] is what
//! it asks for; [`verify`] compares what is stored with the simulator's ground truth, value by value.
//!
//! What it must never do: reach into the programs it shows. It starts real binaries and talks to them over the
//! network; only [`verify`] looks into the database, because that is what it is for.

pub mod objects;
pub mod org;
pub mod programs;
pub mod refrain;
pub mod stack;
pub mod verify;
