//! Unified kernel images: a stub with sections appended.
//!
//! Source: Microsoft PE format; the UAPI group's unified kernel image
//! specification. objcopy would stamp the time of the build into the file;
//! here every byte follows from the inputs.

/// A section to be appended.
pub struct Section<'a> {
    /// With its dot, at most eight bytes.
    pub name: &'a str,
    pub contents: &'a [u8],
}

/// Why no image can be made.
#[derive(Debug, thiserror::Error)]
pub enum PeError {
    /// The stub or loader is not a 64-bit PE image.
    #[error("{what} is not a PE image for 64-bit x86: {why}")]
    NotPe { what: &'static str, why: &'static str },
    /// The stub's headers leave no room for more sections.
    #[error("the stub's headers have room for {room} more sections, {needed} are needed")]
    NoRoom { room: usize, needed: usize },
    /// The stub brings a section of this name itself.
    #[error("the stub already has a section {0}")]
    Duplicate(String),
    /// Addresses or offsets beyond 32 bits.
    #[error("the image would be larger than 2 GiB")]
    TooLarge,
    /// The image is signed already.
    #[error("the image carries a signature already")]
    Signed,
}

const SECTION_HEADER_BYTES: usize = 40;
const CODE: u32 = 0x0000_0020;
const INITIALIZED_DATA: u32 = 0x0000_0040;
const EXECUTE: u32 = 0x2000_0000;
const READ: u32 = 0x4000_0000;
/// In the optional header.
const CHECKSUM: usize = 64;
const CERTIFICATE_DIRECTORY: usize = 112 + 4 * 8;

/// Appends sections to a stub.
///
/// # Errors
/// See [`PeError`].
pub fn append_sections(stub: &[u8], sections: &[Section<'_>]) -> Result<Vec<u8>, PeError> {
    let headers = Headers::parse(stub, "the stub")?;
    let used = headers.table + headers.count * SECTION_HEADER_BYTES;
    let room = (headers.headers_bytes.saturating_sub(used)) / SECTION_HEADER_BYTES;
    if room < sections.len() {
        return Err(PeError::NoRoom { room, needed: sections.len() });
    }
    let mut image = stub.to_vec();
    image.resize(align(image.len(), headers.file_alignment), 0);
    let mut address = headers.next_address(stub);
    for (index, section) in sections.iter().enumerate() {
        if headers.names(stub).any(|name| name == padded(section.name)) {
            return Err(PeError::Duplicate(section.name.to_owned()));
        }
        let offset = image.len();
        image.extend_from_slice(section.contents);
        image.resize(align(image.len(), headers.file_alignment), 0);
        let raw = image.len() - offset;
        let is_code = section.name == ".linux";
        let at = used + index * SECTION_HEADER_BYTES;
        let header = &mut image[at..at + SECTION_HEADER_BYTES];
        header.fill(0);
        header[..8].copy_from_slice(&padded(section.name));
        put_u32(header, 8, field(section.contents.len())?);
        put_u32(header, 12, field(address)?);
        put_u32(header, 16, field(raw)?);
        put_u32(header, 20, field(offset)?);
        put_u32(header, 36, if is_code { CODE | EXECUTE | READ } else { INITIALIZED_DATA | READ });
        let sum = headers.optional + if is_code { 4 } else { 8 };
        let total = u32_at(&image, sum) as usize + raw;
        put_u32(&mut image, sum, field(total)?);
        address = align(address + section.contents.len(), headers.section_alignment);
    }
    let count = (headers.count + sections.len()) as u16;
    image[headers.coff + 2..headers.coff + 4].copy_from_slice(&count.to_le_bytes());
    put_u32(&mut image, headers.optional + 56, field(address)?);
    set_checksum(&mut image, &headers);
    Ok(image)
}

/// Where a section's bytes are in the file, padding included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SectionPlace {
    /// With its dot, without padding.
    pub name: String,
    pub bytes: std::ops::Range<usize>,
}

