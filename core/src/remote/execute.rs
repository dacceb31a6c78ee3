//! Running an action and waiting for it, whatever happens to the connection.
//!
//! Source: `remote_execution.proto`, service Execution.

use std::time::Duration;

use bazel_remote_apis::build::bazel::remote::execution::v2 as api;
use bazel_remote_apis::build::bazel::remote::execution::v2::action_cache_client::ActionCacheClient;
use bazel_remote_apis::build::bazel::remote::execution::v2::execution_client::ExecutionClient;
use bazel_remote_apis::google::longrunning::operations_client::OperationsClient;
use bazel_remote_apis::google::longrunning::{CancelOperationRequest, Operation, operation};
use prost::Message;
use tonic::{Code, Status, Streaming};

use super::connection::{Remote, Tries};
use super::digest::Digest;
use super::{Cancelled, RemoteError};

/// How an action ended that ran.
pub(super) struct Executed {
    pub(super) result: api::ActionResult,
    /// It ran some other time.
    pub(super) is_cached: bool,
}

/// What came of asking to run an action.
pub(super) enum Execution {
    Ran(Executed),
    /// It ran longer than it may; what it wrote by then.
    TimedOut(api::ActionResult),
    /// The cluster lacks some of what the action is made of.
    MissingBlobs,
}

/// For telling a cluster that nobody waits any more.
const CANCEL: Duration = Duration::from_secs(2);

impl Remote {
    /// What the action came out as some other time, if the cluster knows.
    pub(super) fn known_result(
        &self,
        action: &Digest,
        cancelled: &Cancelled<'_>,
    ) -> Result<Option<api::ActionResult>, RemoteError> {
        let request = api::GetActionResultRequest {
            instance_name: self.instance.clone(),
            action_digest: Some(action.to_api()),
            inline_stdout: true,
            inline_stderr: true,
            digest_function: self.function.to_api(),
            ..api::GetActionResultRequest::default()
        };
        let result = self.call("ask for a known result", cancelled, async || {
            ActionCacheClient::new(self.service()).get_action_result(request.clone()).await
        });
        match result {
            Ok(result) => Ok(Some(result)),
            // A cluster need not have a cache, nor let everybody read it.
            Err(RemoteError::Call {
                code: Code::NotFound | Code::Unimplemented | Code::PermissionDenied,
                ..
            }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Runs an action whose blobs are there.
    pub(super) fn execute(
        &self,
        action: &Digest,
        skip_cache_lookup: bool,
        cancelled: &Cancelled<'_>,
    ) -> Result<Execution, RemoteError> {
        let request = api::ExecuteRequest {
            instance_name: self.instance.clone(),
            skip_cache_lookup,
            action_digest: Some(action.to_api()),
            inline_stdout: true,
            inline_stderr: true,
            digest_function: self.function.to_api(),
            ..api::ExecuteRequest::default()
        };
        let mut running = None;
        let outcome = self.wait(cancelled, self.follow(request, &mut running));
        if let (Err(RemoteError::Interrupted), Some(name)) = (&outcome, running) {
            self.cancel(name);
        }
        outcome
    }

    /// Asks until there is an end. A connection that breaks is no end: the
    /// action runs on, and is waited for by its name.
    async fn follow(
        &self,
        request: api::ExecuteRequest,
        running: &mut Option<String>,
    ) -> Result<Execution, RemoteError> {
        let mut tries = Tries::default();
        loop {
            let mut client = ExecutionClient::new(self.service());
            let answer = match running.clone() {
                None => client.execute(request.clone()).await,
                Some(name) => client.wait_execution(api::WaitExecutionRequest { name }).await,
            };
            let status = match answer {
                Ok(stream) => match self.last(stream.into_inner(), running, &mut tries).await {
                    Ok(operation) => return self.outcome(operation),
                    Err(status) => status,
                },
                Err(status) => status,
            };
            match status.code() {
                Code::NotFound if running.is_some() => *running = None,
                Code::FailedPrecondition => return Ok(Execution::MissingBlobs),
                _ if tries.again(&status).await => {}
                _ => return Err(self.failed("run an action", &status)),
            }
        }
    }

    /// The message that says that the operation is done.
    async fn last(
        &self,
        mut stream: Streaming<Operation>,
        running: &mut Option<String>,
        tries: &mut Tries,
    ) -> Result<Operation, Status> {
        while let Some(operation) = stream.message().await? {
            if operation.done {
                return Ok(operation);
            }
            *tries = Tries::default();
            if !operation.name.is_empty() {
                *running = Some(operation.name);
            }
        }
        Err(Status::unavailable("the answer ended before the action did"))
    }

    fn outcome(&self, operation: Operation) -> Result<Execution, RemoteError> {
        let response = match operation.result {
            Some(operation::Result::Response(any)) => api::ExecuteResponse::decode(any.value.as_slice())
                .map_err(|error| self.wrong(format!("a response that cannot be read: {error}")))?,
            Some(operation::Result::Error(status)) if status.code == Code::FailedPrecondition as i32 => {
                return Ok(Execution::MissingBlobs);
            }
            Some(operation::Result::Error(status)) => {
                return Err(self.failed("run an action", &Status::new(status.code.into(), status.message)));
            }
            None => return Err(self.wrong("an operation that is done and has no result")),
        };
        let status = response.status.unwrap_or_default();
        let code = Code::from(status.code);
        match (code, response.result) {
            (Code::Ok, Some(result)) => {
                Ok(Execution::Ran(Executed { result, is_cached: response.cached_result }))
            }
            (Code::Ok, None) => Err(self.wrong("a response without a result")),
            (Code::DeadlineExceeded, result) => Ok(Execution::TimedOut(result.unwrap_or_default())),
            // What a missing blob is told by differs from server to server.
            (Code::FailedPrecondition | Code::NotFound, _) => Ok(Execution::MissingBlobs),
            (code, _) => {
                let reason = if response.message.is_empty() { status.message } else { response.message };
                Err(self.failed("run an action", &Status::new(code, reason)))
            }
        }
    }

    /// Tells the cluster that nobody waits any more. A server that does not
    /// know how runs on, and nothing is lost but its time.
    fn cancel(&self, name: String) {
        let mut client = OperationsClient::new(self.service());
        let cancel = async {
            tokio::time::timeout(CANCEL, client.cancel_operation(CancelOperationRequest { name })).await
        };
        let _ = self.runtime.block_on(cancel);
    }
}
