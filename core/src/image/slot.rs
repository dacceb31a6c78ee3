//! `builtin:slot`: what one version writes into a slot.
//!
//! Output `out`: `boot.efi`, `loader.efi`, `root.squashfs`, `root.verity`,
//! `manifest.json`, `segments.json`. Segments are copied, not recompressed, and
//! their verity leaves are reused, so this costs about as much as copying the
//! root.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use osbuild_boot::guid::Guid;
use osbuild_boot::layout::{MAX_FILL_PERCENT, Role};
use osbuild_format::disk::Layout;
use osbuild_format::hex;
use osbuild_format::pe::{self, Section};
use osbuild_format::release::{Blob, Release, Root, Segments, Uki, canonical};
use osbuild_format::root_manifest::{Node, RootManifest};
use osbuild_format::squashfs::link::{Segment, link};
use osbuild_format::squashfs::read::{Image, MemberKind};
use osbuild_format::squashfs::segment::SegmentIndex;
use osbuild_format::squashfs::{ALIGNMENT, SquashfsError};
use osbuild_format::verity;
use rayon::prelude::*;
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::build::builtin::{BuiltinContext, BuiltinError};

use super::files::{
    check_cancelled, create, failed, open, open_input, output, parameters, pool, read_input, sha256_sparse,
    write,
};
use super::link_root::absolute;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Parameters {
    /// The `root.manifest`.
    manifest: String,
    segments: Vec<SegmentRow>,
    /// The kernel, a bzImage with an EFI stub.
    kernel: String,
    /// systemd's `linuxx64.efi.stub`.
    stub: String,
    loader: String,
    /// Words; `@verity@` stands for those that name the root.
    command_line: Vec<String>,
    variant: String,
    arch: String,
    version: String,
    rollback_index: u64,
    floor: u64,
    min_from_index: u64,
    settings_schema: u64,
    /// Path of the health contract inside the root.
    health_file: String,
    #[serde(default)]
    partitions: Partitions,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SegmentRow {
    /// The package's name as the manifest has it, or its store path.
    package: String,
    data: String,
    index: String,
    leaves: String,
}

/// Sizes in MiB by name, those that are larger than usual.
#[derive(Default, Deserialize)]
#[serde(transparent)]
pub(super) struct Partitions(BTreeMap<String, u64>);

impl Partitions {
    pub(super) fn layout(&self) -> Result<Layout, BuiltinError> {
        let rows = self.0.iter().map(|(name, mib)| (name.as_str(), *mib));
        Layout::new(rows).map_err(|error| BuiltinError::Refused(format!("partitions: {error}")))
    }
}

/// The word of a command line that this builder replaces.
const VERITY_WORD: &str = "@verity@";
/// The kernel's own bound on x86.
const MAX_COMMAND_LINE_BYTES: usize = 2047;

/// Runs the builder.
///
/// # Errors
/// Inputs that do not fit together, or a payload that is too large for its
/// slot.
pub fn run(context: &BuiltinContext<'_>) -> Result<(), BuiltinError> {
    let parameters: Parameters = parameters(context, "slot")?;
    let layout = parameters.partitions.layout()?;
    let manifest = RootManifest::parse(&read_input(context, &parameters.manifest)?)
        .map_err(|error| BuiltinError::Refused(format!("{}: {error}", parameters.manifest)))?;
    let os_release = os_release(&parameters, &manifest)?;

    let out = output(context, "out")?;
    fs::create_dir(out).map_err(failed("create", out))?;
    let root = write_root(context, &parameters, &manifest, &out.join("root.squashfs"))?;
    let hash_bytes = root.tree.bytes.len() as u64;
    let health = file_of(&out.join("root.squashfs"), &absolute(&parameters.health_file)?)?;
    write(&out.join("root.verity"), &root.tree.bytes)?;
    fits("root", root.size, &layout, Role::RootA, MAX_FILL_PERCENT)?;
    fits("hash tree", hash_bytes, &layout, Role::HashA, 100)?;

    let command_line = command_line(&parameters, &root)?;
    let stub = read_input(context, &parameters.stub)?;
    let kernel = read_input(context, &parameters.kernel)?;
    let sections = [
        Section { name: ".osrel", contents: os_release.as_bytes() },
        Section { name: ".cmdline", contents: command_line.as_bytes() },
        Section { name: ".linux", contents: &kernel },
    ];
    let uki = pe::append_sections(&stub, &sections)
        .map_err(|error| BuiltinError::Refused(format!("{}: {error}", parameters.stub)))?;
    fits("kernel image", uki.len() as u64, &layout, Role::BootA, MAX_FILL_PERCENT)?;
    write(&out.join("boot.efi"), &uki)?;

    let loader = read_input(context, &parameters.loader)?;
    write(&out.join("loader.efi"), &loader)?;
    let segments = canonical(&json!({ "schema": 1, "segments": root.segments }));
    write(&out.join("segments.json"), &segments)?;
    let sha256 = |bytes: &[u8]| hex::encode(&Sha256::digest(bytes));
    let release = Release {
        schema: 1,
        variant: parameters.variant,
        arch: parameters.arch,
        version: parameters.version,
        rollback_index: parameters.rollback_index,
        floor: parameters.floor,
        min_from_index: parameters.min_from_index,
        layout: layout.digest(),
        root: Root {
            size: root.size,
            sha256: root.sha256,
            root_hash: hex::encode(&root.tree.root_hash),
            salt: hex::encode(&verity::SALT),
            blocks: root.size / verity::BLOCK_BYTES as u64,
        },
        hash: Blob { size: hash_bytes, sha256: sha256(&root.tree.bytes) },
        uki: Uki {
            size: uki.len() as u64,
            sha256: sha256(&uki),
            unsigned_sha256: sha256(&uki),
            command_line,
        },
        loader: Blob { size: loader.len() as u64, sha256: sha256(&loader) },
        segments: Segments { file: "segments.json".to_owned(), sha256: sha256(&segments) },
        settings_schema: parameters.settings_schema,
        health_sha256: sha256(&health),
        sbom: Vec::new(),
        attestations: Vec::new(),
    };
    write(&out.join("manifest.json"), &release.to_bytes())
}

/// A payload must leave room for later versions, which an update cannot move.
fn fits(what: &str, bytes: u64, layout: &Layout, role: Role, percent: u64) -> Result<(), BuiltinError> {
    let limit = layout.size_bytes(role) / 100 * percent;
    if bytes <= limit {
        return Ok(());
    }
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    Err(BuiltinError::Refused(format!(
        "the {what} has {:.1} MiB; of a {} partition of {:.0} MiB at most {:.1} MiB may be used ({percent} %)\n\
         hint: leave packages out, or enlarge the partition before the first machine is installed",
        mib(bytes),
        role.name().trim_end_matches("-A"),
        mib(layout.size_bytes(role)),
        mib(limit),
    )))
}

/// The root's own os-release, checked against what the variant says.
fn os_release(parameters: &Parameters, manifest: &RootManifest) -> Result<String, BuiltinError> {
    let Some(Node::Inline { text }) = manifest.entry("/usr/lib/os-release").map(|e| &e.node) else {
        return Err(BuiltinError::Refused("the root has no os-release of link-root's".to_owned()));
    };
    let expected = [
        ("VERSION_ID", parameters.version.clone()),
        ("VARIANT_ID", parameters.variant.clone()),
        ("OSBUILD_ROLLBACK_INDEX", parameters.rollback_index.to_string()),
        ("OSBUILD_FLOOR", parameters.floor.to_string()),
    ];
    for (key, value) in expected {
        let found = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        if let Some(found) = found.map(|found| found.trim_matches('"'))
            && found != value
        {
            return Err(BuiltinError::Refused(format!(
                "os-release has {key}={found}, the variant says {value}"
            )));
        }
    }
    Ok(text.clone())
}

/// A file of the root, read back from the image: its package need not be here.
fn file_of(root: &Path, path: &str) -> Result<Vec<u8>, BuiltinError> {
    let damaged = |error: SquashfsError| BuiltinError::Mismatch(format!("{}: {error}", root.display()));
    let mut image = Image::open(BufReader::new(open(root)?)).map_err(damaged)?;
    let members = image.members().map_err(damaged)?;
    let Some(MemberKind::File(data)) = members.into_iter().find(|m| m.path == path).map(|m| m.kind) else {
        return Err(BuiltinError::Refused(format!("healthFile: the root has no file {path}")));
    };
    let mut bytes = Vec::new();
    image.contents(&data, &mut bytes).map_err(damaged)?;
    Ok(bytes)
}

struct WrittenRoot {
    size: u64,
    sha256: String,
    tree: verity::Tree,
    segments: Vec<serde_json::Value>,
}

fn write_root(
    context: &BuiltinContext<'_>,
    parameters: &Parameters,
    manifest: &RootManifest,
    path: &Path,
) -> Result<WrittenRoot, BuiltinError> {
    let refused =
        |what: &str, error: &dyn std::fmt::Display| BuiltinError::Refused(format!("{what}: {error}"));
    let pool = pool(context)?;
    let mut indexes = Vec::new();
    for row in &parameters.segments {
        let index = SegmentIndex::parse(&read_input(context, &row.index)?);
        indexes.push(index.map_err(|error| refused(&row.index, &error))?);
    }
    let stores = stores(manifest);
    let store = |row: &'_ SegmentRow| {
        stores.get(row.package.as_str()).map_or(row.package.clone(), |s| (*s).to_owned())
    };
    let names: Vec<String> = parameters.segments.iter().map(store).collect();
    let rows: Vec<Segment<'_>> =
        names.iter().zip(&indexes).map(|(store, index)| Segment { store, index }).collect();
    let linked = link(manifest, &rows).map_err(|error| refused("root", &error))?;

    let mut file = create(path)?;
    let mut leaves = verity::leaves(&linked.head);
    let mut segments = Vec::new();
    file.write_all(&linked.head).map_err(failed("write", path))?;
    let mut offset = linked.head.len() as u64;
    for (row, index) in parameters.segments.iter().zip(&indexes) {
        check_cancelled(context)?;
        let (mut data, data_path) = open_input(context, &row.data)?;
        let copied = io::copy(&mut data, &mut file).map_err(failed("copy", &data_path))?;
        let hashes = read_input(context, &row.leaves)?;
        let blocks = index.data_bytes / ALIGNMENT;
        if copied != index.data_bytes || hashes.len() as u64 != blocks * verity::HASH_BYTES as u64 {
            return Err(BuiltinError::Mismatch(format!(
                "{}: data, index and leaves do not belong together",
                row.data
            )));
        }
        leaves.extend(hashes);
        segments.push(json!({ "package": package_name(&row.package), "offset": offset, "size": copied }));
        offset += copied;
        (context.progress)(offset, linked.image_bytes);
    }
    file.write_all(&linked.tail).map_err(failed("write", path))?;
    leaves.extend(verity::leaves(&linked.tail));
    drop(file);

    let tree = verity::tree(leaves.clone());
    // The leaves came from elsewhere; the image is judged by its own bytes.
    let (sha256, own) = pool.install(|| digest_and_leaves(path))?;
    if own != leaves {
        return Err(BuiltinError::Mismatch(
            "a segment's leaves are not those of its data; the store is damaged (`osbuild store verify`)"
                .to_owned(),
        ));
    }
    Ok(WrittenRoot { size: linked.image_bytes, sha256, tree, segments })
}

