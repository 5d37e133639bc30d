//! The one HTTP client factory, and one call over the wire.
//!
//! Never follows a redirect, never repeats a request by itself, never reads proxies or certificates from
//! the environment, and never holds more of an answer than the configured cap.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Response};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use url::Url;

use super::error::{SalesforceError, WireStage};
use super::fault::ApiFault;
use super::host::HostPolicy;
use super::limits::ApiUsage;
use crate::clock::{Timestamp, parse_http_date};
use crate::secret::Secret;

/// Stable, so that an org's administrators can find our calls in their logs.
const USER_AGENT: &str = concat!("Refrain/", env!("CARGO_PKG_VERSION"));

/// A refusal's text is short; more of it is not read.
const REFUSAL_BYTES: usize = 256 * 1024;

const SET_ROWS: HeaderName = HeaderName::from_static("sforce-numberofrecords");
const SET_LOCATOR: HeaderName = HeaderName::from_static("sforce-locator");

/// How calls are made.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// Hosts allowed beside Salesforce's own: `.example.com` for all names below, `example.com` for one.
    pub extra_hosts: Vec<String>,
    /// Allows `http` and ports on loopback hosts; for the simulator.
    pub allow_loopback: bool,
    /// Roots trusted beside the public ones, as PEM.
    pub extra_root_ca_pem: Option<Vec<u8>>,
    /// An egress proxy.
    pub proxy: Option<String>,
    /// Time to a connection, TLS included.
    pub connect_timeout: Duration,
    /// Longest silence while an answer is awaited or read.
    pub read_timeout: Duration,
    /// Longest time of one call, from its start to the last byte. Gates reckon with it.
    pub total_timeout: Duration,
    /// Largest answer in bytes, after decompression.
    pub max_body_bytes: usize,
}

impl Default for HttpSettings {
    /// A query may run for two minutes before Salesforce itself gives it up; we wait a little longer, so
    /// that its `QUERY_TIMEOUT` reaches us.
    fn default() -> Self {
        Self {
            extra_hosts: Vec::new(),
            allow_loopback: false,
            extra_root_ca_pem: None,
            proxy: None,
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(125),
            total_timeout: Duration::from_secs(150),
            max_body_bytes: 64 * 1024 * 1024,
        }
    }
}

