//! Our HTTP API, as any client would use it. Only what the demo and end-to-end tests look at is read.

use std::fmt;

use anyhow::{Context, bail};
use chrono::{DateTime, Utc};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A client with a key.
#[derive(Clone)]
pub struct Refrain {
    http: reqwest::Client,
    base: String,
    key: String,
}

impl fmt::Debug for Refrain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Refrain({})", self.base)
    }
}

/// A thing that was made.
#[derive(Debug, Clone, Deserialize)]
pub struct Made {
    /// Its id, printed with its prefix.
    pub id: String,
}

/// Where a tenant stands.
#[derive(Debug, Clone, Deserialize)]
pub struct Status {
    /// Each connection.
    pub connections: Vec<ConnectionStatus>,
    /// Live tickets.
    pub tickets: u64,
    /// Tickets whose own record has not come yet.
    pub tickets_awaiting_parent: u64,
    /// Live items of conversations.
    pub messages: u64,
}

/// Where a connection stands.
#[derive(Debug, Clone, Deserialize)]
pub struct ConnectionStatus {
    /// Its id.
    pub id: String,
    /// Its objects.
    pub objects: Vec<ObjectStatus>,
}

/// Where an object stands.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ObjectStatus {
    /// The object sync.
    pub id: String,
    /// API name.
    pub api_name: String,
    /// `new`, `loading`, `current`, `parked` or `absent`.
    pub state: String,
    /// What a person must do, when parked.
    pub ask: Option<Ask>,
    /// How fresh it is, in one sentence.
    pub freshness: String,
    /// What the org counted when the first load was planned.
    pub expected: Option<u64>,
    /// Live records here.
    pub stored: u64,
    /// Records set aside.
    pub set_aside: u64,
    /// Records read so far.
    pub records_read: u64,
    /// Calls made to Salesforce.
    pub api_calls: u64,
    /// Everything stamped before this is here.
    pub watermark_at: Option<DateTime<Utc>>,
    /// When the first load was complete.
    pub loaded_at: Option<DateTime<Utc>>,
}

/// What a person must do.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Ask {
    /// What happened.
    pub what: String,
    /// Why.
    pub why: String,
    /// What to do.
    pub fix: String,
}

/// A ticket.
#[derive(Debug, Clone, Deserialize)]
pub struct Ticket {
    /// Object and record.
    pub id: String,
    /// The object's API name.
    pub api_name: String,
    /// Human number.
    pub number: Option<String>,
    /// Subject line.
    pub subject: Option<String>,
    /// Status.
    pub status: Option<String>,
    /// Priority.
    pub priority: Option<String>,
    /// Channel.
    pub channel: Option<String>,
    /// Comments and e-mails.
    pub messages: u32,
    /// When it was opened.
    pub opened_at: Option<DateTime<Utc>>,
    /// The newest of everything.
    pub last_activity_at: DateTime<Utc>,
}

/// A ticket with what was said.
#[derive(Debug, Clone, Deserialize)]
pub struct TicketDetail {
    /// The ticket.
    #[serde(flatten)]
    pub ticket: Ticket,
    /// Opening text.
    pub body: Option<String>,
    /// In the order it was held.
    pub conversation: Vec<Message>,
}

/// An item of a conversation.
#[derive(Debug, Clone, Deserialize)]
pub struct Message {
    /// `comment`, `email` or `event`.
    pub kind: String,
    /// `inbound`, `outbound` or `internal`.
    pub direction: String,
    /// The author's name or address.
    pub author: Option<String>,
    /// When it was said.
    pub sent_at: DateTime<Utc>,
    /// Plain text.
    pub text: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Tickets {
    tickets: Vec<Ticket>,
}

/// A page of the changes feed.
#[derive(Debug, Clone, Deserialize)]
pub struct Changes {
    /// Tickets that changed, in order of commit.
    pub changes: Vec<Change>,
    /// Where to go on.
    pub next: String,
    /// Whether there is more already.
    pub more: bool,
}

/// A ticket that changed.
#[derive(Debug, Clone, Deserialize)]
pub struct Change {
    /// The ticket.
    pub ticket_id: String,
    /// `changed`, `awaiting_parent` or `deleted`.
    pub change: String,
}

/// An object to keep fresh.
#[derive(Debug, Clone, Serialize)]
pub struct NewObject {
    /// API name.
    pub api_name: String,
    /// What it is to a ticket, where Refrain does not know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<&'static str>,
    /// How often it is read.
    pub interval_s: u32,
    /// Linked paths, facets, settle and overlap.
    pub settings: Value,
}

impl Refrain {
    /// A client of the API at `base` with this key.
    #[must_use]
    pub fn new(base: &str, key: &str) -> Self {
        let base = base.trim_end_matches('/').to_owned();
        Self { http: reqwest::Client::new(), base, key: key.trim().to_owned() }
    }

    /// Where the API is.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.base
    }

    /// Makes a tenant that keeps its tickets as long as any tenant may: the org that is made up is years old.
    ///
    /// # Errors
    /// When the API is away or refuses, with its own words; so for all calls here.
    pub async fn tenant_create(&self, name: &str) -> anyhow::Result<Made> {
        let longest = json!({"ticket_days": 3650, "held_days": 3650, "attachment_days": 3650});
        self.call(Method::POST, "tenants", Some(&json!({"name": name, "retention": longest}))).await
    }

