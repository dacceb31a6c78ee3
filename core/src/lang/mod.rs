//! The Nix language.
//!
//! `syntax` makes a tree of `rnix`'s tokens, `lower` turns it into code with
//! resolved variables and drops it, `eval` runs the code on values in a heap that the
//! end of the process frees. What the language asks of the world goes through
//! one trait, `host`.
//!
//! Nothing here opens a file, reads an environment variable or builds.

pub mod builtins;
pub mod code;
pub mod coerce;
pub mod context;
pub mod error;
pub mod eval;
pub mod float;
pub mod heap;
pub mod host;
mod lower;
mod ops;
mod parsed;
pub mod portable;
mod pretty;
mod print;
pub mod regex;
mod shipped;
pub mod source;
pub mod stack;
pub mod symbol;
mod syntax;
#[cfg(test)]
mod tests;
mod unequal;
pub mod value;

pub use builtins::NIX_VERSION;
pub use error::{ErrorKind, EvalError};
pub use eval::{Brake, Eval, Evaluator};
pub use print::show_string;
pub use syntax::{is_program, is_unfinished};
