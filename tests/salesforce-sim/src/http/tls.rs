//! A certificate authority for one run, server certificates made by it, and everything that can be wrong with one.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use chrono::{Datelike, TimeDelta, Utc};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Serialize};
use tokio_rustls::TlsAcceptor;

use crate::options::Certificate;

/// Names the server certificate is good for. The platform's own are among them, so that a client which insists on
/// them can be led here by its resolver.
const NAMES: [&str; 8] = [
    "localhost",
    "127.0.0.1",
    "*.my.salesforce.localhost",
    "*.salesforce.localhost",
    "*.salesforce.com",
    "*.my.salesforce.com",
    "*.develop.my.salesforce.com",
    "*.sandbox.my.salesforce.com",
];

/// What is wrong with an address that should speak TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TlsFault {
    /// The certificate ran out.
    Expired,
    /// The certificate is another host's.
    WrongHost,
    /// The certificate's authority is unknown.
    UnknownCa,
    /// The certificate signed itself.
    SelfSigned,
    /// The server speaks TLS 1.1 only.
    OldProtocol,
    /// The server answers in plain text.
    Plaintext,
}

/// How to greet a connection.
#[derive(Clone)]
pub(super) enum Greeting {
    /// Shake hands with this certificate.
    Handshake(TlsAcceptor),
    /// Write these bytes and close.
    Bytes(&'static [u8]),
}

/// The authority, and what the main address does now.
pub struct Tls {
    issuer: Issuer<'static, KeyPair>,
    authority: CertificateDer<'static>,
    good: TlsAcceptor,
    /// The fault of the main address, and until when in simulated milliseconds.
    fault: Mutex<Option<(TlsFault, i64)>>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

/// A TLS 1.1 server hello: version 3.2, no session, RSA with AES-128-CBC. No client of today goes on after it.
const OLD_HELLO: &[u8] = &[
    22, 3, 2, 0, 42, // a handshake record of 42 bytes
    2, 0, 0, 38, 3, 2, // a server hello of 38 bytes
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, // its random part
    17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, //
    0, 0, 0x2F, 0, // no session, cipher suite, no compression
];

const PLAIN: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 11\r\nConnection: close\r\n\r\nplain text\n";

impl Tls {
    /// Makes the authority and writes its certificate (PEM) to `ca_file`. The server shows `given` instead of a
    /// certificate of this authority when there is one; then that one's chain is written.
    ///
    /// # Errors
    /// When a file cannot be written or read.
    pub fn new(ca_file: &Path, further: &[String], given: Option<&Certificate>) -> anyhow::Result<Self> {
        let (authority, issuer) = authority("Salesforce simulator CA")?;
        let (known, good) = match given {
            None => {
                let names: Vec<&str> = NAMES.into_iter().chain(further.iter().map(String::as_str)).collect();
                let leaf = leaf(&names, &issuer, false)?;
                (pem(&authority), acceptor(vec![leaf.0, authority.clone()], leaf.1)?)
            }
            Some(given) => loaded(given)?,
        };
        std::fs::write(ca_file, known).with_context(|| format!("write {}", ca_file.display()))?;
        Ok(Self { issuer, authority, good, fault: Mutex::default() })
    }

    /// Lets the main address be wrong until a moment; `None` makes it good again.
    pub fn set_fault(&self, fault: Option<(TlsFault, i64)>) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    /// How the main address greets a connection.
    pub(super) fn greeting(&self, now: i64) -> Greeting {
        let fault = *self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        let live = fault.filter(|(_, until)| now < *until);
        let faulty = live.and_then(|(fault, _)| self.faulty_greeting(fault).ok());
        faulty.unwrap_or_else(|| Greeting::Handshake(self.good.clone()))
    }

