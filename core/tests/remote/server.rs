//! A cluster of one machine in memory, which can be told to misbehave.
//!
//! It speaks the same protocol as a real one, checks every digest, and runs
//! actions on the host. It is for what no server does that can be installed:
//! BLAKE3, blobs that vanish, broken connections, lies.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::pin::Pin;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bazel_remote_apis::build::bazel::remote::execution::v2 as api;
use bazel_remote_apis::build::bazel::remote::execution::v2::action_cache_server::{
    ActionCache, ActionCacheServer,
};
use bazel_remote_apis::build::bazel::remote::execution::v2::capabilities_server::{
    Capabilities, CapabilitiesServer,
};
use bazel_remote_apis::build::bazel::remote::execution::v2::content_addressable_storage_server::{
    ContentAddressableStorage, ContentAddressableStorageServer,
};
use bazel_remote_apis::build::bazel::remote::execution::v2::execution_server::{Execution, ExecutionServer};
use bazel_remote_apis::google::bytestream::byte_stream_server::{ByteStream, ByteStreamServer};
use bazel_remote_apis::google::bytestream::{
    QueryWriteStatusRequest, QueryWriteStatusResponse, ReadRequest, ReadResponse, WriteRequest, WriteResponse,
};
use bazel_remote_apis::google::longrunning::{Operation, operation};
use bazel_remote_apis::google::protobuf::Any;
use bazel_remote_apis::google::rpc;
use osbuild_core::remote::RemoteConfig;
use prost::Message;
use sha2::{Digest as _, Sha256};
use tonic::codegen::tokio_stream::{self, Stream};
use tonic::{Code, Request, Response, Status, Streaming};

/// What goes wrong, once each time that it is planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A call is turned away.
    Busy,
    /// The stream of an execution ends before the action does.
    CutExecution,
    /// A read ends in its middle.
    CutRead,
    /// A read gives another byte.
    BendRead,
    /// An upload is cut off.
    CutWrite,
    /// The action is said to lack an input, as servers say it.
    MissingInput(Code),
    /// The report says this instead of the output's hash.
    BendReport,
    /// The report mentions what was no input.
    BendMentions,
    /// All blobs are gone when somebody asks next, once anything has run.
    Forget,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hash {
    Sha256,
    Blake3,
}

/// What a cluster says that it can do.
#[derive(Clone)]
pub(crate) struct Abilities {
    pub(crate) hash: Hash,
    pub(crate) execution: Option<bool>,
    pub(crate) functions: Vec<i32>,
    /// 0 for no limit.
    pub(crate) blob_bytes: i64,
}

impl Abilities {
    pub(crate) fn of(hash: Hash) -> Self {
        let function = match hash {
            Hash::Sha256 => api::digest_function::Value::Sha256,
            Hash::Blake3 => api::digest_function::Value::Blake3,
        };
        Self { hash, execution: Some(true), functions: vec![function as i32], blob_bytes: 0 }
    }
}

struct State {
    abilities: Abilities,
    blobs: Mutex<HashMap<String, Vec<u8>>>,
    results: Mutex<HashMap<String, api::ActionResult>>,
    operations: Mutex<HashMap<String, Operation>>,
    faults: Mutex<Vec<Fault>>,
    ran: AtomicUsize,
    written: AtomicUsize,
    headers: Mutex<BTreeMap<String, String>>,
}

/// Ends when dropped.
pub(crate) struct Server {
    state: Arc<State>,
    port: u16,
    scheme: &'static str,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Server {
    pub(crate) fn start(abilities: Abilities) -> Self {
        Self::start_as(abilities, None)
    }

    /// With a certificate and its key, both PEM.
    pub(crate) fn start_with_tls(abilities: Abilities, certificate: &str, key: &str) -> Self {
        let identity = tonic::transport::Identity::from_pem(certificate, key);
        Self::start_as(abilities, Some(tonic::transport::ServerTlsConfig::new().identity(identity)))
    }

