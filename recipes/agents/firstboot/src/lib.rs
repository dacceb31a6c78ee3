//! What `firstboot` reads, apart from where it comes from.

pub mod text;
