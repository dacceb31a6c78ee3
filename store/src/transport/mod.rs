//! HTTP as everything here uses it: one client, requests that can be given up
//! at any moment, answers that go on where a connection broke.

mod request;
mod resume;

use std::sync::OnceLock;
use std::time::Duration;

pub use request::{Broken, Head, LOOK, Transfer, pause, send};
pub use reqwest::StatusCode;
pub use reqwest::blocking::RequestBuilder;
pub(crate) use resume::is_absence;
pub use resume::{MakeRequest, Resuming, StreamError};

/// The client, made when first used: it reads the host's certificates, which a
/// run that downloads nothing need not wait for.
#[derive(Debug, Default)]
pub struct Http {
    client: OnceLock<reqwest::blocking::Client>,
}

/// The HTTP client could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up the HTTP client")]
pub struct ClientError(#[source] reqwest::Error);

impl Http {
    /// # Errors
    /// [`ClientError`].
    pub fn client(&self) -> Result<&reqwest::blocking::Client, ClientError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = reqwest::blocking::Client::builder()
            .user_agent(concat!("osbuild/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(15))
            // In the blocking client this bounds each read, not the whole.
            .timeout(Duration::from_secs(60))
            .redirect(reqwest::redirect::Policy::limited(5))
            .build()
            .map_err(ClientError)?;
        Ok(self.client.get_or_init(|| client))
    }
}

/// Whether a status says that asking again may help.
pub fn is_worth_another_try(status: StatusCode) -> bool {
    status.is_server_error() || [StatusCode::TOO_MANY_REQUESTS, StatusCode::REQUEST_TIMEOUT].contains(&status)
}