    /// How a faulty address greets a connection.
    ///
    /// # Errors
    /// When a certificate cannot be made.
    pub(super) fn faulty_greeting(&self, fault: TlsFault) -> anyhow::Result<Greeting> {
        let ours = |(leaf, key)| acceptor(vec![leaf, self.authority.clone()], key);
        Ok(Greeting::Handshake(match fault {
            TlsFault::Expired => ours(leaf(&NAMES, &self.issuer, true)?)?,
            TlsFault::WrongHost => ours(leaf(&["other.example.com"], &self.issuer, false)?)?,
            TlsFault::UnknownCa => {
                let (authority, issuer) = authority("Unknown CA")?;
                let (certificate, key) = leaf(&NAMES, &issuer, false)?;
                acceptor(vec![certificate, authority], key)?
            }
            TlsFault::SelfSigned => {
                let key = KeyPair::generate().context("make a key")?;
                let names = NAMES.map(str::to_owned).to_vec();
                let params = CertificateParams::new(names).context("name the server")?;
                let certificate = params.self_signed(&key).context("sign a certificate with itself")?;
                acceptor(vec![certificate.der().clone()], private(&key)?)?
            }
            TlsFault::OldProtocol => return Ok(Greeting::Bytes(OLD_HELLO)),
            TlsFault::Plaintext => return Ok(Greeting::Bytes(PLAIN)),
        }))
    }
}

/// What is to be trusted, and how to greet, for a certificate of somebody else's making.
fn loaded(given: &Certificate) -> anyhow::Result<(String, TlsAcceptor)> {
    let name = given.chain.display();
    let text = std::fs::read_to_string(&given.chain).with_context(|| format!("read {name}"))?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(text.as_bytes())
        .collect::<Result<_, _>>()
        .with_context(|| format!("{name} is no certificate chain in PEM"))?;
    let key = PrivateKeyDer::from_pem_file(&given.key)
        .with_context(|| format!("{} is no private key in PEM", given.key.display()))?;
    Ok((text, acceptor(chain, key)?))
}

fn pem(certificate: &CertificateDer<'_>) -> String {
    use base64::Engine;
    let encoded = base64::engine::general_purpose::STANDARD.encode(certificate);
    let lines: Vec<&str> =
        encoded.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

fn authority(name: &str) -> anyhow::Result<(CertificateDer<'static>, Issuer<'static, KeyPair>)> {
    let key = KeyPair::generate().context("make the authority's key")?;
    let mut ca = CertificateParams::new(Vec::<String>::new()).context("name the authority")?;
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    ca.distinguished_name.push(DnType::CommonName, name);
    let certificate = ca.self_signed(&key).context("sign the authority's certificate")?;
    Ok((certificate.der().clone(), Issuer::new(ca, key)))
}

type Leaf = (CertificateDer<'static>, PrivateKeyDer<'static>);

fn private(key: &KeyPair) -> anyhow::Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::try_from(key.serialize_der()).map_err(|why| anyhow::anyhow!("read own key: {why}"))
}

fn leaf(names: &[&str], issuer: &Issuer<'_, KeyPair>, expired: bool) -> anyhow::Result<Leaf> {
    let key = KeyPair::generate().context("make the server's key")?;
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut server = CertificateParams::new(names).context("name the server")?;
    server.distinguished_name.push(DnType::CommonName, "Salesforce simulator");
    if expired {
        let yesterday = Utc::now().date_naive() - TimeDelta::days(1);
        let day = |year| date_time_ymd(year, month(yesterday), u8::try_from(yesterday.day()).unwrap_or(1));
        server.not_before = day(yesterday.year() - 1);
        server.not_after = day(yesterday.year());
    }
    let leaf = server.signed_by(&key, issuer).context("sign the server's certificate")?;
    Ok((leaf.der().clone(), private(&key)?))
}

fn month(date: chrono::NaiveDate) -> u8 {
    u8::try_from(date.month()).unwrap_or(1)
}

fn acceptor(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> anyhow::Result<TlsAcceptor> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("choose TLS versions")?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .context("use the server's certificate")?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
