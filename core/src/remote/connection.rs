//! One cluster: its address, what it can do, and calls that bear with it.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::Path;
use std::time::Duration;

use bazel_remote_apis::build::bazel::remote::execution::v2 as api;
use bazel_remote_apis::build::bazel::remote::execution::v2::capabilities_client::CapabilitiesClient;
use bazel_remote_apis::build::bazel::remote::execution::v2::content_addressable_storage_client::ContentAddressableStorageClient;
use osbuild_store::error::one_line;
use prost::Message;
use tokio::runtime::Runtime;
use tonic::metadata::{Ascii, MetadataKey, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status};

use super::blobs::InFlight;
use super::digest::{Digest, Function};
use super::records::Records;
use super::{Cancelled, RemoteConfig, RemoteError};

/// A connection, with headers on every call.
pub(super) type Service = InterceptedService<Channel, Headers>;

/// A cluster that runs builds.
pub struct Remote {
    pub(super) address: String,
    pub(super) instance: String,
    pub(super) runtime: Runtime,
    service: Service,
    pub(super) function: Function,
    /// Bytes that a blob may have.
    pub(super) blob_bytes: u64,
    /// Bytes that one call may carry.
    pub(super) batch_bytes: u64,
    pub(super) properties: BTreeMap<String, String>,
    /// The static builder, which is part of every action.
    builder: Option<(Digest, Vec<u8>)>,
    pub(super) records: Records,
    pub(super) in_flight: InFlight,
}

const CONNECT: Duration = Duration::from_secs(10);
/// How often the kernel asks a silent connection whether it is one. Pings of
/// HTTP/2 would do, too, but servers close connections that send them while an
/// action runs and says nothing.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// How often it is looked whether the user still wants it.
const EVERY: Duration = Duration::from_millis(50);
/// Messages have 4 MiB at most in gRPC unless both sides agree on more.
const BATCH_BYTES: u64 = (4 << 20) - (64 << 10);
/// The pause before the second try; it doubles from there.
const PAUSE: Duration = Duration::from_millis(100);
const TRIES: u32 = 6;

impl Remote {
    /// Connects and asks what the cluster can do. `home` is the store's, for
    /// records of what the cluster has.
    ///
    /// # Errors
    /// See [`RemoteError`].
    pub fn connect(
        config: &RemoteConfig,
        home: &Path,
        cancelled: &Cancelled<'_>,
    ) -> Result<Self, RemoteError> {
        let (endpoint, instance) = endpoint(&config.address)?;
        let headers = Headers::new(&config.headers)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("remote")
            .enable_all()
            .build()
            .map_err(|source| RemoteError::Io {
                action: "start threads for",
                path: home.to_owned(),
                source,
            })?;
        let service = {
            let _entered = runtime.enter();
            InterceptedService::new(endpoint.connect_lazy(), headers)
        };
        let address = config.address.clone();
        let mut remote = Self {
            records: Records::open(home, &address),
            address,
            instance,
            runtime,
            service,
            function: Function::Sha256,
            blob_bytes: u64::MAX,
            batch_bytes: BATCH_BYTES,
            properties: config.properties.clone(),
            builder: None,
            in_flight: InFlight::default(),
        };
        remote.learn(cancelled)?;
        Ok(remote)
    }

    fn learn(&mut self, cancelled: &Cancelled<'_>) -> Result<(), RemoteError> {
        let request = api::GetCapabilitiesRequest { instance_name: self.instance.clone() };
        let capabilities = self.call("ask what it can do", cancelled, async || {
            CapabilitiesClient::new(self.service.clone()).get_capabilities(request.clone()).await
        })?;
        let lacks = |what: &str| self.unsupported(what);
        let execution =
            capabilities.execution_capabilities.ok_or_else(|| lacks("stores blobs but runs nothing"))?;
        if !execution.exec_enabled {
            return Err(lacks("does not let this user run anything"));
        }
        let cache = capabilities.cache_capabilities.ok_or_else(|| lacks("has no storage"))?;
        // One function for both; servers of before 2.3 name one for execution.
        let runs = match execution.digest_functions.as_slice() {
            [] => vec![execution.digest_function],
            several => several.to_vec(),
        };
        let both: Vec<i32> =
            cache.digest_functions.iter().copied().filter(|function| runs.contains(function)).collect();
        let function =
            Function::choose(&both).ok_or_else(|| lacks("hashes neither with SHA-256 nor with BLAKE3"))?;
        if let Ok(limit @ 1..) = u64::try_from(cache.max_batch_total_size_bytes) {
            self.batch_bytes = self.batch_bytes.min(limit);
        }
        if let Ok(limit @ 1..) = u64::try_from(cache.max_cas_blob_size_bytes) {
            self.blob_bytes = limit;
        }
        self.function = function;
        Ok(())
    }

