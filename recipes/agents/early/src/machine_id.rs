//! machine-id(5): kept on PRIVATE, so that it survives updates; at first from
//! the machine's own SMBIOS UUID where that is worth anything, else random.

use std::io::Read;
use std::path::{Path, PathBuf};

use osbuild_sys::{Failed, Result};

use crate::state::State;

const SMBIOS_UUID: &str = "/sys/class/dmi/id/product_uuid";

/// 32 lower-case hexadecimal digits.
pub fn settle(state: &mut State) -> String {
    let kept: PathBuf = Path::new(osbuild_sys::private::MOUNT).join("machine-id");
    if let Ok(text) = std::fs::read_to_string(&kept) {
        if is_valid(text.trim()) {
            return text.trim().to_owned();
        }
    }
    let id = from_smbios().unwrap_or_else(random);
    state.note(save(&kept, &id));
    id
}

/// Writes /etc/machine-id.
pub fn install(id: &str) -> Result<()> {
    const PATH: &str = "/etc/machine-id";
    std::fs::write(PATH, format!("{id}\n")).map_err(Failed::at("write", PATH))
}

fn save(path: &Path, id: &str) -> Result<()> {
    let beside = path.with_extension("new");
    std::fs::write(&beside, format!("{id}\n")).map_err(Failed::at("write", &beside))?;
    let file = std::fs::File::open(&beside).map_err(Failed::at("open", &beside))?;
    file.sync_all().map_err(Failed::at("sync", &beside))?;
    std::fs::rename(&beside, path).map_err(Failed::at("rename", path))
}

fn is_valid(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase())
}

/// A hash, so that the UUID itself does not leave the machine in every log.
/// All zeros and all ones are what boards without a UUID report.
fn from_smbios() -> Option<String> {
    let text = std::fs::read_to_string(SMBIOS_UUID).ok()?;
    let digits: String = text.trim().to_ascii_lowercase().chars().filter(char::is_ascii_hexdigit).collect();
    let is_blank =
        digits.len() != 32 || digits.bytes().all(|b| b == b'0') || digits.bytes().all(|b| b == b'f');
    if is_blank { None } else { Some(mix(digits.as_bytes())) }
}

/// FNV-1a, 128 bits: an identifier, not a secret.
fn mix(bytes: &[u8]) -> String {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let salted = b"osbuild machine-id 1".iter().chain(bytes);
    let hash = salted.fold(OFFSET, |hash, byte| (hash ^ u128::from(*byte)).wrapping_mul(PRIME));
    format!("{hash:032x}")
}

fn random() -> String {
    let mut bytes = [0u8; 16];
    let read = std::fs::File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut bytes));
    if read.is_err() {
        // No random source this early means no devtmpfs: anything but zeros.
        bytes = [0x42; 16];
    }
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_valid_and_differ() {
        let (a, b) = (mix(b"4c4c4544004a"), mix(b"4c4c4544004b"));
        assert!(is_valid(&a) && is_valid(&b) && a != b);
        assert!(is_valid(&random()));
        assert!(!is_valid("4C4C") && !is_valid(""));
    }
}
