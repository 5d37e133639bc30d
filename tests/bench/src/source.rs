//! The bare client: signs in, asks the same questions as Refrain does, gives pages. Nothing is kept, nothing is
//! paced, nothing is repeated.

use std::sync::Arc;

use anyhow::{Context, ensure};
use bytes::Bytes;
use demo::stack::{OrgEntry, Ready};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::mpsc;

/// A signed-in client of an org.
#[derive(Clone)]
pub(crate) struct Source {
    http: reqwest::Client,
    instance: String,
    token: Arc<str>,
}

/// A page as it came, unpacked.
pub(crate) struct Page {
    body: Bytes,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    done: bool,
    #[serde(borrow)]
    next_records_url: Option<&'a str>,
    #[serde(borrow)]
    records: Vec<&'a RawValue>,
}

impl Page {
    /// Its records, as they came.
    pub(crate) fn records(&self) -> anyhow::Result<Vec<&RawValue>> {
        let envelope: Envelope<'_> = serde_json::from_slice(&self.body).context("read a page")?;
        Ok(envelope.records)
    }

    /// Its size in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.body.len() as u64
    }

    /// The path of the next page. The simulator, like Salesforce, names it before the records, so most of the page
    /// need not be looked at.
    fn next(&self) -> anyhow::Result<Option<String>> {
        let head = self.body.split_inclusive(|byte| *byte == b'[').next().unwrap_or_default();
        let mut closed = head.to_vec();
        closed.extend_from_slice(b"]}");
        let envelope: Envelope<'_> = serde_json::from_slice(&closed).context("read the head of a page")?;
        Ok(envelope.next_records_url.filter(|_| !envelope.done).map(str::to_owned))
    }
}

impl Source {
    /// Signs in with client credentials over TLS, trusting the simulator's authority only.
    pub(crate) async fn sign_in(ready: &Ready, org: &OrgEntry) -> anyhow::Result<Self> {
        #[derive(Deserialize)]
        struct Token {
            access_token: String,
            instance_url: String,
        }
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls(ready)?)
            .gzip(true)
            .build()
            .context("make an HTTP client")?;
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", &org.client_id),
            ("client_secret", &org.client_secret),
        ];
        let url = format!("{}/services/oauth2/token", org.instance_url);
        let answer = http.post(url).form(&form).send().await.context("ask for a token")?;
        let token: Token =
            answer.error_for_status().context("get a token")?.json().await.context("read a token")?;
        Ok(Self { http, instance: token.instance_url, token: token.access_token.into() })
    }

    /// The pages of a query over live and deleted records. One page is fetched ahead of the one being used, as
    /// Refrain does.
    pub(crate) fn pages(&self, soql: &str) -> mpsc::Receiver<anyhow::Result<Page>> {
        let (sender, receiver) = mpsc::channel(1);
        let (source, soql) = (self.clone(), soql.to_owned());
        tokio::spawn(async move {
            let mut request = source
                .http
                .get(format!("{}/services/data/v66.0/queryAll", source.instance))
                .query(&[("q", &soql)]);
            loop {
                let page = source.page(request).await;
                let next = page.as_ref().map(Page::next);
                let following = match next {
                    Ok(Ok(Some(path))) => Some(source.http.get(format!("{}{path}", source.instance))),
                    Ok(Ok(None)) | Err(_) => None,
                    Ok(Err(error)) => {
                        // Nobody listening means that the reader failed by itself.
                        let _ = sender.send(Err(error)).await;
                        return;
                    }
                };
                if sender.send(page).await.is_err() {
                    return;
                }
                match following {
                    Some(following) => request = following,
                    None => return,
                }
            }
        });
        receiver
    }

    async fn page(&self, request: reqwest::RequestBuilder) -> anyhow::Result<Page> {
        let answer = request.bearer_auth(&self.token).send().await.context("ask for a page")?;
        let status = answer.status();
        let body = answer.bytes().await.context("read a page")?;
        ensure!(status.is_success(), "the org refused a page: {}", String::from_utf8_lossy(&body));
        Ok(Page { body })
    }
}

fn tls(ready: &Ready) -> anyhow::Result<rustls::ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    let certificates =
        CertificateDer::pem_file_iter(&ready.ca_file).context("read the simulator's authority")?;
    for certificate in certificates {
        roots.add(certificate.context("read the simulator's authority")?)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found_without_reading_the_records() {
        let page = |body: &'static str| Page { body: Bytes::from_static(body.as_bytes()) };
        let first =
            page(r#"{"totalSize":3,"done":false,"nextRecordsUrl":"/q/1-2","records":[{"a":[1]},{"a":[2]}]}"#);
        assert_eq!(first.next().unwrap().as_deref(), Some("/q/1-2"));
        assert_eq!(first.records().unwrap().len(), 2);
        assert_eq!(page(r#"{"totalSize":0,"done":true,"records":[]}"#).next().unwrap(), None);
        assert!(page("<html>").next().is_err());
    }
}
