//! Where sealed chunks of bodies are kept: in PostgreSQL, or in an object store that speaks S3.
//!
//! An object store never sees anything but sealed bytes. Its keys are `tenant/connection/file/load/chunk`: what belongs
//! to a tenant can be listed, and removed, by one prefix.

use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use object_store::aws::AmazonS3Builder;
use object_store::path::Path;
use object_store::{Certificate, ClientOptions, ObjectStore, ObjectStoreExt as _, PutPayload, RetryConfig};
use uuid::Uuid;

use super::error::StoreError;
use super::files::{Body, ChunkPlace, Loads, chunk_get, chunk_put};
use super::jobs::job_touch;
use super::pool::{Database, TenantTx};
use crate::ids::ConnectionId;
use crate::job::lease::Lease;
use crate::secret::Secret;
use crate::tenant::TenantScope;

/// A file's place among all bodies.
#[derive(Debug, Clone, Copy)]
pub struct FileAt<'a> {
    /// Whose it is.
    pub scope: &'a TenantScope,
    /// The connection.
    pub connection: ConnectionId,
    /// The record that has the body.
    pub file: &'a str,
}

/// An object store that speaks S3.
#[derive(Debug, Clone)]
pub struct S3Options {
    /// The bucket.
    pub bucket: String,
    /// The region.
    pub region: String,
    /// Another endpoint than the region's own.
    pub endpoint: Option<String>,
    /// Before all keys.
    pub prefix: String,
    /// The access key; without both, what the environment of the machine gives (instance role, web identity).
    pub access_key_id: Option<String>,
    /// Its secret.
    pub secret_access_key: Option<Secret>,
    /// Whether plain HTTP is allowed; for an endpoint on this machine only.
    pub allow_http: bool,
    /// A private CA, PEM.
    pub ca_pem: Option<Vec<u8>>,
}

/// Where new chunks go, and how those of before are reached. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ChunkStore {
    place: ChunkPlace,
    objects: Option<Objects>,
}

impl Default for ChunkStore {
    /// All chunks are in the database.
    fn default() -> Self {
        Self { place: ChunkPlace::Database, objects: None }
    }
}

#[derive(Debug, Clone)]
struct Objects {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
}

impl ChunkStore {
    /// New chunks go to `place`; those in the object store are reached wherever new ones go.
    pub fn with_s3(place: ChunkPlace, options: &S3Options) -> Result<Self, StoreError> {
        let mut client = ClientOptions::new()
            .with_allow_http(options.allow_http)
            .with_timeout(Duration::from_secs(60))
            .with_connect_timeout(Duration::from_secs(5));
        if let Some(pem) = &options.ca_pem {
            let roots =
                Certificate::from_pem_bundle(pem).map_err(|source| failed("read the store's CA", source))?;
            client = roots.into_iter().fold(client, ClientOptions::with_root_certificate);
        }
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&options.bucket)
            .with_region(&options.region)
            .with_client_options(client)
            // A hiccup is tried again here; what lasts longer is the job runner's.
            .with_retry(RetryConfig { max_retries: 2, ..RetryConfig::default() });
        if let Some(endpoint) = &options.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        if let (Some(id), Some(secret)) = (&options.access_key_id, &options.secret_access_key) {
            builder = builder.with_access_key_id(id).with_secret_access_key(secret.expose());
        }
        let store = builder.build().map_err(|source| failed("open the object store", source))?;
        Ok(Self {
            place,
            objects: Some(Objects { store: Arc::new(store), prefix: Path::from(options.prefix.as_str()) }),
        })
    }

    /// Where new chunks go.
    #[must_use]
    pub fn place(&self) -> ChunkPlace {
        self.place
    }

    /// Keeps chunk number `body.chunks` of a body that is on its way, for whoever holds the lease: what comes later would be
    /// swept away by nobody.
    pub async fn put(
        &self,
        db: &Database,
        at: FileAt<'_>,
        (lease, body): (&Lease, &Body),
        sealed: Vec<u8>,
    ) -> Result<(), StoreError> {
        let n = body.chunks;
        if let (ChunkPlace::Objects, Some(objects)) = (body.place, &self.objects) {
            let key = objects.key(at, Some((body.load, n)));
            job_touch(&db.control().await?, lease, None).await?;
            objects
                .store
                .put(&key, PutPayload::from(sealed))
                .await
                .map_err(|source| failed("keep a chunk of a file", source))?;
            return Ok(());
        }
        let mut client = db.tenant().await?;
        let tx = TenantTx::begin(&mut client, at.scope).await?;
        chunk_put(&tx, at.connection, at.file, body.load, n, &sealed).await?;
        job_touch(tx.sql(), lease, None).await?;
        tx.commit().await
    }

    /// A sealed chunk.
    pub async fn get(
        &self,
        db: &Database,
        at: FileAt<'_>,
        body: &Body,
        n: i32,
    ) -> Result<Vec<u8>, StoreError> {
        match body.place {
            ChunkPlace::Database => {
                let mut client = db.tenant().await?;
                let tx = TenantTx::begin(&mut client, at.scope).await?;
                let sealed = chunk_get(&tx, at.connection, at.file, body.load, n).await?;
                tx.commit().await?;
                Ok(sealed)
            }
            ChunkPlace::Objects => {
                let objects = self.objects.as_ref().ok_or(StoreError::Missing("the object store"))?;
                let key = objects.key(at, Some((body.load, n)));
                let read = async { objects.store.get(&key).await?.bytes().await };
                let bytes = read.await.map_err(|source| failed("read a chunk of a file", source))?;
                Ok(bytes.into())
            }
        }
    }

    /// Removes the objects of some of a file's loads; chunks in the database go with their file's row.
    pub async fn sweep(&self, at: FileAt<'_>, loads: Loads) -> Result<(), StoreError> {
        let Some(objects) = &self.objects else { return Ok(()) };
        let all = objects.key(at, None);
        let found: Vec<_> = objects
            .store
            .list(Some(&all))
            .try_collect()
            .await
            .map_err(|source| failed("list the chunks of a file", source))?;
        for object in found {
            let mut rest = object.location.prefix_match(&all).into_iter().flatten();
            let load = rest.next().and_then(|part| Uuid::parse_str(part.as_ref()).ok());
            if load.is_none_or(|load| loads.has(load)) {
                objects
                    .store
                    .delete(&object.location)
                    .await
                    .map_err(|source| failed("remove a chunk of a file", source))?;
            }
        }
        Ok(())
    }
}

impl Objects {
    fn key(&self, at: FileAt<'_>, chunk: Option<(Uuid, i32)>) -> Path {
        let tenant = self.prefix.clone().join(at.scope.tenant().0.to_string());
        let key = tenant.join(at.connection.0.to_string()).join(at.file);
        match chunk {
            Some((load, n)) => key.join(load.to_string()).join(format!("{n:06}")),
            None => key,
        }
    }
}

fn failed(what: &'static str, source: object_store::Error) -> StoreError {
    StoreError::Objects { what, source: Box::new(source) }
}