    fn start_as(abilities: Abilities, tls: Option<tonic::transport::ServerTlsConfig>) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let state = Arc::new(State {
            abilities,
            blobs: Mutex::default(),
            results: Mutex::default(),
            operations: Mutex::default(),
            faults: Mutex::default(),
            ran: AtomicUsize::new(0),
            written: AtomicUsize::new(0),
            headers: Mutex::default(),
        });
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let scheme = if tls.is_some() { "grpcs" } else { "grpc" };
        let service = Service(state.clone());
        runtime.spawn(async move {
            listener.set_nonblocking(true).unwrap();
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let incoming = tonic::transport::server::TcpIncoming::from(listener);
            let mut server = tonic::transport::Server::builder();
            if let Some(tls) = tls {
                server = server.tls_config(tls).unwrap();
            }
            server
                .add_service(CapabilitiesServer::new(service.clone()))
                .add_service(ContentAddressableStorageServer::new(service.clone()))
                .add_service(ActionCacheServer::new(service.clone()))
                .add_service(ByteStreamServer::new(service.clone()))
                .add_service(ExecutionServer::new(service))
                .serve_with_incoming(incoming)
                .await
                .unwrap();
        });
        Self { state, port, scheme, runtime: Some(runtime) }
    }

    pub(crate) fn config(&self) -> RemoteConfig {
        RemoteConfig {
            address: format!("{}://127.0.0.1:{}/main", self.scheme, self.port),
            headers: [("x-token".to_owned(), "secret".to_owned())].into(),
            ..RemoteConfig::default()
        }
    }

    pub(crate) fn plan(&self, faults: &[Fault]) {
        self.state.faults.lock().unwrap().extend(faults);
    }

    /// Whether all that was planned happened.
    pub(crate) fn is_through(&self) -> bool {
        self.state.faults.lock().unwrap().is_empty()
    }

    /// Actions that ran so far.
    pub(crate) fn ran(&self) -> usize {
        self.state.ran.load(Ordering::Relaxed)
    }

    /// Streams that brought a blob so far.
    pub(crate) fn written(&self) -> usize {
        self.state.written.load(Ordering::Relaxed)
    }

    pub(crate) fn header(&self, name: &str) -> Option<String> {
        self.state.headers.lock().unwrap().get(name).cloned()
    }

    pub(crate) fn lose_blobs(&self) {
        self.state.blobs.lock().unwrap().clear();
    }

    pub(crate) fn lose_results(&self) {
        self.state.results.lock().unwrap().clear();
    }

    /// Ends it at once.
    pub(crate) fn stop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

impl State {
    fn digest(&self, bytes: &[u8]) -> api::Digest {
        let hash = match self.abilities.hash {
            Hash::Sha256 => data_encoding::HEXLOWER.encode(&Sha256::digest(bytes)),
            Hash::Blake3 => blake3::hash(bytes).to_hex().to_string(),
        };
        api::Digest { hash, size_bytes: bytes.len() as i64 }
    }

    fn has(&self, digest: &api::Digest) -> bool {
        digest.size_bytes == 0 || self.blobs.lock().unwrap().contains_key(&digest.hash)
    }

    fn get(&self, digest: Option<&api::Digest>) -> Result<Vec<u8>, Status> {
        let digest = digest.ok_or_else(|| Status::invalid_argument("no digest"))?;
        if digest.size_bytes == 0 {
            return Ok(Vec::new());
        }
        let blobs = self.blobs.lock().unwrap();
        blobs.get(&digest.hash).cloned().ok_or_else(|| Status::not_found(format!("no blob {}", digest.hash)))
    }

    fn put(&self, bytes: Vec<u8>) -> api::Digest {
        let digest = self.digest(&bytes);
        self.blobs.lock().unwrap().insert(digest.hash.clone(), bytes);
        digest
    }

    /// Whether this is to go wrong now.
    fn has_fault(&self, wanted: impl Fn(&Fault) -> bool) -> Option<Fault> {
        let mut faults = self.faults.lock().unwrap();
        let index = faults.iter().position(wanted)?;
        Some(faults.remove(index))
    }

    fn is_faulty(&self, fault: Fault) -> bool {
        self.has_fault(|planned| *planned == fault).is_some()
    }

