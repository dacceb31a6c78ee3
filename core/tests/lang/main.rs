//! The language against files: every `eval-okay-*.nix` prints its `.exp`,
//! every `eval-fail-*.nix` ends with its `.err.exp`.
//!
//! A new case is two files. The `.exp` are what Nix 2.34 prints; with
//! `OSBUILD_BLESS=1` the `.err.exp` are written anew, to be read before they
//! are committed.

mod corpus;
mod depth;
mod documented;
mod kept;
mod memory;
mod parsed;
mod robust;

#[path = "../../../store/tests/judge/mod.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod judge;
