//! What is said of images for others to check: how one came to be
//! ([`provenance`]), and that somebody else made it again ([`summary`],
//! [`link`]). Statements are about files by their digests, and envelopes carry
//! them with signatures.

pub mod dependencies;
pub mod envelope;
pub mod link;
pub mod provenance;
pub mod recorded;
pub mod statement;
pub mod summary;