/// The sections of an image that have bytes in it, in the order of the table.
///
/// # Errors
/// [`PeError::NotPe`].
pub fn sections(image: &[u8]) -> Result<Vec<SectionPlace>, PeError> {
    let headers = Headers::parse(image, "the image")?;
    let outside = || PeError::NotPe { what: "the image", why: "a section lies outside it" };
    let mut places = Vec::new();
    for row in headers.rows(image) {
        let (start, size) = (u32_at(row, 20) as usize, u32_at(row, 16) as usize);
        let end = start.checked_add(size).filter(|end| *end <= image.len()).ok_or_else(outside)?;
        let name = row[..8].split(|byte| *byte == 0).next().unwrap_or_default();
        if size != 0 {
            places.push(SectionPlace { name: String::from_utf8_lossy(name).into_owned(), bytes: start..end });
        }
    }
    Ok(places)
}

/// The parts of an image that Authenticode hashes, in order: all but the
/// checksum, the certificate directory, and what lies behind it.
///
/// Source: "Windows Authenticode Portable Executable Signature Format".
///
/// # Errors
/// [`PeError::NotPe`] or [`PeError::Signed`].
pub fn authenticode_parts(image: &[u8]) -> Result<[&[u8]; 3], PeError> {
    let headers = Headers::parse(image, "the image")?;
    if u32_at(image, headers.optional + CERTIFICATE_DIRECTORY + 4) != 0 {
        return Err(PeError::Signed);
    }
    let checksum = headers.optional + CHECKSUM;
    let directory = headers.optional + CERTIFICATE_DIRECTORY;
    Ok([&image[..checksum], &image[checksum + 4..directory], &image[directory + 8..]])
}

/// Appends a signature (a DER-encoded PKCS #7 `SignedData`) as the image's
/// certificate table. The image's length must be a multiple of eight.
///
/// # Errors
/// As [`authenticode_parts`].
///
/// # Panics
/// If the length is not a multiple of eight: the digest covers the padding,
/// so the caller pads before it hashes.
pub fn append_signature(image: &[u8], signature: &[u8]) -> Result<Vec<u8>, PeError> {
    authenticode_parts(image)?;
    assert_eq!(image.len() % 8, 0, "pad before hashing");
    let headers = Headers::parse(image, "the image")?;
    let offset = image.len();
    let mut signed = image.to_vec();
    // WIN_CERTIFICATE: length, revision 2.0, type PKCS #7.
    let length = certificate_bytes(signature.len());
    signed.extend_from_slice(&field(8 + signature.len())?.to_le_bytes());
    signed.extend_from_slice(&0x0200u16.to_le_bytes());
    signed.extend_from_slice(&0x0002u16.to_le_bytes());
    signed.extend_from_slice(signature);
    signed.resize(offset + length, 0);
    put_u32(&mut signed, headers.optional + CERTIFICATE_DIRECTORY, field(offset)?);
    put_u32(&mut signed, headers.optional + CERTIFICATE_DIRECTORY + 4, field(length)?);
    set_checksum(&mut signed, &headers);
    Ok(signed)
}

/// The signature that [`append_signature`] added; `None` of an image without.
///
/// # Errors
/// No PE image, or its certificate table is not where it says.
pub fn signature(image: &[u8]) -> Result<Option<&[u8]>, PeError> {
    let what = "the image";
    let headers = Headers::parse(image, what)?;
    let at = headers.optional + CERTIFICATE_DIRECTORY;
    let (offset, length) = (u32_at(image, at) as usize, u32_at(image, at + 4) as usize);
    if length == 0 {
        return Ok(None);
    }
    let bad = PeError::NotPe { what, why: "its certificate table is not where it says" };
    let table = offset.checked_add(length).and_then(|end| image.get(offset..end)).ok_or(bad)?;
    let bad = PeError::NotPe { what, why: "its certificate is longer than its table" };
    let header = 8;
    let certificate = table.get(..header).map(|header| u32_at(header, 0) as usize);
    certificate.and_then(|end| table.get(header..end)).map(Some).ok_or(bad)
}