    fn stage(&self, digest: Option<&api::Digest>, place: &Path) -> Result<(), Status> {
        fs::create_dir_all(place).unwrap();
        let directory = api::Directory::decode(self.get(digest)?.as_slice()).unwrap();
        for file in &directory.files {
            let path = place.join(&file.name);
            fs::write(&path, self.get(file.digest.as_ref())?).unwrap();
            let mode = if file.is_executable { 0o755 } else { 0o644 };
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
        for child in &directory.directories {
            self.stage(child.digest.as_ref(), &place.join(&child.name))?;
        }
        Ok(())
    }

    fn run(&self, digest: &api::Digest) -> Result<api::ActionResult, Status> {
        let action = api::Action::decode(self.get(Some(digest))?.as_slice()).unwrap();
        let command = api::Command::decode(self.get(action.command_digest.as_ref())?.as_slice()).unwrap();
        let place = tempfile::tempdir().unwrap();
        self.stage(action.input_root_digest.as_ref(), place.path())?;
        self.ran.fetch_add(1, Ordering::Relaxed);
        let mut run = Command::new(place.path().join(&command.arguments[0]));
        run.args(&command.arguments[1..]).env_clear().current_dir(place.path());
        // A process that another test's thread is about to start may still hold
        // the program open for writing, for a moment.
        let output = loop {
            match run.output() {
                Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                outcome => break outcome.unwrap(),
            }
        };
        let mut result = api::ActionResult {
            exit_code: output.status.code().unwrap_or(-1),
            stdout_digest: Some(self.put(output.stdout)),
            stderr_raw: output.stderr,
            ..api::ActionResult::default()
        };
        for path in &command.output_paths {
            let Ok(mut bytes) = fs::read(place.path().join(path)) else { continue };
            if path.ends_with("report.json") {
                self.bend_report(&mut bytes);
            }
            let digest = Some(self.put(bytes));
            result.output_files.push(api::OutputFile {
                path: path.clone(),
                digest,
                ..api::OutputFile::default()
            });
        }
        let left: Vec<_> =
            fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(!left.iter().any(|name| name == "workplace"), "the builder leaves its workplace: {left:?}");
        Ok(result)
    }

    fn bend_report(&self, bytes: &mut Vec<u8>) {
        let mut report: serde_json::Value = serde_json::from_slice(bytes).unwrap();
        if self.is_faulty(Fault::BendReport) {
            report["outputs"]["out"]["narHash"] = "0".repeat(64).into();
        }
        if self.is_faulty(Fault::BendMentions) {
            report["outputs"]["out"]["mentions"] =
                serde_json::json!(["00000000000000000000000000000000-evil"]);
        }
        *bytes = serde_json::to_vec(&report).unwrap();
    }

    fn execute(&self, request: &api::ExecuteRequest) -> Operation {
        let digest = request.action_digest.clone().unwrap();
        let known = self.results.lock().unwrap().get(&digest.hash).cloned();
        let response = match known.filter(|_| !request.skip_cache_lookup) {
            Some(result) => {
                api::ExecuteResponse { result: Some(result), cached_result: true, ..Default::default() }
            }
            None => {
                let missing = self.has_fault(|fault| matches!(fault, Fault::MissingInput(_)));
                let ran = match missing {
                    Some(Fault::MissingInput(code)) => Err(Status::new(code, "a blob is missing")),
                    _ => self.run(&digest),
                };
                match ran {
                    Ok(result) => {
                        self.results.lock().unwrap().insert(digest.hash.clone(), result.clone());
                        api::ExecuteResponse { result: Some(result), ..Default::default() }
                    }
                    Err(status) => {
                        let status = rpc::Status {
                            code: status.code() as i32,
                            message: status.message().to_owned(),
                            details: Vec::new(),
                        };
                        api::ExecuteResponse { status: Some(status), ..Default::default() }
                    }
                }
            }
        };
        let value = response.encode_to_vec();
        let type_url = "type.googleapis.com/build.bazel.remote.execution.v2.ExecuteResponse".to_owned();
        let result = Some(operation::Result::Response(Any { type_url, value }));
        let operation = Operation { name: digest.hash.clone(), done: true, result, ..Operation::default() };
        self.operations.lock().unwrap().insert(digest.hash, operation.clone());
        operation
    }
}

#[derive(Clone)]
struct Service(Arc<State>);

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

fn answers<T: Send + 'static>(items: Vec<Result<T, Status>>) -> Response<Answers<T>> {
    Response::new(Box::pin(tokio_stream::iter(items)))
}

