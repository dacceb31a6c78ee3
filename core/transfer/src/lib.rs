//! What comes from a repository over a network that nobody trusts, and is kept
//! on a disk that may tear any write: the I/O below [`osbuild_tuf::client`].
//!
//! It believes nothing itself: what is right, signatures and hashes say.

pub mod http;

pub mod archive;

pub mod metadata;
