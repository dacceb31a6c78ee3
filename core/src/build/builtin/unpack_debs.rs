//! `builtin:unpack-debs` version 1: binary packages unpacked into one root,
//! without running their scripts.
//!
//! Parameters: `debs` (store paths, in order of precedence for messages only),
//! `include` (null, or globs: nothing else is kept), `exclude` (globs),
//! `links` and `files` (what scripts would have made, by path).
//!
//! `bin`, `sbin` and `lib*` are directories in `usr/` with links at the top
//! (made unless `include` is given and does not name them). Two packages may
//! both have a path if they agree on it; otherwise both are named. Setuid bits
//! are dropped, device nodes refused.
//!
//! Source: deb(5), ar(5), POSIX pax.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use osbuild_store::action::OutputName;
use rayon::prelude::*;
use serde::Deserialize;

use super::{BuiltinContext, BuiltinError};
use crate::image::glob::Glob;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    debs: Vec<String>,
    #[serde(default)]
    include: Option<Vec<String>>,
    #[serde(default)]
    exclude: Vec<String>,
    #[serde(default)]
    links: BTreeMap<String, String>,
    #[serde(default)]
    files: BTreeMap<String, String>,
}

/// The directories that moved below `usr/`.
const MERGED: [&str; 6] = ["bin", "sbin", "lib", "lib64", "lib32", "libx32"];

pub(super) fn run(context: &BuiltinContext<'_>) -> Result<(), BuiltinError> {
    let parameters: Parameters = serde_json::from_value(context.parameters.clone())
        .map_err(|source| BuiltinError::Parameters { builder: "unpack-debs", source })?;
    let out = &context.outputs[&OutputName::out()];
    fs::create_dir(out).map_err(BuiltinError::io("make the directory", out))?;
    let root = Root {
        out,
        include: parameters.include.as_ref().map(|globs| globs.iter().map(|g| Glob::new(g)).collect()),
        exclude: parameters.exclude.iter().map(|glob| Glob::new(glob)).collect(),
        claims: Mutex::default(),
        findings: Mutex::default(),
        hard_links: Mutex::default(),
    };
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(context.jobs)
        .build()
        .map_err(|e| BuiltinError::Refused(format!("cannot start threads: {e}")))?;
    let total = parameters.debs.len() as u64;
    let done = std::sync::atomic::AtomicU64::new(0);
    let mut debs = Vec::new();
    for deb in &parameters.debs {
        debs.push((deb, (context.physical)(deb)?));
    }
    let (cancelled, progress) = (context.cancelled, context.progress);
    pool.install(|| {
        debs.par_iter().try_for_each(|(name, file)| {
            if cancelled() {
                return Err(BuiltinError::Interrupted);
            }
            unpack(&root, name, file)?;
            let done = done.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
            progress(done, total);
            Ok(())
        })
    })?;
    root.finish(&parameters)
}

/// What a path is, by whom. Two claims agree if all but the owner is equal.
#[derive(Clone, Debug)]
struct Claim {
    owner: String,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Directory,
    /// The digest is known once the first owner wrote it all.
    File {
        executable: bool,
        digest: Option<blake3::Hash>,
    },
    Link(PathBuf),
    /// Of this other path.
    HardLink(PathBuf),
}

struct Root<'o> {
    out: &'o Path,
    include: Option<Vec<Glob>>,
    exclude: Vec<Glob>,
    claims: Mutex<BTreeMap<PathBuf, Claim>>,
    /// Files that a second package has too, with what it has there: judged
    /// once all first owners are done.
    findings: Mutex<Vec<(PathBuf, Claim)>>,
    hard_links: Mutex<Vec<(PathBuf, PathBuf)>>,
}

