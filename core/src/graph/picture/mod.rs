//! Pictures of a build graph: Graphviz's language, a drawing, a page to walk
//! about in, a record for programs.
//!
//! Pure: a [`BuildGraph`] goes in, text comes out, and equal graphs give equal
//! bytes. A derivation's own texts are foreign: they pass [`escape`] or [`crate::html`] wherever
//! they enter another language.

mod dot;
mod escape;
mod fold;
mod layout;
mod page;
mod record;
#[cfg(test)]
mod sample;
mod svg;
mod words;

pub use dot::dot;
pub use fold::Folding;
pub use page::page;
pub use record::record;
pub use svg::svg;
pub use words::summary;

use super::described::{BuildGraph, State};
