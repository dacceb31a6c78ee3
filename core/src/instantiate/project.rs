//! The tree that targets are named in: this toolkit's, and with it that of
//! somebody who builds on it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use osbuild_store::{HashAlgorithm, NixHash};
use serde::Deserialize;

use super::{Argument, Arguments, Session, Source};
use crate::fetch::tree::Archive;
use crate::lang::error::ErrorKind;
use crate::lang::source::Pos;
use crate::lang::value::Value;
use crate::lang::{Eval, EvalError, Evaluator};

/// A tree of recipes and variants, and perhaps a repository that builds with
/// it: a folder with [`LOCK`] and variants of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    root: PathBuf,
    own: Option<PathBuf>,
    archive: Option<Archive>,
}

/// What a repository of somebody's own says of the toolkit: TOML, `[toolkit]`
/// with a `path` from the folder that it is in, or with an `archive`, which is
/// an address or a path, and its `hash`.
pub const LOCK: &str = "osbuild.lock";

const ENTRY: &str = "recipes/default.nix";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Lock {
    toolkit: Toolkit,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Toolkit {
    path: Option<PathBuf>,
    archive: Option<String>,
    hash: Option<String>,
}

enum Place {
    Path(PathBuf),
    Archive(Archive),
}

impl Toolkit {
    fn place(self, own: &Path) -> Result<Place, &'static str> {
        match (self.path, self.archive, self.hash) {
            (Some(path), None, None) => Ok(Place::Path(absolute(&path, own))),
            (None, Some(archive), Some(hash)) => {
                let hash = NixHash::parse(&hash, Some(HashAlgorithm::Sha256))
                    .ok()
                    .filter(|hash| hash.algorithm() == HashAlgorithm::Sha256)
                    .ok_or("hash has to be a SHA-256, as `sha256sum` prints it or as sha256-…")?;
                let url = match archive.contains("://") {
                    true => archive,
                    false => format!("file://{}", absolute(Path::new(&archive), own).display()),
                };
                Ok(Place::Archive(Archive { url, hash }))
            }
            (None, Some(_), None) => Err("an archive wants its hash"),
            (_, None, Some(_)) => Err("a hash wants its archive"),
            (Some(_), Some(_), _) => Err("the toolkit is at a path or in an archive, not both"),
            (None, None, None) => Err("it says neither path nor archive"),
        }
    }
}

impl Project {
    /// The project that `root` names, or else the nearest parent of
    /// `directory` that is one: the toolkit, with `recipes/default.nix` and
    /// `variants/`, or a repository with [`LOCK`]. Where `root` names a
    /// toolkit, a repository around `directory` builds with that one. `unpacked`
    /// gets hold of one that the lock names by its archive.
    ///
    /// # Errors
    /// There is none, or the one that the lock names is none.
    pub fn find<E: From<EvalError>>(
        root: Option<&Path>,
        directory: &Path,
        unpacked: impl FnOnce(&Archive) -> Result<PathBuf, E>,
    ) -> Result<Self, E> {
        let nearest = directory.ancestors().find(|place| is_toolkit(place) || is_own(place));
        match root {
            Some(root) if is_toolkit(root) => {
                let own = nearest.filter(|place| is_own(place)).map(Path::to_owned);
                Ok(Self { root: absolute(root, directory), own, archive: None })
            }
            Some(root) if is_own(root) => Self::of_own(absolute(root, directory), unpacked),
            Some(root) => {
                let message =
                    format!("{} is no project: it lacks {ENTRY} or variants/, and {LOCK}", root.display());
                let hint = "--root and OSBUILD_ROOT name the tree with recipes/ and variants/";
                Err(EvalError::new(ErrorKind::Usage, message).with_hint(hint).into())
            }
            None => match nearest {
                Some(root) if is_own(root) => Self::of_own(root.to_owned(), unpacked),
                Some(root) => Ok(Self { root: root.to_owned(), own: None, archive: None }),
                None => Err(EvalError::new(
                    ErrorKind::Usage,
                    format!(
                        "no project found: neither {} nor a parent has {ENTRY} and variants/, or {LOCK}",
                        directory.display()
                    ),
                )
                .with_hint("run this inside the project, or name it with --root DIR or OSBUILD_ROOT")
                .into()),
            },
        }
    }

