//! A fixture whose engine builds on a cluster.

use std::sync::Arc;

use osbuild_core::graph::{Engine, GraphError};
use osbuild_core::remote::{Remote, RemoteConfig, Storage};
use osbuild_store::StorePath;
use osbuild_store::cache::{BinaryCache, Substituters};
use osbuild_store::signature::TrustedKeys;

use crate::casd::builder;
use crate::fixture::Fixture;

/// A connection, and what was built through it.
pub(crate) struct Cluster {
    remote: Arc<Remote>,
    substituters: Substituters,
}

impl Cluster {
    pub(crate) fn of(fixture: &Fixture, config: &RemoteConfig) -> Self {
        let mut remote = Remote::connect(config, fixture.store.home(), &|| false).unwrap();
        remote.set_builder(&builder()).unwrap();
        Self::through(fixture, remote)
    }

    pub(crate) fn without_builder(fixture: &Fixture, config: &RemoteConfig) -> Self {
        Self::through(fixture, Remote::connect(config, fixture.store.home(), &|| false).unwrap())
    }

    fn through(fixture: &Fixture, remote: Remote) -> Self {
        let remote = Arc::new(remote);
        let store_dir = fixture.store.store_dir().clone();
        let storage = BinaryCache::of(Box::new(Storage::new(remote.clone(), store_dir.clone())));
        let memory = fixture.store.home().join("cache/memory");
        let substituters = Substituters::new(vec![storage], TrustedKeys::default(), store_dir, &memory);
        Self { remote, substituters }
    }

    pub(crate) fn build(&self, fixture: &Fixture, step: &StorePath) -> Result<StorePath, GraphError> {
        fixture.build_with(&self.engine(fixture), step)
    }

    pub(crate) fn engine<'f>(&'f self, fixture: &'f Fixture) -> Engine<'f> {
        Engine { remote: Some(&self.remote), substituters: Some(&self.substituters), ..fixture.engine() }
    }
}
