//! A certificate authority for one run, and a server certificate made by it.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;

/// Names the server certificate is good for.
const NAMES: [&str; 4] = ["localhost", "127.0.0.1", "*.my.salesforce.localhost", "*.salesforce.localhost"];

/// Makes the authority, writes its certificate (PEM) to `ca_file`, and returns what accepts connections.
///
/// # Errors
/// When the file cannot be written.
pub fn acceptor(ca_file: &Path) -> anyhow::Result<TlsAcceptor> {
    let ca_key = KeyPair::generate().context("make the authority's key")?;
    let mut ca = CertificateParams::new(Vec::<String>::new()).context("name the authority")?;
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    ca.distinguished_name.push(DnType::CommonName, "Salesforce simulator CA");
    let certificate = ca.self_signed(&ca_key).context("sign the authority's certificate")?;
    std::fs::write(ca_file, certificate.pem()).with_context(|| format!("write {}", ca_file.display()))?;
    let issuer = Issuer::new(ca, ca_key);

    let key = KeyPair::generate().context("make the server's key")?;
    let names = NAMES.map(str::to_owned).to_vec();
    let mut server = CertificateParams::new(names).context("name the server")?;
    server.distinguished_name.push(DnType::CommonName, "Salesforce simulator");
    let leaf = server.signed_by(&key, &issuer).context("sign the server's certificate")?;
    let private =
        PrivateKeyDer::try_from(key.serialize_der()).map_err(|why| anyhow::anyhow!("read own key: {why}"))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("choose TLS versions")?
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone(), certificate.der().clone()], private)
        .context("use the server's certificate")?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
