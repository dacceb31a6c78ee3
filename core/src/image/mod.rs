//! Images: the built-in builders that compose `core/format` into outputs.
//!
//! `squashfs-segment` compresses one package; `link-root` merges packages to a
//! `root.manifest` and refuses what must not be in a root; `slot` makes root,
//! verity tree, kernel image and release manifest of one version; `disk` puts
//! a slot onto a factory disk; `sbom` and `image-manifest` describe it. `facts`
//! reads all of that again, and `changes` says what is new against another.
//!
//! No formats of its own (they are `core/format`'s), no keys, no clock. Only
//! inputs and outputs are opened, through [`BuiltinContext`].
//!
//! [`BuiltinContext`]: crate::build::builtin::BuiltinContext

pub mod segment;

pub mod link_root;

pub mod slot;

pub mod disk;

pub mod outer_manifest;
pub mod sbom;

pub mod sign;
pub mod size;

pub mod changes;
pub mod facts;

pub(crate) mod files;
pub mod glob;
mod tree;
