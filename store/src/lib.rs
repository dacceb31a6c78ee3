//! The store: content-addressed objects on disk, and the formats in which they
//! are named and moved.
//!
//! Everything that real Nix can read is bit-compatible with it: base-32, store
//! paths, NAR, narinfo. The physical layout (a directory of the user's, SQLite
//! beside it) is ours.
//!
//! This crate never evaluates, builds or knows what a derivation is. It keeps
//! action rows as opaque key and value.

pub mod action;
pub mod base32;
pub mod cache;
pub mod content_address;
pub mod difference;
pub mod error;
mod export;
pub mod hash;
pub mod local;
pub mod nar;
pub mod narinfo;
mod parallel;
pub mod path;
pub mod signature;
pub mod store;
pub mod transport;

pub use error::{StoreError, is_disk_full};
pub use hash::{HashAlgorithm, NixHash};
pub use local::LocalStore;
pub use path::{StoreDir, StorePath};
