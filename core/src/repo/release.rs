//! A release as it comes out of a build: its files, and whether they belong
//! together.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use osbuild_format::hex;
use osbuild_format::release::Release;
use osbuild_format::verity;
use osbuild_install::Says;
use osbuild_update::names::Part;
use sha2::{Digest, Sha256};

use super::error::{RepoError, io_error};
use crate::attest::statement::{ROOT_HASH, Resource};
use crate::image::files::sha256_sparse;
use crate::image::slot::leaves_of;

/// See the module. Every file was looked at.
#[derive(Debug)]
pub struct Slot {
    pub release: Release,
    pub manifest_sha256: String,
    pub parts: BTreeMap<Part, Checked>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    pub path: PathBuf,
    pub size: u64,
    pub sha256: [u8; 32],
}

impl Checked {
    fn resource(&self, part: Part) -> Resource {
        Resource::of_bytes(part.file(), &hex::encode(&self.sha256))
    }
}

/// Where a build's output keeps a part.
pub fn path_in_output(output: &Path, part: Part) -> PathBuf {
    match part {
        Part::SbomSpdx | Part::SbomCycloneDx => output.join(part.file()),
        _ => output.join("slot").join(part.file()),
    }
}

impl Slot {
    /// Reads what building a variant, or signing it, gave.
    ///
    /// # Errors
    /// [`RepoError::Release`]: a file is missing, or not the one that the
    /// manifest or the command line speaks of.
    pub fn read(output: &Path) -> Result<Self, RepoError> {
        Self::read_files(&|part| path_in_output(output, part))
    }

    /// # Errors
    /// As [`Slot::read`]
    pub fn read_files(file: &dyn Fn(Part) -> PathBuf) -> Result<Self, RepoError> {
        let manifest = file(Part::Manifest);
        let bytes = std::fs::read(&manifest).map_err(io_error("read", &manifest))?;
        let bad = |what: String| RepoError::Release { path: manifest.clone(), what };
        let release =
            Release::parse(&bytes).map_err(|error| bad(format!("not a release manifest: {error}")))?;
        if release.to_bytes() != bytes {
            return Err(bad("not in its canonical form".to_owned()));
        }
        let mut parts = BTreeMap::new();
        for part in Part::ALL {
            let path = file(part);
            let is_sbom = matches!(part, Part::SbomSpdx | Part::SbomCycloneDx);
            if is_sbom && !path.exists() {
                continue;
            }
            let checked = check(&path)?;
            must_be(&checked, due(&release, part))?;
            parts.insert(part, checked);
        }
        check_tree(&release, &parts)?;
        check_uki(&release, &parts[&Part::Uki].path)?;
        check_sbom(&release, &parts)?;
        Ok(Self { release, manifest_sha256: hex::encode(&Sha256::digest(&bytes)), parts })
    }

    /// What runs, by name and hash: the root, the kernel image, and the manifest
    /// that names both.
    pub fn resources(&self) -> Vec<Resource> {
        let of = |part: Part| self.parts[&part].resource(part);
        let mut root = of(Part::Root);
        root.digest.insert(ROOT_HASH.to_owned(), self.release.root.root_hash.clone());
        vec![root, of(Part::Uki), of(Part::Manifest)]
    }

    /// Every file, by name and hash.
    pub fn files(&self) -> Vec<Resource> {
        self.parts.iter().map(|(part, checked)| checked.resource(*part)).collect()
    }
}

/// Size and hash that the manifest gives a part.
fn due(release: &Release, part: Part) -> (Option<u64>, Option<&str>) {
    match part {
        Part::Root => (Some(release.root.size), Some(&release.root.sha256)),
        Part::Tree => (Some(release.hash.size), Some(&release.hash.sha256)),
        Part::Uki => (Some(release.uki.size), Some(&release.uki.sha256)),
        Part::Loader => (Some(release.loader.size), Some(&release.loader.sha256)),
        Part::Segments => (None, Some(&release.segments.sha256)),
        Part::Manifest | Part::SbomSpdx | Part::SbomCycloneDx => (None, None),
    }
}

fn check(path: &Path) -> Result<Checked, RepoError> {
    let file = File::open(path).map_err(io_error("open", path))?;
    let size = file.metadata().map_err(io_error("read", path))?.len();
    let sha256 = sha256_sparse(&file, || true).map_err(io_error("read", path))?;
    Ok(Checked { path: path.to_owned(), size, sha256 })
}

