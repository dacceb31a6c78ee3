//! What a root must not hold.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;

use osbuild_format::root_manifest::{Entry, Node};
use rayon::ThreadPool;
use rayon::prelude::*;
use serde::Serialize;

use crate::build::builtin::{BuiltinContext, BuiltinError};
use crate::image::files::{open, read_input};
use crate::image::glob::Glob;

use super::elf::{self, Elf};
use super::merge::Merged;
use super::scan::scan;
use super::{AllowRow, Finding, IMAGES, Parameters};

/// Names of the rules, as exceptions and the report spell them.
const SCRIPT: &str = "script";
const INTERPRETER: &str = "interpreter";
const SETUID: &str = "setuid";
const NEEDED: &str = "needed";
const STORE_PATH: &str = "store-path";
const DANGLING_LINK: &str = "dangling-link";
const MISSING_PROGRAM: &str = "missing-program";
const RULES: &[&str] = &[SCRIPT, INTERPRETER, SETUID, NEEDED, STORE_PATH, DANGLING_LINK, MISSING_PROGRAM];

/// Where the loader looks without being told.
const LIBRARY_DIRECTORIES: &[&str] = &["/usr/lib/x86_64-linux-gnu", "/usr/lib", "/usr/lib64"];
/// Where systemd looks for a program named without a slash.
const PROGRAM_DIRECTORIES: &[&str] = &["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin"];
/// Filled only once the node runs, so nothing can be said about them here.
const RUNTIME_DIRECTORIES: &[&str] = &["/dev", "/etc", "/opt", "/proc", "/run", "/sys", "/tmp", "/var"];

/// What the rules said.
pub(super) struct Found {
    pub(super) findings: Vec<Finding>,
    pub(super) elf: Vec<ElfRow>,
}

/// A program's or library's hardening.
#[derive(Serialize)]
pub(super) struct ElfRow {
    path: String,
    package: String,
    #[serde(rename = "static")]
    is_static: bool,
    pie: bool,
    relro: &'static str,
    nx: bool,
    stack_protector: bool,
    needed: Vec<String>,
}

/// Applies every rule.
///
/// # Errors
/// A file could not be read, or the tables name what does not exist.
pub(super) fn check(
    context: &BuiltinContext<'_>,
    pool: &ThreadPool,
    parameters: &Parameters,
    merged: &Merged,
) -> Result<Found, BuiltinError> {
    for row in &parameters.allow {
        if !RULES.contains(&row.rule.as_str()) {
            return Err(BuiltinError::Refused(format!(
                "allow: there is no rule '{}'; the rules are {}",
                row.rule,
                RULES.join(", ")
            )));
        }
    }
    let interpreters = interpreter_contents(context, parameters)?;
    let interpreter_packages: BTreeSet<&str> =
        parameters.packages.iter().filter(|p| p.interpreter).map(|p| p.pname.as_str()).collect();
    let mut found = Found { findings: Vec::new(), elf: Vec::new() };
    let root = Root(&merged.entries);

    for (path, scan) in merged.scans.iter().filter(|(path, _)| !path.starts_with(IMAGES)) {
        let entry = &merged.entries[path];
        if scan.script {
            found.deny(entry, SCRIPT, "begins with #!, and this root has no interpreter".to_owned());
        }
        if scan.elf && entry.package.as_deref().is_some_and(|p| interpreter_packages.contains(p)) {
            found.deny(entry, INTERPRETER, "its package is an interpreter".to_owned());
        } else if let Some(binary) = interpreters.get(&scan.blake3) {
            found.deny(entry, INTERPRETER, format!("has the contents of {binary}"));
        }
        if let Some(offset) = scan.store_path {
            found.deny(entry, STORE_PATH, format!("names a build path at offset {offset}"));
        }
    }
    for entry in merged.entries.values() {
        let setuid = entry.node != Node::Directory && entry.mode & 0o6000 != 0;
        if setuid || merged.setuid.contains(&entry.path) {
            found.deny(entry, SETUID, "is set-user-id or set-group-id".to_owned());
        }
        if let Node::Link { target } = &entry.node
            && root.resolve(&entry.path) == Resolved::Missing
        {
            found.add(entry, DANGLING_LINK, format!("points to {target}, which is not in this root"), false);
        }
    }
    for (entry, elf) in elf_files(context, pool, merged)? {
        check_needed(entry, &elf, merged, &root, &mut found);
        found.elf.push(ElfRow::new(entry, elf));
    }
    check_programs(context, merged, &root, &mut found)?;
    Ok(found)
}

