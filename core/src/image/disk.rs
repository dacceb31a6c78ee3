//! `builtin:disk`: a slot on a factory disk, as one sparse file.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use osbuild_boot::layout::Role;
use osbuild_format::disk::{Content, DiskPlan, Factory, Layout, factory};
use osbuild_format::release::Release;
use osbuild_format::{hex, qcow2, vhd, vmdk};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::build::builtin::{BuiltinContext, BuiltinError};

use super::files::{create, failed, open, output, parameters, read, read_input};
use super::slot::{Partitions, copy_at};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Parameters {
    /// The `slot` output.
    slot: String,
    loader: String,
    #[serde(default)]
    format: Format,
    #[serde(rename = "dataSizeMiB", default)]
    data_size_mib: Option<u64>,
    /// Tells apart disks of one image in one machine.
    #[serde(default)]
    seed: String,
    #[serde(default)]
    partitions: Partitions,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    #[default]
    Raw,
    Qcow2,
    Vmdk,
    Vhd,
}

/// Runs the builder.
///
/// # Errors
/// A payload that does not fit, or a slot made for another layout.
pub fn run(context: &BuiltinContext<'_>) -> Result<(), BuiltinError> {
    let parameters: Parameters = parameters(context, "disk")?;
    let slot = (context.physical)(&parameters.slot)?;
    let release = read_release(&slot)?;
    let layout = parameters.partitions.layout()?;
    let plan = plan(context, &parameters, &slot, &release, &layout)?;
    let path = output(context, "out")?;
    let identity = identity(&release, &parameters.seed);
    match parameters.format {
        Format::Raw => write_raw(&plan, &slot, path),
        Format::Vhd => {
            write_raw(&plan, &slot, path)?;
            let mut file = OpenOptions::new().append(true).open(path).map_err(failed("open", path))?;
            file.write_all(&vhd::footer(plan.size_bytes, identity)).map_err(failed("write", path))
        }
        Format::Qcow2 => {
            write_sparse(&plan, &slot, path, |out, size, runs, read| qcow2::write(out, size, runs, read))
        }
        Format::Vmdk => {
            // All ones and nearly all ones mean "no parent" and "unknown".
            let cid = u32::from_le_bytes([identity[0], identity[1], identity[2], identity[3] & 0x7f]);
            write_sparse(&plan, &slot, path, |out, size, runs, read| vmdk::write(out, size, runs, cid, read))
        }
    }
}

pub(super) fn read_release(slot: &Path) -> Result<Release, BuiltinError> {
    let path = slot.join("manifest.json");
    Release::parse(&read(&path)?)
        .map_err(|error| BuiltinError::Refused(format!("{}: {error}", path.display())))
}

fn plan(
    context: &BuiltinContext<'_>,
    parameters: &Parameters,
    slot: &Path,
    release: &Release,
    layout: &Layout,
) -> Result<DiskPlan, BuiltinError> {
    if layout.digest() != release.layout {
        return Err(BuiltinError::Refused(
            "the slot was made for another partition layout than the disk's".to_owned(),
        ));
    }
    let root_hash = hex::decode_array(&release.root.root_hash)
        .ok_or_else(|| BuiltinError::Refused("the slot's root hash is not 64 hex digits".to_owned()))?;
    let minimum_mib = Role::Data.minimum_size_bytes() >> 20;
    let data_mib = parameters.data_size_mib.unwrap_or(minimum_mib);
    if data_mib < minimum_mib {
        return Err(BuiltinError::Refused(format!("dataSizeMiB {data_mib}: at least {minimum_mib} MiB")));
    }
    let size = |name: &str| {
        let path = slot.join(name);
        Ok(path.metadata().map_err(failed("inspect", &path))?.len())
    };
    let loader = read_input(context, &parameters.loader)?;
    factory(&Factory {
        layout,
        data_bytes: data_mib << 20,
        root_hash,
        seed: &parameters.seed,
        loader: &loader,
        boot_bytes: size("boot.efi")?,
        root_bytes: size("root.squashfs")?,
        hash_bytes: size("root.verity")?,
    })
    .map_err(|error| BuiltinError::Refused(error.to_string()))
}

/// The file of a slot that fills a piece.
fn source(slot: &Path, content: &Content) -> Option<std::path::PathBuf> {
    let name = match content {
        Content::Bytes(_) => return None,
        Content::Boot => "boot.efi",
        Content::Root => "root.squashfs",
        Content::Hash => "root.verity",
    };
    Some(slot.join(name))
}

fn write_raw(plan: &DiskPlan, slot: &Path, path: &Path) -> Result<(), BuiltinError> {
    let mut file: File = create(path)?;
    file.set_len(plan.size_bytes).map_err(failed("extend", path))?;
    for piece in &plan.pieces {
        match (&piece.content, source(slot, &piece.content)) {
            (Content::Bytes(bytes), _) => {
                file.seek(SeekFrom::Start(piece.offset)).map_err(failed("seek in", path))?;
                file.write_all(bytes).map_err(failed("write", path))?;
            }
            (_, Some(source)) => {
                copy_at(&mut open(&source)?, &mut file, piece.offset, path)?;
            }
            (_, None) => {}
        }
    }
    Ok(())
}

/// What names a disk's content in formats that want it.
fn identity(release: &Release, seed: &str) -> [u8; 16] {
    let digest = Sha256::digest(format!("osbuild disk identity 1 {} {seed}", release.root.root_hash));
    digest[..16].try_into().expect("a digest has 32 bytes")
}

/// Writes a format that stores only what is not zero.
fn write_sparse(
    plan: &DiskPlan,
    slot: &Path,
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>, u64, &[(u64, u64)], &mut Read<'_>) -> io::Result<()>,
) -> Result<(), BuiltinError> {
    let mut files = Vec::new();
    for piece in &plan.pieces {
        files.push(source(slot, &piece.content).map(|source| open(&source)).transpose()?);
    }
    let runs: Vec<(u64, u64)> = plan.pieces.iter().map(|piece| (piece.offset, piece.length)).collect();
    let mut out = BufWriter::new(create(path)?);
    let mut read = |offset: u64, buffer: &mut [u8]| read_plan(plan, &files, offset, buffer);
    write(&mut out, plan.size_bytes, &runs, &mut read).map_err(failed("write", path))?;
    out.flush().map_err(failed("write", path))
}

type Read<'r> = dyn FnMut(u64, &mut [u8]) -> io::Result<()> + 'r;

/// Fills a zeroed buffer with what the plan has at an offset.
fn read_plan(plan: &DiskPlan, files: &[Option<File>], offset: u64, buffer: &mut [u8]) -> io::Result<()> {
    let end = offset + buffer.len() as u64;
    let first = plan.pieces.partition_point(|piece| piece.offset + piece.length <= offset);
    for (piece, file) in plan.pieces.iter().zip(files).skip(first).take_while(|(piece, _)| piece.offset < end)
    {
        let (from, to) = (piece.offset.max(offset), (piece.offset + piece.length).min(end));
        let part = &mut buffer[(from - offset) as usize..(to - offset) as usize];
        let within = from - piece.offset;
        match (&piece.content, file) {
            (Content::Bytes(bytes), _) => part.copy_from_slice(&bytes[within as usize..][..part.len()]),
            (_, Some(file)) => file.read_exact_at(part, within)?,
            (_, None) => {}
        }
    }
    Ok(())
}
