//! A test's own database and own vhost, on servers that all tests share.

use std::fmt::Display;
use std::fs::File;
use std::future::Future;

use url::Url;

use crate::broker_admin::{AdminError, percent_decoded};
use crate::database_admin::{self, TEMPLATE_PREFIX, TEST_PREFIX};
use crate::servers::{Endpoints, PrivateServers, ServersError, blocking, shared_endpoints, target_directory};

/// Why a test got no bed.
#[derive(Debug, thiserror::Error)]
pub enum BedError {
    /// No servers.
    #[error(transparent)]
    Servers(#[from] ServersError),
    /// The database server refused; the text names database and cause.
    #[error("database {database}: {reason}")]
    Database {
        /// Which database.
        database: String,
        /// The server's own words.
        reason: String,
    },
    /// The broker refused.
    #[error(transparent)]
    Broker(#[from] AdminError),
    /// The caller's schema could not be put into the template.
    #[error("the schema {hash} could not be installed: {reason}")]
    Schema {
        /// The schema's hash as the caller gave it.
        hash: String,
        /// The caller's error.
        reason: String,
    },
    /// The template's lock file.
    #[error("could not lock {path}: {source}")]
    Lock {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
}

/// A schema that is installed once per run into a template, from which each test's database is copied.
pub struct Schema<F> {
    hash: String,
    install: F,
}

impl<F, Fut, E> Schema<F>
where
    F: FnOnce(String) -> Fut,
    Fut: Future<Output = Result<(), E>>,
    E: Display,
{
    /// `content` identifies the schema (its migrations' bytes, say); `install` gets the URL of an empty database and must
    /// have closed its connections when it returns.
    pub fn new(content: &[u8], install: F) -> Self {
        Self { hash: blake3::hash(content).to_hex()[..16].to_owned(), install }
    }
}

/// One test's database and vhost. [`TestBed::finish`] removes them; so does dropping it, unless the test panics: then both
/// stay for a look, until the servers start again.
pub struct TestBed {
    endpoints: Endpoints,
    name: String,
    database_url: String,
    amqp_url: String,
    /// Whether database and vhost still are there.
    open: bool,
}

impl TestBed {
    /// A bed with an empty database, on the shared servers.
    ///
    /// # Panics
    /// When there are no servers, with what to do about it: a test cannot go on without.
    pub async fn new(test: &str) -> Self {
        unwrap(Self::try_new(test).await)
    }

    /// A bed whose database has the schema, on the shared servers.
    ///
    /// # Panics
    /// As [`Self::new`], and when the schema cannot be installed.
    pub async fn with_schema<F, Fut, E>(test: &str, schema: Schema<F>) -> Self
    where
        F: FnOnce(String) -> Fut,
        Fut: Future<Output = Result<(), E>>,
        E: Display,
    {
        unwrap(Self::try_with_schema(test, schema).await)
    }

    /// As [`Self::new`], with the error as a value.
    pub async fn try_new(test: &str) -> Result<Self, BedError> {
        Self::make(shared_endpoints().await?, test, "template0").await
    }

    /// As [`Self::with_schema`], with the error as a value.
    pub async fn try_with_schema<F, Fut, E>(test: &str, schema: Schema<F>) -> Result<Self, BedError>
    where
        F: FnOnce(String) -> Fut,
        Fut: Future<Output = Result<(), E>>,
        E: Display,
    {
        let endpoints = shared_endpoints().await?;
        let template = template_with(&endpoints, schema).await?;
        Self::make(endpoints, test, &template).await
    }

    /// A bed with an empty database on servers that the test owns (and may kill).
    pub async fn on(servers: &PrivateServers, test: &str) -> Result<Self, BedError> {
        let endpoints = servers.endpoints().ok_or(AdminError::NoNode)?;
        Self::make(endpoints, test, "template0").await
    }

    async fn make(endpoints: Endpoints, test: &str, template: &str) -> Result<Self, BedError> {
        let name = format!("{TEST_PREFIX}{}_{}", plain_name(test), hex::encode(rand::random::<[u8; 4]>()));
        let user = percent_decoded(endpoints.amqp.username());
        let database = async {
            let made = database_admin::create(&endpoints.database, &name, template).await;
            made.map_err(|error| database_error(&name, &error))
        };
        let vhost = async { endpoints.broker.create_vhost(&name, &user).await.map_err(BedError::from) };
        let (database, vhost) = tokio::join!(database, vhost);
        let bed = Self {
            database_url: database_admin::url_of(&endpoints.database, &name),
            amqp_url: vhost_url(&endpoints.amqp, &name),
            open: true,
            name,
            endpoints,
        };
        // When one half failed, dropping the bed removes the other.
        database?;
        vhost?;
        Ok(bed)
    }

    /// The address of this test's database, as the owner of everything in it.
    pub fn database_url(&self) -> &str {
        &self.database_url
    }

    /// The address of this test's vhost.
    pub fn amqp_url(&self) -> &str {
        &self.amqp_url
    }

    /// The name that database and vhost share.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Removes database and vhost, and reports what refuses.
    pub async fn finish(mut self) -> Result<(), BedError> {
        self.open = false;
        remove(&self.endpoints, &self.name).await
    }
}

impl Drop for TestBed {
    fn drop(&mut self) {
        if !self.open {
            return;
        }
        if std::thread::panicking() {
            eprintln!("kept for inspection until the servers start again: database and vhost {}", self.name);
            return;
        }
        let (endpoints, name) = (self.endpoints.clone(), self.name.clone());
        // A thread of its own, because a runtime cannot be entered from within another.
        let _ = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.map(|runtime| runtime.block_on(remove(&endpoints, &name)))
        })
        .join();
    }
}

async fn remove(endpoints: &Endpoints, name: &str) -> Result<(), BedError> {
    let database = async {
        let dropped = database_admin::drop_database(&endpoints.database, name).await;
        dropped.map_err(|error| database_error(name, &error))
    };
    let vhost = async { endpoints.broker.delete_vhost(name).await.map_err(BedError::from) };
    let (database, vhost) = tokio::join!(database, vhost);
    database.and(vhost)
}

/// The template with that schema, made by whichever process comes first.
async fn template_with<F, Fut, E>(endpoints: &Endpoints, schema: Schema<F>) -> Result<String, BedError>
where
    F: FnOnce(String) -> Fut,
    Fut: Future<Output = Result<(), E>>,
    E: Display,
{
    let template = format!("{TEMPLATE_PREFIX}{}", schema.hash);
    let server = &endpoints.database;
    let failed = |error: tokio_postgres::Error| database_error(&template, &error);
    if database_admin::template_exists(server, &template).await.map_err(failed)? {
        return Ok(template);
    }
    let turn = lock_templates().await?;
    if !database_admin::template_exists(server, &template).await.map_err(failed)? {
        database_admin::drop_database(server, &template).await.map_err(failed)?;
        database_admin::create(server, &template, "template0").await.map_err(failed)?;
        let installed = (schema.install)(database_admin::url_of(server, &template)).await;
        installed.map_err(|error| BedError::Schema { hash: schema.hash, reason: error.to_string() })?;
        database_admin::seal_template(server, &template).await.map_err(failed)?;
    }
    drop(turn);
    Ok(template)
}

async fn lock_templates() -> Result<File, BedError> {
    blocking(|| {
        let path = target_directory().join("private-servers").join("template.lock");
        let failed = |source| BedError::Lock { path: path.display().to_string(), source };
        std::fs::create_dir_all(path.parent().unwrap_or(&path)).map_err(failed)?;
        let file = File::options().create(true).append(true).open(&path).map_err(failed)?;
        file.lock().map_err(failed)?;
        Ok(file)
    })
    .await
}

fn unwrap(bed: Result<TestBed, BedError>) -> TestBed {
    match bed {
        Ok(bed) => bed,
        Err(error) => panic!("no test bed: {error}"),
    }
}

fn database_error(database: &str, error: &tokio_postgres::Error) -> BedError {
    let reason = error.as_db_error().map_or_else(|| error.to_string(), ToString::to_string);
    BedError::Database { database: database.to_owned(), reason }
}

fn vhost_url(broker: &Url, vhost: &str) -> String {
    let mut url = broker.clone();
    url.set_path(vhost);
    url.into()
}

/// What of a test's name may stand in a database's name, which PostgreSQL cuts at 63 bytes.
fn plain_name(test: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }
    };
    test.chars().map(plain).take(36).collect()
}

#[cfg(test)]
mod tests {
    use super::plain_name;

    #[test]
    fn any_test_name_makes_a_short_plain_database_name() {
        assert_eq!(plain_name("it::Queue/ä survives"), "it__queue___survives");
        assert_eq!(plain_name(&"x".repeat(100)).len(), 36);
    }
}
