//! Signing an image: a pure step from an unsigned output and a key to a signed
//! one.
//!
//! The unsigned image is what is reproducible and cached; here only signatures
//! are appended to the kernel image and the loader, and the manifests follow.
//! Nothing here is a builder: keys never enter a build.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use osbuild_boot::gpt;
use osbuild_boot::layout::{LOADER_RUN_BYTES, Role, SECTOR_SIZE};
use osbuild_format::authenticode::{self, AuthenticodeError};
use osbuild_format::pe;
use osbuild_format::release::{Blob, Release, canonical};
use osbuild_format::{fat, hex};
use ring::rsa::KeyPair;
use ring::signature::RSA_PKCS1_SHA256;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::disk::raw::{Access, RawDisk};
use crate::exec_signer;

use super::files::{Part, read_sparse, sha256_sparse};

/// Why an image was not signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The key file is not what it should be.
    #[error("{path}: {what}")]
    Key { path: PathBuf, what: &'static str },
    /// The command that holds the key failed.
    #[error("the signing command `{command}`: {what}")]
    Command { command: String, what: String },
    /// The output to sign is not an image, or not in the state expected.
    #[error("{path}: {what}")]
    Image { path: PathBuf, what: String },
    #[error(transparent)]
    Authenticode(#[from] AuthenticodeError),
    #[error("cannot {action} {path}")]
    Io { action: &'static str, path: PathBuf, source: std::io::Error },
}

/// Who signs.
pub enum Signer {
    /// A key at hand.
    Key { key: Box<KeyPair>, certificate: Vec<u8> },
    /// A command: bytes to be signed on its standard input, the raw RSA
    /// signature (PKCS #1 v1.5, SHA-256) on its standard output.
    Command { command: String, certificate: Vec<u8> },
    /// Nobody: one image's signature, which was given before.
    Before { signature: Vec<u8> },
}

impl Signer {
    /// Reads `--key`: a PEM file that holds an RSA key and its certificate, or
    /// `exec:COMMAND`, whose certificate is in a file of its own.
    ///
    /// # Errors
    /// [`SignError::Key`] or a file that cannot be read.
    pub fn parse(key: &str, certificate: Option<&Path>) -> Result<Self, SignError> {
        let certificate_of = |path: &Path| {
            let bad =
                || SignError::Key { path: path.to_owned(), what: "no certificate in it (PEM, CERTIFICATE)" };
            pem(&read(path)?, &["CERTIFICATE"]).ok_or_else(bad)
        };
        if let Some(command) = key.strip_prefix("exec:") {
            let path = certificate.ok_or_else(|| SignError::Key {
                path: PathBuf::from(key),
                what: "a signing command needs --certificate FILE beside it",
            })?;
            return Ok(Self::Command { command: command.to_owned(), certificate: certificate_of(path)? });
        }
        let path = Path::new(key);
        let bytes = read(path)?;
        let bad = |what| SignError::Key { path: path.to_owned(), what };
        if pem(&bytes, &["ENCRYPTED PRIVATE KEY"]).is_some() {
            return Err(bad("the key is encrypted; use exec: with a command that can open it"));
        }
        let pair = if let Some(der) = pem(&bytes, &["PRIVATE KEY"]) {
            KeyPair::from_pkcs8(&der)
        } else if let Some(der) = pem(&bytes, &["RSA PRIVATE KEY"]) {
            KeyPair::from_der(&der)
        } else {
            return Err(bad("no private key in it (PEM, PRIVATE KEY or RSA PRIVATE KEY)"));
        };
        let pair = pair.map_err(|_| bad("not an RSA key of 2048 to 8192 bits"))?;
        let certificate = certificate_of(certificate.unwrap_or(path))?;
        Ok(Self::Key { key: Box::new(pair), certificate })
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        match self {
            Self::Before { .. } => unreachable!("it has its signature"),
            Self::Key { key, .. } => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &ring::rand::SystemRandom::new(), message, &mut signature)
                    .expect("the buffer has the modulus's length");
                Ok(signature)
            }
            Self::Command { command, .. } => run_command(command, message),
        }
    }

    /// Signs an image; its bytes are padded to a multiple of eight first.
    ///
    /// # Errors
    /// No PE image, or signed already; the key refuses.
    pub fn sign_image(&self, image: &[u8]) -> Result<Vec<u8>, SignError> {
        let mut image = image.to_vec();
        image.resize(image.len().next_multiple_of(8), 0);
        let signature = self.signature(&image)?;
        Ok(pe::append_signature(&image, &signature).map_err(AuthenticodeError::from)?)
    }

    fn signature(&self, image: &[u8]) -> Result<Vec<u8>, SignError> {
        let certificate = match self {
            Self::Key { certificate, .. } | Self::Command { certificate, .. } => certificate,
            Self::Before { signature } => return Ok(signature.clone()),
        };
        let request = authenticode::request(image, certificate)?;
        Ok(request.finish(&self.sign(&request.to_be_signed())?))
    }

    /// Signs a loader so that it fills its run on the ESP: what firmware reads
    /// there must end with the signature, and is always one run long.
    fn sign_loader(&self, loader: &[u8]) -> Result<Vec<u8>, SignError> {
        let run = LOADER_RUN_BYTES as usize;
        let mut image = loader.to_vec();
        image.resize(image.len().next_multiple_of(8), 0);
        let table = pe::certificate_bytes(self.signature(&image)?.len());
        if image.len() + table > run {
            let what = fat::FatError::LoaderTooLarge { size: image.len() + table }.to_string();
            return Err(SignError::Image { path: PathBuf::from("loader.efi"), what });
        }
        image.resize(run - table, 0);
        self.sign_image(&image)
    }
}