/// The settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HttpSetupError {
    /// The extra roots are no PEM certificates.
    #[error("the extra root certificates are not usable PEM certificates")]
    RootCertificates,
    /// The proxy URL is wrong.
    #[error("the proxy URL is not usable")]
    Proxy(#[source] reqwest::Error),
    /// The TLS or HTTP library refused.
    #[error("the HTTP client cannot be built")]
    Client(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A connection pool for all connections of a process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Http {
    client: reqwest::Client,
    policy: Arc<HostPolicy>,
    max_body_bytes: usize,
}

/// What is sent along.
#[derive(Debug)]
pub(crate) enum Payload {
    None,
    Json(String),
    Form(Vec<(&'static str, String)>),
}

/// One request, ready for the wire.
#[derive(Debug)]
pub(crate) struct Outgoing<'a> {
    pub(crate) url: Url,
    pub(crate) bearer: Option<&'a Secret>,
    pub(crate) method: Method,
    pub(crate) headers: Vec<(HeaderName, String)>,
    pub(crate) payload: Payload,
}

/// Where the body of an answer goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Streaming<'a> {
    /// Takes the pieces; when it is closed, no more are read.
    pub(crate) into: &'a mpsc::Sender<Bytes>,
    /// The longest body.
    pub(crate) most_bytes: usize,
}

/// An answer, whatever its status.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The `Date` header: Salesforce's clock.
    pub(crate) date: Option<Timestamp>,
    pub(crate) last_modified: Option<Timestamp>,
    pub(crate) usage: Option<ApiUsage>,
    pub(crate) content_type: String,
    /// Of a result set of a Bulk job: how many rows it has …
    pub(crate) rows: Option<usize>,
    /// … and where the next one begins.
    pub(crate) locator: Option<String>,
    pub(crate) body: Bytes,
}

impl Http {
    /// Builds the client; the process's rustls provider must be aws-lc-rs.
    pub fn new(settings: &HttpSettings) -> Result<Self, HttpSetupError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert("sforce-call-options", HeaderValue::from_static("client=refrain"));
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls(settings.extra_root_ca_pem.as_deref())?)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .gzip(true)
            .user_agent(USER_AGENT)
            .default_headers(headers)
            .connect_timeout(settings.connect_timeout)
            .read_timeout(settings.read_timeout)
            .timeout(settings.total_timeout);
        if let Some(proxy) = &settings.proxy {
            builder = builder.proxy(reqwest::Proxy::https(proxy).map_err(HttpSetupError::Proxy)?);
        }
        Ok(Self {
            client: builder.build().map_err(|error| HttpSetupError::Client(error.into()))?,
            policy: Arc::new(HostPolicy::new(&settings.extra_hosts, settings.allow_loopback)),
            max_body_bytes: settings.max_body_bytes,
        })
    }

    /// The hosts that may be called.
    #[must_use]
    pub fn policy(&self) -> &HostPolicy {
        &self.policy
    }

    /// One wire attempt; an answer of any status is `Ok`.
    pub(crate) async fn send(&self, outgoing: Outgoing<'_>) -> Result<Answer, SalesforceError> {
        let response = self.response(outgoing).await?;
        let answer = head(&response);
        let body = if response.status().is_success() {
            read_body(response, self.max_body_bytes).await?
        } else {
            // A refusal that breaks off still says by its status what it is.
            read_body(response, REFUSAL_BYTES).await.unwrap_or_default()
        };
        Ok(Answer { body, ..answer })
    }

    /// One wire attempt whose body, when the answer is good, is sent on piece by piece and not kept.
    pub(crate) async fn stream(
        &self,
        outgoing: Outgoing<'_>,
        stream: Streaming<'_>,
    ) -> Result<Answer, SalesforceError> {
        let mut response = self.response(outgoing).await?;
        let answer = head(&response);
        if !response.status().is_success() {
            let body = read_body(response, REFUSAL_BYTES).await.unwrap_or_default();
            return Ok(Answer { body, ..answer });
        }
        let mut sent = 0;
        while let Some(piece) = response.chunk().await.map_err(|error| wire_error(error, WireStage::Body))? {
            sent += piece.len();
            if sent > stream.most_bytes {
                return Err(SalesforceError::BodyTooLarge { limit_bytes: stream.most_bytes });
            }
            if stream.into.send(piece).await.is_err() {
                break;
            }
        }
        Ok(answer)
    }

    async fn response(&self, outgoing: Outgoing<'_>) -> Result<Response, SalesforceError> {
        let mut request = self.client.request(outgoing.method, outgoing.url);
        if let Some(token) = outgoing.bearer {
            request = request.header(header::AUTHORIZATION, bearer(token)?);
        }
        for (name, value) in outgoing.headers {
            request = request.header(name, value);
        }
        let request = match outgoing.payload {
            Payload::None => request,
            Payload::Json(body) => request.header(header::CONTENT_TYPE, "application/json").body(body),
            Payload::Form(fields) => request.form(&fields),
        };
        request.send().await.map_err(|error| wire_error(error, WireStage::Send))
    }
}

/// What the headers of an answer say.
fn head(response: &Response) -> Answer {
    let headers = response.headers();
    let date = |name: HeaderName| text(headers, &name).and_then(parse_http_date);
    Answer {
        status: response.status().as_u16(),
        date: date(header::DATE),
        last_modified: date(header::LAST_MODIFIED),
        usage: headers
            .get_all("sforce-limit-info")
            .iter()
            .find_map(|value| ApiUsage::parse(value.to_str().ok()?)),
        content_type: text(headers, &header::CONTENT_TYPE).unwrap_or_default().to_owned(),
        rows: text(headers, &SET_ROWS).and_then(|rows| rows.trim().parse().ok()),
        locator: text(headers, &SET_LOCATOR).map(str::to_owned),
        body: Bytes::new(),
    }
}

impl Answer {
    /// The answer when its status is good, else the refusal.
    pub(crate) fn success(self) -> Result<Self, SalesforceError> {
        if (200..300).contains(&self.status) {
            return Ok(self);
        }
        Err(ApiFault::read(self.status, &self.body).into())
    }

