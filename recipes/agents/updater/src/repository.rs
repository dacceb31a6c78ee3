//! The repository as this node comes to believe it: metadata first, then what
//! is small enough to be held.

use std::path::Path;

use osbuild_format::release::Release as Manifest;
use osbuild_transfer::http::{Body, Http, Metadata, Part, Patience};
use osbuild_transfer::metadata::FileStore;
use osbuild_tuf::client::{Client, Limits, Store};
use osbuild_tuf::metadata::Target;
use osbuild_tuf::paths;
use osbuild_tuf::time::Time;
use osbuild_update::documents::{Catalogue, Release, Rollout};
use osbuild_update::names::{self, Line};
use sha2::{Digest, Sha256};
use url::Url;

use crate::clock;
use crate::config::Config;

/// Below PRIVATE, so that what was believed is not forgotten.
const KEPT: &str = "tuf";
/// Of a document or a manifest.
const MOST_BYTES: u64 = 4 << 20;

/// A repository whose metadata was verified a moment ago.
pub struct Repository<'h> {
    http: &'h Http,
    client: Client<Metadata<'h>, FileStore>,
    /// The place that it was verified from, then the others.
    places: Vec<Url>,
    pub now: Time,
    pub catalogue: Catalogue,
    pub rollout: Rollout,
}

/// # Errors
/// There is no network code here.
pub fn http() -> Result<Http, String> {
    Http::new(Patience::default()).map_err(|error| error.to_string())
}

impl<'h> Repository<'h> {
    /// Asks one place after the other until one can be believed.
    ///
    /// # Errors
    /// None can; what each has done wrong.
    pub fn open(http: &'h Http, config: &Config, line: &Line, private: &Path) -> Result<Self, String> {
        let mut reasons = Vec::new();
        for (index, place) in config.places.iter().enumerate() {
            let mut places = config.places.clone();
            places.swap(0, index);
            match Self::at(http, config, line, private, places) {
                Ok(repository) => return Ok(repository),
                Err(reason) => reasons.push(format!("{place}: {reason}")),
            }
        }
        Err(reasons.join("; "))
    }

    fn at(
        http: &'h Http,
        config: &Config,
        line: &Line,
        private: &Path,
        places: Vec<Url>,
    ) -> Result<Self, String> {
        let directory = private.join(KEPT);
        std::fs::create_dir_all(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
        let mut store = FileStore::new(&directory);
        let now = clock::now(config.epoch, &store.load());
        let base = places[0].join("metadata/").map_err(|error| error.to_string())?;
        let client = Client::new(&config.root, Metadata { http, base }, store, Limits::default(), now);
        let mut client = client.map_err(|error| all_of(&error))?;
        client.refresh().map_err(|error| all_of(&error))?;
        // What was signed later than our clock says is later, too.
        let signed = client.trusted().timestamp().and_then(|timestamp| timestamp.signed_at);
        let now = signed.map_or(now, |signed| signed.max(now));
        let mut repository =
            Self { http, client, places, now, catalogue: Catalogue::empty(), rollout: Rollout::empty() };
        let catalogue = repository.small(&line.catalogue())?;
        repository.catalogue = Catalogue::parse(&catalogue).map_err(|error| all_of(&error))?;
        if let Some(rollout) = repository.small_if_any(&line.rollout())? {
            repository.rollout = Rollout::parse(&rollout).map_err(|error| all_of(&error))?;
        }
        Ok(repository)
    }

    /// What the repository vouches for under a name; `None` if it knows none.
    ///
    /// # Errors
    /// A role that may speak for it cannot be believed.
    pub fn target(&mut self, name: &str) -> Result<Option<Target>, String> {
        match self.client.target(name) {
            Ok(target) => Ok(Some(target)),
            Err(osbuild_tuf::Error::NoTarget { .. }) => Ok(None),
            Err(error) => Err(all_of(&error)),
        }
    }

    /// A small target whole.
    ///
    /// # Errors
    /// There is none, or its bytes are not what was signed.
    pub fn small(&mut self, name: &str) -> Result<Vec<u8>, String> {
        self.small_if_any(name)?.ok_or_else(|| format!("the repository has no {name}"))
    }

    fn small_if_any(&mut self, name: &str) -> Result<Option<Vec<u8>>, String> {
        let Some(target) = self.target(name)? else { return Ok(None) };
        if target.length > MOST_BYTES {
            return Err(format!("{name} has {} bytes, where {MOST_BYTES} are the most", target.length));
        }
        self.whole(name, &target).map(Some)
    }

    /// A target in memory, judged by its hashes; one place after the other.
    ///
    /// # Errors
    /// No place has it as it was signed.
    pub fn whole(&self, name: &str, target: &Target) -> Result<Vec<u8>, String> {
        let file = file_name(name, target)?;
        let mut reasons = Vec::new();
        for place in &self.places {
            let url = target_url(place, &file)?;
            let mut bytes = Vec::new();
            let mut judge = target.hashes.judge(name).map_err(|error| all_of(&error))?;
            let came = self.http.get(&url, 0, target.length, &mut |chunk| {
                judge.update(chunk);
                bytes.extend_from_slice(chunk);
                Ok(())
            });
            let judged = came.map_err(|error| error.to_string()).and_then(|length| {
                if length != target.length {
                    return Err(format!("{url}: {length} bytes, where {} are due", target.length));
                }
                judge.finish().map_err(|error| all_of(&error))
            });
            match judged {
                Ok(()) => return Ok(bytes),
                Err(reason) => reasons.push(reason),
            }
        }
        Err(reasons.join("; "))
    }

    /// A target's bytes as they come, from the first place that answers. Nobody
    /// has judged them.
    ///
    /// # Errors
    /// No place has it.
    pub fn open_target(&self, name: &str, target: &Target, part: Part) -> Result<Body<'h>, String> {
        let file = file_name(name, target)?;
        let mut reasons = Vec::new();
        for place in &self.places {
            let mut body = self.http.open(&target_url(place, &file)?, part);
            match body.begin() {
                Ok(()) => return Ok(body),
                Err(error) => reasons.push(error.to_string()),
            }
        }
        Err(reasons.join("; "))
    }

    /// The manifest of a release, by the catalogue's word for its bytes.
    ///
    /// # Errors
    /// It is not there, or of another release.
    pub fn manifest(&mut self, line: &Line, release: &Release) -> Result<Manifest, String> {
        let name = self.name(line, release, "manifest.json");
        let bytes = self.small(&name)?;
        let digest = osbuild_format::hex::encode(&Sha256::digest(&bytes));
        if digest != release.manifest_sha256 {
            return Err(format!("{name} is not the one that the catalogue names"));
        }
        let manifest = Manifest::parse(&bytes).map_err(|error| format!("{name}: {error}"))?;
        if manifest.root.root_hash != release.root_hash || manifest.rollback_index != release.rollback_index {
            return Err(format!("{name} is of another release than the catalogue says"));
        }
        Ok(manifest)
    }

    /// A target of a release.
    pub fn name(&self, line: &Line, release: &Release, file: &str) -> String {
        format!("{}.{file}", names::release(&line.variant, &line.arch, &release.version))
    }
}

fn file_name(name: &str, target: &Target) -> Result<String, String> {
    let digest = target.hashes.for_name().ok_or_else(|| format!("{name}: no hash that names its file"))?;
    Ok(paths::target_name(name, digest))
}

fn target_url(place: &Url, file: &str) -> Result<Url, String> {
    place.join("targets/").and_then(|base| base.join(file)).map_err(|error| format!("{place}: {error}"))
}

/// An error with its causes.
pub fn all_of(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