/// Marks findings that an exception covers, and says which exceptions cover
/// nothing.
pub(super) fn apply_exceptions(findings: &mut [Finding], allow: &[AllowRow], context: &BuiltinContext<'_>) {
    for row in allow {
        let glob = Glob::new(&row.glob);
        let mut used = false;
        for finding in findings.iter_mut().filter(|f| f.rule == row.rule && glob.covers(&f.path)) {
            finding.allowed = Some(row.reason.clone());
            used = true;
        }
        if !used {
            (context.log)(&format!("note: the exception {} for {} covers nothing", row.rule, row.glob));
        }
    }
}

impl Found {
    fn deny(&mut self, entry: &Entry, rule: &'static str, what: String) {
        self.add(entry, rule, what, true);
    }

    fn add(&mut self, entry: &Entry, rule: &'static str, what: String, denied: bool) {
        let package = entry.package.clone().unwrap_or_else(|| "the variant".to_owned());
        self.findings.push(Finding { path: entry.path.clone(), package, rule, what, denied, allowed: None });
    }
}

impl ElfRow {
    fn new(entry: &Entry, elf: Elf) -> Self {
        Self {
            path: entry.path.clone(),
            package: entry.package.clone().unwrap_or_default(),
            is_static: elf.is_static,
            pie: elf.position_independent,
            relro: match (elf.relro, elf.bind_now) {
                (true, true) => "full",
                (true, false) => "partial",
                (false, _) => "none",
            },
            nx: !elf.executable_stack,
            stack_protector: elf.stack_protector,
            needed: elf.needed,
        }
    }
}

/// Contents that are denied under any name, with the file they were seen in.
fn interpreter_contents(
    context: &BuiltinContext<'_>,
    parameters: &Parameters,
) -> Result<HashMap<blake3::Hash, String>, BuiltinError> {
    let mut contents = HashMap::new();
    for logical in &parameters.interpreter_binaries {
        let path = (context.physical)(logical)?;
        contents.insert(scan(&path)?.blake3, logical.clone());
    }
    Ok(contents)
}

fn elf_files<'m>(
    context: &BuiltinContext<'_>,
    pool: &ThreadPool,
    merged: &'m Merged,
) -> Result<Vec<(&'m Entry, Elf)>, BuiltinError> {
    let mut files = Vec::new();
    for (path, scan) in &merged.scans {
        let entry = &merged.entries[path];
        let Node::File { store, file, .. } = &entry.node else { continue };
        if scan.elf && !path.starts_with(IMAGES) {
            files.push((entry, (context.physical)(&format!("{store}/{file}"))?));
        }
    }
    let read_one = |(entry, path): &(&'m Entry, PathBuf)| {
        let elf = elf::read(&open(path)?);
        Ok(elf.filter(|elf| elf.loadable).map(|elf| (*entry, elf)))
    };
    let read: Vec<Option<(&Entry, Elf)>> =
        pool.install(|| files.par_iter().map(read_one).collect::<Result<_, BuiltinError>>())?;
    Ok(read.into_iter().flatten().collect())
}

fn check_needed(entry: &Entry, elf: &Elf, merged: &Merged, root: &Root<'_>, found: &mut Found) {
    let origin = entry.path.rsplit_once('/').map_or("", |(directory, _)| directory);
    let mut directories: Vec<String> = elf
        .run_path
        .iter()
        .map(|directory| directory.replace("$ORIGIN", origin).replace("${ORIGIN}", origin))
        .collect();
    directories.extend(LIBRARY_DIRECTORIES.iter().map(|d| (*d).to_owned()));
    let missing = |name: &str| {
        let paths = directories.iter().map(|directory| format!("{directory}/{name}"));
        !paths.into_iter().any(|path| matches!(root.resolve(&path), Resolved::Entry(_)))
    };
    for name in elf.needed.iter().filter(|name| missing(name)) {
        let mut what = format!("needs {name}, which is not in this root");
        if let Some((package, path)) = merged.excluded.get(name) {
            what.push_str(&format!(" ({package} has it as {path}, but excludes it)"));
        }
        found.deny(entry, NEEDED, what);
    }
    if let Some(interpreter) = &elf.interpreter
        && !matches!(root.resolve(interpreter), Resolved::Entry(_))
    {
        found.deny(entry, NEEDED, format!("needs the loader {interpreter}, which is not in this root"));
    }
}

/// Programs that units and udev rules name.
fn check_programs(
    context: &BuiltinContext<'_>,
    merged: &Merged,
    root: &Root<'_>,
    found: &mut Found,
) -> Result<(), BuiltinError> {
    for entry in merged.entries.values() {
        let Node::File { store, file, size, .. } = &entry.node else { continue };
        let unit = (entry.path.contains("/systemd/system/")
            || entry.path.contains("/systemd/system.conf.d/"))
            && (entry.path.ends_with(".service")
                || entry.path.ends_with(".socket")
                || entry.path.ends_with(".conf"));
        let rules = entry.path.contains("/udev/rules.d/") && entry.path.ends_with(".rules");
        if (!unit && !rules) || *size > 1 << 20 {
            continue;
        }
        let bytes = read_input(context, &format!("{store}/{file}"))?;
        let text = String::from_utf8_lossy(&bytes);
        let programs = if unit { unit_programs(&text) } else { rule_programs(&text) };
        for program in programs.iter().filter(|program| !root.has_program(program)) {
            found.deny(entry, MISSING_PROGRAM, format!("runs {program}, which is not in this root"));
        }
    }
    Ok(())
}

