//! The node's updater: follows a repository, decides what is due, writes the
//! slot that does not run.

pub mod http;
pub mod metadata;
