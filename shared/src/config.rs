//! Configuration: defaults < one TOML file < environment, and secrets from files.
//!
//! Every key has one line in [`Config::read`]; unknown keys are refused, and all problems are reported at once,
//! each with what, why and fix. `${section}.${key}` of the file is `REFRAIN_SECTION__KEY` in the environment;
//! `DATABASE_URL` and `AMQP_URL` are honoured too. A secret key `x` may be given as `x_file` instead.
//!
//! What it must never do: print a secret, or let a typing mistake pass as a default.

mod files;
mod problem;
mod reader;
mod sections;
mod source;

pub use files::{Files, FilesPlace, S3};
pub use problem::{ConfigProblem, ConfigProblems};
pub use sections::{
    Broker, Config, Database, DatabaseTls, Dispatch, Http, Keys, Log, LogFormat, Salesforce, Worker,
};
pub use source::DEFAULT_FILE;
