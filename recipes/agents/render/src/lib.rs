//! From settings to files of `/etc`.
//!
//! A template says at its head which settings it reads, where its file goes,
//! and which units it concerns. It is given those settings and no others, so
//! that what it says of itself is true. Values are written in the form of the
//! file: a text cannot end a string or begin a line that is not its own.

mod form;
mod functions;
mod install;
mod template;
mod trial;
mod values;

pub use form::Form;
pub use install::{InstallError, Plan};
pub use template::{Family, Output, Rendered, Template, TemplateError};
pub use trial::{Trial, try_all};