fn must_be(checked: &Checked, (size, sha256): (Option<u64>, Option<&str>)) -> Result<(), RepoError> {
    let bad = |what: String| Err(RepoError::Release { path: checked.path.clone(), what });
    let found = hex::encode(&checked.sha256);
    if let Some(size) = size.filter(|size| *size != checked.size) {
        return bad(format!("{} bytes, where the manifest says {size}", checked.size));
    }
    match sha256 {
        Some(due) if due != found => bad(format!("its SHA-256 is {found}, where the manifest says {due}")),
        _ => Ok(()),
    }
}

/// The tree is that of the root's bytes, and its top the root hash.
fn check_tree(release: &Release, parts: &BTreeMap<Part, Checked>) -> Result<(), RepoError> {
    let (root, tree) = (&parts[&Part::Root], &parts[&Part::Tree]);
    let bad = |path: &Path, what: &str| RepoError::Release { path: path.to_owned(), what: what.to_owned() };
    if root.size == 0 || root.size % verity::BLOCK_BYTES as u64 != 0 {
        return Err(bad(&root.path, "not whole blocks of 4096 bytes"));
    }
    let file = File::open(&root.path).map_err(io_error("open", &root.path))?;
    let made = verity::tree(leaves_of(&file).map_err(io_error("read", &root.path))?);
    if hex::encode(&made.root_hash) != release.root.root_hash {
        return Err(bad(&root.path, "its root hash is not the manifest's"));
    }
    if hex::encode(&verity::SALT) != release.root.salt {
        return Err(bad(&root.path, "the manifest has another salt than every image"));
    }
    if root.size / verity::BLOCK_BYTES as u64 != release.root.blocks {
        return Err(bad(&root.path, "the manifest counts its blocks otherwise"));
    }
    if std::fs::read(&tree.path).map_err(io_error("read", &tree.path))? != made.bytes {
        return Err(bad(&tree.path, "not the hash tree of the root"));
    }
    Ok(())
}

/// The kernel image starts this root, and says that it is this release: read as
/// the node will.
fn check_uki(release: &Release, path: &Path) -> Result<(), RepoError> {
    let bad = |what: String| RepoError::Release { path: path.to_owned(), what };
    let image = std::fs::read(path).map_err(io_error("read", path))?;
    let says = Says::read(&image).map_err(|error| bad(error.to_string()))?;
    if says.command_line != release.uki.command_line {
        return Err(bad("its command line is not the manifest's".to_owned()));
    }
    says.check_device().map_err(|what| bad(format!("its verity device: {what}")))?;
    if hex::encode(&says.root.root_hash) != release.root.root_hash {
        return Err(bad("its command line has another root hash".to_owned()));
    }
    let expected = [
        ("VERSION_ID", says.version, release.version.clone()),
        ("VARIANT_ID", says.variant, release.variant.clone()),
        ("OSBUILD_ROLLBACK_INDEX", says.rollback_index.to_string(), release.rollback_index.to_string()),
        ("OSBUILD_FLOOR", says.floor.to_string(), release.floor.to_string()),
    ];
    match expected.into_iter().find(|(_, found, due)| found != due) {
        Some((field, found, due)) => {
            Err(bad(format!("its os-release has {field}={found}, the manifest {due}")))
        }
        None => Ok(()),
    }
}

/// The bills of material name this root.
fn check_sbom(release: &Release, parts: &BTreeMap<Part, Checked>) -> Result<(), RepoError> {
    let namespace = format!("urn:osbuild:spdx:{}", release.root.root_hash);
    let rows = [
        (Part::SbomSpdx, "/documentNamespace", namespace.as_str()),
        (Part::SbomCycloneDx, "/metadata/component/hashes/0/content", &release.root.root_hash),
    ];
    for (part, field, due) in rows {
        let Some(checked) = parts.get(&part) else { continue };
        let bytes = std::fs::read(&checked.path).map_err(io_error("read", &checked.path))?;
        let bad = |what: String| RepoError::Release { path: checked.path.clone(), what };
        let document: serde_json::Value =
            serde_json::from_slice(&bytes).map_err(|error| bad(error.to_string()))?;
        if document.pointer(field).and_then(serde_json::Value::as_str) != Some(due) {
            return Err(bad(format!("{field} does not name the root {}", release.root.root_hash)));
        }
    }
    Ok(())
}
