//! `builtin:link-root`: packages to one root.
//!
//! Outputs: `out`, the `root.manifest`; `report`, JSON with every program's
//! hardening and every finding. The packages come with their run-time closure
//! already taken (in the language): what is linked against `/usr/lib` holds no
//! store references that could be followed here.
//!
//! Findings are collected, not stopped at: whoever composes a root wants to
//! see all of them at once.

mod merge;
pub(super) use merge::absolute;

mod rules;

mod elf;
mod scan;

use std::collections::BTreeMap;

use osbuild_format::hex;
use osbuild_format::root_manifest::{Entry, Node, RootManifest};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::build::builtin::{BuiltinContext, BuiltinError};

use super::files::{output, parameters, pool, write};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Parameters {
    packages: Vec<Package>,
    #[serde(default)]
    directories: Vec<DirectoryRow>,
    #[serde(default)]
    links: Vec<LinkRow>,
    #[serde(default)]
    attributes: Vec<AttributeRow>,
    /// Without `BUILD_ID`, which is computed here.
    os_release: BTreeMap<String, String>,
    /// Store files whose contents are denied under any name.
    #[serde(default)]
    interpreter_binaries: Vec<String>,
    #[serde(default)]
    allow: Vec<AllowRow>,
    /// Facts of the variant, for the report only.
    #[serde(default)]
    variant: Option<serde_json::Value>,
}

/// A package to be linked.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::image) struct Package {
    pub(in crate::image) pname: String,
    pub(in crate::image) version: String,
    /// An SPDX expression.
    #[serde(default)]
    pub(in crate::image) license: Option<String>,
    #[serde(default)]
    pub(in crate::image) cpe: Option<String>,
    /// Logical store path.
    pub(in crate::image) path: String,
    #[serde(default)]
    pub(in crate::image) exclude: Vec<String>,
    /// Its programs run other people's text.
    #[serde(default)]
    pub(in crate::image) interpreter: bool,
}

/// A directory that no package brings, or whose attributes differ.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DirectoryRow {
    path: String,
    #[serde(default = "default_directory_mode")]
    mode: String,
    #[serde(default)]
    uid: u32,
    #[serde(default)]
    gid: u32,
}

fn default_directory_mode() -> String {
    "0755".to_owned()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LinkRow {
    path: String,
    target: String,
}

/// Owners, modes and extended attributes of what the pattern names; later
/// rows override earlier ones.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AttributeRow {
    glob: String,
    #[serde(default)]
    uid: Option<u32>,
    #[serde(default)]
    gid: Option<u32>,
    #[serde(default)]
    mode: Option<String>,
    /// Values as text; `0x…` is hexadecimal.
    #[serde(default)]
    xattrs: BTreeMap<String, String>,
}

/// An exception to a rule, with its reason.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AllowRow {
    glob: String,
    rule: String,
    reason: String,
}

/// Something that a rule says about a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Finding {
    path: String,
    package: String,
    rule: &'static str,
    what: String,
    /// Denied unless allowed; otherwise only reported.
    denied: bool,
    /// The reason of the exception that covers it.
    allowed: Option<String>,
}

#[derive(Serialize)]
struct Report<'a> {
    schema: u32,
    variant: &'a Option<serde_json::Value>,
    files: usize,
    bytes: u64,
    findings: &'a [Finding],
    elf: &'a [rules::ElfRow],
    /// Files below `/usr/share/osbuild/images`: container images are listed
    /// apart, since what they hold runs in containers only.
    images: Vec<&'a str>,
}

/// Where container images are; no rule looks into them.
const IMAGES: &str = "/usr/share/osbuild/images/";

const OS_RELEASE: &str = "/usr/lib/os-release";
const ETC_OS_RELEASE: &str = "/etc/os-release";