fn run_command(command: &str, message: &[u8]) -> Result<Vec<u8>, SignError> {
    let failed = |what: String| SignError::Command { command: command.to_owned(), what };
    let signature = exec_signer::run(command, message, &[]).map_err(failed)?;
    if signature.len() < 256 {
        return Err(failed(format!("{} bytes are no RSA signature", signature.len())));
    }
    Ok(signature)
}

/// Signs the output of a variant (`result`) into a new directory: the slot,
/// the raw disk, both manifests; everything else is linked or copied as it is.
///
/// # Errors
/// See [`SignError`]; `out` must not exist, and is removed again on failure.
pub fn sign_output(result: &Path, out: &Path, signer: &Signer) -> Result<(), SignError> {
    fs::create_dir(out).map_err(io("create", out))?;
    let signed = sign_into(result, out, signer, signer);
    if signed.is_err() {
        let _ = fs::remove_dir_all(out);
    }
    signed
}

/// The image that an unsigned one becomes by the signatures of a signed one: the
/// same, if that was made from the same.
///
/// # Errors
/// As [`sign`]; one of the two has no signature.
pub fn sign_as(result: &Path, out: &Path, signed: &Path) -> Result<(), SignError> {
    let before = |name: &str| {
        let path = signed.join("slot").join(name);
        let bytes = read(&path)?;
        match pe::signature(&bytes).map_err(AuthenticodeError::from)? {
            Some(signature) => Ok(Signer::Before { signature: signature.to_vec() }),
            None => Err(SignError::Image { path, what: "it is not signed".to_owned() }),
        }
    };
    fs::create_dir(out).map_err(io("create", out))?;
    sign_into(result, out, &before("boot.efi")?, &before("loader.efi")?)
}

fn sign_into(
    result: &Path,
    out: &Path,
    uki_signer: &Signer,
    loader_signer: &Signer,
) -> Result<(), SignError> {
    let slot = result.join("slot");
    let manifest = slot.join("manifest.json");
    let invalid = |path: &Path, what: String| SignError::Image { path: path.to_owned(), what };
    let mut release = Release::parse(&read(&manifest)?).map_err(|e| invalid(&manifest, e.to_string()))?;
    if release.uki.sha256 != release.uki.unsigned_sha256 {
        return Err(invalid(&manifest, "this image is signed already; sign the unsigned one".to_owned()));
    }
    let uki = uki_signer.sign_image(&read(&slot.join("boot.efi"))?)?;
    let disk = result.join("disk.raw");
    let loader = loader_signer.sign_loader(&read(&slot.join("loader.efi"))?)?;

    let slot_out = out.join("slot");
    fs::create_dir(&slot_out).map_err(io("create", &slot_out))?;
    for name in ["root.squashfs", "root.verity", "segments.json"] {
        copy(&slot.join(name), &slot_out.join(name))?;
    }
    write(&slot_out.join("boot.efi"), &uki)?;
    write(&slot_out.join("loader.efi"), &loader)?;
    let blob = |bytes: &[u8]| Blob { size: bytes.len() as u64, sha256: hex::encode(&Sha256::digest(bytes)) };
    release.uki.size = uki.len() as u64;
    release.uki.sha256 = blob(&uki).sha256;
    release.loader = blob(&loader);
    write(&slot_out.join("manifest.json"), &release.to_bytes())?;

    let disk_out = out.join("disk.raw");
    sign_disk(&disk, &disk_out, &uki, &loader)?;
    for name in ["sbom.spdx.json", "sbom.cdx.json", "size.json"] {
        if result.join(name).exists() {
            copy(&result.join(name), &out.join(name))?;
        }
    }
    let outer = result.join("manifest.json");
    let mut outer: Value =
        serde_json::from_slice(&read(&outer)?).map_err(|error| invalid(&outer, error.to_string()))?;
    outer["release"] = serde_json::to_value(&release).expect("a release is plain data");
    if let Some(disks) = outer["disks"].as_array_mut() {
        // Other formats are made from the signed raw disk.
        disks.retain(|row| row["format"] == "raw");
        for row in disks {
            row["sha256"] = Value::String(digest(&disk_out)?);
        }
    }
    write(&out.join("manifest.json"), &canonical(&outer))
}