    fn of_own<E: From<EvalError>>(
        own: PathBuf,
        unpacked: impl FnOnce(&Archive) -> Result<PathBuf, E>,
    ) -> Result<Self, E> {
        let file = own.join(LOCK);
        let fault = |what: String, hint: &str| {
            E::from(EvalError::new(ErrorKind::Usage, format!("{}: {what}", file.display())).with_hint(hint))
        };
        const HINT: &str =
            "it says where the toolkit is: [toolkit] and path = \"…\", or archive = \"…\" and hash = \"…\"";
        let text = std::fs::read_to_string(&file).map_err(|error| fault(error.to_string(), HINT))?;
        let lock: Lock =
            toml::from_str(&text).map_err(|error| fault(error.to_string().trim_end().to_owned(), HINT))?;
        let (root, archive, hint) = match lock
            .toolkit
            .place(&own)
            .map_err(|what| fault(what.to_owned(), HINT))?
        {
            Place::Path(path) => (
                path,
                None,
                "check the toolkit out there (`git submodule update --init`), or name another with --root DIR or OSBUILD_ROOT",
            ),
            Place::Archive(archive) => {
                (unpacked(&archive)?, Some(archive), "name the archive of a whole tree")
            }
        };
        if !is_toolkit(&root) {
            let place = archive.map_or_else(|| root.display().to_string(), |archive| archive.url);
            return Err(fault(format!("{place} is no toolkit: it lacks {ENTRY} or variants/"), hint));
        }
        Ok(Self { root, own: Some(own), archive })
    }

    /// The toolkit.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the toolkit came from, if it is not at a path of its own.
    pub fn archive(&self) -> Option<&Archive> {
        self.archive.as_ref()
    }

    /// The folders that its programs may read.
    pub fn places(&self) -> impl Iterator<Item = &Path> {
        [Some(self.root.as_path()), self.own.as_deref()].into_iter().flatten()
    }

    /// The file of one of its variants, as [`Project::relative`] has it.
    pub(super) fn variant_file(&self, name: &str) -> Option<PathBuf> {
        let file = Path::new("variants").join(name).join("variant.nix");
        self.places().any(|place| place.join(&file).is_file()).then_some(file)
    }

    /// A file's path in the tree that it is in.
    pub(super) fn relative<'a>(&self, file: &'a Path) -> Option<&'a Path> {
        self.places().find_map(|place| file.strip_prefix(place).ok())
    }

    /// The set of all that can be built.
    pub(super) fn entry(&self) -> Source {
        match &self.own {
            None => Source::File(self.root.join(ENTRY)),
            Some(own) => Source::Expression { text: self.expression(None), directory: own.clone() },
        }
    }

    /// The same as an expression, with one more variant.
    pub(super) fn expression(&self, also: Option<(&str, &Path)>) -> String {
        let mut variants = self.own_variants();
        variants.extend(also.map(|(name, module)| (name.to_owned(), module.to_owned())));
        // By path, so that errors can name the file.
        let variants: String = variants
            .iter()
            .map(|(name, module)| format!("{} = {}; ", nix_string(name), nix_path(module)))
            .collect();
        format!("import {} {{ extraVariants = {{ {variants}}}; }}", nix_path(&self.root.join(ENTRY)))
    }

    /// The modules in `variants/` of somebody's own repository, by name.
    fn own_variants(&self) -> BTreeMap<String, PathBuf> {
        let folder = self.own.as_ref().and_then(|own| std::fs::read_dir(own.join("variants")).ok());
        let entries = folder.into_iter().flatten().flatten();
        entries
            .map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path().join("variant.nix")))
            .filter(|(_, module)| module.is_file())
            .collect()
    }
}

fn is_toolkit(place: &Path) -> bool {
    place.join(ENTRY).is_file() && place.join("variants").is_dir()
}

fn is_own(place: &Path) -> bool {
    place.join(LOCK).is_file()
}

/// A path that the language reads back whatever characters it holds.
pub(super) fn nix_path(path: &Path) -> String {
    format!("(/. + {})", nix_string(&path.to_string_lossy()))
}

fn nix_string(text: &str) -> String {
    let mut out = Vec::new();
    crate::lang::show_string(text.as_bytes(), &mut out);
    String::from_utf8(out).expect("the input was UTF-8")
}

pub(super) fn absolute(path: &Path, directory: &Path) -> PathBuf {
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
        self.names(&project.entry())
    }

    pub(super) fn names(&mut self, entry: &Source) -> Result<Catalogue, EvalError> {
        let entry = entry.clone();
        self.with_evaluator(move |e| names(e, &entry).map_err(|fault| fault.to_error(&e.sources)))?
    }
}

fn names(e: &mut Evaluator, entry: &Source) -> Eval<Catalogue> {
    let value = entry.value(e)?;
    let none: Arguments = BTreeMap::<String, Argument>::new();
    let value = super::select::call_automatically(e, value, &none, true)?;
    let set = e.as_attrs(value, Pos::NONE)?;
    let mut members = |name: &str| -> Eval<Vec<String>> {
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