#[tonic::async_trait]
impl Capabilities for Service {
    async fn get_capabilities(
        &self,
        request: Request<api::GetCapabilitiesRequest>,
    ) -> Result<Response<api::ServerCapabilities>, Status> {
        let headers = request.metadata().iter().filter_map(|entry| match entry {
            tonic::metadata::KeyAndValueRef::Ascii(key, value) => {
                Some((key.to_string(), value.to_str().ok()?.to_owned()))
            }
            tonic::metadata::KeyAndValueRef::Binary(key, _) => Some((key.to_string(), String::new())),
        });
        self.0.headers.lock().unwrap().extend(headers);
        if self.0.is_faulty(Fault::Busy) {
            return Err(Status::unavailable("come back later"));
        }
        if request.get_ref().instance_name != "main" {
            return Err(Status::invalid_argument("no such instance"));
        }
        let Abilities { execution, functions, blob_bytes, .. } = &self.0.abilities;
        Ok(Response::new(api::ServerCapabilities {
            cache_capabilities: Some(api::CacheCapabilities {
                digest_functions: functions.clone(),
                max_batch_total_size_bytes: 2000,
                max_cas_blob_size_bytes: *blob_bytes,
                ..Default::default()
            }),
            execution_capabilities: execution.map(|exec_enabled| api::ExecutionCapabilities {
                exec_enabled,
                digest_functions: functions.clone(),
                ..Default::default()
            }),
            ..Default::default()
        }))
    }
}

#[tonic::async_trait]
impl ContentAddressableStorage for Service {
    async fn find_missing_blobs(
        &self,
        request: Request<api::FindMissingBlobsRequest>,
    ) -> Result<Response<api::FindMissingBlobsResponse>, Status> {
        if self.0.ran.load(Ordering::Relaxed) > 0 && self.0.is_faulty(Fault::Forget) {
            self.0.blobs.lock().unwrap().clear();
        }
        let digests = request.into_inner().blob_digests.into_iter();
        let missing_blob_digests = digests.filter(|digest| !self.0.has(digest)).collect();
        Ok(Response::new(api::FindMissingBlobsResponse { missing_blob_digests }))
    }

    async fn batch_update_blobs(
        &self,
        request: Request<api::BatchUpdateBlobsRequest>,
    ) -> Result<Response<api::BatchUpdateBlobsResponse>, Status> {
        let requests = request.into_inner().requests;
        assert!(
            requests.iter().map(|request| request.data.len()).sum::<usize>() <= 2000,
            "more than was agreed"
        );
        let mut responses = Vec::new();
        for request in requests {
            let digest = self.0.put(request.data);
            assert_eq!(Some(&digest), request.digest.as_ref());
            responses.push(api::batch_update_blobs_response::Response { digest: Some(digest), status: None });
        }
        Ok(Response::new(api::BatchUpdateBlobsResponse { responses }))
    }

    type GetTreeStream = Answers<api::GetTreeResponse>;
    type GetChunkMappingStream = Answers<api::GetChunkMappingResponse>;

    async fn batch_read_blobs(
        &self,
        _: Request<api::BatchReadBlobsRequest>,
    ) -> Result<Response<api::BatchReadBlobsResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn get_tree(
        &self,
        _: Request<api::GetTreeRequest>,
    ) -> Result<Response<Self::GetTreeStream>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn split_blob(
        &self,
        _: Request<api::SplitBlobRequest>,
    ) -> Result<Response<api::SplitBlobResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn get_chunk_mapping(
        &self,
        _: Request<api::GetChunkMappingRequest>,
    ) -> Result<Response<Self::GetChunkMappingStream>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn splice_blob(
        &self,
        _: Request<api::SpliceBlobRequest>,
    ) -> Result<Response<api::SpliceBlobResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn register_chunk_mapping(
        &self,
        _: Request<Streaming<api::RegisterChunkMappingRequest>>,
    ) -> Result<Response<api::RegisterChunkMappingResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }
}

#[tonic::async_trait]
impl ActionCache for Service {
    async fn get_action_result(
        &self,
        request: Request<api::GetActionResultRequest>,
    ) -> Result<Response<api::ActionResult>, Status> {
        let digest = request.into_inner().action_digest.unwrap();
        let result = self.0.results.lock().unwrap().get(&digest.hash).cloned();
        result.map(Response::new).ok_or_else(|| Status::not_found("no such result"))
    }

