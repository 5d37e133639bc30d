//! A simulated org: its ground truth, and the means to edit it. Speaks the simulator's control API.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use chrono::{DateTime, Utc};
use futures_util::Stream;
use serde::{Deserialize, Serialize};

/// An org of a simulator.
#[derive(Debug, Clone)]
pub struct Org {
    http: reqwest::Client,
    /// `{control}/orgs/{org}`
    base: String,
}

/// How many records there are.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct TruthSummary {
    /// The org's own time.
    pub now: DateTime<Utc>,
    /// By API name.
    pub objects: BTreeMap<String, TruthCounts>,
}

/// How many records of an object there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct TruthCounts {
    /// Live ones.
    pub live: u64,
    /// Ones in the recycle bin.
    pub deleted: u64,
}

/// What an edit did, by API name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Edited {
    /// New records.
    pub created: BTreeMap<String, u64>,
    /// Changed records.
    pub updated: BTreeMap<String, u64>,
    /// Records put into the recycle bin.
    pub deleted: BTreeMap<String, u64>,
}

/// Calls that the org received.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Calls {
    /// Those that count against its allowance.
    pub api: u64,
    /// Requests for tokens.
    pub token: u64,
}

impl Org {
    /// The org of that id behind a control address.
    #[must_use]
    pub fn new(control: &str, org_id: &str) -> Self {
        Self {
            http: reqwest::Client::new(),
            base: format!("{}/orgs/{org_id}", control.trim_end_matches('/')),
        }
    }

    /// How many records each object has.
    ///
    /// # Errors
    /// When the simulator does not answer as it should; so for all calls here.
    pub async fn truth_summary(&self) -> anyhow::Result<TruthSummary> {
        self.get("truth").await
    }

    /// Every record of an object in order of id, one JSON line each.
    ///
    /// # Errors
    /// As [`Self::truth_summary`], and when the org has no such object.
    pub async fn truth(
        &self,
        object: &str,
    ) -> anyhow::Result<impl Stream<Item = reqwest::Result<impl AsRef<[u8]> + use<>>> + Unpin + use<>> {
        let answer = self.http.get(format!("{}/truth/{object}", self.base)).send().await;
        let answer = answer.context("ask the simulator for its truth")?;
        if !answer.status().is_success() {
            bail!("the simulator has no truth about {object}: {}", answer.text().await.unwrap_or_default());
        }
        Ok(Box::pin(answer.bytes_stream()))
    }

    /// Edits the org as its people would: `count` changes, the same for the same seed.
    ///
    /// # Errors
    /// As [`Self::truth_summary`].
    pub async fn edit(&self, count: u32, seed: u64) -> anyhow::Result<Edited> {
        self.post("edits", &serde_json::json!({"count": count, "seed": seed})).await
    }

    /// Calls received so far.
    ///
    /// # Errors
    /// As [`Self::truth_summary`].
    pub async fn calls(&self) -> anyhow::Result<Calls> {
        self.get("calls").await
    }

    /// Any other call of the control API: a POST below the org's address.
    ///
    /// # Errors
    /// As [`Self::truth_summary`].
    pub async fn post<T: for<'de> Deserialize<'de>>(
        &self,
        path: &str,
        body: &(impl Serialize + Sync),
    ) -> anyhow::Result<T> {
        let sent = self.http.post(format!("{}/{path}", self.base)).json(body).send().await;
        read(path, sent).await
    }

    /// Any other call of the control API: a GET below the org's address.
    ///
    /// # Errors
    /// As [`Self::truth_summary`].
    pub async fn get<T: for<'de> Deserialize<'de>>(&self, path: &str) -> anyhow::Result<T> {
        read(path, self.http.get(format!("{}/{path}", self.base)).send().await).await
    }
}

async fn read<T: for<'de> Deserialize<'de>>(
    path: &str,
    sent: reqwest::Result<reqwest::Response>,
) -> anyhow::Result<T> {
    let answer = sent.with_context(|| format!("reach the simulator's control API ({path})"))?;
    let status = answer.status();
    let body = answer.bytes().await.with_context(|| format!("read the simulator's answer to {path}"))?;
    if !status.is_success() {
        bail!("the simulator refused {path}: {}", String::from_utf8_lossy(&body));
    }
    serde_json::from_slice(&body).with_context(|| format!("understand the simulator's answer to {path}"))
}
