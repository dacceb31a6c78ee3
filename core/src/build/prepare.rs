//! From a resolved derivation to the sandbox that its builder runs in.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use osbuild_builder::{Order, OrderedFile};
use osbuild_store::action::OutputName;
use osbuild_store::local::PathLock;
use osbuild_store::{LocalStore, StoreDir, StoreError, StorePath};

use super::BuildError;
use super::environment::{Environment, environment};
use super::outputs::writable_path;
use super::run::{BuildOptions, Resolved};
use super::sandbox::{
    Attached, BUILDER_IDS, Child, Conditions, File, Particulars, SandboxError, SandboxSpec, has_builder_ids,
    probe,
};
use super::surroundings::Surroundings;
use crate::derivation::{Derivation, placeholder};
use crate::graph::resolve::replace_strings;

/// A build, before it is known where it runs.
pub(crate) struct Prepared {
    /// With its own output paths where placeholders stood.
    pub(super) derivation: Derivation,
    /// Everything that is mounted.
    pub(crate) closure: BTreeSet<StorePath>,
    /// The logical scratch or final path of each output.
    pub(crate) written: BTreeMap<OutputName, StorePath>,
}

impl Prepared {
    /// For a build here, where all that it needs is.
    pub(super) fn here(store: &LocalStore, resolved: &Resolved) -> Result<Self, BuildError> {
        let closure =
            store.closure_paths(&resolved.derivation.input_sources).map_err(|error| match error {
                StoreError::Missing(path) => BuildError::MissingInput(path),
                error => error.into(),
            })?;
        Self::new(store.store_dir(), resolved, closure)
    }

    /// `closure` is that of the step's inputs.
    pub(crate) fn new(
        store_dir: &StoreDir,
        resolved: &Resolved,
        closure: BTreeSet<StorePath>,
    ) -> Result<Self, BuildError> {
        let mut written = BTreeMap::new();
        for output in resolved.derivation.outputs.keys() {
            written.insert(output.clone(), writable_path(resolved, output)?);
        }
        let mut prepared = Self { derivation: resolved.derivation.clone(), closure, written };
        let own = prepared.logical(store_dir);
        let own =
            own.into_iter().map(|(name, path)| (placeholder::own_output(name.as_str()), path)).collect();
        prepared.derivation = replace_strings(&resolved.derivation, &own);
        Ok(prepared)
    }

    fn logical(&self, store_dir: &StoreDir) -> BTreeMap<OutputName, String> {
        self.written.iter().map(|(name, path)| (name.clone(), store_dir.display(path))).collect()
    }

    /// The step as another machine is told it. How many cores a builder may
    /// use that machine says.
    pub(crate) fn order(&self, store_dir: &StoreDir) -> Result<Order, BuildError> {
        check_system(&self.derivation)?;
        let environment = environment(
            &self.derivation,
            &self.logical(store_dir),
            store_dir,
            None,
            &Conditions::default().build_directory,
        )?;
        let root = self.package_root(store_dir)?;
        let file = |file: File| OrderedFile {
            path: file.path,
            contents: file.contents,
            is_executable: file.is_executable,
        };
        Ok(Order {
            schema: osbuild_builder::SCHEMA,
            store_dir: store_dir.as_str().to_owned(),
            inputs: self.closure.iter().map(|path| path.as_str().to_owned()).collect(),
            package_root: root.map(|(path, rest)| format!("{path}{rest}")),
            program: self.derivation.builder.clone(),
            arguments: self.derivation.arguments.clone(),
            environment: environment.variables,
            files: environment.files.into_iter().map(file).collect(),
            outputs: self
                .written
                .iter()
                .map(|(name, path)| (name.to_string(), path.as_str().to_owned()))
                .collect(),
        })
    }

    /// The input whose entries are the sandbox's root, and the way below it.
    fn package_root(&self, store_dir: &StoreDir) -> Result<Option<(StorePath, String)>, BuildError> {
        let Some(text) = sandbox_root(&self.derivation)? else { return Ok(None) };
        let (path, rest) =
            store_dir.split(&text).map_err(|e| BuildError::Derivation(format!("sandboxRoot: {e}")))?;
        if !self.closure.contains(&path) {
            return Err(BuildError::Derivation(format!("sandboxRoot '{text}' is no input")));
        }
        Ok(Some((path, rest.to_owned())))
    }
}

/// A sandbox that only lacks a program and a place.
pub(super) struct Chamber {
    pub(super) environment: Environment,
    /// The physical package root.
    pub(super) package_root: Option<PathBuf>,
    inputs: Vec<String>,
    objects: PathBuf,
    store_dir: String,
    builder_uid: u32,
    conditions: Conditions,
    _uid_lock: Option<PathLock>,
}

