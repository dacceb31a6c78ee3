//! The repository as this node comes to believe it: metadata first, then what
//! is small enough to be held.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use osbuild_format::release::Release as Manifest;
use osbuild_transfer::archive::{Archive, Stretch};
use osbuild_transfer::http::{Body, Http, Metadata, NoBytes, Part, Patience};
use osbuild_transfer::metadata::FileStore;
use osbuild_tuf::client::{Client, Failure, Limits, Transport};
use osbuild_tuf::metadata::{Envelope, TARGETS, Target, Targets};
use osbuild_tuf::paths;
use osbuild_tuf::time::Time;
use osbuild_update::documents::{Catalogue, Release, Rollout};
use osbuild_update::names::{self, Line};
use sha2::{Digest, Sha256};
use url::Url;

use crate::clock;
use crate::config::{Config, Rebuilders};

/// Below PRIVATE, so that what was believed is not forgotten.
const KEPT: &str = "tuf";
/// Of a document or a manifest.
const MOST_BYTES: u64 = 4 << 20;

/// Where a repository is.
#[derive(Clone)]
pub enum Place {
    /// Ends with a slash.
    Web(Url),
    /// An export that was handed in.
    Archive(Arc<Archive>),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Web(url) => url.fmt(f),
            Self::Archive(_) => f.write_str("the imported archive"),
        }
    }
}

/// A repository whose metadata was verified a moment ago.
pub struct Repository<'h> {
    http: &'h Http,
    client: Client<Source<'h>, FileStore>,
    /// In the order in which they are asked for bytes, which are the same
    /// wherever they come from: an archive that is there costs nothing. Where one
    /// gives other bytes, the next is asked.
    places: Vec<Place>,
    pub now: Time,
    pub catalogue: Catalogue,
    pub rollout: Rollout,
    /// Where the image asks for it: the manifests (SHA-256, in hexadecimal) of the
    /// releases that enough others have made again.
    pub rebuilt: Option<BTreeSet<String>>,
}

/// # Errors
/// There is no network code here.
pub fn http() -> Result<Http, String> {
    Http::new(Patience::default()).map_err(|error| error.to_string())
}

impl<'h> Repository<'h> {
    /// The newest that can be believed: what the archive says, then what the
    /// first place says that can be reached and believed after it, which is not
    /// older. So an archive never holds a node at its own state that can look
    /// for itself.
    ///
    /// # Errors
    /// None can; what each has done wrong.
    pub fn open(
        http: &'h Http,
        config: &Config,
        archive: Option<&Arc<Archive>>,
        line: &Line,
        private: &Path,
    ) -> Result<Self, String> {
        let mut reasons = Vec::new();
        let mut handed_in = None;
        let archive = archive.map(|archive| Place::Archive(Arc::clone(archive)));
        if let Some(archive) = &archive {
            match Self::at(http, config, line, private, vec![archive.clone()]) {
                Ok(repository) => handed_in = Some(repository),
                Err(reason) => reasons.push(format!("{archive}: {reason}")),
            }
        }
        for (index, url) in config.places.iter().enumerate() {
            let mut urls = config.places.clone();
            urls.swap(0, index);
            let mut places: Vec<Place> = urls.into_iter().map(Place::Web).collect();
            match Self::at(http, config, line, private, places.clone()) {
                Ok(repository) => {
                    places.splice(0..0, archive);
                    return Ok(Self { places, ..repository });
                }
                Err(reason) => reasons.push(format!("{url}: {reason}")),
            }
        }
        if reasons.is_empty() {
            reasons.push("no repository is named, and nothing was imported".to_owned());
        }
        handed_in.ok_or_else(|| reasons.join("; "))
    }

    /// What an archive says, and nobody else.
    ///
    /// # Errors
    /// It cannot be believed; why, and what helps.
    pub fn of_archive(
        http: &'h Http,
        config: &Config,
        archive: &Arc<Archive>,
        line: &Line,
        private: &Path,
    ) -> Result<Self, String> {
        Self::at(http, config, line, private, vec![Place::Archive(Arc::clone(archive))])
    }

