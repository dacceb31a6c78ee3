//! The node's API: HTTP over a Unix socket. The agents have a client of their own,
//! in a workspace that this one is kept apart from.

use std::path::PathBuf;
use std::time::Duration;

use http::Request;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;
use tokio::time::timeout;

/// A little more than the API gives those whom it asks.
const LIMIT: Duration = Duration::from_secs(70);
/// Of an answer; the API's own limit.
const MOST_BYTES: usize = 8 << 20;

pub struct Host {
    pub socket: PathBuf,
}

impl Host {
    /// # Errors
    /// Nobody answers, or the answer is a refusal: its reason.
    pub async fn get(&self, path: &str) -> Result<Value, String> {
        self.ask("GET", path).await
    }

    /// # Errors
    /// As [`Host::get`].
    pub async fn post(&self, path: &str) -> Result<Value, String> {
        self.ask("POST", path).await
    }

    async fn ask(&self, method: &str, path: &str) -> Result<Value, String> {
        let (status, body) = match timeout(LIMIT, self.exchange(method, path)).await {
            Ok(answered) => answered.map_err(|error| format!("{}: {error}", self.socket.display()))?,
            Err(_) => {
                return Err(format!("{}: no answer within {} s", self.socket.display(), LIMIT.as_secs()));
            }
        };
        let record: Value = serde_json::from_slice(&body).map_err(|error| format!("{path}: {error}"))?;
        if (200..300).contains(&status) {
            return Ok(record);
        }
        let message = record["error"]["message"].as_str().unwrap_or("it does not say why");
        Err(format!("{path}: {message}"))
    }

    async fn exchange(
        &self,
        method: &str,
        path: &str,
    ) -> Result<(u16, Bytes), Box<dyn std::error::Error + Send + Sync>> {
        let stream = UnixStream::connect(&self.socket).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost")
            .body(Empty::<Bytes>::new())?;
        let response = sender.send_request(request).await?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), MOST_BYTES).collect().await?.to_bytes();
        connection.abort();
        Ok((status, body))
    }
}
