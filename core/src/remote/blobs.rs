//! Blobs to and from content-addressable storage.
//!
//! Source: `remote_execution.proto`, service ContentAddressableStorage;
//! `bytestream.proto`.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};

use bazel_remote_apis::build::bazel::remote::execution::v2 as api;
use bazel_remote_apis::google::bytestream::byte_stream_client::ByteStreamClient;
use bazel_remote_apis::google::bytestream::{ReadRequest, WriteRequest, WriteResponse};
use osbuild_store::{StoreError, StorePath};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::mpsc;
use tonic::Status;

use super::connection::{Remote, Service, Tries};
use super::digest::{Digest, Hasher};
use super::{Cancelled, RemoteError};

/// Digests of one question: some 100 bytes each.
const QUESTION: usize = 10_000;
/// Of a stream, in one message.
const CHUNK_BYTES: usize = 512 << 10;
/// Chunks between the one who makes them and the network.
const CHUNKS: usize = 4;
/// What a blob adds to a batch beside its bytes.
const ENTRY_BYTES: u64 = 128;

/// What steps at the same time share.
#[derive(Default)]
pub(super) struct InFlight {
    /// Blobs that are being sent now: an input of many steps is sent once.
    sending: Mutex<HashMap<Digest, Arc<Mutex<bool>>>>,
    /// Digests that had to be computed.
    hashed: Mutex<HashMap<StorePath, Digest>>,
}

impl InFlight {
    pub(super) fn hashed(&self, path: &StorePath) -> Option<Digest> {
        self.hashed.lock().unwrap_or_else(PoisonError::into_inner).get(path).cloned()
    }

    pub(super) fn note_hashed(&self, path: StorePath, digest: Digest) {
        self.hashed.lock().unwrap_or_else(PoisonError::into_inner).insert(path, digest);
    }
}

impl Remote {
    /// Those of `digests` that the storage lacks.
    pub(super) fn missing(
        &self,
        digests: &[Digest],
        cancelled: &Cancelled<'_>,
    ) -> Result<HashSet<Digest>, RemoteError> {
        let asked: HashSet<&Digest> = digests.iter().collect();
        let mut missing = HashSet::new();
        for part in digests.chunks(QUESTION) {
            let request = api::FindMissingBlobsRequest {
                instance_name: self.instance.clone(),
                // An empty blob is everywhere.
                blob_digests: part.iter().filter(|d| d.size_bytes > 0).map(Digest::to_api).collect(),
                digest_function: self.function.to_api(),
            };
            let answer = self.call("ask which blobs are missing", cancelled, async || {
                self.storage().find_missing_blobs(request.clone()).await
            })?;
            for digest in &answer.missing_blob_digests {
                let digest = Digest::read(digest);
                missing.extend(digest.filter(|digest| asked.contains(digest)));
            }
        }
        Ok(missing)
    }

