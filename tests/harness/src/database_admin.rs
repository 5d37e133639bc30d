//! Makes and removes whole databases for tests.

use std::time::Duration;

use tokio_postgres::{Client, NoTls};
use url::Url;

/// Every database a test owns begins so; nothing else is ever dropped.
pub(crate) const TEST_PREFIX: &str = "refrain_test_";
/// Every migrated template begins so.
pub(crate) const TEMPLATE_PREFIX: &str = "refrain_template_";

/// Opens a session, gives it to `work`, and closes it before returning.
async fn with_session<T>(
    server: &Url,
    work: impl AsyncFnOnce(&Client) -> Result<T, tokio_postgres::Error>,
) -> Result<T, tokio_postgres::Error> {
    let mut config: tokio_postgres::Config = server.as_str().parse()?;
    config.connect_timeout(Duration::from_secs(10)).application_name("refrain-harness");
    let (client, connection) = config.connect(NoTls).await?;
    let driver = tokio::spawn(connection);
    let result = work(&client).await;
    drop(client);
    let _ = driver.await;
    result
}

/// Makes `database` as a copy of `template`. Names are ours: letters, digits, underscores.
pub(crate) async fn create(
    server: &Url,
    database: &str,
    template: &str,
) -> Result<(), tokio_postgres::Error> {
    let statement = format!("CREATE DATABASE {database} TEMPLATE {template}");
    with_session(server, async |client| client.batch_execute(&statement).await).await
}

/// Drops a database, ending whoever is connected to it.
pub(crate) async fn drop_database(server: &Url, database: &str) -> Result<(), tokio_postgres::Error> {
    let statement = format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)");
    with_session(server, async |client| client.batch_execute(&statement).await).await
}

/// Whether that template was finished. One that a killed run left unfinished is not marked as a template.
pub(crate) async fn template_exists(server: &Url, template: &str) -> Result<bool, tokio_postgres::Error> {
    let query = "SELECT 1 FROM pg_database WHERE datname = $1 AND datistemplate";
    with_session(server, async |client| Ok(client.query_opt(query, &[&template]).await?.is_some())).await
}

/// Marks a migrated database as a template that nobody connects to any more.
pub(crate) async fn seal_template(server: &Url, template: &str) -> Result<(), tokio_postgres::Error> {
    let statement = format!("ALTER DATABASE {template} WITH IS_TEMPLATE true ALLOW_CONNECTIONS false");
    with_session(server, async |client| client.batch_execute(&statement).await).await
}

/// Drops what tests of an earlier run left: their databases and the templates of old schemas.
pub(crate) async fn drop_leftovers(server: &Url) -> Result<(), tokio_postgres::Error> {
    with_session(server, async |client| {
        let rows = client.query("SELECT datname::text, datistemplate FROM pg_database", &[]).await?;
        for row in rows {
            let (name, is_template): (String, bool) = (row.get(0), row.get(1));
            if !name.starts_with(TEST_PREFIX) && !name.starts_with(TEMPLATE_PREFIX) {
                continue;
            }
            if is_template {
                client.batch_execute(&format!("ALTER DATABASE {name} WITH IS_TEMPLATE false")).await?;
            }
            client.batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await?;
        }
        Ok(())
    })
    .await
}

/// The same server, another database.
pub(crate) fn url_of(server: &Url, database: &str) -> String {
    let mut url = server.clone();
    url.set_path(database);
    url.into()
}
