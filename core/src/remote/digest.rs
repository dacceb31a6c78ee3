//! How content-addressable storage names blobs.

use std::io::{self, Write};

use bazel_remote_apis::build::bazel::remote::execution::v2 as api;
use sha2::{Digest as _, Sha256};

/// A hash that both sides know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Sha256,
    Blake3,
}

/// A blob's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Digest {
    /// 64 digits, lower case.
    pub(super) hash: String,
    pub(super) size_bytes: u64,
}

impl Digest {
    /// A server's digest, if it is one.
    pub(super) fn read(digest: &api::Digest) -> Option<Self> {
        let is_hash = digest.hash.len() == 64
            && digest.hash.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        let size_bytes = u64::try_from(digest.size_bytes).ok()?;
        is_hash.then(|| Self { hash: digest.hash.clone(), size_bytes })
    }

    pub(super) fn to_api(&self) -> api::Digest {
        api::Digest { hash: self.hash.clone(), size_bytes: self.size_bytes.cast_signed() }
    }

    /// As records keep it.
    pub(super) fn to_text(&self) -> String {
        format!("{}-{}", self.hash, self.size_bytes)
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let (hash, size) = text.split_once('-')?;
        Self::read(&api::Digest { hash: hash.to_owned(), size_bytes: size.parse().ok()? })
    }
}

impl Function {
    /// The best of those that a server knows. SHA-256 comes first, since the
    /// store knows it of every object already.
    pub(super) fn choose(known: &[i32]) -> Option<Self> {
        [Self::Sha256, Self::Blake3].into_iter().find(|function| known.contains(&function.to_api()))
    }

    pub(super) fn to_api(self) -> i32 {
        match self {
            Self::Sha256 => api::digest_function::Value::Sha256 as i32,
            Self::Blake3 => api::digest_function::Value::Blake3 as i32,
        }
    }

    /// The part of a resource's name that says it; the older functions are
    /// known by the length of the hash and must not be named.
    pub(super) fn segment(self) -> &'static str {
        match self {
            Self::Sha256 => "",
            Self::Blake3 => "blake3/",
        }
    }

    pub(super) fn of(self, bytes: &[u8]) -> Digest {
        let mut hasher = self.hasher();
        hasher.update(bytes);
        hasher.finish()
    }

    pub(super) fn hasher(self) -> Hasher {
        let state = match self {
            Self::Sha256 => State::Sha256(Sha256::new()),
            Self::Blake3 => State::Blake3(Box::new(blake3::Hasher::new())),
        };
        Hasher { state, size_bytes: 0 }
    }
}

/// A blob's digest as its bytes pass.
pub(super) struct Hasher {
    state: State,
    size_bytes: u64,
}

enum State {
    Sha256(Sha256),
    Blake3(Box<blake3::Hasher>),
}

impl Hasher {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        match &mut self.state {
            State::Sha256(hash) => hash.update(bytes),
            State::Blake3(hash) => {
                hash.update(bytes);
            }
        }
        self.size_bytes += bytes.len() as u64;
    }

    pub(super) fn finish(self) -> Digest {
        let hash = match self.state {
            State::Sha256(hash) => data_encoding::HEXLOWER.encode(&hash.finalize()),
            State::Blake3(hash) => hash.finalize().to_hex().to_string(),
        };
        Digest { hash, size_bytes: self.size_bytes }
    }
}

impl Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_hexadecimal_and_sized() {
        let digest = Function::Sha256.of(b"abc");
        assert_eq!(digest.hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(Function::Blake3.of(b"abc").hash.len(), 64);
        assert_eq!(Digest::parse(&digest.to_text()), Some(digest.clone()));
        for bent in ["", "x-3", "../..-3", &digest.to_text().to_uppercase(), &format!("{}--3", digest.hash)] {
            assert_eq!(Digest::parse(bent), None, "{bent}");
        }
    }

    #[test]
    fn of_the_functions_that_a_server_knows_the_store_s_own_is_taken() {
        let known = |functions: &[Function]| functions.iter().map(|f| f.to_api()).collect::<Vec<_>>();
        assert_eq!(Function::choose(&known(&[Function::Blake3, Function::Sha256])), Some(Function::Sha256));
        assert_eq!(Function::choose(&known(&[Function::Blake3])), Some(Function::Blake3));
        assert_eq!(Function::choose(&[api::digest_function::Value::Md5 as i32]), None);
    }
}
