//! `[files]`: where bodies of files are kept.

use std::path::PathBuf;

use super::reader::Reader;
use crate::secret::Secret;

/// `[files]`
#[derive(Debug, Clone)]
pub struct Files {
    /// Where new bodies go.
    pub place: FilesPlace,
    /// The object store; needed for `objects`, and as long as bodies are there.
    pub s3: Option<S3>,
}

/// Where new bodies go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilesPlace {
    /// PostgreSQL.
    Database,
    /// The object store.
    Objects,
}

/// An object store that speaks S3.
#[derive(Debug, Clone)]
pub struct S3 {
    /// The bucket.
    pub bucket: String,
    /// Its region.
    pub region: String,
    /// Another endpoint than the region's own.
    pub endpoint: Option<String>,
    /// What the keys of all objects begin with.
    pub prefix: String,
    /// The access key's id; what the machine gives (instance role, web identity) unless given.
    pub access_key_id: Option<String>,
    /// Its secret.
    pub secret_access_key: Option<Secret<String>>,
    /// Whether plain HTTP is allowed.
    pub allow_http: bool,
    /// A private CA, PEM.
    pub ca_file: Option<PathBuf>,
}

impl Files {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let place = reader.word(
            "files",
            "place",
            &[("database", FilesPlace::Database), ("objects", FilesPlace::Objects)],
            "database",
        );
        let text = |reader: &mut Reader, key, default| {
            Some(reader.text("files", key, default)).filter(|text| !text.is_empty())
        };
        let bucket = text(reader, "bucket", "");
        let s3 = S3 {
            bucket: bucket.clone().unwrap_or_default(),
            region: reader.text("files", "region", "us-east-1"),
            endpoint: text(reader, "endpoint", ""),
            prefix: reader.text("files", "prefix", "refrain"),
            access_key_id: text(reader, "access_key_id", ""),
            secret_access_key: reader.optional_secret(
                "files",
                "secret_access_key",
                "the access key's secret",
            ),
            allow_http: reader.truth("files", "allow_http", false),
            ca_file: super::sections::existing_file(reader, "files", "ca_file"),
        };
        if s3.access_key_id.is_some() != s3.secret_access_key.is_some() {
            reader.problem(
                "files.access_key_id",
                "only one of access_key_id and secret_access_key is given".to_owned(),
                "a request is signed with both",
                "give both, or neither to use what the machine gives",
            );
        }
        if s3.endpoint.as_deref().is_some_and(|endpoint| endpoint.starts_with("http://")) && !s3.allow_http {
            reader.problem(
                "files.endpoint",
                "it is plain HTTP".to_owned(),
                "keys of files would be seen on the wire",
                "write https://, or set files.allow_http for a store on this machine",
            );
        }
        if place == FilesPlace::Objects && bucket.is_none() {
            reader.problem(
                "files.bucket",
                "it is not set".to_owned(),
                "bodies of files are to go to an object store",
                "name a bucket, or keep files.place = \"database\"",
            );
        }
        Self { place, s3: bucket.map(|_| s3) }
    }
}