    fn at(
        http: &'h Http,
        config: &Config,
        line: &Line,
        private: &Path,
        places: Vec<Place>,
    ) -> Result<Self, String> {
        let directory = private.join(KEPT);
        std::fs::create_dir_all(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
        let store = FileStore::new(&directory);
        let source = match &places[0] {
            Place::Web(url) => {
                let base = url.join("metadata/").map_err(|error| error.to_string())?;
                Source::Web(Metadata { http, base })
            }
            Place::Archive(archive) => Source::Archive(Arc::clone(archive)),
        };
        let client = Client::new(&config.root, source, store, Limits::default(), clock::now(config.epoch));
        let mut client = client.map_err(|error| all_of(&error))?;
        client.refresh_by_slow_clock().map_err(|error| told(&places[0], &error))?;
        let mut repository = Self {
            http,
            now: client.now(),
            client,
            places,
            catalogue: Catalogue::empty(),
            rollout: Rollout::empty(),
            rebuilt: None,
        };
        let catalogue = repository.small(&line.catalogue())?;
        repository.catalogue = Catalogue::parse(&catalogue).map_err(|error| all_of(&error))?;
        if let Some(rollout) = repository.small_if_any(&line.rollout())? {
            repository.rollout = Rollout::parse(&rollout).map_err(|error| all_of(&error))?;
        }
        let rebuilt = config.rebuilders.as_ref().map(|rebuilders| repository.rebuilt(line, rebuilders));
        repository.rebuilt = rebuilt;
        Ok(repository)
    }

    fn rebuilt(&mut self, line: &Line, rebuilders: &Rebuilders) -> BTreeSet<String> {
        let releases = self.catalogue.releases.clone();
        let is_rebuilt = |release: &Release| self.is_rebuilt(line, release, rebuilders);
        releases.into_iter().filter(is_rebuilt).map(|release| release.manifest_sha256).collect()
    }

    /// By the word of those whom the image names; whom the repository names does
    /// not count.
    fn is_rebuilt(&mut self, line: &Line, release: &Release, rebuilders: &Rebuilders) -> bool {
        let name = names::release(&line.variant, &line.arch, &release.version);
        let role = names::rebuilt_role(&name);
        if self.client.load(&role, Some(TARGETS)).is_err() {
            return false;
        }
        let Some(bytes) = self.client.kept().targets.get(&role) else { return false };
        let Ok(envelope) = Envelope::<Targets>::parse(&role, bytes) else { return false };
        let said = envelope.verified(&role, &rebuilders.keys, &rebuilders.role);
        let manifest = format!("{name}.{}", names::Part::Manifest.file());
        said.ok()
            .and_then(|said| said.targets.get(&manifest))
            .is_some_and(|target| target.hashes.for_name() == Some(release.manifest_sha256.as_str()))
    }

    /// Whether there is an archive which has a release that is newer than this,
    /// or that nobody can say it of.
    ///
    /// # Errors
    /// A role that may speak for a release cannot be believed.
    pub fn archive_is_of_use(&mut self, line: &Line, running_index: u64) -> Result<bool, String> {
        let archive = self.places.iter().find_map(|place| match place {
            Place::Archive(archive) => Some(Arc::clone(archive)),
            Place::Web(_) => None,
        });
        let Some(archive) = archive else { return Ok(true) };
        let newer = self.catalogue.releases.iter().filter(|release| release.rollback_index > running_index);
        let names: Vec<String> = newer.map(|release| self.name(line, release, "manifest.json")).collect();
        for name in names {
            if let Some(target) = self.target(&name)? {
                if archive.has(&format!("targets/{}", file_name(&name, &target)?)) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Whether it is worth asking for a target: where there is nothing but an
    /// archive, what that lacks nobody has.
    pub fn may_have(&self, name: &str, target: &Target) -> bool {
        let is_in = |place: &Place| match place {
            Place::Web(_) => true,
            Place::Archive(archive) => {
                file_name(name, target).is_ok_and(|file| archive.has(&format!("targets/{file}")))
            }
        };
        self.places.iter().any(is_in)
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

    /// A target in memory, judged by its hashes.
    ///
    /// # Errors
    /// No place has it as it was signed.
    pub fn whole(&self, name: &str, target: &Target) -> Result<Vec<u8>, String> {
        self.try_places(|place| {
            let whole = Part::From { start: 0, limit: target.length };
            let mut bytes = Vec::new();
            let coming = self.open_target(place, name, target, whole);
            let mut coming = coming.map_err(|error| no_bytes(name, &error))?;
            coming.read_to_end(&mut bytes).map_err(|error| error.to_string())?;
            if bytes.len() as u64 != target.length {
                return Err(format!("{name}: {} bytes, where {} are due", bytes.len(), target.length));
            }
            let mut judge = target.hashes.judge(name).map_err(|error| all_of(&error))?;
            judge.update(&bytes);
            judge.finish().map_err(|error| all_of(&error))?;
            Ok(bytes)
        })
    }

    /// Tries each place in turn until something has worked. Whose metadata
    /// is right may serve wrong bytes all the same, or none, or none in time.
    ///
    /// # Errors
    /// It worked with no place; why with each of them not.
    pub fn try_places<T>(&self, mut attempt: impl FnMut(&Place) -> Result<T, String>) -> Result<T, String> {
        let mut reasons = Vec::new();
        for place in &self.places {
            match attempt(place) {
                Ok(done) => return Ok(done),
                Err(reason) => reasons.push(format!("{place}: {reason}")),
            }
        }
        Err(reasons.join("; "))
    }

    /// A target's bytes as they come. Nobody has judged them.
    ///
    /// # Errors
    /// The place does not have it, or does not give it.
    pub fn open_target(
        &self,
        place: &Place,
        name: &str,
        target: &Target,
        part: Part,
    ) -> Result<Coming<'h>, NoBytes> {
        let file = file_name(name, target).map_err(NoBytes::Final)?;
        match place {
            Place::Web(base) => {
                let mut body = self.http.open(&target_url(base, &file).map_err(NoBytes::Final)?, part);
                body.begin()?;
                Ok(Coming::Web(Box::new(body)))
            }
            Place::Archive(archive) => {
                let stretch = archive.open_part(&format!("targets/{file}"), part).ok_or(NoBytes::Missing)?;
                stretch.map(Coming::Archive).map_err(NoBytes::Final)
            }
        }
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

/// Why a target's bytes do not come; most reasons have its address.
pub fn no_bytes(name: &str, error: &NoBytes) -> String {
    match error {
        NoBytes::Missing => format!("it does not have {name}"),
        other => other.to_string(),
    }
}

fn file_name(name: &str, target: &Target) -> Result<String, String> {
    let digest = target.hashes.for_name().ok_or_else(|| format!("{name}: no hash that names its file"))?;
    Ok(paths::target_name(name, digest))
}

/// Metadata, wherever it comes from.
enum Source<'h> {
    Web(Metadata<'h>),
    Archive(Arc<Archive>),
}

impl Transport for Source<'_> {
    fn metadata(&mut self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, Failure> {
        match self {
            Self::Web(web) => web.metadata(name, limit),
            Self::Archive(archive) => archive.metadata(name, limit),
        }
    }
}

/// Bytes of a target, wherever they come from.
pub enum Coming<'h> {
    Web(Box<Body<'h>>),
    Archive(Stretch),
}

impl Read for Coming<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Web(body) => body.read(buffer),
            Self::Archive(stretch) => stretch.read(buffer),
        }
    }
}

/// Why a place is not believed; of an archive, what its owner can do.
fn told(place: &Place, error: &osbuild_tuf::Error) -> String {
    let reason = all_of(error);
    let remedy = match (place, error) {
        (Place::Archive(_), osbuild_tuf::Error::Expired { .. }) => {
            "refresh the repository and export it again, or set this node's clock right"
        }
        (Place::Archive(_), osbuild_tuf::Error::Rollback { .. }) => {
            "this node has seen a newer state of the repository: export it again"
        }
        _ => return reason,
    };
    format!("{reason}; {remedy}")
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

#[cfg(test)]
#[path = "repository_tests.rs"]
pub(crate) mod tests;
