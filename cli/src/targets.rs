//! What the words that name targets mean.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use osbuild_core::derivation::Derivation;
use osbuild_core::derivation::aterm::{from_aterm, to_aterm};
use osbuild_core::graph::Wanted;
use osbuild_core::instantiate::Session;
use osbuild_core::instantiate::project::Project;
use osbuild_core::instantiate::target::Target;
use osbuild_store::store::{Ingestion, SourceSink, SourceTree};
use osbuild_store::{LocalStore, StorePath};

use crate::config::CommonArguments;
use crate::error::{Exit, Failure};
use crate::realiser::Place;
use crate::session;
use crate::workshop::BuildLimits;

/// Those of one command.
pub(crate) struct Targets {
    pub(crate) wanted: Vec<Wanted>,
    session: Session,
    project: Option<Project>,
    /// The file that each comes from, where one does.
    files: HashMap<StorePath, String>,
    /// Those of real Nix, read from beside the one that was named.
    foreign: HashMap<StorePath, Arc<Derivation>>,
}

impl Targets {
    /// Evaluates what the words name, under these limits where that takes
    /// builds.
    pub(crate) fn resolve(
        store: &Arc<LocalStore>,
        words: &[String],
        limits: BuildLimits,
        common: &CommonArguments,
    ) -> Result<Self, Failure> {
        let (targets, project) = session::targets(words, common)?;
        let place = Place::open(store.clone(), common.verbosity(), limits);
        let session = session::for_targets(&targets, project.as_ref(), place);
        let mut resolved =
            Self { wanted: Vec::new(), session, project, files: HashMap::new(), foreign: HashMap::new() };
        for (word, target) in words.iter().zip(&targets) {
            if matches!(target, Target::Derivation(path) if !store.is_valid(path)?) {
                let derivation = resolved.read_beside(store, Path::new(word))?;
                resolved.wanted.push(Wanted { derivation, outputs: None });
                continue;
            }
            let found = resolved.session.instantiate_target(
                target,
                resolved.project.as_ref(),
                &Default::default(),
            )?;
            if found.is_empty() {
                return Err(Failure::new(Exit::Failed, &format!("'{word}' holds no derivation")));
            }
            if let Some(file) = target.file(resolved.project.as_ref()) {
                let file = file.display().to_string();
                resolved.files.extend(found.iter().map(|found| (found.drv_path.clone(), file.clone())));
            }
            resolved.wanted.extend(found.into_iter().map(|found| Wanted {
                derivation: found.drv_path,
                outputs: Some(found.outputs_wanted.into_iter().collect()),
            }));
        }
        Ok(resolved)
    }

    /// A derivation that was just evaluated, or read from beside a `.drv`.
    pub(crate) fn lookup(&self, path: &StorePath) -> Option<Arc<Derivation>> {
        self.foreign.get(path).cloned().or_else(|| self.session.derivation(path))
    }

    /// The derivation of each of the project's packages that has one, with the
    /// file of its recipe; none where no project was needed.
    pub(crate) fn packages(&mut self) -> Result<Vec<(StorePath, String)>, Failure> {
        let Some(project) = self.project.clone() else { return Ok(Vec::new()) };
        let mut packages = Vec::new();
        for name in self.session.catalogue(&project)?.packages {
            let target = Target::Attribute(format!("pkgs.{name}"));
            // One that does not evaluate is below none of these targets.
            let found = self.session.instantiate_target(&target, Some(&project), &Default::default());
            let file = format!("recipes/pkgs/{name}/package.nix");
            packages.extend(found.into_iter().flatten().map(|found| (found.drv_path, file.clone())));
        }
        Ok(packages)
    }

    /// The file that each of those wanted comes from.
    pub(crate) fn files(&self) -> &HashMap<StorePath, String> {
        &self.files
    }