fn unpack(root: &Root<'_>, name: &str, deb: &Path) -> Result<(), BuiltinError> {
    let owner = Path::new(name).file_name().map_or(name, |n| n.to_str().unwrap_or(name));
    let owner = owner.get(33..).unwrap_or(owner).to_owned();
    let broken = |what: &str| BuiltinError::Refused(format!("{owner} is no package: {what}"));
    let mut file =
        io::BufReader::with_capacity(1 << 18, fs::File::open(deb).map_err(BuiltinError::io("open", deb))?);
    let mut magic = [0; 8];
    file.read_exact(&mut magic).map_err(|_| broken("it is too short"))?;
    if &magic != b"!<arch>\n" {
        return Err(broken("it does not begin as one"));
    }
    loop {
        let mut header = [0; 60];
        file.read_exact(&mut header).map_err(|_| broken("it has no data member"))?;
        let text =
            |range: std::ops::Range<usize>| std::str::from_utf8(&header[range]).unwrap_or("").trim_end();
        let member = text(0..16).trim_end_matches('/').to_owned();
        let size: u64 = text(48..58).parse().map_err(|_| broken("a member's size is no number"))?;
        let data = (&mut file).take(size);
        let mut stream: Box<dyn Read> = match member.as_str() {
            "data.tar" => Box::new(data),
            "data.tar.xz" => Box::new(liblzma::read::XzDecoder::new(data)),
            "data.tar.gz" => Box::new(flate2::read::GzDecoder::new(data)),
            "data.tar.zst" => Box::new(
                zstd::stream::read::Decoder::new(data).map_err(|_| broken("its data does not decompress"))?,
            ),
            other if other.starts_with("data.tar.") => {
                return Err(broken(&format!("unknown compression '{other}'")));
            }
            _ => {
                let skip = size + size % 2;
                io::copy(&mut (&mut file).take(skip), &mut io::sink())
                    .map_err(BuiltinError::io("read", deb))?;
                continue;
            }
        };
        return root.add_archive(&owner, &mut stream, deb);
    }
}

