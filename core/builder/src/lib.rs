//! One build, sent to another machine: what it is told and what it answers.
//!
//! The machine gets a directory with the builder, an order and the archives of
//! all that is mounted. The builder unpacks them, makes the sandbox that the
//! toolkit makes at home, runs the program, and leaves the archives of the
//! outputs and a report. Objects travel as archives and not file by file,
//! because modes and times are visible to builds and other machines keep
//! neither.

mod bytes;
mod run;
mod tree;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use run::run;

/// Raised when an order or a report changes its meaning.
pub const SCHEMA: u32 = 1;

/// The order, beside the builder.
pub const ORDER: &str = "order.json";
/// The directory of the inputs' archives, each called as its object.
pub const INPUTS: &str = "inputs";
/// The directory of the outputs' archives, each called as its output.
pub const OUTPUTS: &str = "outputs";
/// The report, in the directory of the outputs.
pub const REPORT: &str = "report.json";

/// What the archive of an object or an output is called.
pub fn archive_name(name: &str) -> String {
    format!("{name}.nar")
}

/// What to run, where everything upstream is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Order {
    pub schema: u32,
    /// What the store is called inside.
    pub store_dir: String,
    /// Base names of the objects that are mounted.
    pub inputs: BTreeSet<String>,
    /// The package root whose top-level entries are shown: an input's base
    /// name, and a way below it.
    pub package_root: Option<String>,
    #[serde(with = "bytes::one")]
    pub program: Vec<u8>,
    #[serde(with = "bytes::list")]
    pub arguments: Vec<Vec<u8>>,
    #[serde(with = "bytes::map")]
    pub environment: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Lie there when the program starts.
    pub files: Vec<OrderedFile>,
    /// Each output's base name in the store, as the program sees it.
    pub outputs: BTreeMap<String, String>,
}

/// A file in `/build` or `/tmp`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OrderedFile {
    pub path: String,
    #[serde(with = "bytes::one")]
    pub contents: Vec<u8>,
    pub is_executable: bool,
}

/// What came of a build that went well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Report {
    pub schema: u32,
    pub outputs: BTreeMap<String, ReportedOutput>,
    pub cpu_ms: u64,
    pub largest_bytes: u64,
}

/// One output, as its archive is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReportedOutput {
    /// SHA-256 of the archive, in hexadecimal.
    pub nar_hash: String,
    pub nar_size_bytes: u64,
    /// Base names of the inputs and outputs that it mentions.
    pub mentions: BTreeSet<String>,
}

/// Why there is no report: the last line on standard error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Trouble {
    /// The program ran and failed.
    Failed { how: String },
    /// The program went well, but an output is missing or cannot be archived.
    Output { output: String, reason: String },
    /// The program is not in the sandbox, or is none.
    Execute {
        program: String,
        /// Of the operating system, as in `errno`.
        code: i32,
    },
    /// This machine cannot run it.
    Machine { reason: String },
}

impl Trouble {
    fn machine(what: &str, error: &dyn std::error::Error) -> Self {
        Self::Machine { reason: format!("{what}: {}", one_line(error)) }
    }
}

/// An error and its causes on one line.
fn one_line(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}
