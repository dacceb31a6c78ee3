//! What the user's word for a target means.
//!
//! A TARGET is a package or a variant of the project, perhaps with an
//! attribute path behind it; a folder or a `.nix` file; or a `.drv`.

use std::path::{Path, PathBuf};

use osbuild_store::{StoreDir, StorePath};

use super::{Argument, Arguments, Instantiated, Session, Source};
use crate::lang::error::ErrorKind;
use crate::lang::source::Pos;
use crate::lang::value::Value;
use crate::lang::{EvalError, Evaluator};

/// A tree of recipes and variants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    root: PathBuf,
}

/// What the user typed, told apart by its look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// `linux`, `pkgs.linux`, `qemu-dev.root`: an attribute of the project.
    Attribute(String),
    /// A `.nix` file or a folder with a `default.nix`, with the attribute path
    /// after `#`.
    File {
        path: PathBuf,
        attr_path: String,
    },
    /// A folder with a `variant.nix` or a function of the project's set: a
    /// variant outside the tree.
    Folder {
        path: PathBuf,
        attr_path: String,
    },
    Derivation(StorePath),
}

const ENTRY: &str = "recipes/default.nix";

impl Project {
    /// The project that `root` names, or else the nearest parent of
    /// `directory` with `recipes/default.nix` and `variants/`.
    ///
    /// # Errors
    /// There is none.
    pub fn find(root: Option<&Path>, directory: &Path) -> Result<Self, EvalError> {
        let is_project = |place: &Path| place.join(ENTRY).is_file() && place.join("variants").is_dir();
        if let Some(root) = root {
            if is_project(root) {
                return Ok(Self { root: absolute(root, directory) });
            }
            let message = format!("{} is no project: it lacks {ENTRY} or variants/", root.display());
            return Err(EvalError::new(ErrorKind::Usage, message)
                .with_hint("--root and OSBUILD_ROOT name the tree with recipes/ and variants/"));
        }
        match directory.ancestors().find(|place| is_project(place)) {
            Some(root) => Ok(Self { root: root.to_owned() }),
            None => Err(EvalError::new(
                ErrorKind::Usage,
                format!(
                    "no project found: neither {} nor a parent has {ENTRY} and variants/",
                    directory.display()
                ),
            )
            .with_hint("run this inside the project, or name it with --root DIR or OSBUILD_ROOT")),
        }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    fn entry(&self) -> PathBuf {
        self.root.join(ENTRY)
    }
}

impl Target {
    /// Reads what the user typed; `directory` is the working directory.
    ///
    /// # Errors
    /// A path that does not exist, or a `.drv` that is no store path.
    pub fn parse(text: &str, directory: &Path, store_dir: &StoreDir) -> Result<Self, EvalError> {
        if text.ends_with(".drv") {
            let base = text.rsplit('/').next().unwrap_or(text);
            let path = store_dir.parse(text).or_else(|_| StorePath::parse(base));
            return path.map(Self::Derivation).map_err(|error| {
                EvalError::new(ErrorKind::Usage, format!("'{text}' is not a derivation: {error}"))
            });
        }
        let (place, attr_path) = text.split_once('#').unwrap_or((text, ""));
        let looks_like_path = place.contains('/') || place.ends_with(".nix") || matches!(place, "." | "..");
        if !looks_like_path {
            return Ok(Self::Attribute(text.replace('#', ".")));
        }
        let path = absolute(Path::new(place), directory);
        let attr_path = attr_path.to_owned();
        if path.is_file() {
            return Ok(Self::File { path, attr_path });
        }
        if path.is_dir() {
            return Ok(Self::Folder { path, attr_path });
        }
        Err(EvalError::new(ErrorKind::Usage, format!("target '{text}' does not exist")).with_hint(
            "a target is a variant, a package, a folder, a .nix file or a .drv (see `osbuild list`)",
        ))
    }

    /// Whether the target needs the project.
    pub fn needs_project(&self) -> bool {
        matches!(self, Self::Attribute(_) | Self::Folder { .. })
    }

