//! `.narinfo`: what a binary cache says of one object.
//!
//! Source: Nix manual, "Binary Cache"; the text that signatures cover is the
//! one of `ValidPathInfo::fingerprint`.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::content_address::ContentAddress;
use crate::hash::{HashAlgorithm, NixHash};
use crate::path::{StoreDir, StorePath};
use crate::signature::{SecretKey, Signature, TrustedKeys};

/// A cache's word on one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NarInfo {
    pub path: StorePath,
    /// Where the archive is, relative to the cache: no `..`, no scheme.
    pub url: String,
    pub compression: Compression,
    /// Of the compressed file. No signature covers them.
    pub file_hash: Option<NixHash>,
    pub file_size_bytes: Option<u64>,
    /// SHA-256 of the archive itself.
    pub nar_hash: NixHash,
    /// Neither zero nor 2^63 or more.
    pub nar_size_bytes: u64,
    /// The object itself is among them if it refers to itself.
    pub references: BTreeSet<StorePath>,
    pub deriver: Option<StorePath>,
    pub signatures: Vec<Signature>,
    pub content_address: Option<ContentAddress>,
}

/// How an archive is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    None,
    Gzip,
    Xz,
    Zstd,
}

impl Compression {
    fn parse(name: &str) -> Option<Self> {
        [Self::None, Self::Gzip, Self::Xz, Self::Zstd].into_iter().find(|known| known.name() == name)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Xz => "xz",
            Self::Zstd => "zstd",
        }
    }

    /// What the archive's file is called after its hash.
    pub fn extension(self) -> &'static str {
        match self {
            Self::None => ".nar",
            Self::Gzip => ".nar.gz",
            Self::Xz => ".nar.xz",
            Self::Zstd => ".nar.zst",
        }
    }
}