    /// Reads the body as JSON.
    pub(crate) fn json<T: DeserializeOwned>(&self, expected: &'static str) -> Result<T, SalesforceError> {
        serde_json::from_slice(without_mark(&self.body)).map_err(|_| self.unreadable(expected))
    }

    /// The error for a body that is not what it should be; never quotes it.
    pub(crate) fn unreadable(&self, expected: &'static str) -> SalesforceError {
        let kind = self.content_type.split(';').next().unwrap_or_default();
        let kind = if kind.is_empty() { "no content type" } else { kind };
        let kind: String = kind.chars().filter(|c| !c.is_control()).take(60).collect();
        let received = format!("{} bytes of {kind}", self.body.len());
        SalesforceError::Unreadable { expected, status: self.status, received }
    }

    /// Salesforce's clock at the answer. Our own would not do: merge order and checkpoints rest on it.
    pub(crate) fn read_at(&self) -> Result<Timestamp, SalesforceError> {
        self.date.ok_or_else(|| self.unreadable("a Date header"))
    }
}

/// The body without a byte order mark.
pub(crate) fn without_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn bearer(token: &Secret) -> Result<HeaderValue, SalesforceError> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose())).map_err(|_| {
        let received = "characters that no header may hold".to_owned();
        SalesforceError::Unreadable { expected: "an access token", status: 0, received }
    })?;
    value.set_sensitive(true);
    Ok(value)
}

async fn read_body(mut response: Response, limit_bytes: usize) -> Result<Bytes, SalesforceError> {
    let announced = response.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
    let mut body = BytesMut::with_capacity(announced.min(limit_bytes).min(8 * 1024 * 1024));
    while let Some(chunk) = response.chunk().await.map_err(|error| wire_error(error, WireStage::Body))? {
        if body.len() + chunk.len() > limit_bytes {
            return Err(SalesforceError::BodyTooLarge { limit_bytes });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// Whether a certificate was refused somewhere down the chain; I/O errors hide what they carry from it.
fn is_untrusted(error: &(dyn std::error::Error + 'static)) -> bool {
    let refused = |error: &(dyn std::error::Error + 'static)| {
        matches!(error.downcast_ref(), Some(rustls::Error::InvalidCertificate(_)))
    };
    let carried = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    refused(error)
        || carried.is_some_and(|inner| is_untrusted(inner))
        || error.source().is_some_and(is_untrusted)
}

/// The chain of causes without URLs: a URL holds the query.
fn wire_error(error: reqwest::Error, stage: WireStage) -> SalesforceError {
    let stage = if is_untrusted(&error) {
        WireStage::Certificate
    } else if error.is_timeout() {
        WireStage::Timeout
    } else if error.is_connect() {
        WireStage::Connect
    } else {
        stage
    };
    let error = error.without_url();
    let mut detail = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        detail = format!("{detail}: {cause}");
        source = cause.source();
    }
    SalesforceError::Transport { stage, detail: super::fault::one_line(&detail, 300) }
}

fn tls(extra_roots: Option<&[u8]>) -> Result<rustls::ClientConfig, HttpSetupError> {
    let mut roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(pem) = extra_roots {
        let public = roots.len();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|_| HttpSetupError::RootCertificates)?;
            roots.add(certificate).map_err(|_| HttpSetupError::RootCertificates)?;
        }
        if roots.len() == public {
            return Err(HttpSetupError::RootCertificates);
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| HttpSetupError::Client(error.into()))?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extra_roots_that_hold_no_certificate_are_refused_at_the_start() {
        for pem in ["", "no PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            let extra_root_ca_pem = Some(pem.as_bytes().to_vec());
            let refused = Http::new(&HttpSettings { extra_root_ca_pem, ..HttpSettings::default() });
            assert!(matches!(refused, Err(HttpSetupError::RootCertificates)), "{pem}");
        }
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_a_body() {
        assert_eq!(without_mark("\u{feff}{}".as_bytes()), b"{}");
        assert_eq!(without_mark(b"{}"), b"{}");
    }
}
