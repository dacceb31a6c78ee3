//! Malformed input of the readers of archives and of what caches say. Every
//! case is refused, whatever it says of its own size in little memory, and
//! whatever real Nix refuses is refused here.

mod archives;
mod bounded;
mod deep_trees;
#[path = "../judge/mod.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod judge;
mod narinfos;
