//! `osbuild build` and `osbuild store` as a user types them: messages, exit
//! codes, and a store that survives whatever happens.

mod fixture;
#[path = "../../../core/tests/engine/host_root.rs"]
mod host_root;
mod server;

mod basics;

mod disk;
mod kernel;
mod killed;
mod read_only;
mod recipes;
mod sandbox;
mod sources;
mod store;
