//! Releases as a repository gives them out, and what follows for a node that
//! looks at it: which one is next, and when its turn comes.
//!
//! Bytes and values in, values out: no file, no connection, no clock.

pub mod decide;

pub mod documents;

pub mod wave;

pub mod names;
