//! A package root for sandboxes made of the host's shell, so that a test needs
//! no download.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use osbuild_store::store::SourceTree;

const PROGRAMS: &[&str] = &[
    "sh", "cat", "chmod", "cp", "date", "env", "id", "ln", "ls", "mkdir", "mkfifo", "mv", "rm", "sleep",
    "stat", "tar", "touch", "uname",
];

/// The host's shell and a few tools with the libraries they load.
pub(crate) fn host_root() -> SourceTree {
    root_with(&[])
}

/// As [`host_root`], and further programs of the host's.
pub(crate) fn root_with(more: &[&Path]) -> SourceTree {
    let mut files: BTreeMap<PathBuf, PathBuf> = BTreeMap::new();
    let mut add = |file: &Path, name: &str| {
        let listed = Command::new("ldd").arg(file).output().expect("the host has ldd");
        for word in String::from_utf8_lossy(&listed.stdout).split_whitespace() {
            if word.starts_with('/') && Path::new(word).exists() {
                files.insert(below_usr(Path::new(word)), Path::new(word).canonicalize().unwrap());
            }
        }
        files.insert(Path::new("usr/bin").join(name), file.canonicalize().unwrap());
    };
    for file in more {
        add(file, file.file_name().unwrap().to_str().unwrap());
    }
    for program in PROGRAMS {
        let file = ["/usr/bin", "/bin"]
            .map(|directory| Path::new(directory).join(program))
            .into_iter()
            .find(|file| file.exists())
            .unwrap_or_else(|| panic!("the host has no {program}"));
        add(&file, program);
    }
    let mut root = BTreeMap::new();
    for (path, host) in files {
        let mut at = &mut root;
        let parts: Vec<_> = path.iter().map(|part| part.as_encoded_bytes().to_vec()).collect();
        let (name, parents) = parts.split_last().unwrap();
        for parent in parents {
            let member = at.entry(parent.clone()).or_insert_with(|| SourceTree::Directory(BTreeMap::new()));
            let SourceTree::Directory(members) = member else { panic!("a file is in the way") };
            at = members;
        }
        at.insert(name.clone(), SourceTree::Regular { path: host, executable: true });
    }
    for name in ["bin", "lib", "lib64"] {
        root.insert(name.into(), SourceTree::Symlink { target: format!("usr/{name}").into_bytes() });
    }
    SourceTree::Directory(root)
}

fn below_usr(path: &Path) -> PathBuf {
    let relative = path.strip_prefix("/").unwrap();
    if relative.starts_with("usr") { relative.to_owned() } else { Path::new("usr").join(relative) }
}
