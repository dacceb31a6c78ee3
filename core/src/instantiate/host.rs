//! The world as evaluation sees it: this machine's files and a store.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use osbuild_store::action::OutputName;
use osbuild_store::error::one_line;
use osbuild_store::store::{Ingestion, SourceTree};
use osbuild_store::{StoreDir, StorePath, is_disk_full};

use super::kept_code::KeptCode;
use super::realiser::{ImportFromDerivation, WantedOutputs};
use super::sink::Sink;
use super::table::Table;
use super::{SessionOptions, Sight};
use crate::derivation::Derivation;
use crate::derivation::aterm::{Aterm, from_aterm};
use crate::derivation::hash_modulo::HashModulo;
use crate::derivation::placeholder::upstream_output;
use crate::lang::context::Element;
use crate::lang::error::ErrorKind;
use crate::lang::host::{
    Diagnostics, FileKind, Host, HostError, HostResult, SearchEntry, StandIns, Unrealised,
};
use crate::lang::portable::CodeKey;

pub(super) struct StoreHost {
    options: SessionOptions,
    sink: Arc<dyn Sink>,
    table: Arc<Mutex<Table>>,
    /// Real places that were found to be inside the pure roots.
    allowed: RefCell<HashMap<PathBuf, bool>>,
    kept_code: Option<KeptCode>,
}

impl StoreHost {
    pub(super) fn new(mut options: SessionOptions, sink: Arc<dyn Sink>, table: Arc<Mutex<Table>>) -> Self {
        if let Sight::Restricted { places, .. } | Sight::Pure { places } = &mut options.sight {
            for root in places {
                if let Ok(directory) = std::env::current_dir() {
                    *root = directory.join(&*root);
                }
                if let Ok(real) = root.canonicalize() {
                    *root = real;
                }
            }
        }
        let kept_code = options.code_cache.take().map(KeptCode::new);
        Self { options, sink, table, allowed: RefCell::default(), kept_code }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().expect("no one panics while holding the table")
    }

    /// Where a path really is: objects of the store are looked up there,
    /// everything else stays if it may be read.
    fn place(&self, path: &Path) -> HostResult<PathBuf> {
        if let Some(text) = path.to_str()
            && let Ok((object, rest)) = self.sink.store_dir().split(text)
        {
            if let Some(physical) = self.sink.physical(&object) {
                let rest = rest.trim_start_matches('/');
                return Ok(if rest.is_empty() { physical } else { physical.join(rest) });
            }
            return Ok(path.to_owned());
        }
        self.check_allowed(path)?;
        Ok(path.to_owned())
    }

    /// As [`StoreHost::place`], for reading what is there: where places are
    /// limited, a link must not lead out of them.
    fn readable(&self, path: &Path) -> HostResult<PathBuf> {
        let place = self.place(path)?;
        if self.places().is_some() && place == path && place.is_symlink() {
            let real = place.canonicalize().map_err(|error| failed("resolve", path, &error))?;
            let real_text = real.to_str().unwrap_or("");
            if self.sink.store_dir().split(real_text).is_err() && !self.is_inside(&real) {
                return Err(self.forbidden(&real));
            }
        }
        Ok(place)
    }

    /// Where programs may look, if not everywhere.
    fn places(&self) -> Option<&[PathBuf]> {
        match &self.options.sight {
            Sight::Everything => None,
            Sight::Restricted { places, .. } | Sight::Pure { places } => Some(places),
        }
    }

    fn is_allowed(&self, path: &Path) -> bool {
        // On the way to a place one may look; what else is there is hidden.
        let is_on_the_way = |places: &[PathBuf]| places.iter().any(|place| place.starts_with(path));
        self.places().is_none_or(is_on_the_way) || self.is_inside(path)
    }

    fn is_inside(&self, path: &Path) -> bool {
        let Some(places) = self.places() else { return true };
        if places.iter().any(|place| place == path) {
            return true;
        }
        let directory = path.parent().unwrap_or(path);
        *self.allowed.borrow_mut().entry(directory.to_owned()).or_insert_with(|| {
            let real = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
            places.iter().any(|place| real.starts_with(place))
        })
    }