/// Offsets of the ESP's two runs on the disk.
fn loader_runs(disk: &Path) -> Result<(u64, u64), SignError> {
    let table = table(disk)?;
    let esp = table.partition(Role::Esp).ok_or_else(|| SignError::Image {
        path: disk.to_owned(),
        what: "no EFI system partition where it should be".to_owned(),
    })?;
    let (first, second) = fat::run_offsets(esp.sector_count() * SECTOR_SIZE);
    Ok((esp.first * SECTOR_SIZE + first, esp.first * SECTOR_SIZE + second))
}

fn table(disk: &Path) -> Result<gpt::Gpt, SignError> {
    let invalid = |what: String| SignError::Image { path: disk.to_owned(), what };
    let mut raw = RawDisk::open(disk, Access::Read).map_err(|error| invalid(error.to_string()))?;
    gpt::load(&mut raw).map(|loaded| loaded.table).map_err(|_| invalid("no valid partition table".to_owned()))
}

fn sign_disk(disk: &Path, out: &Path, uki: &[u8], loader: &[u8]) -> Result<(), SignError> {
    let table = table(disk)?;
    let boot = table
        .partition(Role::BootA)
        .ok_or_else(|| SignError::Image { path: disk.to_owned(), what: "no BOOT-A partition".to_owned() })?;
    if uki.len() as u64 > boot.sector_count() * SECTOR_SIZE {
        return Err(SignError::Image {
            path: disk.to_owned(),
            what: "the signed image exceeds BOOT-A".to_owned(),
        });
    }
    copy(disk, out)?;
    let file = fs::OpenOptions::new().write(true).open(out).map_err(io("open", out))?;
    let (first, second) = loader_runs(disk)?;
    for (offset, bytes) in [(boot.first * SECTOR_SIZE, uki), (first, loader), (second, loader)] {
        file.write_all_at(bytes, offset).map_err(io("write", out))?;
    }
    Ok(())
}

fn digest(path: &Path) -> Result<String, SignError> {
    let file = fs::File::open(path).map_err(io("open", path))?;
    Ok(hex::encode(&sha256_sparse(&file, || true).map_err(io("read", path))?))
}

/// The first block of a PEM file with one of these labels.
fn pem(bytes: &[u8], labels: &[&str]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(bytes).ok()?;
    labels.iter().find_map(|label| {
        let (_, after) = text.split_once(&format!("-----BEGIN {label}-----"))?;
        let (body, _) = after.split_once(&format!("-----END {label}-----"))?;
        let digits: String = body.split_whitespace().collect();
        data_encoding::BASE64.decode(digits.as_bytes()).ok()
    })
}

fn io<'p>(action: &'static str, path: &'p Path) -> impl FnOnce(std::io::Error) -> SignError + 'p {
    move |source| SignError::Io { action, path: path.to_owned(), source }
}

fn read(path: &Path) -> Result<Vec<u8>, SignError> {
    fs::read(path).map_err(io("read", path))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), SignError> {
    fs::write(path, bytes).map_err(io("write", path))
}

/// Copies a file and its holes. The copy can be written to, whatever the
/// original's mode.
fn copy(from: &Path, to: &Path) -> Result<(), SignError> {
    let source = fs::File::open(from).map_err(io("open", from))?;
    let target = fs::File::create_new(to).map_err(io("create", to))?;
    let mut offset = 0;
    let size = read_sparse(&source, |part| {
        match part {
            Part::Hole(length) => offset += length,
            Part::Data(bytes) => {
                target.write_all_at(bytes, offset)?;
                offset += bytes.len() as u64;
            }
        }
        Ok(())
    });
    let size = size.map_err(io("copy", from))?;
    target.set_len(size).map_err(io("extend", to))
}