impl Root<'_> {
    fn add_archive(&self, owner: &str, stream: &mut dyn Read, deb: &Path) -> Result<(), BuiltinError> {
        let mut archive = tar::Archive::new(stream);
        let mut buffer = vec![0; 1 << 17];
        for entry in archive.entries().map_err(BuiltinError::io("read the data of", deb))? {
            let mut entry = entry.map_err(BuiltinError::io("read the data of", deb))?;
            let raw = entry.path_bytes().into_owned();
            let Some(path) = merged_path(&raw).map_err(|reason| refused(owner, &raw, reason))? else {
                continue;
            };
            let kind = entry.header().entry_type();
            if !kind.is_dir() && !self.keeps(&path) {
                continue;
            }
            if kind.is_dir() {
                // With a positive list, directories come with what is in them.
                if self.include.is_none() && !is_merged_link(&path) && self.keeps(&path) {
                    self.directory(owner, &path)?;
                }
                continue;
            }
            if is_merged_link(&path) && kind.is_symlink() {
                continue;
            }
            self.parents(owner, &path)?;
            if kind.is_symlink() {
                let target = entry.link_name_bytes().unwrap_or_default().into_owned();
                let target = PathBuf::from(std::ffi::OsStr::from_bytes(&target));
                if self.claim(&path, Claim { owner: owner.to_owned(), kind: Kind::Link(target.clone()) })? {
                    let at = self.out.join(&path);
                    std::os::unix::fs::symlink(&target, &at)
                        .map_err(BuiltinError::io("make the link", &at))?;
                }
            } else if kind.is_hard_link() {
                let target = entry.link_name_bytes().unwrap_or_default().into_owned();
                let target = merged_path(&target)
                    .ok()
                    .flatten()
                    .ok_or_else(|| refused(owner, &raw, "links to a path outside"))?;
                let claim = Claim { owner: owner.to_owned(), kind: Kind::HardLink(target.clone()) };
                if self.claim(&path, claim)? {
                    self.hard_links.lock().expect("no thread panics holding it").push((path, target));
                }
            } else if kind.is_file() {
                let executable = entry.header().mode().unwrap_or(0) & 0o111 != 0;
                self.file(owner, path, executable, &mut entry, &mut buffer)?;
            } else {
                return Err(refused(owner, &raw, "is a device or a pipe"));
            }
        }
        Ok(())
    }

    fn keeps(&self, path: &Path) -> bool {
        let Some(text) = path.to_str() else { return self.include.is_none() };
        let included = self.include.as_ref().is_none_or(|globs| globs.iter().any(|glob| glob.covers(text)));
        included && !self.exclude.iter().any(|glob| glob.covers(text))
    }

    fn directory(&self, owner: &str, path: &Path) -> Result<(), BuiltinError> {
        self.parents(owner, path)?;
        if self.claim(path, Claim { owner: owner.to_owned(), kind: Kind::Directory })? {
            make_directory(&self.out.join(path))?;
        }
        Ok(())
    }

    /// Makes the directories above a path. None of them may be a link: a
    /// package could otherwise write through another's link.
    fn parents(&self, owner: &str, path: &Path) -> Result<(), BuiltinError> {
        let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) else {
            return Ok(());
        };
        let mut so_far = PathBuf::new();
        for part in parent.components() {
            so_far.push(part);
            let claim = Claim { owner: owner.to_owned(), kind: Kind::Directory };
            if self.claim(&so_far, claim)? {
                make_directory(&self.out.join(&so_far))?;
            }
        }
        // The claimer may not have made it yet; it makes no difference who does.
        make_directories(&self.out.join(parent))
    }

    fn file(
        &self,
        owner: &str,
        path: PathBuf,
        executable: bool,
        contents: &mut dyn Read,
        buffer: &mut [u8],
    ) -> Result<(), BuiltinError> {
        let at = self.out.join(&path);
        let mut digest = blake3::Hasher::new();
        let first = {
            let claim = Claim { owner: owner.to_owned(), kind: Kind::File { executable, digest: None } };
            let mut claims = self.claims.lock().expect("no thread panics holding it");
            match claims.entry(path.clone()) {
                Entry::Vacant(entry) => {
                    entry.insert(claim);
                    true
                }
                Entry::Occupied(_) => false,
            }
        };
        let mut file = None;
        if first {
            let mode = if executable { 0o755 } else { 0o644 };
            let mut options = fs::OpenOptions::new();
            options.write(true).create_new(true).mode(mode);
            file = Some(options.open(&at).map_err(BuiltinError::io("create", &at))?);
        }
        loop {
            let got = match contents.read(buffer) {
                Ok(0) => break,
                Ok(got) => got,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(BuiltinError::io("read the data for", &at)(e)),
            };
            digest.update(&buffer[..got]);
            if let Some(file) = &mut file {
                file.write_all(&buffer[..got]).map_err(BuiltinError::io("write", &at))?;
            }
        }
        let kind = Kind::File { executable, digest: Some(digest.finalize()) };
        let claim = Claim { owner: owner.to_owned(), kind };
        if first {
            self.claims.lock().expect("no thread panics holding it").insert(path, claim);
        } else {
            self.findings.lock().expect("no thread panics holding it").push((path, claim));
        }
        Ok(())
    }

    /// True if this is the first claim of the path. A later one that differs
    /// is noted, and judged at the end.
    fn claim(&self, path: &Path, claim: Claim) -> Result<bool, BuiltinError> {
        let mut claims = self.claims.lock().expect("no thread panics holding it");
        match claims.entry(path.to_owned()) {
            Entry::Vacant(entry) => {
                entry.insert(claim);
                Ok(true)
            }
            Entry::Occupied(entry) if entry.get().kind == claim.kind => Ok(false),
            Entry::Occupied(entry) if claim.kind == Kind::Directory => {
                Err(conflict(path, entry.get(), &claim))
            }
            Entry::Occupied(_) => {
                self.findings.lock().expect("no thread panics holding it").push((path.to_owned(), claim));
                Ok(false)
            }
        }
    }

    fn finish(self, parameters: &Parameters) -> Result<(), BuiltinError> {
        let mut claims = self.claims.into_inner().expect("no thread panics holding it");
        let mut conflicts: Vec<String> = self
            .findings
            .into_inner()
            .expect("no thread panics holding it")
            .into_iter()
            .filter(|(path, claim)| claims[path].kind != claim.kind)
            .map(|(path, claim)| conflict(&path, &claims[&path], &claim).to_string())
            .collect();
        if !conflicts.is_empty() {
            conflicts.sort();
            return Err(BuiltinError::Refused(conflicts.join("\n")));
        }
        for (path, target) in self.hard_links.into_inner().expect("no thread panics holding it") {
            let (from, to) = (self.out.join(&target), self.out.join(&path));
            if !from.symlink_metadata().is_ok_and(|m| m.is_file()) {
                let reason = "is a link of a file that was left out; include or exclude both";
                return Err(refused("a package", path.as_os_str().as_bytes(), reason));
            }
            fs::hard_link(&from, &to).map_err(BuiltinError::io("make the link", &to))?;
        }
        for name in MERGED {
            let wanted = match &self.include {
                None => claims.contains_key(&Path::new("usr").join(name)),
                Some(globs) => globs.iter().any(|glob| glob.matches(name)),
            };
            if wanted && !claims.contains_key(Path::new(name)) {
                let at = self.out.join(name);
                let target = format!("usr/{name}");
                std::os::unix::fs::symlink(target, &at).map_err(BuiltinError::io("make the link", &at))?;
            }
        }
        let more = parameters
            .links
            .iter()
            .map(|(path, target)| (path, Kind::Link(target.into()), target))
            .chain(parameters.files.iter().map(|(path, text)| {
                (path, Kind::File { executable: false, digest: Some(blake3::hash(text.as_bytes())) }, text)
            }));
        for (given, kind, text) in more {
            let path = merged_path(given.as_bytes())
                .ok()
                .flatten()
                .ok_or_else(|| BuiltinError::Refused(format!("'{given}' is no clean relative path")))?;
            let claim = Claim { owner: "the recipe".to_owned(), kind };
            if let Some(existing) = claims.get(&path) {
                if existing.kind == claim.kind {
                    continue;
                }
                return Err(conflict(&path, existing, &claim));
            }
            for parent in path.ancestors().skip(1).filter(|p| !p.as_os_str().is_empty()) {
                if claims.get(parent).is_some_and(|c| c.kind != Kind::Directory) {
                    return Err(BuiltinError::Refused(format!(
                        "'{given}' goes through what is no directory"
                    )));
                }
            }
            let at = self.out.join(&path);
            make_directories(at.parent().unwrap_or(self.out))?;
            match &claim.kind {
                Kind::Link(target) => {
                    std::os::unix::fs::symlink(target, &at)
                        .map_err(BuiltinError::io("make the link", &at))?;
                }
                _ => fs::write(&at, text).map_err(BuiltinError::io("write", &at))?,
            }
            claims.insert(path, claim);
        }
        Ok(())
    }
}