/// The first words of a unit's `Exec…=` lines.
fn unit_programs(text: &str) -> Vec<String> {
    let mut programs = Vec::new();
    for line in text.lines() {
        let Some((key, value)) = line.split_once('=') else { continue };
        let known = ["Start", "StartPre", "StartPost", "Reload", "Stop", "StopPost", "Condition", "StopPre"];
        if !key.trim().strip_prefix("Exec").is_some_and(|rest| known.contains(&rest)) {
            continue;
        }
        let command = value.trim().trim_start_matches(['-', '@', ':', '+', '!', '|']);
        let program = command.split_whitespace().next().unwrap_or_default().trim_matches('"');
        if !program.is_empty() {
            programs.push(program.to_owned());
        }
    }
    programs
}

/// What a udev rule runs; names without a slash are below `/usr/lib/udev`.
fn rule_programs(text: &str) -> Vec<String> {
    let mut programs = Vec::new();
    for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
        for key in [
            "RUN+=\"",
            "RUN=\"",
            "RUN{program}+=\"",
            "RUN{program}=\"",
            "PROGRAM=\"",
            "PROGRAM==\"",
            "IMPORT{program}=\"",
        ] {
            for (at, _) in line.match_indices(key) {
                let value = line[at + key.len()..].split('"').next().unwrap_or_default();
                let Some(program) = value.split_whitespace().next() else { continue };
                let relative = !program.starts_with('/') && !program.contains(['$', '%']);
                programs.push(if relative { format!("/usr/lib/udev/{program}") } else { program.to_owned() });
            }
        }
    }
    programs
}

/// The root as the node will see it, for following links.
struct Root<'m>(&'m BTreeMap<String, Entry>);

#[derive(PartialEq, Eq)]
enum Resolved<'m> {
    Entry(&'m Entry),
    /// Inside a directory that is filled at run time.
    Runtime,
    Missing,
}

impl<'m> Root<'m> {
    /// Follows every link of a path, as the kernel would.
    fn resolve(&self, path: &str) -> Resolved<'m> {
        let mut pending: Vec<String> = components(path);
        let mut at = String::new();
        let mut links = 0;
        while let Some(component) = pending.pop() {
            if component == ".." {
                at.truncate(at.rfind('/').unwrap_or(0));
                continue;
            }
            let next = format!("{at}/{component}");
            match self.0.get(&next) {
                Some(Entry { node: Node::Link { target }, .. }) => {
                    links += 1;
                    if links > 40 {
                        return Resolved::Missing;
                    }
                    if target.starts_with('/') {
                        at.clear();
                    }
                    pending.extend(components(target));
                }
                Some(_) => at = next,
                None if is_runtime(&next) => return Resolved::Runtime,
                None => return Resolved::Missing,
            }
        }
        self.0.get(if at.is_empty() { "/" } else { &at }).map_or(Resolved::Missing, Resolved::Entry)
    }

    fn has_program(&self, program: &str) -> bool {
        if program.contains(['%', '$']) {
            return true;
        }
        let found = |path: &str| self.resolve(path) != Resolved::Missing;
        if program.contains('/') {
            return found(program);
        }
        PROGRAM_DIRECTORIES.iter().any(|directory| found(&format!("{directory}/{program}")))
    }
}

/// A path's components, the last one first.
fn components(path: &str) -> Vec<String> {
    path.split('/').rev().filter(|c| !c.is_empty() && *c != ".").map(str::to_owned).collect()
}

fn is_runtime(path: &str) -> bool {
    RUNTIME_DIRECTORIES
        .iter()
        .any(|d| path == *d || path.strip_prefix(d).is_some_and(|rest| rest.starts_with('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_programs_of_units_and_rules() {
        let unit = "[Service]\nExecStart=-/usr/bin/a --x\nExecStartPre=+!b\n# ExecStop=/no\nExecStart=\n";
        assert_eq!(unit_programs(unit), ["/usr/bin/a", "b"]);
        let rules = "# RUN+=\"no\"\nACTION==\"add\", RUN+=\"kmod load\", PROGRAM=\"/usr/bin/x $name\"\n";
        assert_eq!(rule_programs(rules), ["/usr/lib/udev/kmod", "/usr/bin/x"]);
    }
}
