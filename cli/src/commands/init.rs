//! `osbuild init`: a repository of somebody's own, which builds with this tree.

use std::io::{ErrorKind, Write as _};
use std::path::{Component, Path, PathBuf};

use osbuild_core::fetch::tree::Archive;
use osbuild_core::instantiate::project::LOCK;
use osbuild_core::instantiate::target::Target;
use osbuild_update::names::is_plain;
use serde_json::json;

use crate::config::CommonArguments;
use crate::error::{Exit, Failure};
use crate::session;

/// Begin a repository of your own: a variant, and CI that builds, verifies, tests and publishes it
///
/// Nothing that is there already is written over. Its variants have names like
/// those of the toolkit, wherever below it a command is typed.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The folder, which may exist
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// The variant's name (default: the folder's)
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The toolkit's variant that it begins with
    #[arg(long, value_name = "VARIANT", default_value = "aws-k8s")]
    base: String,
}

struct Template {
    path: &'static str,
    text: &'static str,
    is_program: bool,
}

const fn text(path: &'static str, text: &'static str) -> Template {
    Template { path, text, is_program: false }
}

/// The lock last: with it, the folder is a project.
const TEMPLATES: [Template; 5] = [
    text("variants/@NAME@/variant.nix", include_str!("../../templates/own/variant.nix")),
    text(".github/workflows/image.yml", include_str!("../../templates/own/workflow.yml")),
    text(".gitignore", include_str!("../../templates/own/gitignore")),
    Template { path: "ci", text: include_str!("../../templates/own/ci"), is_program: true },
    text(LOCK, include_str!("../../templates/own/osbuild.lock")),
];

/// Where the toolkit is looked for in the new repository: a submodule.
const INSIDE: &str = "toolkit";

pub(crate) fn run(arguments: &Arguments, common: &CommonArguments) -> Result<(), Failure> {
    let directory = std::path::absolute(&arguments.directory)?;
    let name = match &arguments.name {
        Some(name) => name.clone(),
        None => directory.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
    };
    if !is_plain(&name) {
        let message = format!("a variant cannot be called '{name}'");
        return Err(Failure::usage(&message, "give it one of a-z, 0-9, - and _ with --name NAME"));
    }

    let toolkit = toolkit(&directory, &arguments.base, common)?;
    let fill = |text: &str| {
        let filled = text.replace("@NAME@", &name).replace("@BASE@", &arguments.base);
        filled.replace("@TOOLKIT@", &toolkit.lock())
    };
    let files: Vec<(PathBuf, &Template)> =
        TEMPLATES.iter().map(|template| (directory.join(fill(template.path)), template)).collect();
    if let Some((taken, _)) = files.iter().find(|(path, _)| path.symlink_metadata().is_ok()) {
        return Err(Failure::usage(
            &format!("{} is there already; nothing was written", taken.display()),
            "name a new folder, or one without it",
        ));
    }
    for (path, template) in &files {
        write(path, &fill(template.text), template.is_program).map_err(|error| {
            Failure::new(Exit::Failed, &format!("cannot write {}: {error}", path.display()))
        })?;
    }

    let mut out = std::io::stdout().lock();
    if common.json {
        let paths: Vec<_> = files.iter().map(|(path, _)| path.display().to_string()).collect();
        writeln!(
            out,
            "{}",
            json!({ "schema": 1, "variant": name, "toolkit": toolkit.place(), "files": paths })
        )?;
        return Ok(());
    }
    for (path, _) in &files {
        let shown = path.strip_prefix(&directory).unwrap_or(path);
        writeln!(out, "{}", arguments.directory.join(shown).display())?;
    }
    eprintln!("next, in {}: `osbuild build {name}`; for CI, see ./ci", arguments.directory.display());
    if matches!(&toolkit, Toolkit::At(path) if path != Path::new(INSIDE)) {
        eprintln!("to build it elsewhere, too: `git submodule add ADDRESS {INSIDE}`, and say so in {LOCK}");
    }
    Ok(())
}

/// Where the toolkit is, from the new repository.
enum Toolkit {
    At(PathBuf),
    Archive(Archive),
}

impl Toolkit {
    /// What [`LOCK`] says of it.
    fn lock(&self) -> String {
        match self {
            Self::At(path) => format!("path = {:?}", path.to_string_lossy()),
            Self::Archive(Archive { url, hash }) => {
                format!("archive = {url:?}\nhash = \"{}\"", hash.to_sri())
            }
        }
    }

    fn place(&self) -> String {
        match self {
            Self::At(path) => path.to_string_lossy().into_owned(),
            Self::Archive(archive) => archive.url.clone(),
        }
    }
}

/// Its variants have to have `base`.
fn toolkit(directory: &Path, base: &str, common: &CommonArguments) -> Result<Toolkit, Failure> {
    let inside = session::project_in(&directory.join(INSIDE), common);
    let is_inside = inside.is_some();
    let project = inside.map_or_else(|| session::project(common), Ok)?;
    let mut session = session::for_targets(&[] as &[Target], Some(&project), session::lazily(common)?);
    let variants = session.catalogue(&project)?.variants;
    if !variants.iter().any(|variant| variant == base) {
        let message = format!("the toolkit has no variant '{base}'");
        return Err(Failure::usage(&message, &format!("it has {}", variants.join(", "))));
    }
    if is_inside {
        return Ok(Toolkit::At(INSIDE.into()));
    }
    if let Some(archive) = project.archive() {
        return Ok(Toolkit::Archive(archive.clone()));
    }
    // The folder may be behind a link that leads elsewhere, or not exist yet.
    let existing = directory.ancestors().find_map(|parent| {
        let real = parent.canonicalize().ok()?;
        Some(real.join(directory.strip_prefix(parent).ok()?))
    });
    Ok(Toolkit::At(relative(existing.as_deref().unwrap_or(directory), project.root())))
}

/// The way from a folder to another; the whole path where they share nothing.
fn relative(from: &Path, to: &Path) -> PathBuf {
    let shared = from.components().zip(to.components()).take_while(|(one, other)| one == other).count();
    let is_apart = to.components().take(shared).all(|part| part == Component::RootDir);
    if is_apart {
        return to.to_owned();
    }
    let up = from.components().skip(shared).map(|_| Component::ParentDir);
    up.chain(to.components().skip(shared)).collect()
}

/// A new file that appears whole.
fn write(path: &Path, text: &str, is_program: bool) -> std::io::Result<()> {
    std::fs::create_dir_all(path.parent().ok_or(ErrorKind::InvalidInput)?)?;
    let mode = if is_program { 0o777 } else { 0o666 };
    super::beside(path, text.as_bytes(), mode)?.persist_noclobber(path).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_the_toolkit_is_short() {
        let way = |from: &str, to: &str| relative(Path::new(from), Path::new(to)).display().to_string();
        assert_eq!(way("/home/us/my-os", "/home/us/my-os/toolkit"), "toolkit");
        assert_eq!(way("/home/us/my-os", "/home/us/osbuild"), "../osbuild");
        assert_eq!(way("/home/us/my-os", "/srv/osbuild"), "/srv/osbuild");
    }
}
