//! A store served to others on the network, as a binary cache that is made up
//! as it is asked for.
//!
//! Read-only: what can be asked for are names that this module makes, never
//! paths. Archives go out as they are, since a local network is faster than a
//! compressor.

use std::convert::Infallible;
use std::io::{self, Write};
use std::net::TcpListener;
use std::sync::Arc;

use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, RANGE};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::sync::mpsc;

use super::{CACHE_INFO, cache_info_text, description, signed_action};
use crate::action::ActionKey;
use crate::error::{StoreError, one_line};
use crate::local::{LocalStore, ObjectInfo};
use crate::nar::dump_path;
use crate::narinfo::Compression;
use crate::signature::SecretKey;

/// Chunks of an archive that may wait for a slow client.
pub(super) const WAITING_CHUNKS: usize = 8;
pub(super) const CHUNK_BYTES: usize = 128 << 10;

/// What a server needs.
pub struct StoreServer {
    store: Arc<LocalStore>,
    keys: Vec<SecretKey>,
    priority: u32,
}

pub(super) type Body = BoxBody<Bytes, io::Error>;

impl StoreServer {
    /// Signs with every one of `keys`. A lower priority number is asked
    /// earlier.
    pub fn new(store: Arc<LocalStore>, keys: Vec<SecretKey>, priority: u32) -> Self {
        Self { store, keys, priority }
    }

    /// Answers until `stopped` says so, which is asked every now and then.
    /// `log` gets a line for each request.
    ///
    /// # Errors
    /// The listener does not work.
    pub fn run(
        self,
        listener: TcpListener,
        stopped: impl Fn() -> bool,
        log: impl Fn(&str) + Send + Sync + 'static,
    ) -> io::Result<()> {
        let server = Arc::new(self);
        let answer =
            move |request: &Request<Incoming>| server.answer(request).map_err(|error| one_line(&error));
        listen(listener, stopped, log, answer)
    }

    fn answer(&self, request: &Request<Incoming>) -> Result<Response<Body>, StoreError> {
        if ![Method::GET, Method::HEAD].contains(request.method()) {
            return Ok(plain(StatusCode::METHOD_NOT_ALLOWED, "this cache is read-only\n"));
        }
        let name = request.uri().path().trim_start_matches('/');
        let text = match name.split_once('/') {
            None if name == CACHE_INFO => Some(cache_info_text(self.store.store_dir(), self.priority)),
            None => match name.strip_suffix(".narinfo") {
                Some(digest) => self.store.info_by_hash_part(digest)?.map(|info| self.narinfo(&info)),
                None => None,
            },
            Some(("actions", key)) => self.action(key)?,
            Some(("nar", file)) => return self.archive(file, request),
            Some(_) => None,
        };
        Ok(match text {
            Some(text) => plain(StatusCode::OK, &text),
            None => plain(StatusCode::NOT_FOUND, "there is no such file\n"),
        })
    }

    fn narinfo(&self, object: &ObjectInfo) -> String {
        let store_dir = self.store.store_dir();
        let url = format!("nar/{}", archive_name(object));
        let file = (object.nar_hash.clone(), object.nar_size_bytes);
        description(store_dir, object, url, Compression::None, file, &self.keys).to_text(store_dir)
    }

    fn action(&self, key: &str) -> Result<Option<String>, StoreError> {
        let Some(key) = ActionKey::from_hex(key) else { return Ok(None) };
        Ok(self.store.action(key)?.map(|row| signed_action(key, &row, &self.keys)))
    }

    fn archive(&self, file: &str, request: &Request<Incoming>) -> Result<Response<Body>, StoreError> {
        let absent = || plain(StatusCode::NOT_FOUND, "there is no such archive\n");
        let Some((digest, _)) = file.split_once('-') else { return Ok(absent()) };
        let Some(object) = self.store.info_by_hash_part(digest)? else { return Ok(absent()) };
        if archive_name(&object) != file {
            return Ok(absent());
        }
        let size = object.nar_size_bytes;
        let from = request.headers().get(RANGE).and_then(|range| range.to_str().ok()).and_then(range_start);
        let from = from.filter(|from| *from < size).unwrap_or(0);
        let mut response = Response::builder()
            .header(CONTENT_TYPE, "application/x-nix-nar")
            .header(CONTENT_LENGTH, size - from)
            .header(ACCEPT_RANGES, "bytes")
            .header(ETAG, format!("\"{}\"", object.nar_hash.to_nix_base32()));
        if from > 0 {
            response = response
                .status(StatusCode::PARTIAL_CONTENT)
                .header(CONTENT_RANGE, format!("bytes {from}-{}/{size}", size - 1));
        }
        let body = if request.method() == Method::HEAD { empty() } else { self.stream(object, from) };
        Ok(response.body(body).expect("every header is well-formed"))
    }

