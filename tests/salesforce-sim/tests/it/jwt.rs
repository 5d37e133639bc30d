//! JWT assertions as a client signs them.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::support::Sim;

pub(crate) fn assertion(sim: &Sim, audience: &str, seconds: u64, username: &str) -> String {
    signed(sim, &sim.org.jwt_key_file, audience, seconds, username)
}

/// An assertion signed with the key in a file.
pub(crate) fn signed(sim: &Sim, key_file: &Path, audience: &str, seconds: u64, username: &str) -> String {
    let pem = std::fs::read_to_string(key_file).unwrap();
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let key = RsaKeyPair::from_pkcs8(&STANDARD.decode(body).unwrap()).unwrap();
    let exp = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + seconds;
    let claims = json!({"iss": sim.org.client_id, "sub": username, "aud": audience, "exp": exp});
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&json!({"alg": "RS256"})), part(&claims));
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

pub(crate) async fn jwt(sim: &Sim, assertion: &str) -> (u16, Value) {
    let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
    sim.token_request(&[("grant_type", grant), ("assertion", assertion)]).await
}
