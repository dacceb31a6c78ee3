//! The engine as its users see it: derivations in, objects out, in a real
//! sandbox. The package root is a few programs of the host's, copied.

mod attacker;
mod attacks;
mod builtins;
mod caches;
mod fixture;
mod graph;
mod host_root;
mod sandbox;
mod seen;
mod verify;
