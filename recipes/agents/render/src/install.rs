//! What a set of rendered files changes below a directory, and doing it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::template::{Output, instances};

/// What is different, and whom it concerns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Paths below the directory that are written, and that go.
    pub written: Vec<String>,
    pub removed: Vec<String>,
    /// Units that start anew if they run, that read their files again, that
    /// start anew whether or not they run, and that end; none is in two.
    pub restart: BTreeSet<String>,
    pub reload: BTreeSet<String>,
    pub start: BTreeSet<String>,
    pub stop: BTreeSet<String>,
    #[serde(skip)]
    contents: BTreeMap<String, (u32, String)>,
}

/// A file that cannot be read or written.
#[derive(Debug)]
pub struct InstallError {
    pub action: &'static str,
    pub path: PathBuf,
    pub source: io::Error,
}

impl InstallError {
    fn at(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self { action, path, source }
    }
}

impl Plan {
    /// Compares with what is there.
    ///
    /// # Errors
    /// A file that is there cannot be read, or two templates give one path.
    pub fn new(directory: &Path, outputs: &[Output]) -> Result<Self, InstallError> {
        let mut plan = Self::default();
        let mut seen = BTreeSet::new();
        for file in outputs.iter().flat_map(|output| &output.files) {
            let path = directory.join(&file.path);
            if !seen.insert(file.path.clone()) {
                let source = io::Error::new(ErrorKind::AlreadyExists, "two templates give it");
                return Err(InstallError { action: "write", path, source });
            }
            let now = match fs::read(&path) {
                Ok(bytes) => {
                    let mode = path.metadata().map_err(InstallError::at("read", &path))?.permissions().mode()
                        & 0o7777;
                    Some((mode, bytes))
                }
                Err(error) if [ErrorKind::NotFound, ErrorKind::NotADirectory].contains(&error.kind()) => None,
                Err(error) => return Err(InstallError::at("read", &path)(error)),
            };
            match (&file.contents, &now) {
                (Some(contents), Some((mode, bytes)))
                    if *mode == file.mode && bytes == contents.as_bytes() =>
                {
                    continue;
                }
                (None, None) => continue,
                (Some(contents), _) => {
                    plan.written.push(file.path.clone());
                    plan.contents.insert(file.path.clone(), (file.mode, contents.clone()));
                }
                (None, Some(_)) => plan.removed.push(file.path.clone()),
            }
            plan.restart.extend(file.restart.iter().cloned());
            plan.reload.extend(file.reload.iter().cloned());
            let run = if file.contents.is_some() { &mut plan.start } else { &mut plan.stop };
            run.extend(file.run.iter().cloned());
        }
        for family in outputs.iter().filter_map(|output| output.family.as_ref()) {
            for name in names(&directory.join(&family.directory))? {
                let path = Path::new(&family.directory).join(&name).to_string_lossy().into_owned();
                let is_one = name.len() >= family.prefix.len() + family.suffix.len()
                    && name.starts_with(&family.prefix)
                    && name.ends_with(&family.suffix);
                if is_one && !seen.contains(&path) {
                    let own = &name[family.prefix.len()..name.len() - family.suffix.len()];
                    plan.stop.extend(instances(&family.run, own));
                    plan.removed.push(path);
                    plan.restart.extend(family.restart.iter().cloned());
                    plan.reload.extend(family.reload.iter().cloned());
                }
            }
        }
        // A unit that needs two files and has lost one ends; who starts anew
        // reads everything.
        let Self { restart, reload, start, stop, .. } = &mut plan;
        start.retain(|unit| !stop.contains(unit));
        restart.retain(|unit| !stop.contains(unit) && !start.contains(unit));
        reload.retain(|unit| !stop.contains(unit) && !start.contains(unit) && !restart.contains(unit));
        Ok(plan)
    }

    pub fn is_empty(&self) -> bool {
        self.written.is_empty() && self.removed.is_empty()
    }

