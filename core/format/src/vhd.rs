//! VHD, fixed size: the disk as it is, and a footer.
//!
//! Source: Microsoft "Virtual Hard Disk Image Format Specification", 1.0. Time
//! and identity in the footer are constants of the content.

/// Size of the footer.
pub const FOOTER_BYTES: usize = 512;

/// The footer of a disk of `size_bytes`; `id` names its content.
pub fn footer(size_bytes: u64, id: [u8; 16]) -> [u8; FOOTER_BYTES] {
    let mut footer = [0; FOOTER_BYTES];
    let mut put = |at: usize, bytes: &[u8]| footer[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"conectix");
    put(8, &2u32.to_be_bytes());
    put(12, &0x0001_0000u32.to_be_bytes());
    put(16, &u64::MAX.to_be_bytes());
    put(28, b"osbd");
    put(32, &0x0001_0000u32.to_be_bytes());
    put(36, b"Wi2k");
    put(40, &size_bytes.to_be_bytes());
    put(48, &size_bytes.to_be_bytes());
    let (cylinders, heads, sectors) = geometry(size_bytes / 512);
    put(56, &cylinders.to_be_bytes());
    put(58, &[heads, sectors]);
    put(60, &2u32.to_be_bytes());
    put(68, &id);
    let sum: u32 = footer.iter().map(|byte| u32::from(*byte)).sum();
    footer[64..68].copy_from_slice(&(!sum).to_be_bytes());
    footer
}

/// The specification's appendix, "CHS Calculation".
fn geometry(total: u64) -> (u16, u8, u8) {
    let total = total.min(65535 * 16 * 255);
    if total >= 65535 * 16 * 63 {
        return ((total / 255 / 16) as u16, 16, 255);
    }
    let (mut sectors, mut tracks) = (17, total / 17);
    let mut heads = tracks.div_ceil(1024).max(4);
    if tracks >= heads * 1024 || heads > 16 {
        (sectors, heads) = (31, 16);
        tracks = total / sectors;
    }
    if tracks >= heads * 1024 {
        (sectors, heads) = (63, 16);
        tracks = total / sectors;
    }
    ((tracks / heads) as u16, heads as u8, sectors as u8)
}
