//! The command line: what each argument means, and what options it makes.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use salesforce_sim::options::Certificate;
use salesforce_sim::scenario::{self, ScenarioStep};
use salesforce_sim::schema::make::{Feature, Wishes};
use salesforce_sim::{Options, OrgOptions};
use serde_json::{Value, json};

#[derive(Debug, Parser)]
#[command(
    name = "salesforce-sim",
    version,
    about = "A Salesforce that you may break",
    after_help = "When it is ready, the simulator prints one line of JSON: the addresses (http, https, control), the \
                  certificate of its authority (ca_file), and for each org how to log in. A page for people is at the \
                  address of http.\n\nA first call:\n  salesforce-sim serve --cases 1000 > ready.json &\n  curl \"$(jq -r .http \
                  ready.json)/services/data/\""
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve until SIGTERM or Ctrl-C.
    Serve(Box<Serve>),
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Address for plain HTTP, and for the status page.
    #[arg(long, default_value = "127.0.0.1:0", help_heading = "Addresses")]
    listen: SocketAddr,
    /// Address for HTTPS.
    #[arg(long, default_value = "127.0.0.1:0", help_heading = "Addresses")]
    listen_tls: SocketAddr,
    /// Address for the control API, which has no password: keep it on loopback.
    #[arg(long, default_value = "127.0.0.1:0", help_heading = "Addresses")]
    listen_control: SocketAddr,
    /// Further name that the certificate is good for, such as that of a container. May be repeated.
    #[arg(long, value_name = "NAME", help_heading = "Addresses")]
    tls_name: Vec<String>,
    /// Certificate chain (PEM) to use instead of one made for this run.
    #[arg(long, value_name = "FILE", requires = "tls_key", help_heading = "Addresses")]
    tls_cert: Option<PathBuf>,
    /// Private key (PEM) of that certificate.
    #[arg(long, value_name = "FILE", requires = "tls_cert", help_heading = "Addresses")]
    tls_key: Option<PathBuf>,
    /// Folder for the CA certificate and the JWT key; a temporary one if absent.
    #[arg(long, help_heading = "Addresses")]
    dir: Option<PathBuf>,

    /// How many orgs.
    #[arg(long, default_value_t = 1, help_heading = "Orgs and records")]
    orgs: u64,
    /// Cases in each org; other records follow from them.
    #[arg(long, default_value_t = 5_000, help_heading = "Orgs and records")]
    cases: usize,
    /// Characters that each e-mail's text has at least; without it most are short.
    #[arg(long, default_value_t = 0, help_heading = "Orgs and records")]
    mail_characters: usize,
    /// Seed of the first org; further orgs count up from it.
    #[arg(long, default_value_t = 1, help_heading = "Orgs and records")]
    seed: u64,
    /// Moment (RFC 3339) that generated records lead up to; now if absent.
    #[arg(long, help_heading = "Orgs and records")]
    anchor: Option<String>,
    /// Features that the orgs have: chatter, chat, messaging, voice, entitlements; `none` for none. All if absent.
    #[arg(long, value_name = "LIST", value_delimiter = ',', help_heading = "Orgs and records")]
    features: Option<Vec<String>>,
    /// Custom fields in all of an object, such as Case=800. May be repeated.
    #[arg(long, value_name = "OBJECT=NUMBER", value_parser = numbered, help_heading = "Orgs and records")]
    custom_fields: Vec<(String, usize)>,

    /// Further user who can log in. May be repeated.
    #[arg(long, value_name = "NAME[:PASSWORD]", help_heading = "Users and logins")]
    user: Vec<String>,
    /// What a user may see, as the control API takes it: {"user": "ann@example.com", "private": ["Case"]}. The
    /// integration user if none is named. May be repeated.
    #[expect(clippy::doc_link_with_quotes, reason = "JSON on a command line, no link")]
    #[arg(long, value_name = "JSON", value_parser = json_of, help_heading = "Users and logins")]
    permissions: Vec<Value>,
    /// Rotate refresh tokens: each is good once, and its reuse ends the grant.
    #[arg(long, help_heading = "Users and logins")]
    rotation: bool,
    /// Approve apps without asking the browser.
    #[arg(long, help_heading = "Users and logins")]
    auto_approve: bool,
    /// Idle minutes after which a session ends.
    #[arg(long, default_value_t = 120, help_heading = "Users and logins")]
    session_minutes: u32,

    /// Calls allowed in 24 hours.
    #[arg(long, default_value_t = 100_000, help_heading = "Limits")]
    daily_max: u64,
    /// Calls allowed at once; any number if absent.
    #[arg(long, value_name = "NUMBER", help_heading = "Limits")]
    concurrent_max: Option<usize>,
    /// Bulk query jobs allowed in 24 hours.
    #[arg(long, value_name = "NUMBER", help_heading = "Limits")]
    bulk_jobs_max: Option<u64>,
    /// Rows of a page at most, however many are asked for.
    #[arg(long, value_name = "NUMBER", help_heading = "Limits")]
    page_rows: Option<usize>,
    /// Milliseconds that each call takes at least.
    #[arg(long, value_name = "MS", help_heading = "Limits")]
    latency: Option<u64>,

    /// File that says what is done to the orgs, and when.
    #[arg(long, value_name = "FILE", help_heading = "Scenario")]
    scenario: Option<PathBuf>,
}

