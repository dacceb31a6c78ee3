//! What builds take besides what is to be built.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use osbuild_core::build::sandbox::catch_interrupts;
use osbuild_core::build::{BuildOptions, Surroundings};
use osbuild_core::fetch::Fetcher;
use osbuild_core::graph::{Engine, Jobs};
use osbuild_core::remote::Remote;
use osbuild_store::LocalStore;
use osbuild_store::cache::Substituters;

use crate::config;
use crate::error::Failure;
use crate::ui::Ui;

/// How builds run, where the user said.
#[derive(Clone, Copy)]
pub(crate) struct BuildLimits {
    /// Builds at a time; as the processors have room for if not given.
    pub(crate) jobs: Option<usize>,
    /// Cores that each may use; all if not given.
    pub(crate) cores: Option<usize>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) max_silence: Option<Duration>,
    pub(crate) keep_failed: bool,
    pub(crate) keep_going: bool,
    /// Outputs may come out of binary caches.
    pub(crate) substitutes: bool,
}

impl Default for BuildLimits {
    fn default() -> Self {
        Self {
            jobs: None,
            cores: None,
            timeout: None,
            max_silence: None,
            keep_failed: false,
            keep_going: false,
            substitutes: true,
        }
    }
}

impl BuildLimits {
    pub(crate) fn jobs(&self) -> Jobs {
        self.jobs.map_or(Jobs::ByProcessors, Jobs::AtMost)
    }

    pub(crate) fn to_options(self) -> BuildOptions {
        BuildOptions {
            // 0 means all, as in Nix.
            cores: self.cores.filter(|cores| *cores > 0).unwrap_or_else(all_cores),
            keep_failed: self.keep_failed,
            timeout: self.timeout,
            max_silence: self.max_silence,
            surroundings: Surroundings::default(),
        }
    }
}

fn all_cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Downloads at a time.
const DOWNLOADS: usize = 6;

/// Everything that an engine borrows.
pub(crate) struct Workshop {
    store: Arc<LocalStore>,
    fetcher: Fetcher,
    substituters: Substituters,
    remote: Option<Arc<Remote>>,
    remote_jobs: usize,
    limits: BuildLimits,
    options: BuildOptions,
    ui: Ui,
    interrupted: &'static AtomicBool,
}

impl Workshop {
    /// As configured, for builds here; from now on an interrupt ends them.
    pub(crate) fn open(store: &Arc<LocalStore>, limits: BuildLimits, ui: Ui) -> Result<Self, Failure> {
        Self::with_remote(store, limits, ui, None, 1)
    }

    /// As [`Workshop::open`], for builds on a cluster, so many at a time.
    pub(crate) fn with_remote(
        store: &Arc<LocalStore>,
        limits: BuildLimits,
        ui: Ui,
        remote: Option<Arc<Remote>>,
        remote_jobs: usize,
    ) -> Result<Self, Failure> {
        Ok(Self {
            store: store.clone(),
            fetcher: config::fetcher(store)?,
            substituters: config::substituters(store, limits.substitutes, remote.as_ref())?,
            remote,
            remote_jobs,
            limits,
            options: limits.to_options(),
            ui,
            interrupted: catch_interrupts(),
        })
    }

    pub(crate) fn options(&self) -> &BuildOptions {
        &self.options
    }

    pub(crate) fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    pub(crate) fn engine(&self) -> Engine<'_> {
        Engine {
            store: &self.store,
            fetcher: &self.fetcher,
            substituters: Some(&self.substituters),
            options: &self.options,
            jobs: self.limits.jobs(),
            downloads: DOWNLOADS,
            remote: self.remote.as_deref(),
            remote_jobs: self.remote_jobs,
            keep_going: self.limits.keep_going,
            rebuild: false,
            observer: &self.ui,
            interrupted: self.interrupted,
        }
    }
}
