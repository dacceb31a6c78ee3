//! Binary caches: between stores of ours, against caches that lie, over
//! servers that misbehave, and to and from real Nix.

mod attacks;
mod export;
mod fixture;
mod nix;
mod s3;
mod server;
mod servers;
mod signatures;
mod travel;

#[path = "../judge/mod.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod judge;
