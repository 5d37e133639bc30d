//! The command line. What concerns this process (`serve`, `migrate`, `check-config`) is done here; everything
//! else asks the API, like any other client.
//!
//! Exit codes: 0 done · 1 failed · 2 wrong usage or configuration · 3 the database's schema does not fit ·
//! 4 the API refused · 5 the API cannot be reached.

mod audit;
mod client;
mod control;
mod dead;
mod jobs;
mod limits;
mod own;
mod quarantine;
mod retention;
mod schema;
mod table;
mod verbs;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use own::Exit;

/// Keeps support tickets from Salesforce in step.
#[derive(Parser)]
#[command(
    version,
    after_help = "Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 the database's schema does not \
                  fit, 4 the API refused, 5 the API cannot be reached."
)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Configuration file (TOML); environment variables REFRAIN_SECTION__KEY win over it.
    #[arg(long, global = true, env = "REFRAIN_CONFIG")]
    config: Option<PathBuf>,
    #[command(flatten)]
    api: ApiArguments,
}

/// How to reach the API.
#[derive(Args, Clone)]
pub(crate) struct ApiArguments {
    /// Where the API is.
    #[arg(long = "api", global = true, env = "REFRAIN_API_URL", default_value = "http://127.0.0.1:8080")]
    url: String,
    /// An API key; without one the key file is read.
    #[arg(long, global = true, env = "REFRAIN_API_KEY", hide_env_values = true)]
    key: Option<String>,
    /// The file that holds the API key.
    #[arg(long, global = true, default_value = "operator.key")]
    key_file: PathBuf,
    /// For people or for programs.
    #[arg(short = 'o', long, global = true, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// How results are printed.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// Columns.
    Table,
    /// The API's own answer.
    Json,
}

#[derive(Subcommand)]
enum Command {
    /// Run the scheduler until told to stop.
    Serve {
        /// Apply missing migrations first.
        #[arg(long)]
        migrate: bool,
    },
    /// Bring the database's schema up to this build.
    Migrate,
    /// Check the configuration and print it without secrets.
    CheckConfig,
    /// Tenants.
    #[command(subcommand)]
    Tenant(verbs::TenantCommand),
    /// Connections to Salesforce orgs.
    #[command(subcommand)]
    Connection(verbs::ConnectionCommand),
    /// Object syncs.
    #[command(subcommand)]
    Sync(verbs::SyncCommand),
    /// Tickets.
    #[command(subcommand)]
    Ticket(retention::TicketCommand),
    /// How long tickets are kept.
    #[command(subcommand)]
    Retention(retention::RetentionCommand),
    /// Jobs: why they do not run, and what to do with those that stand still.
    #[command(subcommand)]
    Job(jobs::JobCommand),
    /// Messages that workers could not read, for the operator.
    #[command(subcommand)]
    Dead(dead::DeadCommand),
    /// Hold up all that reads Salesforce: of a tenant, a connection or an object.
    Pause(control::At),
    /// Let reading go on.
    Resume(control::At),
    /// Who did what to what, in a chain that shows whether anything of it was changed.
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Records set aside because they could not be kept as they came.
    #[command(subcommand)]
    Quarantine(quarantine::QuarantineCommand),
    /// Where a tenant stands: complete, fresh, or waiting for somebody.
    Status {
        /// The tenant (ten_…).
        #[arg(long, short)]
        tenant: String,
    },
    /// What came of each comparison with everything that Salesforce shows, the newest first.
    Verifications {
        /// The tenant (ten_…).
        #[arg(long, short)]
        tenant: String,
        /// Of this object sync alone (obj_…).
        #[arg(long)]
        object: Option<String>,
    },
    /// Fields, paths and objects that came, went or changed their shape in Salesforce, the newest first.
    SchemaChanges {
        /// The tenant (ten_…).
        #[arg(long, short)]
        tenant: String,
        /// Of this object sync alone (obj_…).
        #[arg(long)]
        object: Option<String>,
    },
}

/// Runs a command; gives the process's exit code.
pub async fn run(arguments: Arguments) -> u8 {
    let outcome = match arguments.command {
        Command::Serve { migrate } => own::serve(arguments.config.as_deref(), migrate).await,
        Command::Migrate => own::migrate(arguments.config.as_deref()).await,
        Command::CheckConfig => own::check_config(arguments.config.as_deref()),
        Command::Tenant(command) => verbs::tenant(&arguments.api, command).await,
        Command::Connection(command) => verbs::connection(&arguments.api, command).await,
        Command::Sync(command) => verbs::sync(&arguments.api, command).await,
        Command::Ticket(command) => retention::ticket(&arguments.api, command).await,
        Command::Retention(command) => retention::retention(&arguments.api, command).await,
        Command::Job(command) => jobs::job(&arguments.api, command).await,
        Command::Dead(command) => dead::dead(&arguments.api, command).await,
        Command::Pause(at) => control::pause(&arguments.api, &at).await,
        Command::Resume(at) => control::resume(&arguments.api, &at).await,
        Command::Audit(command) => audit::audit(&arguments.api, command).await,
        Command::Quarantine(command) => quarantine::quarantine(&arguments.api, command).await,
        Command::Status { tenant } => verbs::status(&arguments.api, &tenant).await,
        Command::Verifications { tenant, object } => {
            verbs::verifications(&arguments.api, &tenant, object).await
        }
        Command::SchemaChanges { tenant, object } => schema::changes(&arguments.api, &tenant, object).await,
    };
    match outcome {
        Ok(()) => 0,
        Err(exit) => {
            eprintln!("{exit}");
            exit.code()
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Arguments::command().debug_assert();
    }
}
