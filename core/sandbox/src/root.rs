//! The root directory that a sandbox shows: planned as steps.

use std::ffi::{CString, OsStr};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::step::Step;
use crate::SandboxError;

/// Collects the steps that build a root directory below a mount point.
pub(crate) struct RootPlan {
    root: PathBuf,
    steps: Vec<Step>,
}

pub(crate) const READ_ONLY: u64 = libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;

impl RootPlan {
    /// `root` is an empty directory of the host's; a tmpfs covers it.
    pub(crate) fn new(root: &Path) -> Self {
        let mut plan = Self { root: root.to_owned(), steps: vec![Step::PrivateMounts] };
        plan.steps.push(Step::Mount {
            source: c"sandbox".to_owned(),
            target: to_c(root.as_os_str()),
            kind: c"tmpfs".to_owned(),
            flags: libc::MS_NOSUID | libc::MS_NODEV,
            options: c"mode=755,size=50%".to_owned(),
        });
        plan
    }

    pub(crate) fn finish(mut self) -> Vec<Step> {
        self.steps.push(Step::PivotRoot { root: to_c(self.root.as_os_str()) });
        self.steps
    }

    fn at(&self, path: &str) -> CString {
        to_c(self.root.join(path.trim_start_matches('/')).as_os_str())
    }

    pub(crate) fn directory(&mut self, path: &str, mode: u32) {
        let path = self.at(path);
        self.steps.push(Step::MakeDirectory { path, mode });
    }

    /// A directory with all that lead to it.
    pub(crate) fn directories(&mut self, path: &str) {
        let mut so_far = String::new();
        for part in path.split('/').filter(|part| !part.is_empty()) {
            so_far.push('/');
            so_far.push_str(part);
            self.directory(&so_far, 0o755);
        }
    }

    pub(crate) fn file(&mut self, path: &str, contents: &str) {
        let path = self.at(path);
        self.steps.push(Step::WriteFile { path, contents: contents.into(), mode: 0o644 });
    }

    pub(crate) fn link(&mut self, path: &str, target: &OsStr) {
        let path = self.at(path);
        self.steps.push(Step::Link { target: to_c(target), path });
    }

    pub(crate) fn bind(&mut self, source: &Path, path: &str, recursive: bool) {
        let target = self.at(path);
        self.steps.push(Step::Bind { source: to_c(source.as_os_str()), target, recursive });
    }

    /// Puts one inside path over another, if that is there.
    pub(crate) fn cover(&mut self, cover: &str, path: &str) {
        let (source, target) = (self.at(cover), self.at(path));
        self.steps.push(Step::Cover { source, target });
    }

    pub(crate) fn restrict(&mut self, path: &str, attributes: u64, recursive: bool) {
        let target = self.at(path);
        self.steps.push(Step::Restrict { target, attributes, recursive });
    }

    /// Covers a directory that shows `scratch/build` by an overlay of the same.
    pub(crate) fn overlay(&mut self, path: &str, scratch: &Path) {
        // A colon would end a directory, a comma an option.
        let escaped = |name: &str| {
            let text = scratch.join(name).into_os_string().into_encoded_bytes();
            text.into_iter().flat_map(|byte| match byte {
                b'\\' | b':' | b',' => vec![b'\\', byte],
                other => vec![other],
            })
        };
        let mut options = b"userxattr,lowerdir=".to_vec();
        options.extend(escaped("lower"));
        options.extend(b",upperdir=");
        options.extend(escaped("build"));
        options.extend(b",workdir=");
        options.extend(escaped("work"));
        self.steps.push(Step::Mount {
            source: c"overlay".to_owned(),
            target: self.at(path),
            kind: c"overlay".to_owned(),
            flags: libc::MS_NOSUID | libc::MS_NODEV,
            options: to_c(OsStr::from_bytes(&options)),
        });
    }

    /// Makes the kernel begin after this one with process ids; `/proc` is there.
    pub(crate) fn last_process_id(&mut self, pid: u32) {
        let path = self.at("/proc/sys/kernel/ns_last_pid");
        self.steps.push(Step::LastProcessId { path, contents: pid.to_string().into_bytes() });
    }

    /// Unmounts a directory and removes it.
    pub(crate) fn remove_mount(&mut self, path: &str) {
        let target = self.at(path);
        self.steps.push(Step::Detach { target: target.clone() });
        self.steps.push(Step::RemoveDirectory { path: target });
    }

    pub(crate) fn mount(&mut self, kind: &str, path: &str, flags: libc::c_ulong, options: &str) {
        let target = self.at(path);
        let text = |text: &str| CString::new(text).expect("a constant without NUL");
        self.steps.push(Step::Mount {
            source: text(kind),
            target,
            kind: text(kind),
            flags,
            options: text(options),
        });
    }

    /// The inside path as the host sees it before the root is changed.
    pub(crate) fn outside(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// Shows the top-level entries of a package root: directories and files
    /// bound (from `through`, where the steps see `package_root`), links made
    /// again. `skip` names those that the caller makes.
    pub(crate) fn package_root(
        &mut self,
        package_root: &Path,
        through: &Path,
        below: &str,
        skip: &[&str],
    ) -> Result<(), SandboxError> {
        let fail = |source| SandboxError::Io { action: "list", path: package_root.to_owned(), source };
        let mut names = Vec::new();
        for entry in fs::read_dir(package_root).map_err(fail)? {
            names.push(entry.map_err(fail)?.file_name());
        }
        names.sort();
        for name in names {
            let Some(text) = name.to_str() else { continue };
            if skip.contains(&text) {
                continue;
            }
            let host = package_root.join(&name);
            let metadata = host.symlink_metadata().map_err(fail)?;
            let inside = format!("{below}/{text}");
            if metadata.is_symlink() {
                let target = fs::read_link(&host).map_err(fail)?;
                self.link(&inside, target.as_os_str());
            } else if metadata.is_dir() {
                self.directory(&inside, 0o755);
                self.bind(&through.join(&name), &inside, false);
            } else {
                self.file(&inside, "");
                self.bind(&through.join(&name), &inside, false);
            }
        }
        Ok(())
    }

    /// Null, zero, full, random, terminals, shared memory: what programs take
    /// for granted.
    pub(crate) fn devices(&mut self, more: &[&str]) {
        self.directory("/dev", 0o755);
        for name in ["full", "null", "random", "tty", "urandom", "zero"].iter().chain(more) {
            let inside = format!("/dev/{name}");
            self.file(&inside, "");
            self.bind(&Path::new("/dev").join(name), &inside, false);
        }
        for (name, target) in [
            ("fd", "/proc/self/fd"),
            ("ptmx", "pts/ptmx"),
            ("stderr", "/proc/self/fd/2"),
            ("stdin", "/proc/self/fd/0"),
            ("stdout", "/proc/self/fd/1"),
        ] {
            self.link(&format!("/dev/{name}"), OsStr::new(target));
        }
        self.directory("/dev/pts", 0o755);
        self.mount(
            "devpts",
            "/dev/pts",
            libc::MS_NOSUID | libc::MS_NOEXEC,
            "newinstance,ptmxmode=0666,mode=620",
        );
        self.directory("/dev/shm", 0o1777);
        self.mount("tmpfs", "/dev/shm", libc::MS_NOSUID | libc::MS_NODEV, "mode=1777,size=50%");
    }
}

pub(crate) fn to_c(text: &OsStr) -> CString {
    // Paths come from directory listings or were checked by `SandboxSpec`.
    CString::new(text.as_bytes()).unwrap_or_default()
}
