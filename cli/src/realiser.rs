//! Builds that an evaluation waits for: import from derivation.
//!
//! They run as those of `osbuild build` do; only what fails is said otherwise,
//! as a part of the evaluation's error.

use std::sync::Arc;

use osbuild_core::build::BuildError;
use osbuild_core::graph::{GraphError, Wanted};
use osbuild_core::instantiate::realiser::{
    ImportFromDerivation, Known, MadeOutputs, Realiser, WantedOutputs,
};
use osbuild_core::instantiate::sink::{Lazy, Sink};
use osbuild_core::lang::error::ErrorKind;
use osbuild_core::lang::host::{HostError, Unrealised};
use osbuild_store::{LocalStore, StorePath};

use crate::error::{Exit, Failure};
use crate::ui::{Ui, Verbosity};
use crate::workshop::{BuildLimits, Workshop};

/// The store of an evaluation, and what may be built in it meanwhile.
pub(crate) struct Place {
    pub(crate) sink: Arc<dyn Sink>,
    pub(crate) import_from_derivation: ImportFromDerivation,
}

impl Place {
    /// A store that everything is written to.
    pub(crate) fn open(store: Arc<LocalStore>, verbosity: Verbosity, limits: BuildLimits) -> Self {
        let sink = store.clone();
        Self { sink, import_from_derivation: builds(Handle::Open(store), verbosity, limits) }
    }

    /// A store that only what is needed is written to.
    pub(crate) fn lazy(store: Lazy, verbosity: Verbosity, limits: BuildLimits) -> Self {
        let store = Arc::new(store);
        let sink = store.clone();
        Self { sink, import_from_derivation: builds(Handle::Lazy(store), verbosity, limits) }
    }
}

fn builds(store: Handle, verbosity: Verbosity, limits: BuildLimits) -> ImportFromDerivation {
    ImportFromDerivation::Build(Arc::new(InStore { store, verbosity, limits }))
}

enum Handle {
    Open(Arc<LocalStore>),
    Lazy(Arc<Lazy>),
}

struct InStore {
    store: Handle,
    verbosity: Verbosity,
    limits: BuildLimits,
}

impl Realiser for InStore {
    fn realise(&self, wanted: &WantedOutputs, known: &Known<'_>) -> Result<MadeOutputs, Unrealised> {
        self.build(wanted, known).map_err(|(path, failure, kind)| {
            let path = path.as_ref().or_else(|| wanted.keys().next());
            let store_dir = match &self.store {
                Handle::Open(store) => store.store_dir(),
                Handle::Lazy(lazy) => lazy.store_dir(),
            };
            let name = path.map(|path| store_dir.display(path)).unwrap_or_default();
            let lines = failure.lines().join("\n");
            let message = match kind {
                ErrorKind::Interrupted => "interrupted".to_owned(),
                _ => format!("cannot build '{name}' during evaluation: {lines}"),
            };
            Unrealised { kind, error: HostError { message, hint: failure.hint().map(str::to_owned) } }
        })
    }
}

/// The derivation that failed if it is known, why, and the kind of failure.
type Failed = (Option<StorePath>, Failure, ErrorKind);

impl InStore {
    fn build(&self, wanted: &WantedOutputs, known: &Known<'_>) -> Result<MadeOutputs, Failed> {
        let unable = |failure| (None, failure, ErrorKind::Build);
        let store = match &self.store {
            Handle::Open(store) => store.clone(),
            Handle::Lazy(lazy) => lazy.store().map_err(|error| unable(error.into()))?,
        };
        let ui = Ui::new(self.verbosity);
        let workshop = Workshop::open(&store, self.limits, ui).map_err(unable)?;
        let wanted: Vec<Wanted> = wanted
            .iter()
            .map(|(path, outputs)| Wanted { derivation: path.clone(), outputs: Some(outputs.clone()) })
            .collect();
        let realised = workshop.engine().realise(known, &wanted).map_err(|error| {
            let (path, kind) = first_failed(&error);
            (path, Failure::from(error), kind)
        })?;
        Ok(realised.into_iter().map(|realised| (realised.derivation, realised.outputs)).collect())
    }
}

fn first_failed(error: &GraphError) -> (Option<StorePath>, ErrorKind) {
    match error {
        GraphError::Interrupted => (None, ErrorKind::Interrupted),
        GraphError::Failed { failures } => match failures.first() {
            Some((path, BuildError::TimedOut { .. })) => (Some(path.clone()), ErrorKind::BuildTimedOut),
            Some((path, error)) if Failure::of_build(path, error).exit() == Exit::Refused => {
                (Some(path.clone()), ErrorKind::BuildRefused)
            }
            Some((path, _)) => (Some(path.clone()), ErrorKind::Build),
            None => (None, ErrorKind::Build),
        },
        _ => (None, ErrorKind::Build),
    }
}