/// Why a `.narinfo` is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NarInfoError {
    /// Longer than [`MAX_BYTES`].
    #[error("it is larger than {MAX_BYTES} bytes")]
    TooLarge,
    /// A line is no `Name: value`, holds a control character, or is the last
    /// one and does not end.
    #[error("line {line} is no 'Name: value'")]
    Line { line: usize },
    /// A field's value is not what it should be.
    #[error("the field '{field}' is malformed: {reason}")]
    Field { field: &'static str, reason: String },
    /// A field that may stand once stands twice.
    #[error("the field '{field}' stands there twice")]
    Twice { field: &'static str },
    /// A field that must be there is not.
    #[error("the field '{field}' is missing")]
    Absent { field: &'static str },
    /// The compression is one that this program does not read.
    #[error("the archive is compressed with '{0}', which this program does not read")]
    Compression(String),
}

/// The longest text that is read: some 60 000 references.
pub const MAX_BYTES: usize = 4 << 20;

impl NarInfo {
    /// Reads one; fields that are not known are skipped.
    ///
    /// # Errors
    /// See [`NarInfoError`].
    pub fn parse(text: &[u8], store_dir: &StoreDir) -> Result<Self, NarInfoError> {
        if text.len() > MAX_BYTES {
            return Err(NarInfoError::TooLarge);
        }
        let fields = Fields::read(text)?;
        let path = fields.required(STORE_PATH)?;
        let path = store_dir.parse(path).map_err(|e| bad(STORE_PATH, e))?;
        let url = fields.required(URL)?;
        if !is_below_the_cache(url) {
            return Err(bad(URL, format!("'{url}' is no place below the cache")));
        }
        // Nix's default, from times when there was no other.
        let compression = fields.optional(COMPRESSION)?.unwrap_or("bzip2");
        let compression = Compression::parse(compression)
            .ok_or_else(|| NarInfoError::Compression(compression.to_owned()))?;
        let nar_hash = hash(NAR_HASH, fields.required(NAR_HASH)?)?;
        if nar_hash.algorithm() != HashAlgorithm::Sha256 {
            return Err(bad(NAR_HASH, "archives are hashed with sha256"));
        }
        let nar_size_bytes = size(NAR_SIZE, fields.required(NAR_SIZE)?)?;
        if nar_size_bytes == 0 {
            return Err(bad(NAR_SIZE, "no archive is empty"));
        }
        let mut references = BTreeSet::new();
        for name in fields.optional(REFERENCES)?.unwrap_or_default().split_ascii_whitespace() {
            references.insert(StorePath::parse(name).map_err(|e| bad(REFERENCES, e))?);
        }
        let deriver = match fields.optional(DERIVER)? {
            None | Some("" | "unknown-deriver") => None,
            Some(name) => Some(StorePath::parse(name).map_err(|e| bad(DERIVER, e))?),
        };
        let signatures =
            fields.all(SIGNATURE).map(|text| Signature::parse(text).map_err(|e| bad(SIGNATURE, e)));
        let content_address = match fields.optional(CONTENT_ADDRESS)? {
            None | Some("") => None,
            Some(text) => Some(ContentAddress::parse(text).map_err(|e| bad(CONTENT_ADDRESS, e))?),
        };
        Ok(Self {
            path,
            url: url.to_owned(),
            compression,
            file_hash: fields.optional(FILE_HASH)?.map(|text| hash(FILE_HASH, text)).transpose()?,
            file_size_bytes: fields.optional(FILE_SIZE)?.map(|text| size(FILE_SIZE, text)).transpose()?,
            nar_hash,
            nar_size_bytes,
            references,
            deriver,
            signatures: signatures.collect::<Result<_, _>>()?,
            content_address,
        })
    }

    /// Writes it, fields in the order in which Nix has them.
    pub fn to_text(&self, store_dir: &StoreDir) -> String {
        let mut text = String::new();
        let mut field = |name: &str, value: &str| {
            writeln!(text, "{name}: {value}").expect("a string takes everything");
        };
        field(STORE_PATH, &store_dir.display(&self.path));
        field(URL, &self.url);
        field(COMPRESSION, self.compression.name());
        if let Some(hash) = &self.file_hash {
            field(FILE_HASH, &hash.to_prefixed_base32());
        }
        if let Some(size) = self.file_size_bytes {
            field(FILE_SIZE, &size.to_string());
        }
        field(NAR_HASH, &self.nar_hash.to_prefixed_base32());
        field(NAR_SIZE, &self.nar_size_bytes.to_string());
        let references: Vec<&str> = self.references.iter().map(StorePath::as_str).collect();
        field(REFERENCES, &references.join(" "));
        if let Some(deriver) = &self.deriver {
            field(DERIVER, deriver.as_str());
        }
        for signature in &self.signatures {
            field(SIGNATURE, &signature.to_string());
        }
        if let Some(address) = &self.content_address {
            field(CONTENT_ADDRESS, &address.to_string());
        }
        text
    }

    /// The text that signatures cover.
    pub fn fingerprint(&self, store_dir: &StoreDir) -> String {
        fingerprint(store_dir, &self.path, &self.nar_hash, self.nar_size_bytes, &self.references)
    }

    /// Adds this key's signature, unless it is there.
    pub fn sign(&mut self, store_dir: &StoreDir, key: &SecretKey) {
        self.add_signature(key.sign(self.fingerprint(store_dir).as_bytes()));
    }

    /// Adds a signature, unless it is there.
    pub(crate) fn add_signature(&mut self, signature: Signature) {
        if !self.signatures.contains(&signature) {
            self.signatures.push(signature);
        }
    }

    /// Why this may be believed, if it may.
    pub fn trust(&self, store_dir: &StoreDir, keys: &TrustedKeys) -> Option<Trust> {
        if keys.accept(self.fingerprint(store_dir).as_bytes(), &self.signatures) {
            return Some(Trust::Signed);
        }
        let address = self.content_address.as_ref()?;
        address.is_address_of(store_dir, &self.path, &self.references).then_some(Trust::ContentAddressed)
    }
}

/// The text that signatures of an object cover.
pub(crate) fn fingerprint(
    store_dir: &StoreDir,
    path: &StorePath,
    nar_hash: &NixHash,
    nar_size_bytes: u64,
    references: &BTreeSet<StorePath>,
) -> String {
    let references: Vec<String> = references.iter().map(|path| store_dir.display(path)).collect();
    let (path, hash) = (store_dir.display(path), nar_hash.to_prefixed_base32());
    format!("1;{path};{hash};{nar_size_bytes};{}", references.join(","))
}

/// Why a cache's word on an object counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// A trusted key signed path, hash, size and references.
    Signed,
    /// The path follows from the contents that the cache promises, so only
    /// these contents can be at it; they have to be checked against the
    /// content address, beside the archive's hash.
    ContentAddressed,
    /// It is this store's own record.
    Ours,
}

const STORE_PATH: &str = "StorePath";
const URL: &str = "URL";
const COMPRESSION: &str = "Compression";
const FILE_HASH: &str = "FileHash";
const FILE_SIZE: &str = "FileSize";
const NAR_HASH: &str = "NarHash";
const NAR_SIZE: &str = "NarSize";
const REFERENCES: &str = "References";
const DERIVER: &str = "Deriver";
const SIGNATURE: &str = "Sig";
const CONTENT_ADDRESS: &str = "CA";

struct Fields<'t>(Vec<(&'t str, &'t str)>);

impl<'t> Fields<'t> {
    fn read(text: &'t [u8]) -> Result<Self, NarInfoError> {
        let mut fields = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let wrong = NarInfoError::Line { line: fields.len() + 1 };
            let Some(end) = rest.iter().position(|byte| *byte == b'\n') else { return Err(wrong) };
            // Values go into messages, headers and files of ours: what would
            // end a line there, or talk to a terminal, stays out.
            let line = std::str::from_utf8(&rest[..end]).ok().filter(|line| !line.contains(char::is_control));
            let Some(line) = line else { return Err(wrong) };
            // A field without a value may have lost its blank.
            let bare = || Some((line.strip_suffix(':')?, ""));
            fields.push(line.split_once(": ").or_else(bare).ok_or(wrong)?);
            rest = &rest[end + 1..];
        }
        Ok(Self(fields))
    }

    fn all(&self, name: &'static str) -> impl Iterator<Item = &'t str> {
        self.0.iter().filter(move |(field, _)| *field == name).map(|(_, value)| *value)
    }

    fn optional(&self, name: &'static str) -> Result<Option<&'t str>, NarInfoError> {
        let mut values = self.all(name);
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            _ => Err(NarInfoError::Twice { field: name }),
        }
    }

    fn required(&self, name: &'static str) -> Result<&'t str, NarInfoError> {
        self.optional(name)?.ok_or(NarInfoError::Absent { field: name })
    }
}

fn bad(field: &'static str, reason: impl ToString) -> NarInfoError {
    NarInfoError::Field { field, reason: reason.to_string() }
}

fn hash(field: &'static str, text: &str) -> Result<NixHash, NarInfoError> {
    NixHash::parse(text, None).map_err(|e| bad(field, e))
}

fn size(field: &'static str, text: &str) -> Result<u64, NarInfoError> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    // No file system holds more, and the database counts no further.
    let number = text.parse().ok().filter(|number| plain && *number <= i64::MAX as u64);
    number.ok_or_else(|| bad(field, format!("'{text}' is no number of bytes")))
}

/// Whether an address stays below the place that it is relative to, whether
/// that is a directory or a web address.
pub(crate) fn is_below_the_cache(url: &str) -> bool {
    let path = url.split('?').next().unwrap_or_default();
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'%' | b'#' | b':');
    !path.is_empty()
        && url.bytes().all(|byte| byte.is_ascii_graphic())
        && path.bytes().all(plain)
        && path.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
        // A directory knows no queries: there it is all one path.
        && !url.split(['/', '?']).any(|part| part == "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Nix 2.34 writes it.
    const SAMPLE: &str = "StorePath: /nix/store/00000000000000000000000000000001-hello\n\
        URL: nar/0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73.nar.zst\n\
        Compression: zstd\n\
        FileHash: sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73\n\
        FileSize: 12\n\
        NarHash: sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73\n\
        NarSize: 120\n\
        References: 00000000000000000000000000000001-hello 00000000000000000000000000000002-libc\n\
        Deriver: 00000000000000000000000000000003-hello.drv\n";

    fn parse(text: &str) -> Result<NarInfo, NarInfoError> {
        NarInfo::parse(text.as_bytes(), &StoreDir::default())
    }

    #[test]
    fn is_written_as_it_was_read() {
        let info = parse(SAMPLE).unwrap();
        assert_eq!(info.to_text(&StoreDir::default()), SAMPLE);
        let unknown = format!("{SAMPLE}Future: x\n");
        assert_eq!(parse(&unknown), Ok(info));
    }

    #[test]
    fn a_signature_covers_path_hash_size_and_references() {
        let dir = StoreDir::default();
        let key = SecretKey::generate("k").unwrap();
        let keys = TrustedKeys::from_iter([key.public()]);
        let mut info = parse(SAMPLE).unwrap();
        assert_eq!(info.trust(&dir, &keys), None);
        info.sign(&dir, &key);
        info.sign(&dir, &key);
        assert_eq!(info.signatures.len(), 1);
        let back = parse(&info.to_text(&dir)).unwrap();
        assert_eq!(back.trust(&dir, &keys), Some(Trust::Signed));
        for (from, to) in [
            ("01-hello\nURL", "04-hello\nURL"),
            ("NarHash: sha256:0m", "NarHash: sha256:1m"),
            ("NarSize: 120", "NarSize: 121"),
            (" 00000000000000000000000000000002-libc", ""),
            ("02-libc", "02-libc 00000000000000000000000000000009-x"),
        ] {
            let text = info.to_text(&dir);
            let bent = text.replace(from, to);
            assert_ne!(bent, text);
            assert_eq!(parse(&bent).unwrap().trust(&dir, &keys), None, "{to}");
        }
    }

    #[test]
    fn malformed_ones_are_refused() {
        for (from, to) in [
            ("StorePath: /nix/store/", "StorePath: /gnu/store/"),
            ("StorePath: ", "Storepath: "),
            ("Compression: zstd", "Compression: bzip2"),
            ("Compression: zstd\n", ""),
            ("NarSize: 120", "NarSize: 0"),
            ("NarSize: 120", "NarSize: -1"),
            ("NarSize: 120", "NarSize: +1"),
            ("NarSize: 120", "NarSize: 99999999999999999999"),
            ("NarSize: 120\n", "NarSize: 120\nNarSize: 120\n"),
            ("NarHash: sha256:0m", "NarHash: sha256:0"),
            ("NarHash: sha256:0m", "NarHash: sha1:0m"),
            ("NarHash: sha256", "Narhash: sha256"),
            ("URL: nar/0", "URL: ../nar/0"),
            ("URL: nar/0", "URL: /nar/0"),
            ("URL: nar/0", "URL: nar//0"),
            ("URL: nar/0", "URL: nar/./0"),
            ("URL: nar/0", "URL: nar/%2e%2e/0"),
            ("URL: nar/0", "URL: https://elsewhere.invalid/0"),
            ("URL: nar/0", "URL: nar\\0"),
            ("02-libc\n", "02-libc ../etc\n"),
            ("Deriver: 0", "Deriver: /0"),
            ("Compression: zstd", "Compression=zstd"),
            ("03-hello.drv\n", "03-hello.drv"),
            ("Deriver", "Sig: a:AAAA\nDeriver"),
            ("Deriver", "CA: fixed:git:x\nDeriver"),
            ("hello.drv\n", "hello.drv\n\n"),
        ] {
            let bent = SAMPLE.replacen(from, to, 1);
            assert_ne!(bent, SAMPLE, "{from}");
            assert!(parse(&bent).is_err(), "{from} as {to}");
        }
        assert!(NarInfo::parse(&vec![b'\n'; MAX_BYTES + 1], &StoreDir::default()).is_err());
        assert!(NarInfo::parse(b"\xff: x\n", &StoreDir::default()).is_err());
    }
}
