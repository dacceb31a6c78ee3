//! What is in an image, read from what building a variant gives.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};

use osbuild_format::kernel::find_payload;
use osbuild_format::pe;
use osbuild_format::release::Release;
use osbuild_format::squashfs::read::{Image, Member, MemberKind};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What an image is, as far as people who run it ask.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    pub release: Release,
    /// Versions by name.
    pub packages: BTreeMap<String, String>,
    /// By absolute path.
    pub files: BTreeMap<String, FileFacts>,
    /// The kernel's release, who built it, and when.
    pub kernel: String,
    /// As in `.config`, without those that are off; `None` where the kernel does
    /// not carry them (`CONFIG_IKCONFIG`).
    pub kernel_options: Option<BTreeMap<String, String>>,
    /// What can be set, by its path, each as the image's schema has it.
    pub settings: BTreeMap<String, Value>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FileFacts {
    /// The lower twelve bits, in octal.
    pub mode: String,
    pub owner: u32,
    pub group: u32,
    #[serde(flatten)]
    pub kind: FileKind,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum FileKind {
    Directory,
    Link { target: String },
    File { bytes: u64, blake3: String },
}

/// Why an image's facts are not known.
#[derive(Debug, thiserror::Error)]
pub enum FactsError {
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{} is not what it should be: {why}", path.display())]
    Malformed { path: PathBuf, why: String },
}

/// Where the node finds what can be set.
const SCHEMA: &str = "/usr/share/osbuild/settings/schema.json";
/// Magic numbers around the kernel's options. Source: the kernel's
/// `kernel/configs.c`.
const OPTIONS_START: &[u8] = b"IKCFG_ST";
/// A kernel is smaller than this, unpacked.
const KERNEL_BYTES: u64 = 1 << 30;

impl Facts {
    /// Reads the output of a variant.
    ///
    /// # Errors
    /// It lacks a part, or one is damaged.
    pub fn read(output: &Path) -> Result<Self, FactsError> {
        let slot = output.join("slot");
        let release: Release = parse(&slot.join("manifest.json"))?;
        let outer: Outer = parse(&output.join("manifest.json"))?;
        let packages = outer.packages.into_iter().map(|package| (package.name, package.version)).collect();
        let Root { files, settings } = root(&slot.join("root.squashfs"))?;
        let (kernel, kernel_options) = kernel(&slot.join("boot.efi"))?;
        Ok(Self { release, packages, files, kernel, kernel_options, settings })
    }
}

#[derive(Deserialize)]
struct Outer {
    packages: Vec<OuterPackage>,
}

#[derive(Deserialize)]
struct OuterPackage {
    name: String,
    version: String,
}

fn read(path: &Path) -> Result<Vec<u8>, FactsError> {
    std::fs::read(path).map_err(|source| FactsError::Read { path: path.to_owned(), source })
}

fn parse<T: for<'d> Deserialize<'d>>(path: &Path) -> Result<T, FactsError> {
    serde_json::from_slice(&read(path)?).map_err(|error| malformed(path, error))
}

fn malformed(path: &Path, why: impl ToString) -> FactsError {
    FactsError::Malformed { path: path.to_owned(), why: why.to_string() }
}

/// Files of a root, and what its schema says can be set.
struct Root {
    files: BTreeMap<String, FileFacts>,
    settings: BTreeMap<String, Value>,
}

fn root(path: &Path) -> Result<Root, FactsError> {
    let fail = |error| FactsError::Read { path: path.to_owned(), source: error };
    let file = File::open(path).map_err(fail)?;
    let mut image = Image::open(BufReader::new(file)).map_err(|error| malformed(path, error))?;
    let members = image.members().map_err(|error| malformed(path, error))?;
    let mut settings = BTreeMap::new();
    let mut files = BTreeMap::new();
    for Member { path: name, mode, uid, gid, kind, .. } in members {
        let kind = match kind {
            MemberKind::Directory => FileKind::Directory,
            MemberKind::Link { target } => FileKind::Link { target },
            MemberKind::File(data) => {
                let mut hasher = blake3::Hasher::new();
                let mut kept = Vec::new();
                let mut both = Both { hasher: &mut hasher, kept: (name == SCHEMA).then_some(&mut kept) };
                image.contents(&data, &mut both).map_err(|error| malformed(path, error))?;
                if name == SCHEMA {
                    let schema: Schema = serde_json::from_slice(&kept)
                        .map_err(|error| malformed(path, format!("{SCHEMA}: {error}")))?;
                    settings = schema.settings;
                }
                FileKind::File { bytes: data.size, blake3: hasher.finalize().to_hex().to_string() }
            }
        };
        files.insert(name, FileFacts { mode: format!("{mode:04o}"), owner: uid, group: gid, kind });
    }
    Ok(Root { files, settings })
}

#[derive(Deserialize)]
struct Schema {
    settings: BTreeMap<String, Value>,
}

/// A file's contents on their way: hashed, and kept where they are wanted.
struct Both<'a> {
    hasher: &'a mut blake3::Hasher,
    kept: Option<&'a mut Vec<u8>>,
}

impl Write for Both<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.hasher.update(bytes);
        if let Some(kept) = &mut self.kept {
            kept.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What a kernel image calls itself, and its options.
fn kernel(path: &Path) -> Result<(String, Option<BTreeMap<String, String>>), FactsError> {
    let image = read(path)?;
    let sections = pe::sections(&image).map_err(|error| malformed(path, error))?;
    let linux = sections
        .iter()
        .find(|section| section.name == ".linux")
        .and_then(|section| image.get(section.bytes.clone()))
        .ok_or_else(|| malformed(path, "it has no kernel (section .linux)"))?;
    let payload = find_payload(linux).ok_or_else(|| malformed(path, "its kernel has no zstd payload"))?;
    let mut unpacked = Vec::new();
    zstd::Decoder::new(&linux[payload])
        .and_then(|decoder| decoder.take(KERNEL_BYTES).read_to_end(&mut unpacked))
        .map_err(|error| malformed(path, format!("its kernel does not unpack: {error}")))?;
    let options = match find(&unpacked, OPTIONS_START) {
        None => None,
        Some(start) => {
            let mut text = String::new();
            flate2::read::GzDecoder::new(&unpacked[start + OPTIONS_START.len()..])
                .read_to_string(&mut text)
                .map_err(|error| malformed(path, format!("its kernel's options do not unpack: {error}")))?;
            Some(options(&text))
        }
    };
    Ok((version(linux).unwrap_or_default(), options))
}

/// The text that the boot header points to. Source: the kernel's
/// `Documentation/arch/x86/boot.rst`, `kernel_version`.
fn version(kernel: &[u8]) -> Option<String> {
    let pointer = u16::from_le_bytes(kernel.get(0x20e..0x210)?.try_into().ok()?);
    let text = kernel.get(usize::from(pointer) + 0x200..)?;
    let end = text.iter().position(|byte| *byte == 0)?;
    Some(String::from_utf8_lossy(&text[..end]).into_owned())
}

/// Lines `CONFIG_NAME=value`.
fn options(text: &str) -> BTreeMap<String, String> {
    let option = |line: &str| {
        let (name, value) = line.strip_prefix("CONFIG_")?.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    };
    text.lines().filter_map(option).collect()
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}