    /// The file that the user would open: from the project's root, where it is
    /// in the project. A package has its own, which only its name tells.
    pub fn file(&self, project: Option<&Project>) -> Option<PathBuf> {
        match self {
            Self::Attribute(path) => {
                let parts = super::select::split(path);
                let name = match parts.first()?.as_str() {
                    "variants" => parts.get(1)?,
                    _ => parts.first()?,
                };
                let file = Path::new("variants").join(name).join("variant.nix");
                project?.root.join(&file).is_file().then_some(file)
            }
            Self::File { path, .. } => Some(path.clone()),
            Self::Folder { path, .. } => {
                let files = ["variant.nix", "default.nix"].map(|name| path.join(name));
                let file = files.into_iter().find(|file| file.is_file())?;
                let inside = project.and_then(|project| file.strip_prefix(&project.root).ok());
                Some(inside.map_or_else(|| file.clone(), Path::to_owned))
            }
            Self::Derivation(_) => None,
        }
    }

    /// The program and attribute path that the target stands for.
    ///
    /// # Errors
    /// The name is neither a package nor a variant, or is both.
    pub fn source(
        &self,
        session: &mut Session,
        project: Option<&Project>,
    ) -> Result<(Source, String), EvalError> {
        let project = || {
            project.ok_or_else(|| EvalError::new(ErrorKind::Host, "this target needs a project (see --root)"))
        };
        match self {
            Self::Attribute(path) => {
                let entry = project()?.entry();
                let path = session.qualify(&entry, path)?;
                Ok((Source::File(entry), path))
            }
            Self::File { path, attr_path } => Ok((Source::File(path.clone()), attr_path.clone())),
            Self::Folder { path, attr_path } => folder(project()?, path, attr_path),
            Self::Derivation(path) => Err(EvalError::new(
                ErrorKind::Value,
                format!("{path} is a derivation already: there is nothing to evaluate"),
            )),
        }
    }
}

/// A folder outside the tree: with `variant.nix`, a module that joins the
/// project's variants under the folder's name; with `default.nix`, a function
/// of the project's set to whatever it makes of it.
fn folder(project: &Project, path: &Path, attr_path: &str) -> Result<(Source, String), EvalError> {
    let entry = nix_path(&project.entry());
    let source = |text: String| Source::Expression { text, directory: path.to_owned() };
    let module = path.join("variant.nix");
    if module.is_file() {
        let name = path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        let quoted = nix_string(&name);
        // By path, so that errors can name the file.
        let module = nix_path(&module);
        let text = format!("(import {entry} {{ extraVariants = {{ {quoted} = {module}; }}; }}).variants");
        let rest = if attr_path.is_empty() { String::new() } else { format!(".{attr_path}") };
        return Ok((source(text), format!("\"{name}\"{rest}")));
    }
    let function = path.join("default.nix");
    if function.is_file() {
        let text = format!("(import {}) (import {entry} {{ }})", nix_path(&function));
        return Ok((source(text), attr_path.to_owned()));
    }
    Err(EvalError::new(
        ErrorKind::Usage,
        format!("folder '{}' holds neither variant.nix nor default.nix", path.display()),
    ))
}

/// A path that the language reads back whatever characters it holds.
fn nix_path(path: &Path) -> String {
    format!("(/. + {})", nix_string(&path.to_string_lossy()))
}

fn nix_string(text: &str) -> String {
    let mut out = Vec::new();
    crate::lang::show_string(text.as_bytes(), &mut out);
    String::from_utf8(out).expect("the input was UTF-8")
}

fn absolute(path: &Path, directory: &Path) -> PathBuf {
    let joined = directory.join(path);
    joined.canonicalize().unwrap_or(joined)
}

/// The names of what a project offers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalogue {
    pub packages: Vec<String>,
    pub variants: Vec<String>,
}

