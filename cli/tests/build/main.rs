//! `osbuild build`, `osbuild store` and `osbuild graph` as a user types them:
//! messages, exit codes, and a store that survives whatever happens.

mod browser;
#[path = "../../../core/tests/remote/casd.rs"]
mod casd;
mod fixture;
#[path = "../../../core/tests/engine/host_root.rs"]
mod host_root;
#[path = "../../../store/tests/judge/mod.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod judge;
#[path = "../../../core/tests/repo/release.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod release;
mod server;
#[path = "../../../core/tests/image/stub.rs"]
mod stub;

mod against;
mod basics;
mod cutoff;

mod disk;
mod graph;
mod init;
mod kernel;
mod killed;
mod read_only;
mod recipes;
mod remote;
mod sandbox;
mod shell;
mod sources;
mod store;
mod verify;