    /// Connects an org by client credentials.
    ///
    /// # Errors
    /// As [`Self::tenant_create`].
    pub async fn connect(
        &self,
        tenant: &str,
        name: &str,
        login_url: &str,
        client: (&str, &str),
    ) -> anyhow::Result<Made> {
        let (client_id, client_secret) = client;
        let auth =
            json!({"method": "client_credentials", "client_id": client_id, "client_secret": client_secret});
        let body = json!({"name": name, "login_url": login_url, "auth": auth});
        self.call(Method::POST, &format!("tenants/{tenant}/connections"), Some(&body)).await
    }

    /// Starts keeping an object fresh.
    ///
    /// # Errors
    /// As [`Self::tenant_create`].
    pub async fn object_enable(
        &self,
        tenant: &str,
        connection: &str,
        object: &NewObject,
    ) -> anyhow::Result<Made> {
        let body = serde_json::to_value(object).context("write an object sync")?;
        self.call(Method::POST, &format!("tenants/{tenant}/connections/{connection}/objects"), Some(&body))
            .await
    }

    /// Changes the settings of an object sync, as a whole.
    ///
    /// # Errors
    /// As [`Self::tenant_create`].
    pub async fn object_change(&self, tenant: &str, object: &str, settings: &Value) -> anyhow::Result<()> {
        let path = format!("tenants/{tenant}/objects/{object}");
        let body = serde_json::json!({ "settings": settings });
        self.call::<Value>(Method::PATCH, &path, Some(&body)).await.map(drop)
    }

    /// Holds up all of a tenant's reading.
    ///
    /// # Errors
    /// As [`Self::tenant_create`].
    pub async fn pause(&self, tenant: &str) -> anyhow::Result<()> {
        self.call::<Value>(Method::PUT, &format!("tenants/{tenant}/pause"), None).await.map(drop)
    }

    /// Syncs an object now.
    ///
    /// # Errors
    /// As [`Self::tenant_create`].
    pub async fn sync_now(&self, tenant: &str, object: &str) -> anyhow::Result<()> {
        let path = format!("tenants/{tenant}/objects/{object}/sync");
        self.call::<Value>(Method::POST, &path, None).await.map(drop)
    }

    /// Where the tenant stands.
    ///
    /// # Errors
    /// As [`Self::tenant_create`].
    pub async fn status(&self, tenant: &str) -> anyhow::Result<Status> {
        self.call(Method::GET, &format!("tenants/{tenant}/status"), None).await
    }

    /// Tickets, newest activity first; `query` as in `status=New&limit=20`.
    ///
    /// # Errors
    /// As [`Self::tenant_create`].
    pub async fn tickets(&self, tenant: &str, query: &str) -> anyhow::Result<Vec<Ticket>> {
        let page: Tickets =
            self.call(Method::GET, &format!("tenants/{tenant}/tickets?{query}"), None).await?;
        Ok(page.tickets)
    }

    /// One ticket with its conversation.
    ///
    /// # Errors
    /// As [`Self::tenant_create`].
    pub async fn ticket(&self, tenant: &str, ticket: &str) -> anyhow::Result<TicketDetail> {
        self.call(Method::GET, &format!("tenants/{tenant}/tickets/{ticket}"), None).await
    }

    /// Changes after a place in the feed; from its beginning without one.
    ///
    /// # Errors
    /// As [`Self::tenant_create`].
    pub async fn changes(&self, tenant: &str, after: Option<&str>) -> anyhow::Result<Changes> {
        let after = after.map(|cursor| format!("&after={cursor}")).unwrap_or_default();
        self.call(Method::GET, &format!("tenants/{tenant}/changes?limit=200{after}"), None).await
    }

    /// Any other call: a GET below the tenant's address.
    ///
    /// # Errors
    /// As [`Self::tenant_create`].
    pub async fn get<T: for<'de> Deserialize<'de>>(&self, tenant: &str, path: &str) -> anyhow::Result<T> {
        self.call(Method::GET, &format!("tenants/{tenant}/{path}"), None).await
    }

    /// Any other call: a POST below the tenant's address.
    ///
    /// # Errors
    /// As [`Self::tenant_create`].
    pub async fn post<T: for<'de> Deserialize<'de>>(
        &self,
        tenant: &str,
        path: &str,
        body: &Value,
    ) -> anyhow::Result<T> {
        self.call(Method::POST, &format!("tenants/{tenant}/{path}"), Some(body)).await
    }

    async fn call<T: for<'de> Deserialize<'de>>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<T> {
        let mut request =
            self.http.request(method, format!("{}/v1/{path}", self.base)).bearer_auth(&self.key);
        if let Some(body) = body {
            request = request.json(body);
        }
        let what = path.split('?').next().unwrap_or(path);
        let answer = request.send().await.with_context(|| format!("reach the API ({what})"))?;
        let status = answer.status();
        let bytes = answer.bytes().await.with_context(|| format!("read the API's answer to {what}"))?;
        if !status.is_success() {
            bail!("{}", refusal(what, status.as_u16(), &bytes));
        }
        serde_json::from_slice(&bytes).with_context(|| format!("understand the API's answer to {what}"))
    }
}

/// The API's problem document says it best.
fn refusal(what: &str, status: u16, body: &[u8]) -> String {
    match serde_json::from_slice::<Ask>(body) {
        Ok(Ask { what, why, fix }) => format!("{what} {why} {fix}"),
        Err(_) => format!("the API answered {what} with {status}: {}", String::from_utf8_lossy(body)),
    }
}
