//! `builtin:image-manifest`: one document over everything that a build of a
//! variant gives.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use osbuild_format::release::canonical;
use osbuild_format::{hex, qcow2};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::build::builtin::{BuiltinContext, BuiltinError};

use super::disk::read_release;
use super::files::{check_cancelled, failed, open_input, output, parameters, sha256_sparse, write};
use super::link_root::Package;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Parameters {
    slot: String,
    disks: Vec<DiskRow>,
    packages: Vec<Package>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DiskRow {
    format: String,
    file: String,
}

/// Runs the builder.
///
/// # Errors
/// A disk cannot be read, or the slot's manifest is none.
pub fn run(context: &BuiltinContext<'_>) -> Result<(), BuiltinError> {
    let parameters: Parameters = parameters(context, "image-manifest")?;
    let release = read_release(&(context.physical)(&parameters.slot)?)?;
    let mut disks = Vec::new();
    for row in &parameters.disks {
        let (file, path) = open_input(context, &row.file)?;
        disks.push(describe(context, row, &file, &path)?);
    }
    let packages: Vec<Value> = parameters
        .packages
        .iter()
        .map(|p| json!({ "name": p.pname, "version": p.version, "license": p.license, "cpe": p.cpe }))
        .collect();
    let release = serde_json::to_value(&release).expect("a release is plain data");
    let manifest = json!({ "schema": 1, "release": release, "disks": disks, "packages": packages });
    write(output(context, "out")?, &canonical(&manifest))
}

fn describe(
    context: &BuiltinContext<'_>,
    row: &DiskRow,
    file: &File,
    path: &Path,
) -> Result<Value, BuiltinError> {
    let mut head = [0; 512];
    file.read_exact_at(&mut head, 0).map_err(failed("read", path))?;
    let virtual_size = virtual_size_of(&row.format, &head);
    let size = file.metadata().map_err(failed("inspect", path))?.len();
    let digest = sha256_sparse(file, || !(context.cancelled)());
    check_cancelled(context)?;
    let digest = digest.map_err(failed("read", path))?;
    let trailer = if row.format == "vhd" { osbuild_format::vhd::FOOTER_BYTES as u64 } else { 0 };
    Ok(json!({
        "format": row.format,
        "virtual_size": virtual_size.unwrap_or(size - trailer),
        "file_size": size,
        "sha256": hex::encode(&digest),
    }))
}

/// The size in the header of the formats that have one.
fn virtual_size_of(format: &str, head: &[u8]) -> Option<u64> {
    match format {
        "qcow2" => qcow2::virtual_size(head),
        "vmdk" => Some(u64::from_le_bytes(head.get(12..20)?.try_into().ok()?) * 512),
        _ => None,
    }
}
