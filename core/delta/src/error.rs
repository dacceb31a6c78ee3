//! What keeps a new image from being made.

use std::io;

pub type Result<T> = std::result::Result<T, Error>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bytes are no delta or no chunk index, or contradict themselves.
    #[error("{what} is damaged: {why}")]
    Damaged { what: &'static str, why: &'static str },
    /// Written by a later program.
    #[error("{what} is of version {version}, which this program does not know")]
    Version { what: &'static str, version: u32 },
    /// Frames would come out otherwise than where the delta was made.
    #[error("the delta needs libzstd {needed} to pack frames; {present} is here")]
    Compressor { needed: u32, present: u32 },
    /// It would take more than is allowed here.
    #[error("the delta needs {needed} bytes of {what}; {limit} are allowed")]
    Limit { what: &'static str, needed: u64, limit: u64 },
    /// All went well, but the result is another image: the old one was not the
    /// one that the delta is for, or the delta is wrong.
    #[error("what came out is not the image that the delta is for")]
    OtherImage,
    #[error("cannot read the delta")]
    ReadDelta(#[source] io::Error),
    #[error("cannot read the old image")]
    ReadOld(#[source] io::Error),
    #[error("cannot write the new image")]
    WriteNew(#[source] io::Error),
    /// libzstd has no memory, or no such level.
    #[error("cannot compress")]
    Compress(#[source] io::Error),
    /// An image that a delta is to be made of.
    #[cfg(feature = "make")]
    #[error("cannot read the {which} image")]
    Image { which: &'static str, source: osbuild_format::squashfs::SquashfsError },
    /// A boot image that a delta is to be made of.
    #[cfg(feature = "make")]
    #[error("cannot read the {which} boot image")]
    BootImage { which: &'static str, source: osbuild_format::pe::PeError },
}

impl Error {
    pub(crate) fn delta(why: &'static str) -> Self {
        Self::Damaged { what: "the delta", why }
    }
}