    /// Writes and removes the files: each appears whole.
    ///
    /// # Errors
    /// The first that cannot be written; those before it are.
    pub fn carry_out(&self, directory: &Path) -> Result<(), InstallError> {
        for (path, (mode, contents)) in &self.contents {
            let path = directory.join(path);
            let parent = path.parent().unwrap_or(directory);
            fs::create_dir_all(parent).map_err(InstallError::at("make", parent))?;
            let mut name = path.file_name().unwrap_or_default().to_owned();
            name.push(".new");
            let new = path.with_file_name(name);
            let write = || {
                // Secret from the first.
                let mut options = File::options();
                let mut file = options.create(true).truncate(true).write(true).mode(0o600).open(&new)?;
                file.write_all(contents.as_bytes())?;
                file.set_permissions(fs::Permissions::from_mode(*mode))?;
                fs::rename(&new, &path)
            };
            write().map_err(InstallError::at("write", &path))?;
        }
        for path in &self.removed {
            let path = directory.join(path);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(InstallError::at("remove", &path)(error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// What is in a directory, as far as it is text; nothing if there is none.
fn names(directory: &Path) -> Result<Vec<String>, InstallError> {
    let entries = match directory.read_dir() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(InstallError::at("list", directory))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(InstallError::at("list", directory))?;
        names.extend(entry.file_name().into_string());
    }
    names.sort();
    Ok(names)
}

impl std::fmt::Display for InstallError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cannot {} {}: {}", self.action, self.path.display(), self.source)
    }
}

impl std::error::Error for InstallError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::{Family, Rendered};

    fn file(path: &str, contents: Option<&str>, restart: &[&str], reload: &[&str]) -> Output {
        let names = |units: &[&str]| units.iter().map(|unit| (*unit).to_owned()).collect();
        let file = Rendered {
            path: path.to_owned(),
            mode: 0o640,
            contents: contents.map(str::to_owned),
            restart: names(restart),
            reload: names(reload),
            run: Vec::new(),
        };
        Output { files: vec![file], family: None }
    }

    #[test]
    fn files_of_entries_that_are_gone_go() {
        let place = tempfile::tempdir().unwrap();
        let family = Family {
            directory: "d".to_owned(),
            prefix: "10-".to_owned(),
            suffix: ".conf".to_owned(),
            restart: vec!["a.service".to_owned()],
            reload: Vec::new(),
            run: vec!["b@.service".to_owned()],
        };
        let output = |names: &[&str]| {
            let mut output = Output { files: Vec::new(), family: Some(family.clone()) };
            for name in names {
                output.files.extend(file(&format!("d/10-{name}.conf"), Some("x"), &["a.service"], &[]).files);
            }
            [output]
        };
        Plan::new(place.path(), &output(&["one", "two"])).unwrap().carry_out(place.path()).unwrap();
        fs::write(place.path().join("d/20-other.conf"), "").unwrap();
        let plan = Plan::new(place.path(), &output(&["two"])).unwrap();
        assert_eq!(
            (plan.written.len(), plan.removed.as_slice()),
            (0, ["d/10-one.conf".to_owned()].as_slice())
        );
        assert_eq!(plan.restart.len(), 1);
        assert_eq!(plan.stop.iter().map(String::as_str).collect::<Vec<_>>(), ["b@one.service"]);
        plan.carry_out(place.path()).unwrap();
        assert!(
            !place.path().join("d/10-one.conf").exists() && place.path().join("d/20-other.conf").exists()
        );
        assert!(Plan::new(place.path(), &output(&["two"])).unwrap().is_empty());
    }

    #[test]
    fn only_what_differs_is_written_and_only_whom_it_concerns_is_told() {
        let place = tempfile::tempdir().unwrap();
        let one = file("a/one", Some("1"), &["one.service"], &["both.service"]);
        let two = file("two", Some("2"), &["two.service", "both.service"], &[]);
        let none = file("none", None, &["none.service"], &[]);
        let plan = Plan::new(place.path(), &[one.clone(), two.clone(), none.clone()]).unwrap();
        assert_eq!(
            (plan.written.as_slice(), plan.removed.len()),
            (["a/one".to_owned(), "two".to_owned()].as_slice(), 0)
        );
        assert_eq!(
            plan.restart.iter().map(String::as_str).collect::<Vec<_>>(),
            ["both.service", "one.service", "two.service"]
        );
        assert!(plan.reload.is_empty(), "who starts anew reads everything");
        plan.carry_out(place.path()).unwrap();
        let path = place.path().join("a/one");
        assert_eq!(
            (fs::read_to_string(&path).unwrap(), path.metadata().unwrap().permissions().mode() & 0o7777),
            ("1".to_owned(), 0o640)
        );
        assert!(!place.path().join("none").exists());

        assert!(Plan::new(place.path(), &[one.clone(), two.clone(), none.clone()]).unwrap().is_empty());
        let changed =
            Plan::new(place.path(), &[file("a/one", Some("3"), &["one.service"], &[]), two.clone(), none])
                .unwrap();
        assert_eq!((changed.written.len(), changed.restart.len()), (1, 1));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(Plan::new(place.path(), &[one]).unwrap().written, ["a/one"]);

        let gone = Plan::new(place.path(), &[file("two", None, &["two.service"], &[])]).unwrap();
        assert_eq!((gone.written.len(), gone.removed.as_slice()), (0, ["two".to_owned()].as_slice()));
        gone.carry_out(place.path()).unwrap();
        assert!(!place.path().join("two").exists());
        gone.carry_out(place.path()).unwrap();
    }

    #[test]
    fn a_unit_runs_while_its_file_is_there() {
        let place = tempfile::tempdir().unwrap();
        let plan = |contents: Option<&str>, other: Option<&str>| {
            let mut one = file("one", contents, &["own.service"], &[]);
            let mut two = file("two", other, &[], &["own.service"]);
            one.files[0].run = vec!["own.service".to_owned()];
            two.files[0].run = vec!["own.service".to_owned()];
            let plan = Plan::new(place.path(), &[one, two]).unwrap();
            plan.carry_out(place.path()).unwrap();
            (plan.start.len(), plan.stop.len(), plan.restart.len() + plan.reload.len())
        };
        assert_eq!(plan(None, None), (0, 0, 0));
        assert_eq!(plan(Some("1"), Some("1")), (1, 0, 0));
        assert_eq!(plan(Some("1"), Some("1")), (0, 0, 0));
        assert_eq!(plan(Some("1"), Some("2")), (1, 0, 0));
        assert_eq!(plan(Some("2"), None), (0, 1, 0));
    }

    #[test]
    fn what_cannot_be_written_is_named() {
        let place = tempfile::tempdir().unwrap();
        let twice = [file("a", Some("1"), &[], &[]), file("a", Some("2"), &[], &[])];
        let error = Plan::new(place.path(), &twice).unwrap_err().to_string();
        assert!(
            error.starts_with("cannot write ") && error.ends_with("/a: two templates give it"),
            "{error}"
        );
        fs::write(place.path().join("a"), "").unwrap();
        let plan = Plan::new(place.path(), &[file("a/b", Some("1"), &[], &[])]).unwrap();
        let error = plan.carry_out(place.path()).unwrap_err().to_string();
        assert!(error.starts_with("cannot make "), "{error}");
    }
}
