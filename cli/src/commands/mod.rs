//! One file a command: its arguments with their help, then one function.

pub(crate) mod boot;
pub(crate) mod build;
pub(crate) mod derivation;
pub(crate) mod disk;
pub(crate) mod eval;
pub(crate) mod generate;
pub(crate) mod list;
pub(crate) mod lock;
pub(crate) mod log;
pub(crate) mod store;