    /// Whether a member of a directory is shown: not those beside the way to a
    /// place.
    fn is_shown(&self, directory: &Path, name: &std::ffi::OsStr) -> bool {
        let Some(places) = self.places() else { return true };
        let on_the_way = |path: &Path| places.iter().any(|place| place != path && place.starts_with(path));
        !on_the_way(directory) || self.is_allowed(&directory.join(name))
    }

    fn check_allowed(&self, path: &Path) -> HostResult<()> {
        if self.is_allowed(path) { Ok(()) } else { Err(self.forbidden(path)) }
    }

    fn forbidden(&self, path: &Path) -> HostError {
        let shown = |places: &[PathBuf]| {
            let places: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
            places.join(", ")
        };
        let (mode, hint) = match &self.options.sight {
            Sight::Pure { places } if !places.is_empty() => (
                "pure evaluation mode",
                Some(format!("targets may read {} and the store; copy the file there", shown(places))),
            ),
            Sight::Restricted { places, .. } if !places.is_empty() => {
                ("restricted mode", Some(format!("programs may read {} and the store", shown(places))))
            }
            Sight::Restricted { .. } => ("restricted mode", None),
            _ => ("pure evaluation mode", None),
        };
        let message = format!("access to absolute path '{}' is forbidden in {mode}", path.display());
        HostError { message, hint }
    }

    /// An object that is about to be read, or whose outputs are.
    fn hold(&self, object: &StorePath) -> Result<(), Unrealised> {
        let failed = |error| Unrealised { kind: ErrorKind::Host, error };
        let held = self.sink.hold(object).map_err(|e| failed(not_added(object.name(), e.as_ref())))?;
        if held {
            return Ok(());
        }
        let error = HostError {
            message: format!("path '{object}' is not valid"),
            hint: (self.table().derivation(object).is_some()).then(|| {
                "this evaluation writes no derivations, so that none can be built (see --read-write-mode)"
                    .to_owned()
            }),
        };
        Err(Unrealised { kind: ErrorKind::Invalid, error })
    }

    /// Makes sure that a derivation and its inputs are in the table.
    fn load(&self, path: &StorePath) -> HostResult<()> {
        if self.table().has(path) {
            return Ok(());
        }
        let shown = self.sink.store_dir().display(path);
        let bytes = self.read_file(Path::new(&shown))?;
        let derivation = from_aterm(&bytes, self.sink.store_dir())
            .map_err(|error| HostError::new(format!("cannot read derivation '{shown}': {error}")))?;
        for input in derivation.input_derivations.keys() {
            self.load(input)?;
        }
        // The reader accepts what is written here only.
        let written = Aterm::of(&derivation, self.sink.store_dir());
        self.table().add(path.clone(), &derivation, &written);
        Ok(())
    }
}

/// Whether a prefix allows an address: it is that, a part of it up to a slash,
/// or its scheme.
fn begins_with(url: &str, prefix: &str) -> bool {
    let Some(rest) = url.strip_prefix(prefix) else { return false };
    !prefix.is_empty() && (rest.is_empty() || rest.starts_with('/') || prefix.ends_with(['/', ':']))
}

fn kind_of(metadata: &fs::Metadata) -> FileKind {
    let kind = metadata.file_type();
    if kind.is_file() {
        FileKind::Regular { executable: metadata.permissions().mode() & 0o100 != 0 }
    } else if kind.is_dir() {
        FileKind::Directory
    } else if kind.is_symlink() {
        FileKind::Symlink
    } else {
        FileKind::Special
    }
}

fn failed(action: &str, path: &Path, error: &io::Error) -> HostError {
    if error.kind() == io::ErrorKind::NotFound {
        return HostError::new(format!("path '{}' does not exist", path.display()));
    }
    HostError::new(format!("cannot {action} '{}': {error}", path.display()))
}

impl Host for StoreHost {
    fn store_dir(&self) -> &StoreDir {
        self.sink.store_dir()
    }

