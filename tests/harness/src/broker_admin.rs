//! Makes and removes vhosts, at a private broker through Erlang, at a foreign one through its management API.
//!
//! `rabbitmqctl` takes one to two seconds a call; `erl_call`, a small C program of the Erlang runtime, takes
//! milliseconds. Where it is missing, `erl` does the same in half a second.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use url::Url;

use crate::servers::run_as;

/// A broker refused to be administered.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The Erlang side said no.
    #[error("the broker refused: {0}")]
    Refused(String),
    /// A tool could not be run.
    #[error("could not run {tool}: {source}")]
    Tool {
        /// Which.
        tool: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// The management API of the broker named by AMQP_URL is needed for one vhost a test.
    #[error(
        "the broker of AMQP_URL has no usable management API at {at}: {reason}. Tests need it to make one vhost each: \
         enable rabbitmq_management, or set AMQP_MANAGEMENT_URL, or unset AMQP_URL to use a private broker"
    )]
    Management {
        /// Its address, without credentials.
        at: String,
        /// What it answered.
        reason: String,
    },
    /// The servers were started without a broker of their own.
    #[error("this instance has no private broker")]
    NoNode,
}

/// How to administer a broker.
#[derive(Clone)]
pub(crate) enum BrokerAdmin {
    /// A private one.
    Node(ErlangNode),
    /// A foreign one.
    Management(Management),
}

impl BrokerAdmin {
    /// Makes an empty vhost that the broker's user may use.
    pub(crate) async fn create_vhost(&self, vhost: &str, user: &str) -> Result<(), AdminError> {
        match self {
            Self::Node(node) => node.create_vhost(vhost, user).await,
            Self::Management(api) => api.create_vhost(vhost, user).await,
        }
    }

    /// Removes a vhost with all its queues.
    pub(crate) async fn delete_vhost(&self, vhost: &str) -> Result<(), AdminError> {
        match self {
            Self::Node(node) => {
                let expression =
                    format!("_ = (catch rabbit_vhost:delete(<<\"{vhost}\">>, <<\"harness\">>)), ok.");
                node.eval(&expression).await.map(drop)
            }
            Self::Management(api) => api.call(reqwest::Method::DELETE, &["vhosts", vhost], "").await,
        }
    }
}

/// A private broker's Erlang node.
#[derive(Clone)]
pub(crate) struct ErlangNode {
    pub(crate) node: String,
    pub(crate) erl: PathBuf,
    pub(crate) erl_call: Option<PathBuf>,
    /// Holds the cookie file; both tools read it from HOME, so it never stands in an argument list.
    pub(crate) home: PathBuf,
    pub(crate) user: Option<crate::servers::User>,
    pub(crate) port_mapper: u16,
}

impl ErlangNode {
    async fn create_vhost(&self, vhost: &str, user: &str) -> Result<(), AdminError> {
        let expression = format!(
            "ok = rabbit_vhost:add(<<\"{vhost}\">>, <<\"harness\">>), \
             ok = rabbit_auth_backend_internal:set_permissions(<<\"{user}\">>, <<\"{vhost}\">>, \
             <<\".*\">>, <<\".*\">>, <<\".*\">>, <<\"harness\">>)."
        );
        self.eval(&expression).await.map(drop)
    }

    /// Evaluates an expression (with its final full stop) in the broker; gives the value as Erlang prints it.
    pub(crate) async fn eval(&self, expression: &str) -> Result<String, AdminError> {
        let node = self.clone();
        let expression = expression.to_owned();
        let work = move || {
            if let Some(erl_call) = &node.erl_call {
                let answer = node.eval_by_erl_call(erl_call, &expression)?;
                let said = String::from_utf8_lossy(&answer.stdout).trim().to_owned();
                if let Some(value) = said.strip_prefix("{ok, ").and_then(|rest| rest.strip_suffix('}')) {
                    return Ok(value.to_owned());
                }
                if said.starts_with("{error, ") {
                    return Err(AdminError::Refused(said));
                }
                // It could not even connect, for instance because the machine's own name does not resolve.
            }
            node.eval_by_erl(&expression)
        };
        crate::servers::blocking(work).await
    }

