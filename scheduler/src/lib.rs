//! The scheduler: decides what is due, and is the face of the product.
//!
//! Reading order: [`serve`] (what runs), [`rounds`] (how loops run), [`dispatcher`], [`reaper`], [`reconcile`],
//! then [`api`] and [`cli`], which speaks to the API like any other client. Any number of replicas may run;
//! nothing here rests on being the only one. It never reads an org's records and never sees a payload other
//! than to show it to whoever may see it.

pub mod api;
pub mod cli;
pub mod dispatcher;
pub mod operator_key;
pub mod probe;
pub mod reaper;
pub mod reconcile;
pub mod rounds;
pub mod schema;
pub mod serve;
pub mod stats;
pub mod wiring;