    /// Gives it the static builder for its machines, without which it stores
    /// and knows, but runs nothing.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn set_builder(&mut self, builder: &Path) -> Result<(), RemoteError> {
        let bytes = std::fs::read(builder).map_err(|source| RemoteError::Io {
            action: "read the builder",
            path: builder.to_owned(),
            source,
        })?;
        self.builder = Some((self.function.of(&bytes), bytes));
        Ok(())
    }

    pub(super) fn builder(&self) -> Result<&(Digest, Vec<u8>), RemoteError> {
        self.builder.as_ref().ok_or_else(|| self.unsupported("was given no builder for its machines"))
    }

    /// As the user wrote it.
    pub fn address(&self) -> &str {
        &self.address
    }

    pub(super) fn service(&self) -> Service {
        self.service.clone()
    }

    pub(super) fn storage(&self) -> ContentAddressableStorageClient<Service> {
        ContentAddressableStorageClient::new(self.service())
    }

    pub(super) fn unsupported(&self, lacks: &str) -> RemoteError {
        RemoteError::Unsupported { address: self.address.clone(), lacks: lacks.to_owned() }
    }

    pub(super) fn wrong(&self, reason: impl Into<String>) -> RemoteError {
        RemoteError::Wrong { address: self.address.clone(), reason: reason.into() }
    }

    pub(super) fn failed(&self, action: &'static str, status: &Status) -> RemoteError {
        RemoteError::Call {
            address: self.address.clone(),
            action,
            code: status.code(),
            reason: describe(status),
        }
    }

    /// Waits, unless the user interrupts.
    pub(super) fn wait<T>(
        &self,
        cancelled: &Cancelled<'_>,
        future: impl Future<Output = Result<T, RemoteError>>,
    ) -> Result<T, RemoteError> {
        self.runtime.block_on(async {
            let mut future = std::pin::pin!(future);
            loop {
                if cancelled() {
                    return Err(RemoteError::Interrupted);
                }
                if let Ok(done) = tokio::time::timeout(EVERY, &mut future).await {
                    return done;
                }
            }
        })
    }

    /// A call with one answer, tried again where that may help.
    pub(super) fn call<T>(
        &self,
        action: &'static str,
        cancelled: &Cancelled<'_>,
        ask: impl AsyncFn() -> Result<tonic::Response<T>, Status>,
    ) -> Result<T, RemoteError> {
        self.wait(cancelled, async {
            let mut tries = Tries::default();
            loop {
                match ask().await {
                    Ok(answer) => return Ok(answer.into_inner()),
                    Err(status) if tries.again(&status).await => {}
                    Err(status) => return Err(self.failed(action, &status)),
                }
            }
        })
    }
}

/// Counts failures and waits between them.
#[derive(Default)]
pub(super) struct Tries {
    failed: u32,
}

impl Tries {
    /// After a failure: whether to try again, once the pause is over.
    pub(super) async fn again(&mut self, status: &Status) -> bool {
        self.failed += 1;
        if !is_passing(status) || self.failed >= TRIES {
            return false;
        }
        tokio::time::sleep(PAUSE * 2u32.pow(self.failed - 1)).await;
        true
    }
}

/// Whether another try may go better.
fn is_passing(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unavailable
            | Code::ResourceExhausted
            | Code::Aborted
            | Code::Internal
            | Code::Unknown
            | Code::Cancelled
    )
}

