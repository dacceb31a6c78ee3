//! The engine from outside: two inputs in, differences out.

mod common;
mod samples;

mod planted;
mod planted_disks;
mod trees;

mod damaged;
mod properties;
mod rendered;
mod tools;
