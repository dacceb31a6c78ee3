//! Builds on a cluster give what builds here give.
//!
//! The cluster is BuildBox's casd, which stores blobs, keeps results and runs
//! actions in sandboxes of its own; what no installable server does (another
//! hash, blobs that vanish, lies) is played by a server of ours that speaks
//! the same protocol.

#[path = "../engine/fixture.rs"]
#[expect(dead_code, reason = "tests use the rest")]
mod fixture;
#[path = "../engine/host_root.rs"]
mod host_root;
#[path = "../../../store/tests/judge/mod.rs"]
#[expect(dead_code, reason = "tests use the rest")]
mod judge;

mod casd;
mod cluster;
mod faults;
mod same;
mod server;
mod tls;