fn numbered(text: &str) -> Result<(String, usize), String> {
    let (object, number) = text.split_once('=').ok_or("write OBJECT=NUMBER, such as Case=200")?;
    let number = number.parse().map_err(|_| format!("'{number}' is no number"))?;
    Ok((object.to_owned(), number))
}

fn json_of(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|why| format!("no JSON: {why}"))
}

impl Serve {
    /// The options that these arguments mean.
    pub(crate) fn options(self) -> anyhow::Result<Options> {
        let anchor = self.anchor.as_deref();
        let anchor_ms = anchor
            .map(|text| {
                salesforce_sim::time::parse_instant(text)
                    .with_context(|| format!("'{text}' is no RFC 3339 time"))
            })
            .transpose()?;
        let wishes = self.wishes()?;
        let org = |number: u64| OrgOptions {
            cases: self.cases,
            seed: self.seed + number,
            rotation: self.rotation,
            session_minutes: self.session_minutes,
            daily_max: self.daily_max,
            mail_characters: self.mail_characters,
            wishes: wishes.clone(),
        };
        let orgs = (0..self.orgs).map(org).collect();
        let mut steps = self.steps();
        if let Some(file) = &self.scenario {
            steps.extend(scenario::read(file)?);
        }
        Ok(Options {
            listen: self.listen,
            listen_tls: self.listen_tls,
            listen_control: self.listen_control,
            tls_names: self.tls_name,
            certificate: self.tls_cert.zip(self.tls_key).map(|(chain, key)| Certificate { chain, key }),
            orgs,
            dir: self.dir,
            anchor_ms,
            steps,
        })
    }

    fn wishes(&self) -> anyhow::Result<Wishes> {
        let features = match &self.features {
            None => Feature::all(),
            Some(words) => words
                .iter()
                .filter(|word| !word.is_empty() && *word != "none")
                .map(|word| Feature::from_str(word).map_err(anyhow::Error::msg))
                .collect::<anyhow::Result<_>>()?,
        };
        Ok(Wishes { features, custom_fields: self.custom_fields.clone(), custom_objects: Vec::new() })
    }

    /// What the control API can say as well is said through it.
    fn steps(&self) -> Vec<ScenarioStep> {
        let mut steps = Vec::new();
        let mut add = |post: &str, body: Value| steps.push(ScenarioStep::at_start(post, body));
        for user in &self.user {
            match user.split_once(':') {
                Some((name, password)) => add("users", json!({"username": name, "password": password})),
                None => add("users", json!({"username": user})),
            }
        }
        for permissions in &self.permissions {
            add("permissions", permissions.clone());
        }
        if self.auto_approve {
            add("app", json!({"auto_approve": true}));
        }
        if let Some(most) = self.concurrent_max {
            add("limits", json!({"concurrent_max": most}));
        }
        if let Some(most) = self.bulk_jobs_max {
            add("bulk", json!({"daily_jobs": most}));
        }
        if let Some(rows) = self.page_rows {
            add("limits", json!({"page_rows": rows}));
        }
        if let Some(ms) = self.latency {
            add("latency", json!({"ms": ms}));
        }
        steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serve(arguments: &[&str]) -> Result<Serve, clap::Error> {
        let all = ["salesforce-sim", "serve"].iter().chain(arguments);
        Arguments::try_parse_from(all).map(|parsed| {
            let Command::Serve(serve) = parsed.command;
            *serve
        })
    }

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
    }

    #[test]
    fn orgs_count_up_from_the_seed_and_share_the_rest() {
        let options = serve(&["--orgs", "3", "--seed", "5", "--cases", "7"]).unwrap().options().unwrap();
        assert_eq!(options.orgs.iter().map(|org| org.seed).collect::<Vec<_>>(), [5, 6, 7]);
        assert!(options.orgs.iter().all(|org| org.cases == 7));
    }

    #[test]
    fn features_and_fields_are_wished_for_by_name() {
        let options = serve(&["--features", "voice,chat", "--custom-fields", "Case=20"]).unwrap().options();
        let wishes = &options.unwrap().orgs[0].wishes;
        assert_eq!(wishes.features, [Feature::Voice, Feature::Chat]);
        assert_eq!(wishes.custom_fields, [("Case".to_owned(), 20)]);
        let none = serve(&["--features", "none"]).unwrap().options().unwrap();
        assert!(none.orgs[0].wishes.features.is_empty());
        let unknown = serve(&["--features", "telepathy"]).unwrap().options().unwrap_err();
        assert!(unknown.to_string().contains("Choose from"), "{unknown}");
        assert!(serve(&["--custom-fields", "Case"]).is_err());
    }

    #[test]
    fn what_the_control_api_can_say_becomes_steps() {
        let arguments =
            ["--user", "ann@example.com:pw", "--latency", "5", "--page-rows", "10", "--auto-approve"];
        let steps = serve(&arguments).unwrap().options().unwrap().steps;
        let posts: Vec<&str> = steps.iter().map(|step| step.post.as_str()).collect();
        assert_eq!(posts, ["users", "app", "limits", "latency"]);
        assert_eq!(steps[0].body, json!({"username": "ann@example.com", "password": "pw"}));
        assert!(serve(&["--permissions", "{"]).is_err());
        assert!(serve(&["--tls-cert", "a.pem"]).is_err(), "a certificate needs its key");
    }
}