/// Runs the builder.
///
/// # Errors
/// Conflicts between packages and findings that no exception covers, each on
/// a line of its own.
pub fn run(context: &BuiltinContext<'_>) -> Result<(), BuiltinError> {
    let parameters: Parameters = parameters(context, "link-root")?;
    let pool = pool(context)?;
    let merged = merge::merge(context, &pool, &parameters)?;
    let found = rules::check(context, &pool, &parameters, &merged)?;
    let manifest = with_os_release(merged.entries, &parameters.os_release)?;

    let mut findings = found.findings;
    findings.sort();
    rules::apply_exceptions(&mut findings, &parameters.allow, context);
    let bytes =
        manifest.entries().iter().map(|e| if let Node::File { size, .. } = e.node { size } else { 0 }).sum();
    let report = Report {
        schema: 1,
        variant: &parameters.variant,
        files: manifest
            .entries()
            .iter()
            .filter(|e| matches!(e.node, Node::File { .. } | Node::Inline { .. }))
            .count(),
        bytes,
        findings: &findings,
        elf: &found.elf,
        images: manifest
            .entries()
            .iter()
            .map(|e| e.path.as_str())
            .filter(|p| p.starts_with(IMAGES))
            .collect(),
    };
    let mut text = serde_json::to_vec_pretty(&report).expect("a report is plain data");
    text.push(b'\n');

    let denied: Vec<&Finding> = findings.iter().filter(|f| f.denied && f.allowed.is_none()).collect();
    if !denied.is_empty() {
        return Err(refusal(&denied));
    }
    for finding in &findings {
        (context.log)(&format!("note: {}", line(finding)));
    }
    write(output(context, "report")?, &text)?;
    write(output(context, "out")?, &manifest.to_bytes())
}

fn line(finding: &Finding) -> String {
    let Finding { path, package, rule, what, .. } = finding;
    format!("{package}: {path}: {what} [{rule}]")
}

fn refusal(denied: &[&Finding]) -> BuiltinError {
    let mut lines: Vec<String> = denied.iter().map(|f| line(f)).collect();
    lines.insert(0, format!("this root must not be built: {} finding(s)", denied.len()));
    lines.push(
        "hint: leave the file out (`exclude` of its package), or add { glob, rule, reason } to `allow`"
            .to_owned(),
    );
    BuiltinError::Refused(lines.join("\n"))
}

/// Adds os-release. Its `BUILD_ID` names everything else in the root.
fn with_os_release(
    mut entries: BTreeMap<String, Entry>,
    fields: &BTreeMap<String, String>,
) -> Result<RootManifest, BuiltinError> {
    let refused =
        |error: osbuild_format::root_manifest::RootManifestError| BuiltinError::Refused(error.to_string());
    if let Some(bad) = fields.keys().find(|key| !is_os_release_key(key)) {
        return Err(BuiltinError::Refused(format!("osRelease: '{bad}' is no name of an os-release field")));
    }
    for path in [OS_RELEASE, ETC_OS_RELEASE] {
        if let Some(package) = entries.remove(path).and_then(|e| e.package) {
            return Err(BuiltinError::Refused(format!(
                "{package}: {path}: os-release is written by link-root; exclude the package's"
            )));
        }
    }
    merge::add_parents(&mut entries, OS_RELEASE);
    merge::add_parents(&mut entries, ETC_OS_RELEASE);
    merge::insert(
        &mut entries,
        ETC_OS_RELEASE,
        0o777,
        Node::Link { target: "../usr/lib/os-release".to_owned() },
    );
    let rest = RootManifest::new(entries.values().cloned().collect()).map_err(refused)?;
    let build_id = hex::encode(&Sha256::digest(rest.to_bytes())[..8]);
    let mut text: String = fields.iter().map(|(key, value)| format!("{key}={}\n", quoted(value))).collect();
    text.push_str(&format!("BUILD_ID={build_id}\n"));
    merge::insert(&mut entries, OS_RELEASE, 0o644, Node::Inline { text });
    RootManifest::new(entries.into_values().collect()).map_err(refused)
}

fn is_os_release_key(key: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
    !key.is_empty() && key != "BUILD_ID" && key.bytes().all(allowed)
}

/// os-release(5): values are quoted as a shell would need it.
fn quoted(value: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    if !value.is_empty() && value.bytes().all(plain) {
        return value.to_owned();
    }
    let mut out = String::from("\"");
    for character in value.chars().filter(|c| *c != '\n') {
        if "\"$`\\".contains(character) {
            out.push('\\');
        }
        out.push(character);
    }
    out.push('"');
    out
}