    async fn update_action_result(
        &self,
        _: Request<api::UpdateActionResultRequest>,
    ) -> Result<Response<api::ActionResult>, Status> {
        Err(Status::unimplemented("not here"))
    }
}

#[tonic::async_trait]
impl ByteStream for Service {
    type ReadStream = Answers<ReadResponse>;

    async fn read(&self, request: Request<ReadRequest>) -> Result<Response<Answers<ReadResponse>>, Status> {
        let ReadRequest { resource_name, read_offset, .. } = request.into_inner();
        let middle = if self.0.abilities.hash == Hash::Blake3 { "main/blobs/blake3/" } else { "main/blobs/" };
        let (hash, size) = resource_name.strip_prefix(middle).and_then(|name| name.split_once('/')).unwrap();
        let digest = api::Digest { hash: hash.to_owned(), size_bytes: size.parse().unwrap() };
        let mut bytes = self.0.get(Some(&digest))?.split_off(read_offset as usize);
        // Nothing cannot be bent: the fault waits for what can.
        if let Some(last) = bytes.last_mut()
            && self.0.is_faulty(Fault::BendRead)
        {
            *last ^= 1;
        }
        let half = bytes.len() / 2;
        let mut items: Vec<Result<ReadResponse, Status>> =
            [&bytes[..half], &bytes[half..]].map(|data| Ok(ReadResponse { data: data.to_vec() })).into();
        if self.0.is_faulty(Fault::CutRead) {
            items[1] = Err(Status::unavailable("cut"));
        }
        Ok(answers(items))
    }

    async fn write(
        &self,
        request: Request<Streaming<WriteRequest>>,
    ) -> Result<Response<WriteResponse>, Status> {
        let mut stream = request.into_inner();
        let (mut bytes, mut name, mut is_finished) = (Vec::new(), String::new(), false);
        while let Some(message) = stream.message().await? {
            if self.0.is_faulty(Fault::CutWrite) {
                return Err(Status::unavailable("cut"));
            }
            assert_eq!(message.write_offset as usize, bytes.len());
            if name.is_empty() {
                name = message.resource_name;
            }
            bytes.extend(message.data);
            is_finished = message.finish_write;
        }
        assert!(is_finished, "an upload without an end");
        let committed_size = bytes.len() as i64;
        let digest = self.0.put(bytes);
        let segment = if self.0.abilities.hash == Hash::Blake3 { "blake3/" } else { "" };
        assert!(name.starts_with("main/uploads/"), "{name}");
        assert!(name.ends_with(&format!("/blobs/{segment}{}/{}", digest.hash, digest.size_bytes)), "{name}");
        self.0.written.fetch_add(1, Ordering::Relaxed);
        Ok(Response::new(WriteResponse { committed_size }))
    }

    async fn query_write_status(
        &self,
        _: Request<QueryWriteStatusRequest>,
    ) -> Result<Response<QueryWriteStatusResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }
}

#[tonic::async_trait]
impl Execution for Service {
    type ExecuteStream = Answers<Operation>;
    type WaitExecutionStream = Answers<Operation>;

    async fn execute(
        &self,
        request: Request<api::ExecuteRequest>,
    ) -> Result<Response<Answers<Operation>>, Status> {
        let state = self.0.clone();
        let request = request.into_inner();
        let operation = tokio::task::spawn_blocking(move || state.execute(&request)).await.unwrap();
        let begun = Operation { name: operation.name.clone(), ..Operation::default() };
        if self.0.is_faulty(Fault::CutExecution) {
            return Ok(answers(vec![Ok(begun), Err(Status::unavailable("cut"))]));
        }
        Ok(answers(vec![Ok(begun), Ok(operation)]))
    }

    async fn wait_execution(
        &self,
        request: Request<api::WaitExecutionRequest>,
    ) -> Result<Response<Answers<Operation>>, Status> {
        let operation = self.0.operations.lock().unwrap().get(&request.into_inner().name).cloned();
        Ok(answers(vec![operation.ok_or_else(|| Status::not_found("no such operation"))]))
    }
}