    /// Sends small blobs, many in a call.
    pub(super) fn send_all(
        &self,
        blobs: &BTreeMap<Digest, Vec<u8>>,
        cancelled: &Cancelled<'_>,
    ) -> Result<(), RemoteError> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        for (digest, data) in blobs.iter().filter(|(digest, _)| digest.size_bytes > 0) {
            let cost = digest.size_bytes + ENTRY_BYTES;
            if cost > self.batch_bytes {
                self.send(digest, cancelled, &mut |out| {
                    out.write_all(data).map_err(|source| not_sent(digest, source))
                })?;
                continue;
            }
            if bytes + cost > self.batch_bytes {
                self.send_batch(std::mem::take(&mut batch), cancelled)?;
                bytes = 0;
            }
            bytes += cost;
            batch.push(api::batch_update_blobs_request::Request {
                digest: Some(digest.to_api()),
                data: data.clone(),
                compressor: 0,
            });
        }
        if batch.is_empty() { Ok(()) } else { self.send_batch(batch, cancelled) }
    }

    fn send_batch(
        &self,
        requests: Vec<api::batch_update_blobs_request::Request>,
        cancelled: &Cancelled<'_>,
    ) -> Result<(), RemoteError> {
        let request = api::BatchUpdateBlobsRequest {
            instance_name: self.instance.clone(),
            requests,
            digest_function: self.function.to_api(),
        };
        let answer = self.call("send blobs", cancelled, async || {
            self.storage().batch_update_blobs(request.clone()).await
        })?;
        for response in answer.responses {
            if let Some(status) = response.status.filter(|status| status.code != 0) {
                return Err(self.failed("send a blob", &Status::new(status.code.into(), status.message)));
            }
        }
        Ok(())
    }

    /// Sends one blob as it is written; another step that sends the same waits
    /// and sends nothing.
    pub(super) fn send(
        &self,
        digest: &Digest,
        cancelled: &Cancelled<'_>,
        write: &mut dyn FnMut(&mut dyn Write) -> Result<(), StoreError>,
    ) -> Result<(), RemoteError> {
        let mine = {
            let mut sending = self.in_flight.sending.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(sending.entry(digest.clone()).or_default())
        };
        let mut is_sent = mine.lock().unwrap_or_else(PoisonError::into_inner);
        if *is_sent {
            return Ok(());
        }
        let result = self.stream(digest, cancelled, write);
        *is_sent = result.is_ok();
        let mut sending = self.in_flight.sending.lock().unwrap_or_else(PoisonError::into_inner);
        sending.remove(digest);
        result
    }

    fn stream(
        &self,
        digest: &Digest,
        cancelled: &Cancelled<'_>,
        write: &mut dyn FnMut(&mut dyn Write) -> Result<(), StoreError>,
    ) -> Result<(), RemoteError> {
        let mut tries = Tries::default();
        loop {
            match self.stream_once(digest, cancelled, write)? {
                Ok(committed) if committed == digest.size_bytes.cast_signed() || committed == -1 => {
                    return Ok(());
                }
                Ok(committed) => {
                    return Err(
                        self.wrong(format!("it took {committed} bytes of a blob of {}", digest.size_bytes))
                    );
                }
                Err(status) => {
                    if !self.wait(cancelled, async { Ok(tries.again(&status).await) })? {
                        return Err(self.failed("send a blob", &status));
                    }
                }
            }
        }
    }

    fn stream_once(
        &self,
        digest: &Digest,
        cancelled: &Cancelled<'_>,
        write: &mut dyn FnMut(&mut dyn Write) -> Result<(), StoreError>,
    ) -> Result<Result<i64, Status>, RemoteError> {
        let (sender, receiver) = mpsc::channel(CHUNKS);
        let mut client = ByteStreamClient::new(self.service());
        let call = self.runtime.spawn(async move {
            client
                .write(Messages(receiver))
                .await
                .map(|answer: tonic::Response<WriteResponse>| answer.into_inner().committed_size)
        });
        let name = format!(
            "{}uploads/{}/blobs/{}{}/{}",
            self.prefix(),
            unique_name(),
            self.function.segment(),
            digest.hash,
            digest.size_bytes
        );
        let mut chunks =
            Chunks { remote: self, cancelled, sender, name: Some(name), offset: 0, chunk: Vec::new() };
        let written = write(&mut chunks);
        if cancelled() {
            call.abort();
            return Err(RemoteError::Interrupted);
        }
        match written {
            Ok(()) => {
                let _ = chunks.send(true);
            }
            // The other side stopped listening: it has the blob, or says why.
            Err(_) if chunks.sender.is_closed() => {}
            Err(error) => {
                call.abort();
                return Err(error.into());
            }
        }
        drop(chunks);
        self.wait(cancelled, async {
            Ok(call.await.unwrap_or_else(|error| Err(Status::internal(error.to_string()))))
        })
    }

    fn prefix(&self) -> String {
        if self.instance.is_empty() { String::new() } else { format!("{}/", self.instance) }
    }

    /// Gives a blob to `reader` as it comes; whether there is one. Reading to
    /// the end fails unless the bytes are those of the digest.
    pub(super) fn read_blob(
        &self,
        digest: &Digest,
        cancelled: &Cancelled<'_>,
        reader: &mut dyn FnMut(&mut dyn Read) -> io::Result<()>,
    ) -> Result<bool, RemoteError> {
        let (sender, receiver) = mpsc::channel(CHUNKS);
        let name = format!(
            "{}blobs/{}{}/{}",
            self.prefix(),
            self.function.segment(),
            digest.hash,
            digest.size_bytes
        );
        let fetch = fetch(ByteStreamClient::new(self.service()), name, digest.size_bytes, sender);
        let call = self.runtime.spawn(fetch);
        let mut incoming = Incoming {
            remote: self,
            cancelled,
            receiver,
            chunk: Vec::new(),
            taken: 0,
            expected: digest,
            hasher: Some(self.function.hasher()),
            status: None,
        };
        if digest.size_bytes == 0 {
            incoming.receiver.close();
        }
        let read = reader(&mut incoming);
        let status = incoming.status.take();
        drop(incoming);
        call.abort();
        if cancelled() {
            return Err(RemoteError::Interrupted);
        }
        match (status, read) {
            (Some(status), _) if status.code() == tonic::Code::NotFound => Ok(false),
            (Some(status), _) => Err(self.failed("read a blob", &status)),
            (None, Ok(())) => Ok(true),
            (None, Err(error)) => Err(self.wrong(error.to_string())),
        }
    }

    /// A small blob whole; `None` if there is none.
    pub(super) fn read_small(
        &self,
        digest: &Digest,
        limit_bytes: u64,
        cancelled: &Cancelled<'_>,
    ) -> Result<Option<Vec<u8>>, RemoteError> {
        if digest.size_bytes > limit_bytes {
            return Err(self
                .wrong(format!("a blob has {} bytes, at most {limit_bytes} make sense", digest.size_bytes)));
        }
        let mut bytes = Vec::new();
        let found = self.read_blob(digest, cancelled, &mut |stream| {
            bytes.clear();
            stream.read_to_end(&mut bytes).map(|_| ())
        })?;
        Ok(found.then_some(bytes))
    }
}

