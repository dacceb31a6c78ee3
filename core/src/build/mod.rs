//! Building: one resolved derivation to its outputs.

pub mod builtin;
