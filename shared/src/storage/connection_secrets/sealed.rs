//! The plain form of credentials inside their seal: JSON, whole, and wiped when done with.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::ports::Credentials;
use crate::secret::Secret;

/// Stored for as long as the connection lives: fields are only ever added.
#[derive(Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "snake_case")]
enum Plain<'a> {
    ClientCredentials {
        login_url: Cow<'a, str>,
        client_id: Cow<'a, str>,
        client_secret: Cow<'a, str>,
    },
    JwtBearer {
        login_url: Cow<'a, str>,
        #[serde(default)]
        audience: Option<Cow<'a, str>>,
        client_id: Cow<'a, str>,
        username: Cow<'a, str>,
        private_key_pem: Cow<'a, str>,
    },
    RefreshToken {
        login_url: Cow<'a, str>,
        client_id: Cow<'a, str>,
        #[serde(default)]
        client_secret: Option<Cow<'a, str>>,
        refresh_token: Cow<'a, str>,
    },
}

pub(super) fn write(credentials: &Credentials) -> Zeroizing<Vec<u8>> {
    let text = |secret: &'_ Secret| -> String { secret.expose().clone() };
    let plain = match credentials {
        Credentials::ClientCredentials { login_url, client_id, client_secret } => Plain::ClientCredentials {
            login_url: Cow::Borrowed(login_url),
            client_id: Cow::Borrowed(client_id),
            client_secret: Cow::Borrowed(client_secret.expose()),
        },
        Credentials::JwtBearer { login_url, audience, client_id, username, private_key_pem } => {
            Plain::JwtBearer {
                login_url: Cow::Borrowed(login_url),
                audience: audience.as_deref().map(Cow::Borrowed),
                client_id: Cow::Borrowed(client_id),
                username: Cow::Borrowed(username),
                private_key_pem: Cow::Borrowed(private_key_pem.expose()),
            }
        }
        Credentials::Refresh {
            login_url,
            client_id,
            client_secret,
            refresh_token,
            previous_refresh_token: _,
        } => Plain::RefreshToken {
            login_url: Cow::Borrowed(login_url),
            client_id: Cow::Borrowed(client_id),
            client_secret: client_secret.as_ref().map(|secret| Cow::Owned(text(secret))),
            refresh_token: Cow::Borrowed(refresh_token.expose()),
        },
    };
    Zeroizing::new(serde_json::to_vec(&plain).expect("strings always serialise"))
}

/// `None` when the bytes are not what [`write()`] makes.
pub(super) fn read(plain: &[u8], previous: Option<Secret>) -> Option<Credentials> {
    let secret = |text: Cow<'_, str>| Secret::new(text.into_owned());
    Some(match serde_json::from_slice(plain).ok()? {
        Plain::ClientCredentials { login_url, client_id, client_secret } => Credentials::ClientCredentials {
            login_url: login_url.into_owned(),
            client_id: client_id.into_owned(),
            client_secret: secret(client_secret),
        },
        Plain::JwtBearer { login_url, audience, client_id, username, private_key_pem } => {
            Credentials::JwtBearer {
                login_url: login_url.into_owned(),
                audience: audience.map(Cow::into_owned),
                client_id: client_id.into_owned(),
                username: username.into_owned(),
                private_key_pem: secret(private_key_pem),
            }
        }
        Plain::RefreshToken { login_url, client_id, client_secret, refresh_token } => Credentials::Refresh {
            login_url: login_url.into_owned(),
            client_id: client_id.into_owned(),
            client_secret: client_secret.map(secret),
            refresh_token: secret(refresh_token),
            previous_refresh_token: previous,
        },
    })
}

/// The same credentials with a rotated refresh token; others have none and stay as they are.
pub(super) fn with_refresh_token(credentials: &Credentials, token: &Secret) -> Credentials {
    match credentials {
        Credentials::Refresh { login_url, client_id, client_secret, refresh_token, .. } => {
            Credentials::Refresh {
                login_url: login_url.clone(),
                client_id: client_id.clone(),
                client_secret: client_secret.clone(),
                refresh_token: token.clone(),
                previous_refresh_token: Some(refresh_token.clone()),
            }
        }
        Credentials::ClientCredentials { .. } | Credentials::JwtBearer { .. } => credentials.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_survive_their_plain_form() {
        let secret = |text: &str| Secret::new(text.to_owned());
        let all = [
            Credentials::ClientCredentials {
                login_url: "https://a.my.salesforce.com".to_owned(),
                client_id: "id".to_owned(),
                client_secret: secret("s"),
            },
            Credentials::JwtBearer {
                login_url: "https://login.salesforce.com".to_owned(),
                audience: None,
                client_id: "id".to_owned(),
                username: "u@example.com".to_owned(),
                private_key_pem: secret("-----BEGIN\nkey\"\\"),
            },
            Credentials::Refresh {
                login_url: "https://login.salesforce.com".to_owned(),
                client_id: "id".to_owned(),
                client_secret: Some(secret("s")),
                refresh_token: secret("5Aep"),
                previous_refresh_token: None,
            },
        ];
        for credentials in all {
            let plain = write(&credentials);
            let again = read(&plain, None).unwrap();
            assert_eq!(*write(&again), *plain);
        }
        assert!(read(b"{}", None).is_none());
    }
}
