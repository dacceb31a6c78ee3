//! A cache in a bucket of an S3-compatible service. Every request has an
//! address of its own, signed for a few minutes.
//!
//! Source: Amazon S3 API Reference, "Authenticating Requests: Using Query
//! Parameters (AWS Signature Version 4)".

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};

use super::CacheError;
use super::http::{Addresses, Method, Server};
use crate::transport::{Http, RequestBuilder, StreamError};

/// How long a signed address is good for: connections are made at once.
const GOOD_FOR: Duration = Duration::from_secs(600);
const DEFAULT_REGION: &str = "us-east-1";

/// Who asks. Without keys requests are not signed, for buckets that everybody
/// may read.
#[derive(Clone, Default)]
pub struct S3Keys {
    pub access_key: String,
    pub secret_key: String,
    pub session_token: Option<String>,
}

/// Nothing of it.
impl fmt::Debug for S3Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("S3Keys")
    }
}

struct S3 {
    bucket: Bucket,
    /// Before every name: empty, or ends in a slash.
    prefix: String,
    credentials: Option<Credentials>,
    shown: String,
}

impl fmt::Debug for S3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl Addresses for S3 {
    fn shown(&self) -> &str {
        &self.shown
    }

    fn request(&self, http: &Http, method: Method, name: &str) -> Result<RequestBuilder, StreamError> {
        let client = http.client().map_err(|error| StreamError::Failed(error.to_string()))?;
        let key = format!("{}{name}", self.prefix);
        let credentials = self.credentials.as_ref();
        Ok(match method {
            Method::Get => client.get(self.bucket.get_object(credentials, &key).sign(GOOD_FOR)),
            Method::Head => client.head(self.bucket.head_object(credentials, &key).sign(GOOD_FOR)),
            Method::Put => client.put(self.bucket.put_object(credentials, &key).sign(GOOD_FOR)),
        })
    }
}

/// The cache at `s3://BUCKET[/PREFIX][?endpoint=ADDRESS&region=NAME]`.
///
/// # Errors
/// [`CacheError::Address`].
pub(super) fn at(address: &str, keys: Option<&S3Keys>, http: &Arc<Http>) -> Result<Server, CacheError> {
    let bad = || CacheError::Address(address.to_owned());
    let rest = address.strip_prefix("s3://").ok_or_else(bad)?;
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (name, prefix) = place.split_once('/').unwrap_or((place, ""));
    if name.is_empty() {
        return Err(bad());
    }
    let (mut endpoint, mut region) = (None, DEFAULT_REGION);
    for (option, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        match option {
            "endpoint" if value.contains("://") => endpoint = Some(value.to_owned()),
            "endpoint" => endpoint = Some(format!("https://{value}")),
            "region" => region = value,
            _ => return Err(bad()),
        }
    }
    // A service of one's own seldom has a host name for each bucket.
    let style = if endpoint.is_some() { UrlStyle::Path } else { UrlStyle::VirtualHost };
    let endpoint = endpoint.unwrap_or_else(|| format!("https://s3.{region}.amazonaws.com"));
    let endpoint = endpoint.parse().map_err(|_| bad())?;
    let bucket = Bucket::new(endpoint, style, name.to_owned(), region.to_owned()).map_err(|_| bad())?;
    let prefix = prefix.trim_end_matches('/');
    let credentials = keys.map(|keys| match &keys.session_token {
        Some(token) => Credentials::new_with_token(&keys.access_key, &keys.secret_key, token),
        None => Credentials::new(&keys.access_key, &keys.secret_key),
    });
    let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
    let shown = format!("s3://{place}").trim_end_matches('/').to_owned();
    Ok(Server::with(Arc::clone(http), Box::new(S3 { bucket, prefix, credentials, shown })))
}
