//! A repository in a temporary directory, at times that the test says.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use osbuild_core::repo::RepoError;
use osbuild_core::repo::commit::{Committed, Signers};
use osbuild_core::repo::init::{Init, init};
use osbuild_core::repo::publish::{Evidence, Request, plan, publish};
use osbuild_core::repo::signer::{Algorithm, Location, Passphrases};
use osbuild_core::repo::tree::{Repository, State};
use osbuild_core::repo::verify::{Report, Subject, verify};
use osbuild_tuf::time::Time;

use crate::release::Made;

pub(crate) const START: Time = Time(1_900_000_000);
pub(crate) const DAY: u64 = 86_400;

pub(crate) fn later(days: u64) -> Time {
    Time(START.0 + days * DAY)
}

pub(crate) struct Silent;

impl Passphrases for Silent {
    fn passphrase(&self, _: &str) -> Option<String> {
        Some("open sesame".to_owned())
    }
}

pub(crate) struct Fixture {
    pub(crate) folder: tempfile::TempDir,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self::with(Algorithm::Ed25519, None)
    }

    pub(crate) fn with(algorithm: Algorithm, passphrase: Option<&str>) -> Self {
        Self::at(algorithm, passphrase, START)
    }

    pub(crate) fn at(algorithm: Algorithm, passphrase: Option<&str>, now: Time) -> Self {
        let fixture = Self { folder: tempfile::tempdir().unwrap() };
        let request = Init {
            repository: fixture.path(),
            keys: fixture.keys(),
            root_keys: 3,
            root_threshold: 2,
            algorithm,
        };
        init(&request, passphrase, &signers(), now).unwrap();
        fixture
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("fleet")
    }

    pub(crate) fn keys(&self) -> PathBuf {
        self.folder.path().join("fleet-keys")
    }

    pub(crate) fn open(&self) -> (Repository, State) {
        let repository = Repository::open(&self.path()).unwrap();
        let state = repository.state().unwrap();
        (repository, state)
    }

    pub(crate) fn make(&self, made: &Made) -> PathBuf {
        made.write(self.folder.path())
    }

    pub(crate) fn publish(&self, made: &Made, now: Time) -> Result<Committed, RepoError> {
        self.publish_with(made, now, |_| {})
    }

    pub(crate) fn publish_with(
        &self,
        made: &Made,
        now: Time,
        change: impl FnOnce(&mut Request<'_>),
    ) -> Result<Committed, RepoError> {
        let mut request = Request {
            outputs: vec![self.make(made)],
            derivations: BTreeMap::new(),
            channel: "stable".to_owned(),
            wave: None,
            retire_previous: false,
            evidence: Evidence::None { why: "a test".to_owned() },
            verdicts: Vec::new(),
            progress: &|_| {},
        };
        change(&mut request);
        let (repository, state) = self.open();
        let plan = plan(&repository, &state, &request, now)?;
        publish(&repository, &state, plan, &signers(), now)
    }

    pub(crate) fn verify(&self, at: Time) -> Report {
        let place = osbuild_store::cache::Directory::new(&self.path().join("public"));
        let path = self.path();
        let subject = Subject { place: &place, directory: Some(&path), root: None, is_partial: false };
        verify(&subject, at, &|_| {}).unwrap()
    }
}

pub(crate) fn signers() -> Signers<'static> {
    Signers::new(BTreeMap::new(), &Silent)
}

pub(crate) fn signers_with(keys: &[(&str, &Path)]) -> Signers<'static> {
    let given = keys.iter().map(|(name, path)| ((*name).to_owned(), Location::File(path.to_path_buf())));
    Signers::new(given.collect(), &Silent)
}
