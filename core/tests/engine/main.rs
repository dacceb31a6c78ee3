//! The engine as its users see it: derivations in, objects out, in a real
//! sandbox. The package root is a few programs of the host's, copied.

mod attacker;
mod attacks;
mod builtins;
mod caches;
mod faults;
mod fixture;
mod graph;
mod host_root;
#[path = "../../compare/tests/compare/samples.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod samples;
mod sandbox;
mod seen;
mod verify;
