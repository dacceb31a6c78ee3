//! The cluster that builds run on, if there is one.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use osbuild_core::build::sandbox::catch_interrupts;
use osbuild_core::remote::Remote;
use osbuild_store::LocalStore;

use crate::commands::build::make;
use crate::config::{self, CommonArguments};
use crate::error::Failure;

/// Where builds run
#[derive(clap::Args, Default)]
pub(crate) struct RemoteArguments {
    /// Run builds on a cluster: grpc://HOST:PORT[/INSTANCE] or grpcs://…
    #[arg(long, value_name = "ADDRESS", conflicts_with = "no_remote")]
    remote: Option<String>,
    /// Run builds here, whatever is configured
    #[arg(long)]
    no_remote: bool,
    /// Builds at a time on the cluster
    #[arg(long, value_name = "N", default_value_t = REMOTE_JOBS)]
    pub(crate) remote_jobs: usize,
}

const REMOTE_JOBS: usize = 32;

impl RemoteArguments {
    /// Builds here.
    pub(crate) fn here() -> Self {
        Self { remote: None, no_remote: true, remote_jobs: REMOTE_JOBS }
    }

    /// Connects to the cluster that is asked for or configured. Its static
    /// builder is built, unless nothing is to be built.
    pub(crate) fn connect(
        &self,
        store: &Arc<LocalStore>,
        is_dry_run: bool,
        common: &CommonArguments,
    ) -> Result<Option<Arc<Remote>>, Failure> {
        if self.no_remote {
            return Ok(None);
        }
        let Some(config) = config::remote(self.remote.as_deref())? else { return Ok(None) };
        let interrupted = catch_interrupts();
        let mut remote = Remote::connect(&config, store.home(), &|| interrupted.load(Ordering::Relaxed))?;
        if !is_dry_run {
            let builder = match config::remote_builder() {
                Some(builder) => builder,
                None => built_builder(store, common)?,
            };
            remote.set_builder(&builder)?;
        }
        Ok(Some(Arc::new(remote)))
    }
}

/// The recipe's: the same bits for everybody, so that actions are the same.
fn built_builder(store: &Arc<LocalStore>, common: &CommonArguments) -> Result<PathBuf, Failure> {
    let made = make(store, &["remote-builder"], common)?;
    Ok(made[0].join("bin/osbuild-builder"))
}