    /// The one derivation that a word means.
    pub(crate) fn only(&self, word: &str) -> Result<&StorePath, Failure> {
        match self.wanted.as_slice() {
            [one] => Ok(&one.derivation),
            many => {
                let message = format!("'{word}' is {} derivations", many.len());
                Err(Failure::usage(&message, "name one of them"))
            }
        }
    }

    /// A `.drv` that somebody else wrote, with those beside it that it needs.
    fn read_beside(&mut self, store: &LocalStore, file: &Path) -> Result<StorePath, Failure> {
        let directory = file.parent().unwrap_or(Path::new("."));
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let bad = |what: String| Failure::new(Exit::Failed, &format!("{}: {what}", file.display()));
        let root = StorePath::parse(&name).map_err(|e| bad(e.to_string()))?;
        let mut queue = vec![root.clone()];
        while let Some(path) = queue.pop() {
            if self.foreign.contains_key(&path) {
                continue;
            }
            let Ok(bytes) = std::fs::read(directory.join(path.as_str())) else {
                if path == root {
                    return Err(bad("no such file".to_owned()));
                }
                continue;
            };
            let derivation = from_aterm(&bytes, store.store_dir()).map_err(|e| bad(e.to_string()))?;
            queue.extend(derivation.input_derivations.keys().cloned());
            for source in &derivation.input_sources {
                import_beside(store, directory, source)?;
            }
            self.foreign.insert(path, Arc::new(derivation));
        }
        self.keep_foreign(store)?;
        Ok(root)
    }

    /// Adds them to the store, where other commands find them; those that refer
    /// to what is not there cannot be.
    fn keep_foreign(&self, store: &LocalStore) -> Result<(), Failure> {
        let mut waiting: Vec<&StorePath> = self.foreign.keys().collect();
        loop {
            let mut left = Vec::new();
            for path in &waiting {
                let derivation = &self.foreign[*path];
                let inputs = derivation.input_derivations.keys().chain(&derivation.input_sources);
                let references: BTreeSet<StorePath> = inputs.cloned().collect();
                if store.valid_among(&references)?.len() == references.len() {
                    let text = to_aterm(derivation, store.store_dir());
                    store.add_text(path.name(), &text, &references)?;
                } else {
                    left.push(*path);
                }
            }
            if left.len() == waiting.len() {
                return Ok(());
            }
            waiting = left;
        }
    }
}

/// Adds a source that lies beside a `.drv` of real Nix, if its contents say
/// that it is what its name says.
fn import_beside(store: &LocalStore, directory: &Path, source: &StorePath) -> Result<(), Failure> {
    let file = directory.join(source.as_str());
    if store.is_valid(source)? || file.symlink_metadata().is_err() {
        return Ok(());
    }
    let tree = source_tree(&file)?;
    let added = store.add_source(source.name(), &tree, Ingestion::Recursive)?;
    if added == *source {
        return Ok(());
    }
    if let SourceTree::Regular { path, .. } = &tree {
        let bytes = std::fs::read(path)?;
        if store.add_text(source.name(), &bytes, &BTreeSet::new())? == *source {
            return Ok(());
        }
    }
    Err(Failure::new(Exit::Refused, &format!("{} is not what its name says", file.display())))
}

fn source_tree(file: &Path) -> Result<SourceTree, Failure> {
    let metadata = file.symlink_metadata()?;
    if metadata.is_symlink() {
        let target = std::fs::read_link(file)?.as_os_str().as_bytes().to_vec();
        return Ok(SourceTree::Symlink { target });
    }
    if !metadata.is_dir() {
        let executable = metadata.permissions().mode() & 0o100 != 0;
        return Ok(SourceTree::Regular { path: file.to_owned(), executable });
    }
    let mut members = BTreeMap::new();
    for entry in file.read_dir()? {
        let entry = entry?;
        members.insert(entry.file_name().as_bytes().to_vec(), source_tree(&entry.path())?);
    }
    Ok(SourceTree::Directory(members))
}