    fn eval_by_erl_call(&self, erl_call: &PathBuf, expression: &str) -> Result<Output, AdminError> {
        use std::io::Write;
        let failed = |source| AdminError::Tool { tool: "erl_call", source };
        let mut command = Command::new(erl_call);
        command.args(["-sname", &self.node, "-r", "-e"]);
        self.dress(&mut command);
        let mut child = command.stdin(Stdio::piped()).spawn().map_err(failed)?;
        if let Some(mut input) = child.stdin.take() {
            // A form ends at a full stop *and* a new line. A program that ended early is told by its output.
            let _ = writeln!(input, "{expression}");
        }
        child.wait_with_output().map_err(failed)
    }

    fn eval_by_erl(&self, expression: &str) -> Result<String, AdminError> {
        let failed = |source| AdminError::Tool { tool: "erl", source };
        let quoted = expression.replace('\\', "\\\\").replace('"', "\\\"");
        let script = format!(
            "{{ok, T, _}} = erl_scan:string(\"{quoted}\"), {{ok, E}} = erl_parse:parse_exprs(T), \
             case rpc:call('{node}', erl_eval, exprs, [E, []]) of \
             {{value, V, _}} -> io:format(\"{{ok, ~0p}}\", [V]); Other -> io:format(\"{{error, ~0p}}\", [Other]) end, halt().",
            node = self.node
        );
        let name = format!("harness-{}@localhost", hex::encode(rand::random::<[u8; 6]>()));
        let mut command = Command::new(&self.erl);
        command.args(["-noinput", "-hidden", "-sname", &name, "-eval", &script]).stdin(Stdio::null());
        self.dress(&mut command);
        let output = command.output().map_err(failed)?;
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        said.strip_prefix("{ok, ")
            .and_then(|rest| rest.strip_suffix('}'))
            .map(str::to_owned)
            .ok_or_else(|| AdminError::Refused(format!("{said}{}", String::from_utf8_lossy(&output.stderr))))
    }

    fn dress(&self, command: &mut Command) {
        command
            .env("HOME", &self.home)
            .env("ERL_EPMD_PORT", self.port_mapper.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        run_as(command, self.user, &self.home);
    }
}

/// The HTTP management API of a foreign broker.
#[derive(Clone)]
pub(crate) struct Management {
    base: Url,
    user: String,
    password: String,
}

impl Management {
    /// `AMQP_MANAGEMENT_URL`, or the usual port on the broker's host with the broker's credentials.
    pub(crate) fn beside(amqp: &Url) -> Self {
        let plain = |text: &str| percent_decoded(text);
        let named =
            crate::servers::environment("AMQP_MANAGEMENT_URL").and_then(|text| Url::parse(&text).ok());
        let base = named.unwrap_or_else(|| {
            let host = amqp.host_str().unwrap_or("localhost");
            Url::parse(&format!("http://{host}:15672")).unwrap_or_else(|_| amqp.clone())
        });
        let user = if base.username().is_empty() { amqp.username() } else { base.username() };
        let password = base.password().or(amqp.password()).unwrap_or_default();
        Self { user: plain(user), password: plain(password), base: base.clone() }
    }

    async fn create_vhost(&self, vhost: &str, user: &str) -> Result<(), AdminError> {
        self.call(reqwest::Method::PUT, &["vhosts", vhost], "{}").await?;
        let all = r#"{"configure":".*","write":".*","read":".*"}"#;
        self.call(reqwest::Method::PUT, &["permissions", vhost, user], all).await
    }

    async fn call(
        &self,
        method: reqwest::Method,
        path: &[&str],
        body: &'static str,
    ) -> Result<(), AdminError> {
        let mut url = self.base.clone();
        let _ = url.set_username("");
        let _ = url.set_password(None);
        let at = url.to_string();
        let refused = |reason: String| AdminError::Management { at: at.clone(), reason };
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("api").extend(path);
        }
        let answer = reqwest::Client::new()
            .request(method, url)
            .basic_auth(&self.user, Some(&self.password))
            .header("content-type", "application/json")
            .body(body)
            .send()
            .await
            .map_err(|error| refused(error.without_url().to_string()))?;
        if answer.status().is_success() { Ok(()) } else { Err(refused(format!("HTTP {}", answer.status()))) }
    }
}

/// Undoes the URL's own escapes, as in a password.
pub(crate) fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let decoded = (*first == b'%' && tail.len() >= 2)
            .then(|| std::str::from_utf8(&tail[..2]).ok().and_then(|hex| u8::from_str_radix(hex, 16).ok()))
            .flatten();
        bytes.push(decoded.unwrap_or(*first));
        rest = if decoded.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