fn not_sent(digest: &Digest, source: io::Error) -> StoreError {
    StoreError::Io { action: "send the blob", path: digest.hash.clone().into(), source }
}

/// Reads a blob into a channel, going on where it was cut off.
async fn fetch(
    mut client: ByteStreamClient<Service>,
    resource_name: String,
    size_bytes: u64,
    sender: mpsc::Sender<Result<Vec<u8>, Status>>,
) {
    let mut offset = 0u64;
    let mut tries = Tries::default();
    loop {
        let request = ReadRequest {
            resource_name: resource_name.clone(),
            read_offset: offset.cast_signed(),
            read_limit: 0,
        };
        let failed = match client.read(request).await {
            Err(status) => status,
            Ok(answer) => {
                let mut stream = answer.into_inner();
                loop {
                    match stream.message().await {
                        Ok(Some(message)) => {
                            offset += message.data.len() as u64;
                            tries = Tries::default();
                            // Whoever reads gave up, or got more than there is.
                            if offset > size_bytes || sender.send(Ok(message.data)).await.is_err() {
                                return;
                            }
                        }
                        Ok(None) => return,
                        Err(status) => break status,
                    }
                }
            }
        };
        if !tries.again(&failed).await {
            let _ = sender.send(Err(failed)).await;
            return;
        }
    }
}

/// The messages of an upload.
struct Messages(mpsc::Receiver<WriteRequest>);

impl futures_core::Stream for Messages {
    type Item = WriteRequest;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<WriteRequest>> {
        self.0.poll_recv(context)
    }
}

/// Cuts what is written into messages.
struct Chunks<'r> {
    remote: &'r Remote,
    cancelled: &'r Cancelled<'r>,
    sender: mpsc::Sender<WriteRequest>,
    /// The first message has it.
    name: Option<String>,
    offset: u64,
    chunk: Vec<u8>,
}

impl Chunks<'_> {
    fn send(&mut self, is_last: bool) -> io::Result<()> {
        let data = std::mem::take(&mut self.chunk);
        let length = data.len() as u64;
        let message = WriteRequest {
            resource_name: self.name.take().unwrap_or_default(),
            write_offset: self.offset.cast_signed(),
            finish_write: is_last,
            data,
        };
        self.offset += length;
        let (sender, broken) = (&self.sender, || RemoteError::Interrupted);
        self.remote
            .wait(self.cancelled, async { sender.send(message).await.map_err(|_| broken()) })
            .map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for Chunks<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(CHUNK_BYTES - self.chunk.len());
        self.chunk.extend_from_slice(&bytes[..taken]);
        if self.chunk.len() == CHUNK_BYTES {
            self.send(false)?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A blob that is being received.
struct Incoming<'r> {
    remote: &'r Remote,
    cancelled: &'r Cancelled<'r>,
    receiver: mpsc::Receiver<Result<Vec<u8>, Status>>,
    chunk: Vec<u8>,
    taken: usize,
    expected: &'r Digest,
    /// Taken once the end was seen.
    hasher: Option<Hasher>,
    status: Option<Status>,
}

impl Read for Incoming<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.taken == self.chunk.len() {
            let receiver = &mut self.receiver;
            let next = self.remote.wait(self.cancelled, async { Ok(receiver.recv().await) });
            match next {
                Err(_) => return Err(io::Error::other("interrupted")),
                Ok(Some(Ok(chunk))) => {
                    if let Some(hasher) = &mut self.hasher {
                        hasher.update(&chunk);
                    }
                    (self.chunk, self.taken) = (chunk, 0);
                }
                Ok(Some(Err(status))) => {
                    let error = io::Error::other(status.message().to_owned());
                    self.status = Some(status);
                    return Err(error);
                }
                Ok(None) => {
                    let Some(hasher) = self.hasher.take() else { return Ok(0) };
                    let actual = hasher.finish();
                    if actual == *self.expected {
                        return Ok(0);
                    }
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        format!(
                            "a blob has the digest {}, asked for was {}",
                            actual.to_text(),
                            self.expected.to_text()
                        ),
                    ));
                }
            }
        }
        let length = buffer.len().min(self.chunk.len() - self.taken);
        buffer[..length].copy_from_slice(&self.chunk[self.taken..self.taken + length]);
        self.taken += length;
        Ok(length)
    }
}

/// A random UUID, as uploads are told apart by.
fn unique_name() -> String {
    let mut bytes = [0u8; 16];
    // Without randomness the time tells uploads apart well enough.
    if SystemRandom::new().fill(&mut bytes).is_err() {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        bytes = now.as_nanos().to_le_bytes();
    }
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let digits = data_encoding::HEXLOWER.encode(&bytes);
    format!("{}-{}-{}-{}-{}", &digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..])
}