    fn read_file(&self, path: &Path) -> HostResult<Vec<u8>> {
        fs::read(self.readable(path)?).map_err(|error| failed("read", path, &error))
    }

    fn read_dir(&self, path: &Path) -> HostResult<Vec<(Vec<u8>, FileKind)>> {
        let fail = |error: io::Error| match error.kind() {
            io::ErrorKind::NotADirectory => {
                HostError::new(format!("cannot read directory {path:?}: Not a directory"))
            }
            _ => failed("list", path, &error),
        };
        let mut entries = Vec::new();
        for entry in fs::read_dir(self.readable(path)?).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            if !self.is_shown(path, &entry.file_name()) {
                continue;
            }
            let metadata = entry.metadata().map_err(fail)?;
            entries.push((entry.file_name().into_vec(), kind_of(&metadata)));
        }
        Ok(entries)
    }

    fn read_link(&self, path: &Path) -> HostResult<Vec<u8>> {
        let target =
            fs::read_link(self.place(path)?).map_err(|error| failed("read the link", path, &error))?;
        Ok(target.into_os_string().into_vec())
    }

    fn file_kind(&self, path: &Path) -> HostResult<Option<FileKind>> {
        match fs::symlink_metadata(self.place(path)?) {
            Ok(metadata) => Ok(Some(kind_of(&metadata))),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Ok(None)
            }
            Err(error) => Err(failed("look at", path, &error)),
        }
    }

    fn resolve(&self, path: &Path) -> HostResult<PathBuf> {
        fs::canonicalize(self.place(path)?).map_err(|error| failed("resolve", path, &error))
    }

    fn source_file(&self, path: &Path, executable: bool) -> HostResult<SourceTree> {
        Ok(SourceTree::Regular { path: self.place(path)?, executable })
    }

    fn environment(&self, name: &str) -> Option<String> {
        if self.options.sight != Sight::Everything {
            return None;
        }
        Some(String::from_utf8_lossy(std::env::var_os(name)?.as_bytes()).into_owned())
    }

    fn home(&self) -> Option<PathBuf> {
        if self.is_pure() {
            return None;
        }
        Some(std::env::var_os("HOME").map_or_else(|| PathBuf::from("/"), PathBuf::from))
    }

    fn working_directory(&self) -> Option<PathBuf> {
        if self.is_pure() {
            return None;
        }
        std::env::current_dir().ok()
    }

    fn memory_ceiling(&self) -> Option<usize> {
        Some(self.options.memory_ceiling.unwrap_or_else(super::memory::default_ceiling))
    }

    fn keeps_code(&self) -> bool {
        self.kept_code.is_some()
    }

    fn kept_code(&self, key: &CodeKey) -> Option<Vec<u8>> {
        self.kept_code.as_ref()?.get(key)
    }

    fn keep_code(&self, key: CodeKey, code: Vec<u8>) {
        if let Some(kept) = &self.kept_code {
            kept.add(key, code);
        }
    }

    fn flush_code(&self) {
        if let Some(kept) = &self.kept_code {
            kept.flush();
        }
    }

    fn max_call_depth(&self) -> u32 {
        self.options.max_call_depth
    }

    fn search_path(&self) -> Vec<SearchEntry> {
        if self.is_pure() {
            return Vec::new();
        }
        self.options.search_path.clone()
    }

    fn current_system(&self) -> Option<String> {
        (!self.is_pure()).then(|| self.options.system.clone())
    }

    fn current_time(&self) -> Option<i64> {
        if self.is_pure() {
            return None;
        }
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).ok()?;
        i64::try_from(now.as_secs()).ok()
    }

    fn is_pure(&self) -> bool {
        matches!(self.options.sight, Sight::Pure { .. })
    }

    fn may_fetch(&self, url: &str) -> HostResult<()> {
        let Sight::Restricted { uris, .. } = &self.options.sight else { return Ok(()) };
        if uris.iter().any(|prefix| begins_with(url, prefix)) {
            return Ok(());
        }
        match url.strip_prefix("file://").unwrap_or(url) {
            file if file.starts_with('/') => self.check_allowed(Path::new(file)),
            _ => Err(HostError::new(format!("access to URI '{url}' is forbidden in restricted mode"))),
        }
    }

    fn diagnostics(&self) -> Diagnostics {
        self.options.diagnostics
    }

    fn message(&self, line: &str) {
        (self.options.message)(line);
    }

    fn add_source(&self, name: &str, tree: &SourceTree, ingestion: Ingestion) -> HostResult<StorePath> {
        self.sink.add_source(name, tree, ingestion).map_err(|error| not_added(name, error.as_ref()))
    }

    fn add_text(
        &self,
        name: &str,
        contents: &[u8],
        references: &BTreeSet<StorePath>,
    ) -> HostResult<StorePath> {
        let path = self
            .sink
            .add_text(name, contents, references)
            .map_err(|error| not_added(name, error.as_ref()))?;
        self.table().add_text(path.clone(), references.clone());
        Ok(path)
    }

    fn add_derivation(&self, name: &str, derivation: Derivation) -> HostResult<StorePath> {
        let written = Aterm::of(&derivation, self.sink.store_dir());
        let references =
            derivation.input_derivations.keys().chain(derivation.input_sources.iter()).cloned().collect();
        let file = format!("{name}.drv");
        let path = self
            .sink
            .add_text(&file, written.text(), &references)
            .map_err(|error| not_added(&file, error.as_ref()))?;
        self.table().add(path.clone(), &derivation, &written);
        Ok(path)
    }

    fn derivation(&self, path: &StorePath) -> HostResult<Arc<Derivation>> {
        self.load(path)?;
        Ok(self.table().derivation(path).expect("loaded above"))
    }

    fn hash_modulo(&self, derivation: &StorePath) -> HostResult<HashModulo> {
        self.load(derivation)?;
        Ok(self.table().hash(derivation).expect("loaded above"))
    }

    fn is_valid(&self, path: &StorePath) -> bool {
        let known = {
            let table = self.table();
            table.has(path) || table.text_references(path).is_some()
        };
        known || self.sink.physical(path).is_some()
    }

    fn references(&self, path: &StorePath) -> Vec<StorePath> {
        if let Some(references) = self.table().text_references(path) {
            return references.iter().cloned().collect();
        }
        self.sink.references(path)
    }

    fn may_be_named(&self, path: &StorePath) -> HostResult<bool> {
        self.sink.may_be_named(path).map_err(|error| not_added(path.name(), error.as_ref()))
    }

    fn realise(&self, elements: &[Element]) -> Result<StandIns, Unrealised> {
        let mut wanted = WantedOutputs::new();
        for element in elements {
            match element {
                Element::Opaque(object) => self.hold(object)?,
                // Its text is known, so that nothing has to be written.
                Element::DerivationDeep(object) if self.table().derivation(object).is_some() => {}
                Element::DerivationDeep(object) => self.hold(object)?,
                Element::Built { derivation, output } => {
                    self.hold(derivation)?;
                    let Some(name) = OutputName::new(output) else {
                        let error = HostError::new(format!("invalid derivation output name '{output}'"));
                        return Err(Unrealised { kind: ErrorKind::Build, error });
                    };
                    wanted.entry(derivation.clone()).or_default().insert(name);
                }
            }
        }
        let Some((derivation, outputs)) = wanted.first_key_value() else { return Ok(StandIns::new()) };
        let ImportFromDerivation::Build(realiser) = &self.options.import_from_derivation else {
            let shown = self.sink.store_dir().display(derivation);
            let outputs: Vec<&str> = outputs.iter().map(OutputName::as_str).collect();
            let error = HostError::new(format!(
                "cannot build '{shown}^{}' during evaluation because the option \
                 'allow-import-from-derivation' is disabled",
                outputs.join(",")
            ));
            return Err(Unrealised { kind: ErrorKind::Refused, error });
        };
        if self.options.trace_import_from_derivation {
            let shown = self.sink.store_dir().display(derivation);
            let outputs: Vec<&str> = outputs.iter().map(OutputName::as_str).collect();
            self.message(&format!(
                "warning: built '{shown}^{}' during evaluation due to an import from derivation",
                outputs.join(",")
            ));
        }
        let made = realiser.realise(&wanted, &|path| self.table().derivation(path))?;
        let mut stand_ins = StandIns::new();
        for (derivation, outputs) in &made {
            for (output, path) in outputs {
                let path = self.sink.store_dir().display(path);
                stand_ins.push((upstream_output(derivation, output.as_str()), path));
            }
        }
        Ok(stand_ins)
    }
}

