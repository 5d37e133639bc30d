//! Client credentials flow: the app logs in as its run-as user, at the org's My Domain only.

use super::Exchanger;
use crate::ports::TokenAnswer;
use crate::salesforce::error::SalesforceError;
use crate::secret::Secret;

pub(super) async fn exchange(
    exchanger: &Exchanger,
    login_url: &str,
    client_id: String,
    client_secret: &Secret,
) -> Result<TokenAnswer, SalesforceError> {
    let form = vec![
        ("grant_type", "client_credentials".to_owned()),
        ("client_id", client_id),
        ("client_secret", client_secret.expose().clone()),
    ];
    exchanger.post(login_url, form, Some(client_secret)).await
}
