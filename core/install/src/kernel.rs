//! What a kernel image says of the release that it belongs to: its os-release
//! and the verity device on its command line.
//!
//! Source: os-release(5); the kernel's Documentation/admin-guide/
//! device-mapper/dm-init.rst and verity.rst (table version 1).

use osbuild_boot::guid::Guid;
use osbuild_boot::layout::SECTOR_SIZE;
use osbuild_boot::uki;
use osbuild_format::hex;
use osbuild_format::verity::{self, BLOCK_BYTES, Hash};

/// An image that does not say which release it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the kernel image does not say its release: {0}")]
pub struct NoRelease(pub &'static str);

/// The release of a kernel image by its own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Says {
    pub version: String,
    pub variant: String,
    pub rollback_index: u64,
    pub floor: u64,
    pub command_line: String,
    pub root: VerityDevice,
}

impl Says {
    /// Reads a whole image.
    ///
    /// # Errors
    /// [`NoRelease`], with what is missing or ambiguous.
    pub fn read(image: &[u8]) -> Result<Self, NoRelease> {
        let text = |name, what| {
            let bytes = uki::section(image, name).ok_or(NoRelease(what))?;
            std::str::from_utf8(bytes).map_err(|_| NoRelease(what))
        };
        let os_release = text(b".osrel", "it has no .osrel section of text")?;
        let command_line = text(b".cmdline", "it has no .cmdline section of text")?;
        let field = |name, what| field(os_release, name).ok_or(NoRelease(what));
        let number = |name, what| field(name, what)?.parse().map_err(|_| NoRelease(what));
        Ok(Self {
            version: field("VERSION_ID", "one VERSION_ID")?.to_owned(),
            variant: field("VARIANT_ID", "one VARIANT_ID")?.to_owned(),
            rollback_index: number("OSBUILD_ROLLBACK_INDEX", "one number OSBUILD_ROLLBACK_INDEX")?,
            floor: number("OSBUILD_FLOOR", "one number OSBUILD_FLOOR")?,
            root: VerityDevice::parse(command_line)
                .ok_or(NoRelease("one verity device in dm-mod.create= of its command line"))?,
            command_line: command_line.to_owned(),
        })
    }
}

impl Says {
    /// Whether the device is one that a slot of this system can hold: its
    /// partitions are named after its root hash, all partitions of the command
    /// line are these two, and the salt is the one of all images.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check_device(&self) -> Result<(), &'static str> {
        let (data, tree) = (Guid::of_root(&self.root.root_hash), Guid::of_hash(&self.root.root_hash));
        if (self.root.data, self.root.tree) != (data, tree) {
            return Err("it is on partitions that are not named after its root hash");
        }
        if uki::check_partitions(self.command_line.as_bytes(), data, tree).is_err() {
            return Err("the command line names other partitions beside it");
        }
        if self.root.salt != verity::SALT {
            return Err("its salt is not known here");
        }
        Ok(())
    }
}

/// A field that is there once: of two, readers would take different ones.
fn field<'t>(os_release: &'t str, name: &str) -> Option<&'t str> {
    let mut found = os_release.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    let value = found.next()?.trim_matches('"');
    found.next().is_none().then_some(value)
}

/// The device that a command line tells the kernel to map as its root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerityDevice {
    /// GUIDs of the partitions with the data and with the hash tree.
    pub data: Guid,
    pub tree: Guid,
    pub blocks: u64,
    pub root_hash: Hash,
    pub salt: Hash,
}

impl VerityDevice {
    /// `None` unless the line creates one device, and of the one shape that
    /// this system makes: data and tree on partitions by GUID, 4 KiB blocks,
    /// the tree from its partition's beginning, SHA-256. Options behind the
    /// salt are a later release's own affair.
    pub fn parse(command_line: &str) -> Option<Self> {
        let mut found = command_line.split("dm-mod.create=\"").skip(1);
        let (device, _) = found.next()?.split_once('"')?;
        if found.next().is_some() || device.contains(';') {
            return None;
        }
        // name,uuid,minor,flags,table
        let table = device.splitn(5, ',').nth(4)?;
        let words: Vec<&str> = table.split_ascii_whitespace().collect();
        let [
            start,
            sectors,
            "verity",
            "1",
            data,
            tree,
            "4096",
            "4096",
            blocks,
            "0",
            "sha256",
            root_hash,
            salt,
            ..,
        ] = words[..]
        else {
            return None;
        };
        let guid = |word: &str| Guid::parse(word.strip_prefix("PARTUUID=")?);
        let blocks = blocks.parse().ok()?;
        let sectors: u64 = sectors.parse().ok()?;
        let is_whole = sectors == u64::checked_mul(blocks, BLOCK_BYTES as u64 / SECTOR_SIZE)?;
        if start != "0" || !is_whole {
            return None;
        }
        Some(Self {
            data: guid(data)?,
            tree: guid(tree)?,
            blocks,
            root_hash: hex::decode_array(root_hash)?,
            salt: hex::decode_array(salt)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> String {
        let (data, tree) = (Guid::of_root(&[1; 32]), Guid::of_hash(&[1; 32]));
        let (root_hash, salt) = (hex::encode(&[1; 32]), hex::encode(&[2; 32]));
        format!(
            "ro dm-mod.waitfor=PARTUUID={data} dm-mod.create=\"osroot,,0,ro,0 80 verity 1 PARTUUID={data} \
             PARTUUID={tree} 4096 4096 10 0 sha256 {root_hash} {salt} 1 panic_on_corruption\" quiet"
        )
    }

    #[test]
    fn one_device_of_one_shape() {
        let device = VerityDevice::parse(&line()).unwrap();
        assert_eq!((device.blocks, device.root_hash, device.salt), (10, [1; 32], [2; 32]));
        assert_eq!((device.data, device.tree), (Guid::of_root(&[1; 32]), Guid::of_hash(&[1; 32])));
        let cases = [
            // Another release's options.
            ("1 panic_on_corruption", "2 restart_on_error panic_on_corruption", true),
            ("1 panic_on_corruption", "", true),
            // Another size than its blocks'.
            ("0 80 verity", "0 88 verity", false),
            ("0 80 verity", "8 80 verity", false),
            ("0 80 verity 1", "0 80 verity 0", false),
            ("0 80 verity", "0 80 linear", false),
            ("4096 4096", "4096 512", false),
            ("10 0 sha256", "10 1 sha256", false),
            ("sha256 01", "sha256 1", false),
            ("sha256 01", "sha512 01", false),
            ("PARTUUID=01", "/dev/vda", false),
            ("ro,0", "ro,1", false),
            ("ro,0 80", "ro,0 80;x,,,ro,0 80", false),
            ("\" quiet", "\" dm-mod.create=\"", false),
            ("\" quiet", "", false),
        ];
        for (from, to, is_known) in cases {
            let line = line().replace(from, to);
            assert_eq!(VerityDevice::parse(&line).is_some(), is_known, "{from:?} → {to:?}");
        }
    }

    #[test]
    fn a_field_is_there_once() {
        assert_eq!(field("ID=x\nVERSION_ID=\"1.2\"\n", "VERSION_ID"), Some("1.2"));
        assert_eq!(field("VERSION_ID=1\nVERSION_ID=2\n", "VERSION_ID"), None);
        assert_eq!(field("IMAGE_VERSION_ID=1\n", "VERSION_ID"), None);
    }
}