/// An error and its causes on one line.
fn not_added(name: &str, error: &(dyn std::error::Error + 'static)) -> HostError {
    HostError {
        message: format!("cannot add '{name}' to the store: {}", one_line(error)),
        hint: is_disk_full(error).then(|| {
            "the store's disk is full: `osbuild store gc` frees space, then run the command again".to_owned()
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instantiate::sink::Computing;
    use crate::lang::host::suite;

    fn host(root: &Path, pure: bool) -> StoreHost {
        let sight = if pure { Sight::Pure { places: vec![root.to_owned()] } } else { Sight::Everything };
        let options = SessionOptions { sight, ..SessionOptions::default() };
        StoreHost::new(options, Arc::new(Computing::default()), table())
    }

    fn table() -> Arc<Mutex<Table>> {
        Arc::new(Mutex::new(Table::new(StoreDir::default())))
    }

    #[test]
    fn keeps_the_promises_of_a_host() {
        let directory = tempfile::tempdir().unwrap();
        suite::write(directory.path());
        suite::check(&host(directory.path(), false), directory.path());
        suite::check(&host(directory.path(), true), directory.path());
    }

    #[test]
    fn pure_evaluation_does_not_follow_links_out() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("project");
        fs::create_dir(&root).unwrap();
        fs::write(directory.path().join("secret"), "s").unwrap();
        std::os::unix::fs::symlink("../secret", root.join("link")).unwrap();
        std::os::unix::fs::symlink("..", root.join("up")).unwrap();
        for path in ["link", "up/secret", "../secret"] {
            let path = root.join(path);
            assert!(host(&root, false).read_file(&path).is_ok());
            let error = host(&root, true).read_file(&path).unwrap_err();
            assert!(error.message.contains("forbidden in pure evaluation"), "{error:?}");
        }
        assert!(host(&root, true).read_dir(&root.join("up")).is_err());
        assert_eq!(host(&root, true).environment("PATH"), None);
        assert_eq!(host(&root, true).current_time(), None);
    }
    #[test]
    fn restricted_evaluation_shows_the_way_to_its_places_only() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("way/place")).unwrap();
        fs::write(root.join("way/place/file"), "f").unwrap();
        fs::write(root.join("way/secret"), "s").unwrap();
        let uris = vec!["http://known".to_owned(), "scheme:".to_owned()];
        let sight = Sight::Restricted { places: vec![root.join("way/place")], uris };
        let options = SessionOptions { sight, ..SessionOptions::default() };
        let host = StoreHost::new(options, Arc::new(Computing::default()), table());
        let names = |path: &Path| {
            host.read_dir(path)
                .unwrap()
                .into_iter()
                .map(|(name, _)| String::from_utf8(name).unwrap())
                .collect()
        };
        let way: Vec<String> = names(&root.join("way"));
        assert_eq!(way, ["place"]);
        let place: Vec<String> = names(&root.join("way/place"));
        assert_eq!(place, ["file"]);
        assert!(host.read_file(&root.join("way/place/file")).is_ok());
        let error = host.read_file(&root.join("way/secret")).unwrap_err();
        assert!(error.message.contains("is forbidden in restricted mode"), "{error:?}");
        assert_eq!(host.environment("PATH"), None);
        assert!(host.current_time().is_some() && !host.is_pure());
        for (url, allowed) in [
            ("http://known", true),
            ("http://known/x", true),
            ("http://knownnot/x", false),
            ("scheme:x", true),
            ("file:///etc/passwd", false),
        ] {
            assert_eq!(host.may_fetch(url).is_ok(), allowed, "{url}");
        }
    }
}