/// Which store path each package's files come from.
fn stores(manifest: &RootManifest) -> BTreeMap<&str, &str> {
    let files = manifest.entries().iter().filter_map(|entry| match &entry.node {
        Node::File { store, .. } => Some((entry.package.as_deref()?, store.as_str())),
        _ => None,
    });
    files.collect()
}

/// `name-version` of a store path: the digest would make the slot depend on
/// how its packages were built, not on what they hold.
fn package_name(store: &str) -> &str {
    match store.rsplit_once('/') {
        Some((_, base)) => base.get(33..).unwrap_or(base),
        None => store,
    }
}

/// The image's SHA-256 and its leaf hashes, side by side.
fn digest_and_leaves(path: &Path) -> Result<(String, Vec<u8>), BuiltinError> {
    let file = open(path)?;
    let (digest, leaves) = rayon::join(|| sha256_sparse(&file, || true), || leaves_of(&file));
    let digest = digest.map_err(failed("read", path))?;
    Ok((hex::encode(&digest), leaves.map_err(failed("read", path))?))
}

/// Leaf hashes of a file of whole blocks, on all threads of the pool.
///
/// # Errors
/// Reading failed.
pub fn leaves_of(file: &File) -> io::Result<Vec<u8>> {
    // Stays in a core's own cache between reading and hashing.
    const CHUNK_BYTES: u64 = 256 * 1024;
    let size = file.metadata()?.len();
    let chunks: Vec<Vec<u8>> = (0..size.div_ceil(CHUNK_BYTES))
        .into_par_iter()
        .map_init(Vec::new, |buffer, chunk| {
            let offset = chunk * CHUNK_BYTES;
            buffer.resize((size - offset).min(CHUNK_BYTES) as usize, 0);
            file.read_exact_at(buffer, offset)?;
            Ok(verity::leaves(buffer))
        })
        .collect::<io::Result<_>>()?;
    Ok(chunks.concat())
}

