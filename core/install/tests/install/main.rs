//! A release is installed while everything fails that can fail.
//!
//! [`cuts`] is the heart: every write of whole stories is recorded, and what a
//! power cut may leave of them is judged as a node would find it.

mod cuts;
mod disk;
mod esp;
mod node;
mod world;

mod bounds;
mod orders;
mod refusals;
mod stories;
mod twins;
mod writing;