/// Size of the certificate table that a signature makes.
pub fn certificate_bytes(signature_bytes: usize) -> usize {
    align(8 + signature_bytes, 8)
}

struct Headers {
    coff: usize,
    optional: usize,
    table: usize,
    count: usize,
    section_alignment: usize,
    file_alignment: usize,
    headers_bytes: usize,
}

impl Headers {
    fn parse(bytes: &[u8], what: &'static str) -> Result<Self, PeError> {
        let fail = |why| PeError::NotPe { what, why };
        if bytes.len() < 0x40 || bytes[..2] != *b"MZ" {
            return Err(fail("no MZ header"));
        }
        let pe = u32_at(bytes, 0x3c) as usize;
        if bytes.len() < pe.saturating_add(24 + 240) || bytes[pe..pe + 4] != *b"PE\0\0" {
            return Err(fail("no PE header"));
        }
        let (coff, optional) = (pe + 4, pe + 24);
        if u16_at(bytes, coff) != 0x8664 || u16_at(bytes, optional) != 0x20b {
            return Err(fail("another architecture"));
        }
        let count = usize::from(u16_at(bytes, coff + 2));
        let table = optional + usize::from(u16_at(bytes, coff + 16));
        let headers = Self {
            coff,
            optional,
            table,
            count,
            section_alignment: u32_at(bytes, optional + 32) as usize,
            file_alignment: u32_at(bytes, optional + 36) as usize,
            headers_bytes: u32_at(bytes, optional + 60) as usize,
        };
        let powers = headers.section_alignment.is_power_of_two() && headers.file_alignment.is_power_of_two();
        if !powers || headers.table + count * SECTION_HEADER_BYTES > headers.headers_bytes {
            return Err(fail("contradictory headers"));
        }
        if headers.headers_bytes > bytes.len() || u32_at(bytes, optional + 108) < 5 {
            return Err(fail("contradictory headers"));
        }
        Ok(headers)
    }

    fn rows<'b>(&self, bytes: &'b [u8]) -> impl Iterator<Item = &'b [u8]> {
        bytes[self.table..].chunks_exact(SECTION_HEADER_BYTES).take(self.count)
    }

    fn names(&self, bytes: &[u8]) -> impl Iterator<Item = [u8; 8]> {
        self.rows(bytes).map(|row| row[..8].try_into().expect("eight bytes"))
    }

    /// The first free address behind all sections.
    fn next_address(&self, bytes: &[u8]) -> usize {
        let ends = self.rows(bytes).map(|row| u32_at(row, 12) as usize + u32_at(row, 8) as usize);
        align(ends.max().unwrap_or(self.headers_bytes), self.section_alignment)
    }
}

/// The PE checksum: a sum of 16-bit words with end-around carry, the field
/// itself left out, plus the length.
fn set_checksum(image: &mut [u8], headers: &Headers) {
    let at = headers.optional + CHECKSUM;
    put_u32(image, at, 0);
    let mut sum = 0u64;
    for pair in image.chunks(2) {
        sum += u64::from(pair[0]) | u64::from(pair.get(1).copied().unwrap_or(0)) << 8;
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let total = sum as u32 + image.len() as u32;
    put_u32(image, at, total);
}

fn padded(name: &str) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes[..name.len()].copy_from_slice(name.as_bytes());
    bytes
}

fn align(value: usize, alignment: usize) -> usize {
    value.div_ceil(alignment) * alignment
}

fn field(value: usize) -> Result<u32, PeError> {
    u32::try_from(value).ok().filter(|v| *v < 1 << 31).ok_or(PeError::TooLarge)
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn put_u32(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
}