    /// An archive from a byte on, made while it is sent.
    fn stream(&self, object: ObjectInfo, from: u64) -> Body {
        let (sender, receiver) = mpsc::channel(WAITING_CHUNKS);
        let store = Arc::clone(&self.store);
        tokio::task::spawn_blocking(move || {
            let mut out = Sending { sender, skip: from, chunk: Vec::with_capacity(2 * CHUNK_BYTES) };
            // While it is sent it stays.
            let sent = store.hold_objects().and_then(|_held| {
                dump_path(&store.physical(&object.path), &mut out)?;
                out.flush().map_err(StoreError::io("send", &store.physical(&object.path)))
            });
            if let Err(error) = sent {
                // The client sees a connection that broke, which it is.
                let _ = out.sender.blocking_send(Err(io::Error::other(one_line(&error))));
            }
        });
        StreamBody::new(Chunks(receiver)).boxed()
    }
}

/// Answers requests until `stopped` says so. An `answer` that fails says why, for
/// `log` alone.
pub(super) fn listen(
    listener: TcpListener,
    stopped: impl Fn() -> bool,
    log: impl Fn(&str) + Send + Sync + 'static,
    answer: impl Fn(&Request<Incoming>) -> Result<Response<Body>, String> + Send + Sync + 'static,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (answer, log) = (Arc::new(answer), Arc::new(log));
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        loop {
            let Ok(accepted) = tokio::time::timeout(crate::transport::LOOK, listener.accept()).await else {
                if stopped() {
                    return Ok(());
                }
                continue;
            };
            // One client that went away is no reason to end.
            let Ok((stream, _)) = accepted else { continue };
            let (answer, log) = (Arc::clone(&answer), Arc::clone(&log));
            tokio::spawn(async move {
                let service = service_fn(move |request: Request<Incoming>| {
                    let (answer, log) = (Arc::clone(&answer), Arc::clone(&log));
                    async move {
                        let line = format!("{} {}", request.method(), request.uri().path());
                        let answer = match tokio::task::spawn_blocking(move || answer(&request)).await {
                            Ok(Ok(answer)) => answer,
                            Ok(Err(error)) => {
                                log(&format!("{line}: {error}"));
                                plain(StatusCode::INTERNAL_SERVER_ERROR, "what is asked for cannot be read\n")
                            }
                            Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, "a bug, please report it\n"),
                        };
                        log(&format!("{line}: {}", answer.status().as_u16()));
                        Ok::<_, Infallible>(answer)
                    }
                });
                let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                let _ = builder.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    })
}

/// `<digest>-<archive hash>.nar`: another archive has another name.
fn archive_name(object: &ObjectInfo) -> String {
    format!("{}-{}.nar", object.path.hash_part(), object.nar_hash.to_nix_base32())
}

/// The first byte of `bytes=N-`; other ranges may be ignored.
fn range_start(range: &str) -> Option<u64> {
    range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
}

pub(super) fn plain(status: StatusCode, text: &str) -> Response<Body> {
    let body = Full::new(Bytes::from(text.to_owned())).map_err(|never| match never {}).boxed();
    let response = Response::builder().status(status).header(CONTENT_TYPE, "text/plain");
    response.body(body).expect("every header is well-formed")
}

pub(super) fn empty() -> Body {
    Full::new(Bytes::new()).map_err(|never| match never {}).boxed()
}

/// Sends what is written to it, in chunks.
struct Sending {
    sender: mpsc::Sender<io::Result<Bytes>>,
    skip: u64,
    chunk: Vec<u8>,
}

impl Write for Sending {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let skipped = self.skip.min(bytes.len() as u64);
        self.skip -= skipped;
        self.chunk.extend_from_slice(&bytes[skipped as usize..]);
        if self.chunk.len() >= CHUNK_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let chunk = std::mem::replace(&mut self.chunk, Vec::with_capacity(2 * CHUNK_BYTES));
        let gone = |_| io::Error::new(io::ErrorKind::BrokenPipe, "the client went away");
        self.sender.blocking_send(Ok(Bytes::from(chunk))).map_err(gone)
    }
}

/// What is sent, as a body wants it.
pub(super) struct Chunks(pub(super) mpsc::Receiver<io::Result<Bytes>>);

impl futures_core::Stream for Chunks {
    type Item = io::Result<Frame<Bytes>>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.0.poll_recv(context).map(|chunk| chunk.map(|chunk| chunk.map(Frame::data)))
    }
}