/// What a status says, with what caused it.
fn describe(status: &Status) -> String {
    let mut text = status.message().to_owned();
    let mut cause = std::error::Error::source(status);
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = if text.is_empty() { said } else { format!("{text}: {said}") };
        }
        cause = error.source();
    }
    if text.is_empty() { status.code().description().to_owned() } else { text }
}

/// What every call carries.
#[derive(Clone)]
pub(super) struct Headers {
    own: Vec<(MetadataKey<Ascii>, MetadataValue<Ascii>)>,
    metadata: MetadataValue<tonic::metadata::Binary>,
}

impl Headers {
    fn new(headers: &BTreeMap<String, String>) -> Result<Self, RemoteError> {
        let mut own = Vec::new();
        for (name, value) in headers {
            let key = name.parse::<MetadataKey<Ascii>>();
            let value = value.parse::<MetadataValue<Ascii>>();
            // The value may be secret.
            let (Ok(key), Ok(mut value)) = (key, value) else {
                return Err(RemoteError::Header(name.clone()));
            };
            value.set_sensitive(true);
            own.push((key, value));
        }
        let tool = api::ToolDetails {
            tool_name: "osbuild".to_owned(),
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let metadata = api::RequestMetadata { tool_details: Some(tool), ..api::RequestMetadata::default() };
        Ok(Self { own, metadata: MetadataValue::from_bytes(&metadata.encode_to_vec()) })
    }
}

impl Interceptor for Headers {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let metadata = request.metadata_mut();
        metadata.insert_bin("build.bazel.remote.execution.v2.requestmetadata-bin", self.metadata.clone());
        for (key, value) in &self.own {
            metadata.insert(key.clone(), value.clone());
        }
        Ok(request)
    }
}

/// From an address to where to connect, and the instance there.
fn endpoint(address: &str) -> Result<(Endpoint, String), RemoteError> {
    let bad = || RemoteError::Address(address.to_owned());
    let (scheme, rest) = address.split_once("://").ok_or_else(bad)?;
    let (host, instance) = rest.split_once('/').unwrap_or((rest, ""));
    let transport = match scheme {
        "grpc" => "http",
        "grpcs" => "https",
        _ => return Err(bad()),
    };
    let has_port =
        host.rsplit_once(':').is_some_and(|(name, port)| !name.is_empty() && port.parse::<u16>().is_ok());
    if !has_port {
        return Err(bad());
    }
    let mut endpoint = Endpoint::from_shared(format!("{transport}://{host}"))
        .map_err(|_| bad())?
        .connect_timeout(CONNECT)
        .tcp_keepalive(Some(KEEP_ALIVE))
        .http2_adaptive_window(true);
    if scheme == "grpcs" {
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name).trim_matches(['[', ']']);
        let tls = ClientTlsConfig::new().with_native_roots().domain_name(name);
        endpoint = endpoint.tls_config(tls).map_err(|error| RemoteError::Unsupported {
            address: address.to_owned(),
            lacks: format!("cannot be reached through TLS: {}", one_line(&error)),
        })?;
    }
    Ok((endpoint, instance.trim_matches('/').to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_name_host_port_and_instance() {
        let instance = |address: &str| endpoint(address).map(|(_, instance)| instance);
        assert_eq!(instance("grpc://h.invalid:8980").unwrap(), "");
        assert_eq!(instance("grpc://h.invalid:8980/").unwrap(), "");
        assert_eq!(instance("grpc://h.invalid:8980/main/a").unwrap(), "main/a");
        assert_eq!(instance("grpcs://[::1]:443/x").unwrap(), "x");
        for bent in
            ["", "h:1", "http://h:1", "grpc://", "grpc://h", "grpc://:1", "grpc://h:port", "grpc://h:99999"]
        {
            assert!(matches!(instance(bent), Err(RemoteError::Address(_))), "{bent}");
        }
    }

    #[test]
    fn a_header_that_no_call_can_carry_is_refused_without_its_value() {
        let bent = BTreeMap::from([("x-token".to_owned(), "two\nlines".to_owned())]);
        let Err(error) = Headers::new(&bent) else { panic!("it was taken") };
        assert_eq!(error.to_string(), "'x-token' is no header that a call can carry");
    }
}