fn command_line(parameters: &Parameters, root: &WrittenRoot) -> Result<String, BuiltinError> {
    let refused = |what: String| Err(BuiltinError::Refused(format!("commandLine: {what}")));
    if parameters.command_line.iter().filter(|word| *word == VERITY_WORD).count() != 1 {
        return refused(format!("the word {VERITY_WORD} must stand in it exactly once"));
    }
    let words: Vec<String> = parameters
        .command_line
        .iter()
        .map(|word| if word == VERITY_WORD { verity_words(root) } else { word.clone() })
        .collect();
    let line = words.join(" ");
    if line.len() > MAX_COMMAND_LINE_BYTES {
        return refused(format!("{} bytes, the kernel takes {MAX_COMMAND_LINE_BYTES}", line.len()));
    }
    if line.contains(|c: char| c.is_control() || !c.is_ascii()) {
        return refused("a word holds what is not printable ASCII".to_owned());
    }
    Ok(line)
}

/// How the kernel itself opens the root: it waits for both partitions, then
/// maps them under verity and panics on the first wrong block.
fn verity_words(root: &WrittenRoot) -> String {
    let hash = &root.tree.root_hash;
    let (data, tree) = (Guid::of_root(hash), Guid::of_hash(hash));
    let blocks = root.size / verity::BLOCK_BYTES as u64;
    let sectors = root.size / 512;
    let (root_hash, salt) = (hex::encode(hash), hex::encode(&verity::SALT));
    format!(
        "dm-mod.waitfor=PARTUUID={data},PARTUUID={tree} dm-mod.create=\"osroot,,0,ro,0 {sectors} verity 1 \
         PARTUUID={data} PARTUUID={tree} 4096 4096 {blocks} 0 sha256 {root_hash} {salt} 1 panic_on_corruption\""
    )
}

/// Copies a file's bytes to where the destination stands.
pub(super) fn copy_at(from: &mut File, to: &mut File, offset: u64, path: &Path) -> Result<u64, BuiltinError> {
    to.seek(SeekFrom::Start(offset)).map_err(failed("seek in", path))?;
    io::copy(from, to).map_err(failed("write", path))
}