impl Chamber {
    pub(super) fn new(
        store: &LocalStore,
        options: &BuildOptions,
        prepared: &Prepared,
    ) -> Result<Self, BuildError> {
        let Prepared { derivation, closure, .. } = prepared;
        check_system(derivation)?;
        let store_dir = store.store_dir();
        let outputs = prepared.logical(store_dir);
        let Surroundings { conditions, variables } = &options.surroundings;
        let build_directory = &conditions.build_directory;
        let mut environment =
            environment(derivation, &outputs, store_dir, Some(options.cores), build_directory)?;
        for (name, value) in variables {
            environment
                .variables
                .entry(name.as_bytes().to_vec())
                .or_insert_with(|| value.clone().into_bytes());
        }
        let package_root = prepared
            .package_root(store_dir)?
            .map(|(path, rest)| PathBuf::from(format!("{}{rest}", store.physical(&path).display())));
        let (uid_lock, builder_uid) = builder_uid(store)?;
        Ok(Self {
            environment,
            package_root,
            inputs: closure.iter().map(|path| path.as_str().to_owned()).collect(),
            objects: store.objects_dir(),
            store_dir: store.store_dir().as_str().to_owned(),
            builder_uid,
            conditions: conditions.clone(),
            _uid_lock: uid_lock,
        })
    }

    /// Starts a program in it. `scratch` is an empty directory on the store's
    /// file system.
    pub(super) fn start(
        &self,
        scratch: &Path,
        program: &[u8],
        arguments: &[Vec<u8>],
        attached: Attached<'_>,
    ) -> Result<Child, BuildError> {
        let spec = SandboxSpec {
            package_root: self.package_root.as_deref(),
            objects: &self.objects,
            store_dir: &self.store_dir,
            inputs: &self.inputs,
            scratch,
            program,
            arguments,
            environment: &self.environment.variables,
            files: &self.environment.files,
            builder_uid: self.builder_uid,
            attached,
            conditions: &self.conditions,
        };
        spec.start().map_err(|error| explain_start(error, self.package_root.is_some()))
    }

    /// What a probe finds in one like it.
    pub(super) fn probe(&self, scratch: &Path) -> Result<Particulars, BuildError> {
        let Self { objects, builder_uid, environment, conditions, .. } = self;
        Ok(probe(objects, scratch, *builder_uid, &environment.variables, conditions)?)
    }
}

/// `sandboxRoot`, plain or among structured attributes.
fn sandbox_root(derivation: &Derivation) -> Result<Option<String>, BuildError> {
    if let Some(json) = derivation.environment.get(b"__json".as_slice()) {
        let json: serde_json::Value = serde_json::from_slice(json)
            .map_err(|e| BuildError::Derivation(format!("structured attributes are no JSON: {e}")))?;
        return Ok(json.get("sandboxRoot").and_then(|v| v.as_str()).map(str::to_owned));
    }
    Ok(derivation.environment_text("sandboxRoot").filter(|text| !text.is_empty()).map(str::to_owned))
}

fn check_system(derivation: &Derivation) -> Result<(), BuildError> {
    let own = format!("{}-linux", std::env::consts::ARCH);
    let system = String::from_utf8_lossy(&derivation.system);
    if system == own {
        return Ok(());
    }
    Err(BuildError::Unsupported {
        what: format!("a build for system '{system}' cannot run here, on {own}"),
        hint: "build it on a machine of that system".to_owned(),
    })
}

pub(crate) fn explain_start(error: SandboxError, has_root: bool) -> BuildError {
    match error {
        SandboxError::Execute { program, source }
            if !has_root && source.kind() == std::io::ErrorKind::NotFound =>
        {
            BuildError::Unsupported {
                what: format!("there is no {program} in the sandbox: the derivation has no sandboxRoot"),
                hint: "without sandboxRoot a sandbox holds its inputs and nothing else, not even a shell"
                    .to_owned(),
            }
        }
        other => other.into(),
    }
}

/// A host uid that nobody has and no other build of ours uses now.
fn builder_uid(store: &LocalStore) -> Result<(Option<PathLock>, u32), BuildError> {
    if !has_builder_ids() {
        return Ok((None, 0));
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let taken = |uid: u32| users.lines().any(|l| l.split(':').nth(2) == Some(uid.to_string().as_str()));
    for uid in BUILDER_IDS {
        if taken(uid) {
            continue;
        }
        if let Some(lock) = store.try_lock(&format!("builder-{uid}"))? {
            return Ok((Some(lock), uid));
        }
    }
    Err(BuildError::Derivation(format!("all {} build users are in use", BUILDER_IDS.len())))
}
