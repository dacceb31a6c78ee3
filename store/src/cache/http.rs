//! A cache on a web server; one that takes `PUT` can be written, too.

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use super::place::{Cancelled, Contents, Place, PlaceError, Reader};
use crate::transport::{Broken, Http, RequestBuilder, Resuming, StatusCode, StreamError, send};

/// Where and how a file is reached: plainly, or by an address that is signed
/// for one use.
pub(super) trait Addresses: Send + Sync + std::fmt::Debug {
    /// The place, without what is secret.
    fn shown(&self) -> &str;

    fn request(&self, http: &Http, method: Method, name: &str) -> Result<RequestBuilder, StreamError>;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Head,
    Put,
}

/// `http://` and `https://`.
#[derive(Debug)]
struct Plain {
    base: String,
}

impl Addresses for Plain {
    fn shown(&self) -> &str {
        &self.base
    }

    fn request(&self, http: &Http, method: Method, name: &str) -> Result<RequestBuilder, StreamError> {
        let client = http.client().map_err(|error| StreamError::Failed(error.to_string()))?;
        let address = format!("{}/{name}", self.base);
        Ok(match method {
            Method::Get => client.get(address),
            Method::Head => client.head(address),
            Method::Put => client.put(address),
        })
    }
}

/// See the module.
#[derive(Debug)]
pub struct Server {
    http: Arc<Http>,
    addresses: Box<dyn Addresses>,
}

impl Server {
    pub fn new(http: Arc<Http>, base: &str) -> Self {
        Self::with(http, Box::new(Plain { base: base.trim_end_matches('/').to_owned() }))
    }

    pub(super) fn with(http: Arc<Http>, addresses: Box<dyn Addresses>) -> Self {
        Self { http, addresses }
    }

    fn failed(&self, action: &'static str, name: &str, error: StreamError) -> PlaceError {
        if matches!(error, StreamError::Interrupted) {
            return PlaceError::Interrupted;
        }
        let address = format!("{}/{name}", self.addresses.shown());
        PlaceError::Failed { action, address, reason: error.to_string() }
    }

    /// Sends a request without an answer worth reading; its status.
    fn ask(
        &self,
        method: Method,
        name: &str,
        contents: Option<Contents<'_>>,
        cancelled: &Cancelled<'_>,
    ) -> Result<StatusCode, StreamError> {
        let mut request = self.addresses.request(&self.http, method, name)?;
        match contents {
            None => request = request.timeout(Duration::from_secs(60)),
            Some(Contents::Bytes(bytes)) => request = request.body(bytes.to_vec()),
            Some(Contents::File(path)) => {
                let file = File::open(path).map_err(|error| StreamError::Failed(error.to_string()))?;
                // Bounds the whole of a request that has a body.
                request = request.timeout(Duration::from_secs(24 * 3600)).body(file);
            }
        }
        match send(request, cancelled) {
            Ok((head, _)) => Ok(head.status),
            Err(Broken::Cancelled) => Err(StreamError::Interrupted),
            Err(Broken::Failed(reason)) => Err(StreamError::Failed(reason)),
        }
    }
}

impl Place for Server {
    fn address(&self) -> &str {
        self.addresses.shown()
    }

    fn read(
        &self,
        name: &str,
        cancelled: &Cancelled<'_>,
        reader: &mut Reader<'_>,
    ) -> Result<bool, PlaceError> {
        let make = || self.addresses.request(&self.http, Method::Get, name);
        let stream = Resuming::open(&make, cancelled).map_err(|error| self.failed("read", name, error))?;
        let Some(mut stream) = stream else { return Ok(false) };
        let total = stream.total_bytes();
        match reader(&mut stream, total) {
            Ok(()) => Ok(true),
            Err(error) => {
                let error = error.downcast::<StreamError>();
                Err(self.failed("read", name, error.unwrap_or_else(|e| StreamError::Failed(e.to_string()))))
            }
        }
    }

    fn exists(&self, name: &str, cancelled: &Cancelled<'_>) -> Result<bool, PlaceError> {
        match self.ask(Method::Head, name, None, cancelled) {
            Ok(status) if status.is_success() => Ok(true),
            Ok(status) if crate::transport::is_absence(status) => Ok(false),
            Ok(status) => Err(self.failed("look for", name, StreamError::Status(status))),
            Err(error) => Err(self.failed("look for", name, error)),
        }
    }

    fn put(&self, name: &str, contents: Contents<'_>, cancelled: &Cancelled<'_>) -> Result<(), PlaceError> {
        match self.ask(Method::Put, name, Some(contents), cancelled) {
            Ok(status) if status.is_success() => Ok(()),
            Ok(status) => Err(self.failed("write", name, StreamError::Status(status))),
            Err(error) => Err(self.failed("write", name, error)),
        }
    }
}