/// A clean path below `usr/` where the entry's is in a merged directory;
/// `None` for the root and for the merged directories themselves.
fn merged_path(raw: &[u8]) -> Result<Option<PathBuf>, &'static str> {
    let mut path = PathBuf::new();
    for part in raw.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => return Err("leads out of the root"),
            part if part.contains(&0) => return Err("holds a NUL"),
            part => path.push(std::ffi::OsStr::from_bytes(part)),
        }
    }
    let Some(first) = path.components().next() else { return Ok(None) };
    let merged = MERGED.iter().any(|name| first.as_os_str() == *name);
    if merged && path.components().count() > 1 {
        return Ok(Some(Path::new("usr").join(path)));
    }
    Ok(Some(path))
}

fn is_merged_link(path: &Path) -> bool {
    MERGED.iter().any(|name| path == Path::new(name))
}

fn make_directory(path: &Path) -> Result<(), BuiltinError> {
    match fs::create_dir(path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => make_directories(path),
        other => other.map_err(BuiltinError::io("make the directory", path)),
    }
}

fn make_directories(path: &Path) -> Result<(), BuiltinError> {
    fs::create_dir_all(path).map_err(BuiltinError::io("make the directory", path))
}

fn conflict(path: &Path, first: &Claim, second: &Claim) -> BuiltinError {
    let mut owners = [&first.owner, &second.owner];
    owners.sort();
    BuiltinError::Refused(format!(
        "{} and {} both have {}, and differ; exclude it or leave one of them out",
        owners[0],
        owners[1],
        path.display()
    ))
}

fn refused(owner: &str, raw: &[u8], reason: &str) -> BuiltinError {
    BuiltinError::Refused(format!("{owner}: {} {reason}", String::from_utf8_lossy(raw)))
}
