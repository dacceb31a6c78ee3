//! What the user's word for a target means.
//!
//! A TARGET is a package or a variant of the project, perhaps with an
//! attribute path behind it; a folder or a `.nix` file; or a `.drv`.

use std::path::{Path, PathBuf};

use osbuild_store::{StoreDir, StorePath};

use super::project::{Project, absolute, nix_path};
use super::{Arguments, Instantiated, Session, Source};
use crate::lang::EvalError;
use crate::lang::error::ErrorKind;
use crate::lang::source::Pos;

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
                project?.variant_file(name)
            }
            Self::File { path, .. } => Some(path.clone()),
            Self::Folder { path, .. } => {
                let files = ["variant.nix", "default.nix"].map(|name| path.join(name));
                let file = files.into_iter().find(|file| file.is_file())?;
                let inside = project.and_then(|project| project.relative(&file));
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
                Ok((entry, path))
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
    let module = path.join("variant.nix");
    if module.is_file() {
        let name = path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        let text = format!("({}).variants", project.expression(Some((&name, &module))));
        let rest = if attr_path.is_empty() { String::new() } else { format!(".{attr_path}") };
        return Ok((Source::Expression { text, directory: path.to_owned() }, format!("\"{name}\"{rest}")));
    }
    let function = path.join("default.nix");
    if function.is_file() {
        let text = format!("(import {}) ({})", nix_path(&function), project.expression(None));
        return Ok((Source::Expression { text, directory: path.to_owned() }, attr_path.to_owned()));
    }
    Err(EvalError::new(
        ErrorKind::Usage,
        format!("folder '{}' holds neither variant.nix nor default.nix", path.display()),
    ))
}

impl Session {
    /// Puts `pkgs.` or `variants.` before a name that lacks it.
    fn qualify(&mut self, entry: &Source, path: &str) -> Result<String, EvalError> {
        let parts = super::select::split(path);
        let first = parts.first().cloned().unwrap_or_default();
        if matches!(first.as_str(), "pkgs" | "variants" | "lib") && parts.len() > 1 {
            return Ok(path.to_owned());
        }
        let found = self.names(entry)?;
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
