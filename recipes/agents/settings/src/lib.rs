//! Keeps the node's settings: generations on PRIVATE, each whole, each told
//! apart from a torn one, and never changed once written.
//!
//! A commit is one new file. What is current is the newest good one, so there
//! is no moment at which a power cut leaves anything between two states.

pub mod answer;
pub mod applier;
pub mod audit;
pub mod files;
pub mod generation;
pub mod inspection;
pub mod node;
pub mod routes;
pub mod secrets;
pub mod server;
pub mod store;