impl Session {
    /// The packages and variants of a project, sorted.
    ///
    /// # Errors
    /// The project's recipes do not evaluate to `{ pkgs, variants }`.
    pub fn catalogue(&mut self, project: &Project) -> Result<Catalogue, EvalError> {
        let entry = project.entry();
        self.with_evaluator(move |e| names(e, &entry).map_err(|fault| fault.to_error(&e.sources)))?
    }

    /// Puts `pkgs.` or `variants.` before a name that lacks it.
    fn qualify(&mut self, entry: &Path, path: &str) -> Result<String, EvalError> {
        let parts = super::select::split(path);
        let first = parts.first().cloned().unwrap_or_default();
        if matches!(first.as_str(), "pkgs" | "variants" | "lib") && parts.len() > 1 {
            return Ok(path.to_owned());
        }
        let entry = entry.to_owned();
        let found =
            self.with_evaluator(move |e| names(e, &entry).map_err(|fault| fault.to_error(&e.sources)))??;
        let (is_package, is_variant) = (found.packages.contains(&first), found.variants.contains(&first));
        match (is_package, is_variant) {
            (true, false) => Ok(format!("pkgs.{path}")),
            (false, true) => Ok(format!("variants.{path}")),
            (true, true) => {
                Err(EvalError::new(ErrorKind::Usage, format!("'{first}' is both a package and a variant"))
                    .with_hint(format!("write pkgs.{path} or variants.{path}")))
            }
            (false, false) => {
                let all: Vec<&str> =
                    found.variants.iter().chain(&found.packages).map(String::as_str).collect();
                let error =
                    EvalError::new(ErrorKind::Usage, format!("there is no package or variant '{first}'"));
                Err(match crate::lang::error::nearest(&first, all.iter().copied()) {
                    Some(near) => {
                        error.with_hint(format!("did you mean {near}? `osbuild list` shows what there is"))
                    }
                    None => error.with_hint("`osbuild list` shows what there is"),
                })
            }
        }
    }

    /// The derivations of a target.
    ///
    /// # Errors
    /// The target does not exist or does not evaluate.
    pub fn instantiate_target(
        &mut self,
        target: &Target,
        project: Option<&Project>,
        arguments: &Arguments,
    ) -> Result<Vec<Instantiated>, EvalError> {
        if let Target::Derivation(path) = target {
            return self.load_derivation(path).map(|found| vec![found]);
        }
        let (source, attr_path) = target.source(self, project)?;
        self.instantiate_source(&source, &attr_path, arguments)
    }

    /// A derivation that is in the store already, with all that it needs.
    fn load_derivation(&mut self, path: &StorePath) -> Result<Instantiated, EvalError> {
        let wanted = path.clone();
        let derivation = self.with_evaluator(move |e| {
            e.host.derivation(&wanted).map_err(|error| e.host_fault(&error, Pos::NONE).to_error(&e.sources))
        })??;
        let name = path.derivation_name().to_owned();
        Ok(Instantiated {
            drv_path: path.clone(),
            outputs_wanted: derivation.outputs.keys().cloned().collect(),
            name,
            attr: path.to_string(),
        })
    }
}

fn names(e: &mut Evaluator, entry: &Path) -> crate::lang::Eval<Catalogue> {
    let value = e.import(entry, Pos::NONE)?;
    let none: Arguments = std::collections::BTreeMap::<String, Argument>::new();
    let value = super::select::call_automatically(e, value, &none, true)?;
    let set = e.as_attrs(value, Pos::NONE)?;
    let mut members = |name: &str| -> crate::lang::Eval<Vec<String>> {
        let symbol = e.symbols.intern(name.as_bytes());
        let Some(attr) = set.get(symbol) else { return Ok(Vec::new()) };
        match e.force_at(attr.value, attr.pos)? {
            Value::Attrs(members) => {
                Ok(e.entries_by_name(members).iter().map(|a| e.symbols.display(a.name)).collect())
            }
            other => Err(e.wrong_type("a set", other, attr.pos)),
        }
    };
    Ok(Catalogue { packages: members("pkgs")?, variants: members("variants")? })
}
